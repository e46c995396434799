/** Live XML of a modelled domain, as `virsh dumpxml` prints it: two spaces, single quotes, libvirt's order. */
import {
  buildXml,
  content,
  leaf,
  parent,
  type XmlAttributes,
  type XmlNode,
} from '../../reconcile/systems/xml-build.ts';
import type { Address, Device, Disk, HostDevice, Nic, PciController } from './libvirt-devices.ts';
import type { Domain } from './libvirt-model.ts';

/** The XML of a running domain. */
export function domainXml(domain: Domain): string {
  return buildXml(domainElement(domain));
}

function domainElement(domain: Domain): XmlNode {
  const machine = parent('os', [
    content('type', 'hvm', { arch: 'x86_64', machine: domain.machine }),
    leaf('boot', { dev: 'hd' }),
    domain.kubevirt ? leaf('smbios', { mode: 'sysinfo' }) : undefined,
  ]);
  return parent(
    'domain',
    [
      content('name', domain.name),
      content('uuid', domain.uuid),
      domain.kubevirt
        ? parent('metadata', [parent('kubevirt', [leaf('uid', {})], { xmlns: 'http://kubevirt.io' })])
        : undefined,
      content('memory', domain.memoryKiB, { unit: 'KiB' }),
      content('currentMemory', domain.memoryKiB, { unit: 'KiB' }),
      content('vcpu', domain.vcpus, { placement: 'static' }),
      domain.kubevirt ? content('iothreads', 1) : undefined,
      domain.kubevirt ? sysinfo(domain) : undefined,
      machine,
      parent('features', [leaf('acpi', {})]),
      parent('cpu', [content('model', 'qemu64', { fallback: 'forbid' })], {
        mode: 'custom',
        match: 'exact',
        check: 'full',
      }),
      leaf('clock', { offset: 'utc' }),
      content('on_poweroff', 'destroy'),
      content('on_reboot', 'restart'),
      content('on_crash', 'destroy'),
      parent('devices', [
        content('emulator', domain.kubevirt ? '/usr/libexec/qemu-kvm' : '/usr/bin/qemu-system-x86_64'),
        ...inXmlOrder(domain.devices).map((device) => deviceElement(device, domain.devices)),
      ]),
    ],
    { type: domain.type, id: domain.id },
  );
}

function sysinfo(domain: Domain): XmlNode {
  const entry = (name: string, value: string): XmlNode => content('entry', value, { name });
  return parent(
    'sysinfo',
    [
      parent('system', [
        entry('manufacturer', 'KubeVirt'),
        entry('product', 'None'),
        entry('uuid', domain.uuid),
        entry('family', 'KubeVirt'),
      ]),
    ],
    { type: 'smbios' },
  );
}

/** libvirt prints kinds in a fixed order and keeps the order within a kind. */
const xmlOrder = [
  'disk',
  'controller',
  'interface',
  'serial',
  'channel',
  'input',
  'video',
  'hostdev',
  'watchdog',
  'memballoon',
  'rng',
];

function inXmlOrder(devices: readonly Device[]): readonly Device[] {
  const rank = (device: Device): number => xmlOrder.indexOf(device.kind === 'pci' ? 'controller' : device.kind);
  return devices.toSorted((a, b) => rank(a) - rank(b));
}

function deviceElement(device: Device, all: readonly Device[]): XmlNode {
  switch (device.kind) {
    case 'pci':
      return pciElement(device, all);
    case 'controller':
      return withPlace('controller', { type: device.type, index: device.index, model: device.model }, [], device, all);
    case 'interface':
      return nicElement(device, all);
    case 'hostdev':
      return hostDeviceElement(device, all);
    case 'disk':
      return diskElement(device, all);
    case 'memballoon':
      if (device.model === 'none') return leaf('memballoon', { model: 'none' });
      return withPlace('memballoon', { model: device.model }, [leaf('stats', { period: 10 })], device, all);
    case 'rng': {
      const backend = content('backend', '/dev/urandom', { model: 'random' });
      return withPlace('rng', { model: device.model }, [backend], device, all);
    }
    case 'watchdog':
      return withPlace('watchdog', { model: device.model, action: 'reset' }, [], device, all);
    case 'input':
      return withPlace('input', { type: device.type, bus: device.bus }, [], device, all);
    case 'video': {
      const model = leaf('model', { type: device.model, vram: 16384, heads: 1, primary: 'yes' });
      return withPlace('video', {}, [model], device, all);
    }
    case 'channel':
      return channelElement(device.name, device.connected);
    case 'serial':
      return serialElement(device.path);
    default:
      return device satisfies never;
  }
}

interface Placeable {
  readonly alias?: string;
  readonly address?: Address;
}

function withPlace(
  name: string,
  attributes: XmlAttributes,
  children: readonly (XmlNode | undefined)[],
  device: Placeable,
  all: readonly Device[],
): XmlNode {
  return parent(name, [...children, aliasElement(device), addressElement(device, all)], attributes);
}

function aliasElement(device: Placeable): XmlNode | undefined {
  return device.alias === undefined ? undefined : leaf('alias', { name: device.alias });
}

function addressElement(device: Placeable, all: readonly Device[]): XmlNode | undefined {
  const { address } = device;
  if (!address) return undefined;
  const shared = all.some(
    (other) =>
      'address' in other &&
      other.address?.bus === address.bus &&
      other.address.slot === address.slot &&
      other.address.function !== 0,
  );
  return leaf('address', {
    ...pciAttributes({ domain: 0, ...address }),
    multifunction: address.function === 0 && shared && address.slot !== 0x1f ? 'on' : undefined,
  });
}

