/**
 * Where the devices of a KubeVirt domain sit on the PCI bus once it is started anew. Their addresses are given out then
 * and kept until the next start, so a start with other NICs, or another number of ports, moves the devices behind them.
 *
 * Rests on the order in which libvirt 9 places kinds of devices on q35 and KubeVirt v1.9 lists them: NICs, placeholders,
 * USB, SCSI and serial controllers, virtio disks, host devices, balloon, rng, inputs, the spare port, appended ports.
 */

import { type BootNics, type PortFacts, type PortScheme, portLayout, supportsPcieHotplug } from './kubevirt-ports.ts';
import type { LiveDomain } from './libvirt-domain.ts';
import { portPool } from './libvirt-ports.ts';

/** A NIC as far as its place on the bus depends on it. */
export interface BootNic {
  readonly name: string;
  readonly sriov: boolean;
  readonly model?: string;
}

/** Bus of each device by a key that tells it in any start of the VM: `nic blue`, `disk 0` for vda, `scsi`. */
export type BusLayout = ReadonlyMap<string, number>;

/** The devices of a fresh start and their buses; undefined where they sit on no PCIe root ports. */
export function bootBuses(
  facts: PortFacts,
  nics: readonly BootNic[],
  scheme: PortScheme = 'v3',
): BusLayout | undefined {
  if (!supportsPcieHotplug(facts) || facts.rootComplexAnnotation) return undefined;
  const { placeholders } = portLayout(facts, nics.length, scheme);
  // In the order in which libvirt gives out addresses; undefined: behind the bridge for conventional PCI.
  const devices: readonly (string | undefined)[] = [
    ...nics.filter(({ sriov }) => !sriov).map((nic) => (isConventional(nic) ? undefined : `nic ${nic.name}`)),
    ...numbered('placeholder', placeholders),
    ...(facts.usb === true ? ['usb'] : []),
    ...(facts.disableHotplug ? [] : ['scsi']),
    'virtio-serial',
    ...numbered('disk', facts.virtioDisks),
    ...numbered('hostdev', facts.hostDevices + facts.gpus),
    ...nics.filter(({ sriov }) => sriov).map(({ name }) => `nic ${name}`),
    ...(facts.balloon ? ['memballoon'] : []),
    ...(facts.rng ? ['rng'] : []),
    ...numbered('input', facts.virtioInputs),
    ...(facts.watchdog ? [undefined] : []),
  ];
  const onPorts = devices.filter((device) => device !== undefined);
  const first = devices.indexOf(undefined);
  if (first < 0) return new Map(onPorts.map((key, index) => [key, index + 1]));
  // libvirt finds out that a bridge is needed at the first such device, numbers it right behind a port for it, and then
  // places everything anew, the bridge before all devices. Ports that a hook lists have their numbers already.
  const bridge = Math.max(first + 2, (facts.hookPorts ?? 0) + 1);
  return new Map(['bridge', ...onPorts].map((key, index) => [key, index + 1 < bridge ? index + 1 : index + 2]));
}

function isConventional({ model, sriov }: BootNic): boolean {
  return !sriov && portPool(model ?? 'virtio') === 'conventional';
}

/** NICs as the count of ports takes them. */
export function bootNics(nics: readonly BootNic[]): BootNics {
  return { count: nics.length, conventional: nics.filter(isConventional).length };
}

function numbered(kind: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${kind} ${index}`);
}

/** The devices of a live domain by the same keys; what sits on the root bus, or has no key, is left out. */
export function liveBuses(domain: LiveDomain): BusLayout {
  const ports = new Set(
    domain.pciControllers.filter(({ model }) => model === 'pcie-root-port').map(({ index }) => index),
  );
  const counts = new Map<string, number>();
  const found = new Map<string, number>();
  for (const { label, address } of domain.devices.toSorted((a, b) => a.address.bus - b.address.bus)) {
    if (!ports.has(address.bus)) continue;
    const kind = keyOf(label);
    if (kind === undefined) continue;
    if (kind !== 'hostdev' && kind !== 'input') found.set(kind, address.bus);
    else {
      const number = counts.get(kind) ?? 0;
      counts.set(kind, number + 1);
      found.set(`${kind} ${number}`, address.bus);
    }
  }
  return found;
}

function keyOf(label: string): string | undefined {
  const nic = /^(?:interface|hostdev) ua-(?:sriov-)?(.+)$/.exec(label)?.[1];
  if (label.startsWith('interface ') || label.startsWith('hostdev ua-sriov-')) {
    return nic === undefined ? undefined : `nic ${nic}`;
  }
  const letter = /^disk vd([a-z])$/.exec(label)?.[1];
  if (letter !== undefined) return `disk ${letter.charCodeAt(0) - 'a'.charCodeAt(0)}`;
  if (label.startsWith('controller usb')) return 'usb';
  if (label.startsWith('controller scsi')) return 'scsi';
  if (label.startsWith('controller virtio-serial')) return 'virtio-serial';
  if (label.startsWith('controller pci')) return 'bridge';
  const kind = label.split(' ', 1)[0] ?? '';
  return ['hostdev', 'memballoon', 'rng', 'input'].includes(kind) ? kind : undefined;
}

/** A device as a person calls it: `disk vda`, `NIC blue`; undefined for what no guest knows by its address. */
export function deviceWords(key: string): string | undefined {
  const [kind = '', rest = ''] = key.split(/ (.*)/s, 2);
  switch (kind) {
    case 'nic':
      return `NIC ${rest}`;
    case 'disk':
      return `disk vd${String.fromCharCode('a'.charCodeAt(0) + Number(rest))}`;
    case 'hostdev':
    case 'input':
      return `${kind} ${rest}`;
    case 'usb':
      return 'USB controller';
    case 'scsi':
    case 'virtio-serial':
      return `${kind} controller`;
    case 'memballoon':
      return 'balloon';
    case 'rng':
      return 'rng';
    default:
      return undefined;
  }
}
