import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { recordings } from '../../test/recordings.ts';
import { domainXml } from './domain-xml.ts';
import { launchDomain, nicOf } from './kubevirt-domain.ts';
import { attachDevice, type Domain, LibvirtError, nics, setLink } from './libvirt-model.ts';
import { freePorts } from './pci-placement.ts';

interface Wish {
  readonly memory?: string;
  readonly networks?: readonly string[];
  readonly interfaces?: Readonly<Record<string, object>>;
  readonly disks?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly devices?: object;
  readonly cores?: number;
}

/** A VMI with a masquerade NIC, the given bridge NICs, virtio disks and an rng. */
function vmi(wish: Wish = {}): KubeObject {
  const networks = wish.networks ?? [];
  return {
    metadata: { name: 'web01', namespace: 'demo', uid: 'b2b5', annotations: wish.annotations ?? {} },
    spec: {
      architecture: 'amd64',
      domain: {
        machine: { type: 'q35' },
        memory: { guest: wish.memory ?? '1Gi' },
        cpu: { cores: wish.cores ?? 1 },
        firmware: { uuid: '0d9f7a52-6b0f-5f2c-9d2e-1b2d6a1b0c01' },
        devices: {
          rng: {},
          disks: (wish.disks ?? ['rootdisk', 'cloudinit']).map((name) => ({ name, disk: { bus: 'virtio' } })),
          interfaces: [
            { name: 'default', masquerade: {}, model: 'virtio' },
            ...networks.map((name) => ({ name, bridge: {}, model: 'virtio', ...wish.interfaces?.[name] })),
          ],
          ...wish.devices,
        },
      },
      networks: [{ name: 'default', pod: {} }, ...networks.map((name) => ({ name, multus: { networkName: name } }))],
      volumes: [
        { name: 'rootdisk', containerDisk: { image: 'x' } },
        { name: 'cloudinit', cloudInitNoCloud: {} },
      ],
    },
  };
}

/** Bus of each device with an address that is not on the root bus. */
function buses(domain: Domain): Readonly<Record<string, number>> {
  return Object.fromEntries(
    domain.devices.flatMap((device) =>
      'address' in device && device.address && device.address.bus > 0
        ? [[device.alias ?? device.kind, device.address.bus]]
        : [],
    ),
  );
}

function plug(domain: Domain, object: KubeObject, name: string): Domain {
  const nic = nicOf(object, name);
  assert.ok(nic);
  return attachDevice(domain, nic);
}

test('buses at boot: NICs, placeholders, scsi, serial, disks, balloon, rng, spare, extra', () => {
  assert.deepEqual(buses(launchDomain(vmi())), {
    'ua-default': 1,
    scsi0: 5,
    'virtio-serial0': 6,
    'ua-rootdisk': 7,
    'ua-cloudinit': 8,
    balloon0: 9,
    rng0: 10,
  });
});

test('free ports follow the formulas', () => {
  const eight = { memory: '8Gi' };
  const counted = (count: string): Wish => ({
    ...eight,
    annotations: { 'kubevirt.io/pci-interface-slot-count': count },
  });
  assert.deepEqual(freePorts(launchDomain(vmi()).devices), [2, 3, 4, 11]);
  assert.equal(freePorts(launchDomain(vmi(eight)).devices).length, 9);
  assert.equal(freePorts(launchDomain(vmi(counted('12'))).devices).length, 12);
  assert.equal(freePorts(launchDomain(vmi(), { scheme: 'v1' }).devices).length, 4);
  assert.deepEqual(freePorts(launchDomain(vmi({ networks: ['a', 'b', 'c', 'd'] })).devices), [12, 13, 14, 15]);
  const bare = vmi({ annotations: { 'kubevirt.io/placePCIDevicesOnRootComplex': 'true' } });
  assert.deepEqual(freePorts(launchDomain(bare).devices), []);
});

test('a slot count that is no number keeps the VM from starting', () => {
  const broken = vmi({ annotations: { 'kubevirt.io/pci-interface-slot-count': 'many' } });
  assert.throws(() => launchDomain(broken), /invalid kubevirt.io\/pci-interface-slot-count annotation value "many"/);
});

test('NICs are plugged until the ports are used up', () => {
  const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
  const wanted = vmi({ networks: names });
  let domain = launchDomain(vmi());
  for (const name of names.slice(0, 4)) domain = plug(domain, wanted, name);
  assert.deepEqual(
    nics(domain).map((nic) => nic.address?.bus),
    [1, 2, 3, 4, 11],
  );
  assert.throws(
    () => plug(domain, wanted, 'n5'),
    (error) => error instanceof LibvirtError && error.message === 'internal error: No more available PCI slots',
  );
});

