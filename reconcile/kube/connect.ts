/** The implementation of {@link Cluster}: requests, retries, lists, watches and exec over one pool of connections. */
import { PatchpanelError } from '../errors.ts';
import { fieldManager as ownFieldManager } from '../systems/patchpanel.ts';
import type { Json } from '../vocabulary.ts';
import { configuredAccess, directAccess } from './access.ts';
import type {
  Cluster,
  ExecOptions,
  ExecResult,
  ExecTarget,
  KubeObject,
  ListOptions,
  PatchOperation,
  Projection,
  Resource,
  Selection,
  WatchEvent,
  WriteOptions,
} from './cluster.ts';
import { execInContainer } from './exec.ts';
import { isStatus } from './failures.ts';
import { listAll } from './listing.ts';
import { intentOf, isAggregated, resourcePath, selectors, typed } from './resource-path.ts';
import { type Call, type Retry, Transport, type TransportLimits } from './transport.ts';
import { readWatch } from './watch.ts';

export interface ConnectOptions extends Partial<TransportLimits> {
  /** Path of a kubeconfig; without it KUBECONFIG, ~/.kube/config, and the pod's service account, as kubectl does. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** Address of a server, in place of any kubeconfig: for the actors of the sandbox and for tests. */
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
  /** PEM of the authorities to trust for `server`, in place of a file. */
  readonly ca?: string | undefined;
  /** Names the client in audit logs; without `fieldManager` the server takes the part before `/` for it. */
  readonly userAgent?: string | undefined;
  /** Default `patchpanel`; for a client with `server` the server derives it from `userAgent`. */
  readonly fieldManager?: string | undefined;
  /** Of a watch, in seconds, after which the server ends it. */
  readonly watchSeconds?: number | undefined;
  readonly execTimeoutMs?: number | undefined;
  readonly maxExecBytes?: number | undefined;
  /** Called before each repetition, for a debug log. */
  readonly onRetry?: ((retry: Retry) => void) | undefined;
  /** In place of `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const defaults: TransportLimits = {
  qps: 50,
  burst: 100,
  concurrency: 32,
  timeoutMs: 60_000,
  retries: 5,
  retryBaseMs: 250,
  // A page of 500 launcher pods is about 15 MB.
  maxResponseBytes: 128 * 1024 * 1024,
};

/**
 * Opens the door to a cluster; nothing is sent yet.
 *
 * What is repeated after a failure, with exponential back-off and full jitter:
 * - 429, 503 with Retry-After, and a refused connection (twice): every call, since the server did not act.
 * - 502, 503, 504, a reset or a time-out: reads, and writes that are harmless when the server has acted on the first
 *   attempt: a PUT with its resourceVersion (then refused as a conflict), a create of a named object (likewise), a
 *   JSON patch with a `test` (then refused, or still true and without effect), a merge patch and a delete (without
 *   effect). A JSON patch without `test` and a create with generateName are not repeated.
 * - 500: reads only.
 * A caller that sees a conflict or a failed test must therefore read the object anew: the writer may have been itself.
 *
 * @throws PatchpanelError `cluster/config`
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const env = options.env ?? process.env;
  const direct = options.server !== undefined;
  const access =
    options.server === undefined
      ? await configuredAccess({ kubeconfig: options.kubeconfig, context: options.context, env })
      : directAccess({
          server: options.server,
          token: options.token,
          tokenFile: options.tokenFile,
          caFile: options.caFile,
          ca: options.ca,
        });
  const limits: TransportLimits = {
    qps: options.qps ?? defaults.qps,
    burst: options.burst ?? defaults.burst,
    concurrency: options.concurrency ?? defaults.concurrency,
    timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
    retries: options.retries ?? defaults.retries,
    retryBaseMs: options.retryBaseMs ?? defaults.retryBaseMs,
    maxResponseBytes: options.maxResponseBytes ?? defaults.maxResponseBytes,
  };
  return new HttpCluster(new Transport(access, limits, options.userAgent ?? 'patchpanel', options.onRetry), {
    fieldManager: options.fieldManager ?? (direct ? undefined : ownFieldManager),
    watchSeconds: options.watchSeconds ?? 300,
    execTimeoutMs: options.execTimeoutMs ?? 20_000,
    maxExecBytes: options.maxExecBytes ?? 16 * 1024 * 1024,
    maxResponseBytes: limits.maxResponseBytes,
  });
}

interface ClusterSettings {
  readonly fieldManager: string | undefined;
  readonly watchSeconds: number;
  readonly execTimeoutMs: number;
  readonly maxExecBytes: number;
  readonly maxResponseBytes: number;
}

class HttpCluster implements Cluster {
  readonly #transport: Transport;
  readonly #settings: ClusterSettings;

  constructor(transport: Transport, settings: ClusterSettings) {
    this.#transport = transport;
    this.#settings = settings;
  }

  get server(): string {
    return this.#transport.server;
  }

  get requests(): Readonly<Record<string, number>> {
    return this.#transport.counts;
  }

  serverNow(): number {
    return this.#transport.serverNow();
  }

  async list<T>(
    resource: Resource,
    selection: Selection,
    project: Projection<T>,
    options: ListOptions = {},
  ): Promise<{ readonly items: T[]; readonly resourceVersion: string }> {
    const { namespace } = selection;
    const fetchPage = (query: URLSearchParams, accept: string | undefined): Promise<string> =>
      this.#transport.send({
        intent: intentOf('list', resource, namespace),
        counter: 'list',
        method: 'GET',
        path: resourcePath(resource, namespace),
        query,
        repeatable: true,
        signal: options.signal,
        ...(accept === undefined ? {} : { accept }),
      });
    return await listAll(fetchPage, (text) => parse(text, 'list', resource.plural), selection, project, options);
  }

  async get(resource: Resource, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    try {
      return await this.#json<KubeObject>({
        intent: intentOf('get', resource, namespace, name),
        counter: 'get',
        method: 'GET',
        path: resourcePath(resource, namespace, name),
        repeatable: true,
      });
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async *watch(
    resource: Resource,
    selection: Selection & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    if (signal.aborted) return;
    const seconds = this.#settings.watchSeconds;
    const query = selectors(selection);
    query.set('watch', 'true');
    query.set('allowWatchBookmarks', 'true');
    query.set('resourceVersion', selection.resourceVersion);
    query.set('timeoutSeconds', String(seconds));
    const intent = intentOf('watch', resource, selection.namespace);
    let response: Awaited<ReturnType<Transport['open']>>;
    try {
      response = await this.#transport.open({
        intent,
        counter: 'watch',
        method: 'GET',
        path: resourcePath(resource, selection.namespace),
        query,
        repeatable: true,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    // A server that forgets to end the watch, or a connection that is dead without saying so.
    const watchdog = setTimeout(() => response.destroy(new Error('the watch went silent')), (seconds + 15) * 1000);
    try {
      yield* readWatch(response, intent, this.server, this.#settings.maxResponseBytes, signal);
    } finally {
      clearTimeout(watchdog);
    }
  }

  async create(resource: Resource, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    return await this.#write('create', 'POST', resource, namespace, options.subresource ? name : undefined, options, {
      body: { type: 'application/json', text: JSON.stringify(typed(resource, object)) },
      repeatable: Boolean(name),
    });
  }

  async update(resource: Resource, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const { namespace, name, resourceVersion } = object.metadata;
    return await this.#write('update', 'PUT', resource, namespace, name, options, {
      body: { type: 'application/json', text: JSON.stringify(typed(resource, object)) },
      repeatable: resourceVersion !== undefined,
    });
  }

  async jsonPatch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    patch: readonly PatchOperation[],
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return await this.#write('patch', 'PATCH', resource, namespace, name, options, {
      body: { type: 'application/json-patch+json', text: JSON.stringify(patch) },
      repeatable: patch.some(({ op }) => op === 'test'),
    });
  }

  async mergePatch(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    patch: Json,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return await this.#write('patch', 'PATCH', resource, namespace, name, options, {
      body: { type: 'application/merge-patch+json', text: JSON.stringify(patch) },
      repeatable: true,
    });
  }

  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: { readonly gracePeriodSeconds?: number } = {},
  ): Promise<void> {
    const query = new URLSearchParams();
    if (options.gracePeriodSeconds !== undefined) query.set('gracePeriodSeconds', String(options.gracePeriodSeconds));
    try {
      await this.#transport.send({
        intent: intentOf('delete', resource, namespace, name),
        counter: 'delete',
        method: 'DELETE',
        path: resourcePath(resource, namespace, name),
        query,
        repeatable: true,
      });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }

  async raw(path: string): Promise<unknown> {
    const [pathname = path, search = ''] = path.split('?', 2);
    return await this.#json<unknown>({
      intent: { verb: 'get', resource: pathname, group: '' },
      counter: 'get',
      method: 'GET',
      path: pathname,
      query: new URLSearchParams(search),
      repeatable: true,
    });
  }

  async exec(target: ExecTarget, command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const limits = {
      timeoutMs: options.timeoutMs ?? this.#settings.execTimeoutMs,
      maxOutputBytes: this.#settings.maxExecBytes,
    };
    return await execInContainer(this.#transport, target, command, limits, options.stdin);
  }

  async close(): Promise<void> {
    this.#transport.close();
  }

  async #write(
    verb: 'create' | 'update' | 'patch',
    method: Call['method'],
    resource: Resource,
    namespace: string | undefined,
    name: string | undefined,
    options: WriteOptions,
    request: Pick<Call, 'body' | 'repeatable'>,
  ): Promise<KubeObject> {
    const query = new URLSearchParams();
    if (options.dryRun) query.set('dryRun', 'All');
    if (this.#settings.fieldManager !== undefined) query.set('fieldManager', this.#settings.fieldManager);
    const aggregated = options.subresource !== undefined && isAggregated(resource, options.subresource);
    const text = await this.#transport.send({
      ...request,
      intent: intentOf(verb, resource, namespace, name, options.subresource),
      counter: verb,
      method,
      path: resourcePath(resource, namespace, name, options.subresource),
      query: aggregated ? new URLSearchParams() : query,
      // KubeVirt's subresources answer 406 to application/json alone.
      ...(aggregated ? { accept: 'application/json, */*' } : {}),
    });
    if (text.trim() === '')
      return { metadata: { name: name ?? '', ...(namespace === undefined ? {} : { namespace }) } };
    return parse<KubeObject>(text, verb, resource.plural);
  }

  async #json<T>(call: Call): Promise<T> {
    return parse<T>(await this.#transport.send(call), call.intent.verb, call.intent.resource);
  }
}

function parse<T>(text: string, verb: string, resource: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new PatchpanelError('cluster/api', `${verb} ${resource}: the server answered something that is not JSON`);
  }
}
