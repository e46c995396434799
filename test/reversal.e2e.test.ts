/** A change that the layers do not confirm: taken back, marked, and not tried again until its input changes. */
import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import { networkAttachmentDefinitions, virtualMachines } from '../reconcile/kube/resources.ts';
import type { Scenario, Stage } from './apply-scenario.ts';
import { applyOptions, stage } from './apply-scenario.ts';
import { failure, heal, killedAfter, results, type Vms, withVm } from './apply-support.ts';

suite('reversal', () => {
  let here: Stage;
  before(async () => {
    here = await stage();
  });
  after(async () => await here.stop());
  afterEach(async () => await heal(here));

  test('what a VM was given is taken from it again, last first; then it is held until its object changes', async () => {
    const scenario = await withVm(here, 'back', 'db-0', 'db-1');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const vms: Vms = { 'db-0': ['fine', { name: 'stuck', on: 'vlan20' }], 'db-1': ['fine'] };
    const { outcome, events } = await scenario.run(vms, { actionTimeoutMs: 2500 });
    assert.deepEqual(results(outcome), { 'db-0': 'failed', 'db-1': 'converged' }, JSON.stringify(outcome));
    assert.deepEqual(back(outcome), ['unplug done', 'release done', 'unplug done', 'release done']);
    assert.deepEqual(
      outcome.targets[0]?.actions.map(({ result, reversed }) => `${result}${reversed === true ? ', reversed' : ''}`),
      ['reversed', 'failed, reversed'],
    );
    assert.deepEqual(outcome.targets[0]?.reversal?.left, []);
    assert.ok(outcome.targets[0]?.reversal?.verified.includes('domain'));
    assert.deepEqual([outcome.summary.reversed, outcome.summary.held], [1, 1]);
    assert.ok(events.some(({ type }) => type === 'reversing'));
    const live = await scenario.live('db-0');
    assert.deepEqual([live.nics.map(({ name }) => name), live.owned], [['default'], []]);
    assert.deepEqual(await scenario.guestNics('db-0'), ['default']);

    await heal(here);
    const again = await scenario.run(vms);
    assert.deepEqual(codes(again.plan), ['held']);
    assert.match(
      again.plan.targets[0]?.blockers[0]?.message ?? '',
      /held since .*"plug stuck.*" failed at layer domain/,
    );
    assert.match(again.plan.targets[0]?.blockers[0]?.remedy ?? '', /annotate vm db-0 patchpanel.dev\/held-/);
    assert.deepEqual([results(again.outcome), again.outcome.summary.writes], [{ 'db-0': 'blocked' }, 0]);

    const changed: Vms = { ...vms, 'db-0': ['fine', { name: 'stuck', on: 'vlan30' }] };
    const next = await scenario.run(changed);
    assert.deepEqual(results(next.outcome), { 'db-0': 'converged' }, JSON.stringify(next.outcome));
    assert.equal((await scenario.live('db-0')).held, undefined);
    await scenario.assertConverged(changed);
  });

  test('a NIC that was unplugged comes back with its address, and a link to what it was', async () => {
    const scenario = await withVm(here, 'again');
    const mac = '02:00:00:00:0b:01';
    await scenario.run({ 'db-0': [{ name: 'old', mac, on: 'vlan20' }, 'line'] });
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const { outcome } = await scenario.run(
      { 'db-0': [{ name: 'line', state: 'down' }, 'stuck'] },
      { actionTimeoutMs: 2500 },
    );
    assert.deepEqual(results(outcome), { 'db-0': 'failed' });
    assert.deepEqual(back(outcome), ['unplug done', 'release done', 'link done', 'plug done'], JSON.stringify(outcome));
    const { nics, owned } = await scenario.live('db-0');
    const old = nics.find(({ name }) => name === 'old');
    assert.deepEqual(
      [old?.mac, old?.network?.name, nics.find(({ name }) => name === 'line')?.state],
      [mac, 'vlan20', 'up'],
    );
    assert.deepEqual([...owned].sort(), ['line', 'old']);
    assert.deepEqual(await scenario.guestNics('db-0'), ['default', 'line', 'old']);
  });

  test('an unplug that the guest does not grant is left with its way out, and ends the hold when it does', async () => {
    const scenario = await withVm(here, 'oneway');
    await scenario.run({ 'db-0': ['blue'] });
    await here.cluster.misbehave({ name: 'no-unplug', value: 'blue' });
    const { outcome } = await scenario.run({ 'db-0': [] }, { actionTimeoutMs: 1500 });
    assert.equal(failure(outcome).layer, 'domain');
    const [left] = outcome.targets[0]?.reversal?.left ?? [];
    assert.match(left?.message ?? '', /can not be called back/);
    assert.match(left?.remedy ?? '', /guest of db-0 releases the NIC/);
    // Nobody waits for it again.
    const held = await scenario.run({ 'db-0': [] });
    assert.deepEqual([codes(held.plan), results(held.outcome)], [['held'], { 'db-0': 'blocked' }]);
    await heal(here);
    await scenario.until('db-0', (vmi) => interfaces(vmi?.spec).every(({ name }) => name !== 'blue'));
    const next = await untilNotBlocked(scenario, { 'db-0': [] });
    assert.deepEqual(next, { 'db-0': 'converged' });
    assert.equal((await scenario.live('db-0')).held, undefined);
  });

  test('a plug that can not be cancelled stays, with the way out of it', async () => {
    const scenario = await withVm(here, 'pending');
    await here.cluster.misbehave({ name: 'cni-add-fails', value: 'vlan30' });
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan30' }] });
    assert.equal(failure(outcome).code, 'apply/not-plugged');
    assert.deepEqual(back(outcome), []);
    assert.match(outcome.targets[0]?.reversal?.left[0]?.message ?? '', /KubeVirt ignores an unplug/);
    // The way out: a network that works.
    const moved = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan10' }] });
    assert.deepEqual(results(moved.outcome), { 'db-0': 'converged' }, JSON.stringify(moved.outcome));
    assert.equal((await scenario.live('db-0')).held, undefined);
  });

  test('the settings may ask for less: hold alone, or another try', async () => {
    const scenario = await withVm(here, 'less', 'db-0', 'db-1');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const held = await scenario.run({ 'db-0': ['stuck'] }, { actionTimeoutMs: 1500 }, scenario.cluster, {
      onFailure: 'hold',
    });
    assert.deepEqual([back(held.outcome), held.outcome.targets[0]?.reversal?.held], [[], true]);
    assert.deepEqual((await scenario.live('db-0')).owned, ['stuck']);
    const retried = await scenario.run({ 'db-1': ['stuck'] }, { actionTimeoutMs: 1500 }, scenario.cluster, {
      onFailure: 'retry',
    });
    assert.equal(retried.outcome.targets[0]?.reversal, undefined);
    assert.equal((await scenario.live('db-1')).held, undefined);
    // What comes to be as declared all the same is no longer held.
    await heal(here);
    await scenario.until('db-0', (vmi) => JSON.stringify(vmi?.status).includes('"name":"stuck"'));
    const lifted = await untilNotBlocked(scenario, { 'db-0': ['stuck'] });
    assert.deepEqual(lifted, { 'db-0': 'converged' });
    assert.equal((await scenario.live('db-0')).held, undefined);
    await scenario.assertConverged({ 'db-0': ['stuck'] });
  });

  test('one command lifts the hold', async () => {
    const scenario = await withVm(here, 'lift');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const vms: Vms = { 'db-0': ['stuck'] };
    await scenario.run(vms, { actionTimeoutMs: 1500 });
    // The mark goes with one command, and the next run goes on.
    await scenario.admin.jsonPatch(virtualMachines, scenario.namespace, 'db-0', [
      { op: 'remove', path: '/metadata/annotations/patchpanel.dev~1held' },
    ]);
    await heal(here);
    const { outcome } = await scenario.run(vms);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
  });

  test('killed on the way back, the next run converges', async () => {
    const scenario = await withVm(here, 'killed');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const vms: Vms = { 'db-0': ['fine', { name: 'stuck', on: 'vlan20' }] };
    await killedAfter(await scenario.plan(vms), here.kubeconfig, 'reversing', 2000);
    await heal(here);
    const { outcome } = await scenario.run(vms);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    await scenario.assertConverged(vms);
  });

  test('a network that went with its last user: its NIC is told, and not left hanging', async () => {
    const scenario = await withVm(here, 'lost');
    await scenario.run({ 'db-0': [{ name: 'old', on: 'vlan20' }, 'line'] });
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const plan = await scenario.plan({ 'db-0': ['line', 'stuck'] });
    const outcome = await applyPlan(plan, scenario.cluster, applyOptions({ actionTimeoutMs: 2500 }), (event) => {
      if (event.type !== 'action-done' || event.action.kind !== 'unplug') return;
      void scenario.admin.delete(networkAttachmentDefinitions, scenario.namespace, 'vlan20');
    });
    assert.deepEqual(back(outcome), ['unplug done', 'release done'], JSON.stringify(outcome));
    assert.match(outcome.targets[0]?.reversal?.left[0]?.message ?? '', /"old" is not brought back: .*lost\/vlan20/);
    assert.deepEqual(await scenario.guestNics('db-0'), ['default', 'line']);
  });

  test('stopped on the way back: what was not taken back is told, and nothing is held', async () => {
    const scenario = await withVm(here, 'halfway', 'db-0', 'db-1');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' }, { name: 'no-unplug', value: 'firm' });
    // Between two steps, and in the middle of one that fails.
    const early = await stoppedAt(scenario, { 'db-0': ['fine', 'stuck'] }, 'action-done');
    const late = await stoppedAt(scenario, { 'db-1': ['firm', 'stuck'] }, 'action-started', 'firm');
    assert.deepEqual([back(early), back(late)], [['unplug done'], ['unplug done', 'release done', 'unplug failed']]);
    for (const outcome of [early, late]) {
      const [target] = outcome.targets;
      assert.match(target?.reversal?.left.at(-1)?.message ?? '', /not all was taken back: the run was told to stop/);
      assert.deepEqual([target?.reversal?.held, outcome.summary.reversed, outcome.summary.held], [false, 0, 0]);
      assert.equal((await scenario.live(target?.target.name ?? '')).held, undefined);
    }
    await heal(here);
    const { outcome } = await scenario.run({ 'db-0': ['fine', 'stuck'] });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
  });

  test('a run whose time is up takes nothing back and marks nothing', async () => {
    const scenario = await withVm(here, 'timeup');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    const { outcome } = await scenario.run({ 'db-0': ['stuck'] }, { runTimeoutMs: 1500 });
    assert.deepEqual(results(outcome), { 'db-0': 'failed' });
    assert.equal(outcome.targets[0]?.reversal, undefined);
    assert.equal((await scenario.live('db-0')).held, undefined);
  });
});

