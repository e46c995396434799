/**
 * A command in a container over WebSocket: the remotecommand protocol, `v5.channel.k8s.io` or `v4.channel.k8s.io`.
 * Spoken with ws directly rather than through client-node's handler, which hides the Status of a refusal and opens its
 * connection past the agent with the proxy, the limits and the credentials of all other requests.
 */
import type { IncomingMessage } from 'node:http';
import type WebSocket from 'ws';
import { PatchpanelError } from '../errors.ts';
import type { ExecResult, ExecTarget } from './cluster.ts';
import { apiFailure, networkCode, networkReason } from './failures.ts';
import { type Attempt, type Call, readBody, refusedBy, type Transport } from './transport.ts';

export interface ExecLimits {
  /** For the command; the handshake has as long again. */
  readonly timeoutMs: number;
  /** Of standard output and error together, in bytes. */
  readonly maxOutputBytes: number;
}

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const channels = { stdin: 0, close: 255 } as const;
const maxRefusalBytes = 65_536;

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
  stdin?: string,
): Promise<ExecResult> {
  const query = new URLSearchParams();
  for (const argument of command) query.append('command', argument);
  query.append('container', target.container);
  if (stdin !== undefined) query.append('stdin', 'true');
  query.append('stdout', 'true');
  query.append('stderr', 'true');
  const call: Call = {
    // The verb that RBAC wants, though the request is a GET.
    intent: { verb: 'create', resource: 'pods/exec', group: '', namespace: target.namespace, name: target.pod },
    counter: 'exec',
    method: 'GET',
    path: `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}/exec`,
    query,
    // Before 101 no command was started; after a reset that is unknown.
    repeatable: false,
  };
  const place = `${target.namespace}/${target.pod}, container ${target.container}`;
  try {
    const conversation = await transport.repeat(call, () => open(transport, call, limits, stdin));
    return await conversation.ended;
  } catch (error) {
    throw refusal(error, place);
  }
}

/** Forbidden, unauthorized and unreachable speak for themselves; the rest is about this command. */
function refusal(error: unknown, place: string): unknown {
  if (!(error instanceof PatchpanelError)) {
    return new PatchpanelError('cluster/exec', `${place}: ${networkReason(error)}`);
  }
  const failure = apiFailure(error);
  if (failure === undefined || failure.status === 401 || failure.status === 403) return error;
  return new PatchpanelError('cluster/exec', `${place}: ${failure.message}`, { cause: failure });
}

async function open(
  transport: Transport,
  call: Call,
  limits: ExecLimits,
  stdin: string | undefined,
): Promise<Attempt<Conversation>> {
  // Few runs look into a domain.
  const { default: Socket } = await import('ws');
  const { agent, headers, path } = await transport.envelope(call);
  const { protocol, host } = transport.access.server;
  const socket = new Socket(`${protocol === 'https:' ? 'wss' : 'ws'}://${host}${path}`, protocols, {
    agent,
    headers,
    handshakeTimeout: limits.timeoutMs,
    maxPayload: limits.maxOutputBytes + 1024,
    perMessageDeflate: false,
  });
  const conversation = new Conversation(socket, limits, transport.closing);
  return await new Promise((resolve, reject) => {
    socket.once('open', () => {
      if (stdin !== undefined) feed(socket, stdin);
      resolve({ kind: 'done', value: conversation });
    });
    // After the handshake the conversation takes care of errors, and this promise is long resolved.
    socket.once('error', (error) => {
      // Without a system code it is ws itself that found fault with the handshake, or lost its patience.
      if (networkCode(error) === undefined) reject(error);
      else resolve({ kind: 'lost', error });
    });
    socket.once('unexpected-response', (request, response: IncomingMessage) => {
      readBody(response, maxRefusalBytes)
        .then(
          (body) => resolve(refusedBy(response, body)),
          (error: Error) => resolve({ kind: 'lost', error }),
        )
        .finally(() => request.destroy());
    });
  });
}

/** Sends all of standard input, and closes it where the protocol has a word for that. */
function feed(socket: WebSocket, text: string): void {
  socket.send(Buffer.concat([Buffer.from([channels.stdin]), Buffer.from(text)]));
  if (socket.protocol === protocols[0]) socket.send(Buffer.from([channels.close, channels.stdin]));
}

/** What a server says on the channels of one exec, until it is over. */
class Conversation {
  /** Rejects with a plain Error that says what went wrong. */
  readonly ended: Promise<ExecResult>;
  readonly #limits: ExecLimits;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #bytes = 0;
  #status: string | undefined;

  constructor(socket: WebSocket, limits: ExecLimits, closing: AbortSignal) {
    this.#limits = limits;
    const { promise, resolve, reject } = Promise.withResolvers<ExecResult>();
    // Nobody waits for the end of a conversation that did not begin.
    promise.catch(() => {});
    const stop = () => reject(new Error('the connection to the cluster was closed'));
    const timer = setTimeout(
      () => reject(new Error(`the command did not end within ${limits.timeoutMs / 1000} s`)),
      limits.timeoutMs,
    );
    closing.addEventListener('abort', stop, { once: true });
    socket.on('message', (data) => {
      try {
        this.#take(data as Buffer);
        // The status is the server's last word: it comes after all output.
        if (this.#status !== undefined) resolve(this.#result(this.#status));
      } catch (error) {
        reject(error);
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection ended before the command did')));
    this.ended = promise.finally(() => {
      clearTimeout(timer);
      closing.removeEventListener('abort', stop);
      socket.terminate();
    });
    this.ended.catch(() => {});
  }

  #take(message: Buffer): void {
    const channel = message[0];
    const data = message.subarray(1);
    if (channel === 3 && data.length > 0) this.#status = data.toString('utf8');
    if (channel !== 1 && channel !== 2) return;
    this.#bytes += data.length;
    const limit = this.#limits.maxOutputBytes;
    if (this.#bytes > limit) throw new Error(`the command wrote more than ${limit} bytes`);
    (channel === 1 ? this.#stdout : this.#stderr).push(data);
  }

  #result(text: string): ExecResult {
    const status = readStatus(text);
    if (typeof status === 'string') throw new Error(status);
    return {
      stdout: Buffer.concat(this.#stdout).toString('utf8'),
      stderr: Buffer.concat(this.#stderr).toString('utf8'),
      exitCode: status.exitCode,
    };
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
