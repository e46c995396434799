import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLinks } from './ip-links.ts';

test('interfaces as iproute2 prints them', () => {
  const printed = JSON.stringify([
    {},
    {
      ifname: 'lo',
      flags: ['LOOPBACK', 'UP', 'LOWER_UP'],
      mtu: 65536,
      address: '00:00:00:00:00:00',
      addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8, scope: 'host' }],
    },
    {
      ifname: 'tap1',
      flags: ['NO-CARRIER', 'BROADCAST', 'UP'],
      mtu: 1480,
      master: 'k6t-1',
      address: 'AE:59:AC:70:C5:30',
      ifalias: 'a note',
      linkinfo: { info_kind: 'tun', info_data: { type: 'tap' }, info_slave_kind: 'bridge' },
      addr_info: [],
    },
    {
      ifname: 'mv0',
      flags: [],
      mtu: 1500,
      address: '02:00:00:00:00:01',
      linkinfo: { info_kind: 'macvlan', info_data: { mode: 'passthru' } },
    },
  ]);
  assert.deepEqual(parseLinks(printed), [
    { name: 'lo', mac: '00:00:00:00:00:00', mtu: 65536, up: true, carrier: true, addresses: ['127.0.0.1/8'] },
    {
      name: 'tap1',
      kind: 'tun',
      mac: 'ae:59:ac:70:c5:30',
      mtu: 1480,
      master: 'k6t-1',
      up: true,
      carrier: false,
      note: 'a note',
      addresses: [],
    },
    {
      name: 'mv0',
      kind: 'macvlan',
      mode: 'passthru',
      mac: '02:00:00:00:00:01',
      mtu: 1500,
      up: false,
      carrier: false,
      addresses: [],
    },
  ]);
});

test('what is not JSON of iproute2', () => {
  for (const output of ['', 'BusyBox v1.35', '{}', 'null']) assert.equal(parseLinks(output), undefined);
});
