/** What runs leave behind, through the command line: record, Events, annotations, metrics, notifications, a log. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import { configMaps, pods, virtualMachines } from '../reconcile/kube/resources.ts';
import { fields, text } from '../reconcile/systems/json-shape.ts';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { kubectlIsMissing } from './deploy-manifests.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const secretToken = 'glpat-not-a-real-token';

let stage: CliStage;
let git: GitServer;
let gitRequests: string[] = [];
let hub: Server;
let hubUrl: string;
let received: Received[] = [];
let answer = 201;

before(async () => {
  stage = await CliStage.start();
  git = await startGitServer({
    root: stage.folder,
    intercept: ({ method, url }) => {
      gitRequests.push(`${method} ${url}`);
      return false;
    },
  });
  hub = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      received.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers, body });
      response.writeHead(answer).end('{}');
    });
  });
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const address = hub.address();
  hubUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
});
after(async () => {
  await stage.stop();
  await git.close();
  await new Promise((resolve) => hub.close(resolve));
});
afterEach(async () => {
  await stage.cluster.misbehave();
  await stage.handOver('db-0', 'web-0', 'web-1');
  received = [];
  answer = 201;
});

async function push(name: string, vms: Parameters<typeof desiredFiles>[0]): Promise<string> {
  const folder = join(stage.folder, name);
  await newRepository(stage.folder, name).catch(() => {});
  await writeFiles(folder, desiredFiles(vms));
  return await commitAll(folder, 'NICs');
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', KUBECONFIG: stage.kubeconfig, HOME: stage.folder };
  return (await promisify(execFile)('kubectl', [...args, '--namespace', 'demo'], { env })).stdout;
}

/** A URL at which nobody listens any more. */
async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

async function recordOf(name: string) {
  const found = await stage.cluster.admin.get(configMaps, 'demo', name);
  stage.requests();
  return { version: found?.metadata.resourceVersion, ...JSON.parse(text(fields(found?.data)['record.json']) ?? '{}') };
}

test('--if-changed: converged once, then one look at the ref and one GET of the record, until a recheck is due', async () => {
  const first = await push('changed.git', { 'web-0': ['storage'] });
  const url = `${git.url}/changed.git`;
  const args = ['apply', url, '--record', 'demo/changed', '--if-changed'];
  const converged = await stage.expect(0, args);
  assert.match(converged.stdout, /1 VM converged/);
  const vm = '/apis/kubevirt.io/v1/namespaces/demo/virtualmachines/web-0';
  assert.deepEqual(
    stage.writes().map((write) => write.split('?')[0]),
    [
      'POST leases /apis/coordination.k8s.io/v1/namespaces/demo/leases',
      `PATCH virtualmachines ${vm}`,
      'PATCH leases /apis/coordination.k8s.io/v1/namespaces/demo/leases/changed',
      'POST configmaps /api/v1/namespaces/demo/configmaps',
    ],
  );
  const record = await recordOf('changed');
  assert.equal(record.commit, `HEAD@sha1:${first}`);
  assert.deepEqual([record.outcome, record.counts.inSync, record.runs.length], ['converged', 1, 1]);
  assert.equal(record.targets['demo/web-0'].state, 'in-sync');

  gitRequests = [];
  const skipped = await stage.expect(0, args);
  assert.match(skipped.stdout, /^unchanged: HEAD@sha1:\w+ was found in sync \d+ s ago; .*\n$/);
  assert.deepEqual(gitRequests, ['GET /changed.git/info/refs?service=git-upload-pack']);
  assert.deepEqual(
    stage.requests().map(({ method, path }) => `${method} ${path}`),
    ['GET /api/v1/namespaces/demo/configmaps/changed'],
  );

  // Due at once: a full run, which writes nothing but the time of the check.
  const due = await stage.expect(0, [...args, '--recheck-after', '0s']);
  assert.match(due.stdout, /0 VMs converged, 1 unchanged/);
  assert.deepEqual(
    stage.writes().map((write) => write.split(' ').slice(0, 2).join(' ')),
    ['PATCH configmaps'],
  );
  const stamped = await recordOf('changed');
  assert.deepEqual({ ...stamped, version: '', lastFullCheck: '' }, { ...record, version: '', lastFullCheck: '' });
  // Without --if-changed a run without news does not even write that.
  await stage.expect(0, ['apply', url, '--record', 'demo/changed']);
  assert.deepEqual(stage.writes(), []);

  // Another commit, and other variables, are looked at.
  await push('changed.git', { 'web-0': [] });
  assert.match((await stage.expect(0, args)).stdout, /unplug storage/);
  assert.match((await stage.expect(0, [...args, '-V', 'site=b'])).stdout, /0 VMs converged/);
});

