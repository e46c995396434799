import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { PatchpanelError } from '../errors.ts';
import { connect } from './connect.ts';
import { pods } from './resources.ts';

let folder = '';
let url = '';
const authorizations: (string | undefined)[] = [];
/** Tokens that the server refuses. */
const refused = new Set<string>();
const server = createServer((request, response) => {
  const authorization = request.headers.authorization;
  authorizations.push(authorization);
  response.statusCode = refused.has(authorization ?? '') ? 401 : 200;
  response.end('{"metadata":{"name":"a"}}');
});

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchpanel-access-'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  rmSync(folder, { recursive: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function kubeconfig(
  user: string,
  { context = 'one', address = url, current }: { context?: string; address?: string; current?: string } = {},
): string {
  return `apiVersion: v1
kind: Config
current-context: ${current ?? context}
clusters: [{name: c-${context}, cluster: {server: "${address}"}}]
users: [{name: u-${context}, user: ${user}}]
contexts: [{name: ${context}, context: {cluster: c-${context}, user: u-${context}}}]
`;
}

async function authorizationWith(options: Parameters<typeof connect>[0]): Promise<string | undefined> {
  const cluster = await connect({ env: {}, ...options });
  await cluster.get(pods, 'prod', 'a');
  await cluster.close();
  return authorizations.at(-1);
}

test('a kubeconfig with a token, over plain http', async () => {
  const file = write('token', kubeconfig('{token: t1}'));
  assert.equal(await authorizationWith({ kubeconfig: file }), 'Bearer t1');
});

test('basic authentication', async () => {
  const file = write('basic', kubeconfig('{username: u, password: p}'));
  assert.equal(await authorizationWith({ kubeconfig: file }), `Basic ${Buffer.from('u:p').toString('base64')}`);
});

test('a credential plugin is run', async () => {
  const credential = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t2"}}';
  const plugin = JSON.stringify({ exec: { command: process.execPath, args: ['-p', `'${credential}'`] } });
  assert.equal(await authorizationWith({ kubeconfig: write('plugin', kubeconfig(plugin)) }), 'Bearer t2');
});

test('a credential plugin that fails is said so', async () => {
  const plugin = JSON.stringify({
    exec: { command: process.execPath, args: ['-e', 'console.error("no session"); process.exit(1)'] },
  });
  const cluster = await connect({ kubeconfig: write('plugin-fails', kubeconfig(plugin)), env: {} });
  await assert.rejects(cluster.get(pods, 'prod', 'a'), {
    code: 'cluster/config',
    message: /user u-one can not be had: no session/,
  });
});

test('no fault of a kubeconfig, a plugin or a proxy variable repeats the secret that is in it', async () => {
  const secret = 's3cr3t-a1b2c3d4';
  const plugin = JSON.stringify({ exec: { command: process.execPath, args: ['-p', `'${secret}'`] } });
  const proxy = `http://bot:${secret}@127.0.0.1:99999`;
  const cases: readonly (readonly [string, RegExp, string?])[] = [
    [`users: [{name: u, user: {token: "${secret}"}}]\n  token: ${secret}`, /not YAML from line \d+, column \d+ on/],
    [`kind: Config\nusers:\n- name: u\n  user: {token: ${secret}\n`, /not YAML from line \d+, column \d+ on/],
    [kubeconfig(plugin), /the plugin printed no JSON/],
    [kubeconfig('{token: t}', { address: 'https://api.example.com' }), /the proxy variable/, proxy],
  ];
  for (const [text, message, variable] of cases) {
    if (variable !== undefined) process.env.HTTPS_PROXY = variable;
    const used = connect({ kubeconfig: write('secret', text), env: {} }).then((cluster) => cluster.get(pods, 'a', 'a'));
    const error: unknown = await used.then(
      () => undefined,
      (reason) => reason,
    );
    delete process.env.HTTPS_PROXY;
    assert.ok(error instanceof PatchpanelError);
    assert.equal(error.code, 'cluster/config');
    assert.match(error.message, message);
    assert.ok(!`${error.message}${error.remedy}`.includes(secret.slice(0, 6)), error.message);
  }
});

test('--context chooses, KUBECONFIG names several files, the first current context wins', async () => {
  const one = write('one', kubeconfig('{token: first}'));
  const two = write('two', kubeconfig('{token: second}', { context: 'two' }));
  const env = { KUBECONFIG: [join(folder, 'missing'), one, two].join(delimiter) };
  assert.equal(await authorizationWith({ env }), 'Bearer first');
  assert.equal(await authorizationWith({ env, context: 'two' }), 'Bearer second');
  assert.equal(await authorizationWith({ env, kubeconfig: two }), 'Bearer second');
});

test('a name that two files have is taken from the first', async () => {
  const env = {
    KUBECONFIG: [write('a', kubeconfig('{token: a}')), write('b', kubeconfig('{token: b}'))].join(delimiter),
  };
  assert.equal(await authorizationWith({ env }), 'Bearer a');
});

test('a token file is read again after a 401', async () => {
  const tokenFile = write('rotated', 'old\n');
  const cluster = await connect({ server: url, tokenFile });
  await cluster.get(pods, 'prod', 'a');
  writeFileSync(tokenFile, 'new\n');
  refused.add('Bearer old');
  await cluster.get(pods, 'prod', 'a');
  assert.deepEqual(authorizations.slice(-3), ['Bearer old', 'Bearer old', 'Bearer new']);
  refused.add('Bearer new');
  await assert.rejects(cluster.get(pods, 'prod', 'a'), { code: 'cluster/unauthorized' });
  await cluster.close();
});

const faults: { name: string; file?: () => string; context?: string; message: RegExp }[] = [
  { name: 'no file', message: /kubeconfig .*missing can not be read: ENOENT/ },
  { name: 'not YAML', file: () => '{', message: /can not be read/ },
  { name: 'no such context', file: () => kubeconfig('{token: t}'), context: 'prod', message: /has no context prod/ },
  {
    name: 'no current context',
    file: () => kubeconfig('{token: t}', { current: '""' }),
    message: /has no current context/,
  },
  {
    name: 'not a URL',
    file: () => kubeconfig('{token: t}', { address: 'ftp://x' }),
    message: /not an http or https URL/,
  },
];
for (const { name, file, context, message } of faults) {
  test(`${name}: cluster/config`, async () => {
    const path = file === undefined ? join(folder, 'missing') : write('faulty', file());
    await assert.rejects(connect({ kubeconfig: path, context, env: {} }), (error: unknown) => {
      assert.ok(error instanceof PatchpanelError);
      assert.equal(error.code, 'cluster/config');
      assert.match(error.message, message);
      return true;
    });
  });
}

test('the remedy of a wrong context lists those that there are', async () => {
  const file = write('contexts', kubeconfig('{token: t}'));
  await assert.rejects(connect({ kubeconfig: file, context: 'x', env: {} }), { remedy: /--context: one\./ });
});

test('neither kubeconfig nor pod: cluster/config', async () => {
  await assert.rejects(connect({ env: { HOME: folder } }), { code: 'cluster/config' });
});
