/** Desired state in a folder. The root, beyond which nothing is imported, is the git checkout that holds it. */
import { constants } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { PatchpanelError } from '../errors.ts';
import type { Limits } from './limits.ts';
import { fileTooLarge, SourceTree, type TreeEntry, type TreeReader } from './source-tree.ts';

/**
 * Opens a folder. Paths are relative to the git checkout around it, so that positions and imports are those of a git
 * source with the same `--path`; without a checkout the folder is the root.
 * @throws PatchpanelError source/not-found
 */
export async function openFolder(path: string, limits: Limits): Promise<SourceTree> {
  const folder = await realFolder(path);
  const root = (await checkoutAround(folder)) ?? folder;
  return new SourceTree(folderReader(root), relative(root, folder).split(sep).join('/'), limits);
}

/** @throws PatchpanelError source/not-found */
export async function realFolder(path: string): Promise<string> {
  let folder: string;
  try {
    folder = await realpath(path);
  } catch (cause) {
    const fault = isMissing(cause) ? 'does not exist' : 'can not be read as a folder';
    throw new PatchpanelError('source/not-found', `${path} ${fault}`, { cause });
  }
  if (!(await lstat(folder)).isDirectory()) {
    throw new PatchpanelError('source/not-found', `${path} is a file, and the desired state is read from a folder`, {
      remedy: `Give the folder that holds it: ${dirname(path)}`,
    });
  }
  return folder;
}

/** The nearest directory upwards that has a `.git`, unless a hidden directory lies between, which could not be read. */
export async function checkoutAround(folder: string): Promise<string | undefined> {
  for (let directory = folder; ; directory = dirname(directory)) {
    const found = await lstat(join(directory, '.git')).then(
      () => true,
      () => false,
    );
    if (found) {
      const hidden = relative(directory, folder)
        .split(sep)
        .some((name) => name.startsWith('.'));
      return hidden ? undefined : directory;
    }
    if (dirname(directory) === directory) return undefined;
  }
}

function folderReader(root: string): TreeReader {
  return {
    async readDirectory(path) {
      const entries = await readdir(join(root, path), { withFileTypes: true });
      return entries.map((entry): TreeEntry => {
        if (entry.isSymbolicLink()) return { name: entry.name, kind: 'link' };
        if (entry.isDirectory()) return { name: entry.name, kind: 'directory' };
        return { name: entry.name, kind: entry.isFile() ? 'file' : 'other' };
      });
    },
    async readFile(path, maxBytes) {
      // O_NOFOLLOW: it may have become a link since it was listed. O_NONBLOCK: or a pipe.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      const file = await open(join(root, path), flags).catch((cause: unknown) => {
        throw new PatchpanelError('source/not-found', `${path} can not be read`, { cause });
      });
      try {
        const { size } = await file.stat();
        if (size > maxBytes) throw fileTooLarge(path, maxBytes);
        return await file.readFile();
      } finally {
        await file.close();
      }
    },
  };
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
