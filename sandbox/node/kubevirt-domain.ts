/** Builds the libvirt domain of a VirtualMachineInstance by the rules of KubeVirt v1.9's launcher. */
import { createHash } from 'node:crypto';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { type Fields, fields, items, numeric, text } from '../../reconcile/systems/json-shape.ts';
import { hardwareFacts } from '../../reconcile/systems/kubevirt-hardware.ts';
import {
  domainName,
  nicAlias,
  podInterfaceName,
  primaryPodInterface,
  tapName,
  userAliasPrefix,
} from '../../reconcile/systems/kubevirt-names.ts';
import {
  type PortScheme,
  parseSlotCount,
  portLayout,
  supportsPcieHotplug,
} from '../../reconcile/systems/kubevirt-ports.ts';
import type { Device, Disk, HostDevice, Nic } from './libvirt-devices.ts';
import { type Domain, defineDomain } from './libvirt-model.ts';
import { placeDevices } from './pci-placement.ts';

/** What the node knows of the NICs in the launcher pod. */
export interface PodNetworks {
  /** Interface in the pod of a network; by default the hashed name, and `eth0` for the default network. */
  readonly podInterface?: (network: string) => string | undefined;
  /** MAC of the pod's NIC, for interfaces without one of their own. */
  readonly mac?: (network: string) => string | undefined;
  /** MTU of the pod's NIC; 1500 where unknown. */
  readonly mtu?: (network: string) => number | undefined;
}

export interface LaunchOptions extends PodNetworks {
  readonly id?: number;
  /** How the launcher reserves ports; v3 is that of KubeVirt 1.8 and later. */
  readonly scheme?: PortScheme;
}

/**
 * The domain as it starts: NICs that are not absent, placeholders for NICs to come, controllers, disks, balloon and
 * rng, each on the bus that KubeVirt and libvirt give it.
 * @throws Error with the launcher's text for a slot count that is no integer; such a VM does not start
 */
export function launchDomain(vmi: KubeObject, options: LaunchOptions = {}): Domain {
  const spec = fields(vmi.spec);
  const facts = hardwareFacts(spec, vmi.metadata.annotations);
  if (parseSlotCount(facts.slotCount) === 'invalid')
    throw new Error(
      `invalid kubevirt.io/pci-interface-slot-count annotation value "${facts.slotCount}": strconv.Atoi: parsing "${facts.slotCount}": invalid syntax`,
    );
  const interfaces = items(fields(fields(spec.domain).devices).interfaces).map(fields);
  const layout = portLayout(facts, interfaces.length, options.scheme ?? 'v3');
  const devices = bootDevices(vmi, options, layout.placeholders);
  const definition = {
    name: domainName(vmi.metadata.namespace ?? 'default', vmi.metadata.name),
    uuid: text(fields(fields(spec.domain).firmware).uuid) ?? uuidOf(vmi.metadata.uid ?? vmi.metadata.name),
    id: options.id ?? 1,
    machine: 'pc-q35-rhel9.8.0',
    memoryKiB: Math.round((facts.memoryBytes ?? 2 ** 30) / 1024),
    vcpus: vcpus(spec),
    kubevirt: true,
  } as const;
  if (facts.rootComplexAnnotation && supportsPcieHotplug(facts))
    return defineDomain({ ...definition, devices: onRootBus(devices) });
  const placed = placeDevices(devices).filter((device) => !isPlaceholder(device));
  const lastPort = placed.findLastIndex((device) => device.kind === 'pci');
  // Where a hook lists the ports libvirt adds no spare: the last one counts towards them.
  const hooked = Math.max(0, (facts.hookPorts ?? 0) - placed.filter(isRootPort).length);
  const extra = extraPorts(placed, Math.max(layout.extra, hooked));
  return defineDomain({ ...definition, devices: placed.toSpliced(lastPort + 1, 0, ...extra) });
}

/**
 * The device that KubeVirt plugs for an interface of the VMI spec; undefined for one that has none in the domain.
 * The same for boot and for a later plug.
 */
export function nicOf(vmi: KubeObject, name: string, pod: PodNetworks = {}): Nic | HostDevice | undefined {
  const spec = fields(vmi.spec);
  const devices = fields(fields(spec.domain).devices);
  const found = items(devices.interfaces)
    .map(fields)
    .find((entry) => entry.name === name);
  if (!found) return undefined;
  const bootOrder = numeric(found.bootOrder);
  if (found.sriov !== undefined)
    return {
      kind: 'hostdev',
      source: virtualFunction(vmi, name),
      alias: nicAlias(name, 'sriov'),
      ...(bootOrder === undefined ? {} : { bootOrder }),
    };
  const model = libvirtModel(text(found.model), devices.useVirtioTransitional === true);
  const acpiIndex = numeric(found.acpiIndex);
  const podInterface =
    pod.podInterface?.(name) ?? (isDefaultNetwork(spec, name) ? primaryPodInterface : podInterfaceName(name));
  const multiqueue = devices.networkInterfaceMultiqueue === true && model.startsWith('virtio');
  return {
    kind: 'interface',
    type: found.passtBinding === undefined ? 'ethernet' : 'vhostuser',
    mac: macText(text(found.macAddress) ?? pod.mac?.(name) ?? generatedMac(vmi, name)),
    target: tapName(podInterface),
    model,
    mtu: pod.mtu?.(name) ?? 1500,
    alias: nicAlias(name),
    ...(multiqueue ? { queues: Math.min(vcpus(spec), 256) } : {}),
    ...(found.state === 'down' ? { link: 'down' as const } : {}),
    ...(bootOrder === undefined ? { rom: false } : { bootOrder }),
    ...(acpiIndex === undefined ? {} : { acpiIndex }),
  };
}

