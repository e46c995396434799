/** What keeps NICs from being taken away: pruning only what is ours, protection, and the limit on removals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blue,
  checkRows,
  codes,
  fast,
  green,
  ofVms,
  own,
  red,
  steps,
  templated,
  type VmsPlan,
} from '../../test/plan-cases.ts';
import { declared, desiredState, liveState, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import type { DesiredState, DesiredTarget, Settings } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveVm, UndeclaredVm } from '../live/model.ts';
import { readProtection } from '../live/protection.ts';
import { makePlan } from './plan.ts';
import { removalsAllowed } from './removals.ts';

const mark = 'https://git.example.com/vms?ref=main';

/** A VM that these marks are on. */
function marked(vm: LiveVm, source: string | undefined, protect?: string): LiveVm {
  const protection = readProtection(protect);
  return { ...vm, ...(source === undefined ? {} : { source }), ...(protection === undefined ? {} : { protection }) };
}

function undeclared(vm: LiveVm): UndeclaredVm {
  const { namespace, name, source } = vm;
  const owned = vm.nics.filter((nic) => nic.state !== 'absent' && vm.owned.includes(nic.name)).map((nic) => nic.name);
  return { namespace, name, owned, ...(source === undefined ? {} : { source }) };
}

interface Fleet {
  readonly targets: readonly DesiredTarget[];
  readonly vms: readonly LiveVm[];
  /** VMs without an object. */
  readonly gone?: readonly LiveVm[];
  readonly settings?: Partial<Settings>;
  /** Null: a folder without an id. */
  readonly mark?: string | null;
}

function planFleet(fleet: Fleet): VmsPlan {
  const source: DesiredState['source'] = {
    ...{ kind: 'git', url: 'https://git.example.com/vms', ref: 'main', commit: 'c0ffee', path: '' },
    ...(fleet.mark === null ? {} : { mark: fleet.mark ?? mark }),
  };
  const desired = { ...desiredState(fleet.targets, fleet.settings), source };
  const gone = fleet.gone ?? [];
  const live = { ...liveState([...fleet.vms, ...gone]), undeclared: gone.map(undeclared) };
  return ofVms(makePlan(diffState(desired, live), desired, live));
}

function ofVm(plan: VmsPlan, name: string) {
  return plan.targets.find(({ target }) => target.name === name);
}

const kept = { targets: [declared([blue])], vms: [runningVm([blue], own('blue'))] };

test('a VM without an object is pruned where that is on, and it bears the mark of this desired state', () => {
  const old = runningVm([red, green], { name: 'old', ...own('red') });
  const pruning = { ...kept, settings: { prune: true } };
  const plan = planFleet({ ...pruning, gone: [marked(old, mark)] });
  const target = ofVm(plan, 'old');
  assert.ok(target);
  assert.deepEqual(steps(target), ['unplug red in-place', 'release red']);
  assert.equal(target.pruned, true);
  assert.equal(target.position, undefined);
  assert.deepEqual(target.unmanaged, ['green']);
  assert.equal(plan.undeclared, undefined);
  assert.deepEqual(plan.removals, { planned: 1, owned: 2 });

  const stopped = ofVm(
    planFleet({ ...pruning, gone: [marked(stoppedVm([red], { name: 'old', ...own('red') }), mark)] }),
    'old',
  );
  assert.deepEqual(stopped && steps(stopped), ['edit -red']);
  const killed = ofVm(
    planFleet({ ...pruning, gone: [marked(runningVm([], { name: 'old', ...own('red') }), mark)] }),
    'old',
  );
  assert.deepEqual(killed && steps(killed), ['release red'], 'a run that was cut short left the record');
});

test('all other VMs without an object are left alone, and those that may be ours are told of', () => {
  const old = (source: string | undefined) => marked(runningVm([red], { name: 'old', ...own('red') }), source);
  const on = { prune: true };
  const rows: readonly (readonly [string, Partial<Fleet>, string | undefined])[] = [
    ['off', { gone: [old(mark)] }, 'prune-off'],
    ['off, by its setting', { gone: [old(mark)], settings: { prune: false } }, 'prune-off'],
    ['no mark', { gone: [old(undefined)], settings: on }, 'no-mark'],
    ['another repository', { gone: [old('https://git.example.com/others?ref=main')], settings: on }, undefined],
    ['another folder', { gone: [old('https://git.example.com/vms//a?ref=main')], settings: on }, undefined],
    ['another branch', { gone: [old('https://git.example.com/vms?ref=test')], settings: on }, 'other-rendering'],
    ['other variables', { gone: [old(`${mark}&inputs=0011`)], settings: on }, 'other-rendering'],
    ['a folder', { gone: [old(mark)], settings: on, mark: null }, 'no-id'],
    ['an id', { gone: [old('prod')], settings: on }, undefined],
  ];
  for (const [what, fleet, why] of rows) {
    const plan = planFleet({ ...kept, ...fleet });
    assert.deepEqual(plan.targets, [], what);
    assert.deepEqual(plan.undeclared?.map((vm) => vm.why) ?? [], why === undefined ? [] : [why], what);
  }
});

