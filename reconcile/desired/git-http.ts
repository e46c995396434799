/**
 * The HTTP of git fetches: one origin, credentials for that origin alone, bounded bytes and time, the proxy of the
 * environment, an own CA bundle. isomorphic-git sees only the plain request and response.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import * as http from 'node:http';
import * as https from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { rootCertificates } from 'node:tls';
import type { GitHttpRequest, GitHttpResponse, HttpClient } from 'isomorphic-git';
import { PatchpanelError } from '../errors.ts';
import { authorization, type GitAuth, type GitUrl } from './git-url.ts';

/** Names as curl and git read them; lower case wins. */
export type ProxyVariables = Readonly<Record<string, string | undefined>>;

export interface GitHttpOptions {
  readonly auth?: GitAuth;
  /** PEM certificates to trust besides those of Node. */
  readonly ca?: string;
  /** Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read from, in either case. */
  readonly proxy?: ProxyVariables;
  /** Milliseconds until a connection, TLS included, must stand. */
  readonly connectTimeoutMs: number;
  readonly maxWireBytes: number;
  /** Ends everything under way; its reason is what requests fail with. */
  readonly signal: AbortSignal;
}

const maxRedirects = 5;

/**
 * Knows the sockets to a proxy. Until its tunnel stands such a socket belongs to no request, and when the proxy refuses
 * or stays silent nothing in Node closes it: it would keep the process from ending.
 */
class TunnelAgent extends https.Agent {
  readonly #sockets: Set<Socket>;

  constructor(sockets: Set<Socket>, options: https.AgentOptions) {
    super(options);
    this.#sockets = sockets;
  }

  override createConnection(...args: Parameters<https.Agent['createConnection']>): Duplex | null | undefined {
    const note = (message: unknown) => {
      const socket: unknown =
        typeof message === 'object' && message !== null ? Reflect.get(message, 'socket') : undefined;
      if (socket instanceof Socket) this.#sockets.add(socket);
    };
    // The channel tells of every socket of the process; what is made between these lines is made by this call.
    subscribe('net.client.socket', note);
    try {
      return super.createConnection(...args);
    } finally {
      unsubscribe('net.client.socket', note);
    }
  }
}

export class GitHttp implements HttpClient {
  readonly #target: GitUrl;
  readonly #options: GitHttpOptions;
  readonly #agent: http.Agent;
  readonly #auth: string | undefined;
  /** Where the host moved the repository to, learned from the first answer. */
  #base: string;
  #received = 0;
  #failure: unknown;
  readonly #sockets = new Set<Socket>();

