/** Desired state from a git repository over http(s): one commit, read from an object store in memory, without a work tree. */
import { createHash } from 'node:crypto';
import git, { type FetchResult, type ServerRef } from 'isomorphic-git';
import { PatchpanelError } from '../errors.ts';
import { GitHttp, type ProxyVariables } from './git-http.ts';
import { memoryFs } from './git-memory-fs.ts';
import { inspectPack } from './git-pack.ts';
import { objectFault, treeReader } from './git-tree.ts';
import { type GitAuth, type GitUrl, isLoopback, parseGitUrl } from './git-url.ts';
import { type AppConnection, GithubApp } from './github-app.ts';
import type { Limits } from './limits.ts';
import type { SourceIdentity } from './model.ts';
import { type FetchedRef, type RawObject, type SignatureDemand, verifySignatures } from './signatures.ts';
import { normalizeSourcePath, SourceTree, type TreeReader } from './source-tree.ts';

export type { GitAuth } from './git-url.ts';

export interface GitSource {
  readonly kind: 'git';
  /** http or https; user info in it is used as credentials and never shown. */
  readonly url: string;
  /** Branch, tag, full commit id or its first 7 or more digits; the default branch where it is not given. */
  readonly ref?: string;
  /** Directory of the desired state in the repository. */
  readonly path?: string;
  readonly auth?: GitAuth | GithubApp;
  /** PEM certificates to trust besides those of Node. */
  readonly ca?: string;
  /** Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read from; the environment by default. */
  readonly proxy?: ProxyVariables;
  /** Milliseconds, 10,000 by default. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds for the whole fetch, 60,000 by default. */
  readonly timeoutMs?: number;
}

export type GitEvent =
  | { readonly kind: 'fetching'; readonly url: string; readonly ref: string }
  | { readonly kind: 'fetched'; readonly commit: string; readonly bytes: number }
  | { readonly kind: 'verified'; readonly what: string; readonly signer: string }
  | { readonly kind: 'warning'; readonly message: string };

const gitdir = '/repository';
/** Commits of each branch and tag that are searched for one that the host does not give by its id. */
const searchDepth = 1000;

/**
 * Fetches one commit, and reads nothing of it unless its signatures are as demanded.
 * @throws PatchpanelError git/*, source/*, trust/*
 */
export async function openGit(
  source: GitSource,
  limits: Limits,
  demands: readonly SignatureDemand[],
  signal: AbortSignal | undefined,
  onEvent: (event: GitEvent) => void,
): Promise<{ tree: SourceTree; identity: SourceIdentity }> {
  const path = normalizeSourcePath(source.path ?? '');
  const ref = source.ref ?? 'HEAD';
  return await talk(source, limits, signal, async ({ url, auth }, http, ended) => {
    if (auth !== undefined && url.startsWith('http:') && !isLoopback(url)) {
      onEvent({ kind: 'warning', message: 'credentials are sent to the git host without encryption; use https' });
    }
    onEvent({ kind: 'fetching', url, ref });
    const store = new CommitStore(url, http, limits);
    const fetched = await orAborted(store.fetch(ref), ended);
    const { commit } = fetched;
    onEvent({ kind: 'fetched', commit: commit.oid, bytes: http.received });
    for (const each of await verifySignatures(fetched, demands, new Date())) onEvent({ kind: 'verified', ...each });
    const tree = new SourceTree(store.reader(commit), path, limits);
    return { tree, identity: { kind: 'git', url, ref, commit: commit.oid, path } };
  });
}

/**
 * The commit that the ref means now, by one look at the list of branches and tags; undefined where that does not tell.
 * @throws PatchpanelError git/*, source/*
 */
export async function headOf(
  source: GitSource,
  limits: Limits,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const ref = source.ref ?? 'HEAD';
  return await talk(source, limits, signal, async ({ url }, http, ended) => {
    const refs = await orAborted(listRefs(url, http), ended);
    const name = findRef(refs, ref);
    const found = refs.find((each) => each.ref === name);
    if (found !== undefined) return found.peeled ?? found.oid;
    return isFullId(ref) ? ref.toLowerCase() : undefined;
  });
}

async function listRefs(url: string, http: GitHttp): Promise<readonly ServerRef[]> {
  return await git.listServerRefs({ http, url, protocolVersion: 1, peelTags: true, symrefs: true });
}

