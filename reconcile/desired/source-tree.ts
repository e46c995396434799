/**
 * The rules for reading a repository, alike for a folder and for a git commit: no links, nothing hidden, nothing outside,
 * nothing that another file system would confuse, and never more than the limits.
 */
import { createHash } from 'node:crypto';
import { PatchpanelError } from '../errors.ts';
import type { Limits } from './limits.ts';

export type EntryKind = 'file' | 'directory' | 'link' | 'submodule' | 'other';

export interface TreeEntry {
  readonly name: string;
  readonly kind: EntryKind;
}

/** What a folder and a commit have in common. Paths are relative to the root, with `/`, and `''` is the root. */
export interface TreeReader {
  /** Entries of a directory that is known to exist, in any order. */
  readDirectory(path: string): Promise<readonly TreeEntry[]>;
  /** Content of a regular file. @throws PatchpanelError source/too-large beyond maxBytes */
  readFile(path: string, maxBytes: number): Promise<Uint8Array>;
}

/** Files that are read by themselves; `.libsonnet` is read only where it is imported. */
const rendered = /\.(?:ya?ml|json|jsonnet)$/;
const readable = /\.(?:ya?ml|json|jsonnet|libsonnet)$/;
const maxDepth = 64;
/** Where npm puts what others wrote: thousands of JSON files, none of them desired state. */
const packages = 'node_modules';

export class SourceTree {
  readonly #reader: TreeReader;
  readonly #limits: Limits;
  readonly #directories = new Map<string, readonly TreeEntry[]>();
  readonly #files = new Map<string, Uint8Array>();
  /** Directory of the desired state below the root, `''` where it is the root. */
  readonly path: string;
  #bytes = 0;
  #entries = 0;

  constructor(reader: TreeReader, path: string, limits: Limits) {
    this.#reader = reader;
    this.#limits = limits;
    this.path = path;
  }

  /** Number of files read so far. */
  get fileCount(): number {
    return this.#files.size;
  }

