/**
 * PCIe ports of one VM: free ones from live XML, else a forecast; what a plan takes and gives back; the count that is
 * declared. libvirt gives a NIC the lowest free port, so the port of each plug can be told beforehand.
 */
import { activeVmi, runningVmi, traceNic } from '../diff/layers.ts';
import type { ClusterFacts, LiveVm } from '../live/model.ts';
import {
  birthSchemes,
  forecastFreePorts,
  portSchemes,
  rootPortsAtBoot,
  supportsPcieHotplug,
} from '../systems/kubevirt-ports.ts';
import type { LiveDomain } from '../systems/libvirt-domain.ts';
import { countPorts, type PortCount, portPool } from '../systems/libvirt-ports.ts';
import type { Action, Blocker, PlanPorts } from './model.ts';
import { blocker, counted, type Step, type VmContext } from './steps.ts';

type Strip = NonNullable<PlanPorts['strip']>;
type Port = Strip[number];

/** What a domain offers to NICs that sit on root ports, and to those that sit behind a bridge. */
export interface FreePorts {
  readonly basis: PlanPorts['basis'];
  readonly free: number;
  readonly freeAtMost: number;
  readonly counted?: PortCount;
}

/** NICs of conventional PCI take a slot of a PCIe-to-PCI bridge, not a root port; without PCIe there is one pool. */
function isConventional(vm: LiveVm, model: string | undefined): boolean {
  if (model === undefined || portPool(model) === 'pcie') return false;
  return vm.domain.kind === 'unread' || countPorts(vm.domain.domain).pool === 'pcie';
}

/** Undefined where the VM has no running domain, or a machine whose devices sit on no PCI bus. */
export function freePorts(vm: LiveVm): FreePorts | undefined {
  const vmi = runningVmi(vm);
  if (vmi === undefined || vmi.hardware.architecture === 's390x') return undefined;
  if (vm.domain.kind === 'read') {
    const ports = countPorts(vm.domain.domain);
    if (ports.pool === 'none') return undefined;
    return { basis: 'xml', free: ports.free, freeAtMost: ports.free, counted: ports };
  }
  const forecast = forecastFreePorts(vmi.hardware, {
    nics: vmi.nics.filter(({ name }) => traceNic(vm, name).inDomain).length,
    ...(vmi.launcherVersion === undefined ? {} : { launcherVersion: vmi.launcherVersion }),
    ...(vmi.hasMigrated === undefined ? {} : { hasMigrated: vmi.hasMigrated }),
  });
  return { basis: 'forecast', free: forecast.min, freeAtMost: forecast.max };
}

interface Demand {
  /** Root ports. */
  readonly needed: number;
  readonly freed: number;
  /** In flight already: they take their port before anything is unplugged. */
  readonly arriving: number;
  /** Slots behind a bridge. */
  readonly conventional: number;
}

function demandOf(vm: LiveVm, steps: readonly Step[]): Demand {
  let [needed, freed, arriving, conventional] = [0, 0, 0, 0];
  for (const step of steps) {
    if (!('port' in step && step.port)) continue;
    const isPlug = step.kind === 'plug';
    if (step.kind === 'unplug' || (step.kind === 'follow' && step.until === 'gone')) {
      if (givesRootPort(vm, step.name)) freed += 1;
    } else if (isPlug || step.kind === 'swap' || step.until === 'plugged') {
      const model = isPlug ? step.attachment.model : vm.nics.find(({ name }) => name === step.name)?.model;
      if (isConventional(vm, model)) conventional += 1;
      else {
        needed += 1;
        arriving += isPlug ? 0 : 1;
      }
    }
  }
  return { needed, freed, arriving, conventional };
}

