/** A fleet in stages: canaries, waves, nodes, and how many may fail. */
import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import type { Scenario, Stage } from './apply-scenario.ts';
import { applyOptions, stage } from './apply-scenario.ts';
import { heal, results, type Vms, withVm } from './apply-support.ts';

const fleet = ['a', 'b', 'c', 'd'] as const;
/** One NIC each, which a fault may call by its name. */
const nics: Vms = { a: ['na'], b: ['nb'], c: ['nc'], d: ['nd'] };

suite('rollout', () => {
  let here: Stage;
  let scenario: Scenario;
  before(async () => {
    here = await stage();
    scenario = await withVm(here, 'fleet', ...fleet);
  });
  after(async () => await here.stop());
  afterEach(async () => {
    await heal(here);
    await Promise.all(fleet.map(unmark));
    // A plug that hung until now arrives meanwhile: its VM is blocked, or moves under the run, for a moment.
    for (let attempt = 0; ; attempt += 1) {
      const { outcome } = await scenario.run({ a: [], b: [], c: [], d: [] });
      if (outcome.summary.blocked + outcome.summary.failed === 0) break;
      assert.ok(attempt < 20, JSON.stringify(outcome));
    }
  });

  async function unmark(name: string): Promise<void> {
    if ((await scenario.live(name)).held === undefined) return;
    const path = '/metadata/annotations/patchpanel.dev~1held';
    await scenario.admin.jsonPatch(virtualMachines, scenario.namespace, name, [{ op: 'remove', path }]);
  }

  test('waves go one after the other; a VM that gives up an address goes with the one that waits for it', async () => {
    const mac = '02:00:00:00:0c:01';
    await scenario.run({ d: [{ name: 'nd', mac }] });
    const settings = {
      waves: [
        [
          { name: 'early', vms: ['b*'] },
          { name: 'late', vms: ['a'] },
        ],
      ],
    };
    const vms: Vms = { ...nics, b: [{ name: 'nb', mac }], d: [] };
    const { plan, outcome, events } = await scenario.run(vms, {}, scenario.cluster, settings);
    assert.deepEqual(
      plan.targets.map(({ target, wave }) => `${target.name} ${wave?.name}`),
      ['a late', 'b early', 'c the rest', 'd early'],
    );
    assert.match(
      plan.targets[3]?.notes.find(({ code }) => code === 'wave-moved')?.message ?? '',
      /"early".*fleet\/b waits/,
    );
    assert.deepEqual(results(outcome), { a: 'converged', b: 'converged', c: 'converged', d: 'converged' });
    // d gives the address up before b is begun; of the others none is begun before both have ended.
    assert.deepEqual(starts(events), ['d', 'b', 'a', 'c']);
    assert.ok(doneBefore(events, 'b', 'a') && doneBefore(events, 'a', 'c'));
  });

  test('a canary that fails ends the rollout, and no other VM is touched', async () => {
    await here.cluster.misbehave({ name: 'no-plug', value: 'na' });
    const settings = { canary: { percent: 25 } };
    const { outcome } = await scenario.run(nics, { actionTimeoutMs: 1500 }, scenario.cluster, settings);
    assert.deepEqual(results(outcome), { a: 'failed', b: 'not-started', c: 'not-started', d: 'not-started' });
    assert.match(reason(outcome, 'b'), /^fleet\/a of the canaries failed$/);
    assert.deepEqual([outcome.summary.notStarted, outcome.interrupted], [3, false]);
    assert.equal((await scenario.live('b')).owned.length, 0);

    // On a schedule the next run must not try the same on another VM.
    const again = await scenario.run(nics, {}, scenario.cluster, settings);
    assert.deepEqual(results(again.outcome), { a: 'blocked', b: 'not-started', c: 'not-started', d: 'not-started' });
    assert.match(reason(again.outcome, 'b'), /^fleet\/a of the canaries is held$/);
    assert.equal(again.outcome.summary.writes, 0);
  });

  test('a VM that is held holds back the waves behind its own', async () => {
    await here.cluster.misbehave({ name: 'no-plug', value: 'nb' });
    const settings = { waves: [[{ name: 'early', vms: ['b', 'd'] }]] };
    const { outcome } = await scenario.run(nics, { actionTimeoutMs: 1500 }, scenario.cluster, settings);
    const expected = { a: 'not-started', c: 'not-started', d: 'converged' };
    assert.deepEqual(results(outcome), { b: 'failed', ...expected });
    const again = await scenario.run(nics, {}, scenario.cluster, settings);
    const { d: _converged, ...waiting } = expected;
    assert.deepEqual(results(again.outcome), { b: 'blocked', ...waiting });
    assert.match(reason(again.outcome, 'a'), /^fleet\/b of the wave "early" is held$/);
  });

  test('a canary that converges lets the others go', async () => {
    const { outcome, events } = await scenario.run(nics, {}, scenario.cluster, { canary: { count: 1 } });
    assert.equal(outcome.summary.converged, 4, JSON.stringify(outcome));
    assert.ok(['b', 'c', 'd'].every((name) => doneBefore(events, 'a', name)));
  });

  test('after so many failures nothing new is begun', async () => {
    await here.cluster.misbehave({ name: 'no-plug', value: 'na' });
    const settings = { maxInFlight: 1, maxFailures: 1, onFailure: 'retry' } as const;
    const { outcome } = await scenario.run(nics, { actionTimeoutMs: 1500 }, scenario.cluster, settings);
    assert.deepEqual(results(outcome), { a: 'failed', b: 'not-started', c: 'not-started', d: 'not-started' });
    assert.match(reason(outcome, 'd'), /1 failed, and maxFailures is 1/);
  });

  test('while what failed is taken back, nobody is begun whom it holds back', async () => {
    await here.cluster.misbehave({ name: 'no-plug', value: 'na' });
    const back = Promise.withResolvers<void>();
    const other = Promise.withResolvers<void>();
    let isBack = false;
    // b ends while a is on its way back, which makes room for c.
    const paced = new Proxy(scenario.cluster, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key !== 'jsonPatch') return typeof value === 'function' ? value.bind(target) : value;
        return async (...given: Parameters<Cluster['jsonPatch']>) => {
          if (given[2] === 'b') await back.promise;
          if (given[2] === 'a' && isBack) await other.promise;
          return await target.jsonPatch(...given);
        };
      },
    });
    const plan = await scenario.plan(nics, { maxInFlight: 2, maxFailures: 1 });
    const outcome = await applyPlan(plan, paced, applyOptions({ actionTimeoutMs: 1500 }), (event) => {
      if (event.type === 'reversing') {
        isBack = true;
        back.resolve();
      }
      if (event.type === 'target-done' && event.target.name === 'b') other.resolve();
    });
    assert.deepEqual(results(outcome), { a: 'failed', b: 'converged', c: 'not-started', d: 'not-started' });
  });

  test('no more of one node are in change than the settings say', async () => {
    const { events, outcome } = await scenario.run(nics, {}, scenario.cluster, { maxInFlightPerNode: 1 });
    assert.equal(outcome.summary.converged, 4, JSON.stringify(outcome));
    const nodes = new Map<string, string>();
    for (const name of fleet) nodes.set(name, (await scenario.live(name)).vmi?.nodeName ?? '');
    const open = new Set<string>();
    for (const event of events) {
      if (event.type === 'target-done') open.delete(event.target.name);
      if (event.type !== 'target-started') continue;
      const node = nodes.get(event.target.name);
      assert.ok(![...open].some((name) => nodes.get(name) === node), `two of ${node} at one time`);
      open.add(event.target.name);
    }
  });
});

function starts(events: readonly RunEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === 'target-started' ? [event.target.name] : []));
}

/** Whether one VM had ended before another was begun. */
function doneBefore(events: readonly RunEvent[], one: string, other: string): boolean {
  const done = events.findIndex((event) => event.type === 'target-done' && event.target.name === one);
  const begun = events.findIndex((event) => event.type === 'target-started' && event.target.name === other);
  return done >= 0 && done < begun;
}

function reason({ targets }: Outcome, name: string): string {
  return targets.find(({ target }) => target.name === name)?.actions[0]?.reason ?? '';
}
