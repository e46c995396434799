import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InterfaceStatus, VmInterface, VmNetwork } from './objects.ts';
import { type NicLists, nextVmiLists, nextVmLists, nicsNeedRestart } from './vm-networks.ts';

/** `blue`, `blue:absent`; each a bridge NIC on a NAD of its own, beside the masqueraded default. */
function lists(...nics: readonly string[]): NicLists {
  const interfaces: VmInterface[] = [{ name: 'default', masquerade: {}, model: 'virtio' }];
  const networks: VmNetwork[] = [{ name: 'default', pod: {} }];
  for (const text of nics) {
    const [name = '', state] = text.split(':');
    interfaces.push({ name, bridge: {}, model: 'virtio', ...(state !== undefined && { state }) });
    networks.push({ name, multus: { networkName: `nad-${name}` } });
  }
  return { interfaces, networks };
}

function names(result: NicLists | undefined): readonly string[] | undefined {
  return result?.interfaces
    .filter((nic) => nic.name !== 'default')
    .map((nic) => (nic.state === undefined ? nic.name : `${nic.name}:${nic.state}`));
}

function statuses(...list: readonly string[]): readonly InterfaceStatus[] {
  return list.map((name) => ({ name, podInterfaceName: `pod-${name}` }));
}

const cases: readonly {
  readonly title: string;
  readonly vm: NicLists;
  readonly vmi: NicLists;
  readonly status: readonly InterfaceStatus[];
  readonly expected: readonly string[] | undefined;
}[] = [
  { title: 'nothing to do', vm: lists('blue'), vmi: lists('blue'), status: statuses('blue'), expected: undefined },
  {
    title: 'a new NIC goes to the end',
    vm: lists('red', 'blue'),
    vmi: lists('blue'),
    status: [],
    expected: ['blue', 'red'],
  },
  {
    title: 'a NIC added as absent is not copied',
    vm: lists('blue:absent'),
    vmi: lists(),
    status: [],
    expected: undefined,
  },
  {
    title: 'absent is copied',
    vm: lists('blue:absent'),
    vmi: lists('blue'),
    status: statuses('blue'),
    expected: ['blue:absent'],
  },
  {
    title: 'absent does not come back',
    vm: lists('blue'),
    vmi: lists('blue:absent'),
    status: statuses('blue'),
    expected: undefined,
  },
  {
    title: 'a pending NIC that is cancelled goes in one step',
    vm: lists('blue', 'ghost:absent'),
    vmi: lists('blue', 'ghost'),
    status: statuses('blue'),
    expected: ['blue'],
  },
  {
    title: 'absent on the only, never seen secondary is ignored',
    vm: lists('ghost:absent'),
    vmi: lists('ghost'),
    status: [],
    expected: undefined,
  },
  {
    title: 'absent on a pod with names by position is ignored',
    vm: lists('blue:absent'),
    vmi: lists('blue'),
    status: [{ name: 'blue', podInterfaceName: 'net1' }],
    expected: undefined,
  },
  {
    title: 'a NIC deleted from the lists stays',
    vm: lists(),
    vmi: lists('blue'),
    status: statuses('blue'),
    expected: undefined,
  },
  {
    title: 'a link state is copied',
    vm: lists('blue:down'),
    vmi: lists('blue'),
    status: statuses('blue'),
    expected: ['blue:down'],
  },
  {
    title: 'a removed link state too',
    vm: lists('blue'),
    vmi: lists('blue:up'),
    status: statuses('blue'),
    expected: ['blue'],
  },
];

for (const entry of cases) {
  test(`VM to VMI: ${entry.title}`, () => {
    assert.deepEqual(names(nextVmiLists(entry.vm, entry.vmi, entry.status)), entry.expected);
  });
}

test('a NAD is swapped in place, and a plugin or masquerade NIC waits for a restart', () => {
  const vm = lists('blue');
  const swapped: NicLists = {
    interfaces: [...vm.interfaces, { name: 'odd', binding: { name: 'macvtap' } }],
    networks: [
      ...vm.networks.slice(0, 1),
      { name: 'blue', multus: { networkName: 'other' } },
      { name: 'odd', pod: {} },
    ],
  };
  const next = nextVmiLists(swapped, vm, statuses('blue'));
  assert.deepEqual(next?.networks[1], { name: 'blue', multus: { networkName: 'other' } });
  assert.deepEqual(names(next), ['blue']);
});

test('the VM loses an absent NIC only when VMI spec and status have lost it', () => {
  const vm = lists('blue:absent', 'red');
  assert.equal(nextVmLists(vm, { lists: lists('blue:absent', 'red'), statuses: [] }), undefined);
  assert.equal(nextVmLists(vm, { lists: lists('red'), statuses: statuses('blue') }), undefined);
  assert.deepEqual(names(nextVmLists(vm, { lists: lists('red'), statuses: statuses('red') })), ['red']);
  assert.deepEqual(names(nextVmLists(vm, undefined)), ['red']);
});

test('a restart is needed for what can not be carried over', () => {
  const withMac = lists('blue');
  const changed = {
    ...withMac,
    interfaces: withMac.interfaces.map((nic) => ({ ...nic, macAddress: '02:00:00:00:00:01' })),
  };
  assert.equal(nicsNeedRestart(lists('blue'), lists('blue')), false);
  assert.equal(nicsNeedRestart(lists('red', 'blue'), lists('blue', 'red')), false);
  assert.equal(nicsNeedRestart(lists('blue:down', 'red'), lists('blue')), false);
  assert.equal(nicsNeedRestart(lists(), lists('blue')), true);
  assert.equal(nicsNeedRestart(changed, lists('blue')), true);
});
