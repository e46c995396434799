/** Changes of running VMs, from desired state to outcome, on a cluster: what goes wrong. */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { RunEvent } from '../reconcile/apply/model.ts';
import type { Cluster, PatchOperation } from '../reconcile/kube/cluster.ts';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import type { Action, Plan } from '../reconcile/plan/model.ts';
import { applyOptions, type Nic, type Stage, stage } from './apply-scenario.ts';
import { failure, heal, intercepted, killedAfter, results, unreachable, type Vms, withVm } from './apply-support.ts';
import { leavable } from './left-out.ts';
import { ofVms } from './plan-cases.ts';

/** Nothing is taken back or held: how a run goes on from where one before it failed. */
const retry = { onFailure: 'retry' } as const;

suite('trouble', () => {
  let here: Stage;
  before(async () => {
    here = await stage();
  });
  after(async () => await here.stop());

  test('a guest that takes no NIC: the layer is named, and no other VM suffers', async () => {
    const scenario = await withVm(here, 'noplug', 'db-0', 'db-1');
    await here.cluster.misbehave({ name: 'no-plug', value: 'stuck' });
    try {
      const vms: Vms = { 'db-0': ['stuck', { name: 'later', on: 'vlan20' }], 'db-1': ['blue'] };
      const { outcome, events } = await scenario.run(vms, { actionTimeoutMs: 4000 }, scenario.cluster, retry);
      assert.deepEqual(results(outcome), { 'db-0': 'failed', 'db-1': 'converged' }, JSON.stringify(outcome));
      assert.equal(failure(outcome).layer, 'domain');
      assert.equal(failure(outcome).code, 'apply/timeout');
      assert.match(failure(outcome).reason ?? '', /no NIC "stuck"/);
      assert.equal(outcome.targets[0]?.actions[1]?.result, 'not-started');
      assert.match(outcome.targets[0]?.actions[1]?.reason ?? '', /^"plug stuck" failed$/);
      assert.ok(events.some((event) => event.type === 'waiting' && event.layer === 'domain'));
      // Once the guest takes it, the next run goes on from there.
      await heal(here);
      const next = await scenario.run(vms);
      assert.deepEqual(results(next.outcome), { 'db-0': 'converged' }, JSON.stringify(next.outcome));
    } finally {
      await heal(here);
    }
  });

  test('a guest that releases no NIC: the domain is named', async () => {
    const scenario = await withVm(here, 'nounplug');
    await scenario.run({ 'db-0': ['blue'] });
    await here.cluster.misbehave({ name: 'no-unplug', value: 'blue' });
    try {
      const { outcome } = await scenario.run({ 'db-0': [] }, { actionTimeoutMs: 1500 }, scenario.cluster, retry);
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.equal(failure(outcome).code, 'apply/timeout');
      assert.equal(failure(outcome).layer, 'domain');
      assert.match(failure(outcome).reason ?? '', /guest has not released "blue"/);
      assert.deepEqual((await scenario.live('db-0')).owned, ['blue']);
    } finally {
      await heal(here);
    }
    const next = await scenario.run({ 'db-0': [] });
    assert.deepEqual(results(next.outcome), { 'db-0': 'converged' }, JSON.stringify(next));
  });

  test('a CNI plugin that fails: the run ends early with the words of the event', async () => {
    const scenario = await withVm(here, 'cni');
    await here.cluster.misbehave({ name: 'cni-add-fails', value: 'vlan30' });
    try {
      const { outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan30' }] });
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.equal(failure(outcome).layer, 'multus');
      assert.equal(failure(outcome).code, 'apply/not-plugged');
      assert.match(failure(outcome).reason ?? '', /FailedAddingInterface/);
    } finally {
      await heal(here);
    }
  });

  test('another writer between reading and writing: read again, and nothing of either is lost', async () => {
    const scenario = await withVm(here, 'race');
    let races = 0;
    const racing = intercepted(scenario.cluster, async (send) => {
      races += 1;
      if (races === 1) {
        const patch: PatchOperation[] = [
          {
            op: 'add',
            path: '/spec/template/spec/networks/-',
            value: { name: 'other', multus: { networkName: 'vlan30' } },
          },
          {
            op: 'add',
            path: '/spec/template/spec/domain/devices/interfaces/-',
            value: { name: 'other', bridge: {}, model: 'virtio' },
          },
        ];
        await scenario.cluster.jsonPatch(virtualMachines, scenario.namespace, 'db-0', patch);
      }
      return await send();
    });
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, {}, racing);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    assert.equal(races, 2);
    assert.deepEqual(
      (await scenario.live('db-0')).nics.map(({ name }) => name),
      ['default', 'other', 'blue'],
    );
  });

  test('a person suspends or protects it midway: the next write is not made', async () => {
    const scenario = await withVm(here, 'hands-off', 'db-0', 'db-1');
    await scenario.run({ 'db-0': [], 'db-1': [{ name: 'old', on: 'vlan20' }, 'line'] });
    const meddled = (name: string, annotation: string): Cluster => {
      let first = true;
      return intercepted(scenario.cluster, async (send) => {
        const answer = await send();
        if (first) {
          const metadata = { annotations: { [`patchpanel.dev/${annotation}`]: 'true' } };
          await scenario.admin.mergePatch(virtualMachines, scenario.namespace, name, { metadata });
        }
        first = false;
        return answer;
      });
    };
    const suspended = await scenario.run({ 'db-0': ['blue', 'green'] }, {}, meddled('db-0', 'suspend'));
    assert.deepEqual([failure(suspended.outcome).code, suspended.outcome.summary.writes], ['cluster/conflict', 1]);
    assert.match(failure(suspended.outcome).reason ?? '', /meanwhile: it has the annotation patchpanel\.dev\/suspend/);
    assert.deepEqual((await scenario.live('db-0')).owned, ['blue']);

    const swapped = { 'db-1': [{ name: 'old', on: 'vlan30' }, { name: 'line', state: 'down' } as const] };
    const shielded = await scenario.run(swapped, {}, meddled('db-1', 'protect'));
    assert.match(failure(shielded.outcome).reason ?? '', /the annotation patchpanel\.dev\/protect keeps old/);
    const { nics } = await scenario.live('db-1');
    assert.deepEqual(
      nics.filter(({ isDefault }) => !isDefault).map(({ name, state, network }) => `${name} ${state} ${network?.name}`),
      ['old up vlan20', 'line down vlan10'],
    );
  });

  test('an answer that was lost is not written twice', async () => {
    const scenario = await withVm(here, 'lost');
    let sent = 0;
    const lossy = intercepted(scenario.cluster, async (send) => {
      sent += 1;
      const answer = await send();
      if (sent === 1) throw await unreachable();
      return answer;
    });
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, {}, lossy);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    assert.equal(sent, 1);
  });

  test('a VM that moved since it was planned is refused, and the others go on', async () => {
    const scenario = await withVm(here, 'stale', 'db-0', 'db-1');
    const plan = await scenario.plan({ 'db-0': ['blue'], 'db-1': ['blue'] });
    const first = await scenario.run({ 'db-0': [{ name: 'red', on: 'vlan20' }] });
    assert.deepEqual(results(first.outcome), { 'db-0': 'converged' });
    for (const [savedPlan, code] of [
      [true, 'plan/stale'],
      [false, 'cluster/conflict'],
    ] as const) {
      const only: Plan = { ...plan, targets: plan.targets.filter(({ target }) => target.name === 'db-0') };
      const outcome = await applyPlan(only, scenario.cluster, applyOptions({ savedPlan }), () => {});
      assert.equal(failure(outcome).code, code);
      assert.match(failure(outcome).reason ?? '', /red/);
      assert.equal(outcome.summary.writes, 0);
    }
    const outcome = await applyPlan(plan, scenario.cluster, applyOptions({}), () => {});
    assert.deepEqual(results(outcome), { 'db-0': 'failed', 'db-1': 'converged' });
  });

  test('a stop finishes what is in flight and starts nothing new; running again converges', async () => {
    const scenario = await withVm(here, 'stop', 'db-0', 'db-1');
    const vms: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20' }], 'db-1': ['blue'] };
    const plan = await scenario.plan(vms);
    const stop = new AbortController();
    const outcome = await applyPlan(
      plan,
      scenario.cluster,
      applyOptions({ signal: stop.signal, maxInFlight: 1 }),
      (event) => {
        if (event.type === 'action-started') stop.abort('SIGTERM');
      },
    );
    assert.deepEqual(results(outcome), { 'db-0': 'interrupted', 'db-1': 'interrupted' });
    assert.deepEqual(
      outcome.targets[0]?.actions.map(({ result }) => result),
      ['done', 'not-started'],
    );
    assert.match(outcome.targets[1]?.actions[0]?.reason ?? '', /told to stop/);
    assert.equal(outcome.interrupted, true);
    assert.deepEqual(await scenario.guestNics('db-0'), ['blue', 'default']);
    const next = await scenario.run(vms);
    assert.equal(next.outcome.summary.converged, 2, JSON.stringify(next.outcome));
  });

  test('a plan whose time is up starts nothing', async () => {
    const scenario = await withVm(here, 'late');
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { runTimeoutMs: 0 });
    assert.deepEqual(results(outcome), { 'db-0': 'interrupted' });
    assert.match(outcome.targets[0]?.actions[0]?.reason ?? '', /time of the run is up/);
  });

  test('a listener that throws fails its own VM, and none that waits for it hangs', async () => {
    const scenario = await withVm(here, 'thrower', 'a', 'b');
    const plan = await scenario.plan({ a: ['blue'], b: ['blue'] });
    const outcome = await applyPlan(plan, scenario.cluster, applyOptions({}), (event) => {
      if (event.type === 'layer-reached' && event.target.name === 'a') throw new Error('the terminal is gone');
    });
    assert.deepEqual(results(outcome), { a: 'failed', b: 'converged' }, JSON.stringify(outcome));
    assert.match(failure(outcome).reason ?? '', /terminal is gone/);
  });

  test('a change that the webhook refuses leaves the VM as it was', async () => {
    const scenario = await withVm(here, 'refused');
    const plan = await scenario.plan({ 'db-0': ['blue'] });
    const spoilt: Plan = {
      ...plan,
      targets: ofVms(plan).targets.map((target) => ({
        ...target,
        actions: target.actions.map(
          (action): Action =>
            action.kind === 'plug'
              ? { ...action, attachments: action.attachments.map((item) => ({ ...item, mac: 'no-mac' })) }
              : action,
        ),
      })),
    };
    const outcome = await applyPlan(spoilt, scenario.cluster, applyOptions({}), () => {});
    assert.equal(failure(outcome).code, 'apply/refused');
    assert.match(failure(outcome).reason ?? '', /admission webhook/);
    assert.deepEqual(
      (await scenario.live('db-0')).nics.map(({ name }) => name),
      ['default'],
    );
  });

  test('exec that is forbidden: VMI status speaks for the domain, unless the XML is demanded', async () => {
    const scenario = await withVm(here, 'noexec');
    await here.cluster.misbehave({ name: 'exec-forbidden', value: '*' });
    try {
      const { outcome } = await scenario.run({ 'db-0': ['blue'] });
      assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
      const demanding = await scenario.run({ 'db-0': [] }, { domainXml: 'always' });
      assert.deepEqual(results(demanding.outcome), { 'db-0': 'failed' });
      assert.equal(failure(demanding.outcome).layer, 'domain');
      assert.match(failure(demanding.outcome).reason ?? '', /domain XML can not be read: no permission/);
    } finally {
      await heal(here);
    }
  });

  test('killed at any moment, the next run converges', async () => {
    const scenario = await withVm(here, 'killed');
    const rounds: readonly (readonly Nic[])[] = [
      ['blue', { name: 'red', on: 'vlan20' }],
      [{ name: 'red', on: 'vlan20', state: 'down' }],
      ['blue'],
      [],
    ];
    const moments = ['action-done', 'layer-reached', 'action-started', 'layer-reached'] as const;
    for (const [index, nics] of rounds.entries()) {
      const vms: Vms = { 'db-0': nics };
      const plan = await scenario.plan(vms);
      await killedAfter(plan, here.kubeconfig, moments[index] ?? 'action-started');
      const { outcome } = await scenario.run(vms);
      assert.ok(
        outcome.targets.every(({ result }) => result === 'converged'),
        `round ${index}: ${JSON.stringify(outcome)}`,
      );
      await scenario.assertConverged(vms);
    }
  });
});