/** One conversation with a git host, within its time. */
async function talk<T>(
  source: GitSource,
  limits: Limits,
  signal: AbortSignal | undefined,
  work: (target: GitUrl, http: GitHttp, ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const target = parseGitUrl(source.url);
  const timeoutMs = source.timeoutMs ?? 60_000;
  const deadline = new AbortController();
  const common = {
    ...(source.ca === undefined ? {} : { ca: source.ca }),
    proxy: source.proxy ?? process.env,
    connectTimeoutMs: source.connectTimeoutMs ?? 10_000,
    signal: deadline.signal,
  };
  let http: GitHttp | undefined;
  const onAbort = () => deadline.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const timer = setTimeout(() => {
    deadline.abort(new PatchpanelError('git/timeout', `the git host did not finish within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    const given = source.auth instanceof GithubApp ? await appAuth(source.auth, target.url, common) : source.auth;
    const auth = given ?? target.auth;
    const known = auth === undefined ? {} : { auth };
    http = new GitHttp(target, { ...common, ...known, maxWireBytes: limits.maxWireBytes });
    return await work({ ...target, ...known }, http, deadline.signal);
  } catch (error) {
    throw explained(http?.failure ?? error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    http?.close();
  }
}

async function appAuth(app: GithubApp, url: string, connection: AppConnection): Promise<GitAuth> {
  return { kind: 'token', token: await app.token(url, { contents: 'read' }, connection) };
}

class CommitStore {
  readonly #url: string;
  readonly #http: GitHttp;
  readonly #cache: object = {};
  readonly #fs;

  constructor(url: string, http: GitHttp, limits: Limits) {
    this.#url = url;
    this.#http = http;
    this.#fs = memoryFs((path, content) => {
      if (path.endsWith('.pack')) inspectPack(content, limits);
    });
  }

  /** The commit that a ref means, with what it holds in the store. */
  async fetch(ref: string): Promise<FetchedRef> {
    await git.init({ fs: this.#fs, gitdir, bare: true });
    await git.addRemote({ fs: this.#fs, gitdir, remote: 'origin', url: this.#url });
    const refs = await listRefs(this.#url, this.#http);
    if (refs.length === 0) throw new PatchpanelError('source/empty', 'the repository has no commit yet');
    const known = findRef(refs, ref);
    if (known !== undefined) return this.#peeled(await this.#fetchOne(known), known);
    if (!/^[0-9a-fA-F]{7,40}$/.test(ref)) throw unknownRef(ref, refs);
    const digits = ref.toLowerCase();
    const ids = [...new Set(refs.flatMap(({ oid, peeled }) => (peeled === undefined ? [oid] : [oid, peeled])))];
    const tips = ids.filter((oid) => oid.startsWith(digits));
    if (tips.length > 1) throw ambiguous(ref);
    const id = tips[0] ?? (digits.length === 40 ? digits : undefined);
    if (id !== undefined) {
      const fetched = await this.#fetchById(id);
      if (fetched !== undefined) return this.#peeled(fetched, undefined);
    }
    return this.#peeled(await this.#search(digits, refs), undefined);
  }

  /** By name, where the id that comes is the id that counts: the branch may have moved since it was listed. */
  async #fetchOne(ref: string): Promise<string> {
    const result = await this.#fetch({ ref, remoteRef: ref, singleBranch: true, depth: 1 });
    if (result.fetchHead === null) throw new PatchpanelError('source/empty', 'the repository has no commit yet');
    return result.fetchHead;
  }

  /** Undefined where the host does not give commits by id. */
  async #fetchById(oid: string): Promise<string | undefined> {
    try {
      await this.#fetch({ ref: oid, remoteRef: oid, singleBranch: true, depth: 1 });
      await git.readObject({ fs: this.#fs, cache: this.#cache, gitdir, oid, format: 'content' });
      return oid;
    } catch (error) {
      if (this.#http.failure !== undefined) throw this.#http.failure;
      if (error instanceof PatchpanelError && error.code !== 'git/protocol') throw error;
      return undefined;
    }
  }

  /** The last resort: the recent history of all branches and tags, within the limits. */
  async #search(digits: string, refs: readonly ServerRef[]): Promise<string> {
    try {
      await this.#fetch({ ref: 'HEAD', tags: true, depth: searchDepth });
      return await git.expandOid({ fs: this.#fs, cache: this.#cache, gitdir, oid: digits });
    } catch (error) {
      if (error instanceof git.Errors.AmbiguousError) throw ambiguous(digits);
      if (error instanceof git.Errors.NotFoundError) throw unknownRef(digits, refs);
      if (error instanceof PatchpanelError && error.code === 'source/too-large') {
        throw new PatchpanelError(
          'git/unknown-ref',
          `the commit ${digits} is at no branch or tag, and the history is too large to search: ${error.message}`,
          { remedy: 'Give the full id of the commit, or a tag.' },
        );
      }
      throw error;
    }
  }

  #fetch(what: {
    ref: string;
    remoteRef?: string;
    singleBranch?: boolean;
    tags?: boolean;
    depth: number;
  }): Promise<FetchResult> {
    return git.fetch({
      fs: this.#fs,
      cache: this.#cache,
      http: this.#http,
      gitdir,
      url: this.#url,
      remote: 'origin',
      ...what,
    });
  }

  /** Peels annotated tags. */
  async #peeled(oid: string, ref: string | undefined): Promise<FetchedRef> {
    const { oid: id } = await git.readCommit({ fs: this.#fs, cache: this.#cache, gitdir, oid });
    const commit = await this.#raw(id, 'commit');
    return { commit, ref, ...(id === oid ? {} : { tag: await this.#raw(oid, 'tag') }) };
  }

  /** An object by its id, which is the digest of its type and content: a signature of a commit vouches for all below it. */
  async #raw(oid: string, type: 'commit' | 'tag' | 'tree' | 'blob'): Promise<RawObject> {
    const common = { fs: this.#fs, cache: this.#cache, gitdir };
    const read = await git.readObject({ ...common, oid, format: 'content' }).catch((error: unknown) => {
      throw explained(error);
    });
    if (read.type !== type || read.format !== 'content') throw wrongObject(oid, type);
    const content = read.object;
    const digest = createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
    if (digest !== oid) throw wrongObject(oid, type);
    return { oid, content };
  }

  reader(commit: RawObject): TreeReader {
    return treeReader(treeOf(commit), {
      tree: async (oid) => {
        await this.#raw(oid, 'tree');
        const common = { fs: this.#fs, cache: this.#cache, gitdir };
        const { tree } = await git.readTree({ ...common, oid }).catch((error: unknown) => {
          throw explained(error);
        });
        return tree;
      },
      blob: async (oid) => (await this.#raw(oid, 'blob')).content,
    });
  }
}

/** The first line, as git reads it; what else calls itself a tree further down is none. */
function treeOf({ oid, content }: RawObject): string {
  const [, tree] = /^tree ([0-9a-f]{40})\n/.exec(Buffer.from(content.subarray(0, 46)).toString('latin1')) ?? [];
  if (tree === undefined) throw wrongObject(oid, 'commit');
  return tree;
}

function wrongObject(oid: string, type: string): PatchpanelError {
  return new PatchpanelError('git/protocol', `what the git host sent as the ${type} ${oid} is not that`);
}

/**
 * A branch wins over a tag of the same name, as with `git clone --branch`; a full id is no name, so that nobody who may push
 * can put a branch in the place of a commit that is pinned.
 */
function findRef(refs: readonly ServerRef[], ref: string): string | undefined {
  if (isFullId(ref)) return undefined;
  const names = ref === 'HEAD' || ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  return names.find((name) => refs.some((each) => each.ref === name));
}

function isFullId(ref: string): boolean {
  return /^[0-9a-f]{40}$/i.test(ref);
}

function unknownRef(ref: string, refs: readonly ServerRef[]): PatchpanelError {
  const branches = refs.flatMap(({ ref: name }) =>
    name.startsWith('refs/heads/') ? [name.slice('refs/heads/'.length)] : [],
  );
  const shown = branches.slice(0, 5).join(', ');
  const more = branches.length > 5 ? ', ...' : '';
  const list = shown === '' ? '' : `; branches: ${shown}${more}`;
  return new PatchpanelError(
    'git/unknown-ref',
    `the repository has no branch, tag or commit ${JSON.stringify(ref)}${list}`,
  );
}

function ambiguous(ref: string): PatchpanelError {
  return new PatchpanelError('git/unknown-ref', `more than one object begins with ${ref}`, {
    remedy: 'Give more digits of the commit.',
  });
}

/** isomorphic-git does not end by itself while it waits. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    work.catch(() => {});
  }
}

function explained(error: unknown): unknown {
  if (error instanceof PatchpanelError || !(error instanceof Error)) return error;
  if (error.name === 'AbortError') return error;
  const fault = objectFault(error);
  if (fault !== undefined) return fault;
  const known = error.name in git.Errors;
  // The library puts the answer of the host into its messages; it may be a whole page, and is not shown.
  const what = known ? error.name : error.message.slice(0, 200);
  return new PatchpanelError('git/protocol', `the answer of the git host is not understood (${what})`, {
    cause: error,
  });
}
