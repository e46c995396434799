/** Machines whose ports are foretold and then used up: what they are made of, in libvirt's words. */
import type { Address, Device, Nic, PciModel } from '../../sandbox/node/libvirt-devices.ts';

export interface Topology {
  readonly title: string;
  readonly devices: readonly Device[];
  /** Of the NICs that are plugged. */
  readonly model?: string;
  /** Another than q35; the sandbox models that one alone. */
  readonly machine?: string;
}

const virtio = 'virtio-non-transitional';
const noUsb: Device = { kind: 'controller', type: 'usb', index: 0, model: 'none' };
const noBalloon: Device = { kind: 'memballoon', model: 'none' };
/** The least that libvirt leaves as it is: it would add a USB controller and a balloon. */
const bare = [noUsb, noBalloon];
const balloon: Device = { kind: 'memballoon', model: virtio };
const rng: Device = { kind: 'rng', model: virtio };
const xhci: Device = { kind: 'controller', type: 'usb', index: 0, model: 'qemu-xhci' };
const serials: Device = { kind: 'controller', type: 'virtio-serial', index: 0, model: virtio };
const scsi: Device = { kind: 'controller', type: 'scsi', index: 0, model: virtio };

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function ports(...indexes: readonly number[]): readonly Device[] {
  return indexes.map((index) => pci(index, 'pcie-root-port'));
}

function pci(
  index: number,
  model: PciModel,
  more: { hotplug?: boolean; address?: Address; busNr?: number } = {},
): Device {
  return { kind: 'pci', index, model, ...more };
}

function at(bus: number, slot = 0, number = 0): Address {
  return { bus, slot, function: number };
}

let nics = 0;
/** A NIC from the start. */
function nic(address?: Address, model = virtio): Nic {
  nics += 1;
  const mac = `52:54:00:00:00:${nics.toString(16).padStart(2, '0')}`;
  return { kind: 'interface', type: 'user', mac, model, ...(address === undefined ? {} : { address }) };
}

