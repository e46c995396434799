/** The API server of the sandbox: Kubernetes over plain HTTP on loopback. */
import type { Buffer } from 'node:buffer';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { PatchpanelError } from '../../reconcile/errors.ts';
import { type Answer, errorAnswer, jsonAnswer, refuse, send, textAnswer } from './answer.ts';
import {
  type Authorize,
  allowMasters,
  authenticate,
  forbidden,
  forbiddenExec,
  forbiddenPath,
  isSelfReview,
  mayReadPath,
  type User,
} from './authentication.ts';
import type { ApiServer, ApiServerOptions, SubresourceHandler } from './contract.ts';
import { readBody } from './decode.ts';
import { Discovery } from './discovery.ts';
import { ExecServer, podOf, resolveExec, upgradeRequired } from './exec.ts';
import { NamespaceContent } from './namespace-content.ts';
import { OpenApi } from './openapi.ts';
import { answerPlainPath } from './plain-paths.ts';
import { parseResourcePath, type ResourceRequest, verbOf, wantsWatch } from './request.ts';
import {
  type Call,
  handleBinding,
  handleCreate,
  handleDelete,
  handleDeleteCollection,
  handleGet,
  handleList,
  handlePatch,
  handleUpdate,
  handleWatch,
} from './resource-handlers.ts';
import { allResources, ResourceTable } from './resources.ts';
import { handleReview } from './reviews.ts';
import { nameSelected } from './selectors.ts';
import { ApiError, methodNotAllowed, PageNotFound, unknownResource } from './status.ts';
import { MemoryStore } from './store.ts';