/** Whether the NIC sits alone on a port that takes another NIC once it is gone. */
function givesRootPort(vm: LiveVm, name: string): boolean {
  if (vm.domain.kind === 'unread') return !isConventional(vm, vm.nics.find((nic) => nic.name === name)?.model);
  const bus = busOf(vm, name);
  if (countPorts(vm.domain.domain).pool !== 'pcie') return bus !== undefined;
  return bus !== undefined && soleOnRootPort(vm.domain.domain, bus);
}

/** Whether one device alone sits on the root port with this bus, so that the port takes another once it is gone. */
export function soleOnRootPort(domain: LiveDomain, bus: number): boolean {
  const neighbours = domain.devices.filter(({ address }) => address.bus === bus);
  return (
    neighbours.length === 1 && countPorts(domain).ports.some(({ index, state }) => index === bus && state === 'used')
  );
}

function busOf(vm: LiveVm, name: string): number | undefined {
  return traceNic(vm, name).domain?.address?.bus;
}

/**
 * Whether the domain has too few ports for these steps: `no-ports`, which blocks all of this VM's actions and no other
 * VM's. A forecast counts by its lower bound.
 */
export function portShortage({ vm, cluster }: VmContext, steps: readonly Step[]): Blocker | undefined {
  const offer = freePorts(vm);
  if (offer === undefined) return undefined;
  const demand = demandOf(vm, steps);
  if (demand.conventional > 0 && offer.basis === 'xml') {
    const slots = countPorts(vm.domain.kind === 'read' ? vm.domain.domain : undefined, 'conventional');
    if (demand.conventional > slots.free) {
      const message = `${vm.name} has ${counted(slots.free, 'free conventional PCI slot')}, ${areNeeded(demand.conventional)}`;
      return blocker('no-ports', undefined, message, 'Declare model: virtio or e1000e, which take a PCIe port.');
    }
  }
  // NICs in flight come first, and a NIC that finds no port keeps KubeVirt from detaching any other.
  const stuck = demand.arriving > offer.free;
  if (!stuck && demand.needed <= offer.free + demand.freed) return undefined;
  const free = counted(offer.free, 'free PCIe port');
  const freed = !stuck && demand.freed > 0 ? ` and gets ${demand.freed} back from its unplugs` : '';
  const forecast = offer.basis === 'forecast' ? ' at least, by forecast' : '';
  const needed = stuck ? demand.arriving : demand.needed;
  return blocker(
    'no-ports',
    undefined,
    `${vm.name} has ${free}${forecast}${freed}, ${areNeeded(needed)}`,
    shortageRemedy(vm, cluster, needed - offer.free - (stuck ? 0 : demand.freed)),
  );
}

function areNeeded(number: number): string {
  return number === 1 ? '1 is needed' : `${number} are needed`;
}

function shortageRemedy(vm: LiveVm, cluster: ClusterFacts, short: number): string {
  const vmi = activeVmi(vm);
  const others = `Remove ${counted(short, 'attachment')} of ${vm.name} from the declaration`;
  if (vmi === undefined) return `${others}.`;
  const nics = vm.nics.filter((nic) => nic.state !== 'absent').length;
  const total = vm.domain.kind === 'read' ? countPorts(vm.domain.domain).ports.length : undefined;
  const base =
    total ?? Math.min(...birthSchemes(vmi.hardware, vmi).map((scheme) => rootPortsAtBoot(vmi.hardware, nics, scheme)));
  return `${others}, or ${moreRootPorts(vm, cluster, base + short)}`;
}

/** How a VM gets so many root ports. */
function moreRootPorts({ vmi, nics, hardware }: LiveVm, cluster: ClusterFacts, ports: number): string {
  const count = nics.filter((nic) => nic.state !== 'absent').length;
  const schemes = portSchemes(cluster.kubevirtVersion ?? vmi?.launcherVersion);
  const atStart = Math.min(...schemes.map((scheme) => rootPortsAtBoot(hardware, count, scheme)));
  if (atStart >= ports) return `restart it: it then starts with ${counted(atStart, 'PCIe port')}, which is enough.`;
  if (!supportsPcieHotplug(hardware) || hardware.rootComplexAnnotation) {
    return 'change its machine type, architecture or root-complex annotation, for which KubeVirt reserves no PCIe ports.';
  }
  return `declare pciePorts: ${ports} with restart: stage, apply, and restart it.`;
}