test('--if-changed is for git and a record, and looks again while all is not in sync', async () => {
  for (const args of [
    ['apply', stage.folder, '--record', 'demo/x', '--if-changed'],
    ['apply', `${git.url}/changed.git`, '--if-changed'],
  ]) {
    const { stderr } = await stage.expect(3, args);
    assert.match(stderr, /--if-changed needs the URL of a git repository, and --record/);
  }
  await push('blocked.git', { 'web-1': [{ name: 'nic', network: 'no-such-net' }] });
  const args = ['apply', `${git.url}/blocked.git`, '--record', 'demo/blocked', '--if-changed'];
  await stage.expect(4, args);
  const record = await recordOf('blocked');
  assert.match(record.targets['demo/web-1'].reason, /^network-missing: /);
  stage.requests();
  await stage.expect(4, args);
  assert.deepEqual(stage.writes(), [], 'blocked as before: no news');
});

test('status shows commit, outcome, what is not in sync and why, and the last five runs', async () => {
  const none = await stage.expect(3, ['status', '--record', 'demo/nowhere']);
  assert.match(none.stderr, /run\/no-record/);
  const folder = await stage.desired('status', { 'db-0': ['mgmt'], 'web-1': [] });
  const args = ['apply', folder, '--record', 'demo/status'];
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mgmt' });
  await stage.expect(5, [...args, '--action-timeout', '2']);
  const failed = await stage.expect(0, ['status', '--record', 'demo/status']);
  assert.match(failed.stdout, /partly-failed: 1 of 2 targets in sync, 1 failed/);
  assert.match(failed.stdout, /demo\/db-0 {2}failed since \d+ s: held; apply\/timeout: /);
  await stage.cluster.misbehave();
  await stage.cluster.admin.jsonPatch(virtualMachines, 'demo', 'db-0', [
    { op: 'remove', path: '/metadata/annotations/patchpanel.dev~1held' },
  ]);
  await stage.expect(0, args);
  // A fault of the repository is news once.
  await writeFile(join(folder, 'broken.yaml'), 'kind: [');
  await stage.expect(3, args);
  stage.requests();
  await stage.expect(3, args);
  assert.deepEqual(stage.writes(), []);
  const { record } = JSON.parse(
    (await stage.expect(0, ['status', '-o', 'json'], { env: { PATCHPANEL_RECORD: 'demo/status' } })).stdout,
  );
  assert.deepEqual(
    record.runs.map(({ outcome }: { outcome: string }) => outcome),
    ['error', 'converged', 'partly-failed'],
  );
  assert.equal(record.error.code, 'yaml/syntax');
  assert.equal(record.targets['demo/db-0'].state, 'in-sync');
});

