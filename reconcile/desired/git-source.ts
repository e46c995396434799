/** Desired state from a git repository over http(s): one commit, read from an object store in memory, without a work tree. */
import git, { type FetchResult, type ServerRef } from 'isomorphic-git';
import { PatchpanelError } from '../errors.ts';
import { GitHttp, type ProxyVariables } from './git-http.ts';
import { memoryFs } from './git-memory-fs.ts';
import { inspectPack } from './git-pack.ts';
import { type GitAuth, type GitUrl, parseGitUrl } from './git-url.ts';
import type { Limits } from './limits.ts';
import type { SourceIdentity } from './model.ts';
import { fileTooLarge, normalizeSourcePath, SourceTree, type TreeEntry, type TreeReader } from './source-tree.ts';

export type { GitAuth } from './git-url.ts';

export interface GitSource {
  readonly kind: 'git';
  /** http or https; user info in it is used as credentials and never shown. */
  readonly url: string;
  /** Branch, tag, full commit id or its first 7 or more digits; the default branch where it is not given. */
  readonly ref?: string;
  /** Directory of the desired state in the repository. */
  readonly path?: string;
  readonly auth?: GitAuth;
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
  | { readonly kind: 'warning'; readonly message: string };

const gitdir = '/repository';
/** Commits of each branch and tag that are searched for one that the host does not give by its id. */
const searchDepth = 1000;

/** Fetches one commit. @throws PatchpanelError git/*, source/* */
export async function openGit(
  source: GitSource,
  limits: Limits,
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
    const commit = await orAborted(store.fetch(ref), ended);
    onEvent({ kind: 'fetched', commit, bytes: http.received });
    const tree = new SourceTree(await store.reader(commit), path, limits);
    return { tree, identity: { kind: 'git', url, ref, commit, path } };
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
    return /^[0-9a-f]{40}$/i.test(ref) ? ref.toLowerCase() : undefined;
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
  const auth = source.auth ?? target.auth;
  const timeoutMs = source.timeoutMs ?? 60_000;
  const deadline = new AbortController();
  const http = new GitHttp(target, {
    ...(source.auth === undefined ? {} : { auth: source.auth }),
    ...(source.ca === undefined ? {} : { ca: source.ca }),
    proxy: source.proxy ?? process.env,
    connectTimeoutMs: source.connectTimeoutMs ?? 10_000,
    maxWireBytes: limits.maxWireBytes,
    signal: deadline.signal,
  });
  const onAbort = () => deadline.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const timer = setTimeout(() => {
    deadline.abort(new PatchpanelError('git/timeout', `the git host did not finish within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await work({ ...target, ...(auth === undefined ? {} : { auth }) }, http, deadline.signal);
  } catch (error) {
    throw explained(http.failure ?? error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    http.close();
  }
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

  /** Full id of the commit that a ref means, with the commit in the store. */
  async fetch(ref: string): Promise<string> {
    await git.init({ fs: this.#fs, gitdir, bare: true });
    await git.addRemote({ fs: this.#fs, gitdir, remote: 'origin', url: this.#url });
    const refs = await listRefs(this.#url, this.#http);
    if (refs.length === 0) throw new PatchpanelError('source/empty', 'the repository has no commit yet');
    const known = findRef(refs, ref);
    if (known !== undefined) return this.#commitOf(await this.#fetchOne(known));
    if (!/^[0-9a-fA-F]{7,40}$/.test(ref)) throw unknownRef(ref, refs);
    const digits = ref.toLowerCase();
    const ids = [...new Set(refs.flatMap(({ oid, peeled }) => (peeled === undefined ? [oid] : [oid, peeled])))];
    const tips = ids.filter((oid) => oid.startsWith(digits));
    if (tips.length > 1) throw ambiguous(ref);
    const id = tips[0] ?? (digits.length === 40 ? digits : undefined);
    if (id !== undefined) {
      const fetched = await this.#fetchById(id);
      if (fetched !== undefined) return this.#commitOf(fetched);
    }
    return this.#search(digits, refs);
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
      return await this.#commitOf(await git.expandOid({ fs: this.#fs, cache: this.#cache, gitdir, oid: digits }));
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
  async #commitOf(oid: string): Promise<string> {
    const { oid: commit } = await git.readCommit({ fs: this.#fs, cache: this.#cache, gitdir, oid });
    return commit;
  }

  async reader(commit: string): Promise<TreeReader> {
    const common = { fs: this.#fs, cache: this.#cache, gitdir };
    const { commit: content } = await git.readCommit({ ...common, oid: commit });
    const trees = new Map([['', content.tree]]);
    const blobs = new Map<string, string>();
    return {
      async readDirectory(path) {
        const oid = trees.get(path);
        if (oid === undefined) throw new PatchpanelError('internal', `${path} was not listed before it was read`);
        const { tree } = await git.readTree({ ...common, oid }).catch((error: unknown) => {
          throw explained(error);
        });
        return tree.map(({ mode, path: name, oid: child }): TreeEntry => {
          const below = path === '' ? name : `${path}/${name}`;
          switch (mode) {
            case '040000':
              trees.set(below, child);
              return { name, kind: 'directory' };
            case '120000':
              return { name, kind: 'link' };
            case '160000':
              return { name, kind: 'submodule' };
            default:
              blobs.set(below, child);
              return { name, kind: 'file' };
          }
        });
      },
      async readFile(path, maxBytes) {
        const oid = blobs.get(path);
        if (oid === undefined) throw new PatchpanelError('internal', `${path} was not listed before it was read`);
        const { blob } = await git.readBlob({ ...common, oid }).catch((error: unknown) => {
          throw explained(error);
        });
        if (blob.length > maxBytes) throw fileTooLarge(path, maxBytes);
        return blob;
      },
    };
  }
}

/** A branch wins over a tag of the same name, as with `git clone --branch`. */
function findRef(refs: readonly ServerRef[], ref: string): string | undefined {
  const names = ref === 'HEAD' || ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  return names.find((name) => refs.some((each) => each.ref === name));
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
  if (error instanceof git.Errors.ObjectTypeError) {
    return new PatchpanelError('git/unknown-ref', 'the ref does not lead to a commit', { cause: error });
  }
  if (error instanceof git.Errors.UnsafeFilepathError) {
    return new PatchpanelError('source/unsafe-path', 'the commit has a file or directory with an unsafe name', {
      remedy: 'Rename what is called `.`, `..` or `.git`, or has a slash or backslash in its name.',
      cause: error,
    });
  }
  const known = error.name in git.Errors;
  // The library puts the answer of the host into its messages; it may be a whole page, and is not shown.
  const what = known ? error.name : error.message.slice(0, 200);
  return new PatchpanelError('git/protocol', `the answer of the git host is not understood (${what})`, {
    cause: error,
  });
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}
