/** The command line where something goes wrong: signals, kills, refused exec, networks and guests that fail. */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { CliStage } from './cli-stage.ts';
import type { ClusterOptions } from './cluster-under-test.ts';

const vlans = ['vlan100', 'vlan101', 'vlan102', 'vlan100', 'vlan101', 'vlan102'] as const;
const four = [0, 1, 2, 3].map((index) => ({ name: `nic-${index}`, network: vlans[index] ?? '' }));
const names = four.map(({ name }) => name);

async function staged(t: TestContext, options: ClusterOptions): Promise<CliStage> {
  const stage = await CliStage.start({ vms: 4, ...options });
  t.after(() => stage.stop());
  return stage;
}

function ours(nics: readonly string[]): readonly string[] {
  return nics.filter((name) => names.includes(name));
}

/** Runs until nothing is left to do, and proves it. */
async function assertConverges(stage: CliStage, folder: string, vm: string): Promise<void> {
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(ours(await stage.guestNics(vm, 'fleet')), names);
  await stage.expect(0, ['plan', folder]);
  // What came until now is no part of the next test.
  stage.requests();
}

describe('a run that is stopped', { concurrency: false }, () => {
  let stage: CliStage;
  before(async () => {
    // Slow enough that a plug is under way when the signal comes.
    stage = await CliStage.start({ vms: 4, speed: 3 });
  });
  after(() => stage.stop());
  const json = ['-o', 'json', '--log-format', 'json'] as const;

  test('SIGTERM: what is in flight is finished, nothing new is started, exit 8; the next run goes on', async () => {
    const folder = await stage.desired('term', { 'vm-0': four }, 'fleet');
    const run = stage.begin(['apply', folder, ...json]);
    await run.saw('"type":"action-started"');
    run.kill('SIGTERM');
    const { code, stdout, stderr } = await run.result;
    assert.equal(code, 8, stderr);
    const outcome = JSON.parse(stdout);
    assert.deepEqual(
      outcome.targets[0].actions.map(({ result }: { result: string }) => result),
      ['done', 'not-started', 'not-started', 'not-started'],
    );
    assert.equal(outcome.interrupted, true);
    assert.match(stderr, /"type":"stopping","signal":"SIGTERM"/);
    assert.equal(stage.writes().length, 1);
    assert.deepEqual(ours(await stage.guestNics('vm-0', 'fleet')), ['nic-0']);
    await assertConverges(stage, folder, 'vm-0');
  });

  test('SIGTERM tells a person what happens, and what to do', async () => {
    const folder = await stage.desired('words', { 'vm-1': four }, 'fleet');
    const run = stage.begin(['apply', folder]);
    await run.saw('-> port');
    await new Promise((resolve) => setTimeout(resolve, 100));
    run.kill('SIGTERM');
    const { code, stdout, stderr } = await run.result;
    assert.equal(code, 8, stderr);
    assert.match(stderr, /^SIGTERM: starting nothing new, finishing what is in flight$/m);
    assert.match(stdout, /^fleet\/vm-1 {2}interrupted$/m);
    assert.match(stdout, /not started plug .*: the run was told to stop$/m);
    await assertConverges(stage, folder, 'vm-1');
  });

  test('SIGKILL in the middle of a plug: the next run converges', async () => {
    const folder = await stage.desired('kill', { 'vm-2': four }, 'fleet');
    const run = stage.begin(['apply', folder, ...json]);
    await run.saw('"type":"layer-reached"');
    run.kill('SIGKILL');
    assert.equal((await run.result).code, null);
    assert.equal(stage.writes().length, 1);
    await assertConverges(stage, folder, 'vm-2');
  });

  test('SIGTERM while the desired state is rendered: nothing is written', async () => {
    const folder = await stage.desired('term-early', { 'vm-3': four }, 'fleet');
    const run = stage.begin(['apply', folder, '--log-format', 'json']);
    await run.saw('"type":"rendering"');
    run.kill('SIGTERM');
    const { code, stderr } = await run.result;
    assert.equal(code, 8, stderr);
    assert.deepEqual(stage.writes(), []);
  });
});

test('exec is forbidden: plan and apply go by the forecast, and say so', async (t) => {
  const stage = await staged(t, { faults: [{ name: 'exec-forbidden', value: '*' }] });
  const folder = await stage.desired('no-exec', { 'web-0': ['storage'] });
  const plan = await stage.expect(2, ['plan', folder]);
  assert.match(plan.stdout, /ports .*forecast/);
  assert.match(plan.stdout, /exec/);
  const applied = await stage.expect(0, ['apply', folder]);
  assert.match(applied.stdout, /layers agree: vm, vmi, pod, multus/);
  const always = await stage.run(['apply', await stage.desired('always', { 'web-0': [] }), '--domain-xml', 'always']);
  assert.equal(always.code, 5, always.stdout);
  assert.match(always.stdout, /exec/);
});

test('one VM fails, the others converge: exit 5, and the reason in the words of the node', async (t) => {
  const stage = await staged(t, { faults: [{ name: 'cni-add-fails', value: 'demo/backup-net' }] });
  const folder = await stage.desired('one-fails', {
    'web-0': ['backup'],
    'db-0': ['storage'],
    'web-1': ['storage', 'mgmt'],
  });
  const failed = await stage.expect(5, ['apply', folder, '--action-timeout', '5']);
  assert.match(failed.stdout, /^demo\/web-0 {2}failed\n {2}failed {6}plug .* at layer multus: \S/m);
  assert.match(failed.stdout, /^demo\/db-0 {2}converged/m);
  assert.match(failed.stdout, /^demo\/web-1 {2}converged/m);
  assert.match(failed.stdout, /^2 VMs converged, 1 failed; 4 writes in /m);
  assert.deepEqual((await stage.guestNics('db-0')).includes('storage'), true);
  // Once it is mended, running again goes on from there.
  await stage.cluster.misbehave();
  const healed = await stage.run(['apply', folder]);
  assert.equal(healed.code, 0, healed.stdout + healed.stderr);
  await stage.expect(0, ['plan', folder]);
});

test('a guest that never takes a NIC: the time is up, the layer is named', async (t) => {
  const stage = await staged(t, { faults: [{ name: 'no-plug', value: 'storage' }] });
  const folder = await stage.desired('no-plug', { 'web-0': ['storage'], 'db-0': ['backup'] });
  const { stdout } = await stage.expect(5, ['apply', folder, '--action-timeout', '2', '-o', 'json']);
  const outcome = JSON.parse(stdout);
  const [db, web] = outcome.targets;
  assert.equal(db.result, 'converged');
  assert.equal(web.result, 'failed');
  assert.deepEqual([web.actions[0].code, web.actions[0].laggingLayer], ['apply/timeout', 'domain']);
});

test('without the dynamic-networks controller a plug comes by migration, and the plan says so', async (t) => {
  const stage = await staged(t, { dynamicNetworks: false });
  const folder = await stage.desired('migration', { 'vm-0': four.slice(0, 2) }, 'fleet');
  const plan = await stage.expect(2, ['plan', folder]);
  assert.match(plan.stdout, /plugs by migration \(no DaemonSet of the dynamic-networks controller\)/);
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(ours(await stage.guestNics('vm-0', 'fleet')), ['nic-0', 'nic-1']);
  await stage.expect(0, ['plan', folder]);
});
