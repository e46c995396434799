/**
 * When an action is done: each layer on its own, judged by what the layer itself shows. Generations, conditions that
 * are missing and events that do not come say nothing: a guest that never takes or releases a NIC leaves no other sign.
 */
import type { LivePod, LiveVm, SpecNic, StatusNic } from '../live/model.ts';
import type { Action, PlannedAttachment, PortKnob } from '../plan/model.ts';
import { podInterfaceName } from '../systems/kubevirt-names.ts';
import { parseSlotCount, samePortKnobs } from '../systems/kubevirt-ports.ts';
import { sameMac } from '../systems/mac.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import { type Layer, type LinkState, type ObjectName, objectKey } from '../vocabulary.ts';

/** What a wait waits for, attachment by attachment. */
export type Goal =
  | {
      readonly kind: 'plugged';
      readonly name: string;
      readonly network: ObjectName;
      readonly state: LinkState;
      readonly mac?: string;
    }
  | { readonly kind: 'gone'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly state: LinkState }
  | { readonly kind: 'swapped'; readonly name: string; readonly network: ObjectName }
  /** No migration is under way: its target would get what was plugged meanwhile only after it. */
  | { readonly kind: 'settled' }
  /** In the template of a VM, whatever runs: an edit of a stopped VM, or one that a restart will bring. */
  | { readonly kind: 'in-template'; readonly name: string; readonly present: boolean }
  /** Another instance than that one runs, from what the template asks for. */
  | { readonly kind: 'restarted'; readonly instance: string }
  /** The domain has at least so many root ports; only its XML tells. */
  | { readonly kind: 'root-ports'; readonly atLeast: number }
  /** The template asks for at least so much. */
  | { readonly kind: 'ports'; readonly knob: PortKnob; readonly value: number };

/** Whether the goal is judged in the template alone, whatever runs. */
export function isOfTemplate({ kind }: Goal): boolean {
  return kind === 'in-template' || kind === 'ports';
}

export interface LayerReading {
  readonly layer: Layer;
  readonly agrees: boolean;
  /** What is seen instead, in a few words. */
  readonly seen?: string;
  /** It has done its part and only waits for layers further in, as a spec that drops an absent NIC last of all. */
  readonly waits?: boolean;
}

/** Layers that a wait can see by watch, outermost first. The domain shows as a source of the NIC in VMI status. */
const watchedLayers = ['vm', 'vmi', 'pod', 'multus', 'domain'] as const satisfies readonly Layer[];
type WatchedLayer = (typeof watchedLayers)[number];

/** The goals of an action; those of a `follow` are what the VM's own template says. */
export function goalsOf(action: Action, live: LiveVm): readonly Goal[] {
  switch (action.kind) {
    case 'plug':
      return action.attachments.map(plugged);
    case 'unplug':
      return action.attachments.map((name) => ({ kind: 'gone', name }));
    case 'link':
      return [{ kind: 'link', name: action.attachment, state: action.state }];
    case 'swap':
      return [{ kind: 'swapped', name: action.attachment, network: action.to }];
    case 'edit-template':
      return [
        ...action.put.map((attachment): Goal => ({ kind: 'in-template', name: attachment.name, present: true })),
        ...action.remove
          .filter((name) => !action.put.some((attachment) => attachment.name === name))
          .map((name): Goal => ({ kind: 'in-template', name, present: false })),
      ];
    case 'follow':
      return [followed(action, live)];
    case 'set-ports':
      return [{ kind: 'ports', knob: action.knob, value: action.value }];
    case 'restart':
      return [{ kind: 'restarted', instance: action.instance }];
    case 'release':
      return [];
    default:
      return action satisfies never;
  }
}

/** An attachment in all layers, as it is declared. */
export function plugged({ name, network, state, mac }: PlannedAttachment): Goal {
  return { kind: 'plugged', name, network, state, ...(mac === undefined ? {} : { mac }) };
}

function followed(action: Extract<Action, { kind: 'follow' }>, live: LiveVm): Goal {
  const name = action.attachment;
  if (action.until === 'gone') return { kind: 'gone', name };
  const nic = live.nics.find((candidate) => candidate.name === name);
  // It left the template meanwhile: nothing but its end is left to follow.
  if (nic === undefined || nic.state === 'absent' || nic.network === undefined) return { kind: 'gone', name };
  switch (action.until) {
    case 'plugged':
      return { kind: 'plugged', name, network: nic.network, state: nic.state };
    case 'link':
      return { kind: 'link', name, state: nic.state };
    case 'swapped':
      return { kind: 'swapped', name, network: nic.network };
    default:
      return action.until satisfies never;
  }
}

