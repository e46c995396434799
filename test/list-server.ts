/** Serves lists of objects over HTTP, for what reads a cluster and needs no more of it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

export type Answer = readonly KubeObject[] | 403 | 404;

/** Serves lists: by plural, over all namespaces, two objects a page; 403 and 404 as told. */
export async function serve(
  answers: Readonly<Record<string, Answer>>,
  clusterWide = true,
): Promise<{ readonly cluster: Cluster; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    asked.push(decodeURIComponent(`${url.pathname}${url.searchParams.has('continue') ? ' next' : ''}`));
    const [, namespace, plural = ''] = /^.*?v1\/(?:namespaces\/([^/]+)\/)?([^/]+)$/.exec(url.pathname) ?? [];
    const refused = namespace === undefined && !clusterWide && !/^(daemonsets|kubevirts)$/.test(plural);
    const answer = refused ? 403 : (answers[plural] ?? []);
    if (typeof answer === 'number') {
      response.writeHead(answer);
      response.end();
      return;
    }
    const from = Number(url.searchParams.get('continue') ?? 0);
    const name = /metadata\.name=(.*)/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1];
    const selector = plural === 'daemonsets' ? url.searchParams.get('labelSelector') : null;
    const apps = selector === null ? undefined : /^app(?:=| in \()([^)]*)/.exec(selector)?.[1]?.split(',');
    const matching = answer
      .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
      .filter(({ metadata }) => name === undefined || metadata.name === name)
      .filter(({ metadata }) => apps === undefined || apps.includes(metadata.labels?.app ?? ''));
    const next = from + 2 < matching.length ? { continue: String(from + 2) } : {};
    response.end(
      JSON.stringify({ metadata: { resourceVersion: '1', ...next }, items: matching.slice(from, from + 2) }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cluster = await connect({ server: url, retryBaseMs: 1 });
  closers.push(async () => {
    await cluster.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { cluster, asked };
}
