/** One MAC, one NIC: who holds an address, and which change must wait until another VM has given it up. */
import { activeVmi } from '../diff/layers.ts';
import { elementsOf } from '../diff/pods.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { normaliseMac } from '../systems/mac.ts';
import { compareText, objectKey } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { blocker, type Step } from './steps.ts';

/** A NIC that has an address in some layer. */
interface MacHolder {
  /** `namespace/name` of its VM; `pod namespace/name` of one that a pod has. */
  readonly vm: string;
  readonly nic: string;
}

export type MacHolders = ReadonlyMap<string, readonly MacHolder[]>;

/** Steps of one VM, as far as they are not blocked. */
export interface VmSteps {
  readonly vm: string;
  readonly steps: readonly Step[];
}

/** One change that must not be made before another, of this VM or of another one, gives an address up. */
interface MacDependency {
  readonly vm: string;
  readonly name: string;
  readonly on: MacHolder;
}

export interface MacRuling {
  readonly dependencies: readonly MacDependency[];
  /** Labels, `namespace/name/nic`, of the attachments that wait for another VM, directly or through one beside them. */
  readonly waiting: ReadonlySet<string>;
  /** By `namespace/name` of the VM whose attachment is refused. */
  readonly refusals: ReadonlyMap<string, readonly Blocker[]>;
}

/** Who holds each address: declared and generated ones of the VMs that were asked for, declared ones of all others. */
export function macHolders(live: LiveState): MacHolders {
  const holders = new Map<string, Map<string, MacHolder>>();
  const add = (mac: string | undefined, holder: MacHolder) => {
    if (mac === undefined) return;
    const known = holders.get(mac) ?? new Map<string, MacHolder>();
    known.set(`${holder.vm}/${holder.nic}`, holder);
    holders.set(mac, known);
  };
  for (const [vm, state] of live.vms) {
    for (const { name, mac } of nicsOf(state)) add(mac, { vm, nic: name });
  }
  for (const [mac, text] of live.macs) {
    const [namespace = '', name = '', ...nic] = text.split('/');
    const vm = `${namespace}/${name}`;
    if (!live.vms.has(vm)) add(mac, { vm, nic: nic.join('/') });
  }
  return new Map(
    [...holders].map(([mac, known]) => [mac, [...known.values()].sort((a, b) => compareText(label(a), label(b)))]),
  );
}

/**
 * The same with the addresses that plain pods ask for. Launchers have those of their VMs. No VM waits for a pod: until
 * that has given an address up, a plug with it is refused.
 */
export function withPods(holders: MacHolders, { pods }: LiveState): MacHolders {
  const all = new Map(holders);
  for (const pod of [...(pods?.byQuery.values() ?? [])].flat()) {
    if (pod.launcher !== undefined) continue;
    for (const { mac, interface: iface } of elementsOf(pod)) {
      const normal = mac === undefined ? undefined : normaliseMac(mac);
      if (normal === undefined) continue;
      all.set(normal, [...(all.get(normal) ?? []), { vm: `pod ${objectKey(pod)}`, nic: iface ?? '' }]);
    }
  }
  return all;
}

function nicsOf(vm: LiveVm): readonly { readonly name: string; readonly mac?: string }[] {
  const vmi = activeVmi(vm);
  return [...vm.nics, ...(vmi?.nics ?? []), ...(vmi?.status.filter(({ name }) => name !== '') ?? [])];
}

/**
 * Settles which plugs wait and which are refused. Refusing one keeps its old address in use, which may refuse another:
 * so until nothing changes. VMs that only exchange addresses in stopped templates wait for each other: refused.
 */
export function ruleOnMacs(vms: readonly VmSteps[], holders: MacHolders): MacRuling {
  const refused = new Map<string, Map<string, Blocker>>();
  const isRefused = (vm: string, step: Step) => takesMac(step) && (refused.get(vm)?.has(step.name) ?? false);
  for (;;) {
    const current = vms.map(({ vm, steps }) => ({ vm, steps: steps.filter((step) => !isRefused(vm, step)) }));
    const { dependencies, refusals } = judge(current, holders);
    const fresh = refusals.length > 0 ? refusals : cyclic(current, dependencies);
    if (fresh.length === 0) {
      return {
        dependencies,
        waiting: waitingOf(dependencies),
        refusals: new Map([...refused].map(([vm, blockers]) => [vm, [...blockers.values()]])),
      };
    }
    for (const { vm, blocker: found } of fresh) {
      const known = refused.get(vm) ?? new Map<string, Blocker>();
      known.set(found.attachment ?? '', found);
      refused.set(vm, known);
    }
  }
}

