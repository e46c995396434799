/** One HTTP exchange with the API server, and its repetition where that is safe. */
import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { PatchpanelError } from '../errors.ts';
import type { Access } from './access.ts';
import type { ApiFailure } from './cluster.ts';
import { describe, failureError, type Intent, networkCode, networkReason, readFailure } from './failures.ts';
import { Slots, TokenBucket } from './rate-limit.ts';

export interface Call {
  readonly intent: Intent;
  /** Under which verb the request is counted. */
  readonly counter: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API, without a path prefix of the server. */
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly accept?: string;
  readonly body?: { readonly type: string; readonly text: string };
  /**
   * Whether the call may be sent again where it is unknown if the server acted on it (reset, time-out, 5xx).
   * True for reads, and for writes whose repetition changes nothing or is refused: see `connect.ts`.
   */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Retry {
  readonly call: string;
  readonly attempt: number;
  readonly waitMs: number;
  readonly reason: string;
}

export interface TransportLimits {
  readonly qps: number;
  readonly burst: number;
  /** Requests in flight, watches not counted. */
  readonly concurrency: number;
  /** For a whole exchange; for a watch, until its head is there. */
  readonly timeoutMs: number;
  /** Repetitions after the first attempt. */
  readonly retries: number;
  /** The first wait is a random part of this, the next of twice as much, and so on. */
  readonly retryBaseMs: number;
  readonly maxResponseBytes: number;
}

const maxBackoffMs = 10_000;
/** A server may ask for more patience than a run has. */
const maxRetryAfterMs = 60_000;
/** No server is listening: waiting longer than for a restart behind a load balancer helps nobody. */
const refusedRetries = 2;

/** How one attempt went. */
export type Attempt<T> = { readonly kind: 'done'; readonly value: T } | Refused;

export type Refused =
  | { readonly kind: 'failure'; readonly failure: ApiFailure }
  | { readonly kind: 'lost'; readonly error: Error };

/** What a request is sent with. */
export interface Envelope {
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
  /** Path and query, with the path prefix of the server. */
  readonly path: string;
}

export class Transport {
  readonly access: Access;
  readonly server: string;
  readonly counts: Record<string, number> = {};
  readonly #limits: TransportLimits;
  readonly #userAgent: string;
  readonly #onRetry: ((retry: Retry) => void) | undefined;
  readonly #bucket: TokenBucket;
  readonly #slots: Slots;
  readonly #closing = new AbortController();
  /** How far the clock of the server is ahead of ours. */
  #aheadMs = 0;

  constructor(access: Access, limits: TransportLimits, userAgent: string, onRetry?: (retry: Retry) => void) {
    this.access = access;
    this.server = access.server.href.replace(/\/$/, '');
    this.#limits = limits;
    this.#userAgent = userAgent;
    this.#onRetry = onRetry;
    this.#bucket = new TokenBucket(limits.qps, limits.burst);
    this.#slots = new Slots(limits.concurrency);
  }

