/**
 * A command in a container over WebSocket: the remotecommand protocol, `v5.channel.k8s.io` or `v4.channel.k8s.io`.
 * Spoken here rather than through client-node's handler, which hides the Status of a refusal and would open a
 * connection past the agent with the proxy, the limits and the credentials of all other requests. No extension is
 * offered, so frames come uncompressed.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { PatchpanelError } from '../errors.ts';
import type { ExecResult, ExecTarget } from './cluster.ts';
import { apiFailure, networkReason } from './failures.ts';
import type { Transport } from './transport.ts';

export interface ExecLimits {
  readonly timeoutMs: number;
  /** Of standard output and error together, in bytes. */
  readonly maxOutputBytes: number;
}

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const handshakeGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/**
 * Runs the command and waits for its end.
 * @throws PatchpanelError `cluster/forbidden` without the right to exec, else `cluster/exec`: no such pod or container,
 * a command that can't be started, too much output, no end in time
 */
export async function execInContainer(
  transport: Transport,
  target: ExecTarget,
  command: readonly string[],
  limits: ExecLimits,
): Promise<ExecResult> {
  const query = new URLSearchParams();
  for (const argument of command) query.append('command', argument);
  query.append('container', target.container);
  query.append('stdout', 'true');
  query.append('stderr', 'true');
  const key = randomBytes(16).toString('base64');
  const place = `${target.namespace}/${target.pod}, container ${target.container}`;
  const upgraded = await transport
    .upgrade(
      {
        // The verb that RBAC wants, though the request is a GET.
        intent: {
          verb: 'create',
          resource: 'pods/exec',
          group: '',
          namespace: target.namespace,
          name: target.pod,
        },
        counter: 'exec',
        method: 'GET',
        path: `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}/exec`,
        query,
        repeatable: false,
      },
      {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
        'Sec-WebSocket-Protocol': protocols.join(', '),
      },
    )
    .catch((error: unknown) => {
      throw refusal(error, place);
    });
  const { response, socket, head } = upgraded;
  const accept = createHash('sha1').update(`${key}${handshakeGuid}`).digest('base64');
  if (response.headers['sec-websocket-accept'] !== accept) {
    socket.destroy();
    throw new PatchpanelError('cluster/exec', `${place}: the server does not speak WebSocket`);
  }
  return await converse(socket, head, limits, place);
}

/** Forbidden, unauthorized and unreachable speak for themselves; the rest is about this command. */
function refusal(error: unknown, place: string): unknown {
  const failure = apiFailure(error);
  if (failure === undefined || failure.status === 401 || failure.status === 403) return error;
  return new PatchpanelError('cluster/exec', `${place}: ${failure.message}`, { cause: failure });
}

function converse(socket: Duplex, head: Buffer, limits: ExecLimits, place: string): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const conversation = new Conversation(socket, limits, (end) => {
      clearTimeout(timer);
      socket.destroy();
      if (typeof end === 'string') reject(new PatchpanelError('cluster/exec', `${place}: ${end}`));
      else resolve(end);
    });
    const timer = setTimeout(
      () => conversation.end(`the command did not end within ${limits.timeoutMs / 1000} s`),
      limits.timeoutMs,
    );
    socket.on('data', (chunk: Buffer) => conversation.take(chunk));
    socket.on('error', (error) => conversation.end(networkReason(error)));
    socket.on('close', () => conversation.finish());
    conversation.take(head);
  });
}

/** What a server says on the channels of one exec, until it is over. */
class Conversation {
  readonly #socket: Duplex;
  readonly #limits: ExecLimits;
  readonly #reader: FrameReader;
  readonly #onEnd: (end: ExecResult | string) => void;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #bytes = 0;
  #status: string | undefined;
  #over = false;

  constructor(socket: Duplex, limits: ExecLimits, onEnd: (end: ExecResult | string) => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#reader = new FrameReader(limits.maxOutputBytes + 65_536);
    this.#onEnd = onEnd;
  }

