/** `plan --base`: what a pull request causes, told from what was due before, with a cluster and without one. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { configMaps } from '../reconcile/kube/resources.ts';
import { type ObjectName, objectKey } from '../reconcile/vocabulary.ts';
import { type GitServer, git, startGitServer } from '../sandbox/git-server.ts';
import { cli } from './cli-process.ts';
import { CliStage, desiredFiles, type Nic } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';

let stage: CliStage;
let root: string;
let server: GitServer;

before(async () => {
  stage = await CliStage.start();
  root = await mkdtemp(join(tmpdir(), 'patchpanel-pr-'));
  server = await startGitServer({ root });
});
after(async () => {
  await server.close();
  await stage.stop();
  await rm(root, { recursive: true, force: true });
});

type Fleet = Readonly<Record<string, readonly Nic[]>>;

/** A repository whose `main` has one fleet and whose checked out branch `change` another. */
async function pullRequest(name: string, base: Fleet | string, head: Fleet | string): Promise<string> {
  const folder = await newRepository(root, name);
  for (const [branch, fleet] of [
    ['main', base],
    ['change', head],
  ] as const) {
    if (branch === 'change') await git(folder, 'checkout', '--quiet', '-b', branch);
    await rm(join(folder, 'vms'), { recursive: true, force: true });
    await writeFiles(join(folder, 'vms'), typeof fleet === 'string' ? { 'broken.yaml': fleet } : desiredFiles(fleet));
    await writeFiles(folder, { README: branch });
    await commitAll(folder, branch);
  }
  return join(folder, 'vms');
}

/** The plan without the digest that a file to be applied has. */
async function planAlone(args: readonly string[]): Promise<unknown> {
  const { digest, ...plan } = JSON.parse((await stage.expect(2, [...args, '-o', 'json'])).stdout);
  assert.match(digest, /^sha256:/);
  return plan;
}

test('drift and change are told apart in one reading, which is that of a plan', async () => {
  // web-0 lacks storage: drift. The change gives it backup.
  const folder = await pullRequest('drift', { 'web-0': ['storage'] }, { 'web-0': ['storage', 'backup'] });
  const text = await stage.expect(2, ['plan', folder, '--base', 'main']);
  assert.match(
    text.stdout,
    /Of this change:\n\ndemo\/web-0 [\s\S]*?\+ plug backup[\s\S]*Due before this change:\n\ndemo\/web-0 [\s\S]*?\+ plug storage/,
  );
  assert.match(text.stdout, /This change: 1 VM to change \(1 plug\)\. Due before it: 1 VM\.\n$/);
  const json = JSON.parse((await stage.expect(2, ['plan', folder, '--base', 'main', '-o', 'json'])).stdout);
  const { causes, plan } = json.cluster;
  assert.deepEqual(
    causes[0].actions.map(({ cause }: { cause: string }) => cause),
    ['before', 'change'],
  );
  assert.deepEqual(plan, await planAlone(['plan', folder]), 'the plan of the head is that without --base');
  assert.deepEqual(stage.writes(), []);
});

test('a pull request does not answer for drift, and not for what was blocked before', async () => {
  const missing = { name: 'lab', network: 'lab-net' };
  const same = await pullRequest('same', { 'web-0': ['storage', missing] }, { 'web-0': ['storage', missing] });
  await stage.expect(4, ['plan', same]);
  const { stdout } = await stage.expect(0, ['plan', same, '--base', 'main']);
  assert.match(stdout, /Due before this change:[\s\S]*blocked \(network-missing\)/);
  assert.match(stdout, /This change declares nothing new\. Due before it: 1 VM\.\n$/);
  const worse = await pullRequest('worse', { 'web-0': ['storage'] }, { 'web-0': ['storage', missing] });
  await stage.expect(4, ['plan', worse, '--base', 'main']);
  const mended = await pullRequest('mended', { 'web-0': [missing] }, { 'web-0': [] });
  assert.match((await stage.expect(0, ['plan', mended, '--base', 'main'])).stdout, /No longer due with this change:/);
});

