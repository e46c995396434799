/** Changes of running VMs, from desired state to outcome, on the sandbox: what goes well, and what goes wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, suite, test } from 'node:test';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import type { Cluster, PatchOperation } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import type { Action, Plan } from '../reconcile/plan/model.ts';
import { ownedAnnotation } from '../reconcile/systems/patchpanel.ts';
import { applyOptions, type Nic, type Scenario, type Stage, stage } from './apply-scenario.ts';

type Vms = Readonly<Record<string, readonly Nic[]>>;

function results(outcome: Outcome): Record<string, string> {
  return Object.fromEntries(outcome.targets.map(({ target, result }) => [target.name, result]));
}

function kinds(plan: Plan): string[] {
  return plan.targets.flatMap(({ actions }) => actions.map(({ kind }) => kind));
}

function failure(outcome: Outcome): { readonly layer?: string; readonly reason?: string; readonly code?: string } {
  const failed = outcome.targets.flatMap(({ actions }) => actions).find(({ result }) => result === 'failed');
  assert.ok(failed !== undefined, JSON.stringify(outcome));
  return {
    ...(failed.laggingLayer === undefined ? {} : { layer: failed.laggingLayer }),
    ...(failed.reason === undefined ? {} : { reason: failed.reason }),
    ...(failed.code === undefined ? {} : { code: failed.code }),
  };
}

/** A client whose JSON patches pass through a hand of the test's own. */
function intercepted(
  cluster: Cluster,
  patch: (send: () => ReturnType<Cluster['jsonPatch']>) => ReturnType<Cluster['jsonPatch']>,
): Cluster {
  return new Proxy(cluster, {
    get(target, key) {
      if (key === 'jsonPatch') {
        return (...parameters: Parameters<Cluster['jsonPatch']>) => patch(() => target.jsonPatch(...parameters));
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

suite('in place', () => {
  let here: Stage;
  before(async () => {
    here = await stage();
  });
  after(async () => await here.stop());

  async function withVm(namespace: string, ...names: readonly string[]): Promise<Scenario> {
    const scenario = await here.scenario(namespace);
    await Promise.all((names.length === 0 ? ['db-0'] : names).map((name) => scenario.vm(name)));
    return scenario;
  }

  test('plug, change, unplug: each layer is reached, and a second run does nothing', async () => {
    const scenario = await withVm('life');
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
    const scenario = await withVm('sriov');
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'fast', on: 'vlan20', binding: 'sriov' }] });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['default', 'fast']);
  });

  test('a NIC moves to another network by migration', async () => {
    const scenario = await withVm('swap');
    await scenario.run({ 'db-0': ['blue'] });
    const { plan, outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan20' }] });
    assert.deepEqual(kinds(plan), ['swap']);
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    await scenario.assertConverged({ 'db-0': [{ name: 'blue', on: 'vlan20' }] });
  });

  test('what another hand plugged stays', async () => {
    const scenario = await withVm('foreign');
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

  test('a guest that takes no NIC: the layer is named, and no other VM suffers', async () => {
    const scenario = await withVm('noplug', 'db-0', 'db-1');
    here.sandbox.faults.set([{ name: 'no-plug', value: 'stuck' }]);
    try {
      const vms: Vms = { 'db-0': ['stuck', { name: 'later', on: 'vlan20' }], 'db-1': ['blue'] };
      const { outcome, events } = await scenario.run(vms, { actionTimeoutMs: 4000 });
      assert.deepEqual(results(outcome), { 'db-0': 'failed', 'db-1': 'converged' }, JSON.stringify(outcome));
      assert.equal(failure(outcome).layer, 'domain');
      assert.equal(failure(outcome).code, 'apply/timeout');
      assert.match(failure(outcome).reason ?? '', /no NIC "stuck"/);
      assert.equal(outcome.targets[0]?.actions[1]?.result, 'not-started');
      assert.match(outcome.targets[0]?.actions[1]?.reason ?? '', /plug .* failed/);
      assert.ok(events.some((event) => event.type === 'waiting' && event.layer === 'domain'));
      // Once the guest takes it, the next run goes on from there.
      heal(here);
      const next = await scenario.run(vms);
      assert.deepEqual(results(next.outcome), { 'db-0': 'converged' }, JSON.stringify(next.outcome));
    } finally {
      heal(here);
    }
  });

  test('a guest that releases no NIC: the domain is named', async () => {
    const scenario = await withVm('nounplug');
    await scenario.run({ 'db-0': ['blue'] });
    here.sandbox.faults.set([{ name: 'no-unplug', value: 'blue' }]);
    try {
      const { outcome } = await scenario.run({ 'db-0': [] }, { actionTimeoutMs: 1500 });
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.equal(failure(outcome).code, 'apply/timeout');
      assert.equal(failure(outcome).layer, 'domain');
      assert.match(failure(outcome).reason ?? '', /guest has not released "blue"/);
      assert.deepEqual((await scenario.live('db-0')).owned, ['blue']);
    } finally {
      heal(here);
    }
    const next = await scenario.run({ 'db-0': [] });
    assert.deepEqual(results(next.outcome), { 'db-0': 'converged' }, JSON.stringify(next));
  });

  test('a CNI plugin that fails: the run ends early with the words of the event', async () => {
    const scenario = await withVm('cni');
    here.sandbox.faults.set([{ name: 'cni-add-fails', value: 'vlan30' }]);
    try {
      const { outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'vlan30' }] });
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.equal(failure(outcome).layer, 'multus');
      assert.equal(failure(outcome).code, 'apply/not-plugged');
      assert.match(failure(outcome).reason ?? '', /FailedAddingInterface/);
    } finally {
      heal(here);
    }
  });

  test('another writer between reading and writing: read again, and nothing of either is lost', async () => {
    const scenario = await withVm('race');
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

  test('an answer that was lost is not written twice', async () => {
    const scenario = await withVm('lost');
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
    const scenario = await withVm('stale', 'db-0', 'db-1');
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

  test('no more VMs are in change than allowed', async () => {
    const names = ['vm-0', 'vm-1', 'vm-2', 'vm-3'];
    const scenario = await withVm('bound', ...names);
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

  test('a stop finishes what is in flight and starts nothing new; running again converges', async () => {
    const scenario = await withVm('stop', 'db-0', 'db-1');
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
    const scenario = await withVm('late');
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { runTimeoutMs: 0 });
    assert.deepEqual(results(outcome), { 'db-0': 'interrupted' });
    assert.match(outcome.targets[0]?.actions[0]?.reason ?? '', /time of the run is up/);
  });

  test('an action of one VM comes after that of another, or not at all', async () => {
    const scenario = await withVm('edges', 'a', 'b');
    function chained(plan: Plan, broken: boolean): Plan {
      const before = plan.targets.find(({ target }) => target.name === 'b')?.actions[0]?.id ?? '';
      return {
        ...plan,
        targets: plan.targets.map((target) =>
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

  test('a listener that throws fails its own VM, and none that waits for it hangs', async () => {
    const scenario = await withVm('thrower', 'a', 'b');
    const plan = await scenario.plan({ a: ['blue'], b: ['blue'] });
    const outcome = await applyPlan(plan, scenario.cluster, applyOptions({}), (event) => {
      if (event.type === 'layer-reached' && event.target.name === 'a') throw new Error('the terminal is gone');
    });
    assert.deepEqual(results(outcome), { a: 'failed', b: 'converged' }, JSON.stringify(outcome));
    assert.match(failure(outcome).reason ?? '', /terminal is gone/);
  });

  test('a VM that is blocked is not touched', async () => {
    const scenario = await withVm('blocked');
    const { outcome } = await scenario.run({ 'db-0': [{ name: 'blue', on: 'nosuch' }] });
    assert.deepEqual(results(outcome), { 'db-0': 'blocked' });
    assert.equal(outcome.summary.writes, 0);
  });

  test('a change that the webhook refuses leaves the VM as it was', async () => {
    const scenario = await withVm('refused');
    const plan = await scenario.plan({ 'db-0': ['blue'] });
    const spoilt: Plan = {
      ...plan,
      targets: plan.targets.map((target) => ({
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
    const scenario = await withVm('noexec');
    here.sandbox.faults.set([{ name: 'exec-forbidden', value: '*' }]);
    try {
      const { outcome } = await scenario.run({ 'db-0': ['blue'] });
      assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
      const demanding = await scenario.run({ 'db-0': [] }, { domainXml: 'always' });
      assert.deepEqual(results(demanding.outcome), { 'db-0': 'failed' });
      assert.equal(failure(demanding.outcome).layer, 'domain');
      assert.match(failure(demanding.outcome).reason ?? '', /domain XML can not be read: no permission/);
    } finally {
      heal(here);
    }
  });

  test('the domain XML is held against the goals', async () => {
    const scenario = await withVm('xml');
    const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { domainXml: 'always' });
    assert.deepEqual(results(outcome), { 'db-0': 'converged' }, JSON.stringify(outcome));
    const gone = await scenario.run({ 'db-0': [] }, { domainXml: 'always' });
    assert.deepEqual(results(gone.outcome), { 'db-0': 'converged' }, JSON.stringify(gone.outcome));
  });

  test('a MAC that moves leaves the one VM before it comes to the other', async () => {
    const scenario = await withVm('mac', 'a', 'b');
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
    const scenario = await withVm('staged');
    await scenario.run({ 'db-0': ['blue'] });
    const vms: Vms = {
      'db-0': [
        { name: 'blue', mac: '02:00:00:00:0a:08' },
        { name: 'red', on: 'vlan20' },
      ],
    };
    const { outcome } = await scenario.run(vms, {}, scenario.cluster, 'stage');
    assert.deepEqual(results(outcome), { 'db-0': 'staged' }, JSON.stringify(outcome));
    assert.deepEqual(await scenario.guestNics('db-0'), ['blue', 'default', 'red']);
    const again = await scenario.run(vms, {}, scenario.cluster, 'stage');
    assert.equal(again.outcome.summary.writes, 0, JSON.stringify(again.outcome));
  });

  test('killed at any moment, the next run converges', async () => {
    const scenario = await withVm('killed');
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
    here.sandbox.faults.set([{ name: 'migration-hangs', value: '*' }]);
    try {
      const { outcome } = await scenario.run({ 'db-0': ['blue'] }, { migrationTimeoutMs: 3000 });
      assert.deepEqual(results(outcome), { 'db-0': 'failed' });
      assert.match(failure(outcome).reason ?? '', /migrat/);
    } finally {
      heal(here);
    }
  });
});

suite('an API server that is unwell', () => {
  test('errors and cut watches slow a run down, no more', async () => {
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
  });
});

/** Ends all misbehaviour; guests look again. */
function heal({ sandbox }: Stage): void {
  sandbox.faults.set([]);
  sandbox.wake();
}

/** What a client throws when the connection breaks before the answer. */
async function unreachable(): Promise<unknown> {
  const nowhere = await connect({ server: 'http://127.0.0.1:1', retries: 0 });
  try {
    await nowhere.raw('/version');
  } catch (error) {
    return error;
  } finally {
    await nowhere.close();
  }
  return assert.fail('port 1 answers');
}

/** Applies in a process of its own, which is killed outright once the run tells of such an event. */
async function killedAfter(plan: Plan, kubeconfig: string, event: RunEvent['type']): Promise<void> {
  const child = spawn(process.execPath, [new URL('apply-child.ts', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const job = { plan, kubeconfig, event };
  child.stdin.end(JSON.stringify(job));
  let told = '';
  child.stdout.on('data', (text) => {
    told += text;
    child.kill('SIGKILL');
  });
  await once(child, 'exit');
  assert.match(told, new RegExp(event), 'the run came to its end before it could be killed');
}
