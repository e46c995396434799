import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, suite, test } from 'node:test';
import { selfSigned } from './certificate.ts';
import type { ApiServer } from './contract.ts';
import { startApiServer } from './server.ts';

const program = 'kubectl';
const missing = spawnSync(program, ['version', '--client']).status !== 0;

const widgets = {
  group: 'example.dev',
  versions: ['v1'],
  plural: 'widgets',
  singular: 'widget',
  kind: 'Widget',
  shortNames: ['wd'],
  namespaced: true,
  statusSubresource: true,
  custom: true,
  columns: [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'Ready', type: 'string', jsonPath: ".status.conditions[?(@.type=='Ready')].status" },
  ],
  schema: {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { size: { type: 'integer', description: 'How big it is.' }, color: { type: 'string' } },
      },
      status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  },
} as const;

const folder = mkdtempSync(join(tmpdir(), 'patchpanel-kubectl-'));
let api: ApiServer;

suite('kubectl', { skip: missing }, () => {
  before(async () => {
    const tls = selfSigned(new Date());
    api = await startApiServer({
      port: 0,
      tls,
      resources: [widgets],
      admission: [],
      subresources: [],
      exec: async ({ command }) => ({
        exitCode: command[0] === 'fail' ? 3 : 0,
        stdout: `${command.join(' ')}\n`,
        stderr: '',
      }),
      tokens: new Map([['secret', { user: 'admin', groups: ['system:masters'] }]]),
    });
    api.store.seed('', 'nodes', { metadata: { name: 'node01' } });
    api.store.seed('', 'pods', {
      metadata: { name: 'p1', namespace: 'default' },
      spec: { nodeName: 'node01', containers: [{ name: 'a', image: 'i' }] },
      status: { phase: 'Running' },
    });
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'sandbox',
          cluster: { server: api.url, 'certificate-authority-data': Buffer.from(tls.certificate).toString('base64') },
        },
      ],
      users: [{ name: 'admin', user: { token: 'secret' } }],
      contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'admin' } }],
      'current-context': 'sandbox',
    };
    writeFileSync(join(folder, 'config'), JSON.stringify(config));
  });
  after(async () => {
    await api.close();
    rmSync(folder, { recursive: true });
  });

  const environment = { ...process.env, KUBECONFIG: join(folder, 'config'), HOME: folder };

  function kubectl(...args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
    return new Promise((resolve) => {
      execFile(program, args, { env: environment, timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: stdout + stderr });
      });
    });
  }

  function manifest(size: number): string {
    const file = join(folder, 'widget.yaml');
    writeFileSync(file, `apiVersion: example.dev/v1\nkind: Widget\nmetadata: {name: w1}\nspec: {size: ${size}}\n`);
    return file;
  }

  test('lists resources and explains fields', async () => {
    assert.match((await kubectl('api-resources')).text, /widgets\s+wd\s+example\.dev\/v1\s+true\s+Widget/);
    assert.match((await kubectl('explain', 'widgets.spec.size')).text, /How big it is\./);
  });

  test('applies, on the client and on the server', async () => {
    assert.match((await kubectl('apply', '-f', manifest(1))).text, /widget\.example\.dev\/w1 created/);
    assert.match((await kubectl('apply', '-f', manifest(1))).text, /w1 unchanged/);
    assert.match((await kubectl('apply', '-f', manifest(2))).text, /w1 configured/);
    const applied = await kubectl('apply', '--server-side', '--force-conflicts', '-f', manifest(3));
    assert.match(applied.text, /w1 serverside-applied/);
    assert.match((await kubectl('diff', '-f', manifest(4))).text, /\+ {2}size: 4/);
  });

  test('patches', async () => {
    const steps = JSON.stringify([
      { op: 'test', path: '/spec/size', value: 3 },
      { op: 'replace', path: '/spec/size', value: 5 },
    ]);
    assert.match((await kubectl('patch', 'wd', 'w1', '--type=json', '-p', steps)).text, /w1 patched/);
    const again = await kubectl('patch', 'wd', 'w1', '--type=json', '-p', steps);
    assert.match(again.text, /the server rejected our request due to an error in our request/);
    assert.match(
      (await kubectl('patch', 'wd', 'w1', '--type=merge', '-p', '{"spec":{"color":"red"}}')).text,
      /w1 patched/,
    );
    assert.match((await kubectl('patch', 'pod', 'p1', '-p', '{"metadata":{"labels":{"a":"b"}}}')).text, /p1 patched/);
  });

  test('gets tables, YAML and changes', async () => {
    assert.match((await kubectl('get', 'wd')).text, /^NAME +SIZE +READY\nw1 +5 +$/m);
    assert.match((await kubectl('get', 'pods', '-o', 'wide')).text, /p1 +0\/1 +Running +0 .*node01/);
    assert.match((await kubectl('get', 'wd', 'w1', '-o', 'yaml')).text, /spec:\n {2}color: red\n {2}size: 5\n/);
    const watch = spawn(program, ['get', 'wd', '-w'], { env: environment });
    let seen = '';
    const changed = new Promise<void>((resolve) => {
      watch.stdout.on('data', (data: Buffer) => {
        seen += data.toString('utf8');
        if (/w1 +5 /.test(seen) && /w1 +6 /.test(seen)) resolve();
        else if (!seen.includes(' 6 ') && /w1 +5 /.test(seen))
          void kubectl('patch', 'wd', 'w1', '--type=merge', '-p', '{"spec":{"size":6}}');
      });
    });
    await changed;
    watch.kill();
  });

  test('runs commands in a container', async () => {
    const done = await kubectl('exec', 'p1', '--', 'echo', 'hello');
    assert.deepEqual(done, { code: 0, text: 'echo hello\n' });
    const failed = await kubectl('exec', 'p1', '-c', 'a', '--', 'fail');
    assert.equal(failed.code, 3);
    assert.match(failed.text, /command terminated with exit code 3/);
  });

  test('creates with its own clients, asks for rights, deletes', async () => {
    assert.match((await kubectl('create', 'namespace', 'other')).text, /namespace\/other created/);
    assert.match(
      (await kubectl('create', 'configmap', 'c', '-n', 'other', '--from-literal=a=b')).text,
      /configmap\/c created/,
    );
    assert.match((await kubectl('get', 'cm', 'c', '-n', 'other', '-o', 'jsonpath={.data.a}')).text, /^b$/);
    assert.deepEqual(await kubectl('auth', 'can-i', 'delete', 'pods'), { code: 0, text: 'yes\n' });
    assert.deepEqual(await kubectl('auth', 'can-i', 'delete', 'pods', '--as', 'bob'), { code: 1, text: 'no\n' });
    assert.match((await kubectl('delete', 'namespace', 'other')).text, /deleted/);
    assert.match((await kubectl('get', 'cm', 'c', '-n', 'other')).text, /not found/);
    assert.match((await kubectl('delete', 'wd', 'w1')).text, /"w1" deleted/);
  });
});
