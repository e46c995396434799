/**
 * A pure model of a running libvirt q35 domain: define, attach, detach, change a link. Values in, values out; refusals
 * carry libvirt's own texts, as measured on libvirt 9.0. `domain-xml.ts` renders it, `kubevirt-domain.ts` builds one
 * from a VirtualMachineInstance.
 */
import {
  type Address,
  type Device,
  type HostDevice,
  type Nic,
  type PciController,
  placeOf,
} from './libvirt-devices.ts';
import { conventionalBridges, freeConventionalSlots, freePorts, placeDevices, portModels } from './pci-placement.ts';

/** What a domain is defined from. */
export interface DomainDefinition {
  readonly name: string;
  readonly uuid: string;
  /** Number of the running domain, from 1. */
  readonly id?: number;
  readonly type?: 'kvm' | 'qemu';
  readonly machine?: string;
  readonly memoryKiB: number;
  readonly vcpus: number;
  readonly devices: readonly Device[];
  /** `<metadata>`, `<sysinfo>` and the like, as KubeVirt writes them. */
  readonly kubevirt?: boolean;
}

export interface Domain extends Required<DomainDefinition> {
  readonly paused: boolean;
}

/** libvirt's error codes that the model answers with. */
const codes = {
  internal: 1,
  xml: 27,
  operationFailed: 9,
  configUnsupported: 67,
  deviceMissing: 99,
} as const;

/** libvirt refused; the message is what virsh prints behind `error: `. */
export class LibvirtError extends Error {
  readonly code: number;
  /** Subsystem that refused: 10 QEMU, 20 domain. */
  readonly domain: number;

  constructor(code: number, domain: number, message: string) {
    super(message);
    this.name = 'LibvirtError';
    this.code = code;
    this.domain = domain;
  }

  /** As KubeVirt quotes it in conditions and events. */
  get virError(): string {
    return `virError(Code=${this.code}, Domain=${this.domain}, Message='${this.message}')`;
  }
}

/** Gives every device its address and alias, with the controllers that libvirt adds. */
export function defineDomain(definition: DomainDefinition): Domain {
  const devices = withAliases(placeDevices(definition.devices));
  return {
    id: 1,
    type: 'kvm',
    machine: 'pc-q35-rhel9.8.0',
    kubevirt: false,
    paused: false,
    ...definition,
    devices,
  };
}

/** What can be plugged into a running domain. */
export type Pluggable = Nic | HostDevice;

/**
 * Plugs a device in. Without an address it takes the lowest free hot-pluggable port, or conventional slot, by its model.
 * @throws LibvirtError with libvirt's text; the domain is unchanged
 */
export function attachDevice(domain: Domain, device: Pluggable): Domain {
  if (device.kind === 'interface') checkNic(domain, device);
  const alias = device.alias?.startsWith('ua-') ? device.alias : nextAlias(domain.devices, device);
  if (domain.devices.some((other) => 'alias' in other && other.alias === alias))
    throw new LibvirtError(
      codes.configUnsupported,
      20,
      `unsupported configuration: non unique alias detected: ${alias}`,
    );
  const address = device.address ? checkedAddress(domain, device.address) : nextAddress(domain, device);
  const placed = { ...device, alias, address };
  const last = domain.devices.findLastIndex((other) => other.kind === device.kind);
  const at = last >= 0 ? last + 1 : afterControllers(domain.devices);
  return { ...domain, devices: domain.devices.toSpliced(at, 0, placed) };
}

function checkNic(domain: Domain, nic: Nic): void {
  if (isMulticast(nic.mac))
    throw new LibvirtError(codes.xml, 20, `XML error: expected unicast mac address, found multicast '${nic.mac}'`);
  if (!nicModelNames.includes(nic.model))
    throw new LibvirtError(
      codes.internal,
      10,
      `internal error: unable to execute QEMU command 'device_add': '${nic.model}' is not a valid device model name`,
    );
  const holds = (other: Device): boolean =>
    other.kind === 'interface' &&
    other.target !== undefined &&
    other.target === nic.target &&
    other.alias !== nic.alias;
  if (domain.devices.some(holds))
    throw new LibvirtError(38, 0, `Unable to create tap device ${nic.target}: Device or resource busy`);
}

const nicModelNames: readonly string[] = [
  'virtio',
  'virtio-non-transitional',
  'virtio-transitional',
  'e1000',
  'e1000e',
  'igb',
  'rtl8139',
  'pcnet',
  'ne2k_pci',
];

function isMulticast(mac: string): boolean {
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
}

function nextAddress(domain: Domain, device: Pluggable): Address {
  const [bus] = freePorts(domain.devices);
  const free =
    placeOf(device) === 'conventional'
      ? freeConventionalSlots(domain.devices)[0]
      : bus === undefined
        ? undefined
        : { bus, slot: 0, function: 0 };
  if (free === undefined) throw new LibvirtError(codes.internal, 20, 'internal error: No more available PCI slots');
  return free;
}

