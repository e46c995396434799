/**
 * How libvirt gives PCI addresses on a q35 machine, as measured on libvirt 9.0: root ports are packed eight to a slot
 * of the root bus, boot devices take the lowest port in a fixed order of kinds, missing ports are added, and where
 * libvirt adds all the ports itself it keeps one spare.
 */
import {
  type Address,
  type AddressedDevice,
  type Controller,
  type Device,
  type PciController,
  type Place,
  placeOf,
} from './libvirt-devices.ts';

/** Slot of the chipset's LPC bridge and SATA controller. */
const chipsetSlot = 0x1f;
const lastBridgeSlot = 0x1f;
const functionsPerSlot = 8;

/** Models that offer one PCIe slot to what is plugged. */
export const portModels: readonly string[] = ['pcie-root-port', 'pcie-switch-downstream-port'];
/** Models that offer conventional slots 1 to 31; those of a DMI bridge can't be plugged into. */
export const conventionalBridges: readonly string[] = ['pcie-to-pci-bridge', 'pci-bridge'];

function isPort(device: Device): device is PciController {
  return device.kind === 'pci' && portModels.includes(device.model);
}

function isConventionalBridge(device: Device): device is PciController {
  return device.kind === 'pci' && conventionalBridges.includes(device.model);
}

/** Buses that hold a device, by direct address. */
function usedBuses(devices: readonly Device[]): ReadonlySet<number> {
  return new Set(devices.flatMap((device) => ('address' in device && device.address ? [device.address.bus] : [])));
}

/** Free hot-pluggable PCIe ports, lowest first: the bus numbers behind them. */
export function freePorts(devices: readonly Device[]): readonly number[] {
  const used = usedBuses(devices);
  return devices
    .filter(isPort)
    .filter((port) => port.hotplug !== false && !used.has(port.index))
    .map((port) => port.index)
    .toSorted((a, b) => a - b);
}

/** Free conventional slots, lowest bus and slot first. */
export function freeConventionalSlots(devices: readonly Device[]): readonly Address[] {
  const taken = new Set(addresses(devices).map(({ bus, slot }) => `${bus}.${slot}`));
  return devices
    .filter(isConventionalBridge)
    .toSorted((a, b) => a.index - b.index)
    .flatMap(({ index: bus }) => slots(1, lastBridgeSlot).map((slot) => ({ bus, slot, function: 0 })))
    .filter(({ bus, slot }) => !taken.has(`${bus}.${slot}`));
}

function addresses(devices: readonly Device[]): readonly Address[] {
  return devices.flatMap((device) => ('address' in device && device.address ? [device.address] : []));
}

