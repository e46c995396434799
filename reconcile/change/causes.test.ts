/** What a change causes, and what was due before it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blue, fast, green, own, paused, red, withVmi } from '../../test/plan-cases.ts';
import {
  byMigration,
  declared,
  desiredState,
  type LiveOptions,
  liveState,
  type NicOptions,
  runningVm,
} from '../../test/vm-builder.ts';
import type { DesiredTarget } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import type { Plan } from '../plan/model.ts';
import { makePlan } from '../plan/plan.ts';
import { causesOf, isOfChange } from './causes.ts';
import { compareDeclared } from './declared-change.ts';
import type { ClusterChange } from './model.ts';
import { splitPlan } from './split.ts';

function planFor(targets: readonly DesiredTarget[], live: LiveState): Plan {
  const desired = desiredState(targets);
  return makePlan(diffState(desired, live), desired, live);
}

function changeOf(
  base: readonly DesiredTarget[],
  head: readonly DesiredTarget[],
  vms: readonly LiveVm[],
  options: LiveOptions = {},
): ClusterChange {
  const also = [...base, ...head].flatMap(({ attachments }) => attachments.map(({ network }) => network.name));
  const live = liveState(vms, { also, ...options });
  return causesOf(planFor(head, live), planFor(base, live));
}

/** `plug change`, `no-ports both`, in the order of the plan; of what is no longer due `-plug`. */
function brief({ plan, causes, noLonger }: ClusterChange): readonly string[] {
  return [
    ...plan.targets.flatMap(({ actions, blockers }, index) => [
      ...blockers.map(({ code }, at) => `${code} ${causes[index]?.blockers[at]?.cause}`),
      ...actions.map(({ kind }, at) => {
        const judged = causes[index]?.actions[at];
        return [kind, judged?.cause, ...(judged?.attachments ?? [])].join(' ');
      }),
    ]),
    ...noLonger.flatMap(({ actions, blockers }) => [
      ...actions.map(({ kind, attachment }) => `-${kind} ${attachment}`),
      ...blockers.map(({ code }) => `-${code}`),
    ]),
  ];
}

interface Row {
  readonly what: string;
  readonly base: readonly NicOptions[];
  readonly head: readonly NicOptions[];
  readonly vm: LiveVm;
  readonly options?: LiveOptions;
  readonly found: readonly string[];
}

const rows: readonly Row[] = [
  { what: 'a new NIC', base: [blue], head: [blue, red], vm: runningVm([blue]), found: ['plug change'] },
  { what: 'a NIC that was due', base: [blue], head: [blue], vm: runningVm([]), found: ['plug before'] },
  {
    what: 'one that was due and a new one',
    base: [blue],
    head: [blue, red],
    vm: runningVm([]),
    found: ['plug before', 'plug change'],
  },
  {
    what: 'the same in one migration',
    base: [blue],
    head: [blue, red],
    vm: runningVm([]),
    options: { cluster: byMigration },
    found: ['plug both red'],
  },
  {
    what: 'two unplugs in one write, of which one was due',
    base: [red],
    head: [],
    vm: runningVm([blue, red], own('blue', 'red')),
    found: ['unplug both red', 'release both red'],
  },
  {
    what: 'due before, taken back by the change',
    base: [blue, red],
    head: [blue],
    vm: runningVm([]),
    found: ['plug before', '-plug red'],
  },
  {
    what: 'due before, and now into another network',
    base: [blue],
    head: [{ name: 'blue', network: 'lab-net' }],
    vm: runningVm([]),
    found: ['plug change', '-plug blue'],
  },
  {
    what: 'an earlier plug that moves the later one to another port',
    base: [green],
    head: [red, green],
    vm: runningVm([]),
    found: ['plug change', 'plug before'],
  },
  {
    what: 'a change that can not be made live',
    base: [fast],
    head: [],
    vm: runningVm([fast], own('fast')),
    found: ['needs-restart change'],
  },
  {
    what: 'a VM that was blocked, and stays so',
    base: [],
    head: [],
    vm: withVmi(runningVm([blue], own('blue')), paused),
    found: ['vm-paused before'],
  },
  {
    what: 'a VM that was blocked, and now holds back the change too',
    base: [red],
    head: [],
    vm: withVmi(runningVm([blue, red], own('blue', 'red')), { migrating: true }),
    found: ['vm-migrating both'],
  },
  {
    what: 'a shortage of ports that the change makes worse',
    base: [blue],
    head: [blue, red],
    vm: runningVm([], { ports: 1 }),
    found: ['no-ports both'],
  },
  {
    what: 'a shortage that the change ends',
    base: [blue],
    head: [],
    vm: runningVm([], { ports: 1 }),
    found: ['-no-ports'],
  },
];

