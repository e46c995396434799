/** One VM, NIC by NIC and layer by layer: the first that lags, since when, why, and what to do. Pure. */
import { interfaceName, withNicNames } from '../apply/layers.ts';
import { failedInterface, type Occurrence } from '../apply/reasons.ts';
import type { DesiredState, DesiredTarget } from '../desired/model.ts';
import { type LayerReadings, readLayers, traceNic } from '../diff/layers.ts';
import type { AttachmentDiff, TargetDiff } from '../diff/model.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { runStateOf, vmBlockers } from '../plan/eligibility.ts';
import { heldWords } from '../plan/held.ts';
import type { Blocker, TargetPlan } from '../plan/model.ts';
import type { VmContext } from '../plan/steps.ts';
import { conditionTypes } from '../systems/kubevirt-names.ts';
import type { Layer } from '../vocabulary.ts';
import { blockerFor, causeFor } from './cause-of.ts';
import { type CauseCode, type CauseFacts, causeFacts, causes } from './causes.ts';
import type { Evidence } from './evidence.ts';
import { layerTraces } from './layer-words.ts';
import { type Lag, type LayerTrace, type NicTrace, type Since, type Trace, traceVersion } from './model.ts';
import { reasonsFor } from './reasons.ts';
import type { Subject } from './subject.ts';
import {
  conditionOf,
  conditionSince,
  instanceLists,
  lastWrite,
  later,
  networkStatusPath,
  networksPath,
  podStart,
  templateLists,
} from './times.ts';

export interface Findings {
  readonly subject: Subject;
  readonly diff: TargetDiff;
  /** Of the subject; undefined where there is nothing to plan. */
  readonly plan: TargetPlan | undefined;
  readonly live: LiveState;
  readonly evidence: Evidence;
  /** The desired state that was given, and its object for this VM. */
  readonly desired: DesiredState | undefined;
  readonly declared: DesiredTarget | undefined;
}

export function makeTrace(findings: Findings): Trace {
  const { subject, diff, plan, live, evidence, desired, declared } = findings;
  const vm = subject.live;
  const context: VmContext = {
    diff,
    vm,
    runState: runStateOf(vm),
    cluster: live.cluster,
    networks: live.networks,
    source: desired?.source ?? { kind: 'folder', path: '', digest: '' },
    restart: 'never',
    restartWindows: [],
  };
  const nics = diff.attachments.map((attachment) => traceOf(attachment, findings, context));
  const counted = nics.filter(
    ({ role }) => role !== 'default' && role !== 'unmanaged' && (role !== 'foreign' || desired === undefined),
  );
  const { server, delivery, kubevirtVersion } = live.cluster;
  return {
    version: traceVersion,
    target: { kind: 'VirtualMachine', namespace: vm.namespace, name: vm.name },
    ...(desired === undefined ? {} : { source: desired.source, declared: declared !== undefined }),
    runState: context.runState,
    ...(vm.vmi?.nodeName === undefined ? {} : { node: vm.vmi.nodeName }),
    ...(vm.pod === undefined ? {} : { pod: vm.pod.name }),
    cluster: {
      server,
      delivery,
      ...(kubevirtVersion === undefined ? {} : { kubevirtVersion }),
      controller: evidence.controller,
    },
    ...(plan?.ports === undefined ? {} : { ports: plan.ports }),
    agrees: counted.every(({ lag }) => lag === undefined),
    nics,
    blockers: [...vmBlockers(context), ...heldAnyway(vm, desired)],
    gaps: [...evidence.gaps, ...domainGap(vm)],
  };
}

/** Without a desired state nobody can tell whether the hold still stands: that there is one, counts. */
function heldAnyway(vm: LiveVm, desired: DesiredState | undefined): readonly Blocker[] {
  // What can't be read holds whatever is declared, and is told with the rest.
  if (desired !== undefined || vm.held?.input === undefined) return [];
  return [heldWords(vm.held, vm, 'vm')];
}

function domainGap({ domain, namespace }: LiveVm): readonly string[] {
  if (domain.kind === 'read' || domain.why === 'not-running') return [];
  const why = {
    'not-asked': 'not read, by --domain-xml never',
    forbidden: `no permission for pods/exec in namespace ${namespace}`,
    failed: domain.message ?? 'it could not be read',
  }[domain.why];
  return [`the domain XML: ${why}; the status of the VMI speaks for the domain`];
}

function traceOf(diff: AttachmentDiff, findings: Findings, context: VmContext): NicTrace {
  const { subject } = findings;
  const vm = subject.live;
  const { name, differences, state, wanted } = diff;
  const role = subject.roles.get(name) ?? 'unmanaged';
  const traces = traceNic(vm, name);
  const readings = readLayers(vm, name, traces);
  const seen = layerTraces(diff, role, readings, vm, context.runState);
  const network = wanted?.network ?? traces.vm?.network ?? traces.vmi?.network;
  const first = firstLagging(seen);
  const lag = first === undefined ? undefined : lagOf(first.layer, diff, findings, context, readings);
  const isDeclared = role === 'declared' && wanted !== undefined;
  return {
    name,
    role,
    state,
    ...(isDeclared ? { position: wanted.position } : {}),
    ...(network === undefined ? {} : { network }),
    ...(role === 'default' || vm.vmi === undefined ? {} : { podInterface: interfaceName(vm, name) }),
    layers: seen,
    differences,
    ...(lag === undefined ? {} : { lag }),
  };
}

