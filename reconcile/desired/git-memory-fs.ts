/**
 * The object store of one fetch, in memory: nothing of the repository touches the disk, no link can lead out, and
 * nothing is left behind when the process is killed. It is what isomorphic-git asks of a file system, and no more.
 */
import type { PromiseFsClient } from 'isomorphic-git';

type FsNode = Uint8Array | 'directory';

interface MemoryStats {
  readonly type: 'file' | 'dir';
  readonly mode: number;
  readonly size: number;
  readonly ino: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly uid: number;
  readonly gid: number;
  readonly dev: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

/** @param onWrite sees each file before it is stored, and may refuse it by throwing */
export function memoryFs(onWrite: (path: string, content: Uint8Array) => void): PromiseFsClient {
  const nodes = new Map<string, FsNode>([['/', 'directory']]);

  function get(path: string): FsNode {
    const node = nodes.get(normal(path));
    if (node === undefined) throw fsError('ENOENT', path);
    return node;
  }

  async function readFile(path: string, options?: unknown): Promise<Uint8Array | string> {
    const node = get(path);
    if (node === 'directory') throw fsError('EISDIR', path);
    const encoding = typeof options === 'object' && options !== null ? Reflect.get(options, 'encoding') : options;
    return encoding === 'utf8' ? Buffer.from(node).toString('utf8') : Buffer.from(node);
  }

  async function writeFile(path: string, content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    onWrite(path, bytes);
    if (nodes.get(normal(path.slice(0, path.lastIndexOf('/')))) !== 'directory') throw fsError('ENOENT', path);
    nodes.set(normal(path), bytes);
  }

  async function mkdir(path: string): Promise<void> {
    if (nodes.has(normal(path))) throw fsError('EEXIST', path);
    nodes.set(normal(path), 'directory');
  }

  async function remove(path: string): Promise<void> {
    get(path);
    nodes.delete(normal(path));
  }

  async function readdir(path: string): Promise<string[]> {
    if (get(path) !== 'directory') throw fsError('ENOTDIR', path);
    const prefix = normal(path) === '/' ? '/' : `${normal(path)}/`;
    return [...nodes.keys()]
      .filter((each) => each !== '/' && each.startsWith(prefix) && !each.slice(prefix.length).includes('/'))
      .map((each) => each.slice(prefix.length));
  }

  async function stat(path: string): Promise<MemoryStats> {
    const node = get(path);
    const isDirectory = node === 'directory';
    return {
      type: isDirectory ? 'dir' : 'file',
      mode: isDirectory ? 0o40700 : 0o100600,
      size: isDirectory ? 0 : node.length,
      ino: 0,
      mtimeMs: 0,
      ctimeMs: 0,
      uid: 0,
      gid: 0,
      dev: 0,
      isFile: () => !isDirectory,
      isDirectory: () => isDirectory,
      isSymbolicLink: () => false,
    };
  }

  async function readlink(path: string): Promise<never> {
    throw fsError('EINVAL', path);
  }

  return {
    promises: {
      readFile,
      writeFile,
      mkdir,
      readdir,
      stat,
      lstat: stat,
      unlink: remove,
      rmdir: remove,
      readlink,
      symlink: readlink,
    },
  };
}

function normal(path: string): string {
  if (path.length > 1 && path.startsWith('/') && !path.endsWith('/') && !/\/\.?\//.test(path)) return path;
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return `/${names.join('/')}`;
}

function fsError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