/** Whether the step gives a NIC the address that was declared for it. */
export function takesMac(step: Step): boolean {
  return step.kind === 'plug' || step.kind === 'put';
}

interface Refusal {
  readonly vm: string;
  readonly blocker: Blocker;
}

function judge(
  vms: readonly VmSteps[],
  holders: MacHolders,
): { readonly dependencies: readonly MacDependency[]; readonly refusals: readonly Refusal[] } {
  const byVm = new Map(vms.map(({ vm, steps }) => [vm, steps]));
  const dependencies: MacDependency[] = [];
  const refusals: Refusal[] = [];
  for (const { vm, steps } of vms) {
    for (const step of steps) {
      const mac = step.kind === 'plug' || step.kind === 'put' ? step.attachment.mac : undefined;
      if (mac === undefined) continue;
      const others = (holders.get(mac) ?? []).filter((holder) => holder.vm !== vm || holder.nic !== step.name);
      const keeper = others.find((holder) => !givesUp(byVm.get(holder.vm) ?? [], holder.nic, mac));
      if (keeper !== undefined) refusals.push({ vm, blocker: taken(step.name, mac, keeper) });
      else dependencies.push(...others.map((on): MacDependency => ({ vm, name: step.name, on })));
    }
  }
  return { dependencies, refusals };
}

/** Whether one of the steps takes the address from the NIC, so that it is free before the VM's next start. */
function givesUp(steps: readonly Step[], nic: string, mac: string): boolean {
  return steps.some((step) => step.name === nic && releasesMac(step, mac));
}

function releasesMac(step: Step, mac: string): boolean {
  switch (step.kind) {
    case 'unplug':
      return true;
    case 'follow':
      return step.until === 'gone';
    case 'remove':
      return !step.staged;
    case 'put':
      return !step.staged && step.attachment.mac !== undefined && step.attachment.mac !== mac;
    case 'plug':
    case 'release':
    case 'link':
    case 'swap':
      return false;
    default:
      return step satisfies never;
  }
}

function waitingOf(dependencies: readonly MacDependency[]): ReadonlySet<string> {
  const waiting = new Set<string>();
  for (;;) {
    const fresh = dependencies.filter(
      ({ vm, name, on }) => !waiting.has(`${vm}/${name}`) && (on.vm !== vm || waiting.has(label(on))),
    );
    if (fresh.length === 0) return waiting;
    for (const { vm, name } of fresh) waiting.add(`${vm}/${name}`);
  }
}

/** Edits of stopped VMs that wait for each other in a ring: each gives its address up only by taking the next one. */
function cyclic(vms: readonly VmSteps[], dependencies: readonly MacDependency[]): readonly Refusal[] {
  const puts = new Set(
    vms.flatMap(({ vm, steps }) => steps.filter(({ kind }) => kind === 'put').map(({ name }) => `${vm}/${name}`)),
  );
  const waiting = waitingOf(dependencies);
  // All waiting edits of a VM are one write, so the ring is one of VMs.
  const edges = dependencies.filter(({ vm, on }) => on.vm !== vm && puts.has(label(on)) && waiting.has(label(on)));
  const reaches = (from: string, to: string, seen: Set<string>): boolean =>
    edges.some(({ vm, on }) => {
      if (vm !== from) return false;
      if (on.vm === to) return true;
      if (seen.has(on.vm)) return false;
      seen.add(on.vm);
      return reaches(on.vm, to, seen);
    });
  return edges
    .filter(({ vm }) => reaches(vm, vm, new Set()))
    .map(({ vm, name, on }) => ({
      vm,
      blocker: blocker(
        'mac-taken',
        name,
        `its MAC is that of "${on.nic}" of ${on.vm}, which waits in turn for one of this VM`,
        'Give one of the two another MAC first, in a change of its own.',
      ),
    }));
}

function taken(name: string, mac: string, { vm, nic }: MacHolder): Blocker {
  return blocker(
    'mac-taken',
    name,
    `the MAC ${mac} is that of the NIC "${nic}" of ${vm}`,
    'Declare another MAC, or free this one: unplug that NIC, or give it another address.',
  );
}

function label({ vm, nic }: MacHolder): string {
  return `${vm}/${nic}`;
}