test('without a cluster: the two commits alone, and no request of any kind', async () => {
  const folder = await pullRequest('declared', { 'web-0': ['storage'], 'web-1': ['mgmt'] }, { 'web-0': ['backup'] });
  const args = ['plan', folder, '--base', 'main', '--no-cluster'];
  const env = { KUBECONFIG: '/nonexistent', HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' };
  const { code, stdout } = await cli(args, { env });
  assert.equal(code, 2);
  assert.match(
    stdout,
    /demo\/web-0 {2}changed {2}vms\/web-0\.yaml:1\n {2}\+ backup into backup-net\n {2}- storage out of storage-net\n/,
  );
  assert.match(
    stdout,
    /demo\/web-1 {2}removed\n {2}\. the object is removed: what patchpanel plugged stays \(prune is off\): mgmt\n/,
  );
  assert.equal((await cli(['plan', folder, '--base', 'HEAD', '--no-cluster'])).code, 0);
  const json = JSON.parse((await cli([...args, '-o', 'json'])).stdout);
  assert.deepEqual(Object.keys(json), ['version', 'source', 'base', 'declared']);
  const mac = '02:00:00:00:00:01';
  const twice = [
    { name: 'a', network: 'n', mac },
    { name: 'b', network: 'n', mac },
  ];
  const checked = await pullRequest('checked', { 'web-0': [] }, { 'web-0': twice });
  const refused = await cli(['plan', checked, '--base', 'main', '--no-cluster']);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /desired\/duplicate-mac/);
});

test('a broken base stops nothing; a broken head is annotated; a base that is not there is told', async () => {
  const mends = await pullRequest('mends', 'kind: [', { 'web-0': ['storage'] });
  const { stdout } = await stage.expect(2, ['plan', mends, '--base', 'main']);
  assert.match(
    stdout,
    /note: main can not be rendered, so all that is declared is taken to be of this change:\n {2}vms\/broken\.yaml:1:8: /,
  );
  assert.match(stdout, /Of this change:[\s\S]*\+ plug storage/);
  const fresh = await pullRequest('fresh', { 'web-0': [] }, { 'web-0': ['storage'] });
  await git(fresh, 'mv', '../vms', '../prod');
  const moved = join(fresh, '../prod');
  assert.match(
    (await stage.expect(2, ['plan', moved, '--base', 'main'])).stdout,
    /the path "prod" does not exist there \(source\/not-found\)/,
  );

  const breaks = await pullRequest('breaks', { 'web-0': ['storage'] }, 'kind: [');
  const files = ['sarif', 'junit', 'markdown'].map((format) => [format, join(root, `fault.${format}`)] as const);
  const writes = files.flatMap(([format, file]) => ['--write', `${format}=${file}`]);
  const refused = await stage.expect(3, ['plan', breaks, '--base', 'main', ...writes]);
  assert.match(refused.stderr, /yaml\/syntax/);
  const sarif = JSON.parse(await readFile(join(root, 'fault.sarif'), 'utf8'));
  assert.equal(sarif.runs[0].results[0].ruleId, 'yaml/syntax');
  assert.equal(sarif.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri, 'vms/broken.yaml');
  assert.match(await readFile(join(root, 'fault.junit'), 'utf8'), /<failure type='yaml\/syntax'/);
  assert.match(await readFile(join(root, 'fault.markdown'), 'utf8'), /\*\*Not valid: /);
  const validated = await cli(['validate', breaks, '-o', 'sarif']);
  assert.equal(validated.code, 3);
  assert.deepEqual(JSON.parse(validated.stdout), sarif);
  assert.equal((await cli(['validate', fresh.replace(/vms$/, 'prod'), '-o', 'junit'])).code, 0);

  const shallow = join(root, 'shallow');
  await git(root, 'clone', '--quiet', '--depth=1', `file://${join(breaks, '..')}`, shallow);
  const lacking = await stage.expect(3, ['plan', mends, '--base', 'nope']);
  assert.match(lacking.stderr, /git\/unknown-ref/);
  await writeFile(join(shallow, 'vms/broken.yaml'), desiredFiles({ 'web-0': [] })['web-0.yaml'] ?? '');
  const cut = await stage.expect(3, ['plan', join(shallow, 'vms'), '--base', 'origin/main', '--no-cluster']);
  assert.match(cut.stderr, /git\/incomplete[\s\S]*fetch-depth: 0/);
});