  /** Ends it with a result, or with what went wrong; only the first end counts. */
  end(end: ExecResult | string): void {
    if (this.#over) return;
    this.#over = true;
    this.#onEnd(end);
  }

  /** The server has no more to say. The status is its last word; some end without a close frame after it. */
  finish(): void {
    this.end(this.#result());
  }

  #result(): ExecResult | string {
    if (this.#status === undefined) return 'the connection ended before the command did';
    const status = readStatus(this.#status);
    if (typeof status === 'string') return status;
    return {
      stdout: Buffer.concat(this.#stdout).toString('utf8'),
      stderr: Buffer.concat(this.#stderr).toString('utf8'),
      exitCode: status.exitCode,
    };
  }

  take(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) {
        if (this.#over) return;
        this.#onFrame(frame);
      }
    } catch (error) {
      this.end(networkReason(error));
    }
  }

  #onFrame({ opcode, payload }: Frame): void {
    if (opcode === opcodes.ping) this.#socket.write(maskedFrame(opcodes.pong, payload));
    else if (opcode === opcodes.close) {
      this.#socket.write(maskedFrame(opcodes.close, payload.subarray(0, 2)));
      this.finish();
    } else if (opcode !== opcodes.pong) this.#onMessage(payload[0], payload.subarray(1));
  }

  #onMessage(channel: number | undefined, data: Buffer): void {
    if (channel === 3 && data.length > 0) this.#status = data.toString('utf8');
    if (channel !== 1 && channel !== 2) return;
    this.#bytes += data.length;
    const limit = this.#limits.maxOutputBytes;
    if (this.#bytes > limit) this.end(`the command wrote more than ${limit} bytes`);
    else (channel === 1 ? this.#stdout : this.#stderr).push(data);
  }
}

/** Exit code of the Status on channel 3, or why there is none. */
function readStatus(text: string): { readonly exitCode: number } | string {
  let status: {
    readonly status?: unknown;
    readonly reason?: unknown;
    readonly message?: unknown;
    readonly details?: { readonly causes?: readonly { readonly reason?: unknown; readonly message?: unknown }[] };
  };
  try {
    status = JSON.parse(text) as typeof status;
  } catch {
    return text.slice(0, 500);
  }
  if (status.status === 'Success') return { exitCode: 0 };
  const exit = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (status.reason === 'NonZeroExitCode' && typeof exit === 'string' && /^\d+$/.test(exit)) {
    return { exitCode: Number(exit) };
  }
  return typeof status.message === 'string' ? status.message : 'the command could not be run';
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Cuts a server's bytes into messages (RFC 6455); fragments are joined. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);
  #fragments: Buffer[] = [];
  #fragmented: number | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *read(chunk: Buffer): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const raw = this.#next();
      if (raw === undefined) return;
      const frame = this.#join(raw);
      if (frame !== undefined) yield frame;
    }
  }

  #next(): { readonly final: boolean; readonly opcode: number; readonly payload: Buffer } | undefined {
    const buffer = this.#rest;
    if (buffer.length < 2) return undefined;
    const first = buffer.readUInt8(0);
    const second = buffer.readUInt8(1);
    if ((first & 0x70) !== 0 || (second & 0x80) !== 0) throw new Error('the server sent a malformed WebSocket frame');
    const short = second & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (buffer.length < start) return undefined;
    const length = short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
    if (length > this.#maxBytes) throw new Error('the server sent a WebSocket frame beyond the limit');
    if (buffer.length < start + length) return undefined;
    this.#rest = buffer.subarray(start + length);
    return {
      final: (first & 0x80) !== 0,
      opcode: first & 0x0f,
      payload: buffer.subarray(start, start + length),
    };
  }

  #join(raw: { readonly final: boolean; readonly opcode: number; readonly payload: Buffer }): Frame | undefined {
    if (raw.opcode >= opcodes.close) return raw;
    if (raw.opcode !== opcodes.continuation) {
      this.#fragments = [];
      this.#fragmented = raw.opcode;
    }
    this.#fragments.push(raw.payload);
    if (!raw.final) return undefined;
    const opcode = this.#fragmented ?? opcodes.binary;
    const payload = this.#fragments.length === 1 ? raw.payload : Buffer.concat(this.#fragments);
    this.#fragments = [];
    return { opcode, payload };
  }
}

/** A client's control frame: masked, as the protocol wants, and shorter than 126 bytes. */
function maskedFrame(opcode: number, payload: Buffer): Buffer {
  const body = payload.subarray(0, 125);
  const mask = randomBytes(4);
  const frame = Buffer.alloc(6 + body.length);
  frame.writeUInt8(0x80 | opcode, 0);
  frame.writeUInt8(0x80 | body.length, 1);
  mask.copy(frame, 2);
  for (let i = 0; i < body.length; i += 1) frame.writeUInt8(body.readUInt8(i) ^ mask.readUInt8(i % 4), 6 + i);
  return frame;
}
