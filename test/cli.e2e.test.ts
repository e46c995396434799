/** The command line as a process, against a cluster: what it prints, its exit codes, and what it writes. */
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { CliRun, cli } from './cli-process.ts';
import { CliStage } from './cli-stage.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start({ vms: 6 });
});
after(() => stage.stop());

/** A VM of the fleet for each test, so that they do not meet. */
const fleetNetworks = ['vlan100', 'vlan101', 'vlan102'] as const;

async function fleetVm(name: string, ...nics: readonly string[]): Promise<string> {
  const attachments = nics.map((nic, index) => ({ name: nic, network: fleetNetworks[index] ?? 'vlan100' }));
  return await stage.desired(`${name}-${nics.join('-')}`, { [name]: attachments }, 'fleet');
}

test('render prints every object with its defaults, as YAML or JSON', async () => {
  const folder = await stage.desired('render', { 'web-0': ['storage'], 'web-1': [] });
  const yaml = await stage.expect(0, ['render', folder]);
  const objects: unknown[] = parseAllDocuments(yaml.stdout).map((document) => document.toJS());
  assert.equal(objects.length, 2);
  assert.deepEqual(objects[0], {
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name: 'web-0', namespace: 'demo' },
    spec: {
      target: { kind: 'VirtualMachine', name: 'web-0' },
      attachments: [{ name: 'storage', network: 'demo/storage-net', binding: 'bridge', state: 'up' }],
    },
  });
  const json = await stage.expect(0, ['render', folder, '-o', 'json']);
  assert.deepEqual(JSON.parse(json.stdout), objects);
  // What was rendered is itself a desired state.
  const again = await stage.desired('again', {});
  await writeFile(join(again, 'rendered.yaml'), yaml.stdout);
  assert.equal((await stage.expect(0, ['render', again])).stdout, yaml.stdout);
});

test('validate counts what is there, or lists every fault, without a cluster', async () => {
  const folder = await stage.desired('valid', { 'web-0': ['storage', 'backup'] });
  const good = await stage.expect(0, ['validate', folder], { env: { KUBECONFIG: '/nonexistent' } });
  assert.equal(good.stdout, 'Valid: 1 VM with 2 attachments in 1 file.\n');
  const json = JSON.parse((await stage.expect(0, ['validate', folder, '-o', 'json'])).stdout);
  assert.deepEqual(
    [json.valid, json.vms, json.attachments, json.files, typeof json.revision],
    [true, 1, 2, 1, 'string'],
  );
  await writeFile(join(folder, 'bad.yaml'), 'apiVersion: patchpanel.dev/v1alpha1\nkind: Setings\n');
  const bad = await stage.expect(3, ['validate', folder, '-o', 'json']);
  const faults = JSON.parse(bad.stdout);
  assert.equal(faults.valid, false);
  assert.deepEqual(faults.errors[0].position, { file: 'bad.yaml', line: 2, column: 7 });
  assert.deepEqual(stage.requests(), []);
});