  /** Aborts when the connection is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The body of a 2xx answer; empty for those that have none. */
  async send(call: Call): Promise<string> {
    return await this.repeat(call, () => this.#slots.run(() => this.#answer(call)));
  }

  /** The response of a watch, once its head is there. The caller reads or destroys it. */
  async open(call: Call): Promise<IncomingMessage> {
    return await this.repeat(call, () => this.#stream(call));
  }

  /** Runs attempts until one is done or must not be repeated; reads the credentials anew after the first 401. */
  async repeat<T>(call: Call, once: () => Promise<Attempt<T>>): Promise<T> {
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await once();
      if (outcome.kind === 'done') return outcome.value;
      call.signal?.throwIfAborted();
      if (outcome.kind === 'failure' && outcome.failure.status === 401 && !renewed) {
        renewed = true;
        if (await this.access.renew()) continue;
      }
      if (attempt >= this.#limits.retries || !mayRepeat(call, outcome, attempt)) throw this.#error(call, outcome);
      const waitMs = this.#backoff(attempt, outcome);
      this.#onRetry?.({ call: describe(call.intent), attempt: attempt + 1, waitMs, reason: reasonOf(outcome) });
      await this.#pause(waitMs, call.signal);
    }
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (ms <= 0) return;
    try {
      await sleep(ms, undefined, { signal: anySignal(this.#closing.signal, signal) });
    } catch {
      signal?.throwIfAborted();
      this.#closing.signal.throwIfAborted();
    }
  }

  /** Waits for the rate limit, counts the request and says what to send it with. */
  async envelope(call: Call): Promise<Envelope> {
    await this.#pause(this.#bucket.reserve(), call.signal);
    const { agent, headers } = await this.access.credentials();
    this.counts[call.counter] = (this.counts[call.counter] ?? 0) + 1;
    const prefix = this.access.server.pathname.replace(/\/$/, '');
    const query = call.query === undefined || call.query.size === 0 ? '' : `?${call.query}`;
    return { agent, headers: { 'User-Agent': this.#userAgent, ...headers }, path: `${prefix}${call.path}${query}` };
  }

  async #answer(call: Call): Promise<Attempt<string>> {
    const { request, release } = await this.#request(call);
    try {
      const response = await respond(request, call.body?.text);
      const body = await readBody(response, this.#limits.maxResponseBytes);
      return isSuccess(response) ? { kind: 'done', value: body } : refusedBy(response, body);
    } catch (error) {
      return lost(error, call);
    } finally {
      release();
    }
  }

  async #stream(call: Call): Promise<Attempt<IncomingMessage>> {
    const { request, release, stopTimer } = await this.#request(call);
    try {
      const response = await respond(request, undefined);
      if (isSuccess(response)) {
        stopTimer();
        response.once('close', release);
        return { kind: 'done', value: response };
      }
      const refused = refusedBy(response, await readBody(response, this.#limits.maxResponseBytes));
      release();
      return refused;
    } catch (error) {
      release();
      return lost(error, call);
    }
  }

  async #request(call: Call): Promise<{
    readonly request: ClientRequest;
    readonly release: () => void;
    readonly stopTimer: () => void;
  }> {
    const { agent, headers, path } = await this.envelope(call);
    const { protocol, hostname, port } = this.access.server;
    const send = protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send({
      method: call.method,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : port,
      path,
      agent,
      headers: {
        ...headers,
        Accept: call.accept ?? 'application/json',
        ...(call.body === undefined
          ? {}
          : { 'Content-Type': call.body.type, 'Content-Length': String(Buffer.byteLength(call.body.text)) }),
      },
      signal: this.#closing.signal,
    });
    request.once('response', (response) => {
      const date = Date.parse(headerOf(response, 'date') ?? '');
      if (!Number.isNaN(date)) this.#aheadMs = date - Date.now();
    });
    const { timeoutMs } = this.#limits;
    const timer = setTimeout(() => request.destroy(new TimedOut(timeoutMs)), timeoutMs);
    const stopTimer = () => clearTimeout(timer);
    const abort = () => request.destroy(abortError(call.signal));
    call.signal?.addEventListener('abort', abort, { once: true });
    if (call.signal?.aborted) abort();
    function release(): void {
      stopTimer();
      call.signal?.removeEventListener('abort', abort);
    }
    return { request, release, stopTimer };
  }

  #backoff(attempt: number, outcome: Refused): number {
    const asked = outcome.kind === 'failure' ? outcome.failure.retryAfterSeconds : undefined;
    const random = Math.random() * Math.min(maxBackoffMs, this.#limits.retryBaseMs * 2 ** attempt);
    return asked === undefined ? random : Math.min(maxRetryAfterMs, asked * 1000) + random;
  }

  #error(call: Call, outcome: Refused): PatchpanelError {
    if (outcome.kind === 'failure') return failureError(call.intent, outcome.failure, this.server);
    const message = `${this.server} can not be reached: ${reasonOf(outcome)} (${describe(call.intent)})`;
    return new PatchpanelError('cluster/unreachable', message);
  }

  /** Milliseconds since the epoch, by the server's clock as its last answer told it, in whole seconds. */
  serverNow(): number {
    return Date.now() + this.#aheadMs;
  }

  close(): void {
    this.#closing.abort(new PatchpanelError('cluster/unreachable', 'the connection to the cluster was closed'));
    this.access.close();
  }
}

class TimedOut extends Error {
  constructor(ms: number) {
    super(`no complete answer within ${ms / 1000} s`);
  }
}

/**
 * 429 and a refused connection: the server did not act. 503 with Retry-After: it says that it did not. All else may
 * have happened on the far side.
 */
function mayRepeat(call: Call, outcome: Refused, attempt: number): boolean {
  if (outcome.kind === 'failure') {
    const { status, retryAfterSeconds } = outcome.failure;
    if (status === 429 || (status === 503 && retryAfterSeconds !== undefined)) return true;
    if (status === 502 || status === 503 || status === 504) return call.repeatable;
    // A 500 is often a broken webhook: worth another try for a read, not for a write.
    return status === 500 && call.method === 'GET';
  }
  const code = networkCode(outcome.error);
  if (code === 'ECONNREFUSED') return attempt < refusedRetries;
  if (outcome.error instanceof TimedOut) return call.repeatable;
  return call.repeatable && code !== undefined && transientCodes.has(code);
}

const transientCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'HPE_INVALID_EOF_STATE',
]);

function reasonOf(outcome: Refused): string {
  if (outcome.kind === 'lost') return networkReason(outcome.error);
  return `${outcome.failure.status} ${outcome.failure.reason}`;
}

function isSuccess(response: IncomingMessage): boolean {
  const { statusCode = 0 } = response;
  return statusCode >= 200 && statusCode < 300;
}

/** The failure that an answer with an error status stands for. */
export function refusedBy(response: IncomingMessage, body: string): Refused {
  return { kind: 'failure', failure: readFailure(response.statusCode ?? 0, body, headerOf(response, 'retry-after')) };
}

function lost(error: unknown, call: Call): Refused {
  call.signal?.throwIfAborted();
  if (error instanceof PatchpanelError) throw error;
  return { kind: 'lost', error: error instanceof Error ? error : new Error(String(error)) };
}

function respond(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

/** Reads a body of at most so many bytes. It is decoded as it comes: the bytes of a page are not held beside its text. */
export function readBody(response: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = '';
    let size = 0;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      size += Buffer.byteLength(chunk);
      body += chunk;
      if (size <= maxBytes) return;
      reject(new PatchpanelError('cluster/api', `the API server answered more than ${maxBytes} bytes`));
      response.destroy();
    });
    response.once('end', () => resolve(body));
    response.once('error', reject);
    response.once('close', () => reject(new Error('the answer was cut off')));
  });
}

function headerOf(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted');
}

function anySignal(first: AbortSignal, second: AbortSignal | undefined): AbortSignal {
  return second === undefined ? first : AbortSignal.any([first, second]);
}
