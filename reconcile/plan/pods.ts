/** What is to be done about one pod: which attachments go, which come, and in which order, or what stands in the way. */

import type { DesiredElement } from '../desired/model.ts';
import { elementKey, elementsOf, interfaceKey, type PodAttachmentDiff, type PodDiff } from '../diff/pods.ts';
import type { LiveState } from '../live/model.ts';
import { objectKey } from '../vocabulary.ts';
import { podHeldBlocker } from './held.ts';
import type { Blocker } from './model.ts';
import { launcherBlockers, podBlockers, repairsOf } from './pod-eligibility.ts';
import type { OwnedElement, PlannedElement, PodAction } from './pod-model.ts';
import { elementNetworkBlockers } from './pod-networks.ts';
import { type PodPorts, portPlanOf } from './pod-ports.ts';
import { protectedBlocker, protectedPod } from './protection.ts';
import { blocker } from './steps.ts';
import { isSuspended } from './suspended.ts';

type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;
/** An action before it has its id. */
export type PodStep = DistributiveOmit<PodAction, 'id' | 'after'>;

export interface PodDraft {
  readonly diff: PodDiff;
  readonly steps: readonly PodStep[];
  readonly blockers: readonly Blocker[];
  readonly ports?: PodPorts;
}

/** Steps that touch neither annotation nor domain. */
function isFree(step: PodStep): boolean {
  return step.kind === 'pod-follow' || step.kind === 'pod-release';
}

/**
 * Drafts one pod. Unplugs come before plugs and never share a write with one; one write adds one element; nothing is
 * written while another element of ours is pending, since the controller would try that too.
 * @param forbidden what keeps the pod from any change, found by looking beyond it
 * @param refused blockers by attachment that were found by looking at other pods
 */
export function draftPod(
  diff: PodDiff,
  live: LiveState,
  forbidden: readonly Blocker[] = [],
  refused: ReadonlyMap<string, Blocker> = new Map(),
): PodDraft {
  const judged = diff.attachments.map((one) => judge(diff, one, live, refused.get(one.name)));
  const blockers = judged.flatMap((one) => one.blockers);
  const steps = orderOf(diff, judged);
  const suspended = isSuspended(forbidden);
  const writes = steps.some((step) => !isFree(step) || (suspended && step.kind === 'pod-release'));
  const inAnnotation = steps.some((step) => step.kind.startsWith('pod-') && !isFree(step));
  const wantsChange =
    inAnnotation || judged.some(({ blocked, attachment }) => blocked && attachment.state !== 'converged');
  const held = steps.some(({ kind }) => kind !== 'pod-release') ? podHeldBlocker(diff, live.networks) : undefined;
  const onPod = [
    ...(held === undefined ? [] : [held]),
    ...(wantsChange || hangs(diff) ? podBlockers(diff, live) : writes ? launcherBlockers(diff, live) : []),
    ...(writes ? forbidden : []),
    ...judged.flatMap((one) => one.onPod),
    ...(writes ? agentBlockers(diff, steps) : []),
    ...(inAnnotation ? droppedDomain(diff, steps) : []),
  ];
  if (onPod.length > 0) {
    const left = afterBlock(diff, steps).filter(({ kind }) => !suspended || kind === 'pod-follow');
    return { diff, steps: left, blockers: [...onPod, ...blockers] };
  }
  const ports = portPlanOf(diff, steps);
  if (ports?.shortage !== undefined) {
    return { diff, steps: steps.filter(isFree), blockers: [ports.shortage, ...blockers], ports: ports.ports };
  }
  return { diff, steps: ports?.steps ?? steps, blockers, ...(ports === undefined ? {} : { ports: ports.ports }) };
}

/** A blocked pod may still be followed, and loses the records of what is gone already. */
function afterBlock({ attachments, pod }: PodDiff, steps: readonly PodStep[]): readonly PodStep[] {
  if (pod.deleting) return [];
  const gone = new Set(attachments.filter(({ state }) => state === 'released').map(({ name }) => name));
  return steps.flatMap((step): readonly PodStep[] => {
    if (step.kind === 'pod-follow') return [step];
    if (step.kind !== 'pod-release') return [];
    const names = step.attachments.filter((name) => gone.has(name));
    return names.length === 0 ? [] : [{ ...step, attachments: names }];
  });
}