suite('an API server that is unwell', () => {
  test('one that vanishes: the run says so, and after a stop it does not wait on', async () => {
    const here = await stage({ faults: [{ name: 'no-plug', value: '*' }] });
    try {
      const scenario = await withVm(here, 'vanished');
      const plan = await scenario.plan({ 'db-0': ['blue'] });
      const stop = new AbortController();
      const events: RunEvent[] = [];
      const options = applyOptions({ signal: stop.signal, actionTimeoutMs: 600_000, runTimeoutMs: 600_000 });
      const outcome = await applyPlan(plan, scenario.cluster, options, (event) => {
        events.push(event);
        if (event.type === 'layer-reached' && event.layer === 'multus') void here.cluster.stop();
        if (event.type === 'waiting' && event.reason?.includes('can not be reached')) stop.abort('SIGTERM');
      });
      assert.equal(failure(outcome).code, 'cluster/unreachable', JSON.stringify(outcome));
      assert.match(failure(outcome).reason ?? '', /can not be reached: .*seen last: the domain has no NIC "blue"/);
    } finally {
      await here.stop();
    }
  });

  test(
    'errors and cut watches slow a run down, no more',
    leavable('errors and cut watches slow a run down, no more'),
    async () => {
      let refused = 0;
      const here = await stage({
        faults: [
          { name: 'api-errors', value: '0.05' },
          { name: 'watch-cut', value: '300' },
        ],
        onRequest({ status }) {
          if (status === 429 || status === 503) refused += 1;
        },
      });
      try {
        const scenario = await here.scenario('unwell');
        await Promise.all(['db-0', 'db-1'].map((name) => scenario.vm(name)));
        const vms: Vms = { 'db-0': ['blue', { name: 'red', on: 'vlan20' }], 'db-1': ['blue'] };
        const { outcome } = await scenario.run(vms);
        assert.deepEqual(results(outcome), { 'db-0': 'converged', 'db-1': 'converged' }, JSON.stringify(outcome));
        assert.ok(refused > 0, 'the server refused nothing');
        await scenario.assertConverged(vms);
      } finally {
        await here.stop();
      }
    },
  );
});