  constructor(target: GitUrl, options: GitHttpOptions) {
    this.#target = target;
    this.#base = target.url;
    this.#options = options;
    const auth = options.auth ?? target.auth;
    this.#auth = auth === undefined ? undefined : authorization(auth);
    const proxyEnv = proxyVariables(target.url, options.proxy ?? {});
    const common = { keepAlive: true, maxSockets: 2, ...(proxyEnv === undefined ? {} : { proxyEnv }) };
    this.#agent = target.url.startsWith('https:')
      ? new TunnelAgent(this.#sockets, {
          ...common,
          ...(options.ca === undefined ? {} : { ca: [...rootCertificates, options.ca] }),
        })
      : new http.Agent(common);
  }

  /** Bytes of all response bodies so far. */
  get received(): number {
    return this.#received;
  }

  /** Why an answer broke off, if one did: isomorphic-git tells that as an answer that it does not understand. */
  get failure(): unknown {
    return this.#failure;
  }

  close(): void {
    this.#agent.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The one method that isomorphic-git calls. @throws PatchpanelError git/* or source/too-large */
  readonly request = async (request: GitHttpRequest): Promise<GitHttpResponse> => {
    const { url, response } = await this.#exchange(request);
    const status = response.statusCode ?? 0;
    this.#refuse(status, response);
    return {
      url,
      method: request.method ?? 'GET',
      statusCode: status,
      statusMessage: response.statusMessage ?? '',
      headers: flatHeaders(response.headers),
      body: this.#body(response),
    };
  };

  /** The answer as a whole, whatever its status. @throws PatchpanelError git/* or source/too-large */
  async answer(
    request: GitHttpRequest,
  ): Promise<{ readonly status: number; readonly headers: Record<string, string>; readonly body: Buffer }> {
    const { response } = await this.#exchange(request);
    const body = await collect(this.#body(response));
    return { status: response.statusCode ?? 0, headers: flatHeaders(response.headers), body };
  }

  /** One request, and those that redirects within the host lead to. */
  async #exchange(request: GitHttpRequest): Promise<{ readonly url: string; readonly response: http.IncomingMessage }> {
    const suffix = request.url.slice(this.#target.url.length);
    let url = `${this.#base}${suffix}`;
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#once(url, request);
      const status = response.statusCode ?? 0;
      const location = response.headers.location;
      if (status < 300 || status >= 400 || location === undefined) return { url, response };
      response.destroy();
      if (redirects === maxRedirects) throw new PatchpanelError('git/protocol', 'the git host redirects in circles');
      url = this.#follow(url, location, request.method ?? 'GET');
      if (url.endsWith(suffix)) this.#base = url.slice(0, -suffix.length);
    }
  }

  /** Redirects are followed within the host only, so that neither credentials nor trust move to another. */
  #follow(from: string, location: string, method: string): string {
    const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
    if (target?.origin === this.#target.origin && method === 'GET') return target.href;
    const where = target === undefined ? 'to a malformed address' : `to ${target.origin}`;
    throw new PatchpanelError('git/redirect', `the git host redirects ${where}, which is not followed`);
  }

  #refuse(status: number, response: http.IncomingMessage): void {
    if (status === 200) return;
    response.destroy();
    const answer = `the git host answered ${status}`;
    if (status === 401 || status === 403 || status === 203) {
      const how = this.#auth === undefined ? 'without credentials' : 'to the credentials that were given';
      throw new PatchpanelError('git/unauthorized', `${answer} ${how}`);
    }
    if (status === 404 || status === 410) throw new PatchpanelError('git/not-found', answer);
    if (status === 407) throw proxyWantsCredentials();
    if (status === 429 || status >= 500) throw new PatchpanelError('git/unreachable', answer);
    throw new PatchpanelError('git/protocol', answer);
  }

  async #once(url: string, request: GitHttpRequest): Promise<http.IncomingMessage> {
    const body = request.body === undefined ? undefined : await collect(request.body);
    const { signal, connectTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const headers: http.OutgoingHttpHeaders = { ...request.headers, 'accept-encoding': 'identity' };
      delete headers.Authorization;
      if (this.#auth !== undefined) headers.authorization = this.#auth;
      if (body !== undefined) headers['content-length'] = body.length;
      const send = url.startsWith('https:') ? https.request : http.request;
      // The time-out is for the tunnel of a proxy, which is not yet a socket of the request.
      const options = { method: request.method ?? 'GET', headers, agent: this.#agent, timeout: connectTimeoutMs };
      const outgoing = send(url, options);
      const abort = () => outgoing.destroy();
      signal.addEventListener('abort', abort, { once: true });
      const fail = (cause: Error) => {
        reject(signal.aborted ? signal.reason : cause instanceof PatchpanelError ? cause : unreachable(url, cause));
      };
      this.#watchConnect(outgoing, url, fail);
      outgoing.on('response', (response) => {
        response.once('close', () => signal.removeEventListener('abort', abort));
        resolve(response);
      });
      // Errors after the response reach its reader as well; this keeps them from being unhandled.
      outgoing.on('error', fail);
      outgoing.once('close', () => fail(new Error('the connection was closed')));
      outgoing.end(body);
    });
  }

  #watchConnect(outgoing: http.ClientRequest, url: string, fail: (cause: Error) => void): void {
    const { connectTimeoutMs } = this.#options;
    const timer = setTimeout(() => {
      const { host } = new URL(url);
      fail(new PatchpanelError('git/timeout', `no connection to ${host} within ${connectTimeoutMs} ms`));
      outgoing.destroy();
    }, connectTimeoutMs);
    // A request that waits for its tunnel never tells that it was destroyed.
    timer.unref();
    const done = () => clearTimeout(timer);
    outgoing.once('socket', (socket) => {
      if (!socket.connecting && !outgoing.reusedSocket && !('encrypted' in socket)) done();
      if (outgoing.reusedSocket) done();
      socket.once(url.startsWith('https:') ? 'secureConnect' : 'connect', done);
    });
    outgoing.once('response', done);
    outgoing.once('close', done);
  }

  async *#body(response: http.IncomingMessage): AsyncGenerator<Uint8Array> {
    const { maxWireBytes, signal } = this.#options;
    try {
      for await (const chunk of response) {
        const bytes: Uint8Array = chunk;
        this.#received += bytes.length;
        if (this.#received > maxWireBytes) {
          throw new PatchpanelError('source/too-large', `the git host sent more than ${maxWireBytes} bytes`);
        }
        yield bytes;
      }
    } catch (cause) {
      const known = cause instanceof PatchpanelError ? cause : unreachable(this.#target.url, cause);
      this.#failure = signal.aborted ? signal.reason : known;
      throw this.#failure;
    } finally {
      response.destroy();
    }
  }
}