function checkedAddress(domain: Domain, address: Address): Address {
  const shown = `0000:${hex(address.bus)}:${hex(address.slot)}.${address.function}`;
  const buses = domain.devices.flatMap((device) => (device.kind === 'pci' ? [device] : []));
  const bus = buses.find((controller) => controller.index === address.bus);
  const invalid = (why: string): LibvirtError =>
    new LibvirtError(codes.xml, 20, `XML error: Invalid PCI address ${shown}. ${why}`);
  if (!bus) throw invalid(`Only PCI buses up to ${Math.max(...buses.map(({ index }) => index))} are available`);
  if (bus.hotplug === false || !acceptsHotplug(bus))
    throw new LibvirtError(
      codes.xml,
      20,
      `XML error: The device at PCI address ${shown} requires hotplug capability, but the PCI controller with index='${bus.index}' doesn't support hotplug`,
    );
  if (portModels.includes(bus.model) && address.slot > 0) throw invalid('slot must be <= 0');
  if (address.function !== 0)
    throw new LibvirtError(
      codes.internal,
      10,
      'internal error: Only PCI device addresses with function=0 are supported',
    );
  const taken = domain.devices.some(
    (device) => 'address' in device && device.address?.bus === address.bus && device.address.slot === address.slot,
  );
  if (taken) throw new LibvirtError(codes.xml, 20, `XML error: Attempted double use of PCI Address ${shown}`);
  return address;
}

function acceptsHotplug(controller: PciController): boolean {
  return portModels.includes(controller.model) || conventionalBridges.includes(controller.model);
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

/**
 * Takes a device out; its port is free at once. A guest that does not let go is the caller's to play: as long as it
 * holds on, do not call this.
 * @throws LibvirtError where no device has the alias
 */
export function detachDevice(domain: Domain, alias: string): Domain {
  const at = domain.devices.findIndex((device) => 'alias' in device && device.alias === alias);
  if (at < 0) throw new LibvirtError(codes.internal, 10, `internal error: no device found with alias ${alias}`);
  return { ...domain, devices: domain.devices.toSpliced(at, 1) };
}

/** Sets the carrier of a NIC; libvirt writes `<link>` only once it was set down. */
export function setLink(domain: Domain, alias: string, link: 'up' | 'down'): Domain {
  const nic = nicByAlias(domain, alias);
  if (!nic)
    throw new LibvirtError(
      codes.deviceMissing,
      20,
      `device not found: no device found at address '(<null>)' matching MAC address '(<null>)' and alias '${alias}'`,
    );
  return { ...domain, devices: domain.devices.map((device) => (device === nic ? { ...nic, link } : device)) };
}

export function nics(domain: Domain): readonly Nic[] {
  return domain.devices.flatMap((device) => (device.kind === 'interface' ? [device] : []));
}

export function hostDevices(domain: Domain): readonly HostDevice[] {
  return domain.devices.flatMap((device) => (device.kind === 'hostdev' ? [device] : []));
}

export function nicByAlias(domain: Domain, alias: string): Nic | undefined {
  return nics(domain).find((nic) => nic.alias === alias);
}

/** Index where a NIC goes that is the first of its kind. */
function afterControllers(devices: readonly Device[]): number {
  return 1 + devices.findLastIndex((device) => device.kind === 'pci' || device.kind === 'controller');
}

const aliasStems = {
  interface: 'net',
  hostdev: 'hostdev',
  disk: 'disk',
  memballoon: 'balloon',
  rng: 'rng',
  watchdog: 'watchdog',
  input: 'input',
  video: 'video',
} as const;

/** Aliases as libvirt makes them: a stem and a running number. */
function withAliases(devices: readonly Device[]): readonly Device[] {
  const done: Device[] = [];
  for (const device of devices) done.push(withAlias(done, device));
  return done;
}

function withAlias(before: readonly Device[], device: Device): Device {
  switch (device.kind) {
    case 'channel':
    case 'serial':
      return device;
    case 'pci':
      return { ...device, alias: device.index === 0 ? 'pcie.0' : `pci.${device.index}` };
    case 'controller':
      return { ...device, alias: controllerAlias(device.type, device.index) };
    case 'memballoon':
      return device.model === 'none' ? device : { ...device, alias: 'balloon0' };
    default:
      return device.alias?.startsWith('ua-') ? device : { ...device, alias: nextAlias(before, device) };
  }
}

function controllerAlias(type: string, index: number): string {
  if (type === 'usb') return index === 0 ? 'usb' : `usb${index}`;
  if (type === 'sata') return index === 0 ? 'ide' : `sata${index}`;
  return `${type}${index}`;
}

function nextAlias(devices: readonly Device[], device: { readonly kind: keyof typeof aliasStems }): string {
  const stem = aliasStems[device.kind];
  const taken = new Set(devices.flatMap((other) => ('alias' in other && other.alias ? [other.alias] : [])));
  for (let number = 0; ; number += 1) if (!taken.has(`${stem}${number}`)) return `${stem}${number}`;
}