test('a NIC as KubeVirt writes it', () => {
  const object = vmi({
    networks: ['blue', 'fast'],
    cores: 4,
    interfaces: {
      blue: { macAddress: '02-00-00-AA-BB-02', state: 'down', acpiIndex: 7 },
      fast: { bridge: undefined, sriov: {} },
    },
    devices: { networkInterfaceMultiqueue: true },
  });
  assert.deepEqual(nicOf(object, 'blue', { mtu: () => 9000 }), {
    kind: 'interface',
    type: 'ethernet',
    mac: '02:00:00:aa:bb:02',
    target: 'tap16477688c0e',
    model: 'virtio-non-transitional',
    mtu: 9000,
    alias: 'ua-blue',
    queues: 4,
    link: 'down',
    rom: false,
    acpiIndex: 7,
  });
  const fast = nicOf(object, 'fast');
  assert.equal(fast?.kind, 'hostdev');
  assert.equal(fast?.alias, 'ua-sriov-fast');
  const primary = nicOf(object, 'default');
  assert.equal(primary?.kind === 'interface' && primary.target, 'tap0');
  const ordinal = nicOf(object, 'blue', { podInterface: () => 'net1' });
  assert.equal(ordinal?.kind === 'interface' && ordinal.target, 'tap1');
  assert.equal(nicOf(object, 'green'), undefined);
});

test('an absent NIC is not born, an e1000 gets a bridge', () => {
  const absent = launchDomain(vmi({ networks: ['blue'], interfaces: { blue: { state: 'absent' } } }));
  assert.deepEqual(
    nics(absent).map((nic) => nic.alias),
    ['ua-default'],
  );
  const old = launchDomain(vmi({ networks: ['blue'], interfaces: { blue: { model: 'e1000' } } }));
  const bridge = old.devices.find((device) => device.kind === 'pci' && device.model === 'pcie-to-pci-bridge');
  assert.deepEqual(nics(old)[1]?.address, { bus: bridge?.kind === 'pci' ? bridge.index : 0, slot: 1, function: 0 });
});

test('placeholders leave no trace', () => {
  assert.doesNotMatch(domainXml(launchDomain(vmi({ memory: '8Gi' }))), /placeholder/);
});

const { path: captured, skip } = recordings('domain-xml', 'kubevirt');

/** PCI addresses of an XML by the alias of their device, controllers and all. */
function addressesOf(xml: string): Readonly<Record<string, string>> {
  const elements = xml.matchAll(/<(controller|interface|rng|memballoon|disk|video)\b[^>]*?>[\s\S]*?<\/\1>/g);
  return Object.fromEntries(
    [...elements].map(([text]) => [
      /<alias name='([^']*)'/.exec(text)?.[1] ?? '?',
      (/<address type='pci' [^>]*>/.exec(text)?.[0] ?? '') + (/<target chassis[^>]*>/.exec(text)?.[0] ?? ''),
    ]),
  );
}

test('domains of running VMs are modelled address by address', { skip }, () => {
  const read = (file: string): Readonly<Record<string, string>> =>
    addressesOf(readFileSync(path.join(captured, file), 'utf8'));
  const web = launchDomain(vmi({ disks: ['containerdisk', 'cloudinitdisk'] }));
  assert.deepEqual(addressesOf(domainXml(web)), read('demo_web01-v3-small-4free.xml'));

  const large: Wish = { memory: '8Gi', cores: 4, disks: ['rootdisk', 'cloudinitdisk'] };
  const later = vmi({ ...large, networks: ['vlan100', 'vlan200'] });
  const database = plug(plug(launchDomain(vmi(large)), later, 'vlan100'), later, 'vlan200');
  const xml = domainXml(setLink(database, 'ua-vlan200', 'down'));
  assert.deepEqual(addressesOf(xml), read('prod_db01-v3-large-hotplugged-7free.xml'));

  const rooted = vmi({
    memory: '4Gi',
    disks: ['rootdisk'],
    annotations: { 'kubevirt.io/placePCIDevicesOnRootComplex': 'true' },
  });
  assert.deepEqual(addressesOf(domainXml(launchDomain(rooted))), read('legacy_win10-rootcomplex-noports.xml'));
});
