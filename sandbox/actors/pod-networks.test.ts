import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podInterfaceName } from '../../reconcile/systems/kubevirt-names.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import type { InterfaceStatus, VmInterface, VmNetwork } from './objects.ts';
import { migrationNeed, networksAtBirth, networksOfRunningPod, statusFromPod } from './pod-networks.ts';

const interfaces: VmInterface[] = [
  { name: 'default', masquerade: {} },
  { name: 'blue', bridge: {}, macAddress: '02-00-00-AA-BB-02' },
  { name: 'fast', sriov: {} },
];
const networks: VmNetwork[] = [
  { name: 'default', pod: {} },
  { name: 'blue', multus: { networkName: 'shared/vlan10' } },
  { name: 'fast', multus: { networkName: 'sriov-net' } },
];
const eth0: NetworkStatus = { name: 'k8s-pod-network', interface: 'eth0', default: true };
const blueInPod: NetworkStatus = { name: 'shared/vlan10', interface: podInterfaceName('blue') };
const blueElement = `{"name":"vlan10","namespace":"shared","mac":"02-00-00-AA-BB-02","interface":"pod16477688c0e"}`;

test('a new pod asks for every secondary that is not absent, in the order of the networks', () => {
  const fast = `{"name":"sriov-net","namespace":"ns","interface":"${podInterfaceName('fast')}"}`;
  assert.equal(networksAtBirth({ interfaces, networks }, 'ns'), `[${blueElement},${fast}]`);
  assert.equal(
    networksAtBirth({ interfaces: interfaces.slice(0, 1), networks: networks.slice(0, 1) }, 'ns'),
    undefined,
  );
});

test('the annotation of a running pod leaves out an SR-IOV NIC that the status does not show', () => {
  assert.equal(networksOfRunningPod({ interfaces, networks }, 'ns', [], [eth0]), `[${blueElement}]`);
});

test('the annotation is left alone where nothing waits, and ends as an empty string', () => {
  const shown = [{ name: 'default' }, { name: 'blue' }, { name: 'fast' }];
  assert.equal(networksOfRunningPod({ interfaces, networks }, 'ns', shown, [eth0]), undefined);
  const absent = { interfaces: [{ name: 'blue', bridge: {}, state: 'absent' }], networks: networks.slice(1, 2) };
  assert.equal(networksOfRunningPod(absent, 'ns', shown, [eth0]), '');
});

test('a pod born with names by position keeps counting', () => {
  const status = [eth0, { name: 'shared/vlan10', interface: 'net1' }];
  const two = {
    interfaces: [...interfaces.slice(0, 2), { name: 'red', bridge: {} }],
    networks: [...networks.slice(0, 2), { name: 'red', multus: { networkName: 'vlan20' } }],
  };
  assert.match(
    networksOfRunningPod(two, 'ns', [{ name: 'blue' }], status) ?? '',
    /"interface":"net1".*"interface":"net2"/,
  );
});

test('multus-status comes and goes with network-status', () => {
  const before: InterfaceStatus[] = [{ name: 'default', infoSource: 'domain', podInterfaceName: 'eth0' }];
  const plugged = statusFromPod(networks, before, [eth0, blueInPod]);
  assert.deepEqual(plugged[1], { name: 'blue', infoSource: 'multus-status', podInterfaceName: 'pod16477688c0e' });
  assert.deepEqual(statusFromPod(networks, plugged, [eth0]), before);
  const both = [{ name: 'blue', infoSource: 'domain, multus-status', podInterfaceName: 'pod16477688c0e' }];
  assert.equal(statusFromPod(networks, both, [eth0])[0]?.infoSource, 'domain');
});

test('what needs a migration at once, later or not at all', () => {
  const lists = { interfaces: interfaces.slice(0, 2), networks: networks.slice(0, 2) };
  const shown = [{ name: 'blue', infoSource: 'domain, multus-status', podInterfaceName: 'pod16477688c0e' }];
  assert.equal(migrationNeed(lists, 'ns', shown, [eth0, blueInPod]), 'none');
  assert.equal(migrationNeed(lists, 'ns', [], [eth0]), 'later');
  assert.equal(migrationNeed({ interfaces, networks }, 'ns', shown, [eth0, blueInPod]), 'now');
  assert.equal(migrationNeed(lists, 'ns', shown, [eth0, { ...blueInPod, name: 'shared/vlan99' }]), 'now');
  const absent = { ...lists, interfaces: [{ name: 'blue', bridge: {}, state: 'absent' }] };
  const inPodOnly = [{ name: 'blue', infoSource: 'multus-status', podInterfaceName: 'pod16477688c0e' }];
  assert.equal(migrationNeed(absent, 'ns', inPodOnly, [eth0, blueInPod]), 'later');
  assert.equal(migrationNeed(absent, 'ns', shown, [eth0, blueInPod]), 'none');
});
