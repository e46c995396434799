/** Replays recorded requests against a running API server and says where its answers differ from the recorded ones. */
import { Buffer } from 'node:buffer';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { difference, excerptOf } from './match.ts';

export interface RecordedCase {
  readonly id: string;
  readonly kind?: 'setup' | 'watch';
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string | null>>;
    readonly body?: unknown;
    readonly rawBody?: string;
    readonly auth?: string;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: unknown;
    readonly events?: readonly unknown[];
  };
  readonly trimmed?: boolean;
  readonly capture?: Readonly<Record<string, string>>;
  readonly during?: string;
  readonly actionsDuringWatch?: readonly string[];
  readonly endedBy?: string;
  readonly observed?: {
    readonly names?: readonly string[];
    readonly rvChanged?: boolean;
    readonly keyOrder?: readonly string[];
  };
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** Bodies that were too large to be recorded. */
const largeBodies: Readonly<Record<string, () => unknown>> = {
  '<ConfigMap of 3.2 MB>': () => configMap({ data: { a: 'x'.repeat(3_200_000) } }),
  '<ConfigMap of 1.1 MB>': () => configMap({ data: { a: 'x'.repeat(1_100_000) } }),
  '<ConfigMap with 270 kB annotation>': () => configMap({}, { big: 'x'.repeat(270_000) }),
  '<Widget of 1.7 MB>': () => ({
    apiVersion: 'apiconf.example.dev/v1',
    kind: 'Widget',
    metadata: { name: 'big' },
    spec: { size: 1, extra: { a: 'x'.repeat(1_700_000) } },
  }),
};

function configMap(fields: object, annotations?: object): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'big', ...(annotations && { annotations }) },
    ...fields,
  };
}

export class Replay {
  readonly #url: string;
  readonly #ca: string | undefined;
  readonly #cases: ReadonlyMap<string, RecordedCase>;
  readonly #tokens: Readonly<Record<string, string>>;
  readonly #captured = new Map<string, string>();
  /** resourceVersion that a path answered with last. */
  readonly #versions = new Map<string, string>();

  /** @param ca PEM of the authority of a server that speaks https */
  constructor(url: string, cases: readonly RecordedCase[], tokens: Readonly<Record<string, string>>, ca?: string) {
    this.#url = url;
    this.#ca = ca;
    this.#tokens = tokens;
    this.#cases = new Map(cases.map((recorded) => [recorded.id, recorded]));
    // A token of revision 2, which is long compacted.
    const token = JSON.stringify({ v: 'meta.k8s.io/v1', rv: 2, start: '/l1\u0000' });
    this.#captured.set('oldcont', Buffer.from(token).toString('base64url'));
  }

  /** Id -> first difference; undefined where the case agrees. */
  async run(): Promise<ReadonlyMap<string, string | undefined>> {
    const results = new Map<string, string | undefined>();
    for (const recorded of this.#cases.values()) {
      if (recorded.kind === 'setup' || recorded.during !== undefined) continue;
      if (/\s/.test(recorded.request.path)) results.set(recorded.id, 'recorded as bytes on a connection');
      else if (recorded.kind === 'watch') await this.#watch(recorded, results);
      else results.set(recorded.id, await this.#plain(recorded));
    }
    return results;
  }

  #fill(text: string): string {
    return text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => this.#captured.get(name) ?? '');
  }