test('a desired state that declares nothing prunes nothing', () => {
  const old = marked(runningVm([red], { name: 'old', ...own('red') }), mark);
  const plan = planFleet({ targets: [], vms: [], gone: [old], settings: { prune: true } });
  assert.deepEqual(plan.targets, []);
});

test('an object that got another name keeps the VM of the old name from being pruned', () => {
  const old = marked(runningVm([red], { name: 'old', ...own('red') }), mark);
  const fleet = { ...kept, targets: [...kept.targets, declared([red, green], { name: 'new' })], gone: [old] };
  for (const prune of [true, false]) {
    const plan = planFleet({ ...fleet, settings: { prune } });
    const missing = ofVm(plan, 'new');
    assert.deepEqual(missing && codes(missing), ['vm-not-found']);
    assert.match(
      missing?.blockers[0]?.message ?? '',
      /prod\/old, which has these NICs, has no object: was it renamed\?$/,
    );
    const target = ofVm(plan, 'old');
    assert.deepEqual(target && [steps(target), codes(target)], prune ? [[], ['renamed']] : undefined);
  }
  const unlike = planFleet({
    ...fleet,
    targets: [declared([blue]), declared([green], { name: 'new' })],
    settings: { prune: true },
  });
  assert.deepEqual(ofVm(unlike, 'old')?.blockers, []);
});

test('an object that got another namespace keeps the VM of the old one from being pruned, whatever it declares', () => {
  const old = marked(runningVm([red], { name: 'old', ...own('red') }), mark);
  const moved = { ...declared([green]), target: { kind: 'VirtualMachine', namespace: 'test', name: 'old' } } as const;
  const plan = planFleet({ ...kept, targets: [...kept.targets, moved], gone: [old], settings: { prune: true } });
  const target = plan.targets.find((each) => each.pruned === true);
  assert.deepEqual(target && [steps(target), codes(target)], [[], ['renamed']]);
  assert.match(target?.blockers[0]?.message ?? '', /^prod\/old .* test\/old .* is the namespace wrong\?$/);
});

test('what is held is not pruned either, and may be declared again', () => {
  const old = marked(runningVm([red], { name: 'old', ...own('red') }), mark);
  const held = { ...old, held: { reason: 'its mark can not be read' } };
  const target = ofVm(planFleet({ ...kept, gone: [held], settings: { prune: true } }), 'old');
  assert.deepEqual(target && [steps(target), codes(target)], [[], ['held']]);
  assert.match(target?.blockers[0]?.remedy ?? '', /^Declare it again, or restart it/);
});

test('a VM that another repository declares is left to it', () => {
  const other = marked(runningVm([blue, red], own('blue', 'red')), 'https://git.example.com/others?ref=main');
  const plan = planFleet({ targets: [declared([blue])], vms: [other] });
  const [target] = plan.targets;
  assert.deepEqual(target && [steps(target), codes(target)], [[], ['other-source']]);
  assert.match(
    target?.blockers[0]?.remedy ?? '',
    /patchpanel\.dev\/source='https:\/\/git\.example\.com\/vms\?ref=main'/,
  );
  const same = planFleet({ targets: [declared([blue, red])], vms: [other] });
  assert.deepEqual(same.targets[0]?.blockers, [], 'while both say the same there is no quarrel');
  assert.ok(same.targets[0]?.notes.some(({ code }) => code === 'other-source'));
  const branch = marked(other, 'https://git.example.com/vms?ref=test');
  const ours = planFleet({ targets: [declared([blue])], vms: [branch] });
  assert.deepEqual(ours.targets[0]?.blockers, [], 'another branch of the same repository');
});

