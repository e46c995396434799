import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import type { ApiServer, ApiServerOptions, AuditEntry } from './contract.ts';
import { startApiServer } from './server.ts';

const widgets = {
  group: 'example.dev',
  versions: ['v1'],
  plural: 'widgets',
  singular: 'widget',
  kind: 'Widget',
  namespaced: true,
  statusSubresource: true,
  custom: true,
} as const;

const options: ApiServerOptions = {
  port: 0,
  resources: [widgets],
  admission: [],
  subresources: [],
  exec: async ({ command, stdin }) => {
    if (command[0] === 'cat') {
      let text = '';
      for await (const chunk of stdin) text += Buffer.from(chunk).toString('utf8');
      return { exitCode: 0, stdout: text, stderr: '' };
    }
    return { exitCode: command[0] === 'fail' ? 3 : 0, stdout: 'out\n', stderr: 'err\n' };
  },
  tokens: new Map([['admin', { user: 'admin', groups: ['system:masters'] }]]),
};

let api: ApiServer;
before(async () => {
  api = await startApiServer(options);
});
after(() => api.close());

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Reply> {
  const response = await fetch(api.url + path, {
    method,
    headers: { authorization: 'Bearer admin', ...(body === undefined ? {} : { 'content-type': type }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const path = '/apis/example.dev/v1/namespaces/default/widgets';

function widget(name: string, spec: object = {}): object {
  return { apiVersion: 'example.dev/v1', kind: 'Widget', metadata: { name }, spec };
}

test('creates, reads, patches and deletes', async () => {
  assert.equal((await call('POST', path, widget('a', { size: 1 }))).status, 201);
  const patched = await call(
    'PATCH',
    `${path}/a`,
    [
      { op: 'test', path: '/spec/size', value: 1 },
      { op: 'replace', path: '/spec/size', value: 2 },
    ],
    'application/json-patch+json',
  );
  assert.deepEqual(patched.body.spec, { size: 2 });
  const merged = await call(
    'PATCH',
    `${path}/a/status`,
    { status: { phase: 'Ready' } },
    'application/merge-patch+json',
  );
  assert.deepEqual(merged.body.status, { phase: 'Ready' });
  assert.equal((await call('DELETE', `${path}/a`)).status, 200);
  assert.equal((await call('GET', `${path}/a`)).status, 404);
});

test('a watch tells what happens after a resourceVersion', async () => {
  const list = await call('GET', path);
  const { resourceVersion } = list.body.metadata as { resourceVersion: string };
  const abort = new AbortController();
  const response = await fetch(`${api.url}${path}?watch=1&resourceVersion=${resourceVersion}`, {
    headers: { authorization: 'Bearer admin' },
    signal: abort.signal,
  });
  await call('POST', path, widget('w'));
  await call('DELETE', `${path}/w`);
  const types: string[] = [];
  let rest = '';
  assert.ok(response.body !== null);
  for await (const chunk of response.body) {
    const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) types.push((JSON.parse(line) as { type: string }).type);
    if (types.length === 2) break;
  }
  abort.abort();
  assert.deepEqual(types, ['ADDED', 'DELETED']);
});

async function exec(query: string, protocol: string, input?: string): Promise<readonly string[]> {
  const socket = new WebSocket(
    `${api.url.replace('http', 'ws')}/api/v1/namespaces/default/pods/p/exec?${query}`,
    [protocol],
    {
      headers: { authorization: 'Bearer admin' },
    },
  );
  const frames: string[] = [];
  socket.on('message', (data: Buffer) => frames.push(`${data[0]}:${data.subarray(1).toString('utf8')}`));
  socket.on('open', () => {
    if (input === undefined) return;
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from(input)]));
    socket.send(Buffer.from([255, 0]));
  });
  await new Promise((resolve, reject) => {
    socket.on('close', resolve);
    socket.on('error', reject);
  });
  return frames;
}

test('exec speaks v5 and v4', async () => {
  api.store.seed('', 'nodes', { metadata: { name: 'node01' } });
  api.store.seed('', 'pods', {
    metadata: { name: 'p', namespace: 'default' },
    spec: { nodeName: 'node01', containers: [{ name: 'a' }] },
  });
  assert.deepEqual(await exec('command=x&stdout=true&stderr=true', 'v5.channel.k8s.io'), [
    '1:',
    '1:out\n',
    '2:err\n',
    '3:{"metadata":{},"status":"Success"}',
  ]);
  assert.deepEqual(await exec('command=cat&stdin=true&stdout=true', 'v5.channel.k8s.io', 'abc\n'), [
    '1:',
    '1:abc\n',
    '3:{"metadata":{},"status":"Success"}',
  ]);
  assert.deepEqual(await exec('command=fail&stdout=true', 'v4.channel.k8s.io'), [
    '1:',
    '1:out\n',
    '3:{"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3",' +
      '"reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}',
  ]);
});

test('faults: a share of requests fails, and watches are cut', async () => {
  const faulty = await startApiServer({ ...options, faults: { errorShare: 1, watchCutMilliseconds: 10 } });
  try {
    const response = await fetch(`${faulty.url}${path}`, { headers: { authorization: 'Bearer admin' } });
    await response.text();
    assert.ok(response.status === 429 ? response.headers.get('retry-after') === '1' : response.status === 503);
  } finally {
    await faulty.close();
  }
  const cutting = await startApiServer({ ...options, faults: { watchCutMilliseconds: 10 } });
  try {
    const response = await fetch(`${cutting.url}${path}?watch=1`, { headers: { authorization: 'Bearer admin' } });
    await assert.rejects(response.text());
  } finally {
    await cutting.close();
  }
});

test('tells of each request who made it and how it ended', async () => {
  const entries: AuditEntry[] = [];
  const audited = await startApiServer({ ...options, onRequest: (entry) => entries.push(entry) });
  try {
    const response = await fetch(`${audited.url}${path}/none/status`, { headers: { authorization: 'Bearer admin' } });
    await response.text();
  } finally {
    await audited.close();
  }
  assert.deepEqual(entries, [
    {
      user: 'admin',
      method: 'GET',
      path: `${path}/none/status`,
      verb: 'get',
      resource: 'widgets',
      subresource: 'status',
      status: 404,
    },
  ]);
});

test('an object that is being changed is never seen half done', async () => {
  await call('POST', path, widget('frozen', { size: 1, list: [1] }));
  const before = api.store.get('example.dev', 'widgets', 'default', 'frozen');
  const copy = structuredClone(before);
  await call('PATCH', `${path}/frozen?dryRun=All`, { spec: { size: 2 } }, 'application/merge-patch+json');
  await call('PATCH', `${path}/frozen`, { metadata: { labels: { a: 'b' } } }, 'application/merge-patch+json');
  assert.deepEqual(before, copy);
});

test('bears requests whose target is no path', async () => {
  const { hostname, port } = new URL(api.url);
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.end('OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    );
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('utf8');
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
  assert.match(answer, /^HTTP\/1\.1 403 /);
});

test('a Lease with the time of Date.toISOString is refused', async () => {
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'l' },
    spec: { renewTime: new Date().toISOString() },
  };
  const refused = await call('POST', '/apis/coordination.k8s.io/v1/namespaces/default/leases', lease);
  assert.equal(refused.status, 400);
  assert.match(String(refused.body.message), /cannot parse "\.\d{3}Z" as "\.000000"/);
});