function back({ targets }: Outcome): readonly string[] {
  return targets.flatMap(({ reversal }) => reversal?.actions.map(({ kind, result }) => `${kind} ${result}`) ?? []);
}

/** A run that is told to stop at such an event of the way back, of that NIC. */
async function stoppedAt(scenario: Scenario, vms: Vms, type: RunEvent['type'], nic?: string): Promise<Outcome> {
  const stop = new AbortController();
  const options = applyOptions({ actionTimeoutMs: 2500, signal: stop.signal });
  return await applyPlan(await scenario.plan(vms), scenario.cluster, options, (event) => {
    if (event.type !== type || !('reversing' in event)) return;
    const names = 'attachments' in event.action ? event.action.attachments : [];
    if (nic === undefined || names.some((name) => name === nic)) stop.abort();
  });
}

function codes({ targets }: Awaited<ReturnType<Scenario['plan']>>): readonly string[] {
  return targets.flatMap(({ blockers }) => blockers.map(({ code }) => code));
}

function interfaces(spec: unknown): readonly { readonly name: string }[] {
  const { domain } = spec as { readonly domain: { readonly devices: { readonly interfaces: { name: string }[] } } };
  return domain.devices.interfaces;
}

/** KubeVirt strikes a NIC from the VM a moment after the instance has lost it. */
async function untilNotBlocked(scenario: Scenario, vms: Vms): Promise<Record<string, string>> {
  for (let attempt = 0; ; attempt += 1) {
    const { outcome } = await scenario.run(vms);
    const found = results(outcome);
    if (attempt === 20 || Object.values(found).every((result) => result !== 'blocked')) return found;
  }
}
