/** Desired against live state of plain pods: annotation, network-status and, where there is one, the domain in the pod. */
import type { DesiredElement, DesiredPods } from '../desired/model.ts';
import { podQueryKey } from '../desired/model.ts';
import type { LiveState } from '../live/model.ts';
import type { ControllerEvent, LiveTargetPod, OwnedInterface } from '../live/pod-model.ts';
import { bridgeName, nicAlias, tapName } from '../systems/kubevirt-names.ts';
import { type DomainNic, plainModel } from '../systems/libvirt-domain.ts';
import { normaliseMac } from '../systems/mac.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import { nonDefaultEntries } from '../systems/multus-status.ts';
import { type Json, type Layer, objectKey } from '../vocabulary.ts';
import type { Difference } from './model.ts';

type PodAttachmentState =
  /** In annotation and network-status as declared. */
  | 'converged'
  /** Neither in the annotation nor in network-status. */
  | 'missing'
  /** In the annotation, and not yet, or never, in network-status. */
  | 'pending'
  /** network-status lists an interface that the controller took away again. */
  | 'ghost'
  /** Ours, and not as declared: it goes and comes anew. */
  | 'differs'
  /** Ours, no longer declared, and still in the annotation. */
  | 'surplus'
  /** Ours, no longer in the annotation, and still in network-status. */
  | 'leaving'
  /** Ours, no longer declared, and gone but for the record. */
  | 'released'
  /** Its interface is that of an element, or of an entry of network-status, that patchpanel did not write. */
  | 'foreign';

export interface PodAttachmentDiff {
  readonly name: string;
  readonly state: PodAttachmentState;
  readonly wanted?: DesiredElement;
  readonly owned?: OwnedInterface;
  /** The controller reported that it could not plug what is pending, or take out what leaves. */
  readonly failed: boolean;
  /** The NIC that the domain has of this attachment. */
  readonly nic?: DomainNic;
  /** Tap or bridge of its interface is in the pod. */
  readonly wired: boolean;
  readonly differences: readonly Difference[];
}

export interface PodDiff {
  readonly desired: DesiredPods;
  readonly pod: LiveTargetPod;
  /** How many pods the selector matches; 1 for a pod by name. */
  readonly siblings: number;
  /** Declared attachments in declared order, then owned ones by name. */
  readonly attachments: readonly PodAttachmentDiff[];
}

/** Pods of an object that match nothing, or a pod that is not there. */
export interface AbsentPods {
  readonly desired: DesiredPods;
  readonly pod?: undefined;
}

/** One entry for each pod, in the order of the desired state, then by name. */
export function diffPods(desired: readonly DesiredPods[], live: LiveState): readonly (PodDiff | AbsentPods)[] {
  return desired.flatMap((one): readonly (PodDiff | AbsentPods)[] => {
    const found = live.pods?.byQuery.get(podQueryKey(one.query)) ?? [];
    // A selector follows pods that come and go: those that have ended, or are about to, are not meant.
    const meant = 'name' in one.query ? found : found.filter((pod) => !pod.deleting && !hasEnded(pod));
    if (meant.length === 0) return [{ desired: one }];
    return meant.map((pod) => diffPod(one, pod, meant.length));
  });
}

export function hasEnded({ phase }: LiveTargetPod): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** The key by which the controller compares elements with network-status. */
export function interfaceKey({ network, interface: iface }: Pick<OwnedInterface, 'network' | 'interface'>): string {
  return `${objectKey(network)}/${iface}`;
}

export function elementKey(element: NetworkSelectionElement): string {
  return `${element.namespace}/${element.name}/${element.interface ?? ''}`;
}

/** Elements of the pod; none where the annotation can't be read. */
export function elementsOf({ networks }: LiveTargetPod): readonly NetworkSelectionElement[] {
  return 'problem' in networks ? [] : networks;
}

/** Keys of network-status but for the default network. */
export function statusKeysOf({ status }: LiveTargetPod): readonly string[] {
  if (status === undefined || 'problem' in status) return [];
  return nonDefaultEntries(status).map(({ name, interface: iface }) => `${name}/${iface ?? ''}`);
}

function diffPod(desired: DesiredPods, pod: LiveTargetPod, siblings: number): PodDiff {
  const owned = new Map(pod.owned.map((one) => [one.name, one]));
  const declared = new Set(desired.attachments.map(({ name }) => name));
  const others = [...owned.values()]
    .filter(({ name }) => !declared.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    desired,
    pod,
    siblings,
    attachments: [
      ...desired.attachments.map((wanted) => diffAttachment(pod, wanted.name, wanted, owned.get(wanted.name), desired)),
      ...others.map((one) => diffAttachment(pod, one.name, undefined, one, desired)),
    ],
  };
}

