/** One pod, NIC by NIC and layer by layer: annotation, network-status, and the domain in the pod where one is declared. Pure. */
import { failedInterface, type Occurrence } from '../apply/reasons.ts';
import type { DesiredElement, DesiredPods, DesiredState } from '../desired/model.ts';
import {
  elementKey,
  elementsOf,
  interfaceKey,
  isTakenBack,
  type PodAttachmentDiff,
  type PodDiff,
  statusKeysOf,
} from '../diff/pods.ts';
import type { Position } from '../errors.ts';
import type { LiveState } from '../live/model.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import { heldWords, podHeldBlocker } from '../plan/held.ts';
import type { Blocker, PodPlan } from '../plan/model.ts';
import { podBlockers, podRunState } from '../plan/pod-eligibility.ts';
import { type Layer, objectKey } from '../vocabulary.ts';
import { type CauseCode, causeFacts } from './causes.ts';
import type { Evidence } from './evidence.ts';
import {
  type Lag,
  type LayerTrace,
  type NicRole,
  type NicTrace,
  type Since,
  type Trace,
  traceVersion,
} from './model.ts';
import { reasonsFor } from './reasons.ts';
import { lastWrite, later, networkStatusPath, networksPath, podStart } from './times.ts';
import { wordsOf } from './trace.ts';

export interface PodFindings {
  readonly subject: PodSubject;
  readonly diff: PodDiff;
  readonly plan: PodPlan | undefined;
  readonly live: LiveState;
  readonly evidence: Evidence;
  readonly desired: DesiredState | undefined;
  readonly declared: boolean;
}

export interface PodSubject {
  readonly desired: DesiredPods;
  readonly roles: ReadonlyMap<string, NicRole>;
}

const nowhere: Position = { file: '', line: 1, column: 1 };

/** What each NIC of a pod is held against: its declaration, else the annotation of the pod. */
export function podSubjectOf(pod: LiveTargetPod, declared: DesiredPods | undefined, hasSource: boolean): PodSubject {
  const attachments: DesiredElement[] = [...(declared?.attachments ?? [])];
  const roles = new Map<string, NicRole>(attachments.map(({ name }) => [name, 'declared']));
  const known = new Set([...attachments, ...(declared === undefined ? [] : pod.owned)].map(interfaceKey));
  for (const element of elementsOf(pod)) {
    const iface = element.interface;
    if (iface === undefined || known.has(elementKey(element))) continue;
    const name = pod.owned.find((one) => interfaceKey(one) === elementKey(element))?.name ?? iface;
    if (roles.has(name) || attachments.some((one) => one.interface === iface)) continue;
    roles.set(name, hasSource ? 'unmanaged' : 'present');
    const network = { namespace: element.namespace, name: element.name };
    attachments.push({ name, network, interface: iface, state: 'up', position: nowhere });
  }
  const { namespace, name } = pod;
  return {
    desired: {
      repair: false,
      position: nowhere,
      ...declared,
      query: { namespace, name },
      name,
      attachments,
    },
    roles,
  };
}

export function makePodTrace(findings: PodFindings): Trace {
  const { subject, diff, plan, live, evidence, desired, declared } = findings;
  const { pod } = diff;
  // A record of what is gone is no NIC.
  const seen = diff.attachments.filter(({ state }) => state !== 'released');
  const nics = seen.map((attachment) => traceOf(attachment, findings));
  const { server, delivery, kubevirtVersion } = live.cluster;
  return {
    version: traceVersion,
    target: { kind: 'Pod', namespace: pod.namespace, name: pod.name },
    ...(desired === undefined ? {} : { source: desired.source, declared }),
    runState: podRunState(pod),
    ...(pod.node === undefined ? {} : { node: pod.node }),
    cluster: {
      server,
      delivery,
      ...(kubevirtVersion === undefined ? {} : { kubevirtVersion }),
      controller: evidence.controller,
    },
    ...(plan?.ports === undefined ? {} : { ports: plan.ports }),
    agrees: nics.every(({ lag, role }) => lag === undefined || role === 'unmanaged'),
    nics,
    blockers: [...heldOf(diff, live, desired), ...podBlockers(diff, live)],
    gaps: [...evidence.gaps, ...domainGap(pod, subject.desired)],
  };
}

/** Without a desired state nobody can tell whether the hold still stands: that there is one, counts. */
function heldOf(diff: PodDiff, live: LiveState, desired: DesiredState | undefined): readonly Blocker[] {
  const { held } = diff.pod;
  if (held === undefined) return [];
  return desired === undefined
    ? [heldWords(held, diff.pod, 'pod')]
    : [podHeldBlocker(diff, live.networks)].flatMap((one) => one ?? []);
}

function domainGap({ domain }: LiveTargetPod, desired: DesiredPods): readonly string[] {
  if (desired.domain === undefined || domain?.kind === 'read') return [];
  const why =
    domain?.kind === 'unfit' ? `the container lacks ${domain.missing.join(', ')}` : (domain?.why ?? 'not read');
  return [`the domain ${desired.domain.name}: ${why}`];
}

function traceOf(diff: PodAttachmentDiff, findings: PodFindings): NicTrace {
  const { wanted, owned, name, state, differences } = diff;
  const of = owned ?? wanted;
  const layers = layersOf(diff, findings);
  const first = layers.find(({ verdict }) => verdict === 'lags');
  const role = findings.subject.roles.get(name) ?? 'owned';
  return {
    name,
    role,
    state,
    ...(role === 'declared' && wanted !== undefined ? { position: wanted.position } : {}),
    ...(of === undefined ? {} : { network: of.network, podInterface: of.interface }),
    layers,
    differences,
    ...(first === undefined ? {} : { lag: lagOf(first.layer, diff, findings) }),
  };
}

