import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, codes, fast, nights, type PlanCase, paused, planOf, steps } from '../../test/plan-cases.ts';
import { declared, inPlace, type NicOptions, network, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import type { LiveVm } from '../live/model.ts';
import type { VmPlan } from './model.ts';
import { parsePlan, planToJson } from './plan-json.ts';

const allowed: PlanCase = { restart: 'allowed' };
const other: NicOptions = { ...blue, mac: '02:00:00:00:00:01' };
const born: NicOptions = { ...blue, mac: '02:00:00:00:00:02' };

interface Row {
  readonly what: string;
  readonly vm: LiveVm;
  readonly ports?: number;
  readonly nics?: readonly NicOptions[];
  readonly may?: false;
  readonly options?: PlanCase;
  readonly actions: readonly string[];
  readonly blockers?: readonly string[];
  readonly message?: RegExp;
}

function plan({ vm, ports, nics = [], may, options = allowed }: Row): VmPlan | undefined {
  const wanted = {
    ...(ports === undefined ? {} : { pciePorts: ports }),
    ...(may === false ? {} : { mayRestart: true as const }),
  };
  return planOf([declared(nics, wanted)], [vm], options).targets[0];
}

/** A running VM whose template has what its instance does not. */
function ahead(vm: LiveVm, template: Partial<LiveVm>): LiveVm {
  return { ...vm, ...template };
}

const withSlots = ahead(runningVm(), { hardware: { ...runningVm().hardware, slotCount: '19' } });
const refused = ['restart-refused'];
const staged = ['set-ports slot-count 19 staged'];

const rows: readonly Row[] = [
  { what: 'ports: written, then restarted', vm: runningVm(), ports: 24, actions: [...staged, 'restart 24'] },
  { what: 'its object does not allow it', vm: runningVm(), ports: 24, may: false, actions: staged },
  { what: 'the settings do not', vm: runningVm(), ports: 24, options: { restart: 'stage' }, actions: staged },
  { what: 'the template has them already', vm: withSlots, ports: 24, actions: ['restart 24'] },
  {
    what: 'the instance was born with them, and the forecast was wrong: another restart would bring no more',
    vm: { ...withSlots, vmi: { ...runningVm().vmi, hardware: withSlots.hardware } as NonNullable<LiveVm['vmi']> },
    ports: 24,
    actions: [],
  },
  { what: 'enough ports: nothing waits', vm: runningVm([], { ports: 24 }), ports: 24, actions: [] },
  { what: 'a stopped VM needs none', vm: stoppedVm(), ports: 24, actions: ['set-ports slot-count 19'] },
  {
    what: 'another MAC',
    vm: runningVm([born], { owned: ['blue'] }),
    nics: [other],
    actions: ['edit +blue staged', 'restart'],
  },
  {
    what: 'another MAC, in the template already',
    vm: ahead(runningVm([born], { owned: ['blue'] }), { nics: runningVm([other]).nics }),
    nics: [other],
    actions: ['restart'],
  },
  {
    what: 'an SR-IOV NIC that goes, and its record with it',
    vm: runningVm([fast], { owned: ['fast'] }),
    actions: ['edit -fast staged', 'restart', 'release fast'],
  },
  {
    what: 'live changes come first, and bring no restart by themselves',
    vm: runningVm([], { ports: 24 }),
    nics: [blue],
    actions: ['plug blue in-place'],
  },
  {
    what: 'too few ports for a plug: the restart is the way out',
    vm: runningVm([], { ports: 1 }),
    nics: [blue],
    ports: 24,
    actions: [...staged, 'restart 24'],
    blockers: ['no-ports'],
  },
  {
    what: 'paused',
    vm: runningVm([], { vmi: paused }),
    ports: 24,
    actions: staged,
    blockers: refused,
    message: /paused/,
  },
  {
    what: 'migrating',
    vm: runningVm([], { vmi: { migrating: true } }),
    ports: 24,
    actions: [],
    blockers: ['vm-migrating'],
  },
  ...(['Halted', 'Once', 'WaitAsReceiver'] as const).map(
    (runStrategy): Row => ({
      what: runStrategy,
      vm: ahead(runningVm(), { runStrategy }),
      ports: 24,
      actions: staged,
      blockers: refused,
      message: new RegExp(`run strategy ${runStrategy}`),
    }),
  ),
  ...(['Always', 'Manual', 'RerunOnFailure'] as const).map(
    (runStrategy): Row => ({
      what: runStrategy,
      vm: ahead(runningVm(), { runStrategy }),
      ports: 24,
      actions: [...staged, 'restart 24'],
    }),
  ),
  {
    what: 'a network of its template is gone: it would not start again',
    vm: runningVm([blue]),
    ports: 24,
    options: { ...allowed, networks: [network('other-net')] },
    actions: staged,
    blockers: refused,
    message: /would not start again: the network prod\/blue-net does not exist/,
  },
  {
    what: 'a network of its template is no CNI configuration',
    vm: runningVm([blue]),
    ports: 24,
    options: { ...allowed, networks: [network('blue-net', { problem: 'its config is not JSON' })] },
    actions: staged,
    blockers: refused,
    message: /can not be used: its config is not JSON/,
  },
  {
    what: 'a binding plugin that is not registered',
    vm: ahead(runningVm(), {
      nics: [...runningVm().nics, { name: 'odd', binding: 'plugin', plugin: 'passt', state: 'up', isDefault: false }],
    }),
    ports: 24,
    options: { ...allowed, cluster: { ...inPlace, bindingPlugins: ['macvtap'] } },
    actions: staged,
    blockers: refused,
    message: /binding plugin passt of its NIC "odd" is not registered/,
  },
];

for (const row of rows) {
  test(row.what, () => {
    const target = plan(row);
    assert.deepEqual(target === undefined ? [] : steps(target), row.actions);
    assert.deepEqual(target === undefined ? [] : codes(target), row.blockers ?? []);
    if (row.message) assert.match(target?.blockers.map(({ message }) => message).join() ?? '', row.message);
  });
}

test('the plan names the instance that is to end, and the windows', () => {
  const made = planOf([declared([], { pciePorts: 24, mayRestart: true })], [runningVm()], allowed);
  const restart = made.targets[0]?.actions.at(-1);
  assert.ok(restart?.kind === 'restart');
  assert.deepEqual([restart.instance, restart.windows], ['uid-vmi-db-0', nights]);
  assert.deepEqual(parsePlan(planToJson(made)), made);
  const broken = planToJson(made).replaceAll('"0 2 * * *"', '"0 2 * * * *"');
  assert.throws(() => parsePlan(broken), /restartWindows/);
});