test('protected NICs stay as they are, the others go on', () => {
  const vm = (protect: string) => marked(runningVm([blue, red], own('blue', 'red')), undefined, protect);
  const moved = { ...red, network: 'green-net' } as const;
  const stopped = (protect: string) => marked(stoppedVm([blue, red], own('blue', 'red')), undefined, protect);
  checkRows([
    { what: 'all', wanted: [], vm: vm('true'), blockers: ['protected blue', 'protected red'] },
    {
      what: 'one',
      wanted: [green],
      vm: vm('red'),
      actions: ['unplug blue in-place', 'release blue', 'plug green in-place'],
      blockers: ['protected red'],
      options: { also: ['green-net'] },
    },
    { what: 'none', wanted: [blue], vm: vm('false'), actions: ['unplug red in-place', 'release red'] },
    { what: 'unclear', wanted: [blue], vm: vm('blue;red'), blockers: ['protected red'] },
    { what: 'a name that is not there', wanted: [blue], vm: vm('rde'), blockers: ['protected red'] },
    {
      what: 'a move',
      wanted: [blue, moved],
      vm: vm('red'),
      blockers: ['protected red'],
      options: { also: ['green-net'] },
    },
    {
      what: 'another MAC',
      wanted: [blue, { ...red, mac: '02:00:00:00:00:09' }],
      vm: vm('red'),
      options: { restart: 'stage' },
      blockers: ['protected red'],
    },
    {
      what: 'SR-IOV, for the next restart',
      wanted: [],
      vm: marked(runningVm([fast], own('fast')), undefined, 'true'),
      options: { restart: 'stage' },
      blockers: ['protected fast'],
    },
    {
      what: 'gone from the template, before a restart',
      wanted: [],
      vm: marked(templated(runningVm([blue], own('blue')), []), undefined, 'true'),
      options: { restart: 'allowed' },
    },
    { what: 'the link', wanted: [blue, { ...red, state: 'down' }], vm: vm('true'), actions: ['link red down'] },
    { what: 'stopped', wanted: [blue], vm: stopped('red'), blockers: ['protected red'] },
    {
      what: 'stopped, moved',
      wanted: [blue, moved],
      vm: stopped('red'),
      blockers: ['protected red'],
      options: { also: ['green-net'] },
    },
    { what: 'stopped, link', wanted: [blue, { ...red, state: 'down' }], vm: stopped('red'), actions: ['edit +red'] },
    {
      what: 'going already',
      wanted: [blue],
      vm: marked(runningVm([blue, { ...red, state: 'absent' }], own('blue', 'red')), undefined, 'true'),
      actions: ['follow red gone', 'release red'],
    },
  ]);
});

test('a share is rounded down, but to one at least; the smaller of both holds', () => {
  const rows = [
    [{ count: 3 }, 100, 3],
    [{ count: 0 }, 100, 0],
    [{ percent: 10 }, 100, 10],
    [{ percent: 10 }, 19, 1],
    [{ percent: 10 }, 3, 1],
    [{ percent: 0 }, 100, 0],
    [{ count: 5, percent: 10 }, 100, 5],
    [{ count: 50, percent: 10 }, 100, 10],
  ] as const;
  for (const [limit, owned, allowed] of rows)
    assert.equal(removalsAllowed(limit, owned), allowed, JSON.stringify(limit));
});

test('a plan that takes away too much takes away nothing, and does the rest', () => {
  const vm = (name: string, ...names: string[]) => runningVm([blue, red], { name, owned: names });
  const fleet = {
    targets: [
      declared([], { name: 'a' }),
      declared([blue], { name: 'b' }),
      declared([blue, red, green], { name: 'c' }),
      declared([green], { name: 'd' }),
    ],
    vms: [vm('a', 'blue', 'red'), vm('b', 'blue', 'red'), vm('c', 'blue'), runningVm([green], { name: 'd' })],
  };
  const removing = (plan: VmsPlan) =>
    plan.targets.filter(({ blockers }) => blockers.some(({ code }) => code === 'removal-limit'));
  for (const maxRemovals of [{ count: 2 }, { percent: 50 }, { count: 3, percent: 10 }, { count: 0 }]) {
    const plan = planFleet({ ...fleet, settings: { maxRemovals } });
    assert.deepEqual(plan.removals, { planned: 3, owned: 5 });
    assert.deepEqual(
      removing(plan).map(({ target, actions }) => [target.name, actions]),
      [
        ['a', []],
        ['b', []],
      ],
    );
    const c = ofVm(plan, 'c');
    assert.deepEqual(c && [steps(c), codes(c)], [['plug green in-place'], []]);
  }
  assert.deepEqual(removing(planFleet({ ...fleet, settings: { maxRemovals: { count: 3 } } })), []);
  const [first] = removing(planFleet({ ...fleet, settings: { maxRemovals: { count: 2, percent: 90 } } }));
  assert.equal(
    first?.blockers[0]?.message,
    '2 NICs of a would go (blue, red): the plan as a whole takes away 3, and maxRemovals lets it take 2 (2 and 90% of 5 NICs), so it takes none',
  );
});

test('a NIC that comes back under its name, or that was on its way out, does not count', () => {
  const leaving = runningVm([{ ...blue, state: 'absent' }], own('blue'));
  const plan = planFleet({ targets: [declared([blue])], vms: [leaving], settings: { maxRemovals: { count: 0 } } });
  assert.equal(plan.removals, undefined);
  assert.deepEqual(plan.targets[0]?.blockers, []);
  const gone = planFleet({ targets: [declared([])], vms: [leaving], settings: { maxRemovals: { count: 0 } } });
  assert.deepEqual(gone.targets[0] && steps(gone.targets[0]), ['follow blue gone', 'release blue']);
});