/** What another hand wrote as it is declared, and the controller gave up: there is nothing of ours to ask for again. */
function hangs({ attachments, pod }: PodDiff): boolean {
  if (pod.settling && !attachments.some(({ failed }) => failed)) return false;
  return attachments.some(({ state, owned }) => state === 'pending' && owned === undefined);
}

function agentBlockers({ pod, desired }: PodDiff, steps: readonly PodStep[]): readonly Blocker[] {
  const { domain } = desired;
  if (domain === undefined) return [];
  const where = `the container ${domain.container} of ${pod.name}`;
  if (pod.domain?.kind === 'read') {
    const comes = steps.some(({ kind }) => kind === 'domain-attach' || kind === 'domain-link');
    if (pod.domain.domain.running || !comes) return [];
    const message = `the domain ${domain.name} in ${where} does not run, and what is off takes no NIC`;
    return [blocker('agent-unread', undefined, message, 'Start the domain, then run again.')];
  }
  if (pod.domain?.kind === 'unfit') {
    const missing = pod.domain.missing.join(', ');
    const message = `${where} can plug nothing into ${domain.name}: it lacks ${missing}`;
    const remedy = `Give the container ${missing}: NICs are plugged by virsh, dd and ip (iproute2) with NET_ADMIN and /dev/net/tun.`;
    return [blocker('agent-unfit', undefined, message, remedy)];
  }
  const why = pod.domain?.why ?? 'nobody looked';
  const message = `the domain ${domain.name} in ${where} can not be seen: ${why}`;
  const remedy = 'Mend domain, container or uri of the declaration, or what the message says; it needs pods/exec.';
  return [blocker('agent-unread', undefined, message, remedy)];
}

/** Without its domain, a NIC that goes would leave device, tap and bridge behind. */
function droppedDomain({ pod, desired }: PodDiff, steps: readonly PodStep[]): readonly Blocker[] {
  const going = new Set(
    steps.flatMap((step) => (step.kind === 'pod-unplug' ? step.elements.map(({ name }) => name) : [])),
  );
  const left = pod.owned.find(
    ({ name, domain }) => going.has(name) && domain !== undefined && domain !== desired.domain?.name,
  );
  if (left === undefined) return [];
  const message = `"${left.name}" is a NIC of the domain ${left.domain} in ${pod.name}, which the declaration does not name`;
  const remedy = `Declare the domain ${left.domain} again without that attachment, and apply; then drop the domain.`;
  return [blocker('agent-dropped', undefined, message, remedy)];
}

/** One attachment, judged on its own. */
interface Judged {
  readonly attachment: PodAttachmentDiff;
  /** It must go before anything else of the pod comes. */
  readonly out: boolean;
  /** It is to come, or to come anew. */
  readonly in: boolean;
  readonly blocked: boolean;
  readonly blockers: readonly Blocker[];
  /** Blockers of the whole pod: without a way out for this attachment nothing of the pod may change. */
  readonly onPod: readonly Blocker[];
}

function judge(diff: PodDiff, attachment: PodAttachmentDiff, live: LiveState, refusal: Blocker | undefined): Judged {
  const { state, wanted, owned, name } = attachment;
  const isOut = state === 'surplus' || state === 'differs' || state === 'ghost' || state === 'leaving';
  const isIn = wanted !== undefined && (isOut || state === 'missing' || state === 'pending');
  const into = isIn && wanted !== undefined ? plugBlockers(diff, wanted, live) : [];
  // A NAD is needed only where the interface is there.
  const inStatus = isOut && owned !== undefined && diff.pod.status !== undefined;
  const from = inStatus && owned !== undefined ? elementNetworkBlockers(diff, live, name, owned.network, 'unplug') : [];
  const found = [
    ...(state === 'foreign' && wanted !== undefined ? [foreign(diff, wanted)] : []),
    ...into,
    ...from,
    ...(isOut && state !== 'ghost' && state !== 'leaving' ? (protectedElement(diff, name) ?? []) : []),
    ...(refusal === undefined ? [] : [refusal]),
  ];
  const blocked = found.length > 0;
  // What has left the annotation goes with whatever is written next; where it can't, that fails.
  const stuck = state === 'leaving' && from.length > 0;
  return {
    attachment,
    out: isOut && !blocked,
    in: isIn && !blocked,
    blocked,
    blockers: stuck ? [] : found,
    onPod: stuck ? from.map(({ attachment: _one, ...rest }) => rest) : [],
  };
}

