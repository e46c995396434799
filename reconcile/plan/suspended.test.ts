import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, red, steps } from '../../test/plan-cases.ts';
import { brief, declares, owns, podPlan, podWith, wants } from '../../test/pod-cases.ts';
import { declared, desiredState, liveState, runningVm } from '../../test/vm-builder.ts';
import type { DesiredState, DesiredTarget, Settings } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveVm } from '../live/model.ts';
import { checkStale } from './fingerprint.ts';
import { isPodPlan, type VmPlan } from './model.ts';
import { makePlan } from './plan.ts';
import { parsePlan, planToJson } from './plan-json.ts';

interface Case {
  readonly target?: Partial<DesiredTarget>;
  readonly vm?: LiveVm;
  readonly settings?: Partial<Settings>;
  readonly policy?: DesiredState['policy'];
}

function planned({ target, vm = runningVm(), settings = {}, policy }: Case) {
  const desired = {
    ...desiredState([{ ...declared([blue]), ...target }], settings),
    ...(policy === undefined ? {} : { policy }),
  };
  const live = liveState([vm], { also: ['blue-net', 'red-net'] });
  const plan = makePlan(diffState(desired, live), desired, live);
  return { plan, live, vm: plan.targets.find((each): each is VmPlan => !isPodPlan(each)) };
}

test('each reason to leave a VM alone is told with its way out', () => {
  const from = 'ConfigMap infra/policy, policy.yaml';
  const suspension = { by: 'kubectl-annotate', at: '2026-11-24T12:00:00Z' };
  for (const [what, given, message, remedy] of [
    [
      'settings',
      { settings: { suspend: true } },
      /the Settings suspend everything/,
      /Remove suspend from the Settings/,
    ],
    [
      'policy',
      { settings: { suspend: true }, policy: { from, tightened: [{ key: 'suspend', holds: 'true' }] } },
      /the policy of the platform suspends everything/,
      /Ask the owner .* ConfigMap infra\/policy/,
    ],
    [
      'namespace',
      { settings: { suspendedNamespaces: ['prod'] } },
      /the Settings suspend the namespace prod/,
      /Remove prod from suspendedNamespaces/,
    ],
    [
      'namespace by policy',
      {
        settings: { suspendedNamespaces: ['infra', 'prod'] },
        policy: { from, tightened: [{ key: 'suspendedNamespaces', asked: 'infra', holds: 'infra, prod' }] },
      },
      /the policy of the platform suspends the namespace prod/,
      /Ask the owner/,
    ],
    [
      'object',
      { target: { suspended: true } },
      /the object of db-0 says suspend: true/,
      /Remove spec\.suspend from it, at /,
    ],
    [
      'annotation',
      { vm: { ...runningVm(), suspension } },
      /patchpanel\.dev\/suspend, set by kubectl-annotate at 2026-11-24T12:00:00Z/,
      /kubectl -n prod annotate vm db-0 patchpanel\.dev\/suspend-$/,
    ],
  ] as const satisfies readonly (readonly [string, Case, RegExp, RegExp])[]) {
    const { plan, vm } = planned(given);
    assert.deepEqual(
      vm?.blockers.map(({ code }) => code),
      ['suspended'],
      what,
    );
    assert.match(vm?.blockers[0]?.message ?? '', message);
    assert.match(vm?.blockers[0]?.remedy ?? '', remedy);
    assert.deepEqual(vm?.actions, []);
    assert.deepEqual(parsePlan(planToJson(plan)), plan);
  }
});

test('two reasons must both be lifted', () => {
  const { vm } = planned({ settings: { suspend: true, suspendedNamespaces: ['prod'] }, target: { suspended: true } });
  assert.equal(vm?.blockers.length, 3);
});

test('where nothing is to do nothing is said, and what is under way is followed', () => {
  const settings = { suspend: true } as const;
  assert.equal(planned({ settings, vm: runningVm([blue], { owned: ['blue'] }) }).vm, undefined);
  const leaving = runningVm([blue, { ...red, state: 'absent' }], { owned: ['blue', 'red'] });
  const { vm } = planned({ settings, vm: leaving });
  assert.ok(vm?.actions.every(({ kind }) => kind === 'follow'));
  assert.equal(planned({ settings: { suspendedNamespaces: ['infra'] } }).vm?.blockers.length, 0);
});

test('not even the record of one is written', () => {
  const vm = runningVm([blue], { owned: ['blue', 'gone'] });
  const free = planned({ vm }).vm;
  assert.ok(free !== undefined && steps(free).includes('release gone'));
  const kept = planned({ vm, target: { suspended: true } }).vm;
  assert.deepEqual([kept?.actions, kept?.blockers.map(({ code }) => code)], [[], ['suspended']]);
});

test('a plan is stale once its VM is suspended', () => {
  const { plan, live } = planned({});
  const vm = { ...runningVm(), suspension: {} };
  const moved = checkStale(plan, { ...live, vms: new Map([['prod/db-0', vm]]) });
  assert.deepEqual(
    moved.map(({ moved: fields }) => fields.map(({ field }) => field)),
    [['vm.suspended']],
  );
});

test('a pod is left alone by its object and by its annotation, its record too', () => {
  const own = podPlan(declares([wants('a')], { suspended: true }), podWith([]));
  assert.deepEqual([own?.actions, own?.blockers.map(({ code }) => code)], [[], ['suspended']]);
  const marked = podPlan(declares([wants('a')]), podWith([], { suspension: { by: 'kubectl-annotate' } }));
  assert.match(marked?.blockers[0]?.remedy ?? '', /kubectl -n prod annotate pod web patchpanel\.dev\/suspend-$/);
  const record = podWith([], { owned: [owns('a')] });
  assert.deepEqual(podPlan(declares([]), record)?.actions.map(brief), ['release a']);
  const kept = podPlan(declares([], { suspended: true }), record);
  assert.deepEqual([kept?.actions, kept?.blockers.map(({ code }) => code)], [[], ['suspended']]);
  assert.equal(podPlan(declares([], { suspended: true }), podWith([])), undefined);
});
