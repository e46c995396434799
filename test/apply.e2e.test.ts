/** Changes of running VMs, from desired state to outcome, on a cluster: what goes well. */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { RunEvent } from '../reconcile/apply/model.ts';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import type { Action, Plan } from '../reconcile/plan/model.ts';
import { ownedAnnotation } from '../reconcile/systems/patchpanel.ts';
import { applyOptions, type Stage, stage } from './apply-scenario.ts';
import { failure, heal, kinds, results, type Vms, withVm } from './apply-support.ts';
import { ofVms } from './plan-cases.ts';

suite('in place', () => {
  let here: Stage;
  before(async () => {
    here = await stage();
  });
  after(async () => await here.stop());

  test('plug, change, unplug: each layer is reached, and a second run does nothing', async () => {
    const scenario = await withVm(here, 'life');
    const vms: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20', mac: '02:00:00:00:0a:01' }] };
    const plugged = await scenario.run(vms);
    assert.deepEqual(kinds(plugged.plan), ['plug', 'plug']);
    assert.deepEqual(results(plugged.outcome), { 'db-0': 'converged' }, JSON.stringify(plugged.outcome));
    assert.deepEqual(plugged.outcome.targets[0]?.verified, ['vm', 'vmi', 'pod', 'multus', 'domain']);
    assert.deepEqual(await scenario.guestNics('db-0'), ['blue', 'default', 'red']);
    assert.deepEqual((await scenario.live('db-0')).owned, ['blue', 'red']);
    const reached = plugged.events.flatMap((event) => (event.type === 'layer-reached' ? [event.layer] : []));
    assert.deepEqual(reached.slice(0, 5).sort(), ['domain', 'multus', 'pod', 'vm', 'vmi']);
    await scenario.assertConverged(vms);
    const again = await scenario.run(vms);
    assert.equal(again.outcome.summary.writes, 0);

    const down: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20', mac: '02:00:00:00:0a:01', state: 'down' }] };
    const linked = await scenario.run(down);
    assert.deepEqual(kinds(linked.plan), ['link']);
    assert.deepEqual(results(linked.outcome), { 'db-0': 'converged' }, JSON.stringify(linked.outcome));
    await scenario.assertConverged(down);

    const unplugged = await scenario.run({ 'db-0': [] });
    assert.deepEqual(results(unplugged.outcome), { 'db-0': 'converged' }, JSON.stringify(unplugged.outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['default']);
    assert.deepEqual((await scenario.live('db-0')).owned, []);
    await scenario.assertConverged({ 'db-0': [] });
  });

  test('an SR-IOV NIC comes by migration', async () => {
    const scenario = await withVm(here, 'sriov');
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'fast', on: 'vlan20', binding: 'sriov' }] });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['default', 'fast']);
  });

  test('a NIC moves to another network by migration', async () => {
    const scenario = await withVm(here, 'swap');
    await scenario.run({ 'db-0': ['blue'] });
    const { plan, outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan20' }] });
    assert.deepEqual(kinds(plan), ['swap']);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    await scenario.assertConverged({ 'db-0': [{ name: 'blue', on: 'vlan20' }] });
  });

  test('what another hand plugged stays', async () => {
    const scenario = await withVm(here, 'foreign');
    await scenario.run({ 'db-0': ['blue'] });
    // As if somebody else had plugged it: it is on nobody's record.
    await scenario.cluster.mergePatch(virtualMachines, scenario.namespace, 'db-0', {
      metadata: { annotations: { [ownedAnnotation]: null } },
    });
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'red', on: 'vlan20' }] });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' });
    assert.deepEqual(await scenario.guestNics('db-0'), ['blue', 'default', 'red']);
    assert.deepEqual((await scenario.live('db-0')).owned, ['red']);
  });

  test('no more VMs are in change than allowed', async () => {
    const names = ['vm-0', 'vm-1', 'vm-2', 'vm-3'];
    const scenario = await withVm(here, 'bound', ...names);
    const { events, outcome } = await scenario.run(Object.fromEntries(names.map((name) => [name, ['blue']])), {
      maxInFlight: 2,
    });
    assert.equal(outcome.summary.converged, 4);
    let inside = 0;
    let most = 0;
    for (const event of events) {
      if (event.type === 'target-started') inside += 1;
      if (event.type === 'target-done') inside -= 1;
      most = Math.max(most, inside);
    }
    assert.equal(most, 2);
  });

  test('an action of one VM comes after that of another, or not at all', async () => {
    const scenario = await withVm(here, 'edges', 'a', 'b');
    function chained(plan: Plan, broken: boolean): Plan {
      const before = plan.targets.find(({ target }) => target.name === 'b')?.actions[0]?.id ?? '';
      return {
        ...plan,
        targets: ofVms(plan).targets.map((target) =>
          target.target.name === 'a'
            ? {
                ...target,
                actions: target.actions.map(
                  (action): Action => ({ ...action, after: [broken ? 'edges/c/1' : before] }),
                ),
              }
            : target,
        ),
      };
    }
    const plan = await scenario.plan({ a: ['blue'], b: ['blue'] });
    const refused = await applyPlan(
      { ...chained(plan, true), targets: chained(plan, true).targets.filter(({ target }) => target.name === 'a') },
      scenario.cluster,
      applyOptions({}),
      () => {},
    );
    assert.deepEqual(results(refused), { a: 'failed' });
    assert.match(refused.targets[0]?.actions[0]?.reason ?? '', /after edges\/c\/1/);
    const events: RunEvent[] = [];
    // One slot: a VM that waits must not hold it.
    const outcome = await applyPlan(chained(plan, false), scenario.cluster, applyOptions({ maxInFlight: 1 }), (event) =>
      events.push(event),
    );
    assert.deepEqual(results(outcome), { a: 'converged', b: 'converged' }, JSON.stringify(outcome));
    const order = events.flatMap((event) =>
      event.type === 'action-started' || event.type === 'action-done' ? [`${event.type} ${event.target.name}`] : [],
    );
    assert.ok(order.indexOf('action-done b') < order.indexOf('action-started a'), order.join(', '));
  });

  test('a VM that is blocked is not touched', async () => {
    const scenario = await withVm(here, 'blocked');
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'nosuch' }] });
    assert.deepEqual(results(outcome), { 'db-0': 'blocked' });
    assert.equal(outcome.summary.writes, 0);
  });

  test('the domain XML is held against the goals', async () => {
    const scenario = await withVm(here, 'xml');
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { domainXml: 'always' });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    const gone = await scenario.run({ 'db-0': [] }, { domainXml: 'always' });
    assert.deepEqual(results(gone.outcome), { 'db-0': 'converged' }, JSON.stringify(gone.outcome));
  });

  test('a MAC that moves leaves the one VM before it comes to the other', async () => {
    const scenario = await withVm(here, 'mac', 'a', 'b');
    const nic = { name: 'blue', mac: '02:00:00:00:0a:07' };
    await scenario.run({ a: [nic], b: [] });
    const { outcome, events } = await scenario.run({ a: [], b: [nic] }, { maxInFlight: 1 });
    assert.deepEqual(results(outcome), { a: 'converged', b: 'converged' }, JSON.stringify(outcome));
    const steps = events.flatMap((event) =>
      event.type === 'action-started' || event.type === 'action-done' ? [`${event.type} ${event.action.kind}`] : [],
    );
    assert.ok(steps.indexOf('action-done unplug') < steps.indexOf('action-started plug'), steps.join(', '));
    await scenario.assertConverged({ a: [], b: [nic] });
  });

  test('the template of a stopped VM is edited outright', async () => {
    const scenario = await here.scenario('stopped');
    await scenario.stoppedVm('db-0');
    const vms: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20', binding: 'sriov' }] };
    const put = await scenario.run(vms);
    assert.deepEqual(kinds(put.plan), ['edit-template']);
    assert.deepEqual(results(put.outcome), { 'db-0': 'converged' }, JSON.stringify(put.outcome));
    assert.deepEqual(put.outcome.targets[0]?.verified, ['vm']);
    await scenario.assertConverged(vms);
    const removed = await scenario.run({ 'db-0': [] });
    assert.deepEqual(results(removed.outcome), { 'db-0': 'converged' }, JSON.stringify(removed.outcome));
    assert.deepEqual((await scenario.live('db-0')).owned, []);
    await scenario.assertConverged({ 'db-0': [] });
  });

  test('what needs a restart is staged where that is allowed, and other NICs are plugged beside it', async () => {
    const scenario = await withVm(here, 'staged');
    await scenario.run({ 'db-0': ['blue'] });
    const vms: Vms = {
      'db-0': [
        { name: 'blue', mac: '02:00:00:00:0a:08' },
        { name: 'red', on: 'vlan20' },
      ],
    };
    const { outcome } = await scenario.run(vms, {}, scenario.cluster, { restart: 'stage' });
    assert.deepEqual(results(outcome), { 'db-0': 'staged' }, JSON.stringify(outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['blue', 'default', 'red']);
    const again = await scenario.run(vms, {}, scenario.cluster, { restart: 'stage' });
    assert.equal(again.outcome.summary.writes, 0, JSON.stringify(again.outcome));
  });
});

suite('without the dynamic-networks controller', () => {
  let here: Stage;
  before(async () => {
    here = await stage({ dynamicNetworks: false });
  });
  after(async () => await here.stop());

  test('two NICs come, and go, with one migration each time', async () => {
    const scenario = await here.scenario('moved');
    await scenario.vm('db-0');
    const vms: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20' }] };
    const plugged = await scenario.run(vms);
    assert.deepEqual(kinds(plugged.plan), ['plug']);
    assert.deepEqual(results(plugged.outcome), { 'db-0': 'converged' }, JSON.stringify(plugged.outcome));
    await scenario.assertConverged(vms);
    const gone = await scenario.run({ 'db-0': [] });
    assert.deepEqual(results(gone.outcome), { 'db-0': 'converged' }, JSON.stringify(gone.outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['default']);
  });

  test('a migration that hangs is named', async () => {
    const scenario = await here.scenario('hangs');
    await scenario.vm('db-0');
    await here.cluster.misbehave({ name: 'migration-hangs', value: '*' });
    try {
      const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { migrationTimeoutMs: 3000 });
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.match(failure(outcome).reason ?? '', /migrat/);
    } finally {
      await heal(here);
    }
  });
});