function protectedElement({ pod, attachments }: PodDiff, name: string): readonly Blocker[] | undefined {
  const found = protectedBlocker(protectedPod(pod, attachments), name, 'it would be taken out of the pod');
  return found === undefined ? undefined : [found];
}

function plugBlockers(diff: PodDiff, wanted: DesiredElement, live: LiveState): readonly Blocker[] {
  const found = [...elementNetworkBlockers(diff, live, wanted.name, wanted.network, 'plug')];
  const fixed = [...(wanted.mac === undefined ? [] : ['mac']), ...(wanted.ips === undefined ? [] : ['ips'])];
  if (diff.siblings > 1 && fixed.length > 0) {
    const message = `${fixed.join(' and ')} of "${wanted.name}" would be those of ${diff.siblings} pods that the selector matches`;
    const remedy = `Remove ${fixed.join(' and ')}, or declare each pod by its name.`;
    found.push(blocker('shared-address', wanted.name, message, remedy));
  }
  return found;
}

function foreign({ pod }: PodDiff, wanted: DesiredElement): Blocker {
  const other = elementsOf(pod).find((element) => element.interface === wanted.interface);
  const held = other === undefined ? 'network-status lists it' : `${objectKey(other)} has it in the annotation`;
  return blocker(
    'foreign-element',
    wanted.name,
    `the interface ${wanted.interface} of ${pod.name} is not as declared, and patchpanel did not plug it: ${held}`,
    'Declare another interface, or take that element out of the annotation by hand.',
  );
}

/** The steps of a pod in the order of execution. */
function orderOf(diff: PodDiff, judged: readonly Judged[]): readonly PodStep[] {
  const { pod, desired } = diff;
  const following = pod.settling && !judged.some(({ attachment }) => attachment.failed);
  const pendings = judged.filter(({ attachment }) => attachment.state === 'pending');
  const leavings = judged.filter(({ out, attachment }) => out && attachment.state === 'leaving');
  const outs = judged.filter(({ out, attachment }) => out && attachment.state !== 'leaving');
  const repairs = desired.repair ? repairsOf(pod) : [];
  const steps: PodStep[] = repairs.length === 0 ? [] : [{ kind: 'pod-repair', elements: repairs }];
  // A change on its way ends before anything is written.
  const followed = new Set(following ? [...pendings, ...leavings].filter(({ blocked }) => !blocked) : []);
  for (const { attachment } of leavings.filter((one) => followed.has(one))) {
    steps.push({ kind: 'pod-follow', attachment: attachment.name, until: 'gone' });
  }
  for (const { attachment } of pendings.filter((one) => followed.has(one))) {
    steps.push({ kind: 'pod-follow', attachment: attachment.name, until: 'plugged' });
  }
  const stuck = pendings.filter((one) => !followed.has(one) && one.attachment.owned !== undefined);
  const lost = leavings.filter((one) => !followed.has(one));
  const comes = judged.some(({ in: isIn, attachment }) => isIn && attachment.state === 'missing');
  const open = stuck.filter(({ blocked }) => !blocked);
  // One element that the controller gave up can be asked for again. With anything else to write it would be tried too, so
  // it goes first, as do several: the controller takes back those that it could add when it fails at the next.
  const anew =
    outs.length > 0 ||
    (stuck.length > 0 && (lost.length > 0 || (comes && open.length < stuck.length))) ||
    (stuck.length > 1 && open.length > 0);
  const going = anew ? [...outs, ...stuck, ...lost] : [];
  for (const { attachment } of anew ? going : lost) steps.push(...detach(diff, attachment));
  // Both the old and the record of a change: a NIC whose record is released may have left its wiring behind.
  for (const { attachment } of judged.filter(({ attachment: one }) => one.state === 'released')) {
    steps.push(...detach(diff, attachment));
  }
  if (going.length > 0) {
    steps.push({
      kind: 'pod-unplug',
      elements: going.map(({ attachment }) => ownedOf(attachment)),
      ghost: going.some(({ attachment }) => attachment.state === 'ghost'),
    });
  } else if (lost.length > 0) {
    steps.push({ kind: 'pod-kick', attachments: lost.map(({ attachment }) => attachment.name), until: 'gone' });
  }
  const gone = judged.filter(
    ({ attachment, out }) =>
      attachment.wanted === undefined && (out || attachment.state === 'released') && attachment.owned !== undefined,
  );
  if (gone.length > 0) steps.push({ kind: 'pod-release', attachments: gone.map(({ attachment }) => attachment.name) });
  const kicked = anew ? [] : open;
  if (kicked.length > 0) {
    steps.push({ kind: 'pod-kick', attachments: kicked.map(({ attachment }) => attachment.name), until: 'plugged' });
  }
  const replugged = new Set([...going, ...lost, ...leavings]);
  for (const one of judged) steps.push(...arrival(diff, one, replugged.has(one)));
  return steps;
}

