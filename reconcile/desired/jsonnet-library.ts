/** The Jsonnet library that ships with patchpanel, importable as `patchpanel/NAME.libsonnet`. */
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PatchpanelError } from '../errors.ts';
import type { Library } from './jsonnet-imports.ts';

/** From the source tree, and from `dist`, which lies one folder deeper. */
const places = ['../../templates/patchpanel/', '../../../templates/patchpanel/'];

let cached: Promise<Library> | undefined;

/** Import name to text. */
export function jsonnetLibrary(): Promise<Library> {
  cached ??= readLibrary();
  return cached;
}

async function readLibrary(): Promise<Library> {
  for (const place of places) {
    const folder = fileURLToPath(new URL(place, import.meta.url));
    const names = await readdir(folder).catch(() => []);
    const files = names.filter((name) => name.endsWith('.libsonnet')).sort();
    if (files.length === 0) continue;
    const texts = files.map(async (name) => [`patchpanel/${name}`, await readFile(folder + name, 'utf8')] as const);
    return new Map(await Promise.all(texts));
  }
  throw new PatchpanelError('internal', 'the Jsonnet library is missing from this installation');
}