/** Whether a network is the pod's first one: the pod network, or a Multus network that takes its place. */
function isDefaultNetwork(spec: Fields, name: string): boolean {
  return items(spec.networks)
    .map(fields)
    .some((network) => network.name === name && (network.pod !== undefined || fields(network.multus).default === true));
}

/** A MAC of its own for a NIC whose spec has none: local, unicast, the same for the same VMI and name. */
function generatedMac(vmi: KubeObject, name: string): string {
  const digest = createHash('sha256')
    .update(`${vmi.metadata.uid ?? vmi.metadata.name}/${name}`)
    .digest('hex');
  return `02:${digest.slice(0, 10).match(/../g)?.join(':')}`;
}

/** As libvirt prints a MAC that was given with dashes, dots or capitals. */
function macText(mac: string): string {
  return (
    mac
      .toLowerCase()
      .replaceAll(/[^0-9a-f]/g, '')
      .match(/../g)
      ?.join(':') ?? mac
  );
}

function libvirtModel(model: string | undefined, transitional: boolean): string {
  if (model !== undefined && model !== 'virtio') return model;
  return transitional ? 'virtio-transitional' : 'virtio-non-transitional';
}

function isRootPort(device: Device): boolean {
  return device.kind === 'pci' && device.model === 'pcie-root-port';
}

/** A made-up virtual function on the host. */
function virtualFunction(vmi: KubeObject, name: string): HostDevice['source'] {
  const digest = createHash('sha256')
    .update(`${vmi.metadata.uid ?? vmi.metadata.name}/${name}`)
    .digest();
  return { domain: 0, bus: 0x81, slot: (digest[0] ?? 0) % 32, function: (digest[1] ?? 0) % 8 };
}

const placeholderPrefix = 'placeholder-';

function isPlaceholder(device: Device): boolean {
  return device.kind === 'interface' && device.alias?.startsWith(`${userAliasPrefix}${placeholderPrefix}`) === true;
}

function placeholder(number: number): Nic {
  return {
    kind: 'interface',
    type: 'ethernet',
    mac: '02:00:00:00:00:00',
    model: 'virtio-non-transitional',
    alias: `${userAliasPrefix}${placeholderPrefix}${number}`,
  };
}

function bootDevices(vmi: KubeObject, pod: PodNetworks, placeholders: number): readonly Device[] {
  const spec = fields(vmi.spec);
  const devices = fields(fields(spec.domain).devices);
  const transitional = devices.useVirtioTransitional === true;
  const virtio = libvirtModel(undefined, transitional);
  const names = items(devices.interfaces)
    .map(fields)
    .filter((entry) => entry.state !== 'absent')
    .flatMap((entry) => (typeof entry.name === 'string' ? [entry.name] : []));
  const nics = names.flatMap((name) => nicOf(vmi, name, pod) ?? []);
  const facts = hardwareFacts(spec, vmi.metadata.annotations);
  const hostDevices = facts.hostDevices + facts.gpus;
  const serials = devices.autoattachSerialConsole !== false;
  return [
    ...items(devices.disks)
      .map(fields)
      .map((disk, index, all) => diskOf(vmi, disk, index, all, virtio)),
    { kind: 'controller', type: 'usb', index: 0, model: facts.usb === true ? 'qemu-xhci' : 'none' },
    ...(facts.disableHotplug ? [] : [{ kind: 'controller', type: 'scsi', index: 0, model: virtio } as const]),
    { kind: 'controller', type: 'virtio-serial', index: 0, model: virtio },
    ...nics.filter((nic) => nic.kind === 'interface'),
    ...Array.from({ length: placeholders }, (_, index) => placeholder(index)),
    ...(serials
      ? [{ kind: 'serial', path: `/var/run/kubevirt-private/${vmi.metadata.uid}/virt-serial0` } as const]
      : []),
    { kind: 'channel', name: 'org.qemu.guest_agent.0', connected: true },
    ...items(devices.inputs)
      .map(fields)
      .map((input) => ({ kind: 'input', type: text(input.type) ?? 'tablet', bus: inputBus(input.bus) }) as const),
    ...(devices.autoattachGraphicsDevice === false ? [] : [{ kind: 'video', model: 'vga' } as const]),
    ...Array.from({ length: hostDevices }, (_, index) => passedThrough(index)),
    ...nics.filter((nic) => nic.kind === 'hostdev'),
    ...(facts.watchdog ? [{ kind: 'watchdog', model: 'i6300esb' } as const] : []),
    { kind: 'memballoon', model: facts.balloon ? virtio : 'none' },
    ...(facts.rng ? [{ kind: 'rng', model: virtio } as const] : []),
  ];
}

