/** The port of a kubelet, as far as exec goes: kube-apiserver hands the WebSocket of a client on to it. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { pods } from '../../reconcile/kube/resources.ts';
import type { ServerCertificate } from '../../sandbox/api/certificate.ts';
import type { ExecHandler } from '../../sandbox/api/contract.ts';
import { ExecServer } from '../../sandbox/api/exec.ts';

export interface KubeletEndpoint {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/exec/NAMESPACE/POD/CONTAINER?command=...` on loopback. */
export async function serveKubelet(
  tls: ServerCertificate,
  cluster: Cluster,
  exec: ExecHandler,
): Promise<KubeletEndpoint> {
  const sessions = new ExecServer(exec);
  const sockets = new Set<Duplex>();
  const server = createServer({ key: tls.key, cert: tls.certificate }, (_request, response) => {
    response.writeHead(404).end();
  });
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    const url = new URL(request.url ?? '', 'https://kubelet');
    const [, verb, namespace = '', name = '', container = ''] = url.pathname.split('/');
    const answer = async (): Promise<void> => {
      const pod = await cluster.get(pods, namespace, name);
      if (verb !== 'exec' || pod === undefined) throw new Error(`there is no ${url.pathname}`);
      const object = { ...pod };
      sessions.accept(
        { pod: { namespace, name, object }, container, query: asPodQuery(url.searchParams) },
        request,
        socket,
        head,
      );
    };
    answer().catch((error: unknown) => {
      const words = error instanceof Error ? error.message : String(error);
      socket.end(`HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${words}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    async close() {
      sessions.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Kubelets call the streams otherwise than kube-apiserver does. */
function asPodQuery(asked: URLSearchParams): URLSearchParams {
  const query = new URLSearchParams();
  for (const word of asked.getAll('command')) query.append('command', word);
  for (const [kubelet, pod] of [
    ['input', 'stdin'],
    ['output', 'stdout'],
    ['error', 'stderr'],
  ] as const) {
    if (asked.get(kubelet) === '1') query.set(pod, 'true');
  }
  return query;
}
