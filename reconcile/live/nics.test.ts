import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpecNic } from './model.ts';
import { specNics, statusNics } from './nics.ts';

function spec(iface: object, network: object): object {
  return {
    domain: { devices: { interfaces: [{ name: 'blue', ...iface }] } },
    networks: [
      { name: 'other', pod: {} },
      { name: 'blue', ...network },
    ],
  };
}

const plain = { name: 'blue', binding: 'bridge', state: 'up', isDefault: false } as const;
const multus = { multus: { networkName: 'vlan10' } };
const vlan10 = { namespace: 'prod', name: 'vlan10' };

const cases: { name: string; iface: object; network: object; expected: Partial<SpecNic> }[] = [
  { name: 'a secondary bridge', iface: { bridge: {} }, network: multus, expected: { network: vlan10 } },
  { name: 'state "" is up', iface: { bridge: {}, state: '' }, network: multus, expected: { network: vlan10 } },
  {
    name: 'state down',
    iface: { bridge: {}, state: 'down' },
    network: multus,
    expected: { network: vlan10, state: 'down' },
  },
  {
    name: 'state absent',
    iface: { bridge: {}, state: 'absent' },
    network: multus,
    expected: { network: vlan10, state: 'absent' },
  },
  {
    name: 'MAC in another form, and a model',
    iface: { bridge: {}, macAddress: '02-00-00-00-0A-01', model: 'e1000e' },
    network: multus,
    expected: { network: vlan10, mac: '02:00:00:00:0a:01', model: 'e1000e' },
  },
  {
    name: 'an empty MAC is none',
    iface: { bridge: {}, macAddress: '' },
    network: multus,
    expected: { network: vlan10 },
  },
  {
    name: 'a NAD of another namespace',
    iface: { bridge: {} },
    network: { multus: { networkName: 'infra/storage' } },
    expected: { network: { namespace: 'infra', name: 'storage' } },
  },
  {
    name: 'split on the first slash only',
    iface: { bridge: {} },
    network: { multus: { networkName: 'a/b/c' } },
    expected: { network: { namespace: 'a', name: 'b/c' } },
  },
  {
    name: 'the pod network is the default',
    iface: { masquerade: {} },
    network: { pod: {} },
    expected: { binding: 'masquerade', isDefault: true },
  },
  {
    name: 'Multus may take the default too',
    iface: { bridge: {} },
    network: { multus: { networkName: 'vlan10', default: true } },
    expected: { network: vlan10, isDefault: true },
  },
  { name: 'SR-IOV', iface: { sriov: {} }, network: multus, expected: { binding: 'sriov', network: vlan10 } },
  {
    name: 'a binding plugin',
    iface: { binding: { name: 'passt' } },
    network: { pod: {} },
    expected: { binding: 'plugin', plugin: 'passt', isDefault: true },
  },
  {
    name: 'a binding without a word of ours',
    iface: { slirp: {} },
    network: { pod: {} },
    expected: { binding: 'other', isDefault: true },
  },
  { name: 'a resource claim', iface: { sriov: {} }, network: { resourceClaim: {} }, expected: { binding: 'sriov' } },
];
for (const { name, iface, network, expected } of cases) {
  test(name, () => assert.deepEqual(specNics(spec(iface, network), 'prod'), [{ ...plain, ...expected }]));
}

test('order is that of the interfaces; an interface without a network stays in sight', () => {
  const nics = specNics(
    {
      domain: { devices: { interfaces: [{ name: 'b', bridge: {} }, { name: 'a', bridge: {} }, { bridge: {} }] } },
      networks: [{ name: 'a', ...multus }],
    },
    'prod',
  );
  assert.deepEqual(
    nics.map(({ name, network }) => [name, network?.name]),
    [
      ['b', undefined],
      ['a', 'vlan10'],
    ],
  );
});

test('a spec of the wrong shape has no NICs', () => {
  for (const odd of [undefined, null, 'x', [], { domain: [] }, { domain: { devices: { interfaces: 'x' } } }]) {
    assert.deepEqual(specNics(odd, 'prod'), []);
  }
});

test('status: sources are a set, a NIC of the guest alone is left out', () => {
  const status = {
    interfaces: [
      { name: 'blue', mac: '02:00:00:00:0A:01', infoSource: 'multus-status, domain', podInterfaceName: 'pod1' },
      { infoSource: 'guest-agent', interfaceName: 'docker0', mac: '02:42:00:00:00:01' },
      {
        name: 'red',
        infoSource: 'domain, guest-agent, multus-status, new-source',
        interfaceName: 'enp2s0',
        linkState: 'down',
      },
      { name: 'gone', infoSource: '' },
    ],
  };
  assert.deepEqual(statusNics(status), [
    { name: 'blue', mac: '02:00:00:00:0a:01', podInterfaceName: 'pod1', sources: ['domain', 'multus-status'] },
    {
      name: 'red',
      guestInterfaceName: 'enp2s0',
      sources: ['domain', 'guest-agent', 'multus-status'],
      linkState: 'down',
    },
    { name: 'gone', sources: [] },
  ]);
});
