/**
 * Who declares a VM: the mark that a run leaves on what it changes. The part before `?` is the repository; behind it
 * stands what else decides which objects are rendered. Two repositories never take turns on one VM, and only what bears
 * exactly the mark of this rendering is pruned.
 */
import { createHash } from 'node:crypto';
import type { SourceIdentity } from './model.ts';

/** What of the way of rendering decides which objects there are. */
export interface RenderInputs {
  /** An id in place of the mark, which stays the same wherever the repository moves. */
  readonly sourceId?: string;
  /** The branch, where the ref is one commit of it: runs of both must leave the same mark. */
  readonly sourceRef?: string;
  readonly defaultNamespace?: string;
  readonly jsonnet?: {
    readonly extStr?: Readonly<Record<string, string>>;
    readonly extCode?: Readonly<Record<string, string>>;
    readonly tlaStr?: Readonly<Record<string, string>>;
    readonly tlaCode?: Readonly<Record<string, string>>;
  };
}

/** What a person may give as a mark: a name, or the mark of a repository as it stands on its VMs; nothing that a shell minds. */
export const sourceIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:/@?=&%~+-]{0,511}$/;

/**
 * The mark of a desired state, such as `https://git.example.com/net/vms//prod?ref=main`. A folder has none: nothing
 * tells whether it is the one that somebody else has.
 */
export function sourceMark(source: SourceIdentity, inputs: RenderInputs): string | undefined {
  if (inputs.sourceId !== undefined) return inputs.sourceId;
  const repository = repositoryOf(source);
  if (repository === undefined || source.kind !== 'git') return undefined;
  const variables = digestOf(inputs);
  return `${repository}?ref=${encodeURI(inputs.sourceRef ?? source.ref)}${variables === undefined ? '' : `&inputs=${variables}`}`;
}

/** The repository and the folder in it, however its URL is spelled; undefined for a folder on disk. */
function repositoryOf(source: SourceIdentity): string | undefined {
  if (source.kind === 'folder') return undefined;
  const url = source.url.replace(/\/+$/, '').replace(/\/?\.git$/, '');
  const path = source.path.replace(/^(?:\.?\/)+|\/+$/g, '');
  return path === '' || path === '.' ? url : `${url}//${encodeURI(path)}`;
}

/** The repository that a mark names. */
function markedRepository(mark: string): string {
  return mark.split('?', 1)[0] ?? mark;
}

/**
 * Whether what bears this mark is another repository's. A folder without an id can't tell; an id that was given anew does
 * not make the repository another one.
 */
export function isOfAnother(mark: string | undefined, source: SourceIdentity): boolean {
  if (mark === undefined || source.mark === undefined) return false;
  const repository = markedRepository(mark);
  return repository !== markedRepository(source.mark) && repository !== repositoryOf(source);
}

/** Undefined where nothing but the files decides. */
function digestOf({ defaultNamespace, jsonnet = {} }: RenderInputs): string | undefined {
  const { extStr = {}, extCode = {}, tlaStr = {}, tlaCode = {} } = jsonnet;
  const variables = [extStr, extCode, tlaStr, tlaCode].map((group) => Object.entries(group).sort());
  if ((defaultNamespace ?? 'default') === 'default' && variables.every((group) => group.length === 0)) return undefined;
  return createHash('sha256')
    .update(JSON.stringify([defaultNamespace ?? 'default', ...variables]))
    .digest('hex')
    .slice(0, 16);
}