for (const { what, base, head, vm, options, found } of rows) {
  test(what, () => {
    assert.deepEqual(brief(changeOf([declared(base)], [declared(head)], [vm], options)), found);
  });
}

test('sums are of the change alone; what was due is counted apart', () => {
  const [db, web] = [declared([blue]), declared([red], { name: 'web-0' })];
  const more = declared([blue, green], { name: 'db-0' });
  const { summary } = changeOf([db, web], [more, web], [runningVm([blue]), runningVm([], { name: 'web-0' })]);
  assert.deepEqual(summary, { changed: 1, blocked: 0, plugs: 1, unplugs: 0, others: 0, before: 1, noLonger: 0 });
});

test('a plan in two: a target with both stands in either, with its own, and with its ports once', () => {
  const change = changeOf([declared([blue])], [declared([blue, red])], [runningVm([])]);
  const { ofChange, before } = splitPlan(change);
  const shown = (targets: typeof before) =>
    targets.map(({ actions, ports }) => [...actions.map(({ kind, id }) => `${kind} ${id}`), ports !== undefined]);
  assert.deepEqual(shown(ofChange), [['plug prod/db-0/2', true]]);
  assert.deepEqual(shown(before), [['plug prod/db-0/1', false]]);
});

const nicSet = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    network: fc.constantFrom('n1', 'n2'),
    state: fc.constantFrom('up' as const, 'down' as const),
  }),
  { selector: ({ name }) => name, maxLength: 4 },
);
const world = fc.record({
  base: fc.tuple(nicSet, nicSet),
  head: fc.tuple(nicSet, nicSet),
  live: fc.tuple(nicSet, nicSet),
  owned: fc.subarray(['a', 'b', 'c', 'd']),
  ports: fc.integer({ min: 5, max: 8 }),
  migrates: fc.boolean(),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

const vmNames = ['db-0', 'web-0'];
const targetsOf = (nics: World['head']) => nics.map((each, index) => declared(each, { name: vmNames[index] ?? '' }));

function cluster({ live, owned, ports, migrates }: World): LiveState {
  const vms = live.map((nics, index) => runningVm(nics, { name: vmNames[index] ?? '', owned, ports }));
  return liveState(vms, { also: ['n1', 'n2'], ...(migrates ? { cluster: byMigration } : {}) });
}

const causes = ({ causes: all }: ClusterChange) =>
  new Set(
    all.flatMap(({ actions, blockers, differences, notes }) =>
      [...actions, ...blockers, ...differences, ...notes].map(({ cause }) => cause),
    ),
  );

test('property: a head that is its base causes nothing; a base that is live had nothing due', () => {
  fc.assert(
    fc.property(world, (each) => {
      const live = cluster(each);
      const head = planFor(targetsOf(each.head), live);
      const same = causesOf(head, head);
      assert.ok(![...causes(same)].some((cause) => cause !== 'before'));
      assert.ok(!same.causes.some(isOfChange));
      assert.deepEqual(same.noLonger, []);
      assert.deepEqual(splitPlan(same).ofChange, []);
      assert.deepEqual(
        compareDeclared(desiredState(targetsOf(each.head)), desiredState(targetsOf(each.head))).objects,
        [],
      );

      const asLive = { ...each, owned: [], live: each.base };
      const settled = cluster(asLive);
      const all = causesOf(planFor(targetsOf(each.head), settled), planFor(targetsOf(each.base), settled));
      const ofActions = all.causes.flatMap(({ actions, blockers }) => [...actions, ...blockers]);
      assert.ok(ofActions.every(({ cause }) => cause === 'change'));
      assert.deepEqual(all.noLonger, []);
    }),
    { numRuns: 150 },
  );
});

test('property: both parts together are the plan', () => {
  fc.assert(
    fc.property(world, (each) => {
      const live = cluster(each);
      const plan = planFor(targetsOf(each.head), live);
      const { ofChange, before } = splitPlan(causesOf(plan, planFor(targetsOf(each.base), live)));
      const ids = [...ofChange, ...before].flatMap(({ actions }) => actions.map(({ id }) => id));
      assert.deepEqual(ids.sort(), plan.targets.flatMap(({ actions }) => actions.map(({ id }) => id)).sort());
      const count = (targets: typeof ofChange) => targets.reduce((sum, { blockers }) => sum + blockers.length, 0);
      assert.equal(count(ofChange) + count(before), count(plan.targets));
    }),
    { numRuns: 150 },
  );
});
