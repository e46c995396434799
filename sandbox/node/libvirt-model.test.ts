import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { recordings } from '../../test/recordings.ts';
import { domainXml } from './domain-xml.ts';
import type { Device, Nic, PciModel } from './libvirt-devices.ts';
import { attachDevice, type Domain, defineDomain, detachDevice, LibvirtError, nics, setLink } from './libvirt-model.ts';
import { freeConventionalSlots, freePorts } from './pci-placement.ts';

const virtio = 'virtio-non-transitional';

function ports(...indexes: readonly number[]): readonly Device[] {
  return indexes.map((index) => ({ kind: 'pci', index, model: 'pcie-root-port' }));
}

function pci(index: number, model: PciModel): Device {
  return { kind: 'pci', index, model };
}

const noUsb: Device = { kind: 'controller', type: 'usb', index: 0, model: 'none' };
const noBalloon: Device = { kind: 'memballoon', model: 'none' };
const balloon: Device = { kind: 'memballoon', model: virtio };
const rng: Device = { kind: 'rng', model: virtio };

function bootNic(address?: Nic['address'], model = virtio): Nic {
  return { kind: 'interface', type: 'user', mac: '52:54:00:00:00:01', model, ...(address ? { address } : {}) };
}

function plug(number: number, model = virtio): Nic {
  const mac = `02:00:00:00:0b:${number.toString(16).padStart(2, '0')}`;
  return {
    kind: 'interface',
    type: 'ethernet',
    mac,
    target: `tapx${number}`,
    model,
    alias: `ua-tapx${number}`,
    rom: false,
  };
}

function domain(devices: readonly Device[]): Domain {
  return defineDomain({ name: 'd', uuid: '00000000-0000-0000-0000-000000000001', memoryKiB: 65536, vcpus: 1, devices });
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof LibvirtError) return error.message;
    throw error;
  }
  return 'accepted';
}

/** Plugs until libvirt refuses; returns the addresses taken. */
function exhaust(start: Domain, model = virtio): readonly string[] {
  let current = start;
  for (let number = 0; number < 100; number += 1) {
    const text = refusal(() => {
      current = attachDevice(current, plug(number, model));
    });
    if (text === 'accepted') continue;
    assert.equal(text, 'internal error: No more available PCI slots');
    break;
  }
  return nics(current)
    .filter((nic) => nic.alias?.startsWith('ua-'))
    .map(placeText);
}

function placeText(device: { readonly address?: { bus: number; slot: number; function: number } }): string {
  const { address } = device;
  return address ? `${address.bus}:${address.slot}.${address.function}` : 'nowhere';
}

interface Topology {
  readonly what: string;
  readonly devices: readonly Device[];
  readonly model?: string;
  /** Addresses of boot NICs, as libvirt gave them. */
  readonly boot?: readonly string[];
  /** Addresses of what was plugged until refused. */
  readonly plugged: readonly string[];
}

const conventional = Array.from({ length: 31 }, (_, index) => `4:${index + 1}.0`);