/**
 * What each layer says to all goals of an action, outermost first; a layer agrees where it does for every goal. Layers
 * that have no say in an action are left out.
 */
export function readLayers(goals: readonly Goal[], live: LiveVm): readonly LayerReading[] {
  const readings: LayerReading[] = [];
  for (const layer of watchedLayers) {
    const verdicts = goals.map((goal) => judge(goal, layer, live)).filter((verdict) => verdict !== undefined);
    if (verdicts.length === 0) continue;
    readings.push(worst(layer, verdicts));
  }
  return readings;
}

function worst(layer: Layer, verdicts: readonly NonNullable<Verdict>[]): LayerReading {
  const seen = verdicts.find((verdict) => typeof verdict === 'string');
  if (seen !== undefined) return { layer, agrees: false, seen };
  const waiting = verdicts.find((verdict) => typeof verdict === 'object');
  return waiting === undefined ? { layer, agrees: true } : { layer, agrees: false, seen: waiting.waits, waits: true };
}

/**
 * The layer that an action hangs on: the first that does not agree and does not itself wait for others, else the
 * innermost of those that wait; undefined where all agree.
 */
export function firstLagging(readings: readonly LayerReading[]): LayerReading | undefined {
  const lagging = readings.filter((reading) => !reading.agrees);
  return lagging.find((reading) => reading.waits !== true) ?? lagging.at(-1);
}

/** True: agrees; a text: what is seen instead, `waits` where that waits for others; undefined: the layer has no say. */
type Verdict = true | string | { readonly waits: string } | undefined;

function judge(goal: Goal, layer: WatchedLayer, live: LiveVm): Verdict {
  switch (goal.kind) {
    case 'plugged':
      return judgePlugged(goal, layer, live);
    case 'gone':
      return judgeGone(goal.name, layer, live);
    case 'link':
      return judgeLink(goal, layer, live);
    case 'swapped':
      return judgeSwapped(goal, layer, live);
    case 'settled':
      if (layer !== 'pod') return undefined;
      return live.vmi?.migrating !== true || 'a migration is not over';
    case 'in-template': {
      if (layer !== 'vm') return undefined;
      const present = live.nics.some((nic) => nic.name === goal.name && nic.state !== 'absent');
      return present === goal.present || `"${goal.name}" is ${present ? 'still' : 'not yet'} in the template`;
    }
    case 'ports':
      return layer === 'vm' ? judgePorts(goal, live) : undefined;
    case 'restarted':
      return judgeRestarted(goal.instance, layer, live);
    case 'root-ports':
      return undefined;
    default:
      return goal satisfies never;
  }
}

function judgePorts({ knob, value }: Extract<Goal, { kind: 'ports' }>, { hardware }: LiveVm): Verdict {
  const found = {
    field: hardware.declaredPorts,
    'slot-count': parseSlotCount(hardware.slotCount),
    sidecar: hardware.hookPorts,
  }[knob];
  if (typeof found === 'number' && found >= value) return true;
  return `the template asks for ${found ?? 'no number'} of ports, not for ${value}`;
}

function judgeRestarted(instance: string, layer: WatchedLayer, { vmi, pod, hardware, nics }: LiveVm): Verdict {
  switch (layer) {
    case 'vmi':
      if (vmi === undefined) return 'the VM does not run';
      if (vmi.uid === instance) return vmi.deleting ? 'the old instance is ending' : 'the old instance still runs';
      if (vmi.deleting) return 'the new instance is ending';
      if (vmi.phase !== 'Running') return `the new instance is ${vmi.phase}`;
      return samePortKnobs(vmi.hardware, hardware) || 'the new instance asks for another number of ports';
    case 'pod':
      return (pod?.ready === true && !pod.deleting) || 'the new launcher pod is not ready';
    case 'domain': {
      const started = nics.length === 0 || vmi?.status.some(({ sources }) => sources.includes('domain')) === true;
      return started || 'the new domain shows no NIC yet';
    }
    case 'vm':
    case 'multus':
      return undefined;
    default:
      return layer satisfies never;
  }
}