/** Whoever plugged it: network-status has it, and the controller reported since that it took it out again. */
function isGhost({ state, owned, wanted }: PodAttachmentDiff, pod: LiveTargetPod): boolean {
  const of = owned ?? wanted;
  if (state === 'ghost' || state !== 'converged' || of === undefined) return state === 'ghost';
  return isTakenBack(pod, interfaceKey(of));
}

function layersOf(diff: PodAttachmentDiff, { diff: { pod, desired } }: PodFindings): readonly LayerTrace[] {
  const { differences, owned, wanted, nic } = diff;
  const ghost = isGhost(diff, pod);
  const of = owned ?? wanted;
  const key = of === undefined ? '' : interfaceKey(of);
  const verdict = (layer: Layer): LayerTrace['verdict'] =>
    differences.some((difference) => difference.layer === layer) || (layer === 'multus' && ghost) ? 'lags' : 'agrees';
  const traces: LayerTrace[] = [];
  const add = (layer: Layer, there: boolean, problem: string | undefined, more: string): void => {
    const fields = differences.filter((each) => each.layer === layer && each.field !== 'present');
    const words = [
      there ? `there${more}` : 'not there',
      ...fields.map((each) => `${each.field} ${each.wanted ?? 'unset'} wanted`),
    ];
    traces.push(
      problem === undefined
        ? { layer, verdict: verdict(layer), seen: words.join('; ') }
        : { layer, verdict: 'unread', seen: problem },
    );
  };
  const { networks, status } = pod;
  const inPod = elementsOf(pod).some((element) => elementKey(element) === key);
  add(
    'pod',
    inPod,
    'problem' in networks ? networks.problem : undefined,
    of === undefined ? '' : `, ${objectKey(of.network)}`,
  );
  const unread =
    status === undefined ? 'the pod has no network-status' : 'problem' in status ? status.problem : undefined;
  add('multus', statusKeysOf(pod).includes(key), unread, ghost ? ', and reported gone' : '');
  if (desired.domain !== undefined) {
    const mac = nic?.mac === undefined ? '' : `, ${nic.mac}`;
    add('domain', nic !== undefined, pod.domain?.kind === 'read' ? undefined : 'not read', mac);
  }
  return traces;
}

function lagOf(layer: Layer, diff: PodAttachmentDiff, findings: PodFindings): Lag {
  const { diff: podDiff, live, evidence, plan } = findings;
  const { pod } = podDiff;
  const { owned, wanted, name } = diff;
  const of = owned ?? wanted;
  const [object] = evidence.pods;
  const annotated = lastWrite(object, networksPath, 'the networks annotation of the pod');
  const iface = `interface ${of?.interface ?? ''} `;
  const since = annotated === undefined ? 0 : Date.parse(annotated.at);
  const failure = layer === 'multus' ? failedInterface(evidence.events, [iface], since) : undefined;
  const facts = causeFacts({
    nic: name,
    target: pod,
    written: layer === 'domain' ? 'the domain in the pod' : 'the annotation of the pod',
    node: pod.node,
    pod: pod.name,
    network: of?.network,
    controller: evidence.controller,
  });
  const why = blockerFor(layer, diff, findings) ?? causeFor(layer, diff, evidence, failure, isGhost(diff, pod));
  const moment = sinceOf(layer, object, annotated, failure);
  return {
    layer,
    ...wordsOf(why, facts),
    ...(moment === undefined ? {} : { since: moment }),
    reasons: reasonsFor(layer, evidence, {
      own: iface,
      others: podDiff.attachments
        .filter((each) => each.name !== name)
        .map((each) => `interface ${(each.owned ?? each.wanted)?.interface ?? ''} `),
      inWords: (text) => text,
      node: facts.node,
      network: of?.network,
      networks: live.networks,
      failure,
      ports: plan?.ports,
    }),
  };
}

function blockerFor(layer: Layer, { name }: PodAttachmentDiff, { diff, plan, live }: PodFindings): Blocker | undefined {
  const blockers = plan?.blockers ?? [];
  const own = blockers.find(({ attachment }) => attachment === name);
  if (own !== undefined) return own;
  // An element that hangs is no reason of its own.
  if (layer === 'multus') return podBlockers(diff, live).find(({ code }) => code !== 'pod-unsettled');
  return blockers.find(({ attachment }) => attachment === undefined);
}

function causeFor(
  layer: Layer,
  { state, wanted }: PodAttachmentDiff,
  { controller }: Evidence,
  failure: Occurrence | undefined,
  ghost: boolean,
): CauseCode {
  if (layer !== 'multus') return wanted === undefined ? 'not-unplugged' : 'not-applied';
  if (ghost) return 'ghost';
  // What the annotation does not ask for can't be in network-status.
  if (state === 'missing' || state === 'surplus' || state === 'differs')
    return wanted === undefined ? 'not-unplugged' : 'not-applied';
  if (failure !== undefined) return 'cni-failed';
  return controller.onNode === 'ready' || controller.onNode === 'unknown'
    ? 'controller-silent'
    : 'controller-not-ready';
}

function sinceOf(
  layer: Layer,
  object: Evidence['pods'][number] | undefined,
  annotated: Since | undefined,
  failure: Occurrence | undefined,
): Since | undefined {
  if (layer === 'pod') return undefined;
  if (failure !== undefined) {
    const at = new Date(failure.first ?? failure.at).toISOString().replace('.000Z', 'Z');
    return { at, by: `${failure.reason} on ${failure.about}`, orEarlier: false };
  }
  if (layer === 'multus') return later(annotated, podStart(object));
  return later(lastWrite(object, networkStatusPath, 'the network-status of the pod'), podStart(object));
}