export interface PortPlan {
  readonly ports: PlanPorts;
  /** The actions, with the port of each NIC where it can be told. */
  readonly actions: readonly Action[];
}

/** Numbers and strip for the plan; undefined where no step concerns a port. */
export function planPorts({ vm }: VmContext, steps: readonly Step[], actions: readonly Action[]): PortPlan | undefined {
  const offer = freePorts(vm);
  const { needed, freed } = demandOf(vm, steps);
  if (offer === undefined || (needed === 0 && freed === 0)) return undefined;
  const ports = { basis: offer.basis, free: offer.free, freeAtMost: offer.freeAtMost, needed, freed };
  if (offer.counted?.pool !== 'pcie') return { ports, actions };
  const strip = offer.counted.ports.map(
    ({ index, state, device }): Port => ({
      index,
      state,
      ...(device === undefined ? {} : { device }),
    }),
  );
  const placed = place(vm, steps, actions, strip);
  return { ports: { ...ports, strip: placed.strip }, actions: placed.actions };
}

function concernsRootPort(vm: LiveVm, step: Step): boolean {
  if (!('port' in step && step.port)) return false;
  const model = step.kind === 'plug' ? step.attachment.model : vm.nics.find(({ name }) => name === step.name)?.model;
  return !isConventional(vm, model);
}

/** Plays the actions on the strip: a NIC that goes frees its port, one that comes takes the lowest free one. */
function place(
  vm: LiveVm,
  steps: readonly Step[],
  actions: readonly Action[],
  strip: readonly Port[],
): { readonly strip: Strip; readonly actions: readonly Action[] } {
  const now = new Map(strip.map((port) => [port.index, port]));
  const moves = new Set(steps.filter((step) => concernsRootPort(vm, step)).map(({ kind, name }) => `${kind} ${name}`));
  const release = (name: string) => {
    const port = now.get(busOf(vm, name) ?? -1);
    if (port?.state === 'used' && givesRootPort(vm, name)) now.set(port.index, { ...port, state: 'freed' });
  };
  const take = (name: string): number | undefined => {
    const port = [...now.values()].find(({ state }) => state === 'free' || state === 'freed');
    if (port === undefined) return undefined;
    now.set(port.index, { index: port.index, state: 'taken', device: name });
    return port.index;
  };
  const placed = actions.map((action): Action => {
    switch (action.kind) {
      case 'follow':
        if (!moves.has(`follow ${action.attachment}`)) return action;
        if (action.until === 'gone') release(action.attachment);
        else if (action.until === 'plugged') take(action.attachment);
        return action;
      case 'unplug':
        for (const name of action.attachments) if (moves.has(`unplug ${name}`)) release(name);
        return action;
      case 'plug': {
        const taking = action.attachments.filter(({ name }) => moves.has(`plug ${name}`));
        const taken = taking.flatMap(({ name }) => {
          const index = take(name);
          return index === undefined ? [] : [[name, index] as const];
        });
        // KubeVirt attaches several NICs in no certain order: the ports are known then, but not whose is which.
        return taken.length === 1 && action.attachments.length === 1
          ? { ...action, ports: Object.fromEntries(taken) }
          : action;
      }
      case 'swap':
        if (moves.has(`swap ${action.attachment}`)) take(action.attachment);
        return action;
      case 'link':
      case 'edit-template':
      case 'set-ports':
      case 'restart':
      case 'release':
        return action;
      default:
        return action satisfies never;
    }
  });
  return { strip: strip.map(({ index, ...rest }) => now.get(index) ?? { index, ...rest }), actions: placed };
}