/** The first that lags of its own accord; where all only wait, the innermost of them. */
function firstLagging(traces: readonly LayerTrace[]): LayerTrace | undefined {
  const lagging = traces.filter(
    ({ layer, verdict }) => layer !== 'guest' && (verdict === 'lags' || verdict === 'waits'),
  );
  return lagging.find(({ verdict }) => verdict === 'lags') ?? lagging.at(-1);
}

function lagOf(
  layer: Layer,
  diff: AttachmentDiff,
  findings: Findings,
  context: VmContext,
  readings: LayerReadings,
): Lag {
  const { live, evidence, subject } = findings;
  const vm = subject.live;
  const pod = evidence.pods.find(({ metadata }) => metadata.name === vm.pod?.name) ?? evidence.pods[0];
  const annotated = lastWrite(pod, networksPath, 'the networks annotation of the pod');
  const needles = [interfaceName(vm, diff.name)];
  const failure =
    layer === 'multus'
      ? failedInterface(evidence.events, needles, annotated === undefined ? 0 : Date.parse(annotated.at))
      : undefined;
  const why = blockerFor(layer, diff, findings, context) ?? causeFor(layer, diff, findings, context, failure);
  const network = diff.wanted?.network ?? traceNic(vm, diff.name).vmi?.network;
  const facts = causeFacts({
    nic: diff.name,
    target: vm,
    written: 'the template of the VM',
    node: vm.vmi?.nodeName,
    pod: vm.pod?.name,
    network,
    controller: evidence.controller,
  });
  const since = sinceOf(layer, isLeaving(diff, readings), evidence, pod, failure);
  return {
    layer,
    ...wordsOf(why, facts),
    ...(since === undefined ? {} : { since }),
    reasons: reasonsFor(layer, evidence, {
      own: interfaceName(vm, diff.name),
      others: othersOf(vm, diff.name),
      inWords: (text) => withNicNames(text, vm, [diff.name]),
      node: facts.node,
      network,
      networks: live.networks,
      failure,
      ports: findings.plan?.ports,
    }),
  };
}

/** Interfaces of the other NICs, whose events are not about this one. */
function othersOf(vm: LiveVm, name: string): readonly string[] {
  const others = [...vm.nics, ...(vm.vmi?.nics ?? [])].filter((nic) => nic.name !== name && !nic.isDefault);
  return others.map((nic) => interfaceName(vm, nic.name));
}

/** A blocker says it itself; the rest stands in the table. */
export function wordsOf(
  why: Blocker | CauseCode,
  facts: CauseFacts,
): { readonly cause: string; readonly summary: string; readonly remedy: string } {
  if (typeof why !== 'string') return { cause: why.code, summary: why.message, remedy: why.remedy };
  return { cause: why, summary: causes[why].summary(facts), remedy: causes[why].remedy(facts) };
}

function isLeaving({ state }: AttachmentDiff, readings: LayerReadings): boolean {
  if (state === 'leaving' || state === 'surplus') return true;
  const { vmi } = readings;
  return typeof vmi === 'object' && vmi.state === 'absent';
}

/** A layer lags since the one before it came to ask for what it lacks. */
function sinceOf(
  layer: Layer,
  leaving: boolean,
  evidence: Evidence,
  pod: Evidence['pods'][number] | undefined,
  failure: Occurrence | undefined,
): Since | undefined {
  const { vm, vmi } = evidence;
  const instance = lastWrite(vmi, instanceLists, 'the NIC lists of the VMI');
  switch (layer) {
    case 'vm':
      return undefined;
    case 'vmi': {
      const restart = conditionOf(vm, conditionTypes.restartRequired);
      if (restart?.status === 'True') return conditionSince(vm, conditionTypes.restartRequired);
      return lastWrite(vm, templateLists, 'the NIC lists of the VM');
    }
    case 'pod':
      return later(instance, podStart(pod));
    case 'multus': {
      if (failure !== undefined) {
        const at = new Date(failure.first ?? failure.at).toISOString().replace('.000Z', 'Z');
        return { at, by: `${failure.reason} on ${failure.about}`, orEarlier: false };
      }
      return later(lastWrite(pod, networksPath, 'the networks annotation of the pod'), podStart(pod));
    }
    case 'domain':
    case 'guest': {
      const failed = conditionOf(vmi, conditionTypes.synchronized);
      if (failed?.status === 'False') return conditionSince(vmi, conditionTypes.synchronized);
      if (leaving) return instance;
      return later(lastWrite(pod, networkStatusPath, 'the network-status of the pod'), podStart(pod)) ?? instance;
    }
    default:
      return layer satisfies never;
  }
}