function inputBus(bus: unknown): 'virtio' | 'usb' {
  return bus === 'virtio' ? 'virtio' : 'usb';
}

function passedThrough(index: number): HostDevice {
  return { kind: 'hostdev', source: { domain: 0, bus: 0x65, slot: index, function: 0 } };
}

function diskOf(vmi: KubeObject, disk: Fields, index: number, all: readonly Fields[], virtio: string): Disk {
  const name = text(disk.name) ?? `disk${index}`;
  const device = disk.cdrom === undefined ? (disk.lun === undefined ? 'disk' : 'lun') : 'cdrom';
  const bus = diskBus(fields(disk[device]).bus);
  const letter = String.fromCharCode(97 + all.slice(0, index).filter((other) => sameLetters(other, bus)).length);
  const source = volumeSource(vmi, name);
  return {
    kind: 'disk',
    device,
    bus,
    target: `${bus === 'virtio' ? 'vd' : 'sd'}${letter}`,
    ...(bus === 'virtio' ? { model: virtio } : {}),
    ...source,
    alias: `${userAliasPrefix}${name}`,
  };
}

/** KubeVirt's default on q35 is SATA. */
function diskBus(bus: unknown): Disk['bus'] {
  if (bus === 'virtio' || bus === 'sata' || bus === 'scsi' || bus === 'usb') return bus;
  return 'sata';
}

/** Whether a disk shares the `vd` or the `sd` letters with this bus. */
function sameLetters(disk: Fields, bus: Disk['bus']): boolean {
  const device = disk.cdrom === undefined ? (disk.lun === undefined ? 'disk' : 'lun') : 'cdrom';
  return (diskBus(fields(disk[device]).bus) === 'virtio') === (bus === 'virtio');
}

function volumeSource(vmi: KubeObject, name: string): Pick<Disk, 'format' | 'source' | 'block'> {
  const volume = items(fields(vmi.spec).volumes)
    .map(fields)
    .find((entry) => entry.name === name);
  const folder = '/var/run/kubevirt-ephemeral-disks';
  if (volume?.containerDisk !== undefined)
    return { format: 'qcow2', source: `${folder}/disk-data/${name}/disk.qcow2`, block: false };
  if (volume?.cloudInitNoCloud !== undefined || volume?.cloudInitConfigDrive !== undefined)
    return {
      format: 'raw',
      source: `${folder}/cloud-init-data/${vmi.metadata.namespace}/${vmi.metadata.name}/noCloud.iso`,
      block: false,
    };
  return { format: 'raw', source: `/dev/${name}`, block: true };
}

/** Root ports that KubeVirt appends behind all devices. */
function extraPorts(devices: readonly Device[], count: number): readonly Device[] {
  const last = Math.max(0, ...devices.flatMap((device) => (device.kind === 'pci' ? [device.index] : [])));
  return Array.from({ length: count }, (_, index) => ({
    kind: 'pci' as const,
    index: last + 1 + index,
    model: 'pcie-root-port' as const,
  }));
}

const rootBusOrder = ['interface', 'controller', 'disk', 'hostdev', 'memballoon', 'rng', 'input', 'watchdog'];

/** With the root-complex annotation KubeVirt itself puts each device into a slot of the root bus, from slot 2. */
function onRootBus(devices: readonly Device[]): readonly Device[] {
  const placed = new Map<Device, Device>();
  let slot = 2;
  for (const device of devices.toSorted((a, b) => rootBusOrder.indexOf(a.kind) - rootBusOrder.indexOf(b.kind))) {
    if (!takesRootSlot(device)) continue;
    if (slot === 0x1f) throw new Error('No space left on the root PCI bus.');
    placed.set(device, { ...device, address: { bus: 0, slot, function: 0 } } as Device);
    slot += 1;
  }
  return devices.map((device) => placed.get(device) ?? device);
}

function takesRootSlot(device: Device): boolean {
  switch (device.kind) {
    case 'interface':
    case 'hostdev':
    case 'rng':
      return true;
    case 'controller':
      return device.model !== 'none';
    case 'disk':
      return device.bus === 'virtio';
    case 'memballoon':
      return device.model !== 'none';
    case 'input':
      return device.bus === 'virtio';
    case 'pci':
    case 'watchdog':
    case 'video':
    case 'channel':
    case 'serial':
      return false;
    default:
      return device satisfies never;
  }
}

function vcpus(spec: Fields): number {
  const cpu = fields(fields(spec.domain).cpu);
  return (numeric(cpu.cores) ?? 1) * (numeric(cpu.sockets) ?? 1) * (numeric(cpu.threads) ?? 1);
}

function uuidOf(seed: string): string {
  const digest = createHash('sha256').update(seed).digest('hex');
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
}
