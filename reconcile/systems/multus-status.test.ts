import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  defaultInterface,
  dynamicControllerKeys,
  nonDefaultEntries,
  parseNetworkStatus,
  statusKey,
  statusWarnings,
} from './multus-status.ts';

function entries(value: string) {
  const parsed = parseNetworkStatus(value);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  return parsed.entries;
}

function error(value: string): string {
  const parsed = parseNetworkStatus(value);
  assert.ok(!parsed.ok);
  return parsed.error;
}

const full = [
  { name: 'cbr0', ips: ['10.244.1.73'], default: true, dns: {} },
  {
    name: 'prod/fast',
    interface: 'pod16477688c0e',
    ips: ['10.0.0.5', 'fd00::5'],
    mac: '02:00:00:00:0a:01',
    mtu: 9000,
    dns: { nameservers: ['10.0.0.2'], domain: 'x', search: ['y'], options: ['z'] },
    'device-info': {
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': '0000:65:00.4', 'pf-pci-address': '0000:65:00.0', 'rdma-device': 'mlx5_2' },
    },
    gateway: ['10.0.0.1'],
  },
  {
    name: 'prod/v',
    interface: 'v1',
    'device-info': { type: 'vdpa', vdpa: { driver: 'vhost', path: '/dev/vhost-vdpa-0' } },
  },
  {
    name: 'prod/u',
    interface: 'u1',
    'device-info': { type: 'vhost-user', 'vhost-user': { mode: 'client', path: '/s' } },
  },
  {
    name: 'prod/m',
    interface: 'm1',
    'device-info': { type: 'memif', memif: { role: 'master', path: '/m', mode: 'ip' } },
  },
];

test('every field is read, in any layout', () => {
  assert.deepEqual(entries(JSON.stringify(full)), full);
  // As Multus writes it: each entry indented by itself.
  assert.deepEqual(entries(`[${full.map((entry) => JSON.stringify(entry, null, 4)).join(',')}]`), full);
});

test('the default network and what the dynamic controller looks at', () => {
  const status = entries(JSON.stringify(full));
  assert.equal(defaultInterface(status), undefined);
  assert.deepEqual(dynamicControllerKeys(status), ['prod/fast/pod16477688c0e', 'prod/v/v1', 'prod/u/u1', 'prod/m/m1']);
  assert.equal(nonDefaultEntries(status).length, 4);
  const udn = entries(
    '[{"name":"ovn-kubernetes","interface":"eth0"},{"name":"ovn-kubernetes","interface":"ovn-udn1","default":true}]',
  );
  assert.equal(defaultInterface(udn), 'ovn-udn1');
  assert.deepEqual(dynamicControllerKeys(udn), ['ovn-kubernetes/eth0']);
  assert.match(statusWarnings(udn).join('\n'), /eth0/);
  assert.equal(statusKey({ name: 'prod/istio-cni' }), 'prod/istio-cni/');
});

test('empty text and unknown keys go, what else was given stays', () => {
  assert.deepEqual(entries('[{"name":"a","interface":"","ips":[],"default":false,"mtu":0,"x":1,"MAC":"m"}]'), [
    { name: 'a', ips: [], default: false, mtu: 0, mac: 'm' },
  ]);
  assert.deepEqual(entries('null'), []);
  assert.deepEqual(entries('[null,{}]'), [{ name: '' }, { name: '' }]);
});

test('what can not be read, in the words that the logs have', () => {
  assert.equal(error(''), 'unexpected end of JSON input');
  assert.equal(error('[{"name":"a"}{"name":"b"}]'), "invalid character '{' after array element");
  assert.equal(error('{}'), 'json: cannot unmarshal object into Go value of type []v1.NetworkStatus');
  assert.equal(
    error('[{"name":"a","mtu":"1500"}]'),
    'json: cannot unmarshal string into Go struct field NetworkStatus.mtu of type int',
  );
  assert.equal(
    error('[{"device-info":{"pci":{"pci-address":1}}}]'),
    'json: cannot unmarshal number into Go struct field PciDevice.device-info.pci.pci-address of type string',
  );
});

test('warnings on what is unusual', () => {
  const warned = (value: string) => statusWarnings(entries(value)).length;
  assert.equal(warned('[{"name":"k8s","interface":"eth0","default":true},{"name":"ns/a","interface":"net1"}]'), 0);
  assert.equal(warned('[]'), 0);
  assert.equal(warned('[{"name":"ns/a","interface":"net1"}]'), 1);
  assert.equal(warned('[{"name":"k","default":true},{"name":"a","interface":"net1"},{"name":"ns/b"}]'), 2);
  const twice = '{"name":"ns/a","interface":"net1"}';
  assert.equal(warned(`[{"name":"k","default":true},${twice},${twice}]`), 1);
});

test('any text gives a typed result', () => {
  const entry = fc.dictionary(
    fc.constantFrom('name', 'interface', 'mtu', 'default', 'dns', 'device-info'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.array(entry).map((value) => JSON.stringify(value)),
      ),
      (value) => {
        const parsed = parseNetworkStatus(value);
        if (parsed.ok) statusWarnings(parsed.entries);
        else assert.notEqual(parsed.error, '');
      },
    ),
    { numRuns: 500 },
  );
});