  /** SHA-256 over names and contents of all files read so far, as `sha256:HEX`; it does not depend on where the folder is. */
  digest(): string {
    const hash = createHash('sha256');
    for (const [path, bytes] of [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const name = this.path !== '' && path.startsWith(`${this.path}/`) ? path.slice(this.path.length + 1) : `/${path}`;
      hash.update(`${name}\0${bytes.length}\0`).update(bytes);
    }
    return `sha256:${hash.digest('hex')}`;
  }

  /**
   * All files to render below the path, sorted by path.
   * @throws PatchpanelError source/* as the rules of this page say
   */
  async list(onSkippedLink: (path: string) => void): Promise<readonly string[]> {
    await this.#checkPath();
    const found: string[] = [];
    const visit = async (directory: string, depth: number): Promise<void> => {
      if (depth > maxDepth) {
        throw new PatchpanelError('source/too-large', `${directory}: directories are nested deeper than ${maxDepth}`);
      }
      for (const { name, kind } of await this.#directory(directory)) {
        if (name.startsWith('.') || name === packages) continue;
        const path = join(directory, name);
        if (kind === 'directory') await visit(path, depth + 1);
        else if (isRendered(path, name, kind, onSkippedLink)) found.push(path);
        if (found.length > this.#limits.maxFiles) throw tooMany(this.#limits.maxFiles);
      }
    };
    await visit(this.path, 0);
    return found.sort();
  }

  /** What a path is, looked up name by name, so that a link on the way is never followed. */
  async find(path: string): Promise<EntryKind | 'hidden' | 'missing'> {
    let directory = '';
    const names = path.split('/');
    for (const [index, name] of names.entries()) {
      if (name.startsWith('.')) return 'hidden';
      const entry = (await this.#directory(directory)).find((each) => each.name === name);
      if (entry === undefined) return 'missing';
      if (index === names.length - 1 || entry.kind === 'link' || entry.kind === 'submodule') return entry.kind;
      if (entry.kind !== 'directory') return 'missing';
      directory = join(directory, name);
    }
    return 'missing';
  }

  /** Content of a file that {@link list} or {@link find} named. @throws PatchpanelError source/too-large */
  async read(path: string): Promise<Uint8Array> {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    if (this.#files.size >= this.#limits.maxFiles) throw tooMany(this.#limits.maxFiles);
    const bytes = await this.#reader.readFile(path, this.#limits.maxFileBytes);
    const raced = this.#files.get(path);
    if (raced !== undefined) return raced;
    this.#bytes += bytes.length;
    if (bytes.length > this.#limits.maxFileBytes) throw fileTooLarge(path, this.#limits.maxFileBytes);
    if (this.#bytes > this.#limits.maxTotalBytes) {
      throw new PatchpanelError('source/too-large', `all files together exceed ${this.#limits.maxTotalBytes} bytes`);
    }
    this.#files.set(path, bytes);
    return bytes;
  }

  async #checkPath(): Promise<void> {
    if (this.path === '') return;
    const kind = await this.find(this.path);
    if (kind === 'directory') return;
    if (kind === 'link') throw unsafeLink(this.path);
    if (kind === 'submodule')
      throw new PatchpanelError('source/submodule', `${this.path} is, or is in, a git submodule`);
    const fault = kind === 'missing' ? 'does not exist there' : kind === 'hidden' ? 'is hidden' : 'is not a directory';
    throw new PatchpanelError('source/not-found', `the path ${JSON.stringify(this.path)} ${fault}`);
  }

  async #directory(path: string): Promise<readonly TreeEntry[]> {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const entries = await this.#reader.readDirectory(path);
    this.#entries += entries.length;
    if (this.#entries > this.#limits.maxEntries) {
      throw new PatchpanelError('source/too-large', `there are more than ${this.#limits.maxEntries} directory entries`);
    }
    checkNames(path, entries);
    this.#directories.set(path, entries);
    return entries;
  }
}

/** @throws PatchpanelError where what the name promises to be a file is a link, or a submodule would be left out in silence */
function isRendered(path: string, name: string, kind: EntryKind, onSkippedLink: (path: string) => void): boolean {
  if (kind === 'submodule') {
    throw new PatchpanelError('source/submodule', `${path} is a git submodule, which is not fetched`);
  }
  if (kind === 'link') {
    if (readable.test(name)) throw unsafeLink(path);
    onSkippedLink(path);
  }
  return kind === 'file' && rendered.test(name);
}

/** Refuses names that can not be told apart, or do not exist, on another file system. */
function checkNames(directory: string, entries: readonly TreeEntry[]): void {
  const seen = new Map<string, string>();
  for (const { name, kind } of entries) {
    if (name.startsWith('.') && name !== '..' && name !== '.') continue;
    if (kind !== 'directory' && !readable.test(name)) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (name === '' || name === '.' || name === '..' || /[/\\\u0000-\u001f\u007f]/.test(name)) {
      throw new PatchpanelError(
        'source/unsafe-path',
        `${JSON.stringify(join(directory, name))} is not a portable name`,
        {
          remedy: 'Rename it: no slashes, backslashes or control characters.',
        },
      );
    }
    const folded = name.normalize('NFC').toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) {
      throw new PatchpanelError(
        'source/unsafe-path',
        `${join(directory, other)} and ${join(directory, name)} differ only in case or Unicode form`,
        { remedy: 'Rename one of them: on some file systems they are one file.' },
      );
    }
    seen.set(folded, name);
  }
}

/**
 * A `--path` as a path below the root, without `.` and trailing `/`.
 * @throws PatchpanelError source/unsafe-path for `..`, absolute paths and backslashes
 */
export function normalizeSourcePath(path: string): string {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0') || names.includes('..')) {
    throw new PatchpanelError('source/unsafe-path', `the path ${JSON.stringify(path)} is not a path below the root`, {
      remedy: 'Give a path relative to the root of the repository, without `..`.',
    });
  }
  return names.join('/');
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function unsafeLink(path: string): PatchpanelError {
  return new PatchpanelError('source/unsafe-path', `${path} is a symbolic link`);
}

function tooMany(limit: number): PatchpanelError {
  return new PatchpanelError('source/too-large', `there are more than ${limit} files to read`);
}

export function fileTooLarge(path: string, limit: number): PatchpanelError {
  return new PatchpanelError('source/too-large', `${path} is larger than ${limit} bytes`);
}