/** Topologies that were run on libvirt 9.0 with QEMU 7.2; names are those of the captures. */
const topologies: Readonly<Record<string, Topology>> = {
  t1: {
    what: 'four ports',
    devices: [...ports(1, 2, 3, 4), noUsb, noBalloon],
    plugged: ['1:0.0', '2:0.0', '3:0.0', '4:0.0'],
  },
  t2: {
    what: 'eight ports, boot devices',
    devices: [
      ...ports(1, 2, 3, 4, 5, 6, 7, 8),
      { kind: 'controller', type: 'usb', index: 0, model: 'qemu-xhci' },
      { kind: 'controller', type: 'virtio-serial', index: 0 },
      bootNic(),
      balloon,
      rng,
    ],
    boot: ['1:0.0'],
    plugged: ['6:0.0', '7:0.0', '8:0.0'],
  },
  t5: {
    what: 'a conventional NIC behind a bridge',
    devices: [...ports(1, 2, 3, 4), pci(5, 'pcie-to-pci-bridge'), noUsb, bootNic(undefined, 'e1000'), noBalloon],
    boot: ['5:1.0'],
    plugged: ['2:0.0', '3:0.0', '4:0.0'],
  },
  t7: {
    what: 'a PCIe switch',
    devices: [
      ...ports(1, 2),
      pci(3, 'pcie-switch-upstream-port'),
      pci(4, 'pcie-switch-downstream-port'),
      pci(5, 'pcie-switch-downstream-port'),
      pci(6, 'pcie-switch-downstream-port'),
      noUsb,
      noBalloon,
    ],
    plugged: ['2:0.0', '4:0.0', '5:0.0', '6:0.0'],
  },
  t10: {
    what: 'two functions behind one port',
    devices: [
      ...ports(1, 2, 3),
      noUsb,
      bootNic({ bus: 2, slot: 0, function: 0 }),
      bootNic({ bus: 2, slot: 0, function: 1 }),
      noBalloon,
    ],
    boot: ['2:0.0', '2:0.1'],
    plugged: ['1:0.0', '3:0.0'],
  },
  t11: {
    what: 'ports left to libvirt',
    devices: [noUsb, bootNic(), noBalloon, rng],
    boot: ['1:0.0'],
    plugged: ['3:0.0'],
  },
  t12: { what: 'no devices', devices: [noUsb, noBalloon], plugged: [] },
  t14: {
    what: 'as many NICs as ports',
    devices: [...ports(1, 2), noUsb, bootNic(), bootNic(), noBalloon],
    boot: ['1:0.0', '2:0.0'],
    plugged: [],
  },
  t15: {
    what: 'more NICs than ports',
    devices: [...ports(1, 2), noUsb, bootNic(), bootNic(), bootNic(), noBalloon],
    boot: ['1:0.0', '2:0.0', '3:0.0'],
    plugged: [],
  },
  t16: {
    what: 'transitional NICs',
    devices: [...ports(1, 2, 3), pci(4, 'pcie-to-pci-bridge'), noUsb, noBalloon],
    model: 'virtio-transitional',
    plugged: conventional,
  },
  t17: {
    what: 'transitional NICs, no bridge',
    devices: [...ports(1, 2, 3), noUsb, noBalloon],
    model: 'virtio-transitional',
    plugged: [],
  },
  t20: {
    what: 'e1000',
    devices: [...ports(1, 2, 3), pci(4, 'pcie-to-pci-bridge'), noUsb, noBalloon],
    model: 'e1000',
    plugged: conventional,
  },
  t22: {
    what: 'ten ports, KubeVirt controllers',
    devices: [
      ...ports(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
      { kind: 'controller', type: 'scsi', index: 0, model: virtio },
      { kind: 'controller', type: 'virtio-serial', index: 0, model: virtio },
      noUsb,
      bootNic(),
      balloon,
    ],
    boot: ['1:0.0'],
    plugged: ['5:0.0', '6:0.0', '7:0.0', '8:0.0', '9:0.0', '10:0.0'],
  },
};

for (const [name, { what, devices, model, boot, plugged }] of Object.entries(topologies)) {
  test(`${name}: ${what}`, () => {
    const start = domain(devices);
    assert.deepEqual(nics(start).map(placeText), boot ?? []);
    const free = model === undefined ? freePorts(start.devices) : freeConventionalSlots(start.devices);
    const taken = exhaust(start, model);
    assert.deepEqual(taken, plugged);
    assert.equal(free.length, taken.length, 'the count must foretell what is accepted');
  });
}

test('gaps in the indexes become ports', () => {
  assert.deepEqual(freePorts(domain([...ports(1, 3, 7), noUsb, noBalloon]).devices), [1, 2, 3, 4, 5, 6, 7]);
});

test('a port with hotplug off takes boot devices and nothing else', () => {
  const devices: readonly Device[] = [
    { kind: 'pci', index: 1, model: 'pcie-root-port', hotplug: false },
    ...ports(2),
    noUsb,
    noBalloon,
  ];
  assert.deepEqual(exhaust(domain(devices)), ['2:0.0']);
  assert.deepEqual(nics(domain([...devices, bootNic()])).map(placeText), ['1:0.0']);
});

test('a port behind an expander bus is counted by its index', () => {
  const devices: readonly Device[] = [
    ...ports(1),
    { kind: 'pci', index: 2, model: 'pcie-expander-bus', busNr: 180 },
    { kind: 'pci', index: 3, model: 'pcie-root-port', address: { bus: 2, slot: 0, function: 0 } },
    noUsb,
    noBalloon,
  ];
  assert.deepEqual(freePorts(domain(devices).devices), [1, 3]);
});

test('a DMI bridge takes no port and offers none', () => {
  const devices = [...ports(1, 2), pci(3, 'dmi-to-pci-bridge'), pci(4, 'pci-bridge'), noUsb, noBalloon];
  assert.deepEqual(exhaust(domain(devices)), ['1:0.0', '2:0.0']);
});

test('ports are packed eight to a slot', () => {
  const packed = domain(ports(...Array.from({ length: 10 }, (_, index) => index + 1)));
  const places = packed.devices.flatMap((device) =>
    device.kind === 'pci' && device.address ? [placeText(device)] : [],
  );
  assert.deepEqual(places.slice(0, 2), ['0:1.0', '0:1.1']);
  assert.deepEqual(places.slice(7), ['0:1.7', '0:2.0', '0:2.1']);
});

test('a freed port is used before a higher one', () => {
  let current = domain([...ports(1, 2, 3, 4), noUsb, noBalloon]);
  for (const number of [1, 2, 3]) current = attachDevice(current, plug(number));
  current = attachDevice(detachDevice(current, 'ua-tapx2'), plug(5));
  assert.deepEqual(
    nics(current).map((nic) => [nic.alias, placeText(nic)]),
    [
      ['ua-tapx1', '1:0.0'],
      ['ua-tapx3', '3:0.0'],
      ['ua-tapx5', '2:0.0'],
    ],
  );
});

test('refusals in the words of libvirt', () => {
  const start = attachDevice(
    domain([...ports(1, 2, 3), { kind: 'pci', index: 4, model: 'pcie-root-port', hotplug: false }, noUsb]),
    plug(1),
  );
  const at = (bus: number, slot = 0, number = 0): Nic => ({ ...plug(2), address: { bus, slot, function: number } });
  const cases: readonly (readonly [string, () => unknown])[] = [
    ['unsupported configuration: non unique alias detected: ua-tapx1', () => attachDevice(start, plug(1))],
    [
      'Unable to create tap device tapx1: Device or resource busy',
      () => attachDevice(start, { ...plug(1), alias: 'ua-b' }),
    ],
    [
      "XML error: expected unicast mac address, found multicast '01:00:5e:00:00:01'",
      () => attachDevice(start, { ...plug(2), mac: '01:00:5e:00:00:01' }),
    ],
    [
      "internal error: unable to execute QEMU command 'device_add': 'vmxnet9' is not a valid device model name",
      () => attachDevice(start, plug(2, 'vmxnet9')),
    ],
    [
      "XML error: The device at PCI address 0000:04:00.0 requires hotplug capability, but the PCI controller with index='4' doesn't support hotplug",
      () => attachDevice(start, at(4)),
    ],
    [
      "XML error: The device at PCI address 0000:00:06.0 requires hotplug capability, but the PCI controller with index='0' doesn't support hotplug",
      () => attachDevice(start, at(0, 6)),
    ],
    [
      'XML error: Invalid PCI address 0000:09:00.0. Only PCI buses up to 4 are available',
      () => attachDevice(start, at(9)),
    ],
    ['XML error: Invalid PCI address 0000:02:01.0. slot must be <= 0', () => attachDevice(start, at(2, 1))],
    ['internal error: Only PCI device addresses with function=0 are supported', () => attachDevice(start, at(2, 0, 1))],
    ['internal error: no device found with alias ua-no', () => detachDevice(start, 'ua-no')],
  ];
  for (const [text, run] of cases) assert.equal(refusal(run), text);
  assert.equal(placeText(nics(attachDevice(start, at(3)))[1] ?? {}), '3:0.0');
});

test('duplicate MACs are accepted, foreign aliases replaced', () => {
  const start = attachDevice(domain([...ports(1, 2), noUsb]), plug(1));
  const twice = attachDevice(start, { ...plug(2), mac: plug(1).mac, alias: 'net-9' });
  assert.deepEqual(
    nics(twice).map((nic) => nic.alias),
    ['ua-tapx1', 'net0'],
  );
});

test('the refusal for want of ports reads as KubeVirt quotes it', () => {
  try {
    attachDevice(domain([noUsb]), plug(1));
    assert.fail('must be refused');
  } catch (error) {
    assert.ok(error instanceof LibvirtError);
    assert.equal(error.virError, "virError(Code=1, Domain=20, Message='internal error: No more available PCI slots')");
  }
});

test('a link is written once it was set', () => {
  const start = attachDevice(domain([...ports(1), noUsb]), plug(1));
  assert.doesNotMatch(domainXml(start), /<link/);
  const down = setLink(start, 'ua-tapx1', 'down');
  assert.match(domainXml(down), /<link state='down'\/>/);
  assert.match(domainXml(setLink(down, 'ua-tapx1', 'up')), /<link state='up'\/>/);
});

test('the XML of a NIC is what libvirt prints', () => {
  const xml = domainXml(attachDevice(domain([...ports(1, 2), noUsb]), { ...plug(1), mtu: 1480 }));
  const expected = [
    "    <interface type='ethernet'>",
    "      <mac address='02:00:00:00:0b:01'/>",
    "      <target dev='tapx1' managed='no'/>",
    "      <model type='virtio-non-transitional'/>",
    "      <mtu size='1480'/>",
    "      <alias name='ua-tapx1'/>",
    "      <rom enabled='no'/>",
    "      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>",
    '    </interface>',
  ].join('\n');
  assert.ok(xml.includes(expected), xml);
  assert.ok(
    xml.includes(
      "      <target chassis='1' port='0x8'/>\n      <alias name='pci.1'/>\n      <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0' multifunction='on'/>",
    ),
  );
});

const { path: captures, skip } = recordings('domain-xml', 'captured');

/** Controllers, NICs, balloons and rngs of an XML, one line each: enough to compare two. */
function devicesOf(xml: string): readonly string[] {
  const wanted = /<(controller|interface|rng|memballoon)\b[^>]*?(?:\/>|>[\s\S]*?<\/\1>)/g;
  return [...xml.matchAll(wanted)]
    .map(([text]) =>
      text
        .replace(/<mac [^>]*>\s*/, '')
        .replace(/<stats [^>]*>\s*/, '')
        .replace(/\s*\n\s*/g, ''),
    )
    .map((text) => text.replace(/(<backend [^>]*>)[^<]*/, '$1'))
    .toSorted();
}

test('captured domains are modelled device by device', { skip }, (context) => {
  const files = readdirSync(captures).filter((file) => /^c-t\d+-0-boot\.xml$/.test(file));
  let agree = 0;
  for (const file of files) {
    const name = /t\d+/.exec(file)?.[0] ?? '';
    const topology = topologies[name];
    if (!topology) continue;
    let current = domain(topology.devices);
    assert.deepEqual(devicesOf(domainXml(current)), devicesOf(readFileSync(path.join(captures, file), 'utf8')), file);
    for (const number of topology.plugged.keys())
      current = attachDevice(current, { ...plug(number, topology.model), mtu: 1480 });
    const last = file.replace('-0-boot', '-1-exhausted');
    assert.deepEqual(devicesOf(domainXml(current)), devicesOf(readFileSync(path.join(captures, last), 'utf8')), last);
    agree += 1;
  }
  context.diagnostic(`${agree} of ${files.length} captured topologies agree`);
  assert.equal(agree, files.length);
});
