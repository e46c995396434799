/**
 * How many PCIe root ports KubeVirt gives a domain when it is first defined, and so a forecast of how many NICs can
 * still be plugged. Live domain XML is the truth; this serves where it can't be read, and before a restart.
 *
 * Rests on KubeVirt v1.9.0's launcher and its documented PCI topology versions:
 * v1 (launchers up to v1.5): free slots up to four NICs, held by placeholder NICs that take buses right after the NICs.
 * v2 (v1.6.0-1.6.3, v1.7.0-1.7.1): more slots by memory, all held by placeholders, which moved the disks behind them.
 * v3 (v1.6.4, v1.7.2, v1.8 and later): placeholders as v1, the rest appended as ports behind all devices.
 * libvirt adds one spare port by itself when it places the devices.
 */

/** What the count depends on, of a VM template or VMI spec. */
export interface PortFacts {
  readonly memoryBytes?: number;
  readonly machineType?: string;
  readonly architecture?: string;
  /** Disks on the virtio bus, each a PCIe device. */
  readonly virtioDisks: number;
  /** Those of the virtio disks that are plugged into a running VM: at its start they may not be there yet. */
  readonly hotDisks?: number;
  readonly hostDevices: number;
  readonly gpus: number;
  readonly virtioInputs: number;
  /** Something sits on USB, such as the tablet of a Windows VM, so its controller is a PCIe device. */
  readonly usb?: true;
  readonly watchdog: boolean;
  readonly rng: boolean;
  /** `autoattachMemBalloon`; true where unset. */
  readonly balloon: boolean;
  /** Without it the domain has a SCSI controller, which takes a port. */
  readonly disableHotplug: boolean;
  readonly rootComplexAnnotation: boolean;
  readonly topologyVersion?: string;
  /** Value of the slot-count annotation. */
  readonly slotCount?: string;
  /** `domain.devices.numberPciPorts`, of a KubeVirt that has the field. */
  readonly declaredPorts?: number;
  /** Root ports that a hook sidecar of ours gives the domain. */
  readonly hookPorts?: number;
}

/** Whether two ask for the same number of ports, by whatever knob. */
export function samePortKnobs(one: PortFacts, other: PortFacts): boolean {
  return (
    one.slotCount === other.slotCount && one.declaredPorts === other.declaredPorts && one.hookPorts === other.hookPorts
  );
}

/** How a launcher spreads the ports it reserves. */
export type PortScheme = 'v1' | 'v2' | 'v3';

/** Memory above this many bytes gets the larger default. */
const smallMemoryBytes = 2_147_483_648;
/** Highest index of a PCI controller that KubeVirt appends. */
const lastControllerIndex = 31;
const minimumNicSlots = 4;

/** Ports that a domain is defined with, by what they are for. */
export interface PortLayout {
  /** Held free by placeholder NICs, right behind the boot NICs. */
  readonly placeholders: number;
  /** Appended behind all devices; before the limit of controller indexes. */
  readonly extra: number;
  /** libvirt's own; 0 where the machine takes none. */
  readonly spare: number;
  /** What KubeVirt counts as in use at boot, NICs included. */
  readonly inUse: number;
}

const noPorts: PortLayout = { placeholders: 0, extra: 0, spare: 0, inUse: 0 };

/** Whether KubeVirt reserves ports for this architecture and machine type. */
export function supportsPcieHotplug(facts: Pick<PortFacts, 'architecture' | 'machineType'>): boolean {
  const architecture = facts.architecture ?? '';
  if (architecture !== '' && architecture !== 'amd64' && architecture !== 'arm64') return false;
  const machine = facts.machineType;
  return machine === undefined || machine.includes('q35') || machine.startsWith('virt');
}

/**
 * The slot-count annotation as a number; undefined where it is missing.
 * Go's Atoi reads it: an optional sign and decimal digits, nothing else. `invalid` keeps the domain from starting.
 */
export function parseSlotCount(value: string | undefined): number | 'invalid' | undefined {
  if (value === undefined) return undefined;
  return /^[+-]?\d+$/.test(value) ? Number(value) : 'invalid';
}

/**
 * The ports of a domain at its definition with `nics` entries in the VMI spec (SR-IOV and absent ones count too).
 * An invalid slot count counts as none: such a VM does not start.
 */
