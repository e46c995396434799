import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { failureOf } from '../../test/failure.ts';
import type { Cluster, KubeObject, PatchOperation } from './cluster.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { apiFailure } from './failures.ts';
import { daemonSets, pods, virtualMachines } from './resources.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: number | undefined;
}

type Handler = (seen: Seen, response: ServerResponse, count: number) => void;

/** A server that answers as the test says, and remembers what it was asked. */
async function serve(handler: Handler, options: ConnectOptions = {}): Promise<{ cluster: Cluster; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const one = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body,
      socket: request.socket.remotePort,
    };
    seen.push(one);
    handler(one, response, seen.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cluster = await connect({
    server: `http://127.0.0.1:${port}`,
    token: 'secret-token',
    retryBaseMs: 1,
    ...options,
  });
  closers.push(async () => {
    await cluster.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { cluster, seen };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, message, code };
}

const pod: KubeObject = { metadata: { name: 'a', namespace: 'prod', resourceVersion: '1' } };
const guarded: PatchOperation[] = [
  { op: 'test', path: '/spec/x', value: 1 },
  { op: 'replace', path: '/spec/x', value: 2 },
];
const unguarded: PatchOperation[] = [{ op: 'add', path: '/spec/x/-', value: 2 }];

test('a get carries the token, and requests share connections', async () => {
  const { cluster, seen } = await serve((_, response) => json(response, 200, pod));
  for (let i = 0; i < 5; i += 1) assert.deepEqual(await cluster.get(pods, 'prod', 'a'), pod);
  assert.equal(seen[0]?.headers.authorization, 'Bearer secret-token');
  assert.equal(seen[0]?.url, '/api/v1/namespaces/prod/pods/a');
  assert.equal(new Set(seen.map(({ socket }) => socket)).size, 1);
  assert.deepEqual(cluster.requests, { get: 5 });
});

test('the clock of the server is known from its answers', async () => {
  const then = 'Sun, 01 Mar 2026 12:00:00 GMT';
  const { cluster } = await serve((_seen, response) => json(response, 404, { code: 404 }, { date: then }));
  await cluster.get(pods, 'prod', 'a');
  const age = cluster.serverNow() - Date.parse(then);
  assert.ok(age >= 0 && age < 3_600_000, `${age} ms`);
});

test('a missing object is undefined on get and no error on delete', async () => {
  const { cluster } = await serve((_, response) => json(response, 404, status(404, 'NotFound', 'pods "a" not found')));
  assert.equal(await cluster.get(pods, 'prod', 'a'), undefined);
  await cluster.delete(pods, 'prod', 'a');
});

test('429 is repeated for every call, after what Retry-After says', async () => {
  const waits: number[] = [];
  const { cluster, seen } = await serve(
    (_, response, count) =>
      count === 1
        ? json(response, 429, status(429, 'TooManyRequests', 'slow down'), { 'retry-after': '0.02' })
        : json(response, 201, pod),
    { onRetry: ({ waitMs }) => waits.push(waitMs) },
  );
  await cluster.jsonPatch(pods, 'prod', 'a', unguarded);
  assert.equal(seen.length, 2);
  assert.ok((waits[0] ?? 0) >= 20);
});

const outcomes = [
  { name: 'reset', answer: (response: ServerResponse) => response.destroy() },
  { name: '502', answer: (response: ServerResponse) => response.writeHead(502).end('<html>bad gateway') },
  { name: '503', answer: (response: ServerResponse) => response.writeHead(503).end() },
  { name: '504', answer: (response: ServerResponse) => json(response, 504, status(504, 'Timeout', 'too long')) },
];
const calls: { name: string; repeated: boolean; call: (cluster: Cluster) => Promise<unknown> }[] = [
  { name: 'get', repeated: true, call: (cluster) => cluster.get(pods, 'prod', 'a') },
  { name: 'list', repeated: true, call: (cluster) => cluster.list(pods, {}, (object) => object) },
  { name: 'create of a name', repeated: true, call: (cluster) => cluster.create(pods, pod) },
  {
    name: 'create with generateName',
    repeated: false,
    call: (cluster) => cluster.create(pods, { metadata: { name: '', generateName: 'a-', namespace: 'prod' } }),
  },
  { name: 'update', repeated: true, call: (cluster) => cluster.update(pods, pod) },
  { name: 'patch with test', repeated: true, call: (cluster) => cluster.jsonPatch(pods, 'prod', 'a', guarded) },
  { name: 'patch without test', repeated: false, call: (cluster) => cluster.jsonPatch(pods, 'prod', 'a', unguarded) },
  { name: 'merge patch', repeated: true, call: (cluster) => cluster.mergePatch(pods, 'prod', 'a', { spec: {} }) },
  { name: 'delete', repeated: true, call: (cluster) => cluster.delete(pods, 'prod', 'a') },
];
for (const outcome of outcomes) {
  for (const { name, repeated, call } of calls) {
    test(`${outcome.name} on ${name} is ${repeated ? '' : 'not '}repeated`, async () => {
      const { cluster, seen } = await serve((_, response, count) =>
        count === 1 ? outcome.answer(response) : json(response, 200, pod),
      );
      if (repeated) await call(cluster);
      else await failureOf(call(cluster));
      assert.equal(seen.length, repeated ? 2 : 1);
    });
  }
}

test('500 is repeated for a read only', async () => {
  const answer: Handler = (_, response, count) =>
    count === 1 ? json(response, 500, status(500, 'InternalError', 'etcd')) : json(response, 200, pod);
  const read = await serve(answer);
  await read.cluster.get(pods, 'prod', 'a');
  const write = await serve(answer);
  const error = await failureOf(write.cluster.jsonPatch(pods, 'prod', 'a', guarded));
  assert.equal(error.code, 'cluster/api');
  assert.equal(write.seen.length, 1);
});

test('repetition ends, and the error says what the server said', async () => {
  const { cluster, seen } = await serve(
    (_, response) => json(response, 503, status(503, 'ServiceUnavailable', 'no endpoints for virt-api')),
    { retries: 2 },
  );
  const error = await failureOf(cluster.get(virtualMachines, 'prod', 'db-0'));
  assert.equal(seen.length, 3);
  assert.equal(error.code, 'cluster/api');
  assert.match(error.message, /get virtualmachines prod\/db-0: 503 ServiceUnavailable: no endpoints for virt-api/);
});

test('nobody listens: cluster/unreachable after three attempts', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const cluster = await connect({ server: `http://127.0.0.1:${port}`, retryBaseMs: 1 });
  const error = await failureOf(cluster.jsonPatch(pods, 'prod', 'a', unguarded));
  assert.equal(error.code, 'cluster/unreachable');
  assert.deepEqual(cluster.requests, { patch: 3 });
  await cluster.close();
});