test('plan: exit 2 and the same plan as text, JSON and Markdown; it writes nothing', async () => {
  const folder = await fleetVm('vm-0', 'storage');
  const text = await stage.expect(2, ['plan', folder]);
  assert.match(text.stdout, /^fleet\/vm-0 {2}running {2}vm-0\.yaml:1$/m);
  assert.match(text.stdout, /^ {2}\+ plug storage into vlan100 {2}-> port \d+$/m);
  assert.match(text.stdout, /^Plan: 1 VM to change \(1 plug\), 0 unchanged\.$/m);
  assert.match(text.stderr, /^read 1 VM in /m);
  const first = await stage.expect(2, ['plan', folder, '-o', 'json']);
  const second = await stage.expect(2, ['plan', folder, '-o', 'json']);
  assert.equal(first.stdout, second.stdout);
  const parsed = JSON.parse(first.stdout);
  assert.deepEqual(
    parsed.targets[0].actions.map(({ kind }: { kind: string }) => kind),
    ['plug'],
  );
  const markdown = await stage.expect(2, ['plan', folder, '-o', 'markdown']);
  assert.match(markdown.stdout, /^<!-- patchpanel plan -->\n\*\*Plan: 1 VM to change/);
  assert.match(markdown.stdout, /```diff\n\+ plug storage into vlan100\n/);
  assert.deepEqual(stage.writes(), []);
});

test('plan: exit 4 where a VM is blocked, with the way out, whatever else is to be done', async () => {
  const six = ['storage', 'backup', 'mgmt', 'red', 'green', 'blue'];
  const folder = await stage.desired('blocked', { 'web-0': six, 'db-0': ['storage'] });
  const blocked = await stage.expect(4, ['plan', folder]);
  assert.match(blocked.stdout, /! blocked \(no-ports\) web-0 has 4 free PCIe ports, 6 are needed\n {6}\S/);
  assert.match(blocked.stdout, /\+ plug storage into storage-net/);
  assert.deepEqual(stage.writes(), []);
});

test('apply plugs until every layer agrees; a second run has nothing to do and writes nothing', async () => {
  const folder = await fleetVm('vm-1', 'one', 'two');
  const before = await stage.guestNics('vm-1', 'fleet');
  stage.requests();
  const applied = await stage.expect(0, ['apply', folder]);
  assert.match(applied.stdout, /\+ plug one into vlan100/);
  assert.match(applied.stderr, /^done {4}fleet\/vm-1 {2}plug two into vlan101 .*domain/m);
  assert.match(applied.stdout, /^fleet\/vm-1 {2}converged {2}layers agree: vm, vmi, pod, multus, domain$/m);
  assert.match(applied.stdout, /^1 VM converged; 2 writes in /m);
  assert.deepEqual(
    [...new Set(stage.writes())],
    ['PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/fleet/virtualmachines/vm-1'],
  );
  assert.deepEqual(await stage.guestNics('vm-1', 'fleet'), [...before, 'one', 'two'].sort());

  const second = await stage.expect(0, ['apply', folder]);
  assert.match(second.stdout, /^Nothing to do: 1 VM as declared\.$/m);
  assert.match(second.stdout, /^0 VMs converged, 1 unchanged; 0 writes in /m);
  await stage.expect(0, ['plan', folder]);
  assert.deepEqual(stage.writes(), []);
});

test('apply -o json: the outcome alone on standard output, a JSON line for each event on standard error', async () => {
  const folder = await fleetVm('vm-2', 'only');
  const { stdout, stderr } = await stage.expect(0, ['apply', folder, '-o', 'json', '--log-format', 'json']);
  const outcome = JSON.parse(stdout);
  assert.equal(outcome.interrupted, false);
  assert.deepEqual(
    [outcome.targets[0].result, outcome.targets[0].actions[0].result, outcome.summary.writes],
    ['converged', 'done', 1],
  );
  const lines = stderr.trimEnd().split('\n');
  const events = lines.map((line): { type: string; time: string; level: string; vm?: string } => JSON.parse(line));
  assert.ok(events.every(({ time, level }) => !Number.isNaN(Date.parse(time)) && level === 'info'));
  assert.deepEqual(
    events.map(({ type }) => type).filter((type) => type !== 'waiting' && type !== 'layer-reached'),
    [
      'rendering',
      'rendered',
      'observing',
      'observed',
      'target-started',
      'action-started',
      'action-done',
      'target-done',
    ],
  );
  assert.ok(events.some(({ type, vm }) => type === 'layer-reached' && vm === 'fleet/vm-2'));
});

test('--log-format json: failures are JSON lines too, of the command line and of the desired state', async () => {
  const usage = await stage.expect(3, ['plan', '--log-format=json', '--kubconfig', 'x']);
  assert.deepEqual(JSON.parse(usage.stderr).code, 'cli/usage');
  const folder = await stage.desired('two-faults', {});
  const kind = 'apiVersion: patchpanel.dev/v1alpha1\nkind: X\n';
  await stage.desired('two-faults', { a: [] });
  await writeFile(join(folder, 'one.yaml'), kind);
  await writeFile(join(folder, 'two.yaml'), kind);
  const faults = await stage.expect(3, ['plan', folder, '--log-format', 'json']);
  const lines = faults.stderr
    .trimEnd()
    .split('\n')
    .map((line): { type: string; code?: string } => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ type, code }) => code ?? type),
    ['rendering', 'schema/unknown-kind', 'schema/unknown-kind'],
  );
  assert.equal(faults.stdout, '');
});

test('a saved plan is carried out as it was saved', async () => {
  const folder = await fleetVm('vm-3', 'first');
  const plan = await stage.expect(2, ['plan', folder, '-o', 'json']);
  const file = join(stage.folder, 'plan-3.json');
  await writeFile(file, plan.stdout);
  stage.requests();
  await stage.expect(0, ['apply', file]);
  assert.equal(stage.writes().length, 1);
  await stage.expect(0, ['plan', folder]);
});

test('a saved plan that went stale is refused with what moved, before anything is written', async () => {
  const folder = await fleetVm('vm-4', 'late');
  const plan = await stage.expect(2, ['plan', folder, '-o', 'json']);
  const file = join(stage.folder, 'plan-4.json');
  await writeFile(file, plan.stdout);
  await stage.expect(0, ['apply', await fleetVm('vm-4', 'early')]);
  stage.requests();
  const stale = await stage.expect(7, ['apply', file]);
  assert.match(stale.stderr, /fleet\/vm-4 is not as the plan found it/);
  assert.match(stale.stderr, /early/);
  assert.match(stale.stderr, /Make a new plan and look at it\./);
  assert.deepEqual(stage.writes(), []);
});

test('what is no plan is refused as one, and says how to make one', async () => {
  const file = join(stage.folder, 'no-plan.json');
  await writeFile(file, '{"apiVersion":"v1","kind":"List","items":[]}');
  const refused = await stage.expect(3, ['apply', file]);
  assert.match(refused.stderr, /plan\/format/);
  assert.match(refused.stderr, /patchpanel plan -o json/);
  assert.deepEqual(stage.requests(), []);
});

test('--domain-xml never asks for no exec, and plans by forecast', async () => {
  const folder = await stage.desired('never', { 'web-1': ['storage', 'backup'] });
  stage.requests();
  await stage.expect(2, ['plan', folder, '--domain-xml', 'never']);
  assert.deepEqual(
    stage.requests().filter(({ subresource }) => subresource === 'exec'),
    [],
  );
  await stage.expect(0, ['apply', folder, '--domain-xml', 'never']);
  assert.deepEqual(
    stage.requests().filter(({ subresource }) => subresource === 'exec'),
    [],
  );
  assert.ok((await stage.guestNics('web-1')).includes('backup'));
});

test('a VM that is taken out of a declaration keeps what patchpanel did not plug', async () => {
  const before = await stage.guestNics('vm-5', 'fleet');
  await stage.expect(0, ['apply', await fleetVm('vm-5', 'mine')]);
  await stage.expect(0, ['apply', await fleetVm('vm-5')]);
  assert.deepEqual(await stage.guestNics('vm-5', 'fleet'), before);
});

test('the kubeconfig is found as kubectl finds it: by option, by variable, by context', async () => {
  const folder = await stage.desired('context', { 'db-0': [] });
  const none = { env: { KUBECONFIG: '' } };
  await stage.expect(0, ['plan', folder, '--kubeconfig', stage.kubeconfig], none);
  const unknown = await stage.expect(3, ['plan', folder, '--context', 'nowhere']);
  assert.match(unknown.stderr, /nowhere/);
  assert.match(unknown.stderr, /--context/);
  const current = /current-context: (\S+)/.exec(await readFile(stage.kubeconfig, 'utf8'))?.[1] ?? '';
  await stage.expect(0, ['plan', folder, '--context', current]);
  const missing = await stage.expect(3, ['plan', folder, '--kubeconfig', '/nonexistent/config']);
  assert.match(missing.stderr, /\/nonexistent\/config/);
});

test('a VM that is missing is a blocker, and not an error', async () => {
  const folder = await stage.desired('missing', { 'no-such-vm': ['storage'] });
  const { stdout } = await stage.expect(4, ['plan', folder]);
  assert.match(stdout, /\(vm-not-found\)/);
});

test('sandbox writes a kubeconfig, says what it holds, and runs until it is interrupted', async (t) => {
  const kubeconfig = join(stage.folder, 'own-sandbox');
  const run = new CliRun(
    ['sandbox', '--kubeconfig', kubeconfig, '--vms', '2', '--speed', '25']
      .concat(['--without-dynamic-networks'])
      .concat(['--fault', 'exec-forbidden=*']),
  );
  t.after(() => run.kill('SIGKILL'));
  await run.saw('Ctrl-C ends it.');
  assert.equal((await stat(kubeconfig)).mode & 0o777, 0o600);
  const folder = await stage.desired('own', { 'web-0': ['storage'] });
  const plan = await cli(['plan', folder, '--kubeconfig', kubeconfig]);
  assert.equal(plan.code, 2, plan.stderr);
  assert.match(plan.stdout, /plugs by migration/);
  assert.match(plan.stdout, /reading the domain XML is forbidden/);
  run.kill('SIGINT');
  const { code, stdout, stderr } = await run.result;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ {2}2 running VMs in namespace fleet$/m);
  assert.match(stdout, /^ {2}VirtualMachine demo\/web-0$/m);
});

test('sandbox says why it can not start', async () => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['--kubeconfig', '/nonexistent/config'], 3, /can not be written to \/nonexistent\/config.*cli\/input/],
    [['--kubeconfig', join(stage.folder, 'x'), '--load', '/nonexistent'], 3, /\/nonexistent/],
    [['--kubeconfig', join(stage.folder, 'x'), '--port', new URL(stage.cluster.server).port], 1, /sandbox\/port/],
  ];
  for (const [args, exit, words] of cases) {
    const { code, stderr } = await cli(['sandbox', ...args]);
    assert.equal(code, exit, stderr);
    assert.match(stderr, words);
  }
});