async function collect(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function flatHeaders(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]));
}

const tlsFault = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|SSL|TLS/;

/** Faults of TLS that no CA mends. */
const tlsRemedies: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'Renew the certificate of the git host.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use the host name that the certificate is for.',
};

function unreachable(url: string, cause: unknown): PatchpanelError {
  const { host } = new URL(url);
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const text = code === '' && cause instanceof Error ? cause.message : code;
  if (tlsFault.test(code)) {
    return new PatchpanelError('git/unreachable', `the certificate of ${host} is not trusted (${text})`, {
      remedy: tlsRemedies[code] ?? 'Give the CA of the git host with --ca-file.',
      cause,
    });
  }
  if (code === 'EPROTO') {
    return new PatchpanelError('git/unreachable', `${host} does not speak TLS as expected (EPROTO)`, {
      remedy: 'Check the port, and whether the URL should begin with http://.',
      cause,
    });
  }
  if (code === 'ERR_PROXY_TUNNEL' && cause instanceof Error && 'statusCode' in cause) {
    if (cause.statusCode === 407) return proxyWantsCredentials();
    // The message of Node names the proxy, but not its credentials.
    return new PatchpanelError('git/unreachable', `the proxy answered ${cause.statusCode} for ${host}`);
  }
  return new PatchpanelError('git/unreachable', `${host} can not be reached (${text})`, { cause });
}

function proxyWantsCredentials(): PatchpanelError {
  return new PatchpanelError('git/unreachable', 'the proxy wants credentials (407)', {
    remedy: 'Put them into the proxy variable, as http://USER:PASSWORD@HOST:PORT.',
  });
}

/**
 * The variables that Node's agent acts on, or undefined where no proxy is set for this kind of URL.
 * @throws PatchpanelError git/unreachable where this Node can not do it: Agent has `proxyEnv` since v24.5 and v22.21
 */
function proxyVariables(url: string, variables: ProxyVariables): NodeJS.ProcessEnv | undefined {
  const pick = (name: string) => variables[name.toLowerCase()] || variables[name] || undefined;
  const name = url.startsWith('https:') ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const given = pick(name);
  if (given === undefined) return undefined;
  // Without a scheme it is http, as curl and git take it. Node would connect directly, and repeat a malformed URL.
  const proxy = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`;
  if (!URL.canParse(proxy) || !/^https?:\/\//i.test(proxy)) {
    // The value is not repeated: it may hold a password.
    throw new PatchpanelError('git/unreachable', `${name} is not the URL of an http or https proxy`, {
      remedy: `Set ${name} to http://HOST:PORT, or unset it for this command.`,
    });
  }
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 21) || major === 23 || (major === 24 && minor < 5)) {
    throw new PatchpanelError('git/unreachable', `Node ${process.versions.node} can not use the proxy that is set`, {
      remedy: 'Use Node 24.5 or later, or 22.21 or later of Node 22.',
    });
  }
  const noProxy = pick('NO_PROXY');
  return {
    [name]: new URL(proxy).href,
    ...(noProxy === undefined ? {} : { NO_PROXY: noProxy }),
  };
}
