/** The live XML of a libvirt domain, as far as NICs and PCIe ports go. */
import { PatchpanelError } from '../errors.ts';
import { networkOfAlias, sriovAliasPrefix, userAliasPrefix } from './kubevirt-names.ts';
import { normaliseMac } from './mac.ts';
import { child, childAttribute, parseXml, type XmlElement } from './xml-tree.ts';

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
  /** Lower case with colons. */
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
interface DomainDevice {
  /** Element name and what tells it apart: `interface ua-blue`, `controller scsi 0`, `disk vda`. */
  readonly label: string;
  readonly address: PciAddress;
}

export interface LiveDomain {
  readonly name: string;
  /** Only a domain that runs has an id; the XML of one that is off is what it would start with. */
  readonly running: boolean;
  readonly machine?: string;
  readonly nics: readonly DomainNic[];
  readonly pciControllers: readonly DomainController[];
  /** Direct children of `<devices>` with a PCI address; controllers included. */
  readonly devices: readonly DomainDevice[];
}

/**
 * Reads what `virsh dumpxml` printed.
 * @throws PatchpanelError `libvirt/xml` for anything but the XML of a domain
 */
export function parseDomain(xml: string): LiveDomain {
  const parsed = parseXml(xml);
  if (!parsed.ok) throw new PatchpanelError('libvirt/xml', `The domain XML can not be read: ${parsed.error}`);
  const { root } = parsed;
  if (root.name !== 'domain') {
    throw new PatchpanelError('libvirt/xml', `The XML is that of <${root.name}>, not of a <domain>.`);
  }
  const machine = childAttribute(child(root, 'os') ?? root, 'type', 'machine');
  const devices = child(root, 'devices')?.children ?? [];
  return {
    name: child(root, 'name')?.text.trim() ?? '',
    running: root.attributes.id !== undefined,
    ...optional({ machine }),
    nics: devices.flatMap(readNic),
    pciControllers: devices.flatMap(readPciController),
    devices: devices.flatMap(readDevice),
  };
}

function readNic(element: XmlElement): DomainNic[] {
  const alias = childAttribute(element, 'alias', 'name');
  if (element.name === 'hostdev') {
    if (alias?.startsWith(`${userAliasPrefix}${sriovAliasPrefix}`) !== true) return [];
    const name = networkOfAlias(alias);
    return [{ ...optional({ name, alias, address: pciAddress(element) }), type: 'hostdev', linkState: 'up' }];
  }
  if (element.name !== 'interface') return [];
  const mac = childAttribute(element, 'mac', 'address');
  const mtu = decimal(childAttribute(element, 'mtu', 'size'));
  return [
    {
      ...optional({
        name: interfaceNetwork(alias, element.attributes.type),
        alias,
        mac: mac === undefined ? undefined : normaliseMac(mac),
        target: childAttribute(element, 'target', 'dev'),
        model: childAttribute(element, 'model', 'type'),
        mtu,
        address: pciAddress(element),
      }),
      type: element.attributes.type ?? '',
      linkState: childAttribute(element, 'link', 'state') === 'down' ? 'down' : 'up',
    },
  ];
}

/** Only a host device is SR-IOV: a bridge to a network named `sriov-x` has that as its whole name. */
function interfaceNetwork(alias: string | undefined, type: string | undefined): string | undefined {
  if (alias === undefined || !alias.startsWith(userAliasPrefix)) return undefined;
  return type === 'hostdev' ? networkOfAlias(alias) : alias.slice(userAliasPrefix.length);
}

function readPciController(element: XmlElement): DomainController[] {
  const index = decimal(element.attributes.index);
  if (element.name !== 'controller' || element.attributes.type !== 'pci' || index === undefined) return [];
  return [
    {
      index,
      model: element.attributes.model ?? '',
      hotplug: childAttribute(element, 'target', 'hotplug') !== 'off',
      ...optional({ address: pciAddress(element) }),
    },
  ];
}

function readDevice(element: XmlElement): DomainDevice[] {
  const address = pciAddress(element);
  return address === undefined ? [] : [{ label: deviceLabel(element), address }];
}

function deviceLabel(element: XmlElement): string {
  const { name, attributes } = element;
  const alias = childAttribute(element, 'alias', 'name');
  const target = childAttribute(element, 'target', 'dev');
  if (name === 'controller') {
    const kind = attributes.type === 'pci' ? (attributes.model ?? 'pci') : (attributes.type ?? '');
    return `controller ${kind} ${attributes.index ?? ''}`.trim();
  }
  const mark =
    name === 'disk' ? (target ?? alias) : (alias ?? target ?? childAttribute(element, 'mac', 'address') ?? '');
  return `${name} ${mark ?? ''}`.trim();
}

/**
 * The `<address>` that is a direct child. One inside `<source>` is an address of the host: taken for one of the guest it
 * would count a port of the guest as used.
 */
function pciAddress(element: XmlElement): PciAddress | undefined {
  const address = element.children.find((each) => each.name === 'address' && each.attributes.type === 'pci');
  if (address === undefined) return undefined;
  const { domain, bus, slot, function: fn } = address.attributes;
  return {
    domain: hexadecimal(domain),
    bus: hexadecimal(bus),
    slot: hexadecimal(slot),
    function: hexadecimal(fn),
  };
}

/** Addresses are hexadecimal with `0x`, while the index of a controller, the same number, is decimal. */
function hexadecimal(text: string | undefined): number {
  return /^(?:0x)?[0-9a-f]{1,8}$/i.test(text ?? '') ? Number.parseInt(text ?? '', 16) : 0;
}

function decimal(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

/** A model as it is declared: `virtio` has variants in a domain, of which KubeVirt's default is one. */
export function plainModel(model: string): string {
  return model.replace(/^virtio-(?:non-)?transitional$/, 'virtio');
}

/** Leaves undefined keys out, as exact optional properties want it. */
function optional<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = { ...(values as object) };
  for (const key of Object.keys(kept) as (keyof T)[]) {
    if (kept[key] === undefined) delete kept[key];
  }
  return kept;
}
