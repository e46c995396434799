import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, checkRows, own, planVm, red, withPod, withVmi } from '../../test/plan-cases.ts';
import { byMigration, network, runningVm, stoppedVm } from '../../test/vm-builder.ts';

test('networks', () => {
  const gone = { networks: [] };
  const broken = { networks: [network('blue-net', { problem: 'spec.config is not JSON' })] };
  checkRows([
    { what: 'plug, missing', wanted: [blue], vm: runningVm(), options: gone, blockers: ['network-missing blue'] },
    { what: 'plug, invalid', wanted: [blue], vm: runningVm(), options: broken, blockers: ['network-invalid blue'] },
    { what: 'stopped', wanted: [blue], vm: stoppedVm(), options: gone, blockers: ['network-missing blue'] },
    {
      what: 'stopped, changing only the link',
      wanted: [{ ...blue, state: 'down' }],
      vm: stoppedVm([blue]),
      options: gone,
      actions: ['edit +blue'],
    },
    {
      what: 'unplug in place',
      wanted: [],
      vm: runningVm([blue], own('blue')),
      options: gone,
      blockers: ['network-missing blue'],
    },
    {
      what: 'unplug by migration needs none',
      wanted: [],
      vm: runningVm([blue], own('blue')),
      options: { ...gone, cluster: byMigration },
      actions: ['unplug blue migration', 'release blue'],
    },
    {
      what: 'swap to a missing one',
      wanted: [{ ...blue, network: 'lost-net' }],
      vm: runningVm([blue]),
      options: { networks: [network('blue-net')] },
      blockers: ['network-missing blue'],
    },
    {
      what: 'a plug under way into a missing one',
      wanted: [blue],
      vm: withPod(withVmi({ ...runningVm([blue]), domain: runningVm().domain }, { status: [] }), {
        status: [],
        networks: [],
      }),
      options: gone,
      blockers: ['network-missing blue'],
    },
    {
      what: 'others of the VM go on',
      wanted: [blue, red],
      vm: runningVm(),
      options: { networks: [network('red-net')] },
      actions: ['plug red in-place'],
      blockers: ['network-missing blue'],
    },
  ]);
  const unplug = planVm([], runningVm([blue], own('blue')), gone).blockers[0];
  assert.match(unplug?.remedy ?? '', /Create .* again/);
});