function judgePlugged(goal: Extract<Goal, { kind: 'plugged' }>, layer: WatchedLayer, live: LiveVm): Verdict {
  const { name, network, state } = goal;
  switch (layer) {
    case 'vm':
      return judgeSpec(specNic(live.nics, name), goal, 'the VM template');
    case 'vmi':
      if (live.vmi === undefined) return 'the VM does not run';
      return judgeSpec(specNic(live.vmi.nics, name), goal, 'the VMI');
    case 'pod': {
      // KubeVirt drops the element of an SR-IOV NIC from the annotation of a pod that was born with it.
      if (specNic(live.nics, name)?.binding === 'sriov') return undefined;
      return judgeAnnotation(live, name, network);
    }
    case 'multus':
      return judgeNetworkStatus(live, name, network);
    case 'domain': {
      const nic = statusNic(live, name);
      if (nic === undefined || !nic.sources.includes('domain')) return `the domain has no NIC "${name}"`;
      // The host device of an SR-IOV NIC has no link state.
      if (nic.linkState !== undefined && nic.linkState !== state) return `the link of "${name}" is ${nic.linkState}`;
      const isHostDevice = specNic(live.nics, name)?.binding === 'sriov';
      if (!isHostDevice && isOtherMac(nic.mac, goal.mac)) return `"${name}" has the MAC ${nic.mac} in the domain`;
      return true;
    }
    default:
      return layer satisfies never;
  }
}

function judgeSpec(nic: SpecNic | undefined, goal: Extract<Goal, { kind: 'plugged' }>, where: string): Verdict {
  if (nic === undefined) return `"${goal.name}" is not in ${where}`;
  if (nic.state !== goal.state) return `"${goal.name}" is ${nic.state} in ${where}`;
  if (nic.network === undefined || objectKey(nic.network) !== objectKey(goal.network))
    return `"${goal.name}" is on another network in ${where}`;
  if (goal.mac !== undefined && (nic.mac === undefined || isOtherMac(nic.mac, goal.mac)))
    return `"${goal.name}" has ${nic.mac === undefined ? 'no MAC' : `the MAC ${nic.mac}`} in ${where}`;
  return true;
}

/** Whether an address is known and not the one that is wanted. */
export function isOtherMac(found: string | undefined, wanted: string | undefined): boolean {
  return found !== undefined && wanted !== undefined && !sameMac(found, wanted);
}

/**
 * Gone: neither VM nor VMI know the name, in spec or status, and the pod has no such interface. An element in the
 * networks annotation alone does not count: KubeVirt leaves that of a NIC that never arrived until its next change.
 */
function judgeGone(name: string, layer: WatchedLayer, live: LiveVm): Verdict {
  const status = statusNic(live, name);
  switch (layer) {
    case 'vm':
      return specGone(specNic(live.nics, name), 'the VM template');
    case 'vmi': {
      const nic = live.vmi === undefined ? undefined : specNic(live.vmi.nics, name);
      if (nic !== undefined) return specGone(nic, 'the VMI');
      // Without sources no other layer speaks for the entry.
      return status === undefined || status.sources.length > 0 || `"${name}" is still in the status of the VMI`;
    }
    case 'pod':
      return undefined;
    case 'multus': {
      if (podStatus(live.pod).some((entry) => entry.interface === interfaceName(live, name)))
        return `network-status still has ${inPod(live, name)}`;
      return status?.sources.includes('multus-status') !== true || `the VMI still sees "${name}" in the pod`;
    }
    case 'domain':
      return status?.sources.includes('domain') !== true || `the guest has not released "${name}"`;
    default:
      return layer satisfies never;
  }
}

/** KubeVirt drops an absent NIC from the VMI once pod and domain have let go, and then from the VM. */
function specGone(nic: SpecNic | undefined, where: string): Verdict {
  if (nic === undefined) return true;
  const seen = `"${nic.name}" is ${nic.state} in ${where}`;
  return nic.state === 'absent' ? { waits: seen } : seen;
}

function judgeLink(goal: Extract<Goal, { kind: 'link' }>, layer: WatchedLayer, live: LiveVm): Verdict {
  const { name, state } = goal;
  switch (layer) {
    case 'vm':
      return specState(live.nics, name, state, 'the VM template');
    case 'vmi':
      return live.vmi === undefined ? 'the VM does not run' : specState(live.vmi.nics, name, state, 'the VMI');
    case 'pod':
    case 'multus':
      return undefined;
    case 'domain': {
      // libvirt leaves the element out for a link that is up.
      const found = statusNic(live, name)?.linkState ?? 'up';
      return found === state || `the link of "${name}" is ${found}`;
    }
    default:
      return layer satisfies never;
  }
}