/** Starts to listen on 127.0.0.1; resolves once it does. @throws PatchpanelError `sandbox/port` where it can't */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const api = new Api(options);
  const handle = (request: IncomingMessage, response: ServerResponse): undefined => void api.handle(request, response);
  const server =
    options.tls === undefined
      ? createServer(handle)
      : createTlsServer({ key: options.tls.key, cert: options.tls.certificate }, handle);
  server.on('upgrade', (request, socket, head) => api.upgrade(request, socket, head));
  // Watches stay open for long, and a client may take its time between two requests on a kept connection.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const what = `the sandbox can not listen on 127.0.0.1:${options.port} (${cause.code ?? cause.message})`;
      reject(new PatchpanelError('sandbox/port', what, { cause }));
    });
    server.listen(options.port, '127.0.0.1', () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  api.address = `127.0.0.1:${port}`;
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${api.address}`,
    store: api.store,
    close: () =>
      new Promise((resolve) => {
        api.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Identity {
  readonly user: User;
  readonly mayImpersonate: boolean;
}

interface Audited {
  user: string;
  verb: string;
  resource: string;
  subresource?: string;
}

class Api {
  readonly store: MemoryStore;
  address = '';
  readonly #options: ApiServerOptions;
  readonly #table: ResourceTable;
  readonly #namespaceContent: NamespaceContent;
  readonly #discovery: Discovery;
  readonly #openApi: OpenApi;
  readonly #exec: ExecServer;
  readonly #authorize: Authorize;
  readonly #subresources = new Map<string, SubresourceHandler>();

  constructor(options: ApiServerOptions) {
    const resources = allResources(options.resources);
    this.#options = options;
    this.store = new MemoryStore(resources);
    this.#table = new ResourceTable(this.store, resources, options.subresources);
    this.#namespaceContent = new NamespaceContent(this.store, resources);
    this.#discovery = new Discovery(resources, options.subresources);
    this.#openApi = new OpenApi(resources);
    this.#exec = new ExecServer(options.exec);
    this.#authorize = options.authorize ?? allowMasters;
    for (const handler of options.subresources) {
      const { group, version: served, plural, subresource } = handler;
      this.#subresources.set(`${group}/${served}/${plural}/${subresource}`, handler);
    }
    for (const name of ['default', 'kube-system']) {
      this.store.seed('', 'namespaces', {
        metadata: { name },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      });
    }
  }

  close(): void {
    this.#exec.close();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request);
    const audited: Audited = { user: '', verb: (request.method ?? '').toLowerCase(), resource: '' };
    // Not `finish`: a client ends its watches by going away.
    response.on('close', () => this.#audit(request, url, audited, response.statusCode));
    let answer: Answer | undefined;
    try {
      this.#fault();
      answer = await this.#route(request, response, url, audited);
    } catch (error) {
      answer = errorAnswer(error);
    }
    if (answer === undefined || response.headersSent) return;
    if (!request.readableEnded) request.resume();
    send(request, response, url.searchParams, answer);
  }

  #audit(request: IncomingMessage, url: URL, audited: Audited, status: number): void {
    this.#options.onRequest?.({ ...audited, method: request.method ?? '', path: url.pathname, status });
  }

  /** Throws what an overloaded server answers, for the share of requests that was asked for. */
  #fault(): void {
    const share = this.#options.faults?.errorShare ?? 0;
    if (share <= 0 || Math.random() >= share) return;
    if (Math.random() < 0.5) {
      throw new ApiError(429, 'TooManyRequests', 'too many requests, please try again later', {
        details: { retryAfterSeconds: 1 },
        headers: { 'retry-after': '1' },
      });
    }
    throw new ApiError(503, 'ServiceUnavailable', 'the server is currently unable to handle the request', {
      details: {},
    });
  }

  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    audited: Audited,
  ): Promise<Answer | undefined> {
    const { user, mayImpersonate } = this.#user(request);
    audited.user = user.user;
    const target = parseResourcePath(url.pathname);
    if (target === undefined) return this.#path(request, url, user);
    const { method = '' } = request;
    const { searchParams: query } = url;
    const verb = verbOf(method, target, query);
    audited.verb = verb;
    audited.resource = target.plural;
    if (target.subresource !== undefined) audited.subresource = target.subresource;
    if (!mayImpersonate) throw forbidden(user, `impersonate-on:user-info:${verb}`, target);
    this.#check(user, verb, target, query);
    if (target.group.endsWith('.k8s.io') && method === 'POST') {
      if (target.group === 'authorization.k8s.io' || target.group === 'authentication.k8s.io') {
        const body = await readBody(request);
        return handleReview(target.plural, body, request.headers['content-type'], user, this.#authorize);
      }
    }
    const aggregated = this.#aggregated(target);
    if (aggregated !== undefined) return this.#runSubresource(aggregated, request, target, user);
    const call = this.#call(request, target, query, user);
    if (method === 'GET' && wantsWatch(target, query)) {
      handleWatch(call, response, this.#options.faults?.watchCutMilliseconds);
      return undefined;
    }
    return this.#dispatch(method, call);
  }

  /** Only members of system:masters may act for others. */
  #user(request: IncomingMessage): Identity {
    const user = authenticate(request.headers.authorization, this.#options.tokens);
    const other = request.headers['impersonate-user'];
    if (typeof other !== 'string') return { user, mayImpersonate: true };
    if (!allowMasters(user)) return { user, mayImpersonate: false };
    const groups = request.headersDistinct['impersonate-group'] ?? [];
    return { user: { user: other, groups: [...groups, 'system:authenticated'] }, mayImpersonate: true };
  }

  #check(user: User, verb: string, target: ResourceRequest, query: URLSearchParams): void {
    if (isSelfReview(target, verb) && user.groups.includes('system:authenticated')) return;
    const { group, namespace, subresource } = target;
    const name = target.name ?? (verb === 'create' ? undefined : nameSelected(query.get('fieldSelector') ?? ''));
    const named = { ...target, ...(name === undefined ? {} : { name }) };
    const allows = (asked: string): boolean =>
      this.#authorize({
        ...user,
        verb: asked,
        group,
        resource: target.plural,
        ...(subresource === undefined ? {} : { subresource }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(name === undefined ? {} : { name }),
      });
    if (!allows(verb)) throw forbidden(user, verb, named);
    // Since 1.35 reading exec is not enough to run a command.
    if (group === '' && target.plural === 'pods' && subresource === 'exec' && verb === 'get' && !allows('create')) {
      throw forbiddenExec(name ?? '');
    }
  }

  async #path(request: IncomingMessage, url: URL, user: User): Promise<Answer> {
    const path = url.pathname;
    if (!mayReadPath(user, path)) throw forbiddenPath(user, (request.method ?? '').toLowerCase(), path);
    const { accept } = request.headers;
    const found =
      answerPlainPath(path, url.searchParams) ??
      this.#discovery.answer(path, accept, this.address) ??
      this.#openApi.answer(path, accept);
    if (found === undefined) throw new PageNotFound();
    return found;
  }

  #aggregated(target: ResourceRequest): SubresourceHandler | undefined {
    const { group, version: asked, plural, subresource } = target;
    return this.#subresources.get(`${group}/${asked}/${plural}/${subresource ?? ''}`);
  }

  async #runSubresource(
    handler: SubresourceHandler,
    request: IncomingMessage,
    target: ResourceRequest,
    user: User,
  ): Promise<Answer> {
    const body = await readBody(request);
    const result = await handler.handle({
      method: request.method ?? '',
      namespace: target.namespace ?? '',
      name: target.name ?? '',
      body: parseOrUndefined(body),
      accept: request.headers.accept ?? '*/*',
      user: user.user,
    });
    if (result.body === undefined) return textAnswer('', result.status);
    return typeof result.body === 'string'
      ? textAnswer(result.body, result.status)
      : jsonAnswer(result.body, result.status);
  }

  #call(request: IncomingMessage, target: ResourceRequest, query: URLSearchParams, user: User): Call {
    const served = this.#table.find(target.group, target.version, target.plural);
    if (served === undefined) {
      if (this.#options.subresources.some(({ group }) => group === target.group))
        throw new PageNotFound('404: Page Not Found');
      if (this.#table.isCustomVersion(target.group, target.version) === false) throw unknownResource();
      throw new PageNotFound();
    }
    if (served.resource.namespaced && target.namespace === undefined && target.name !== undefined)
      throw unknownResource();
    return {
      store: this.store,
      hooks: this.#options.admission,
      namespaceContent: this.#namespaceContent,
      served,
      target,
      query,
      request,
      user,
    };
  }

  async #dispatch(method: string, call: Call): Promise<Answer> {
    const { target, served } = call;
    if (target.subresource !== undefined && target.subresource !== 'status') return this.#podSubresource(method, call);
    if (target.subresource === 'status' && !served.resource.statusSubresource) throw unknownSubresource(call);
    if (target.name === undefined) {
      if (method === 'GET') return handleList(call);
      if (method === 'POST') return handleCreate(call);
      if (method === 'DELETE') return handleDeleteCollection(call);
      throw methodNotAllowed();
    }
    switch (method) {
      case 'GET':
        return handleGet(call);
      case 'PUT':
        return handleUpdate(call);
      case 'PATCH':
        return handlePatch(call);
      case 'DELETE':
        if (target.subresource === undefined) return handleDelete(call);
        throw methodNotAllowed();
      case 'POST':
        // A POST on the path of a custom object creates, whatever name the path says.
        if (served.resource.custom && target.subresource === undefined) return handleCreate(call);
        throw methodNotAllowed();
      default:
        throw methodNotAllowed();
    }
  }

  #podSubresource(method: string, call: Call): Promise<Answer> | Answer {
    const { target, served } = call;
    const { name = '', namespace = '', subresource } = target;
    if (served.resource.custom || served.resource.plural !== 'pods') throw unknownSubresource(call);
    if (subresource === 'exec') {
      if (method !== 'GET' && method !== 'POST') throw methodNotAllowed();
      resolveExec(this.store, podOf(this.store, namespace, name), call.query);
      throw upgradeRequired();
    }
    if (subresource === 'binding' && method === 'POST') return handleBinding(call);
    if (subresource === 'log' && method === 'GET') {
      resolveExec(this.store, podOf(this.store, namespace, name), call.query);
      return textAnswer('');
    }
    throw unknownResource();
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const url = urlOf(request);
    const audited: Audited = { user: '', verb: 'get', resource: 'pods', subresource: 'exec' };
    try {
      const { user } = this.#user(request);
      audited.user = user.user;
      const target = parseResourcePath(url.pathname);
      if (target?.plural !== 'pods' || target.subresource !== 'exec') throw badUpgrade();
      this.#check(user, verbOf(request.method ?? '', target, url.searchParams), target, url.searchParams);
      const pod = podOf(this.store, target.namespace ?? '', target.name ?? '');
      const call = resolveExec(this.store, pod, url.searchParams);
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') throw upgradeRequired();
      this.#exec.accept(call, request, socket, head);
      this.#audit(request, url, audited, 101);
    } catch (error) {
      refuse(socket, errorAnswer(error));
      this.#audit(request, url, audited, error instanceof ApiError ? error.code : 500);
    }
  }
}

/** Only the path and query of a request count; a target that is no path is read as the root. */
function urlOf(request: IncomingMessage): URL {
  const target = request.url ?? '/';
  return new URL(`http://sandbox${target.startsWith('/') ? target : '/'}`);
}

function badUpgrade(): ApiError {
  return new ApiError(400, 'BadRequest', 'the path takes no upgrade');
}

function unknownSubresource(call: Call): ApiError {
  const { served, target } = call;
  if (!served.resource.custom) return unknownResource();
  const { group, plural } = served.resource;
  return new ApiError(404, 'NotFound', `${plural}.${group} ${JSON.stringify(target.name ?? '')} not found`, {
    details: { name: target.name ?? '', group, kind: plural },
  });
}

function parseOrUndefined(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
