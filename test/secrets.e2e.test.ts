/** Secrets through the command line: what children are given, what is written, and what a failure says. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { configMaps, events, virtualMachines } from '../reconcile/kube/resources.ts';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import type { CliResult } from './cli-process.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';
import { skipJsonnet } from './jsonnet-addon.ts';

/** What nothing that anybody reads may hold; each secret of these tests begins with it. */
const mark = 's3cr3t-';
const token = `${mark}git-token`;
const appKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' });
/** A line in the middle of the key. */
const keyLine = String(appKey).split('\n')[5] ?? '';

let stage: CliStage;
let git: GitServer;
let hub: Server;
let hubUrl: string;
let answer = 200;

before(async () => {
  stage = await CliStage.start();
  git = await startGitServer({ root: stage.folder, credentials: { username: 'x-access-token', password: token } });
  hub = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(answer).end(JSON.stringify({ message: 'no' })));
  });
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const address = hub.address();
  hubUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
});
after(async () => {
  await stage.stop();
  await git.close();
  hub.closeAllConnections();
  await new Promise((resolve) => hub.close(resolve));
});

/** Every secret that the environment may hold. */
function environment(): Record<string, string> {
  return {
    PATCHPANEL_GIT_TOKEN: token,
    PATCHPANEL_GIT_PASSWORD: `${mark}git-password`,
    PATCHPANEL_STATUS_TOKEN: `${mark}status-token`,
    PATCHPANEL_NOTIFY_URL: `${hubUrl}/hook/${mark}notify`,
    PATCHPANEL_PUSHGATEWAY: hubUrl.replace('//', `//bot:${mark}push@`),
  };
}

function assertClean(what: string, text: string): void {
  // The token of the cluster's account too, and what Base64 makes of the first one.
  const secrets = [mark, stage.cluster.tokens.apply, stage.cluster.tokens.plan, keyLine];
  secrets.push(Buffer.from(`x-access-token:${token}`).toString('base64'));
  for (const secret of secrets) assert.ok(!text.includes(secret), `${what} holds ${secret}:\n${text.slice(0, 2000)}`);
}

async function push(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(stage.folder, name);
  await newRepository(stage.folder, name);
  await writeFiles(folder, files);
  await commitAll(folder, 'NICs');
}

test('no verb and no format shows a secret, whether it succeeds or fails', async () => {
  await push('fleet.git', desiredFiles({ 'web-0': ['storage'], 'db-0': ['no-such-net'] }));
  const url = `${git.url}/fleet.git`;
  const told = ['--commit-status', 'github', '--commit-status-api', hubUrl, '--record', 'demo/kept', '--events'];
  const metrics = join(stage.folder, 'metrics.prom');
  const env = environment();
  const check = async (args: readonly string[], changed: Record<string, string> = {}): Promise<CliResult> => {
    const result = await stage.run(args, { env: { ...env, ...changed, PATCHPANEL_DEBUG: '1' } });
    assertClean(`patchpanel ${args.slice(0, 4).join(' ')}`, result.stdout + result.stderr);
    return result;
  };
  for (const code of [200, 500]) {
    answer = code;
    await check(['apply', url, ...told, '--log-format', code === 200 ? 'json' : 'text', '--metrics-file', metrics]);
  }
  for (const format of ['text', 'json', 'markdown', 'html']) {
    assert.notEqual((await check(['plan', url, '-o', format])).stdout, '', format);
  }
  for (const format of ['sarif', 'junit']) await check(['plan', url, '--base', 'main', '-o', format]);
  for (const format of ['text', 'json', 'html']) await check(['status', '--record', 'demo/kept', '-o', format]);
  for (const args of [
    ['render', url],
    ['validate', url],
    ['trace', 'web-0', '-n', 'demo'],
    ['adopt', '-n', 'demo'],
  ]) {
    await check(args);
  }

  // What stays in the cluster and on disk. The API server itself keeps no credentials in an object.
  const { admin } = stage.cluster;
  const record = await admin.get(configMaps, 'demo', 'kept');
  assert.ok(record !== undefined);
  assertClean('the record', JSON.stringify(record));
  for (const resource of [virtualMachines, events]) {
    const { items } = await admin.list(resource, { namespace: 'demo' }, (item) => item);
    assert.ok(items.length > 0);
    assertClean(resource.plural, JSON.stringify(items));
  }
  assertClean('the metrics', await readFile(metrics, 'utf8'));

  // Failures: credentials that are refused, keys that are none, files that are the wrong ones, proxies.
  const keyFile = join(stage.folder, 'key');
  await writeFile(keyFile, `${String(appKey)}`);
  const half = join(stage.folder, 'half');
  await writeFile(half, `-----BEGIN RSA PRIVATE KEY-----\n${keyLine}\n${mark}\n`);
  const broken = join(stage.folder, 'broken');
  await writeFile(broken, `${await readFile(stage.kubeconfig, 'utf8')}\n  token: [`);
  const app = ['--github-app-id', '1', '--github-app-installation-id', '2', '--github-api-url', hubUrl];
  const none = { PATCHPANEL_GIT_TOKEN: '', PATCHPANEL_GIT_PASSWORD: '' };
  const proxy = `http://bot:${mark}proxy@127.0.0.1:1`;
  const failures: readonly (readonly [readonly string[], Record<string, string>])[] = [
    [['plan', url], { PATCHPANEL_GIT_TOKEN: `${mark}old` }],
    [['plan', url.replace('//', `//bot:${mark}url@`)], none],
    [['plan', url.replace('//', `/bot:${mark}mistyped@`)], none],
    [['plan', `ssh://bot:${mark}ssh@localhost/x.git`], none],
    [['plan', url, ...app, '--github-app-key-file', keyFile], none],
    [['plan', url, ...app, '--github-app-key-file', half], none],
    [['validate', url, '--verify-signatures', 'head', '--allowed-signers', half], {}],
    [['validate', url, '--verify-signatures', 'head', '--openpgp-keys', half], {}],
    [['validate', url, '--ca-file', half], {}],
    [['plan', 'http://git.invalid/x.git'], { HTTP_PROXY: proxy }],
    [['plan', 'https://git.invalid/x.git'], { HTTPS_PROXY: `${proxy}99999` }],
    [['adopt', '-n', 'demo', '--kubeconfig', broken], {}],
    [['apply', url, '--pushgateway', `http://bot:${mark}gateway@localhost`], {}],
    [['apply', url], { PATCHPANEL_NOTIFY_URL: `ftp://${mark}@x` }],
  ];
  for (const [args, changed] of failures) {
    const { code } = await check(args, changed);
    assert.ok(code === 1 || code === 3, `${args.join(' ')}: ${code}`);
  }
});