function specState(nics: readonly SpecNic[], name: string, state: LinkState, where: string): Verdict {
  const nic = specNic(nics, name);
  if (nic === undefined) return `"${name}" is not in ${where}`;
  return nic.state === state || `"${name}" is ${nic.state} in ${where}`;
}

function judgeSwapped(goal: Extract<Goal, { kind: 'swapped' }>, layer: WatchedLayer, live: LiveVm): Verdict {
  const { name, network } = goal;
  switch (layer) {
    case 'vm':
      return specNetwork(live.nics, name, network, 'the VM template');
    case 'vmi':
      return live.vmi === undefined ? 'the VM does not run' : specNetwork(live.vmi.nics, name, network, 'the VMI');
    case 'pod':
      return specNic(live.nics, name)?.binding === 'sriov' ? undefined : judgeAnnotation(live, name, network);
    case 'multus':
      return judgeNetworkStatus(live, name, network);
    case 'domain':
      if (live.vmi?.migrating === true) return 'the migration is not over';
      return statusNic(live, name)?.sources.includes('domain') === true || `the domain has no NIC "${name}"`;
    default:
      return layer satisfies never;
  }
}

function specNetwork(nics: readonly SpecNic[], name: string, network: ObjectName, where: string): Verdict {
  const found = specNic(nics, name)?.network;
  if (found === undefined) return `"${name}" is not in ${where}`;
  return objectKey(found) === objectKey(network) || `"${name}" is on ${objectKey(found)} in ${where}`;
}

function judgeAnnotation(live: LiveVm, name: string, network: ObjectName): Verdict {
  if (live.pod === undefined) return 'the launcher pod is not there';
  if ('problem' in live.pod.networks) return live.pod.networks.problem;
  const element = live.pod.networks.find((candidate) => candidate.interface === interfaceName(live, name));
  if (element === undefined) return `the pod annotation has no ${inPod(live, name)}`;
  const found = `${element.namespace}/${element.name}`;
  return found === objectKey(network) || `the pod annotation has ${inPod(live, name)} on ${found}`;
}

function judgeNetworkStatus(live: LiveVm, name: string, network: ObjectName): Verdict {
  if (live.pod === undefined) return 'the launcher pod is not there';
  if ('problem' in live.pod.status) return live.pod.status.problem;
  const entry = live.pod.status.find((candidate) => candidate.interface === interfaceName(live, name));
  if (entry === undefined) return `network-status has no ${inPod(live, name)}`;
  // Very old Multus wrote the bare name.
  const found = entry.name.includes('/') ? entry.name : `${live.namespace}/${entry.name}`;
  if (found !== objectKey(network)) return `network-status has ${inPod(live, name)} on ${found}`;
  return (
    statusNic(live, name)?.sources.includes('multus-status') === true || `the VMI does not see "${name}" in the pod`
  );
}

/** Name of the NIC in the pod: what KubeVirt found, else what it derives from the network name. */
export function interfaceName(live: LiveVm, name: string): string {
  return statusNic(live, name)?.podInterfaceName ?? podInterfaceName(name);
}

/** The NIC with its name in the pod, which is a hash that nobody knows by heart. */
function inPod(live: LiveVm, name: string): string {
  return `"${name}" (${interfaceName(live, name)})`;
}

/** A text of the system in which each interface of a pod is followed by the NIC that it is. */
export function withNicNames(text: string, live: LiveVm, names: readonly string[]): string {
  const nics = new Map(
    [...live.nics.map(({ name }) => name), ...names].map((name) => [interfaceName(live, name), name]),
  );
  return text.replaceAll(/\b(?:pod|net)[0-9a-f]+\b/g, (found) => {
    const name = nics.get(found);
    return name === undefined ? found : `${found} ("${name}")`;
  });
}

function podStatus(pod: LivePod | undefined): readonly NetworkStatus[] {
  return pod === undefined || 'problem' in pod.status ? [] : pod.status;
}

function specNic(nics: readonly SpecNic[], name: string): SpecNic | undefined {
  return nics.find((nic) => nic.name === name);
}

function statusNic(live: LiveVm, name: string): StatusNic | undefined {
  return live.vmi?.status.find((nic) => nic.name === name);
}
