/**
 * Desired state of another commit of the git repository that a folder is in, read from its objects: not from the work
 * tree, and without running git or anything that its configuration names.
 */
import fs from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import git from 'isomorphic-git';
import { PatchpanelError } from '../errors.ts';
import { checkoutAround, realFolder } from './folder-source.ts';
import { objectFault, treeReader } from './git-tree.ts';
import type { Limits } from './limits.ts';
import type { SourceIdentity } from './model.ts';
import { SourceTree, type TreeReader } from './source-tree.ts';

export interface CheckoutSource {
  readonly kind: 'checkout';
  /** Folder in the work tree; the commit is read at the same path. */
  readonly path: string;
  /**
   * Branch, remote branch, tag, full or short commit, with `~N` and `^N` behind; `REF...` is the commit at which the
   * checked out branch left REF.
   */
  readonly ref: string;
}

/** @throws PatchpanelError git/no-repository, git/unknown-ref, git/incomplete, source/* */
export async function openCheckout(
  source: CheckoutSource,
  limits: Limits,
): Promise<{ tree: SourceTree; identity: SourceIdentity }> {
  const folder = await realFolder(source.path);
  const root = await checkoutAround(folder);
  if (root === undefined) {
    throw new PatchpanelError('git/no-repository', `${source.path} lies in no git repository`);
  }
  const path = relative(root, folder).split(sep).join('/');
  const repository = await openRepository(join(root, '.git'));
  const commit = await repository.commitOf(source.ref);
  const tree = new SourceTree(await repository.reader(commit), path, limits);
  return { tree, identity: { kind: 'git', url: source.path, ref: source.ref, commit, path } };
}

/** As isomorphic-git wants it. */
interface ObjectStore {
  readonly fs: git.FsClient;
  readonly cache: object;
  readonly gitdir: string;
}

interface Repository {
  /** Full id of the commit that the text means. */
  commitOf(text: string): Promise<string>;
  reader(commit: string): Promise<TreeReader>;
}

/** @param dotGit the folder, or in a linked work tree and in a submodule the file that names it */
async function openRepository(dotGit: string): Promise<Repository> {
  const own = (await stat(dotGit)).isDirectory() ? dotGit : await linked(dotGit);
  // A linked work tree has its own HEAD; refs and objects are those of the main one.
  const common = await readFile(join(own, 'commondir'), 'utf8').then(
    (text) => resolve(own, text.trim()),
    () => own,
  );
  const store: ObjectStore = { fs, cache: {}, gitdir: common };
  const isShallow = fs.existsSync(join(common, 'shallow'));
  const failed = (error: unknown): never => {
    throw explained(error, isShallow);
  };
  return {
    async reader(oid) {
      const { commit } = await git.readCommit({ ...store, oid }).catch(failed);
      return treeReader(commit.tree, {
        tree: async (id) => (await git.readTree({ ...store, oid: id }).catch(failed)).tree,
        blob: async (id) => (await git.readBlob({ ...store, oid: id }).catch(failed)).blob,
      });
    },
    async commitOf(text) {
      try {
        return await revision(store, own, text);
      } catch (error) {
        if (error instanceof git.Errors.NotFoundError && isShallow) throw incomplete(text, error);
        if (error instanceof git.Errors.NotFoundError) throw unknown(text, error);
        if (error instanceof git.Errors.AmbiguousError) {
          throw new PatchpanelError('git/unknown-ref', `more than one object begins with ${text}`, {
            remedy: 'Give more digits of the commit.',
          });
        }
        return failed(error);
      }
    },
  };
}

async function linked(file: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  const path = /^gitdir: (.+)/.exec(text)?.[1]?.trim();
  if (path === undefined) throw new PatchpanelError('git/no-repository', `${file} names no git folder`);
  return resolve(dirname(file), path);
}

