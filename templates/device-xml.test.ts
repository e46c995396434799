import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { nicDeviceXml } from './device-xml.ts';

const nic = { name: 'storage', mac: '02-00-00-00-0A-01', tap: 'tap1a2b3c4d5e6' };

test('the interface element as KubeVirt makes it', () => {
  assert.equal(
    nicDeviceXml({ ...nic, mtu: 1480 }),
    [
      "<interface type='ethernet'>",
      "  <mac address='02:00:00:00:0a:01'/>",
      "  <target dev='tap1a2b3c4d5e6' managed='no'/>",
      "  <model type='virtio-non-transitional'/>",
      "  <mtu size='1480'/>",
      "  <alias name='ua-storage'/>",
      "  <rom enabled='no'/>",
      '</interface>',
      '',
    ].join('\n'),
  );
});

test('model, queues and link only where they are given', () => {
  const xml = nicDeviceXml({ ...nic, model: 'e1000e', queues: 4, state: 'down' });
  assert.match(xml, /<model type='e1000e'\/>\n {2}<driver name='vhost' queues='4'\/>\n {2}<link state='down'\/>/);
  assert.doesNotMatch(nicDeviceXml({ ...nic, state: 'up' }), /<link|<driver|<mtu/);
});

test('what was built is read back as the NIC that was meant', () => {
  const xml = `<domain><devices>${nicDeviceXml({ ...nic, mtu: 9000, state: 'down' })}</devices></domain>`;
  assert.deepEqual(parseDomain(xml).nics, [
    {
      name: 'storage',
      alias: 'ua-storage',
      type: 'ethernet',
      mac: '02:00:00:00:0a:01',
      target: 'tap1a2b3c4d5e6',
      model: 'virtio-non-transitional',
      mtu: 9000,
      linkState: 'down',
    },
  ]);
});

test('no name breaks out of its attribute', () => {
  const name = `x'/><interface type="hostdev">&`;
  const xml = `<domain><devices>${nicDeviceXml({ ...nic, name })}</devices></domain>`;
  assert.deepEqual(
    parseDomain(xml).nics.map((found) => found.name),
    [name],
  );
});

test('what libvirt would refuse is refused here', () => {
  assert.throws(() => nicDeviceXml({ ...nic, mac: '01:00:5e:00:00:01' }), /"01:00:5e:00:00:01" is a multicast address/);
  assert.throws(() => nicDeviceXml({ ...nic, mac: 'x' }), /"x" is no MAC address/);
  for (const tap of ['', 'a'.repeat(16), 'a b', 'a/b', 'a:b']) {
    assert.throws(() => nicDeviceXml({ ...nic, tap }), /is no name of a network interface/);
  }
});