/** Plug, then the domain; only the domain where the pod has the interface already. */
function arrival(diff: PodDiff, one: Judged, replugged: boolean): readonly PodStep[] {
  const { attachment, blocked } = one;
  const { wanted, state } = attachment;
  if (wanted === undefined || blocked) return [];
  const plugs = one.in && (state === 'missing' || replugged);
  const steps: PodStep[] = plugs ? [{ kind: 'pod-plug', element: plannedElement(wanted) }] : [];
  if (diff.desired.domain === undefined || diff.pod.domain?.kind !== 'read') return steps;
  const fields = attachment.differences.filter(({ layer }) => layer === 'domain').map(({ field }) => field);
  const isNew = plugs || attachment.nic === undefined;
  const changed = !isNew && fields.some((field) => field === 'mac' || field === 'model');
  if (changed) steps.push(...detach(diff, attachment));
  if (isNew || changed) steps.push(attach(wanted));
  else if (fields.includes('state')) {
    const { name, interface: iface, state: link } = wanted;
    steps.push({ kind: 'domain-link', attachment: name, interface: iface, state: link });
  }
  return steps;
}

function attach(wanted: DesiredElement): PodStep {
  return {
    kind: 'domain-attach',
    attachment: wanted.name,
    interface: wanted.interface,
    model: wanted.model ?? 'virtio',
    ...(wanted.mac === undefined ? {} : { mac: wanted.mac }),
    state: wanted.state,
  };
}

/** Also where only tap or bridge are left of it. */
function detach(diff: PodDiff, attachment: PodAttachmentDiff): readonly PodStep[] {
  if (diff.desired.domain === undefined || (attachment.nic === undefined && !attachment.wired)) return [];
  return [{ kind: 'domain-detach', attachment: attachment.name, interface: ownedOf(attachment).interface }];
}

function ownedOf({ name, owned, wanted }: PodAttachmentDiff): OwnedElement {
  const of = owned ?? wanted;
  return {
    name,
    network: of?.network ?? { namespace: '', name: '' },
    interface: of?.interface ?? '',
  };
}

/** An attachment as its element says it. */
export function plannedElement(wanted: DesiredElement): PlannedElement {
  const { name, network, interface: iface, mac, ips } = wanted;
  return {
    name,
    network: { namespace: network.namespace, name: network.name },
    interface: iface,
    ...(mac === undefined ? {} : { mac }),
    ...(ips === undefined ? {} : { ips }),
  };
}

/** Interfaces of the pod that are neither declared nor owned, sorted; the default network goes without saying. */
export function unmanagedInterfaces({ pod, attachments }: PodDiff): readonly string[] {
  const ours = new Set(
    attachments.filter(({ state }) => state !== 'foreign').map((attachment) => interfaceKey(ownedOf(attachment))),
  );
  return elementsOf(pod)
    .filter((element) => !ours.has(elementKey(element)))
    .map((element) => element.interface ?? objectKey(element))
    .sort();
}