export function portLayout(facts: PortFacts, nics: number, scheme: PortScheme = 'v3'): PortLayout {
  if (!supportsPcieHotplug(facts)) return noPorts;
  const inUse = nics + otherDevices(facts);
  if (facts.rootComplexAnnotation) return { ...noPorts, inUse };
  const large = (facts.memoryBytes ?? 0) > smallMemoryBytes;
  const wanted = large ? Math.max(16 - inUse, 6) : Math.max(8 - inUse, 3);
  const slots = parseSlotCount(facts.slotCount);
  const fromMinimum = nics === 0 ? 0 : Math.max(0, minimumNicSlots - nics);
  // Launchers of the first two schemes do not read the annotation.
  if (scheme === 'v1') return { placeholders: fromMinimum, extra: 0, spare: 1, inUse };
  if (scheme === 'v2') return { placeholders: wanted, extra: 0, spare: 1, inUse };
  const placeholders = typeof slots === 'number' ? Math.max(0, slots - nics) : fromMinimum;
  // On v3 the ports behind boot devices, the placeholders and the spare are there before any is appended.
  const before = inUse - busZeroDevices(facts) + placeholders + 1;
  const extra = Math.min(Math.max(0, wanted - placeholders), Math.max(0, lastControllerIndex - before));
  return { placeholders, extra, spare: 1, inUse };
}

/** The USB controller, which KubeVirt counts even where it is none and so has no address. */
function busZeroDevices({ usb }: PortFacts): number {
  return usb === true ? 0 : 1;
}

/** Devices besides NICs that KubeVirt counts before libvirt placed anything. */
function otherDevices(facts: PortFacts): number {
  const controllers = 1 + 1 + (facts.disableHotplug ? 0 : 1); // usb, virtio-serial, scsi
  return (
    controllers +
    facts.virtioDisks +
    facts.virtioInputs +
    facts.hostDevices +
    facts.gpus +
    (facts.watchdog ? 1 : 0) +
    (facts.rng ? 1 : 0) +
    (facts.balloon ? 1 : 0)
  );
}

/**
 * The schemes that a launcher of this version may follow; all of them where the version is unknown. The version may
 * stand in an image reference, as in `launcherContainerImageVersion`.
 */
export function portSchemes(launcherVersion?: string): readonly PortScheme[] {
  const version = versionOf(launcherVersion);
  if (version === undefined) return ['v1', 'v2', 'v3'];
  const [major, minor, patch] = version;
  if (major !== 1) return major < 1 ? ['v1'] : ['v3'];
  if (minor <= 5) return ['v1'];
  if (minor === 6) return [patch <= 3 ? 'v2' : 'v3'];
  if (minor === 7) return [patch <= 1 ? 'v2' : 'v3'];
  return ['v3'];
}

/**
 * The schemes by which the ports of a running instance may have been given. A migration keeps them, so the launcher that
 * gave them may be older than the one that runs. The topology annotation, which is set when an instance is made, tells
 * that it was not.
 */
export function birthSchemes(facts: PortFacts, running: Launched): readonly PortScheme[] {
  const now = portSchemes(running.launcherVersion);
  if (running.hasMigrated !== true || facts.topologyVersion !== undefined) return now;
  const all = portSchemes();
  return all.slice(0, all.findLastIndex((scheme) => now.includes(scheme)) + 1);
}

/** What is known of the launcher of a running instance. */
export interface Launched {
  readonly launcherVersion?: string;
  readonly hasMigrated?: boolean;
}

/** Whether KubeVirt of this version runs a script of a ConfigMap in a sidecar image of its own choice. */
export function runsHookScripts(kubevirtVersion?: string): boolean {
  const [major, minor] = versionOf(kubevirtVersion) ?? [0, 0];
  return major > 1 || (major === 1 && minor >= 3);
}

function versionOf(text: string | undefined): readonly [major: number, minor: number, patch: number] | undefined {
  const found = text
    ?.match(/v?(\d+)\.(\d+)\.(\d+)/g)
    ?.at(-1)
    ?.match(/(\d+)\.(\d+)\.(\d+)/);
  return found ? (found.slice(1).map(Number) as [number, number, number]) : undefined;
}

/** A forecast: `expected` where one launcher version is known, and the bounds within which the truth lies. */
export interface PortForecast {
  readonly min: number;
  readonly max: number;
  /** libvirt's spare port counted, the newest scheme that is possible, the fewest NICs at boot. */
  readonly expected: number;
}

/**
 * Ports still free for NICs in a domain that has `nics` of them now.
 *
 * The count was fixed when the VM started, with the NICs of that moment: give `bootNics` if they are known. Otherwise
 * one up to all of the present ones may have been there, and the bounds say so. So they do of disks that are plugged
 * into running VMs: each takes a port, and may have been counted at the start. For host devices that were plugged later,
 * `min` assumes no more than that libvirt's spare is gone.
 */