function slots(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Order in which libvirt places kinds of devices, PCI controllers aside. */
const placementOrder = [
  'interface',
  'controller',
  'disk',
  'hostdev',
  'memballoon',
  'rng',
  'video',
  'input',
  'watchdog',
];

/**
 * Addresses for all devices of a new domain, with the controllers that libvirt adds. The order of the given devices is
 * kept; what is added comes behind the last device of its kind.
 */
export function placeDevices(given: readonly Device[]): readonly Device[] {
  const placed = new Placement(given).place();
  const listed = new Set(given.flatMap((device) => (device.kind === 'pci' ? [device.index] : [])));
  const isAdded = (device: Device): boolean => device.kind === 'pci' && !listed.has(device.index);
  if (!placed.some((device) => isAdded(device) && isConventionalBridge(device))) return placed;
  // libvirt first finds out which controllers are missing, then gives out addresses anew, controllers first. A bridge that
  // was added so comes before all devices.
  const openNow = given.values();
  return new Placement(
    placed.map((device) => (isAdded(device) || isAddedSata(device, given) ? withoutAddress(device) : next(openNow))),
  ).place();
}

function isAddedSata(device: Device, given: readonly Device[]): boolean {
  const isSata = (each: Device): boolean => each.kind === 'controller' && each.type === 'sata';
  return isSata(device) && !given.some(isSata);
}

function withoutAddress(device: Device): Device {
  if (!('address' in device)) return device;
  const { address: _, ...rest } = device;
  return rest;
}

function next(devices: Iterator<Device>): Device {
  const { done, value } = devices.next();
  if (done === true) throw new Error('a device was added that is no controller');
  return value;
}

class Placement {
  readonly #devices: Device[];
  /** Whether ports were listed by hand; libvirt keeps a spare only where none was. */
  readonly #byHand: boolean;
  /** Indexes of the ports that fill gaps: they can be used at once, but get their own addresses last. */
  readonly #fillers = new Set<number>();

  constructor(given: readonly Device[]) {
    this.#devices = [...given];
    this.#byHand = given.some((device) => device.kind === 'pci' && device.model !== 'pcie-root');
  }

  place(): readonly Device[] {
    this.#addImplicit();
    this.#addRoot();
    this.#fillGaps();
    this.#placeRootDevices();
    this.#placePciControllers();
    const added = this.#placeRest();
    if (added && !this.#byHand) this.#addPort();
    return this.#devices;
  }

  #addRoot(): void {
    if (!this.#devices.some((device) => device.kind === 'pci' && device.index === 0))
      this.#insert({ kind: 'pci', index: 0, model: 'pcie-root' });
  }

  /** A missing index below the highest becomes a root port. */
  #fillGaps(): void {
    const present = new Set(this.#devices.flatMap((device) => (device.kind === 'pci' ? [device.index] : [])));
    for (const index of slots(1, Math.max(0, ...present))) {
      if (present.has(index)) continue;
      this.#fillers.add(index);
      this.#insert({ kind: 'pci', index, model: 'pcie-root-port' });
    }
  }

  /** Every q35 machine has a SATA controller at 00:1f.2. */
  #addImplicit(): void {
    if (this.#devices.some((device) => device.kind === 'controller' && device.type === 'sata')) return;
    const sata: Controller = { kind: 'controller', type: 'sata', index: 0 };
    const last = this.#devices.findLastIndex((device) => device.kind === 'controller' || device.kind === 'pci');
    this.#devices.splice(last + 1, 0, sata);
  }

  #placeRootDevices(): void {
    this.#replace((device) => {
      if (device.kind === 'controller' && device.type === 'sata')
        return { ...device, address: { bus: 0, slot: chipsetSlot, function: 2 } };
      if (device.kind === 'video' && !device.address) return { ...device, address: { bus: 0, slot: 1, function: 0 } };
      return device;
    });
  }

  #placePciControllers(): void {
    const open = this.#devices
      .filter((device) => device.kind === 'pci' && !device.address && device.model !== 'pcie-root')
      .flatMap((device) => (device.kind === 'pci' ? [device] : []))
      .toSorted((a, b) => Number(this.#fillers.has(a.index)) - Number(this.#fillers.has(b.index)) || a.index - b.index);
    for (const controller of open) {
      const address = this.#controllerAddress(controller);
      this.#replace((device) => (device === controller ? { ...controller, address } : device));
    }
  }

  #controllerAddress(controller: PciController): Address {
    switch (controller.model) {
      case 'pcie-root':
      case 'pcie-root-port':
        return this.#nextRootPortAddress();
      case 'pcie-expander-bus':
      case 'dmi-to-pci-bridge':
        return { bus: 0, slot: controller.model === 'dmi-to-pci-bridge' ? 0x1e : this.#freeRootSlot(), function: 0 };
      case 'pcie-switch-downstream-port':
        return this.#nextOnUpstreamPort(controller);
      case 'pci-bridge':
        return this.#nextInBridge();
      case 'pcie-switch-upstream-port':
      case 'pcie-to-pci-bridge':
        return { bus: this.#takePort(), slot: 0, function: 0 };
      default:
        return controller.model satisfies never;
    }
  }

  /** Packed: the next function of a slot that holds root ports alone, else the next free slot. */
  #nextRootPortAddress(): Address {
    const onRoot = this.#devices.filter((device) => 'address' in device && device.address?.bus === 0);
    for (const slot of slots(1, chipsetSlot - 1)) {
      const here = onRoot.filter((device) => 'address' in device && device.address?.slot === slot);
      if (here.length === 0) return { bus: 0, slot, function: 0 };
      if (!here.every((device) => device.kind === 'pci' && device.model === 'pcie-root-port')) continue;
      const taken = new Set(addresses(here).map((address) => address.function));
      const free = slots(0, functionsPerSlot - 1).find((number) => !taken.has(number));
      if (free !== undefined) return { bus: 0, slot, function: free };
    }
    throw new Error('no slot left on the root bus');
  }

  #freeRootSlot(): number {
    const taken = new Set(addresses(this.#devices).flatMap(({ bus, slot }) => (bus === 0 ? [slot] : [])));
    const slot = slots(1, chipsetSlot - 1).find((number) => !taken.has(number));
    if (slot === undefined) throw new Error('no slot left on the root bus');
    return slot;
  }

  #nextOnUpstreamPort(controller: PciController): Address {
    const upstream = this.#devices.findLast(
      (device) =>
        device.kind === 'pci' && device.model === 'pcie-switch-upstream-port' && device.index < controller.index,
    );
    const bus = upstream?.kind === 'pci' ? upstream.index : 0;
    const taken = new Set(addresses(this.#devices).flatMap((address) => (address.bus === bus ? [address.slot] : [])));
    return { bus, slot: slots(0, 31).find((slot) => !taken.has(slot)) ?? 0, function: 0 };
  }

  #nextInBridge(): Address {
    const bridge = this.#devices.find(
      (device) => device.kind === 'pci' && ['dmi-to-pci-bridge', 'pcie-to-pci-bridge'].includes(device.model),
    );
    const bus = bridge?.kind === 'pci' ? bridge.index : 0;
    const taken = new Set(addresses(this.#devices).flatMap((address) => (address.bus === bus ? [address.slot] : [])));
    // Slot 0 of a DMI bridge can be used, unlike that of the others.
    const first = bridge?.kind === 'pci' && bridge.model === 'dmi-to-pci-bridge' ? 0 : 1;
    return { bus, slot: slots(first, lastBridgeSlot).find((slot) => !taken.has(slot)) ?? first, function: 0 };
  }

  /** Returns whether any device needed a port. */
  #placeRest(): boolean {
    let needed = false;
    const open = this.#devices
      .flatMap((device) => (isPlaceable(device) && device.address === undefined ? [device] : []))
      .toSorted((a, b) => placementOrder.indexOf(a.kind) - placementOrder.indexOf(b.kind));
    for (const device of open) {
      const place: Place = placeOf(device);
      if (place !== 'port' && place !== 'conventional') continue;
      needed = true;
      const address = place === 'port' ? { bus: this.#takePort(), slot: 0, function: 0 } : this.#takeConventionalSlot();
      this.#replace((other) => (other === device ? { ...device, address } : other));
    }
    return needed;
  }

  /** The lowest free port, hot-pluggable or not; one is added where none is left. */
  #takePort(): number {
    const used = usedBuses(this.#devices);
    const free = this.#devices
      .filter(isPort)
      .filter((port) => (port.address !== undefined || this.#fillers.has(port.index)) && !used.has(port.index))
      .map((port) => port.index);
    return free.length > 0 ? Math.min(...free) : this.#addPort();
  }

  #takeConventionalSlot(): Address {
    const [free] = freeConventionalSlots(this.#devices);
    if (free) return free;
    // It comes with a port of its own, even where others are free.
    const bus = this.#addPort();
    const index = this.#nextIndex();
    this.#insert({ kind: 'pci', index, model: 'pcie-to-pci-bridge', address: { bus, slot: 0, function: 0 } });
    return { bus: index, slot: 1, function: 0 };
  }

  #addPort(): number {
    const index = this.#nextIndex();
    this.#insert({ kind: 'pci', index, model: 'pcie-root-port', address: this.#nextRootPortAddress() });
    return index;
  }

  #nextIndex(): number {
    return 1 + Math.max(0, ...this.#devices.flatMap((device) => (device.kind === 'pci' ? [device.index] : [])));
  }

  /** Keeps PCI controllers together, in order of their index, where the first of them stands. */
  #insert(controller: PciController): void {
    const before = this.#devices.findLastIndex((device) => device.kind === 'pci' && device.index < controller.index);
    const first = this.#devices.findIndex((device) => device.kind === 'pci');
    const lastController = this.#devices.findLastIndex((device) => device.kind === 'controller');
    const at = before >= 0 ? before + 1 : first >= 0 ? first : lastController + 1;
    this.#devices.splice(at, 0, controller);
  }

  #replace(change: (device: Device) => Device): void {
    for (const [index, device] of this.#devices.entries()) this.#devices[index] = change(device);
  }
}

function isPlaceable(device: Device): device is Exclude<AddressedDevice, PciController> {
  return device.kind !== 'channel' && device.kind !== 'serial' && device.kind !== 'pci';
}