test('a server that does not answer is given up, and asked again for a read', async () => {
  const { cluster, seen } = await serve(
    (_, response, count) => {
      if (count > 1) json(response, 200, pod);
    },
    { timeoutMs: 60 },
  );
  assert.deepEqual(await cluster.get(pods, 'prod', 'a'), pod);
  assert.equal(seen.length, 2);
});

test('an answer beyond the limit is refused', async () => {
  const { cluster, seen } = await serve((_, response) => json(response, 200, { x: 'y'.repeat(5000) }), {
    maxResponseBytes: 1000,
  });
  assert.match((await failureOf(cluster.get(pods, 'prod', 'a'))).message, /more than 1000 bytes/);
  assert.equal(seen.length, 1);
});

const refusals = [
  { code: 401, reason: 'Unauthorized', error: 'cluster/unauthorized' },
  { code: 403, reason: 'Forbidden', error: 'cluster/forbidden' },
  { code: 404, reason: 'NotFound', error: 'cluster/api' },
  { code: 409, reason: 'Conflict', error: 'cluster/conflict' },
  { code: 422, reason: 'Invalid', error: 'cluster/api' },
];
for (const { code, reason, error: expected } of refusals) {
  test(`${code} on a patch is ${expected}, with the Status as cause, and not repeated`, async () => {
    const { cluster, seen } = await serve((_, response) => json(response, code, status(code, reason, 'the message')));
    const error = await failureOf(cluster.jsonPatch(virtualMachines, 'prod', 'db-0', guarded));
    assert.equal(error.code, expected);
    assert.deepEqual(apiFailure(error), { status: code, reason, message: 'the message' });
    assert.doesNotMatch(`${error.message}${error.remedy}`, /secret-token/);
    assert.equal(seen.length, 1);
  });
}

