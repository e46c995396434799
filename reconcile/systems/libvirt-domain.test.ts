import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { PatchpanelError } from '../errors.ts';
import { parseDomain, plainModel } from './libvirt-domain.ts';

const kubevirt = readFileSync(new URL('fixtures/domain-kubevirt.xml', import.meta.url), 'utf8');

function nicsOf(devices: string) {
  return parseDomain(`<domain><devices>${devices}</devices></domain>`).nics;
}

function refuses(xml: string, message: RegExp): void {
  assert.throws(
    () => parseDomain(xml),
    (error) => error instanceof PatchpanelError && error.code === 'libvirt/xml' && message.test(error.message),
  );
}

test('NICs of a KubeVirt domain are read by alias', () => {
  const domain = parseDomain(kubevirt);
  assert.equal(domain.name, 'prod_db01');
  assert.equal(domain.machine, 'pc-q35-rhel9.8.0');
  assert.deepEqual(domain.nics[2], {
    name: 'vlan200',
    alias: 'ua-vlan200',
    type: 'ethernet',
    mac: '02:51:6f:30:80:22',
    target: 'tapabae620cc9f',
    model: 'virtio-non-transitional',
    mtu: 9000,
    linkState: 'down',
    address: { domain: 0, bus: 3, slot: 0, function: 0 },
  });
  assert.deepEqual(
    domain.nics.map(({ name, linkState, mtu }) => [name, linkState, mtu]),
    [
      ['default', 'up', 1400],
      ['vlan100', 'up', 1500],
      ['vlan200', 'down', 9000],
    ],
  );
  assert.deepEqual(domain.devices.at(-1), { label: 'rng rng0', address: { domain: 0, bus: 10, slot: 0, function: 0 } });
});

test('an SR-IOV NIC is a host device with its own alias; other host devices are no NICs', () => {
  const source = "<source><address domain='0x0000' bus='0x65' slot='0x00' function='0x4'/></source>";
  const address = "<address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>";
  const nics = nicsOf(
    `<hostdev mode='subsystem' type='pci'>${source}<alias name='ua-sriov-fast'/>${address}</hostdev>` +
      `<hostdev mode='subsystem' type='pci'>${source}<alias name='ua-gpu'/></hostdev>`,
  );
  assert.deepEqual(nics, [
    {
      name: 'fast',
      alias: 'ua-sriov-fast',
      type: 'hostdev',
      linkState: 'up',
      address: { domain: 0, bus: 7, slot: 0, function: 0 },
    },
  ]);
});

test('a bridge to a network whose name starts with sriov- keeps that name', () => {
  assert.equal(nicsOf("<interface type='ethernet'><alias name='ua-sriov-x'/></interface>")[0]?.name, 'sriov-x');
});

test('an alias that libvirt made names no network', () => {
  const [nic] = nicsOf("<interface type='bridge'><mac address='02-AA-00-00-00-01'/><alias name='net0'/></interface>");
  assert.equal(nic?.name, undefined);
  assert.equal(nic?.alias, 'net0');
  assert.equal(nic?.mac, '02:aa:00:00:00:01');
});

test('what is no domain is refused, with its place', () => {
  refuses('', /root element/);
  refuses('error: failed to get domain', /1:\d+/);
  refuses('<network><name>x</name></network>', /<network>/);
  refuses('<domain><devices></domain>', /unexpected close tag|unclosed/);
});

test('no DTD, no entities, no bombs', () => {
  refuses('<!DOCTYPE domain [<!ENTITY a "b">]><domain><name>&a;</name></domain>', /document type/);
  refuses('<domain><name>&a;</name></domain>', /entity/);
  refuses(`${'<a>'.repeat(200)}${'</a>'.repeat(200)}`, /nested deeper/);
  refuses(`<domain>${' '.repeat(9_000_000)}</domain>`, /longer than/);
  assert.equal(parseDomain('<domain><name>a&amp;b&#x41;</name></domain>').name, 'a&bA');
});

test('any text gives a domain or a typed error', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom('<domain>', '</domain>', '<devices>', '<controller type="pci" index="1" model="pcie-root-port"/>'),
    fc.constantFrom('<interface>', '</interface>', '</devices>', '<address type="pci" bus="zz"/>', '<mtu size="-1"/>'),
  );
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (xml) => {
        try {
          parseDomain(xml);
        } catch (error) {
          assert.ok(error instanceof PatchpanelError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a live domain with any stretch cut out gives a domain or a typed error', () => {
  fc.assert(
    fc.property(fc.nat(kubevirt.length), fc.nat(400), (from, length) => {
      try {
        parseDomain(kubevirt.slice(0, from) + kubevirt.slice(from + length));
      } catch (error) {
        assert.ok(error instanceof PatchpanelError, String(error));
      }
    }),
    { numRuns: 100 },
  );
});

test('the variants of virtio are one model', () => {
  const found = ['virtio', 'virtio-non-transitional', 'virtio-transitional', 'virtio-net', 'e1000e'].map(plainModel);
  assert.deepEqual(found, ['virtio', 'virtio', 'virtio', 'virtio-net', 'e1000e']);
});
