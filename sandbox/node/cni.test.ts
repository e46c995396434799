import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pluginConfigs, pluginFailure } from './cni-chain.ts';
import { statusOfResult } from './cni-result.ts';

const request = { mac: '02:00:00:00:00:01', ips: ['10.0.0.5/24'], 'cni-args': { foo: 'bar' } };

test('a plugin gets of a request what it declares to be capable of', () => {
  const config = {
    cniVersion: '0.4.0',
    plugins: [
      { type: 'bridge', capabilities: { ips: true, mac: false }, args: { cni: { own: 1 } } },
      { type: 'tuning', capabilities: { mac: true }, name: 'other' },
    ],
  };
  assert.deepEqual(pluginConfigs(JSON.stringify(config), 'nad', request), [
    {
      type: 'bridge',
      capabilities: { ips: true, mac: false },
      name: 'nad',
      cniVersion: '0.4.0',
      runtimeConfig: { ips: ['10.0.0.5/24'] },
      args: { cni: { own: 1, foo: 'bar' } },
    },
    {
      type: 'tuning',
      capabilities: { mac: true },
      name: 'nad',
      cniVersion: '0.4.0',
      runtimeConfig: { mac: '02:00:00:00:00:01' },
      args: { cni: { foo: 'bar' } },
    },
  ]);
});

test('a single plugin stays as it is; its leases lie where the sandbox wants them', () => {
  const config = { cniVersion: '1.0.0', name: 'own', type: 'bridge', ipam: { type: 'host-local', dataDir: '/var/x' } };
  assert.deepEqual(pluginConfigs(JSON.stringify(config), 'nad', {}), [
    { cniVersion: '1.0.0', name: 'own', type: 'bridge', ipam: { type: 'host-local' } },
  ]);
});

test('a config that Multus can not read', () => {
  assert.throws(() => pluginConfigs('', 'nad', {}), /^Error: failed to unmarshal Spec.Config: /);
  assert.throws(() => pluginConfigs('{}', 'nad', {}), /delegate must have the 'type' or 'plugin' field/);
  assert.throws(() => pluginConfigs('{"plugins":[{}]}', 'nad', {}), /a plugin delegate must have the 'type' field/);
});

test('results of each version become entries', () => {
  const sandbox = '/run/netns/pod';
  const interfaces = [
    { name: 'br0', mac: '1' },
    { name: 'net1', mac: '02:00:00:00:00:01', sandbox },
  ];
  const ips = [{ interface: 1, address: '10.77.0.2/24', gateway: '10.77.0.1' }];
  const entry = { name: 'ns/net', interface: 'net1', mac: '02:00:00:00:00:01', dns: {} };
  assert.deepEqual(statusOfResult({ interfaces, dns: {} }, 'ns/net', false), [entry]);
  assert.deepEqual(
    statusOfResult({ interfaces, ips, routes: [{ dst: '0.0.0.0/0', gw: '10.77.0.1' }], dns: {} }, 'cbr0', true),
    [{ ...entry, name: 'cbr0', ips: ['10.77.0.2'], default: true, gateway: ['10.77.0.1'] }],
  );
  const second = { name: 'net1.100', mac: '02:00:00:00:00:02', mtu: 1400, sandbox };
  const tagged = [...ips, { interface: 2, address: 'fd00::2/64' }];
  assert.deepEqual(statusOfResult({ interfaces: [...interfaces, second], ips: tagged, dns: {} }, 'ns/net', false), [
    { ...entry, ips: ['10.77.0.2'] },
    { ...entry, interface: 'net1.100', ips: ['fd00::2'], mac: '02:00:00:00:00:02', mtu: 1400 },
  ]);
  // Without a version, which is 0.1.0.
  assert.deepEqual(statusOfResult({ ip4: { ip: '10.0.0.2/24' }, dns: {} }, 'ns/net', false), [
    { name: 'ns/net', ips: ['10.0.0.2'], dns: {} },
  ]);
});

test('what is said of a plugin that failed', () => {
  assert.equal(pluginFailure('{"code":999,"msg":"Link not found"}\n', '', 1), 'Link not found');
  assert.equal(pluginFailure('{"code":7,"msg":"bad","details":"very"}', '', 1), 'bad; very');
  assert.equal(pluginFailure('', 'oops', 2), 'netplugin failed: "oops": exit status 2');
  assert.equal(pluginFailure('', '', 2), 'netplugin failed with no error message: exit status 2');
});