function diffAttachment(
  pod: LiveTargetPod,
  name: string,
  wanted: DesiredElement | undefined,
  owned: OwnedInterface | undefined,
  { domain }: DesiredPods,
): PodAttachmentDiff {
  const key = interfaceKey(owned ?? wanted ?? { network: { namespace: '', name: '' }, interface: '' });
  const element = elementsOf(pod).find((one) => elementKey(one) === key);
  const inStatus = statusKeysOf(pod).includes(key);
  const iface = (owned ?? wanted)?.interface ?? '';
  const last = lastEvent(pod, key);
  const state = stateOf(pod, wanted, owned, element, inStatus, isTakenBack(pod, key));
  const seen = domain === undefined || pod.domain?.kind !== 'read' ? undefined : pod.domain;
  const nic = seen?.domain.nics.find(({ alias }) => alias === nicAlias(name));
  const wired = seen?.links.some((link) => link.name === tapName(iface) || link.name === bridgeName(iface)) ?? false;
  return {
    name,
    state,
    ...(wanted === undefined ? {} : { wanted }),
    ...(owned === undefined ? {} : { owned }),
    failed:
      state === 'pending'
        ? last !== undefined && last !== 'AddedInterface'
        : state === 'leaving' && last === 'FailedRemovingInterface',
    ...(nic === undefined ? {} : { nic }),
    wired,
    differences: [
      ...presence(name, 'pod', wanted !== undefined, element !== undefined),
      ...(wanted === undefined || element === undefined
        ? []
        : named(name, 'pod', fieldDifferences(wanted, owned, element))),
      ...presence(name, 'multus', wanted !== undefined, inStatus),
      ...(seen === undefined ? [] : presence(name, 'domain', wanted !== undefined, nic !== undefined)),
      ...(wanted === undefined || nic === undefined ? [] : named(name, 'domain', nicDifferences(wanted, nic))),
    ],
  };
}

function presence(attachment: string, layer: Layer, wanted: boolean, found: boolean): readonly Difference[] {
  if (wanted === found) return [];
  return [{ attachment, layer, field: 'present', wanted: wanted || null, found: found || null }];
}

function named(attachment: string, layer: Layer, found: readonly FieldDifference[]): readonly Difference[] {
  return found.map(([field, wanted, is]) => ({ attachment, layer, field, wanted, found: is }));
}

/** The newest that the controller reported of an interface. */
function lastEvent({ events = [] }: LiveTargetPod, key: string): string | undefined {
  return events.findLast((event) => isAbout(event, key))?.reason;
}

function isAbout(event: ControllerEvent, key: string): boolean {
  const [, network, iface] = key.split('/');
  return event.network === network && event.interface === iface;
}

/**
 * Whether the controller, which failed at something of the pod, reported an interface gone after it reported it there:
 * then network-status was written before it took it back. Without a failure the report of an interface that came later
 * was lost, as Kubernetes drops those of an object that has many: to plug that anew each time would make more of them.
 */
export function isTakenBack({ events = [] }: Pick<LiveTargetPod, 'events'>, key: string): boolean {
  const last = events.findLastIndex((event) => isAbout(event, key));
  if (events[last]?.reason !== 'RemovedInterface') return false;
  const added = events.findLastIndex((event) => isAbout(event, key) && event.reason === 'AddedInterface');
  return events.slice(added + 1).some(({ reason }) => reason.startsWith('Failed'));
}

type FieldDifference = readonly [field: string, wanted: Json, found: Json];

/** Only what is declared is compared: webhooks add keys of their own. */
function fieldDifferences(
  wanted: DesiredElement,
  owned: OwnedInterface | undefined,
  element: NetworkSelectionElement,
): readonly FieldDifference[] {
  const found: FieldDifference[] = [];
  if (owned !== undefined && objectKey(owned.network) !== objectKey(wanted.network)) {
    found.push(['network', objectKey(wanted.network), objectKey(owned.network)]);
  }
  if (owned !== undefined && owned.interface !== wanted.interface) {
    found.push(['interface', wanted.interface, owned.interface]);
  }
  const mac = element.mac === undefined ? null : normaliseMac(element.mac);
  if (wanted.mac !== undefined && wanted.mac !== mac) found.push(['mac', wanted.mac, mac]);
  const ips = (element.ips ?? []).toSorted();
  if (wanted.ips !== undefined && wanted.ips.toSorted().join() !== ips.join()) found.push(['ips', wanted.ips, ips]);
  return found;
}

function nicDifferences(wanted: DesiredElement, nic: DomainNic): readonly FieldDifference[] {
  const found: FieldDifference[] = [];
  if (wanted.mac !== undefined && nic.mac !== wanted.mac) found.push(['mac', wanted.mac, nic.mac ?? null]);
  const model = wanted.model ?? 'virtio';
  if (nic.model !== undefined && plainModel(nic.model) !== model) found.push(['model', model, nic.model]);
  if (nic.linkState !== wanted.state) found.push(['state', wanted.state, nic.linkState]);
  return found;
}

function stateOf(
  pod: LiveTargetPod,
  wanted: DesiredElement | undefined,
  owned: OwnedInterface | undefined,
  element: NetworkSelectionElement | undefined,
  inStatus: boolean,
  takenBack: boolean,
): PodAttachmentState {
  if (wanted === undefined) {
    if (element !== undefined) return 'surplus';
    return inStatus ? 'leaving' : 'released';
  }
  if (element === undefined) {
    if (owned !== undefined && inStatus) return 'leaving';
    return isTaken(pod, wanted) ? 'foreign' : 'missing';
  }
  const differs = fieldDifferences(wanted, owned, element).length > 0;
  if (owned === undefined) return differs ? 'foreign' : inStatus ? 'converged' : 'pending';
  if (differs) return isTaken(pod, wanted) ? 'foreign' : 'differs';
  if (!inStatus) return 'pending';
  return takenBack ? 'ghost' : 'converged';
}

/** Whether an element, or entry of network-status, that is not ours has the interface. */
function isTaken(pod: LiveTargetPod, wanted: DesiredElement): boolean {
  const own = new Set(pod.owned.map(interfaceKey));
  const { status } = pod;
  const entries = status === undefined || 'problem' in status ? [] : status;
  return (
    elementsOf(pod).some((one) => one.interface === wanted.interface && !own.has(elementKey(one))) ||
    entries.some((entry) => entry.interface === wanted.interface && !own.has(`${entry.name}/${entry.interface}`))
  );
}