export function forecastFreePorts(
  facts: PortFacts,
  running: Launched & { readonly nics: number; readonly bootNics?: number },
): PortForecast {
  const boots = running.bootNics === undefined ? range(Math.min(1, running.nics), running.nics) : [running.bootNics];
  const schemes = birthSchemes(facts, running);
  const starts = bootDisks(facts);
  const counts = schemes.flatMap((scheme) =>
    boots.flatMap((boot) => starts.map((start) => freeAfter(start, boot, running.nics, scheme))),
  );
  const scheme = schemes.at(-1) ?? 'v3';
  return {
    min: Math.max(0, Math.min(...counts.map(({ free, spare }) => free - spare))),
    max: Math.max(0, ...counts.map(({ free }) => free)),
    expected: Math.max(0, freeAfter(starts[0] ?? facts, boots[0] ?? 0, running.nics, scheme).free),
  };
}

/** The hardware at a start: with disks yet to be plugged, which are in `hotDisks` then, and with all of them there. */
function bootDisks(facts: PortFacts): readonly PortFacts[] {
  const { hotDisks = 0, ...known } = facts;
  const later = { ...facts, virtioDisks: facts.virtioDisks - hotDisks };
  return hotDisks === 0 ? [known] : [later, known];
}

function freeAfter(
  facts: PortFacts,
  bootNics: number,
  nics: number,
  scheme: PortScheme,
): { readonly free: number; readonly spare: number } {
  const layout = portLayout(facts, bootNics, scheme);
  const { placeholders, extra, spare } = layout;
  const later = nics - bootNics + (facts.hotDisks ?? 0);
  if (!hasRootPorts(facts)) return { free: -later, spare };
  const own = totalOf(facts, layout, 0);
  const free = placeholders + extra + spare + withKnobs(facts, own) - own - later;
  return { free, spare: facts.hookPorts === undefined ? spare : 0 };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** NICs at boot, by how many of them KubeVirt counts and where they sit. */
export interface BootNics {
  /** All entries of the VMI spec. */
  readonly count: number;
  /** Those that sit behind a bridge for conventional PCI, which takes one port for them all. */
  readonly conventional: number;
}

/** PCIe root ports that a fresh start gives in all, at least: taken by boot devices, or free. */
export function rootPortsAtBoot(facts: PortFacts, nics: number | BootNics, scheme: PortScheme = 'v3'): number {
  if (!hasRootPorts(facts)) return 0;
  const { count, conventional } = typeof nics === 'number' ? { count: nics, conventional: 0 } : nics;
  const totals = bootDisks(facts).map((start) => totalOf(start, portLayout(start, count, scheme), conventional));
  return withKnobs(facts, Math.min(...totals));
}

function hasRootPorts(facts: PortFacts): boolean {
  return supportsPcieHotplug(facts) && !facts.rootComplexAnnotation;
}

/** What KubeVirt and libvirt give of their own accord. */
function totalOf(facts: PortFacts, layout: PortLayout, conventionalNics: number): number {
  const { placeholders, extra, spare, inUse } = layout;
  return inUse - offPorts(facts, conventionalNics) + placeholders + extra + spare;
}

/** What the field or a hook makes of it. Where a hook lists the ports, libvirt adds no spare. */
function withKnobs({ declaredPorts = 0, hookPorts }: PortFacts, ports: number): number {
  return hookPorts === undefined ? Math.max(ports, declaredPorts) : Math.max(ports - 1, hookPorts);
}

/** Devices that KubeVirt counts and that take no root port of their own. */
function offPorts(facts: PortFacts, conventionalNics: number): number {
  const behindBridge = conventionalNics + (facts.watchdog ? 1 : 0);
  return busZeroDevices(facts) + Math.max(0, behindBridge - 1);
}

/**
 * The slot count that gives a VM at least `ports` root ports in all at its next start, the smallest that does. Undefined
 * where it gets as many as it is, and where no count can (another machine type, everything on the root complex).
 */
export function slotCountFor(facts: PortFacts, nics: number | BootNics, ports: number): number | undefined {
  if (!hasRootPorts(facts)) return undefined;
  if (rootPortsAtBoot(facts, nics) >= ports) return undefined;
  const first = typeof nics === 'number' ? nics : nics.count;
  // Each slot more gives a port more, or takes the place of one that would have been appended.
  return range(first, first + ports).find(
    (slots) => rootPortsAtBoot({ ...facts, slotCount: String(slots) }, nics) >= ports,
  );
}
