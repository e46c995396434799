/** The live XML of a libvirt domain, as far as NICs and PCIe ports go. */

/** A PCI address as libvirt writes it; numbers, whatever their base in the XML. */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

export interface DomainNic {
  /** `<alias name>` without `ua-` (and `sriov-`): the network name; undefined for an alias that libvirt made. */
  readonly name?: string;
  readonly alias?: string;
  /** `type` of the interface element, or `hostdev` for an SR-IOV `<hostdev>`. */
  readonly type: string;
  readonly mac?: string;
  readonly target?: string;
  readonly model?: string;
  readonly mtu?: number;
  readonly linkState: 'up' | 'down';
  readonly address?: PciAddress;
}

export interface DomainController {
  readonly index: number;
  readonly model: string;
  /** `<target hotplug='off'>` */
  readonly hotplug: boolean;
  readonly address?: PciAddress;
}

/** A device that holds a PCI address, and where. */
export interface DomainDevice {
  /** Element name and what tells it apart: `interface ua-blue`, `controller scsi 0`, `disk vda`. */
  readonly label: string;
  readonly address: PciAddress;
}

export interface LiveDomain {
  readonly name: string;
  readonly machine?: string;
  readonly nics: readonly DomainNic[];
  readonly pciControllers: readonly DomainController[];
  /** Direct children of `<devices>` with a PCI address; controllers included. */
  readonly devices: readonly DomainDevice[];
}
