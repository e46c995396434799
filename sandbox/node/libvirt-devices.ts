/** The devices of a modelled libvirt domain, as plain data. */

export interface Address {
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

/** What every device may have. */
interface Placed {
  /** libvirt keeps those that begin with `ua-` and makes up the rest. */
  readonly alias?: string;
  readonly address?: Address;
}

const pciModels = [
  'pcie-root',
  'pcie-root-port',
  'pcie-switch-upstream-port',
  'pcie-switch-downstream-port',
  'pcie-to-pci-bridge',
  'dmi-to-pci-bridge',
  'pci-bridge',
  'pcie-expander-bus',
] as const;
export type PciModel = (typeof pciModels)[number];

export interface PciController extends Placed {
  readonly kind: 'pci';
  /** Number of the bus behind it. */
  readonly index: number;
  readonly model: PciModel;
  /** False: `<target hotplug='off'>`. */
  readonly hotplug?: boolean;
  /** Of an expander bus: the bus number that the guest sees. */
  readonly busNr?: number;
}

export interface Controller extends Placed {
  readonly kind: 'controller';
  readonly type: 'usb' | 'scsi' | 'virtio-serial' | 'sata';
  readonly index: number;
  readonly model?: string;
}

export interface Nic extends Placed {
  readonly kind: 'interface';
  readonly type: 'ethernet' | 'user' | 'vhostuser';
  readonly mac: string;
  /** Name of the tap; libvirt does not manage it. */
  readonly target?: string;
  readonly model: string;
  readonly queues?: number;
  readonly link?: 'up' | 'down';
  readonly mtu?: number;
  /** Without it the option ROM is off, as KubeVirt has it. */
  readonly bootOrder?: number;
  readonly acpiIndex?: number;
  readonly rom?: boolean;
}

export interface HostDevice extends Placed {
  readonly kind: 'hostdev';
  /** Address on the host. */
  readonly source: Address & { readonly domain: number };
  readonly bootOrder?: number;
}

export interface Disk extends Placed {
  readonly kind: 'disk';
  readonly device: 'disk' | 'cdrom' | 'lun';
  readonly bus: 'virtio' | 'sata' | 'scsi' | 'usb';
  readonly target: string;
  readonly model?: string;
  readonly format: 'raw' | 'qcow2';
  readonly source: string;
  readonly block: boolean;
}

interface Balloon extends Placed {
  readonly kind: 'memballoon';
  /** `none`: no balloon at all. */
  readonly model: string;
}

interface Rng extends Placed {
  readonly kind: 'rng';
  readonly model: string;
}

interface Watchdog extends Placed {
  readonly kind: 'watchdog';
  readonly model: string;
}

interface Input extends Placed {
  readonly kind: 'input';
  readonly type: string;
  readonly bus: 'virtio' | 'usb' | 'ps2';
}

interface Video extends Placed {
  readonly kind: 'video';
  readonly model: string;
}

interface AgentChannel {
  readonly kind: 'channel';
  readonly name: string;
  readonly connected: boolean;
}

interface Serial {
  readonly kind: 'serial';
  readonly path: string;
}

export type Device =
  | PciController
  | Controller
  | Nic
  | HostDevice
  | Disk
  | Balloon
  | Rng
  | Watchdog
  | Input
  | Video
  | AgentChannel
  | Serial;

export type AddressedDevice = Exclude<Device, AgentChannel | Serial>;

/**
 * Where a device wants to be: behind a PCIe port, on a conventional PCI bridge, on the root bus, or nowhere because it
 * is no PCI device.
 */
export type Place = 'port' | 'conventional' | 'root' | 'none';

/** NIC models that are conventional PCI devices: they never go behind a PCIe port. */
const conventionalModels: readonly string[] = ['virtio-transitional', 'e1000', 'rtl8139', 'pcnet', 'ne2k_pci'];

/** The place of a device that is not a PCI controller. */
export function placeOf(device: Exclude<Device, PciController>): Place {
  switch (device.kind) {
    case 'interface':
      return conventionalModels.includes(device.model) ? 'conventional' : 'port';
    case 'controller':
      if (device.type === 'sata') return 'root';
      return device.model === 'none' ? 'none' : byModel(device.model);
    case 'disk':
      return device.bus === 'virtio' ? byModel(device.model) : 'none';
    case 'memballoon':
      return device.model === 'none' ? 'none' : byModel(device.model);
    case 'rng':
      return byModel(device.model);
    case 'watchdog':
      return device.model === 'i6300esb' ? 'conventional' : 'none';
    case 'input':
      return device.bus === 'virtio' ? 'port' : 'none';
    case 'video':
      return 'root';
    case 'hostdev':
      return 'port';
    case 'channel':
    case 'serial':
      return 'none';
    default:
      return device satisfies never;
  }
}

function byModel(model: string | undefined): Place {
  return model !== undefined && conventionalModels.includes(model) ? 'conventional' : 'port';
}
