/**
 * Which files a Jsonnet file needs, found before it is evaluated: libjsonnet opens any path that an import names, so
 * every import must be known to stay in the repository.
 */
import { posix } from 'node:path';
import { PatchpanelError } from '../errors.ts';
import { lexJsonnet, skipBlank, tokenAt } from './jsonnet-lexer.ts';
import type { SourceTree } from './source-tree.ts';
import { decodeText, SourceText } from './yaml-documents.ts';

export interface ImportSet {
  /** Files of the repository by path, the entry file included. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /**
   * Library files that are imported, as if they lay beside the files that import them: path to import name. So the
   * evaluator needs no search path, from which `..` would lead elsewhere than from the file itself.
   */
  readonly libraryFiles: ReadonlyMap<string, string>;
}

/** Names of library files, as they are imported, such as `patchpanel/fleet.libsonnet`. */
export type Library = ReadonlyMap<string, string>;

interface FoundImport {
  readonly offset: number;
  readonly path: string;
  /** Whether the imported file is Jsonnet, and may import in turn. */
  readonly code: boolean;
}

/**
 * The entry file and all that it imports, directly or not.
 * @throws PatchpanelError jsonnet/import, with the place of the import
 */
export async function collectImports(tree: SourceTree, entry: string, library: Library): Promise<ImportSet> {
  const files = new Map<string, Uint8Array>();
  const libraryFiles = new Map<string, string>();
  const scanned = new Set<string>();
  const pending = [{ path: entry, code: true }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const bytes = files.get(next.path) ?? (await tree.read(next.path));
    files.set(next.path, bytes);
    if (!next.code || scanned.has(next.path)) continue;
    scanned.add(next.path);
    const text = decodeText(next.path, bytes);
    for (const found of importsOf(text)) {
      const target = await resolve(tree, text, found, library);
      if (target.library === undefined) pending.push({ path: target.path, code: found.code });
      else libraryFiles.set(target.path, target.library);
    }
  }
  return { files, libraryFiles };
}

/** @throws PatchpanelError jsonnet/import where code that came from an option imports anything */
export function refuseImports(option: string, code: string): void {
  if (importsOf(new SourceText(option, code)).length === 0 && !mayImport.test(code)) return;
  throw new PatchpanelError('jsonnet/import', `the code of ${option} has an import`, {
    remedy: 'Import in the .jsonnet file, and pass the plain value.',
  });
}

const mayImport = /import(?:str|bin)?(?![A-Za-z0-9_])/;

/** Imports of a file, checked to stay below the root as far as the path alone tells. */
function importsOf(text: SourceText): FoundImport[] {
  const found: FoundImport[] = [];
  const tokens = lexJsonnet(text.text);
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'word' || !/^import(?:str|bin)?$/.test(token.text)) continue;
    const path = tokens[index + 1];
    if (path?.kind === 'string') {
      checkPath(text, path.offset, path.text);
      found.push({ offset: path.offset, path: path.text, code: token.text === 'import' });
    } else if (path?.kind === 'textBlock') {
      throw notPlain(text, path.offset);
    }
  }
  checkRaw(text);
  return found;
}

/**
 * A second look that does not trust the lexer: whatever the evaluator takes for an import has the word, then blanks,
 * then a string. Each such place must be harmless, even in what looks like a comment or a string.
 */
function checkRaw(text: SourceText): void {
  for (const match of text.text.matchAll(new RegExp(mayImport, 'g'))) {
    const offset = skipBlank(text.text, match.index + match[0].length);
    const { token } = tokenAt(text.text, offset);
    if (token.kind === 'string') checkPath(text, offset, token.text);
    if (token.kind === 'textBlock') throw notPlain(text, offset);
  }
}

function notPlain(text: SourceText, offset: number): PatchpanelError {
  return text.error('jsonnet/import', 'the path of an import must be a plain string', offset);
}

/** No absolute path, and no `..` above the root. */
function checkPath(text: SourceText, offset: number, path: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const odd = /[\u0000-\u001f\u007f\\]/.test(path) || path === '';
  if (odd || path.startsWith('/')) {
    const fault = path.startsWith('/') ? 'is absolute' : 'is not a plain path';
    throw text.error('jsonnet/import', `the import ${JSON.stringify(path)} ${fault}`, offset);
  }
  const target = posix.join(posix.dirname(text.file), path);
  if (target === '..' || target.startsWith('../')) {
    throw text.error('jsonnet/import', `the import ${JSON.stringify(path)} leaves the repository`, offset);
  }
}

/** Path in the repository, where the library's files are taken to lie beside the file that imports them. */
async function resolve(
  tree: SourceTree,
  text: SourceText,
  found: FoundImport,
  library: Library,
): Promise<{ readonly path: string; readonly library?: string }> {
  const target = posix.join(posix.dirname(text.file), found.path);
  const kind = await tree.find(target);
  if (kind === 'file') return { path: target };
  const name = posix.normalize(found.path);
  const folder = posix.dirname(target);
  if (kind === 'missing' && library.has(name) && (await tree.find(folder)) !== 'file') {
    return { path: target, library: name };
  }
  const fault = {
    directory: 'is a directory',
    link: 'is, or is behind, a symbolic link',
    submodule: 'is in a git submodule',
    other: 'is not a regular file',
    hidden: 'is hidden',
    missing: 'does not exist in the repository',
  }[kind];
  const remedy =
    kind === 'missing' && found.path.startsWith('patchpanel/')
      ? `The library has: ${[...library.keys()].join(', ')}.`
      : undefined;
  throw text.error('jsonnet/import', `the import ${JSON.stringify(found.path)} ${fault}`, found.offset, remedy);
}