test('the credential plugin of a kubeconfig gets no secret of ours', async () => {
  const folder = join(stage.folder, 'plugin');
  await mkdir(folder);
  const seen = join(folder, 'environment');
  const status = { token: stage.cluster.tokens.plan };
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status };
  const script = join(folder, 'plugin.cjs');
  await writeFile(
    script,
    `require('node:fs').writeFileSync(${JSON.stringify(seen)}, JSON.stringify(process.env));\n` +
      `console.log(${JSON.stringify(JSON.stringify(credential))});\n`,
  );
  const config = parse(await readFile(stage.planKubeconfig, 'utf8'));
  const kubeconfig = join(folder, 'config');
  for (const more of [{}, { env: [{ name: 'MORE', value: 'x' }] }]) {
    config.users[0].user = {
      exec: {
        apiVersion: credential.apiVersion,
        command: process.execPath,
        args: [script],
        interactiveMode: 'Never',
        ...more,
      },
    };
    await writeFile(kubeconfig, stringify(config));
    const env = { ...environment(), PATCHPANEL_GITHUB_APP_KEY: String(appKey), KUBECONFIG: kubeconfig };
    await stage.expect(0, ['adopt', '-n', 'demo'], { env });
    const given = await readFile(seen, 'utf8');
    assert.match(given, /"KUBECONFIG"/, 'the rest of the environment is there');
    assertClean('the environment of the plugin', given);
    assert.doesNotMatch(given, /PRIVATE KEY/);
  }
});

/** The child processes that run a script of this name, of whoever. */
function processesOf(script: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(script);
    } catch {
      return false;
    }
  });
}

function parentOf(pid: string): string {
  return /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
}

test('the Jsonnet child has no secret, no open file of ours and no connection', {
  skip: skipJsonnet || (process.platform !== 'linux' && 'needs /proc'),
}, async () => {
  await push('slow.git', { 'a.jsonnet': 'local f(n) = if n == 0 then 0 else f(n - 1) tailstrict; [f(100000000)]' });
  const known = new Set(processesOf('jsonnet-child'));
  const args = ['plan', `${git.url}/slow.git`, '-V', 'PATCHPANEL_SITE', '--jsonnet-timeout', '60'];
  const run = stage.begin(args, { env: { ...environment(), PATCHPANEL_SITE: `${mark}variable` } });
  try {
    let pid: string | undefined;
    while (pid === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      pid = processesOf('jsonnet-child').find((each) => !known.has(each) && isOurs(each));
    }
    const environ = readFileSync(`/proc/${pid}/environ`, 'utf8');
    const names = environ.split('\0').map((each) => each.split('=')[0]);
    assert.deepEqual(
      names.filter((name) => name !== '' && !name?.startsWith('NODE_CHANNEL_')),
      [],
    );
    const cmdline = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    assertClean('its arguments', cmdline);
    assert.match(cmdline, /--permission\0/);
    // One pipe to its parent, and what Node opens for itself: no socket of TCP.
    const sockets = readdirSync(`/proc/${pid}/fd`)
      .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
      .flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
    assert.ok(sockets.length > 0, 'the channel');
    const net = ['tcp', 'tcp6', 'udp', 'udp6']
      .map((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8'))
      .join('');
    const inodes = new Set(net.split('\n').map((line) => line.trim().split(/\s+/)[9]));
    assert.deepEqual(
      sockets.filter((inode) => inodes.has(inode)),
      [],
    );
  } finally {
    run.kill('SIGKILL');
    await run.result;
  }
});

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Whether its parent is a command line that this process began. */
function isOurs(pid: string): boolean {
  try {
    return parentOf(parentOf(pid)) === String(process.pid);
  } catch {
    return false;
  }
}
