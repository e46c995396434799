import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bridgeName,
  domainName,
  isOrdinalPodInterfaceName,
  networkOfAlias,
  nicAlias,
  noPortsPattern,
  ordinalPodInterfaceName,
  podInterfaceName,
  primaryPodInterface,
  renamedPodNicName,
  tapName,
} from './kubevirt-names.ts';

/** As KubeVirt v1.9 names them. */
const podInterfaces = {
  blue: 'pod16477688c0e',
  red: 'podb1f51a511f1',
  green: 'podba4788b226a',
  dyniface1: 'pod9a6a0c3b4d8',
  vlan100: 'pod1dba23260aa',
  vlan200: 'podabae620cc9f',
  mgmt: 'pod11b9592dcc8',
  'storage-net': 'pod050f98e069a',
} as const;

test('pod interfaces carry the hash of the network name', () => {
  for (const [network, name] of Object.entries(podInterfaces)) assert.equal(podInterfaceName(network), name);
});

test('every derived name fits into the 15 bytes of a Linux interface name', () => {
  for (const podInterface of [podInterfaceName('x'.repeat(5000)), primaryPodInterface, 'net12']) {
    for (const name of [podInterface, tapName(podInterface), bridgeName(podInterface), renamedPodNicName(podInterface)])
      assert.ok(name.length <= 15, name);
  }
});

test('tap, bridge and renamed NIC follow the pod interface', () => {
  const cases = [
    ['eth0', 'tap0', 'k6t-eth0', 'eth0-nic'],
    ['net1', 'tap1', 'k6t-net1', 'net1-nic'],
    ['pod16477688c0e', 'tap16477688c0e', 'k6t-16477688c0e', '16477688c0e-nic'],
  ] as const;
  for (const [podInterface, tap, bridge, renamed] of cases) {
    assert.equal(tapName(podInterface), tap);
    assert.equal(bridgeName(podInterface), bridge);
    assert.equal(renamedPodNicName(podInterface), renamed);
  }
});

test('ordinal names are told from hashed ones', () => {
  assert.equal(ordinalPodInterfaceName(3), 'net3');
  assert.equal(isOrdinalPodInterfaceName('net3'), true);
  for (const other of ['eth0', 'pod16477688c0e', 'net', 'net1a', 'xnet1'])
    assert.equal(isOrdinalPodInterfaceName(other), false, other);
});

test('an alias leads back to its network', () => {
  assert.equal(nicAlias('blue'), 'ua-blue');
  assert.equal(nicAlias('fast', 'sriov'), 'ua-sriov-fast');
  assert.equal(networkOfAlias('ua-blue'), 'blue');
  assert.equal(networkOfAlias('ua-sriov-fast'), 'fast');
  assert.equal(networkOfAlias('net0'), undefined);
});

test('domains are named after namespace and VMI', () => {
  assert.equal(domainName('prod', 'db-0'), 'prod_db-0');
});

test('both texts of libvirt for want of a port are known', () => {
  assert.match('internal error: No more available PCI slots', noPortsPattern);
  assert.match('internal error: No more available PCI addresses', noPortsPattern);
  assert.doesNotMatch('Unable to create tap device', noPortsPattern);
});
