/** pods/exec over WebSocket: subprotocols v5, v4 and the older ones, one channel byte a frame. */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import type { ExecHandler } from './contract.ts';
import { at, list, text } from './json.ts';
import { ApiError, badRequest, notFound } from './status.ts';
import type { Entry, MemoryStore } from './store.ts';

const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, close: 255 } as const;
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'channel.k8s.io'];

/** What an exec asks for, once the pod and its container are known. */
export interface ExecCall {
  readonly pod: Pick<Entry, 'namespace' | 'name' | 'object'>;
  readonly container: string;
  readonly query: URLSearchParams;
}

/** Finds the container to run in. Throws 400 or 404 as kube-apiserver does before it asks a kubelet. */
export function resolveExec(store: MemoryStore, pod: Entry, query: URLSearchParams): ExecCall {
  const names = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) =>
    list(at(pod.object, 'spec', key)).map((container) => text(at(container, 'name')) ?? ''),
  );
  const regular = list(at(pod.object, 'spec', 'containers')).map((container) => text(at(container, 'name')) ?? '');
  let container = query.get('container') ?? '';
  if (container === '') {
    if (regular.length !== 1) {
      throw badRequest(`a container name must be specified for pod ${pod.name}, choose one of: [${regular.join(' ')}]`);
    }
    container = regular[0] ?? '';
  } else if (!names.includes(container)) {
    throw badRequest(`container ${container} is not valid for pod ${pod.name}`);
  }
  const node = text(at(pod.object, 'spec', 'nodeName')) ?? '';
  if (node === '') throw badRequest(`pod ${pod.name} does not have a host assigned`);
  if (store.get('', 'nodes', undefined, node) === undefined) throw notFound({ group: '', plural: 'pods' }, node);
  return { pod, container, query };
}

export function upgradeRequired(): ApiError {
  return badRequest('Upgrade request required');
}

export class ExecServer {
  readonly #handler: ExecHandler;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
    perMessageDeflate: false,
  });

  constructor(handler: ExecHandler) {
    this.#handler = handler;
  }

  /** Takes over the connection. Throws 403 where the client offers only subprotocols that are not known. */
  accept(call: ExecCall, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (offered.some((name) => name !== '') && !offered.some((name) => protocols.includes(name))) {
      throw new ApiError(403, 'Forbidden', `unable to negotiate a subprotocol: ${offered.join(', ')}`);
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#run(call, webSocket).catch(() => webSocket.terminate());
    });
  }

  close(): void {
    for (const client of this.#sockets.clients) client.terminate();
    this.#sockets.close();
  }

  async #run(call: ExecCall, socket: WebSocket): Promise<void> {
    const { query } = call;
    const wants = (stream: string): boolean => ['true', '1'].includes(query.get(stream) ?? '');
    // The first frame is empty, on the lowest channel that the server writes to.
    send(socket, wants('stdout') ? channels.stdout : wants('stderr') ? channels.stderr : channels.status, '');
    const stdin = new FrameQueue();
    socket.on('message', (data: Buffer) => {
      const [channel] = data;
      if (channel === channels.stdin && wants('stdin')) stdin.push(data.subarray(1));
      else if (channel === channels.close && data[1] === channels.stdin) stdin.end();
      else if (channel !== undefined && channel > 4 && channel !== channels.close) socket.close(1000);
    });
    socket.on('close', () => stdin.end());
    if (!wants('stdin')) stdin.end();
    const status = await this.#status(call, stdin, (channel, data) => {
      if (data !== '' && wants(channel)) send(socket, channels[channel], data);
    });
    send(socket, channels.status, statusText(status, socket.protocol));
    socket.close(1000);
    setTimeout(() => socket.terminate(), 2000).unref();
  }

  async #status(
    { pod, container, query }: ExecCall,
    stdin: AsyncIterable<Uint8Array>,
    write: (channel: 'stdout' | 'stderr', data: string) => void,
  ): Promise<ExecStatus> {
    try {
      const result = await this.#handler({
        namespace: pod.namespace,
        pod: pod.object as unknown as KubeObject,
        container,
        command: query.getAll('command'),
        stdin,
      });
      if (result === undefined) {
        return internalError(
          `error executing command in container: container ${container} is not running in pod ${pod.name}`,
        );
      }
      write('stdout', result.stdout);
      write('stderr', result.stderr);
      return result.exitCode === 0 ? { status: 'Success' } : nonZero(result.exitCode);
    } catch (error) {
      return internalError(error instanceof Error ? error.message : String(error));
    }
  }
}

type ExecStatus = { readonly status: 'Success' | 'Failure'; readonly message?: string } & Readonly<
  Record<string, unknown>
>;

function nonZero(exitCode: number): ExecStatus {
  return {
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function internalError(message: string): ExecStatus {
  return {
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}

/** v5 prints an empty metadata, v4 none; before v4 the channel bore plain text and nothing on success. */
function statusText(status: ExecStatus, protocol: string): string {
  if (protocol === 'v5.channel.k8s.io') return JSON.stringify({ metadata: {}, ...status });
  if (protocol === 'v4.channel.k8s.io') return JSON.stringify(status);
  return status.message ?? '';
}

function send(socket: WebSocket, channel: number, data: string): void {
  socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data)]), { binary: true });
}

/** Bytes of stdin, in order, until the client closes it. */
class FrameQueue implements AsyncIterable<Uint8Array> {
  readonly #frames: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) yield frame;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** The pod of a request for its status or exec. */
export function podOf(store: MemoryStore, namespace: string, name: string): Entry {
  const entry = store.collection('', 'pods').entries.get(`${namespace}/${name}`);
  if (entry === undefined) throw notFound({ group: '', plural: 'pods' }, name);
  return entry;
}
