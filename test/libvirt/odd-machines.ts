/** Machines that no launcher makes, but whose XML somebody may show us: devices and topologies in libvirt's own words. */

export interface OddMachine {
  readonly title: string;
  /** What stands in `<devices>`, without addresses where libvirt gives them. */
  readonly devices: string;
  readonly machine?: string;
  readonly features?: string;
  /** Of the NICs that are plugged. */
  readonly model?: string;
}

const none = "<controller type='usb' index='0' model='none'/><memballoon model='none'/>";
const random = "<backend model='random'>/dev/urandom</backend>";

function ports(last: number): string {
  return Array.from({ length: last }, (_, index) => pci(index + 1, 'pcie-root-port')).join('');
}

function pci(index: number, model: string, inside = ''): string {
  return `<controller type='pci' index='${index}' model='${model}'>${inside}</controller>`;
}

function at(bus: number, slot: number, number = 0, more = ''): string {
  return `<address type='pci' bus='${bus}' slot='${slot}' function='${number}'${more}/>`;
}

const multifunction = " multifunction='on'";

export const oddMachines: readonly OddMachine[] = [
  {
    title: 'root ports as functions of one slot, with holes',
    devices:
      pci(1, 'pcie-root-port', at(0, 2, 0, multifunction)) +
      pci(2, 'pcie-root-port', at(0, 2, 1)) +
      pci(3, 'pcie-root-port', at(0, 2, 7)) +
      none,
  },
  { title: 'forty root ports', devices: ports(40) + none },
  {
    title: 'a switch behind a switch',
    devices:
      ports(2) +
      pci(3, 'pcie-switch-upstream-port') +
      pci(4, 'pcie-switch-downstream-port') +
      pci(5, 'pcie-switch-upstream-port', at(4, 0)) +
      pci(6, 'pcie-switch-downstream-port', at(5, 0)) +
      pci(7, 'pcie-switch-downstream-port', at(5, 1)) +
      none,
  },
  {
    title: 'a downstream port of a switch without hot-plug',
    devices:
      ports(2) +
      pci(3, 'pcie-switch-upstream-port') +
      pci(4, 'pcie-switch-downstream-port', "<target hotplug='off'/>") +
      pci(5, 'pcie-switch-downstream-port') +
      none,
  },
  {
    title: 'a switch on an expander bus',
    devices:
      ports(2) +
      pci(3, 'pcie-expander-bus', "<target busNr='180'/>") +
      pci(4, 'pcie-root-port', at(3, 0)) +
      pci(5, 'pcie-switch-upstream-port', at(4, 0)) +
      pci(6, 'pcie-switch-downstream-port') +
      none,
  },
  {
    title: 'a NIC and an rng as functions behind one port',
    devices:
      ports(3) +
      `<interface type='user'><model type='virtio'/>${at(2, 0, 0, multifunction)}</interface>` +
      `<rng model='virtio'>${random}${at(2, 0, 3)}</rng>` +
      none,
  },
  {
    title: 'two NICs as functions of a slot of the root bus',
    devices:
      ports(3) +
      `<interface type='user'><model type='virtio'/>${at(0, 9, 0, multifunction)}</interface>` +
      `<interface type='user'><model type='virtio'/>${at(0, 9, 1)}</interface>` +
      none,
  },
  {
    title: 'a crypto device',
    devices: `${ports(5)}<crypto model='virtio' type='qemu'><backend model='builtin'/></crypto>${none}`,
  },
  {
    title: 'shared memory, which is conventional',
    devices: `${ports(5)}<shmem name='a'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>${none}`,
    model: 'e1000',
  },
  { title: 'a panic device on ISA', devices: `${ports(3)}<panic model='isa'/>${none}` },
  {
    title: 'a watchdog, which brings a bridge',
    devices: `${ports(5)}<watchdog model='i6300esb' action='reset'/>${none}`,
  },
  { title: 'the chipset sound and another', devices: `${ports(4)}<sound model='ich9'/><sound model='ich6'/>${none}` },
  {
    title: 'two video devices and graphics without an address',
    devices: `${ports(8)}<video><model type='vga'/></video><video><model type='virtio'/></video><graphics type='vnc' port='-1' autoport='yes'/>${none}`,
  },
  {
    title: 'USB 2 with companions, a hub and a tablet',
    devices:
      ports(5) +
      "<controller type='usb' index='0' model='ich9-ehci1'/>" +
      "<controller type='usb' index='0' model='ich9-uhci1'><master startport='0'/></controller>" +
      "<controller type='usb' index='0' model='ich9-uhci2'><master startport='2'/></controller>" +
      "<hub type='usb'/><input type='tablet' bus='usb'/><memballoon model='none'/>",
  },
  {
    title: 'two USB 3 controllers',
    devices: `${ports(5)}<controller type='usb' index='0' model='nec-xhci'/><controller type='usb' index='1' model='qemu-xhci'/><hub type='usb'/><memballoon model='none'/>`,
  },
  {
    title: 'SCSI controllers of three kinds',
    devices: `${ports(9)}<controller type='scsi' index='0' model='virtio-scsi'/><controller type='scsi' index='1' model='virtio-transitional'/><controller type='scsi' index='2' model='lsilogic'/>${none}`,
  },
  {
    title: 'a second SATA controller, in a bridge',
    devices: `${ports(5)}<controller type='sata' index='0'/><controller type='sata' index='1'/>${none}`,
    model: 'e1000',
  },
  { title: 'an Intel IOMMU', devices: `${ports(4)}<iommu model='intel'/>${none}`, features: "<ioapic driver='qemu'/>" },
  { title: 'a virtio IOMMU', devices: `${ports(4)}<iommu model='virtio'/>${none}` },
  {
    title: 'a folder of the host',
    devices: `${ports(6)}<filesystem type='mount'><source dir='/tmp'/><target dir='a'/></filesystem>${none}`,
  },
  {
    title: 'transitional devices, which are conventional',
    devices: `${ports(8)}<rng model='virtio-transitional'>${random}</rng><memballoon model='virtio-transitional'/><controller type='usb' index='0' model='none'/>`,
  },
  {
    title: 'i440fx with a bridge and an IDE drive',
    machine: 'pc',
    devices: `<controller type='usb' index='0' model='piix3-uhci'/>${pci(1, 'pci-bridge')}<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk><video><model type='cirrus'/></video>`,
  },
  {
    title: 'i440fx with an expander bus, which libvirt offers and QEMU refuses',
    machine: 'pc',
    devices: `${pci(1, 'pci-expander-bus', "<target busNr='200'/>")}${pci(2, 'pci-bridge')}${none}`,
  },
  { title: 'a machine without PCI', machine: 'microvm', devices: none },
];

/** What libvirt takes for a definition. */
export function oddXml(name: string, { devices, machine = 'q35', features = '' }: OddMachine): string {
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='${machine}'>hvm</type></os><features><acpi/>${features}</features>
    <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${devices}</devices></domain>`;
}
