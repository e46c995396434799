/** Writes a repository's files, all of them or none: what is there already is somebody's work. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PatchpanelError } from '../errors.ts';

export interface NewFile {
  /** Below the folder, with slashes. */
  readonly path: string;
  readonly content: string;
}

export interface WrittenFile {
  readonly path: string;
  readonly result: 'written' | 'unchanged';
}

/** So many of the files that are in the way are named. */
const shown = 5;

/**
 * Writes the files below a folder, which is made where it is missing. A file that is there with the same bytes stays.
 * @throws PatchpanelError `cli/exists` where another is there and `force` is not set, `cli/input` where one can't be written
 */
export async function writeFiles(
  folder: string,
  files: readonly NewFile[],
  force: boolean,
): Promise<readonly WrittenFile[]> {
  const found = new Map<string, string | undefined>();
  for (const { path } of files) found.set(path, await readText(join(folder, path)));
  const inTheWay = files.filter(({ path, content }) => found.get(path) !== undefined && found.get(path) !== content);
  if (inTheWay.length > 0 && !force) {
    const named = inTheWay.slice(0, shown).map(({ path }) => join(folder, path));
    const more = inTheWay.length > shown ? ` and ${inTheWay.length - shown} more` : '';
    throw new PatchpanelError('cli/exists', `nothing was written: ${named.join(', ')}${more} would be overwritten`);
  }
  const written: WrittenFile[] = [];
  for (const { path, content } of files) {
    if (found.get(path) === content) {
      written.push({ path, result: 'unchanged' });
      continue;
    }
    const file = join(folder, path);
    try {
      await mkdir(dirname(file), { recursive: true });
      // Without `force` a file that came meanwhile is not lost either.
      await writeFile(file, content, { flag: force ? 'w' : 'wx' });
    } catch (cause) {
      throw new PatchpanelError('cli/input', `${file} can not be written (${reasonOf(cause)})`, { cause });
    }
    written.push({ path, result: 'written' });
  }
  return written;
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (reasonOf(cause) === 'ENOENT') return undefined;
    throw new PatchpanelError('cli/input', `${file} can not be read (${reasonOf(cause)})`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
}
