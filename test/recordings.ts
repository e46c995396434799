/** Recordings of the real systems, which are too large for the repository: PATCHPANEL_CASES names their folder. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface Recordings {
  readonly path: string;
  /** Why tests over them can't run, in words for the reader of a test report; false where they can. */
  readonly skip: string | false;
}

/** A file or folder of the recordings, by its names from their root. */
export function recordings(...names: readonly string[]): Recordings {
  const folder = process.env.PATCHPANEL_CASES ?? '';
  const path = join(folder, ...names);
  if (folder === '') return { path, skip: 'no recordings here: PATCHPANEL_CASES names no folder of them' };
  return { path, skip: existsSync(path) ? false : `PATCHPANEL_CASES holds no ${names.join('/')}` };
}