function pciAttributes(address: Address & { readonly domain: number }): XmlAttributes {
  return {
    type: 'pci',
    domain: `0x${address.domain.toString(16).padStart(4, '0')}`,
    bus: `0x${address.bus.toString(16).padStart(2, '0')}`,
    slot: `0x${address.slot.toString(16).padStart(2, '0')}`,
    function: `0x${address.function.toString(16)}`,
  };
}

function pciElement(controller: PciController, all: readonly Device[]): XmlNode {
  const qemuNames: Readonly<Record<string, string>> = {
    'pcie-root-port': 'pcie-root-port',
    'pcie-switch-upstream-port': 'x3130-upstream',
    'pcie-switch-downstream-port': 'xio3130-downstream',
    'pcie-to-pci-bridge': 'pcie-pci-bridge',
    'dmi-to-pci-bridge': 'i82801b11-bridge',
    'pci-bridge': 'pci-bridge',
    'pcie-expander-bus': 'pxb-pcie',
  };
  const model = qemuNames[controller.model];
  return withPlace(
    'controller',
    { type: 'pci', index: controller.index, model: controller.model },
    [model === undefined ? undefined : leaf('model', { name: model }), targetElement(controller)],
    controller,
    all,
  );
}

function targetElement(controller: PciController): XmlNode | undefined {
  const hotplug = controller.hotplug === false ? 'off' : undefined;
  const { address } = controller;
  switch (controller.model) {
    case 'pcie-root-port':
    case 'pcie-switch-downstream-port': {
      const port = address ? portNumber(controller, address) : undefined;
      return leaf('target', { chassis: controller.index, port, hotplug });
    }
    case 'pci-bridge':
      return leaf('target', { chassisNr: controller.index });
    case 'pcie-expander-bus':
      return leaf('target', { busNr: controller.busNr ?? 254 });
    default:
      return undefined;
  }
}

function portNumber(controller: PciController, address: Address): string {
  const number = controller.model === 'pcie-root-port' ? (address.slot << 3) | address.function : address.slot;
  return `0x${number.toString(16)}`;
}

function nicElement(nic: Nic, all: readonly Device[]): XmlNode {
  return parent(
    'interface',
    [
      leaf('mac', { address: nic.mac }),
      nic.type === 'vhostuser' ? leaf('source', { dev: 'eth0' }) : undefined,
      nic.target === undefined ? undefined : leaf('target', { dev: nic.target, managed: 'no' }),
      leaf('model', { type: nic.model }),
      nic.queues === undefined ? undefined : leaf('driver', { name: 'vhost', queues: nic.queues }),
      nic.type === 'vhostuser' ? leaf('backend', { type: 'passt', logFile: '/var/run/kubevirt/passt.log' }) : undefined,
      nic.link === undefined ? undefined : leaf('link', { state: nic.link }),
      nic.mtu === undefined ? undefined : leaf('mtu', { size: nic.mtu }),
      aliasElement(nic),
      nic.rom === false ? leaf('rom', { enabled: 'no' }) : undefined,
      nic.bootOrder === undefined ? undefined : leaf('boot', { order: nic.bootOrder }),
      nic.acpiIndex === undefined ? undefined : leaf('acpi', { index: nic.acpiIndex }),
      addressElement(nic, all),
    ],
    { type: nic.type },
  );
}

function hostDeviceElement(device: HostDevice, all: readonly Device[]): XmlNode {
  return parent(
    'hostdev',
    [
      leaf('driver', { name: 'vfio' }),
      parent('source', [leaf('address', { ...pciAttributes(device.source), type: undefined })]),
      aliasElement(device),
      addressElement(device, all),
    ],
    { mode: 'subsystem', type: 'pci', managed: 'no' },
  );
}

function diskElement(disk: Disk, all: readonly Device[]): XmlNode {
  return parent(
    'disk',
    [
      leaf('driver', { name: 'qemu', type: disk.format, cache: 'none', error_policy: 'stop', discard: 'unmap' }),
      leaf('source', disk.block ? { dev: disk.source } : { file: disk.source }),
      leaf('target', { dev: disk.target, bus: disk.bus }),
      disk.device === 'cdrom' ? leaf('readonly', {}) : undefined,
      aliasElement(disk),
      disk.address || disk.bus === 'virtio' || disk.bus === 'usb'
        ? addressElement(disk, all)
        : leaf('address', {
            type: 'drive',
            controller: 0,
            bus: 0,
            target: 0,
            unit: disk.target.charCodeAt(disk.target.length - 1) - 97,
          }),
    ],
    { type: disk.block ? 'block' : 'file', device: disk.device, model: disk.model },
  );
}

function channelElement(name: string, connected: boolean): XmlNode {
  return parent(
    'channel',
    [
      leaf('source', { mode: 'bind', path: `/var/run/kubevirt-private/libvirt/qemu/run/channel/1/${name}` }),
      leaf('target', { type: 'virtio', name, state: connected ? 'connected' : 'disconnected' }),
      leaf('alias', { name: 'channel0' }),
      leaf('address', { type: 'virtio-serial', controller: 0, bus: 0, port: 1 }),
    ],
    { type: 'unix' },
  );
}

function serialElement(path: string): XmlNode {
  return parent(
    'serial',
    [
      leaf('source', { mode: 'bind', path }),
      parent('target', [leaf('model', { name: 'isa-serial' })], { type: 'isa-serial', port: 0 }),
      leaf('alias', { name: 'serial0' }),
    ],
    { type: 'unix' },
  );
}
