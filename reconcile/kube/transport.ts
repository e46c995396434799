/** One HTTP exchange with the API server, and its repetition where that is safe. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
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

export interface Upgraded {
  readonly kind: 'upgraded';
  readonly response: IncomingMessage;
  readonly socket: Duplex;
  /** What came with the head of the answer. */
  readonly head: Buffer;
}

type Refused =
  | { readonly kind: 'failure'; readonly failure: ApiFailure }
  | { readonly kind: 'lost'; readonly error: Error };

type Outcome =
  | Refused
  | Upgraded
  | { readonly kind: 'answer'; readonly body: string }
  | { readonly kind: 'stream'; readonly response: IncomingMessage };

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

  constructor(access: Access, limits: TransportLimits, userAgent: string, onRetry?: (retry: Retry) => void) {
    this.access = access;
    this.server = access.server.href.replace(/\/$/, '');
    this.#limits = limits;
    this.#userAgent = userAgent;
    this.#onRetry = onRetry;
    this.#bucket = new TokenBucket(limits.qps, limits.burst);
    this.#slots = new Slots(limits.concurrency);
  }

  /** The body of a 2xx answer; empty for those that have none. */
  async send(call: Call): Promise<string> {
    const outcome = await this.#attempts(call, () => this.#slots.run(() => this.#exchange(call, 'answer')));
    return outcome.kind === 'answer' ? outcome.body : '';
  }

  /** The response of a watch, once its head is there. The caller reads or destroys it. */
  async open(call: Call): Promise<IncomingMessage> {
    const outcome = await this.#attempts(call, () => this.#exchange(call, 'stream'));
    if (outcome.kind !== 'stream') throw new PatchpanelError('internal', 'a stream was asked for and none came');
    return outcome.response;
  }

  /** A request that is not sent yet, with credentials and headers. */
  async #prepare(
    method: string,
    path: string,
    query: URLSearchParams | undefined,
    headers: Readonly<Record<string, string>>,
    verb: string,
  ): Promise<ClientRequest> {
    await this.#bucket.take(this.#closing.signal);
    const { agent, headers: auth } = await this.access.credentials();
    this.counts[verb] = (this.counts[verb] ?? 0) + 1;
    const { protocol, hostname, port, pathname } = this.access.server;
    const send = protocol === 'https:' ? httpsRequest : httpRequest;
    return send({
      method,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : port,
      path: `${pathname.replace(/\/$/, '')}${path}${query === undefined || query.size === 0 ? '' : `?${query}`}`,
      agent,
      headers: { 'User-Agent': this.#userAgent, ...auth, ...headers },
      signal: this.#closing.signal,
    });
  }

  /**
   * The socket of an upgrade, such as exec makes. A refusal is repeated like that of any call: before 101 no command
   * was started, but after a reset that is unknown, so `call.repeatable` is the caller's word for it.
   */
  async upgrade(call: Call, headers: Readonly<Record<string, string>>): Promise<Upgraded> {
    const outcome = await this.#attempts(call, () => this.#upgrade(call, headers));
    if (outcome.kind !== 'upgraded') throw new PatchpanelError('internal', 'an upgrade was asked for and none came');
    return outcome;
  }

  async #upgrade(call: Call, headers: Readonly<Record<string, string>>): Promise<Outcome> {
    const request = await this.#prepare(call.method, call.path, call.query, headers, call.counter);
    const timer = setTimeout(() => request.destroy(new TimedOut(this.#limits.timeoutMs)), this.#limits.timeoutMs);
    try {
      const answer = await new Promise<IncomingMessage | Upgraded>((resolve, reject) => {
        request.once('upgrade', (response, socket, head) => resolve({ kind: 'upgraded', response, socket, head }));
        request.once('response', resolve);
        request.on('error', reject);
        request.end();
      });
      if ('kind' in answer) return answer;
      const body = await readBody(answer, this.#limits.maxResponseBytes);
      return { kind: 'failure', failure: readFailure(answer.statusCode ?? 0, body, headerOf(answer, 'retry-after')) };
    } catch (error) {
      if (error instanceof PatchpanelError) throw error;
      return { kind: 'lost', error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      clearTimeout(timer);
    }
  }

  async #attempts(call: Call, once: () => Promise<Outcome>): Promise<Outcome> {
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await once();
      if (outcome.kind !== 'failure' && outcome.kind !== 'lost') return outcome;
      call.signal?.throwIfAborted();
      if (outcome.kind === 'failure' && outcome.failure.status === 401 && !renewed) {
        renewed = true;
        if (await this.access.renew()) continue;
      }
      if (attempt >= this.#limits.retries || !mayRepeat(call, outcome, attempt)) throw this.#error(call, outcome);
      const waitMs = this.#backoff(attempt, outcome);
      this.#onRetry?.({ call: describe(call.intent), attempt: attempt + 1, waitMs, reason: reasonOf(outcome) });
      await sleep(waitMs, undefined, { signal: anySignal(this.#closing.signal, call.signal) });
    }
  }

  async #exchange(call: Call, want: 'answer' | 'stream'): Promise<Outcome> {
    const request = await this.#prepare(
      call.method,
      call.path,
      call.query,
      {
        Accept: call.accept ?? 'application/json',
        ...(call.body === undefined
          ? {}
          : { 'Content-Type': call.body.type, 'Content-Length': String(Buffer.byteLength(call.body.text)) }),
      },
      call.counter,
    );
    const { timeoutMs, maxResponseBytes } = this.#limits;
    const timer = setTimeout(() => request.destroy(new TimedOut(timeoutMs)), timeoutMs);
    const abort = () => request.destroy(abortError(call.signal));
    call.signal?.addEventListener('abort', abort, { once: true });
    if (call.signal?.aborted) abort();
    let streaming = false;
    try {
      const response = await respond(request, call.body?.text);
      const status = response.statusCode ?? 0;
      if (want === 'stream' && status === 200) {
        streaming = true;
        response.once('close', () => call.signal?.removeEventListener('abort', abort));
        return { kind: 'stream', response };
      }
      const body = await readBody(response, maxResponseBytes);
      if (status >= 200 && status < 300) return { kind: 'answer', body };
      return { kind: 'failure', failure: readFailure(status, body, headerOf(response, 'retry-after')) };
    } catch (error) {
      call.signal?.throwIfAborted();
      if (error instanceof PatchpanelError) throw error;
      return { kind: 'lost', error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      clearTimeout(timer);
      if (!streaming) call.signal?.removeEventListener('abort', abort);
    }
  }

  #backoff(attempt: number, outcome: Refused): number {
    const asked = outcome.kind === 'failure' ? outcome.failure.retryAfterSeconds : undefined;
    const random = Math.random() * Math.min(maxBackoffMs, this.#limits.retryBaseMs * 2 ** attempt);
    return asked === undefined ? random : Math.min(maxRetryAfterMs, asked * 1000) + random;
  }

  #error(call: Call, outcome: Refused): PatchpanelError {
    if (outcome.kind === 'failure') return failureError(call.intent, outcome.failure, this.server);
    return new PatchpanelError('cluster/unreachable', `${describe(call.intent)}: ${this.server}: ${reasonOf(outcome)}`);
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
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

function respond(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

/** Reads a body of at most so many bytes. */
export async function readBody(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      response.destroy();
      throw new PatchpanelError('cluster/api', `the API server answered more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function headerOf(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function abortError(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted');
}

function anySignal(first: AbortSignal, second: AbortSignal | undefined): AbortSignal {
  return second === undefined ? first : AbortSignal.any([first, second]);
}
