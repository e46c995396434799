/** The command line on git repositories over http: refs, paths, credentials, and Jsonnet with variables. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GitServer, git, startGitServer } from '../sandbox/git-server.ts';
import { type CliOptions, type CliResult, cli } from './cli-process.ts';
import { desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';
import { skipJsonnet } from './jsonnet-addon.ts';

const token = 'glpat-not-a-real-token';

let root: string;
let open: GitServer;
let guarded: GitServer;
let first: string;
let second: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchpanel-git-'));
  const folder = await newRepository(root, 'fleet.git');
  await writeFiles(join(folder, 'vms'), desiredFiles({ one: [] }));
  await writeFiles(folder, { 'elsewhere/not-ours.yaml': 'kind: Deployment\n' });
  first = await commitAll(folder, 'one VM');
  await git(folder, 'tag', '--annotate', 'v1', '--message', 'one');
  await git(folder, 'checkout', '--quiet', '-b', 'feature/two');
  await writeFiles(join(folder, 'vms'), desiredFiles({ two: [] }));
  second = await commitAll(folder, 'two VMs');
  await git(folder, 'checkout', '--quiet', 'main');
  open = await startGitServer({ root });
  guarded = await startGitServer({ root, credentials: { username: 'bot', password: token } });
});
after(async () => {
  await open.close();
  await guarded.close();
  await rm(root, { recursive: true, force: true });
});

async function render(args: readonly string[], options?: CliOptions): Promise<CliResult> {
  return await cli(['render', '-o', 'json', ...args], options);
}

/** Names of the VMs that were rendered. */
function vms({ code, stdout, stderr }: CliResult): readonly string[] {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).map(({ metadata }: { metadata: { name: string } }) => metadata.name);
}

test('--ref takes a branch, a tag, a full and a short commit, and tells which commit it was', async () => {
  const url = `${open.url}/fleet.git`;
  const cases: readonly (readonly [string | undefined, readonly string[], string])[] = [
    [undefined, ['one'], first],
    ['main', ['one'], first],
    ['feature/two', ['one', 'two'], second],
    ['v1', ['one'], first],
    [second, ['one', 'two'], second],
    [second.slice(0, 8), ['one', 'two'], second],
  ];
  async function check([ref, expected, commit]: (typeof cases)[number]): Promise<void> {
    const result = await render([url, '--path', 'vms', ...(ref === undefined ? [] : ['--ref', ref])]);
    assert.deepEqual(vms(result), expected, ref ?? 'HEAD');
    assert.ok(result.stderr.includes(commit.slice(0, 8)), `${ref}: ${result.stderr}`);
  }
  await Promise.all(cases.map(check));
});

test('--path is a folder of the repository; --ref is refused for a folder on disk', async () => {
  const url = `${open.url}/fleet.git`;
  const wrong = await render([url, '--path', 'nowhere']);
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /source\/not-found/);
  assert.deepEqual(vms(await render([join(root, 'fleet.git'), '--path', 'vms'])), ['one']);
  const ref = await render([join(root, 'fleet.git'), '--ref', 'main']);
  assert.equal(ref.code, 3);
  assert.match(ref.stderr, /--ref is for a git URL/);
});

test('credentials come from a file or from the environment, and are never shown', async () => {
  const args = [`${guarded.url}/fleet.git`, '--path', 'vms'];
  const tokenFile = join(root, 'token');
  await writeFile(tokenFile, `${token}\n`);
  const user = ['--git-username', 'bot'];
  const good: readonly CliResult[] = await Promise.all([
    render([...args, ...user, '--git-token-file', tokenFile]),
    render([...args, ...user, '--git-password-file', tokenFile]),
    render(args, { env: { PATCHPANEL_GIT_TOKEN: token, PATCHPANEL_GIT_USERNAME: 'bot' } }),
    render(args, { env: { PATCHPANEL_GIT_USERNAME: 'bot', PATCHPANEL_GIT_PASSWORD: token } }),
  ]);
  for (const result of good) {
    assert.deepEqual(vms(result), ['one']);
    assert.ok(!`${result.stdout}${result.stderr}`.includes(token));
  }
  const bad: readonly CliResult[] = await Promise.all([
    render(args),
    render(args, { env: { PATCHPANEL_GIT_TOKEN: `${token}-old` } }),
    render([args[0]?.replace('//', `//bot:${token}-old@`) ?? '', '--path', 'vms']),
  ]);
  for (const { code, stderr, stdout } of bad) {
    assert.notEqual(code, 0);
    assert.ok(!`${stdout}${stderr}`.includes(token), stderr);
  }
  assert.deepEqual(
    bad.map(({ code }) => code),
    [1, 1, 1],
  );
  const half = await render([...args, ...user]);
  assert.equal(half.code, 3);
  assert.match(half.stderr, /needs both a user and a password/);
  const missing = await render([...args, '--git-token-file', '/nonexistent/token']);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /--git-token-file \/nonexistent\/token can not be read \(ENOENT\)/);
});

test('ssh is refused with the way out', async () => {
  for (const url of ['git@git.example.com:net/vms.git', 'ssh://git@git.example.com/net/vms.git']) {
    const result = await render([url]);
    assert.equal(result.code, 3);
    assert.match(result.stderr, /source\/unsupported-transport/);
    assert.match(result.stderr, /https URL/);
  }
});

test('Jsonnet takes external variables and top-level arguments from the command line', {
  skip: skipJsonnet,
}, async () => {
  const folder = join(root, 'jsonnet');
  await mkdir(folder);
  await writeFile(
    join(folder, 'fleet.jsonnet'),
    `local pp = import 'patchpanel/fleet.libsonnet';
function(count, prefix='vm-') pp.fleet(
  pp.names(prefix, count),
  namespace=std.extVar('site'),
  attachments=function(vm, index) [pp.bridge('storage', std.extVar('networks').storage)],
)
`,
  );
  const result = await cli(
    ['render', folder, '-o', 'json', '-V', 'site=berlin', '--ext-code', 'networks={storage: "storage-net"}']
      .concat(['--tla-code', 'count=2'])
      .concat(['-A', 'prefix']),
    { env: { prefix: 'web-' } },
  );
  assert.deepEqual(vms(result), ['web-0', 'web-1']);
  const [object] = JSON.parse(result.stdout);
  assert.equal(object.metadata.namespace, 'berlin');
  assert.equal(object.spec.attachments[0].network, 'berlin/storage-net');
  const missing = await cli(['render', folder, '--tla-code', 'count=2']);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /fleet\.jsonnet:\d+:\d+: .*(site|networks)/);
});
