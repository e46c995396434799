import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blue,
  checkRows,
  codes,
  fast,
  green,
  own,
  planVm,
  red,
  steps,
  withPod,
  withVmi,
} from '../../test/plan-cases.ts';
import { byMigration, domainOf, network, runningVm, statusNic } from '../../test/vm-builder.ts';
import { podInterfaceName } from '../systems/kubevirt-names.ts';
import type { TargetPlan } from './model.ts';

/** Blue asks for a network that can't be had, so red, behind it, does not come either; grey is there. */
const hanging = withPod(
  withVmi(
    { ...runningVm([blue, red, { name: 'grey' }], own('blue', 'grey')), domain: runningVm([{ name: 'grey' }]).domain },
    { status: [statusNic({ name: 'grey' })] },
  ),
  { status: [{ name: 'prod/grey-net', interface: podInterfaceName('grey') }] },
);

test('order within a VM', () => {
  const everything = runningVm([red, { ...green, network: 'old-net' }, { name: 'grey' }], own('red'));
  const wanted = [
    blue,
    { ...green, network: 'new-net' },
    { name: 'grey', state: 'down' },
    fast,
    { name: 'pink' },
  ] as const;
  checkRows([
    {
      what: 'in place',
      wanted,
      vm: everything,
      actions: [
        'unplug red in-place',
        'release red',
        'link grey down',
        'plug blue in-place',
        'plug pink in-place',
        'plug fast migration',
        'swap green old-net>new-net',
      ],
    },
    {
      what: 'by migration: one for all unplugs, one for all plugs',
      wanted,
      vm: everything,
      options: { cluster: byMigration },
      actions: [
        'unplug red migration',
        'release red',
        'link grey down',
        'plug blue+fast+pink migration',
        'swap green old-net>new-net',
      ],
    },
    {
      what: 'one write takes all that goes',
      wanted: [],
      vm: runningVm([red, blue, green], own('red', 'blue', 'green')),
      actions: ['unplug blue+green+red in-place', 'release blue+green+red'],
    },
    {
      what: 'each swap alone',
      wanted: [
        { ...blue, network: 'x-net' },
        { ...red, network: 'y-net' },
      ],
      vm: runningVm([blue, red]),
      actions: ['swap blue blue-net>x-net', 'swap red red-net>y-net'],
    },
    {
      what: 'what is in flight first, what waits for a restart last',
      wanted: [blue, { ...red, mac: '02:00:00:00:00:02', state: 'down' }],
      vm: withVmi(runningVm([blue, red]), { status: [{ ...statusNic(blue), sources: [] }, statusNic(red)] }),
      options: { restart: 'stage' },
      actions: ['follow blue plugged', 'link red down', 'edit +red staged'],
    },
    {
      what: 'a swap that mends a plug which hangs first of all: the controller does nothing else until then',
      wanted: [{ ...blue, network: 'new-net' }, red, green],
      vm: hanging,
      actions: [
        'swap blue blue-net>new-net',
        'follow red plugged',
        'unplug grey in-place',
        'release grey',
        'plug green in-place',
      ],
    },
  ]);
});

test('a plug that hangs still takes its port once it is mended', () => {
  const wanted = [{ ...blue, network: 'new-net' }, red, { name: 'grey' }];
  const target = planVm(wanted, hanging);
  assert.deepEqual(target.ports?.needed, 2);
  assert.ok(hanging.domain.kind === 'read');
  const full = { ...hanging, domain: { ...hanging.domain, domain: domainOf([{ name: 'grey' }], 3) } };
  assert.deepEqual(codes(planVm(wanted, full)), ['no-ports']);
});

test('a staged edit leaves the network to the swap before it', () => {
  const wanted = [{ ...blue, network: 'new-net', mac: '02:00:00:00:00:02' }];
  const networkPut = (target: TargetPlan) => {
    const edit = target.actions.find((action) => action.kind === 'edit-template');
    return edit?.put[0]?.network.name;
  };
  const swapped = planVm(wanted, runningVm([blue]), { restart: 'stage' });
  assert.deepEqual(steps(swapped), ['swap blue blue-net>new-net', 'edit +blue staged']);
  assert.equal(networkPut(swapped), 'new-net');
  const stuck = planVm(wanted, runningVm([blue]), { restart: 'stage', networks: [network('blue-net')] });
  assert.deepEqual(codes(stuck), ['network-missing blue']);
  assert.equal(networkPut(stuck), 'blue-net');
});
