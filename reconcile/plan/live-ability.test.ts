import { test } from 'node:test';
import { blue, checkRows, fast, own, red, templated, withPod, withVmi } from '../../test/plan-cases.ts';
import { byMigration, network, runningVm, specNic, statusNic } from '../../test/vm-builder.ts';

test('what can be done live', () => {
  const never = { restart: 'never' } as const;
  const stage = { restart: 'stage' } as const;
  const migratable = (status: string) => ({
    conditions: [{ type: 'LiveMigratable', status, message: 'a disk is not shared' }],
  });
  const cluster = (change: object) => ({ cluster: { ...byMigration, ...change } });
  const remac = { ...blue, mac: '02:00:00:00:00:02' };
  checkRows([
    {
      what: 'bridge plug by migration',
      wanted: [blue],
      vm: runningVm(),
      options: cluster({}),
      actions: ['plug blue migration'],
    },
    { what: 'SR-IOV plug by migration', wanted: [fast], vm: runningVm(), actions: ['plug fast migration'] },
    {
      what: 'a network with a device needs a new pod',
      wanted: [blue],
      vm: runningVm(),
      options: { networks: [network('blue-net', { resourceName: 'example.com/nic' })] },
      actions: ['plug blue migration'],
    },
    {
      what: 'SR-IOV unplug',
      wanted: [],
      vm: runningVm([fast], own('fast')),
      options: never,
      blockers: ['needs-restart fast'],
    },
    {
      what: 'SR-IOV unplug, staged',
      wanted: [],
      vm: runningVm([fast], own('fast')),
      options: stage,
      actions: ['edit -fast staged'],
    },
    { what: 'MAC change', wanted: [remac], vm: runningVm([blue]), options: never, blockers: ['needs-restart blue'] },
    {
      what: 'MAC change, staged',
      wanted: [remac],
      vm: runningVm([blue]),
      options: stage,
      actions: ['edit +blue staged'],
    },
    {
      what: 'model change, staged',
      wanted: [{ ...blue, model: 'e1000' }],
      vm: runningVm([blue]),
      options: stage,
      actions: ['edit +blue staged'],
    },
    {
      what: 'binding change',
      wanted: [{ ...blue, binding: 'sriov' }],
      vm: runningVm([blue]),
      options: never,
      blockers: ['needs-restart blue'],
    },
    {
      what: 'not owned, and changed all the same',
      wanted: [{ ...blue, state: 'down' }],
      vm: runningVm([blue]),
      actions: ['link blue down'],
    },
    {
      what: 'staged before, and waiting for the restart',
      wanted: [remac],
      vm: templated(runningVm([blue]), [remac]),
      options: stage,
    },
    {
      what: 'changed by hand, and waiting for the restart',
      wanted: [remac],
      vm: templated(runningVm([blue]), [remac]),
      options: never,
      blockers: ['needs-restart blue'],
    },
    {
      what: 'removed from the template, still plugged',
      wanted: [],
      vm: templated(runningVm([fast], own('fast')), []),
      options: stage,
    },
    {
      what: 'not migratable',
      wanted: [fast],
      vm: runningVm([], { vmi: migratable('False') }),
      blockers: ['not-migratable fast'],
    },
    {
      what: 'not migratable, in place',
      wanted: [blue],
      vm: runningVm([], { vmi: migratable('False') }),
      actions: ['plug blue in-place'],
    },
    {
      what: 'nobody migrates',
      wanted: [blue],
      vm: runningVm(),
      options: cluster({ liveMigrateEnabled: false }),
      blockers: ['no-delivery blue'],
    },
    {
      what: 'nobody migrates, unplug',
      wanted: [],
      vm: runningVm([blue], own('blue')),
      options: cluster({ liveMigrateEnabled: false }),
      blockers: ['no-delivery blue'],
    },
    {
      what: 'a swap needs a migration everywhere',
      wanted: [{ ...blue, network: 'red-net' }],
      vm: runningVm([blue], { vmi: migratable('False') }),
      blockers: ['not-migratable blue'],
    },
    {
      what: 'link of SR-IOV',
      wanted: [{ ...fast, state: 'down' }],
      vm: runningVm(),
      blockers: ['link-unsupported fast'],
    },
    {
      what: 'owned, but rebound by another hand',
      wanted: [],
      vm: templated(runningVm([blue], own('blue')), [{ ...blue, binding: 'plugin' }]),
      blockers: ['not-unpluggable blue'],
    },
  ]);
});

test('names in the pod that KubeVirt does not unplug', () => {
  const ordinal = withVmi(runningVm([blue], own('blue')), {
    status: [{ ...statusNic(blue), podInterfaceName: 'net1' }],
  });
  const pending = withPod(withVmi({ ...runningVm([blue], own('blue')), domain: runningVm().domain }, { status: [] }), {
    status: [],
  });
  const besides = withVmi(pending, {
    nics: [...(pending.vmi?.nics ?? []), specNic(red)],
    status: [statusNic(red)],
  });
  const goingOrdinal = templated(ordinal, [{ ...blue, state: 'absent' }]);
  checkRows([
    { what: 'ordinal', wanted: [], vm: ordinal, blockers: ['ordinal-names blue'] },
    { what: 'ordinal, already absent', wanted: [], vm: goingOrdinal, blockers: ['ordinal-names blue'] },
    { what: 'pending as the only secondary', wanted: [], vm: pending, blockers: ['pending-plug blue'] },
    {
      what: 'pending beside another, whose network is no longer needed',
      wanted: [],
      vm: besides,
      options: { networks: [] },
      actions: ['unplug blue in-place', 'release blue'],
    },
  ]);
});

test('an unplug can not be called back', () => {
  const leaving = templated(runningVm([blue], own('blue')), [{ ...blue, state: 'absent' }]);
  const both = withVmi(leaving, { nics: leaving.nics });
  const calledBack = templated(both, [blue]);
  checkRows([
    {
      what: 'declared again: to its end, then plugged',
      wanted: [blue],
      vm: both,
      actions: ['follow blue gone', 'plug blue in-place'],
    },
    {
      what: 'back in the VM: KubeVirt plugs it anew',
      wanted: [blue],
      vm: calledBack,
      actions: ['follow blue plugged'],
    },
    {
      what: 'back in the VM with another network wanted',
      wanted: [{ ...blue, network: 'red-net' }],
      vm: calledBack,
      blockers: ['one-way-absent blue'],
    },
  ]);
});