export const topologies: readonly Topology[] = [
  { title: '4 ports', devices: [...ports(...range(1, 4)), ...bare] },
  { title: '1 port', devices: [...ports(1), ...bare] },
  { title: '24 ports', devices: [...ports(...range(1, 24)), ...bare] },
  {
    title: '8 ports, a device of every kind at boot',
    devices: [...ports(...range(1, 8)), xhci, serials, scsi, nic(), balloon, rng],
  },
  {
    title: '10 ports, the controllers of KubeVirt',
    devices: [...ports(...range(1, 10)), scsi, serials, noUsb, nic(), balloon],
  },
  {
    title: 'a port without hot-plug, empty',
    devices: [...ports(1), pci(2, 'pcie-root-port', { hotplug: false }), ...ports(3, 4), ...bare],
  },
  {
    title: 'a port without hot-plug, which a boot device takes',
    devices: [pci(1, 'pcie-root-port', { hotplug: false }), ...ports(2, 3, 4), noUsb, nic(), noBalloon],
  },
  { title: 'a PCIe-to-PCI bridge', devices: [...ports(1, 2, 3, 4), pci(5, 'pcie-to-pci-bridge'), ...bare] },
  {
    title: 'a PCIe-to-PCI bridge with a conventional NIC in it',
    devices: [...ports(1, 2, 3, 4), pci(5, 'pcie-to-pci-bridge'), noUsb, nic(undefined, 'e1000'), noBalloon],
  },
  {
    title: 'a DMI bridge and a PCI bridge behind it',
    devices: [...ports(1, 2, 3), pci(4, 'dmi-to-pci-bridge'), pci(5, 'pci-bridge'), ...bare],
  },
  {
    title: 'a PCIe switch',
    devices: [
      ...ports(1, 2),
      pci(3, 'pcie-switch-upstream-port'),
      ...range(4, 6).map((index) => pci(index, 'pcie-switch-downstream-port')),
      ...bare,
    ],
  },
  {
    title: 'a PCIe expander bus with ports of its own',
    devices: [
      ...ports(1, 2),
      pci(3, 'pcie-expander-bus', { busNr: 180 }),
      pci(4, 'pcie-root-port', { address: at(3, 0) }),
      pci(5, 'pcie-root-port', { address: at(3, 1) }),
      ...bare,
    ],
  },
  { title: 'a NIC on the root bus', devices: [...ports(1, 2, 3), noUsb, nic(at(0, 5)), noBalloon] },
  {
    title: 'two functions behind one port',
    devices: [...ports(1, 2, 3), noUsb, nic(at(2)), nic(at(2, 0, 1)), noBalloon],
  },
  {
    title: 'holes between boot devices',
    devices: [...ports(...range(1, 6)), noUsb, nic(at(2)), nic(at(4)), nic(at(5)), noBalloon],
  },
  { title: 'gaps between indexes', devices: [...ports(1, 3, 7), ...bare] },
  { title: 'ports left to libvirt', devices: [noUsb, nic(), noBalloon, rng] },
  { title: 'ports left to libvirt, many devices', devices: [scsi, serials, noUsb, nic(), nic(), nic(), balloon, rng] },
  { title: 'no ports', devices: bare },
  { title: 'as many boot NICs as ports', devices: [...ports(1, 2), noUsb, nic(), nic(), noBalloon] },
  { title: 'more boot NICs than ports', devices: [...ports(1, 2), noUsb, nic(), nic(), nic(), noBalloon] },
  { title: 'model virtio', devices: [...ports(1, 2, 3), ...bare], model: 'virtio' },
  { title: 'model e1000e', devices: [...ports(1, 2, 3), noUsb, nic(undefined, 'e1000e'), noBalloon], model: 'e1000e' },
  {
    title: 'virtio-transitional with a bridge',
    devices: [...ports(1, 2, 3), pci(4, 'pcie-to-pci-bridge'), ...bare],
    model: 'virtio-transitional',
  },
  {
    title: 'virtio-transitional without a bridge',
    devices: [...ports(1, 2, 3), ...bare],
    model: 'virtio-transitional',
  },
  {
    title: 'e1000 with a bridge, holes in it',
    devices: [
      ...ports(1, 2, 3),
      pci(4, 'pcie-to-pci-bridge'),
      noUsb,
      nic(undefined, 'e1000'),
      nic(at(4, 3), 'e1000'),
      noBalloon,
    ],
    model: 'e1000',
  },
  {
    title: 'e1000 with a DMI bridge and a PCI bridge',
    devices: [...ports(1, 2), pci(3, 'dmi-to-pci-bridge'), pci(4, 'pci-bridge'), ...bare],
    model: 'e1000',
  },
  {
    title: 'e1000 with two PCIe-to-PCI bridges',
    devices: [...ports(1, 2, 3), pci(4, 'pcie-to-pci-bridge'), pci(5, 'pcie-to-pci-bridge'), ...bare],
    model: 'e1000',
  },
  {
    title: 'e1000 with a PCI bridge behind a PCIe-to-PCI bridge',
    devices: [...ports(1, 2), pci(3, 'pcie-to-pci-bridge'), pci(4, 'pci-bridge'), ...bare],
    model: 'e1000',
  },
  {
    title: 'a switch with a boot device behind it, ports in gaps',
    devices: [
      ...ports(1),
      pci(2, 'pcie-switch-upstream-port'),
      pci(3, 'pcie-switch-downstream-port'),
      pci(4, 'pcie-switch-downstream-port'),
      ...ports(6),
      noUsb,
      nic(),
      noBalloon,
    ],
  },
  {
    title: 'a conventional NIC at boot, its bridge left to libvirt',
    devices: [...ports(...range(1, 4)), noUsb, nic(), nic(undefined, 'e1000'), noBalloon, rng],
  },
  {
    title: 'e1000, ports and bridge left to libvirt',
    devices: [serials, noUsb, nic(), nic(undefined, 'e1000'), noBalloon, rng],
    model: 'e1000',
  },
  { title: 'ports and bridge left to libvirt', devices: [noUsb, nic(undefined, 'e1000'), noBalloon] },
  { title: 'i440fx, where all share one bus', devices: [noUsb, nic(), balloon], machine: 'pc' },
  { title: 'i440fx, e1000', devices: [noUsb, nic(undefined, 'e1000'), noBalloon], machine: 'pc', model: 'e1000' },
];
