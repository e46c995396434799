/** From a folder or a git commit to the checked desired state. */
import { PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { checkDocument } from './check-document.ts';
import { Combination } from './cross-checks.ts';
import { openFolder } from './folder-source.ts';

import type { CheckoutSource } from './git-checkout.ts';
import type { GitSource } from './git-source.ts';

import { type JsonnetOptions, JsonnetRenderer } from './jsonnet-render.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { DesiredState, SourceIdentity } from './model.ts';
import { admit, outsiders, type RepositoryRules } from './repositories.ts';
import type { SignatureDemand } from './signatures.ts';
import { sourceMark } from './source-mark.ts';
import type { SourceTree } from './source-tree.ts';
import { decodeText, maxFaults, parseYaml, type SourceDocument } from './yaml-documents.ts';

export type DesiredSource = { readonly kind: 'folder'; readonly path: string } | GitSource;
/** Besides what can be applied, what a change is held against. */
export type LoadSource = DesiredSource | CheckoutSource;

export interface LoadOptions {
  /** Namespace of objects that name none; `default` where it is not given. */
  readonly defaultNamespace?: string;
  /** What the objects are marked with that a run changes, in place of repository, folder and ref. */
  readonly sourceId?: string;
  /** The branch that stands in the mark, where the ref pins a commit of it. */
  readonly sourceRef?: string;
  readonly limits?: Partial<Limits>;
  readonly jsonnet?: JsonnetOptions;
  /** Signatures that the commit, or its tag, must have: each demand is to be met. */
  readonly signatures?: readonly SignatureDemand[];
  /** The only repositories that may declare anything, and what each may. */
  readonly repositories?: RepositoryRules;
  readonly signal?: AbortSignal;
}

/** What a load tells while it runs; texts are for people. */
export type LoadEvent =
  | { readonly kind: 'fetching'; readonly url: string; readonly ref: string }
  | { readonly kind: 'fetched'; readonly commit: string; readonly bytes: number }
  | { readonly kind: 'verified'; readonly what: string; readonly signer: string }
  | { readonly kind: 'rendering'; readonly file: string }
  | { readonly kind: 'warning'; readonly message: string };

/**
 * Reads, renders and checks a desired-state repository. Nothing outside it is read, and the cluster is not touched.
 * @throws PatchpanelError for a single fault, PatchpanelErrors for several, sorted by file and line
 */
export async function loadDesired(
  source: LoadSource,
  options: LoadOptions = {},
  onEvent: (event: LoadEvent) => void = () => {},
): Promise<DesiredState> {
  const limits = { ...defaultLimits, ...options.limits };
  const admission = options.repositories === undefined ? undefined : admit(source, options.repositories);
  const signatures = [...(options.signatures ?? []), ...(admission?.signatures ?? [])];
  const { tree, identity } = await openSource(source, limits, signatures, options.signal, onEvent);
  const errors: PatchpanelError[] = [];
  const combination = new Combination(tree.path, options.defaultNamespace ?? 'default', errors);
  await render(tree, options, errors, onEvent, (document) => {
    const checked = errors.length < maxFaults ? checkDocument(document, errors) : undefined;
    if (checked !== undefined) combination.add(checked);
  });
  throwAll(errors);
  const state = combination.state();
  if (state.targets.length === 0 && state.pods === undefined) {
    throw new PatchpanelError('source/empty', `no NetworkAttachments object in ${describe(source)}`);
  }
  if (admission !== undefined) throwAll(outsiders(state, admission));
  const found = identity();
  // What a change is held against is never applied.
  const mark = source.kind === 'checkout' ? undefined : sourceMark(found, options);
  return {
    source: mark === undefined ? found : { ...found, mark },
    ...state,
    files: tree.fileCount,
    ...(admission === undefined ? {} : { scope: admission.rule.namespaces }),
  };
}

/** Files that are read at one time. */
const readAhead = 32;

interface OpenSource {
  readonly tree: SourceTree;
  /** To be asked when all is read. */
  identity(): SourceIdentity;
}

async function openSource(
  source: LoadSource,
  limits: Limits,
  signatures: readonly SignatureDemand[],
  signal: AbortSignal | undefined,
  onEvent: (event: LoadEvent) => void,
): Promise<OpenSource> {
  if (source.kind === 'git') {
    const { openGit } = await import('./git-source.ts');
    const { tree, identity } = await openGit(source, limits, signatures, signal, onEvent);
    return { tree, identity: () => identity };
  }
  const [demand] = signatures;
  if (demand !== undefined) {
    const message = `${source.path} is a folder, which has no signature; one is demanded by ${demand.by}`;
    throw new PatchpanelError('trust/unverifiable', message);
  }
  if (source.kind === 'checkout') {
    const { openCheckout } = await import('./git-checkout.ts');
    const { tree, identity } = await openCheckout(source, limits);
    return { tree, identity: () => identity };
  }
  const tree = await openFolder(source.path, limits);
  return { tree, identity: () => ({ kind: 'folder', path: source.path, digest: tree.digest() }) };
}

async function render(
  tree: SourceTree,
  options: LoadOptions,
  errors: PatchpanelError[],
  onEvent: (event: LoadEvent) => void,
  onDocument: (document: SourceDocument) => void,
): Promise<void> {
  const files = await tree.list((path) => {
    onEvent({ kind: 'warning', message: `${path} is a symbolic link and is not followed` });
  });
  const jsonnet = new JsonnetRenderer(tree, options.jsonnet ?? {}, options.signal);
  try {
    for (const [index, file] of files.entries()) {
      options.signal?.throwIfAborted();
      if (errors.length >= maxFaults) break;
      if (index % readAhead === 0) {
        await Promise.all(files.slice(index, index + readAhead).map((each) => tree.read(each)));
      }
      try {
        if (file.endsWith('.jsonnet')) {
          onEvent({ kind: 'rendering', file });
          for (const document of await jsonnet.render(file, errors)) onDocument(document);
        } else {
          for (const document of parseYaml(decodeText(file, await tree.read(file)), errors)) onDocument(document);
        }
      } catch (error) {
        if (!(error instanceof PatchpanelError) || error.code.startsWith('source/')) throw error;
        errors.push(error);
      }
    }
  } finally {
    await jsonnet.close();
  }
}

/** @throws PatchpanelError or PatchpanelErrors where there is any */
function throwAll(errors: readonly PatchpanelError[]): void {
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw first;
  throw new PatchpanelErrors([...errors].sort(byPlace));
}

function byPlace({ position: a }: PatchpanelError, { position: b }: PatchpanelError): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

function describe(source: LoadSource): string {
  if (source.kind === 'folder') return source.path;
  if (source.kind === 'checkout') return `${source.path} at ${source.ref}`;
  return source.path === undefined || source.path === ''
    ? 'the repository'
    : `the path ${source.path} of the repository`;
}