test('403 names verb, resource and group in message and remedy', async () => {
  const message =
    'virtualmachines.kubevirt.io is forbidden: User "bob" cannot list resource "virtualmachines" in API group "kubevirt.io" in the namespace "prod"';
  const { cluster } = await serve((_, response) => json(response, 403, status(403, 'Forbidden', message)));
  const error = await failureOf(cluster.list(virtualMachines, { namespace: 'prod' }, (object) => object));
  assert.equal(error.message, `no permission to list virtualmachines in namespace prod: ${message}`);
  assert.match(error.remedy, /"list" on "virtualmachines" of API group "kubevirt.io"/);
});

test('an answer that is no Status keeps its status and text', async () => {
  const { cluster } = await serve((_, response) => response.writeHead(404).end('404 page not found\n'));
  const error = await failureOf(cluster.list(virtualMachines, {}, (object) => object));
  assert.deepEqual(apiFailure(error), { status: 404, reason: 'NotFound', message: '404 page not found' });
});

test('list reads all pages and projects them', async () => {
  const { cluster, seen } = await serve((request, response) => {
    const next = new URL(request.url, 'http://x').searchParams.get('continue');
    json(response, 200, {
      metadata: { resourceVersion: '7', ...(next === null ? { continue: 'p2' } : { continue: '' }) },
      items: [{ metadata: { name: next ?? 'p1' } }, { metadata: { name: 'dropped' } }],
    });
  });
  const answer = await cluster.list(daemonSets, { labelSelector: 'a in (b,c)' }, ({ metadata }) =>
    metadata.name === 'dropped' ? undefined : metadata.name,
  );
  assert.deepEqual(answer, { items: ['p1', 'p2'], resourceVersion: '7' });
  assert.equal(seen[0]?.url, '/apis/apps/v1/daemonsets?labelSelector=a+in+%28b%2Cc%29&limit=250');
  assert.equal(seen[0]?.headers.accept, 'application/json');
});

test('list starts over when its snapshot expires', async () => {
  const { cluster, seen } = await serve((_, response, count) => {
    if (count === 2) json(response, 410, status(410, 'Expired', 'The provided continue parameter is too old'));
    else {
      json(response, 200, {
        metadata: { resourceVersion: String(count), ...(count === 1 ? { continue: 'x' } : {}) },
        items: [{ metadata: { name: `n${count}` } }],
      });
    }
  });
  const answer = await cluster.list(pods, {}, ({ metadata }) => metadata.name);
  assert.deepEqual(answer, { items: ['n3'], resourceVersion: '3' });
  assert.equal(seen.length, 3);
});

test('metadataOnly asks for PartialObjectMetadata', async () => {
  const { cluster, seen } = await serve((_, response) => json(response, 200, { metadata: {}, items: [] }));
  await cluster.list(pods, { namespace: 'prod' }, (object) => object, { metadataOnly: true });
  assert.match(seen[0]?.headers.accept ?? '', /as=PartialObjectMetadataList;g=meta.k8s.io;v=v1/);
});