  #send(recorded: RecordedCase): ClientRequest {
    const { method, path, headers, body, rawBody, auth } = recorded.request;
    const sent: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) if (value !== null) sent[name] = value;
    if (sent.upgrade === 'websocket') {
      sent['sec-websocket-key'] = Buffer.alloc(16).toString('base64');
      sent['sec-websocket-version'] = '13';
    }
    const token = this.#tokens[auth ?? 'admin'];
    if (token !== undefined && sent.authorization === undefined) sent.authorization = `Bearer ${token}`;
    const payload = rawBody === undefined ? body : (largeBodies[rawBody]?.() ?? rawBody);
    const text = payload === undefined ? undefined : typeof payload === 'string' ? payload : JSON.stringify(payload);
    if (text !== undefined) sent['content-length'] = String(Buffer.byteLength(this.#fill(text)));
    const options = { method, path: this.#fill(path), headers: sent, agent: false as const };
    const url = new URL(this.#url);
    const outgoing = this.#ca === undefined ? request(url, options) : secureRequest(url, { ...options, ca: this.#ca });
    outgoing.end(text === undefined ? undefined : this.#fill(text));
    return outgoing;
  }

  async #fetch(recorded: RecordedCase): Promise<Reply> {
    const outgoing = this.#send(recorded);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve);
      outgoing.on('error', reject);
      outgoing.on('upgrade', (upgraded, socket) => {
        socket.destroy();
        resolve(upgraded);
      });
    });
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: response.statusCode === 101 ? '' : await read(response),
    };
  }

  async #plain(recorded: RecordedCase): Promise<string | undefined> {
    const reply = await this.#fetch(recorded);
    const body = parse(reply.text);
    for (const [name, path] of Object.entries(recorded.capture ?? {})) {
      this.#captured.set(name, String(path.split('.').reduce<unknown>(member, body) ?? ''));
    }
    return this.#compare(recorded, reply, body);
  }

  #compare(recorded: RecordedCase, reply: Reply, body: unknown): string | undefined {
    const { response, trimmed = false, observed } = recorded;
    if (reply.status !== response.status)
      return `status: recorded ${response.status}, got ${reply.status} ${reply.text.slice(0, 300)}`;
    const headers = headerDifference(response.headers, reply.headers);
    if (headers !== undefined) return headers;
    const path = recorded.request.path.split('?')[0] ?? '';
    const version = String(['metadata', 'resourceVersion'].reduce<unknown>(member, body) ?? '');
    const before = this.#versions.get(path);
    this.#versions.set(path, version);
    if (observed?.rvChanged !== undefined && before !== undefined && (version !== before) !== observed.rvChanged) {
      return `resourceVersion: recorded ${observed.rvChanged ? 'a change' : 'none'}, got ${before} -> ${version}`;
    }
    if (observed?.keyOrder !== undefined) {
      const order = difference(observed.keyOrder, Object.keys(body as object), { trimmed: false }, '$.keyOrder');
      if (order !== undefined) return order;
    }
    if (observed?.names !== undefined) {
      const names = difference(
        observed.names,
        member(excerptOf({ names: [] }, body), 'names'),
        { trimmed: false },
        '$.names',
      );
      if (names !== undefined) return names;
    }
    return bodyDifference(response.body, body, reply.text, trimmed);
  }

  /** A watch, the writes that were made while it was open, and the events that came of them. */
  async #watch(recorded: RecordedCase, results: Map<string, string | undefined>): Promise<void> {
    const outgoing = this.#send(recorded);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve);
      outgoing.on('error', reject);
    });
    const expected = recorded.response.events;
    if (expected === undefined) {
      const text = await read(response);
      const reply = { status: response.statusCode ?? 0, headers: response.headers, text };
      results.set(recorded.id, this.#compare(recorded, reply, parse(text)));
      return;
    }
    let received = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      received += chunk;
    });
    const ended = new Promise<void>((resolve) => {
      response.on('close', resolve);
    });
    for (const id of recorded.actionsDuringWatch ?? []) {
      const action = this.#cases.get(id);
      if (action !== undefined) results.set(id, await this.#plain(action));
    }
    // A server that does not end it shows as another list of events.
    if (recorded.endedBy === 'server') await Promise.race([ended, pause(longestWatch)]);
    else await settled(() => received.split('\n').length > expected.length);
    outgoing.destroy();
    results.set(recorded.id, eventsDifference(expected, received, response));
  }
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function headerDifference(
  recorded: Readonly<Record<string, string>>,
  actual: IncomingMessage['headers'],
): string | undefined {
  for (const name of [
    'content-type',
    'warning',
    'retry-after',
    'upgrade',
    'sec-websocket-protocol',
    'content-encoding',
  ]) {
    const wanted = recorded[name];
    const got = actual[name];
    if (wanted !== got && !(wanted === undefined && name === 'content-type')) {
      return `header ${name}: recorded ${String(wanted)}, got ${String(got)}`;
    }
  }
  return undefined;
}

function bodyDifference(expected: unknown, body: unknown, text: string, trimmed: boolean): string | undefined {
  if (expected === undefined || expected === null) return undefined;
  if (typeof expected !== 'object') {
    const start = String(expected).replace(/\n?\.\.\.\n?$/, '');
    if (trimmed) return text.startsWith(start) ? undefined : `body: recorded ${start}, got ${text}`;
    return difference(expected, typeof body === 'string' ? body : text, { trimmed });
  }
  const whole = trimmed ? excerptOf(expected as Record<string, unknown>, body) : body;
  const isDiscovery = member(expected, 'kind') === 'APIGroupDiscoveryList';
  return difference(expected, whole, { trimmed }, isDiscovery ? '$.discovery' : '$');
}

function eventsDifference(
  expected: readonly unknown[],
  received: string,
  response: IncomingMessage,
): string | undefined {
  if (response.statusCode !== 200) return `status: recorded 200, got ${response.statusCode}`;
  const events = received
    .split('\n')
    .filter((line) => line !== '')
    .map(parse);
  if (events.length !== expected.length) return `events: recorded ${expected.length}, got ${received.slice(0, 2000)}`;
  for (const [index, event] of expected.entries()) {
    // Records of events hold excerpts of objects, except where they are about the form.
    const found = difference(event, events[index], { trimmed: true }, `$[${index}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

const longestWatch = 10_000;

/** Waits until what is expected has come, or can be thought not to come; then a moment for what should not. */
async function settled(done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !done(); turn++) await pause(5);
  await pause(30);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