test('of a git URL the base is another ref of it; the comment has the marker that is asked for', async () => {
  await pullRequest('remote', { 'web-0': ['storage'] }, { 'web-0': ['storage', 'backup'] });
  const url = `${server.url}/remote`;
  const comment = join(root, 'comment.md');
  const common = ['plan', url, '--ref', 'change', '--path', 'vms', '--base', 'main', '--marker', 'east'];
  const sarif = await stage.expect(2, [...common, '-o', 'sarif', '--write', `markdown=${comment}`]);
  const results = JSON.parse(sarif.stdout).runs[0].results;
  assert.deepEqual(
    results.map(({ ruleId }: { ruleId: string }) => ruleId),
    ['change', 'due-before'],
  );
  const text = await readFile(comment, 'utf8');
  assert.match(text, /^<!-- patchpanel plan: east -->\n\*\*This change: 1 VM to change \(1 plug\)/);
  assert.match(text, /compared with `main@sha1:[0-9a-f]{40}`/);
  await stage.expect(3, [...common.slice(0, 6), '--base', 'nope']);
});

test('an object that is removed: with prune on, what is unplugged is of the change', async () => {
  const folder = await pullRequest('pruned', { 'web-0': [], 'web-1': ['mgmt'] }, { 'web-0': [] });
  const settings =
    'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nmetadata: {name: settings}\nspec: {prune: true}\n';
  await git(folder, 'checkout', '--quiet', 'main');
  await writeFiles(folder, { 'settings.yaml': settings });
  await commitAll(folder, 'prune');
  await stage.expect(0, ['apply', folder, '--source-id', 'fleet']);
  await git(folder, 'checkout', '--quiet', 'change');
  await git(folder, 'merge', '--quiet', '--no-edit', 'main');
  const args = ['plan', folder, '--source-id', 'fleet', '--base', 'main'];
  const { stdout } = await stage.expect(2, args);
  assert.match(stdout, /Of this change:\n\ndemo\/web-1 [\s\S]*- unplug mgmt/);
  const json = JSON.parse((await stage.expect(2, [...args, '-o', 'json'])).stdout);
  assert.equal(json.declared.prune, true);
  assert.deepEqual(json.declared.summary.unplugged, 1);
  assert.deepEqual(json.cluster.plan, await planAlone(args.slice(0, -2)));
  await stage.expect(2, [...args, '-o', 'sarif']);
  await stage.expect(2, [...args, '-o', 'junit']);
  const [, , ...declaredOnly] = args;
  const alone = await cli(['plan', folder, ...declaredOnly, '--no-cluster']);
  assert.match(
    alone.stdout,
    /- mgmt out of mgmt-net\n {2}\. the object is removed: the runs of the repository unplug what patchpanel plugged \(prune is on\)/,
  );
});

test('under a policy the base, too, is no ground to prune outside of the namespaces of the repository', async () => {
  await pullRequest('scoped', { 'db-0': ['mgmt'] }, { 'db-0': [] });
  const folder = join(root, 'scoped');
  const source = [`${server.url}/scoped`, '--path', 'vms', '--source-id', 'scoped'];
  await stage.run(['apply', ...source, '--ref', 'main']);
  const settings =
    'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nmetadata: {name: settings}\nspec: {prune: true}\n';
  for (const [branch, nics] of [
    ['main', []],
    ['change', ['mgmt']],
  ] as const) {
    await git(folder, 'checkout', '--quiet', branch);
    await rm(join(folder, 'vms'), { recursive: true, force: true });
    await writeFiles(join(folder, 'vms'), { ...desiredFiles({ 'x-0': nics }, 'elsewhere'), 'settings.yaml': settings });
    await commitAll(folder, 'move');
  }
  const repositories = [{ url: `${server.url}/*`, namespaces: ['elsewhere'] }];
  const policy = { apiVersion: 'patchpanel.dev/v1alpha1', kind: 'Policy', spec: { repositories } };
  await stage.cluster.admin.create(configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'demo', name: 'scoped' },
    data: { 'policy.yaml': JSON.stringify(policy) },
  });
  const args = ['plan', ...source, '--ref', 'change', '--base', 'main', '-o', 'json'];
  const due = JSON.parse((await stage.run(args)).stdout).cluster;
  assert.deepEqual(names(due.plan.targets), ['demo/db-0', 'elsewhere/x-0'], 'without a policy it is pruned');
  // The account of plans reads the policy of its own namespace alone.
  const asAdmin = { env: { KUBECONFIG: stage.kubeconfig } };
  const held = JSON.parse((await stage.run([...args, '--policy-configmap', 'demo/scoped'], asAdmin)).stdout).cluster;
  assert.deepEqual(names(held.plan.targets), ['elsewhere/x-0']);
  assert.deepEqual(held.noLonger, []);
});

function names(targets: readonly { readonly target: ObjectName }[]): readonly string[] {
  return targets.map(({ target }) => objectKey(target)).sort();
}