test('writes carry type, field manager and dry run; KubeVirt subresources have a group of their own', async () => {
  const { cluster, seen } = await serve(
    (request, response) =>
      request.url.includes('subresources') ? response.writeHead(202).end() : json(response, 200, pod),
    { fieldManager: 'patchpanel' },
  );
  await cluster.jsonPatch(virtualMachines, 'prod', 'db-0', guarded, { dryRun: true });
  assert.equal(seen[0]?.url.replace(/^.*\?/, ''), 'dryRun=All&fieldManager=patchpanel');
  assert.equal(seen[0]?.headers['content-type'], 'application/json-patch+json');
  await cluster.create(pods, pod);
  assert.deepEqual(JSON.parse(seen[1]?.body ?? ''), { ...pod, apiVersion: 'v1', kind: 'Pod' });
  assert.equal(seen[1]?.url, '/api/v1/namespaces/prod/pods?fieldManager=patchpanel');
  const answer = await cluster.update(
    virtualMachines,
    { metadata: { name: 'db-0', namespace: 'prod' } },
    { subresource: 'restart' },
  );
  assert.deepEqual(answer, { metadata: { name: 'db-0', namespace: 'prod' } });
  assert.equal(seen[2]?.url, '/apis/subresources.kubevirt.io/v1/namespaces/prod/virtualmachines/db-0/restart');
  assert.equal(seen[2]?.headers.accept, 'application/json, */*');
});

test('a watch yields events, and ends with the server', async () => {
  const { cluster, seen } = await serve((_, response) => {
    response.writeHead(200);
    const lines = ['ADDED', 'BOOKMARK', 'DELETED'].map((type) => `${JSON.stringify({ type, object: pod })}\n`).join('');
    // Cut in the middle of a line, as a network does.
    response.write(lines.slice(0, 50));
    setImmediate(() => response.end(lines.slice(50)));
  });
  const types: string[] = [];
  const signal = new AbortController().signal;
  for await (const event of cluster.watch(pods, { namespace: 'prod', resourceVersion: '5' }, signal)) {
    types.push(event.type);
  }
  assert.deepEqual(types, ['ADDED', 'BOOKMARK', 'DELETED']);
  assert.match(seen[0]?.url ?? '', /watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300/);
});

test('an ERROR event is thrown with its Status', async () => {
  const { cluster } = await serve((_, response) => {
    response.end(`${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old resource version') })}\n`);
  });
  const error = await failureOf(
    (async () => {
      for await (const _ of cluster.watch(pods, { resourceVersion: '5' }, new AbortController().signal));
    })(),
  );
  assert.equal(error.code, 'cluster/api');
  assert.equal(apiFailure(error)?.status, 410);
});

test('an abort ends a watch without an error, also while it waits', async () => {
  const { cluster } = await serve((_, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: 'ADDED', object: pod })}\n`);
  });
  const controller = new AbortController();
  let events = 0;
  for await (const _ of cluster.watch(pods, { resourceVersion: '5' }, controller.signal)) {
    events += 1;
    setImmediate(() => controller.abort());
  }
  assert.equal(events, 1);
});

test('closing ends what waits for its next attempt', async () => {
  const { cluster } = await serve((_, response) => json(response, 429, {}, { 'retry-after': '30' }), {
    onRetry: () => setImmediate(() => void cluster.close()),
  });
  assert.equal((await failureOf(cluster.get(pods, 'prod', 'a'))).code, 'cluster/unreachable');
});

test('an abort ends a list, also while it waits', async () => {
  const controller = new AbortController();
  const { cluster } = await serve((_, response) => json(response, 429, {}, { 'retry-after': '30' }), {
    onRetry: () => setImmediate(() => controller.abort(new Error('enough'))),
  });
  await assert.rejects(
    cluster.list(pods, {}, () => undefined, { signal: controller.signal }),
    /enough/,
  );
});

test('a watch that breaks is an error', async () => {
  const { cluster } = await serve((_, response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ type: 'ADDED', object: pod })}\n{"type":`);
    setImmediate(() => response.destroy());
  });
  const error = await failureOf(
    (async () => {
      for await (const _ of cluster.watch(pods, { resourceVersion: '5' }, new AbortController().signal));
    })(),
  );
  assert.equal(error.code, 'cluster/unreachable');
});
