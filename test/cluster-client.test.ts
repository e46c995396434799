/** The client of reconcile/kube against the API server of the sandbox. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Cluster, KubeObject, Resource } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { apiFailure } from '../reconcile/kube/failures.ts';
import { follow } from '../reconcile/kube/follow.ts';
import { pods } from '../reconcile/kube/resources.ts';
import { selfSigned } from '../sandbox/api/certificate.ts';
import type { ApiServer, ApiServerOptions } from '../sandbox/api/contract.ts';
import { startApiServer } from '../sandbox/api/server.ts';

const widgets: Resource = { group: 'example.dev', version: 'v1', plural: 'widgets', kind: 'Widget' };
const token = 'admin-token';

async function start(
  faults: NonNullable<ApiServerOptions['faults']> = {},
  tls?: ApiServerOptions['tls'],
): Promise<ApiServer> {
  const server = await startApiServer({
    port: 0,
    resources: [
      {
        group: 'example.dev',
        versions: ['v1'],
        plural: 'widgets',
        singular: 'widget',
        kind: 'Widget',
        namespaced: true,
        statusSubresource: true,
        custom: true,
      },
    ],
    admission: [],
    subresources: [],
    exec: async ({ command }) => ({
      exitCode: command[0] === 'fail' ? 3 : 0,
      stdout: command.join('|'),
      stderr: 'words',
    }),
    tokens: new Map([
      [token, { user: 'admin', groups: ['system:masters'] }],
      ['nobody-token', { user: 'nobody', groups: [] }],
    ]),
    faults,
    ...(tls && { tls }),
  });
  for (const name of ['writes', 'cut', 'flaky']) server.store.seed('', 'namespaces', { metadata: { name } });
  return server;
}

let api: ApiServer;
let cluster: Cluster;
before(async () => {
  api = await start();
  cluster = await connect({ server: api.url, token, qps: Infinity });
});
after(async () => {
  await cluster.close();
  await api.close();
});

function widget(namespace: string, name: string, spec: object = {}): KubeObject {
  return { apiVersion: 'example.dev/v1', kind: 'Widget', metadata: { namespace, name }, spec };
}

test('a kubeconfig over plain http, a token, and a list of more than two pages', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-client-'));
  const kubeconfig = join(folder, 'config');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'x',
      clusters: [{ name: 'x', cluster: { server: api.url } }],
      users: [{ name: 'x', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    }),
  );
  const client = await connect({ kubeconfig });
  for (let i = 0; i < 1100; i += 1) api.store.seed('example.dev', 'widgets', widget('pages', `w${i}`));
  const { items, resourceVersion } = await client.list(
    widgets,
    { namespace: 'pages' },
    ({ metadata }) => metadata.name,
  );
  assert.equal(new Set(items).size, 1100);
  assert.match(resourceVersion, /^\d+$/);
  assert.deepEqual(client.requests, { list: 3 });
  const metadataOnly = await client.list(widgets, { namespace: 'pages' }, (object) => object.spec, {
    metadataOnly: true,
  });
  assert.deepEqual(metadataOnly.items, []);
  await client.close();
  rmSync(folder, { recursive: true });
});

test('writes, and how they are refused', async () => {
  const created = await cluster.create(widgets, widget('writes', 'a', { size: 1 }));
  await assert.rejects(cluster.create(widgets, widget('writes', 'a')), { code: 'cluster/conflict' });
  const patched = await cluster.jsonPatch(widgets, 'writes', 'a', [
    { op: 'test', path: '/spec/size', value: 1 },
    { op: 'replace', path: '/spec/size', value: 2 },
  ]);
  assert.deepEqual(patched.spec, { size: 2 });
  await assert.rejects(
    cluster.jsonPatch(widgets, 'writes', 'a', [{ op: 'test', path: '/spec/size', value: 1 }]),
    (error: unknown) => apiFailure(error)?.status === 422,
  );
  await assert.rejects(cluster.update(widgets, { ...created, spec: {} }), { code: 'cluster/conflict' });
  const merged = await cluster.mergePatch(
    widgets,
    'writes',
    'a',
    { status: { phase: 'Ready' } },
    { subresource: 'status' },
  );
  assert.deepEqual(merged.status, { phase: 'Ready' });
  await cluster.jsonPatch(widgets, 'writes', 'a', [{ op: 'replace', path: '/spec/size', value: 9 }], { dryRun: true });
  assert.deepEqual((await cluster.get(widgets, 'writes', 'a'))?.spec, { size: 2 });
  await cluster.delete(widgets, 'writes', 'a');
  assert.equal(await cluster.get(widgets, 'writes', 'a'), undefined);
});

test('a bad token is unauthorized, a user without rights forbidden, and neither error holds the token', async () => {
  for (const [bad, code] of [
    ['wrong-token', 'cluster/unauthorized'],
    ['nobody-token', 'cluster/forbidden'],
  ] as const) {
    const client = await connect({ server: api.url, token: bad });
    await assert.rejects(
      client.list(widgets, {}, () => undefined),
      (error: unknown) => {
        assert.ok(error instanceof Error && 'code' in error);
        assert.equal(error.code, code);
        assert.doesNotMatch(JSON.stringify({ ...error, message: error.message, stack: error.stack }), new RegExp(bad));
        return true;
      },
    );
    await client.close();
  }
});

test('a follower sees every change, though its watches are cut', async (t) => {
  const cutting = await start({ watchCutMilliseconds: 15 });
  const client = await connect({ server: cutting.url, token, qps: Infinity, retryBaseMs: 1 });
  cutting.store.seed('example.dev', 'widgets', widget('cut', 'first'));
  const controller = new AbortController();
  t.after(async () => {
    controller.abort();
    await client.close();
    await cutting.close();
  });
  let events = 0;
  const follower = follow(
    client,
    widgets,
    { namespace: 'cut' },
    ({ spec }) => JSON.stringify(spec),
    { onEvent: () => (events += 1) },
    controller.signal,
    { maxBackoffMs: 5 },
  );
  await follower.synced;
  assert.deepEqual([...follower.items.keys()], ['cut/first']);
  for (let i = 0; i < 20; i += 1) {
    await client.create(widgets, widget('cut', `w${i}`, { size: i }));
    if (i % 2 === 0) await client.mergePatch(widgets, 'cut', `w${i}`, { spec: { size: i + 100 } });
    if (i % 5 === 0) await client.delete(widgets, 'cut', `w${i}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  // 20 created, 10 patched, 4 deleted.
  while (events < 34) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(follower.items.size, 17);
  assert.equal(follower.items.get('cut/w2'), '{"size":102}');
  assert.ok((client.requests.watch ?? 0) > 2);
  controller.abort();
  await follower.finished;
});

test('a server that answers a third of the requests with 429 or 503 is only slower', async (t) => {
  const flaky = await start({ errorShare: 0.33 });
  const client = await connect({ server: flaky.url, token, qps: Infinity, retryBaseMs: 1, retries: 30 });
  t.after(async () => {
    await client.close();
    await flaky.close();
  });
  for (let i = 0; i < 3; i += 1) await client.create(widgets, widget('flaky', `w${i}`));
  const { items } = await client.list(widgets, { namespace: 'flaky' }, ({ metadata }) => metadata.name);
  assert.equal(items.length, 3);
});

test('TLS is verified against the CA of the kubeconfig, for requests and exec alike', async (t) => {
  const certificate = selfSigned(new Date());
  const secure = await start({}, certificate);
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-client-'));
  t.after(async () => {
    rmSync(folder, { recursive: true });
    await secure.close();
  });
  const server = secure.url.replace('http:', 'https:');
  async function open(cluster: object): Promise<Cluster> {
    const kubeconfig = join(folder, 'config');
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        'current-context': 'x',
        clusters: [{ name: 'x', cluster: { server, ...cluster } }],
        users: [{ name: 'x', user: { token } }],
        contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
      }),
    );
    const client = await connect({ kubeconfig, retryBaseMs: 1 });
    t.after(() => client.close());
    return client;
  }
  const target = { namespace: 'default', pod: 'none', container: 'x' };
  const ca = Buffer.from(certificate.certificate).toString('base64');
  for (const trusted of [{ 'certificate-authority-data': ca }, { 'insecure-skip-tls-verify': true }]) {
    const client = await open(trusted);
    assert.equal((await client.list(widgets, {}, () => undefined)).items.length, 0);
    await assert.rejects(client.exec(target, ['x']), { code: 'cluster/exec' });
  }
  const stranger = await open({});
  await assert.rejects(stranger.get(widgets, 'cut', 'x'), { code: 'cluster/unreachable', message: /self-signed/ });
  await assert.rejects(stranger.exec(target, ['x']), { code: 'cluster/unreachable', message: /self-signed/ });
  assert.deepEqual(stranger.requests, { get: 1, exec: 1 });
});

test('exec: output, exit code, no such container, no right', async () => {
  api.store.seed('', 'nodes', { metadata: { name: 'node01' } });
  api.store.seed('', 'pods', {
    metadata: { namespace: 'exec', name: 'p' },
    spec: { nodeName: 'node01', containers: [{ name: 'compute' }] },
    status: { phase: 'Running' },
  });
  const target = { namespace: 'exec', pod: 'p', container: 'compute' };
  assert.deepEqual(await cluster.exec(target, ['virsh', 'dumpxml', 'a b']), {
    stdout: 'virsh|dumpxml|a b',
    stderr: 'words',
    exitCode: 0,
  });
  assert.equal((await cluster.exec(target, ['fail'])).exitCode, 3);
  await assert.rejects(cluster.exec({ ...target, container: 'x' }, ['virsh']), {
    code: 'cluster/exec',
    message: /container x is not valid for pod p/,
  });
  await assert.rejects(cluster.exec({ ...target, pod: 'q' }, ['virsh']), { code: 'cluster/exec' });
  const nobody = await connect({ server: api.url, token: 'nobody-token' });
  await assert.rejects(nobody.exec(target, ['virsh']), { code: 'cluster/forbidden' });
  await nobody.close();
  assert.equal((await cluster.get(pods, 'exec', 'p'))?.metadata.name, 'p');
});
