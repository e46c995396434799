/**
 * Which PCI ports of a domain a NIC can be plugged into, from live XML alone. Checked against real libvirt by attaching
 * NICs until it refused: what it took is what this counts as free.
 */
import type { DomainController, LiveDomain, PciAddress } from './libvirt-domain.ts';

/** PCIe devices sit alone behind a root port, conventional PCI devices share a bridge. The two never compete. */
export type PortPool = 'pcie' | 'conventional';

export interface Port {
  /** PCIe pool: index of the controller, which is the bus of the device behind it. Conventional pool: the slot. */
  readonly index: number;
  /** Conventional pool only: index of the bridge that has the slot. */
  readonly bus?: number;
  /** `not-hotpluggable`: a root port with `<target hotplug='off'/>`, whether something sits behind it or not. */
  readonly state: 'free' | 'used' | 'not-hotpluggable';
  /** What holds the port; several functions are joined with commas. */
  readonly device?: string;
}

export interface PortCount {
  /** By bus and index: libvirt takes the first that is free. */
  readonly ports: readonly Port[];
  readonly free: number;
  /** Where the NIC really goes: a machine without PCIe has one pool for all models. */
  readonly pool: PortPool | 'none';
}

/** NIC models by what they plug into on a machine with PCIe; libvirt decides by model, not by what is free. */
const poolOfModel: ReadonlyMap<string, PortPool> = new Map([
  ['virtio', 'pcie'],
  ['virtio-non-transitional', 'pcie'],
  ['e1000e', 'pcie'],
  ['igb', 'pcie'],
  ['virtio-transitional', 'conventional'],
  ['e1000', 'conventional'],
  ['rtl8139', 'conventional'],
  ['ne2k_pci', 'conventional'],
  ['pcnet', 'conventional'],
]);

/** All models whose pool is known. */
export const portModels: readonly string[] = [...poolOfModel.keys()];

/** The pool of a NIC model; PCIe for one that is not known, as for virtio. */
export function portPool(model: string): PortPool {
  return poolOfModel.get(model) ?? 'pcie';
}

/** Controllers that offer one port each: the slot behind it takes one device and can be plugged. */
const portControllers = new Set(['pcie-root-port', 'pcie-switch-downstream-port']);
/** Controllers whose slots libvirt offers to conventional devices at run time; slot 0 is unusable on each. */
const bridges = new Set(['pcie-to-pci-bridge', 'pci-bridge', 'pci-root']);
const lastSlot = 0x1f;

/**
 * Counts the ports that a NIC could take.
 * @param pool of the NIC's model, see {@link portPool}; a domain without PCIe has only the conventional one
 */
export function countPorts(domain: LiveDomain | undefined, pool: PortPool = 'pcie'): PortCount {
  const controllers = domain?.pciControllers ?? [];
  if (domain === undefined || controllers.length === 0) return { ports: [], free: 0, pool: 'none' };
  const hasPcie = controllers.some(({ model }) => model === 'pcie-root' || portControllers.has(model));
  const actual = hasPcie ? pool : 'conventional';
  const ports = actual === 'pcie' ? rootPorts(domain) : bridgeSlots(domain);
  return { ports, free: ports.filter(({ state }) => state === 'free').length, pool: actual };
}

/** The address that libvirt will give the next NIC of this pool; undefined where none is left. */
export function nextPort(domain: LiveDomain | undefined, pool: PortPool = 'pcie'): PciAddress | undefined {
  const port = countPorts(domain, pool).ports.find(({ state }) => state === 'free');
  if (port === undefined) return undefined;
  const [bus, slot] = port.bus === undefined ? [port.index, 0] : [port.bus, port.index];
  return { domain: 0, bus, slot, function: 0 };
}

function byIndex(one: DomainController, other: DomainController): number {
  return one.index - other.index;
}

function rootPorts(domain: LiveDomain): readonly Port[] {
  return domain.pciControllers
    .filter(({ model }) => portControllers.has(model))
    .toSorted(byIndex)
    .map(({ index, hotplug }) => {
      const device = devicesAt(domain, index);
      const state = hotplug ? (device === undefined ? 'free' : 'used') : 'not-hotpluggable';
      return { index, state, ...(device === undefined ? {} : { device }) };
    });
}

function bridgeSlots(domain: LiveDomain): readonly Port[] {
  const controllers = domain.pciControllers.toSorted(byIndex);
  // libvirt goes by index, takes an expander bus for as good as a bridge, and QEMU then refuses to plug into that.
  const end = controllers.findIndex(({ model }) => model === 'pci-expander-bus');
  return controllers
    .slice(0, end < 0 ? undefined : end)
    .filter(({ model }) => bridges.has(model))
    .flatMap((bridge) =>
      Array.from({ length: lastSlot }, (_, at): Port => {
        const index = at + 1;
        const device = devicesAt(domain, bridge.index, index) ?? builtIn(domain, bridge, index);
        const where = { index, bus: bridge.index };
        return device === undefined ? { ...where, state: 'free' } : { ...where, state: 'used', device };
      }),
    );
}

/** The i440fx chipset holds slot 1 of its root bus, whatever the XML lists there. */
function builtIn(domain: LiveDomain, bridge: DomainController, slot: number): string | undefined {
  const i440fx = /^pc(?:-i440fx.*|-[0-9].*)?$/.test(domain.machine ?? '');
  return bridge.model === 'pci-root' && i440fx && slot === 1 ? 'PIIX3 (chipset)' : undefined;
}

function devicesAt(domain: LiveDomain, bus: number, slot?: number): string | undefined {
  const devices = domain.devices.filter(({ address }) => {
    return address.bus === bus && (slot === undefined || address.slot === slot);
  });
  return devices.length === 0 ? undefined : devices.map(({ label }) => label).join(', ');
}