/** `main~2^2` in its parts; what git forbids in the name of a ref is no name. */
const revisionPattern = /^(?<name>[^~^:?*[\\\s]+?)(?<steps>(?:[~^]\d*)*)(?<fork>\.\.\.)?$/;

async function revision(store: ObjectStore, own: string, text: string): Promise<string> {
  const { name = '', steps = '', fork } = revisionPattern.exec(text)?.groups ?? {};
  if (name === '' || name.includes('..') || name.startsWith('-')) throw unknown(text);
  let oid = await peeled(store, name === 'HEAD' ? await headOf(store, own) : await named(store, name));
  for (const [, sign, digits = ''] of steps.matchAll(/([~^])(\d*)/g)) {
    const number = digits === '' ? 1 : Number(digits);
    oid = sign === '~' ? await ancestor(store, oid, number) : await parentOf(store, oid, number);
  }
  if (fork === undefined) return oid;
  const ours = await headOf(store, own);
  const [base] = (await git.findMergeBase({ ...store, oids: [oid, ours] })) as string[];
  if (base === undefined) throw new git.Errors.NotFoundError(`the commit at which HEAD left ${name}`);
  return base;
}

async function headOf(store: ObjectStore, own: string): Promise<string> {
  const text = (await readFile(join(own, 'HEAD'), 'utf8')).trim();
  return await git.resolveRef({ ...store, ref: text.startsWith('ref: ') ? text.slice('ref: '.length) : text });
}

/** A name comes before the digits of a commit, as with git. */
async function named(store: ObjectStore, name: string): Promise<string> {
  try {
    return await git.resolveRef({ ...store, ref: name });
  } catch (error) {
    if (!(error instanceof git.Errors.NotFoundError) || !/^[0-9a-f]{4,40}$/i.test(name)) throw error;
    return await git.expandOid({ ...store, oid: name.toLowerCase() });
  }
}

/** A tag that is an object leads to its commit. */
async function peeled(store: ObjectStore, oid: string): Promise<string> {
  return (await git.readCommit({ ...store, oid })).oid;
}

async function parentOf(store: ObjectStore, oid: string, number: number): Promise<string> {
  if (number === 0) return oid;
  const { commit } = await git.readCommit({ ...store, oid });
  const parent = commit.parent[number - 1];
  if (parent === undefined) throw new git.Errors.NotFoundError(`parent ${number} of ${oid}`);
  await git.readCommit({ ...store, oid: parent });
  return parent;
}

async function ancestor(store: ObjectStore, oid: string, generations: number): Promise<string> {
  let found = oid;
  for (let step = 0; step < generations; step += 1) found = await parentOf(store, found, 1);
  return found;
}

function unknown(text: string, cause?: unknown): PatchpanelError {
  return new PatchpanelError('git/unknown-ref', `the repository has no branch, tag or commit ${JSON.stringify(text)}`, {
    remedy: `Fetch it, such as \`git fetch origin ${branchOf(text)}\`, or check its spelling.`,
    cause,
  });
}

function incomplete(text: string, cause: unknown): PatchpanelError {
  const message = `this clone is shallow and lacks ${JSON.stringify(text)}`;
  return new PatchpanelError('git/incomplete', message, { cause });
}

/** What `git fetch origin` takes. */
function branchOf(text: string): string {
  const name = text.replace(/^(?:refs\/remotes\/)?origin\//, '').replace(/[~^.].*$/, '');
  return /^[\w][\w./-]*$/.test(name) ? name : 'BRANCH';
}

function explained(error: unknown, isShallow: boolean): unknown {
  if (error instanceof PatchpanelError || !(error instanceof Error)) return error;
  const fault = objectFault(error);
  if (fault !== undefined) return fault;
  if (error instanceof git.Errors.NotFoundError) {
    const message = isShallow
      ? 'this clone is shallow and lacks what is to be compared'
      : 'this clone lacks objects of the commit, as a partial clone or one with alternates does';
    return new PatchpanelError('git/incomplete', message, { cause: error });
  }
  return new PatchpanelError('git/incomplete', `the git repository can not be read (${error.message.slice(0, 200)})`, {
    cause: error,
  });
}