test('a change is annotated in its own write, told by an Event, and logged with run and commit', {
  skip: kubectlIsMissing(),
}, async () => {
  const commit = await push('told.git', { 'web-0': ['backup', 'red'] });
  const url = `${git.url}/told.git`;
  const args = ['apply', url, '--ref', 'main', '--events', '--log-format', 'json'];
  const { stderr } = await stage.expect(0, args);
  const kinds = stage.writes().map((write) => write.split(' ').slice(0, 2).join(' '));
  assert.deepEqual(
    kinds.filter((kind) => kind.startsWith('PATCH')),
    ['PATCH virtualmachines', 'PATCH virtualmachines'],
  );
  assert.deepEqual(
    kinds.filter((kind) => kind.startsWith('POST')),
    ['POST events'],
  );
  const vm = await stage.cluster.admin.get(virtualMachines, 'demo', 'web-0');
  assert.equal(vm?.metadata.annotations?.['patchpanel.dev/applied-commit'], `main@sha1:${commit}`);
  assert.match(vm?.metadata.annotations?.['patchpanel.dev/applied-at'] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const described = await kubectl('describe', 'virtualmachine', 'web-0');
  assert.match(
    described,
    new RegExp(
      `Normal +NetworksChanged +\\S+ +patchpanel +done: plug backup, plug red \\[main@sha1:${commit}, run \\w+\\]`,
    ),
  );
  const lines: Record<string, unknown>[] = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(new Set(lines.map(({ run }) => run)).size, 1);
  const actions = lines.filter(({ action }) => action !== undefined);
  assert.ok(actions.length > 0);
  for (const line of actions) assert.deepEqual([line.commit, line.vm], [`main@sha1:${commit}`, 'demo/web-0']);
  stage.requests();
  await stage.expect(0, args);
  assert.deepEqual(stage.writes(), [], 'nothing to do: no Event');
});

test('so is a change of a pod', { skip: kubectlIsMissing() }, async () => {
  const folder = await stage.desired('router', {});
  await writeFiles(folder, {
    'router.yaml': `apiVersion: patchpanel.dev/v1alpha1
kind: NetworkAttachments
metadata: { name: router-0, namespace: demo }
spec:
  target: { kind: Pod }
  attachments: [{ name: red, network: vlan100 }]
`,
  });
  const args = ['apply', folder, '--record', 'demo/router', '--events', '--log-format', 'json'];
  const { stderr } = await stage.expect(0, args);
  assert.match(stderr, /"pod":"demo\/router-0"/);
  const { commit, targets } = await recordOf('router');
  assert.equal(targets['pod/demo/router-0'].state, 'in-sync');
  const pod = await stage.cluster.admin.get(pods, 'demo', 'router-0');
  assert.equal(pod?.metadata.annotations?.['patchpanel.dev/applied-commit'], commit);
  const described = await kubectl('describe', 'pod', 'router-0');
  assert.match(described, /Normal +NetworksChanged +\S+ +patchpanel +done: plug red \[sha256:\w+, run \w+\]/);
});

test('a failure is a warning on its VM, in one line', { skip: kubectlIsMissing() }, async () => {
  const folder = await stage.desired('failing', { 'web-1': ['mgmt'] });
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mgmt' });
  await stage.expect(5, ['apply', folder, '--events', '--action-timeout', '2']);
  const stdout = await kubectl('get', 'events', '--output', 'json');
  const all: readonly Record<string, unknown>[] = JSON.parse(stdout).items;
  const [event] = all.filter(({ reason }) => reason === 'NetworksFailed');
  assert.equal(event?.type, 'Warning');
  assert.match(
    String(event?.message),
    /^plug mgmt failed: [^\n]*\(apply\/timeout\); taken back by: unplug mgmt \[sha256:\w+, run \w+\]$/,
  );
});

test('metrics go to a file and a Pushgateway, news to a webhook and the commit, each once', async () => {
  const commit = await push('hooked.git', { 'web-1': ['green'] });
  const file = join(stage.folder, 'patchpanel.prom');
  const urlFile = join(stage.folder, 'notify-url');
  await writeFile(urlFile, `${hubUrl}/hook?key=${secretToken}\n`);
  const args = ['apply', `${git.url}/hooked.git`, '--record', 'demo/hooked', '--metrics-file', file]
    .concat(['--pushgateway', `${hubUrl}/push`, '--notify-url-file', urlFile])
    .concat(['--commit-status', 'github', '--commit-status-api', `${hubUrl}/api`]);
  const env = { PATCHPANEL_STATUS_TOKEN: secretToken };
  const { stdout, stderr } = await stage.expect(0, args, { env });
  assert.ok(!`${stdout}${stderr}`.includes(secretToken));
  assert.ok(!`${stdout}${stderr}`.includes('warning'), stderr);
  const paths = received.map(({ method, path }) => `${method} ${path}`).sort();
  const group = Buffer.from(`${git.url}/hooked.git`).toString('base64url');
  assert.deepEqual(paths, [
    `POST /api/repos/hooked/statuses/${commit}`,
    `POST /hook?key=${secretToken}`,
    `PUT /push/metrics/job/patchpanel/repository@base64/${group}`,
  ]);
  const hook = JSON.parse(received.find(({ path }) => path.startsWith('/hook'))?.body ?? '{}');
  assert.deepEqual([hook.outcome, hook.commit, hook.changed], ['converged', `HEAD@sha1:${commit}`, 1]);
  assert.match(hook.text, /converged: 1 changed, 1 of 1 in sync$/);
  const status = received.find(({ path }) => path.startsWith('/api'));
  assert.equal(status?.headers.authorization, `Bearer ${secretToken}`);
  assert.equal(JSON.parse(status?.body ?? '{}').state, 'success');
  const metrics = await readFile(file, 'utf8');
  assert.equal(received.find(({ method }) => method === 'PUT')?.body, metrics);
  for (const line of metrics.trim().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) patchpanel_\w+ .+|patchpanel_\w+\{(\w+="[^"\n]*",?)+\} [\d.]+)$/);
  }
  assert.match(metrics, /patchpanel_last_run_changed_targets\{.*\} 1\n/);
  // No news: the metrics alone.
  received = [];
  await stage.expect(0, args, { env });
  assert.deepEqual(
    received.map(({ method }) => method),
    ['PUT'],
  );
});

test('a commit that can not be rendered gets its status, and not the one before it', async () => {
  const folder = join(stage.folder, 'hooked.git');
  await writeFiles(folder, { 'broken.yaml': 'kind: [' });
  const commit = await commitAll(folder, 'broken');
  const env = { PATCHPANEL_STATUS_TOKEN: secretToken };
  const args = [
    'apply',
    `${git.url}/hooked.git`,
    '--record',
    'demo/hooked',
    '--if-changed',
    '--log-format',
    'json',
  ].concat(['--commit-status', 'gitlab', '--commit-status-api', hubUrl]);
  const { stderr } = await stage.expect(3, args, { env });
  const lines: Record<string, unknown>[] = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.slice(-2).map((line) => [line.type, line.commit, line.run]),
    ['fetched', 'error'].map((type) => [type, `HEAD@sha1:${commit}`, lines[0]?.run]),
  );
  await stage.expect(3, args, { env });
  assert.deepEqual(
    received.map(({ path, body }) => [path, JSON.parse(body).state]),
    [[`/projects/hooked/statuses/${commit}`, 'failed']],
  );
  assert.equal((await recordOf('hooked')).commit, `HEAD@sha1:${commit}`);
});

test('who can not be told is warned of, and changes no exit code', async () => {
  const folder = await stage.desired('deaf', { 'web-1': ['red'] });
  answer = 500;
  const env = { PATCHPANEL_NOTIFY_URL: `${hubUrl}/hook/${secretToken}`, PATCHPANEL_PUSHGATEWAY: await deadUrl() };
  const { stderr } = await stage.expect(0, ['apply', folder, '--metrics-file', '/nonexistent/x.prom'], { env });
  assert.match(stderr, /warning the notification was not taken: HTTP 500/);
  assert.match(
    stderr,
    /warning the metrics could not be sent: ECONNREFUSED|warning the metrics could not be sent: \w+/,
  );
  assert.match(stderr, /warning the metrics could not be written to \/nonexistent\/x\.prom: ENOENT/);
  assert.ok(!stderr.includes(secretToken));
  const refused = await stage.expect(3, ['apply', folder, '--pushgateway', `http://bot:${secretToken}@localhost/`]);
  assert.match(refused.stderr, /--pushgateway holds credentials/);
  assert.ok(!refused.stderr.includes(secretToken));
});
