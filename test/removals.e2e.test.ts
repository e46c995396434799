/** What a repository that lost something does to running VMs: an object, a name, everything; and two that want one VM. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';

let stage: CliStage;
let git: GitServer;
let url: string;

before(async () => {
  stage = await CliStage.start();
  git = await startGitServer({ root: stage.folder });
  url = `${git.url}/net.git`;
  await newRepository(stage.folder, 'net.git');
  await newRepository(stage.folder, 'other.git');
});
after(async () => {
  await stage.stop();
  await git.close();
});

/** The repository with these objects and no others. */
async function push(
  vms: Parameters<typeof desiredFiles>[0],
  settings: Readonly<Record<string, unknown>> = {},
  name = 'net.git',
): Promise<void> {
  const folder = join(stage.folder, name);
  await rm(join(folder, 'vms'), { recursive: true, force: true });
  const text = { apiVersion: 'patchpanel.dev/v1alpha1', kind: 'Settings', spec: settings };
  await writeFiles(folder, { 'settings.yaml': JSON.stringify(text), 'README.md': name });
  await writeFiles(join(folder, 'vms'), desiredFiles(vms));
  await commitAll(folder, 'VMs');
}

async function marks(name: string): Promise<Readonly<Record<string, string>>> {
  const vm = await stage.cluster.admin.get(virtualMachines, 'demo', name);
  const all = vm?.metadata.annotations ?? {};
  return Object.fromEntries(
    ['source', 'owned-attachments'].flatMap((key) => {
      const value = all[`patchpanel.dev/${key}`];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

async function annotate(name: string, key: string, value: string | null): Promise<void> {
  const patch = { metadata: { annotations: { [key]: value } } };
  await stage.cluster.admin.mergePatch(virtualMachines, 'demo', name, patch);
}

async function plannedAs(code: number): Promise<string> {
  return (await stage.expect(code, ['plan', url])).stdout;
}

test('an object is deleted: told while pruning is off; then limited, protected, unplugged, and verified', async () => {
  await push({ 'web-0': ['red'], 'web-1': ['red', 'green'] });
  await stage.expect(0, ['apply', url]);
  const source = `${git.url}/net?ref=HEAD`;
  assert.deepEqual(await marks('web-1'), { source, 'owned-attachments': '["green","red"]' });

  await push({ 'web-0': ['red'] });
  const off = await plannedAs(0);
  assert.match(off, /^note: demo\/web-1 has no object in the repository; .* stays: red, green$/m);

  await push({ 'web-0': ['red'] }, { prune: true, maxRemovals: 1 });
  const record = ['--record', 'demo/net'];
  const tooMuch = await stage.expect(4, ['apply', url, ...record]);
  assert.match(tooMuch.stdout, /\(removal-limit\) 2 NICs of web-1 would go .* takes away 2, .* lets it take 1, so/);
  assert.deepEqual(await stage.guestNics('web-1'), ['default', 'green', 'red', 'storage']);
  const status = await stage.run(['status', ...record]);
  assert.match(status.stdout, /demo\/web-1.*removal-limit/s);

  await annotate('web-1', 'patchpanel.dev/protect', 'red');
  await push({ 'web-0': ['red'] }, { prune: true, maxRemovals: '50%' });
  const some = await stage.expect(4, ['apply', url, ...record]);
  assert.match(some.stdout, /demo\/web-1 {2}running {2}no longer declared\n {2}! blocked \(protected\) red: /);
  assert.deepEqual(await stage.guestNics('web-1'), ['default', 'red', 'storage']);

  await annotate('web-1', 'patchpanel.dev/protect', null);
  const markdown = (await stage.expect(2, ['plan', url, '-o', 'markdown'])).stdout;
  assert.match(markdown, /^- unplug red$/m);
  await stage.expect(0, ['apply', url, ...record]);
  assert.deepEqual(await stage.guestNics('web-1'), ['default', 'storage']);
  assert.deepEqual(await marks('web-1'), {});
  assert.match(await plannedAs(0), /^Nothing to do: 1 VM as declared\.$/m);
});

test('another repository declares the VM too: it is left to the first, and pruned by neither', async () => {
  await push({ 'web-0': [] }, { prune: true }, 'other.git');
  const other = `${git.url}/other.git`;
  const refused = await stage.expect(4, ['apply', other]);
  assert.match(refused.stdout, /\(other-source\) web-0 is declared by another repository: http:\S+\/net\?ref=HEAD /);
  await push({ 'db-0': [] }, { prune: true }, 'other.git');
  await stage.expect(0, ['apply', other]);
  assert.deepEqual(await stage.guestNics('web-0'), ['default', 'red']);
});

test('a VM gets another name in the repository: its NICs stay, and both places are told', async () => {
  await push({ 'web-00': ['red'] }, { prune: true });
  const { stdout } = await stage.expect(4, ['apply', url]);
  assert.match(stdout, /\(vm-not-found\) .* demo\/web-0, which has these NICs, has no object: was it renamed\?/);
  assert.match(stdout, /\(renamed\) web-0 has no object any more, but web-00 \(vms\/web-00\.yaml:1\)/);
  assert.deepEqual(await stage.guestNics('web-0'), ['default', 'red']);
});

test('an empty folder is pushed: an error in plan and status, and every NIC stays', async () => {
  await push({}, { prune: true });
  const planned = await stage.expect(3, ['plan', url]);
  assert.match(planned.stderr, /source\/empty/);
  assert.match(planned.stderr, /Nothing is unplugged for it\./);
  await stage.expect(3, ['apply', url, '--record', 'demo/net']);
  assert.match((await stage.run(['status', '--record', 'demo/net'])).stdout, /source\/empty/);
  assert.deepEqual(await stage.guestNics('web-0'), ['default', 'red']);
  // A checkout has no mark, so it prunes nothing, whatever its settings say.
  const folder = join(stage.folder, 'net.git');
  await push({ 'db-0': [] }, { prune: true });
  const checkout = await stage.expect(0, ['plan', folder]);
  assert.match(
    checkout.stdout,
    /demo\/web-0 has no object .* A folder prunes nothing: .* give --source-id 'http:\S+\/net\?ref=HEAD'$/m,
  );
  // Unless it is told whose it is, as for a preview.
  const given = await stage.expect(2, ['plan', folder, '--source-id', `${git.url}/net?ref=HEAD`]);
  assert.match(given.stdout, /demo\/web-0 {2}running {2}no longer declared\n {2}- unplug red\n/);
});
