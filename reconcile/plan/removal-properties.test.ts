/** What must hold of the removals of every plan, over random fleets of VMs with and without objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofVms, type VmsPlan } from '../../test/plan-cases.ts';
import { declared, desiredState, liveState, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import type { DesiredState, Limit } from '../desired/model.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { readProtection } from '../live/protection.ts';
import { makePlan } from './plan.ts';
import { parsePlan, planToJson } from './plan-json.ts';
import { removalsAllowed, removedBy } from './removals.ts';

const names = ['a', 'b', 'c'] as const;
const url = 'https://git.example.com/vms';
const mark = `${url}?ref=main`;

const vmInput = fc.record({
  present: fc.subarray([...names]),
  owned: fc.subarray([...names, 'default']),
  wanted: fc.option(fc.subarray([...names, 'd'])),
  source: fc.constantFrom(undefined, mark, mark, mark, `${url}?ref=test`, `${url}//other?ref=main`, 'somebody'),
  protect: fc.constantFrom(undefined, undefined, undefined, 'true', 'a', 'a,b', 'nonsense!', 'x'),
  swapped: fc.subarray([...names]),
  stopped: fc.boolean(),
});
type VmInput = typeof vmInput extends fc.Arbitrary<infer T> ? T : never;

const limits: fc.Arbitrary<Limit | undefined> = fc.constantFrom(
  undefined,
  { count: 0 },
  { count: 1 },
  { count: 3 },
  { percent: 0 },
  { percent: 40 },
  { count: 2, percent: 40 },
);

interface World {
  readonly desired: DesiredState;
  readonly live: LiveState;
  readonly plan: VmsPlan;
}

function liveVm(index: number, { present, owned, source, protect, stopped }: VmInput): LiveVm {
  const nics = present.map((name) => ({ name, network: 'n1' }));
  const make = stopped ? stoppedVm : runningVm;
  const protection = readProtection(protect);
  return {
    ...make(nics, { name: `vm-${index}`, owned }),
    ...(source === undefined ? {} : { source }),
    ...(protection === undefined ? {} : { protection }),
  };
}

function worldOf(inputs: readonly VmInput[], prune: boolean, limit: Limit | undefined, marked: boolean): World {
  const vms = inputs.map((input, index) => liveVm(index, input));
  const targets = inputs.flatMap(({ wanted, swapped }, index) => {
    if (wanted === null) return [];
    const nics = wanted.map((name) => ({ name, network: swapped.some((each) => each === name) ? 'n2' : 'n1' }));
    return [declared(nics, { name: `vm-${index}` })];
  });
  const settings = { prune, ...(limit === undefined ? {} : { maxRemovals: limit }) };
  const git = { kind: 'git', url, ref: 'main', commit: 'c0ffee', path: '' } as const;
  const desired = { ...desiredState(targets, settings), source: { ...git, ...(marked ? { mark } : {}) } };
  const undeclared = vms
    .filter((_, index) => inputs[index]?.wanted === null)
    .map(({ namespace, name, nics, owned, source }) => ({
      namespace,
      name,
      owned: nics.filter((nic) => !nic.isDefault && owned.includes(nic.name)).map((nic) => nic.name),
      ...(source === undefined ? {} : { source }),
    }));
  const live = { ...liveState(vms, { also: ['n1', 'n2'] }), undeclared };
  return { desired, live, plan: ofVms(makePlan(diffState(desired, live), desired, live)) };
}

function forEveryPlan(check: (world: World) => void, options: fc.Parameters<unknown> = {}): void {
  const worlds = fc.tuple(fc.array(vmInput, { minLength: 1, maxLength: 5 }), fc.boolean(), limits, fc.boolean());
  fc.assert(
    fc.property(worlds, ([inputs, prune, limit, marked]) => check(worldOf(inputs, prune, limit, marked))),
    { numRuns: 400, ...options },
  );
}

function vmOf({ live }: World, { target }: VmsPlan['targets'][number]): LiveVm {
  const vm = live.vms.get(`${target.namespace}/${target.name}`);
  assert.ok(vm);
  return vm;
}

test('no plan takes away more than its limit', () => {
  forEveryPlan(({ desired, plan }) => {
    const { maxRemovals } = desired.settings;
    const taken = plan.targets.reduce((sum, { actions }) => sum + removedBy(actions).length, 0);
    if (maxRemovals === undefined) {
      assert.equal(taken, plan.removals?.planned ?? 0);
      return;
    }
    assert.ok(taken <= removalsAllowed(maxRemovals, plan.removals?.owned ?? 0));
    const limited = plan.targets.some(({ blockers }) => blockers.some(({ code }) => code === 'removal-limit'));
    assert.equal(taken, limited ? 0 : (plan.removals?.planned ?? 0), 'all of them or none');
  });
});

test('only what bears the mark is pruned, only where that is on, and only what patchpanel owns of it', () => {
  forEveryPlan((world) => {
    const { desired, plan } = world;
    const objects = new Set(desired.targets.map(({ target }) => target.name));
    for (const target of plan.targets) {
      assert.equal(target.pruned === true, !objects.has(target.target.name));
      if (target.pruned !== true) continue;
      assert.equal(desired.settings.prune, true);
      assert.ok(objects.size > 0);
      const vm = vmOf(world, target);
      assert.equal(vm.source, mark);
      assert.equal(desired.source.mark, mark);
      for (const action of target.actions) assert.ok(['unplug', 'edit-template', 'release'].includes(action.kind));
      for (const name of removedBy(target.actions)) assert.ok(vm.owned.includes(name) && name !== 'default');
    }
  });
});

test('nothing is written to a VM of another repository', () => {
  forEveryPlan((world) => {
    for (const target of world.plan.targets) {
      if (!isOfAnother(vmOf(world, target).source, world.desired.source)) continue;
      assert.ok(target.actions.every(({ kind }) => kind === 'follow'));
    }
  });
});

test('a protected NIC is neither taken away nor replaced', () => {
  forEveryPlan((world) => {
    for (const target of world.plan.targets) {
      const vm = vmOf(world, target);
      const { protection } = vm;
      if (protection === undefined) continue;
      const there = new Set(vm.nics.map(({ name }) => name));
      for (const action of target.actions) {
        const touched = [
          ...removedBy([action]),
          ...(action.kind === 'swap' ? [action.attachment] : []),
          ...(action.kind === 'edit-template'
            ? action.put.map(({ name }) => name).filter((name) => there.has(name))
            : []),
        ];
        for (const name of touched) assert.ok(protection.kind === 'some' && !protection.names.includes(name), name);
      }
    }
  });
});

test('such a plan survives its file', () => {
  forEveryPlan(({ plan }) => {
    assert.deepEqual(parsePlan(planToJson(plan)), plan);
  });
});

test('random fleets meet every rule', () => {
  const seen = new Set<string>();
  forEveryPlan(
    ({ plan }) => {
      for (const { blockers, actions, pruned, target } of plan.targets) {
        for (const { code } of blockers) seen.add(code);
        for (const { kind } of actions) seen.add(`${pruned === true ? 'pruned: ' : ''}${kind}`);
        assert.equal(target.kind, 'VirtualMachine');
      }
      for (const { why } of plan.undeclared ?? []) seen.add(why);
    },
    { seed: 1, numRuns: 1500 },
  );
  const wanted = [
    'protected',
    'removal-limit',
    'other-source',
    'pruned: unplug',
    'pruned: edit-template',
    'pruned: release',
  ];
  for (const each of [...wanted, 'unplug', 'swap', 'prune-off', 'no-id', 'no-mark', 'other-rendering']) {
    assert.ok(seen.has(each), each);
  }
});
