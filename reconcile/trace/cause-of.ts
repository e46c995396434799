/** Which cause explains a lag: what the plan says blocks it, else what the layer and the evidence tell. Pure. */
import type { Occurrence } from '../apply/reasons.ts';
import type { AttachmentDiff, Difference } from '../diff/model.ts';
import { vmBlockers } from '../plan/eligibility.ts';
import type { Blocker } from '../plan/model.ts';
import { networkBlockers } from '../plan/networks.ts';
import type { VmContext } from '../plan/steps.ts';
import { text } from '../systems/json-shape.ts';
import { conditionTypes, eventReasons, noPortsPattern } from '../systems/kubevirt-names.ts';
import { type Layer, objectKey } from '../vocabulary.ts';
import type { CauseCode } from './causes.ts';
import type { Evidence } from './evidence.ts';
import { conditionOf, conditionSince } from './times.ts';
import type { Findings } from './trace.ts';

/** What the plan says stands in the way, as far as it explains this layer. */
export function blockerFor(
  layer: Layer,
  diff: AttachmentDiff,
  { plan, live, subject }: Findings,
  context: VmContext,
): Blocker | undefined {
  const vm = subject.live;
  const blockers = plan?.blockers ?? [];
  const own = blockers.find(({ attachment }) => attachment === diff.name);
  if (own !== undefined) return own;
  const network = diff.wanted?.network;
  if (context.runState === 'starting' && network !== undefined && layer !== 'vm') {
    const missing = networkBlockers({ networks: live.networks, vm }, diff.name, network, 'plug')[0];
    if (missing !== undefined) return missing;
  }
  const whole = blockers.filter(
    ({ attachment, code }) => attachment === undefined && code !== 'port-count' && code !== 'restart-refused',
  );
  const ports = whole.find(({ code }) => code === 'no-ports');
  if (layer === 'vm') return whole[0];
  if (layer === 'domain' && ports !== undefined && diff.state === 'arriving') return ports;
  // What hinders only a next write is no reason for what is under way; what the VM does at this moment may be.
  const momentary = vmBlockers(context).find(({ code }) => code === 'vm-starting' || code === 'vm-not-ready');
  return layer === 'vmi' || layer === 'pod' ? momentary : undefined;
}

export function causeFor(
  layer: Layer,
  diff: AttachmentDiff,
  findings: Findings,
  context: VmContext,
  failure: Occurrence | undefined,
): CauseCode {
  const { subject, evidence } = findings;
  const here = diff.differences.filter((difference) => difference.layer === layer);
  if (layer === 'vm') return diff.wanted === undefined ? 'not-unplugged' : 'not-applied';
  if (layer === 'vmi') {
    if (subject.roles.get(diff.name) === 'foreign') return 'not-live';
    return here.every(({ field }) => field === 'sources') ? 'status-behind' : 'kubevirt-behind';
  }
  if (context.runState === 'migrating') return 'migrating';
  const migration = conditionOf(evidence.vmi, conditionTypes.migrationRequired);
  const due = migration?.status === 'True' || here.some(({ field }) => field === 'network');
  switch (layer) {
    case 'pod':
      return due ? 'migration-due' : 'annotation-behind';
    case 'multus':
      return failure === undefined ? deliveryCause(diff, findings, due) : 'cni-failed';
    case 'domain':
    case 'guest':
      return domainCause(diff, findings, here);
    default:
      return layer satisfies never;
  }
}

/** Why the networks of the pod are as they were. */
function deliveryCause({ wanted }: AttachmentDiff, { evidence, live }: Findings, due: boolean): CauseCode {
  const device = wanted !== undefined && live.networks.get(objectKey(wanted.network))?.resourceName !== undefined;
  if (device || wanted?.binding === 'sriov') return 'migration-due';
  const { onNode, daemonSet } = evidence.controller;
  if (onNode === 'missing' && daemonSet === undefined) return 'controller-missing';
  if (onNode === 'missing' || onNode === 'not-ready') return 'controller-not-ready';
  return due ? 'migration-due' : 'controller-silent';
}

function domainCause(
  { name, wanted }: AttachmentDiff,
  { subject, evidence }: Findings,
  here: readonly Difference[],
): CauseCode {
  const words = syncWords(evidence);
  if (words.some((each) => noPortsPattern.test(each))) return 'no-free-port';
  if (words.length > 0) return 'sync-failed';
  if (wanted !== undefined && here.every(({ field }) => field === 'state')) return 'link-behind';
  const absent = subject.live.vmi?.nics.find((nic) => nic.name === name)?.state === 'absent';
  return wanted === undefined || absent ? 'guest-not-releasing' : 'guest-not-taking';
}

/** What virt-launcher and virt-handler say is wrong at this moment. */
function syncWords({ vmi, events }: Evidence): readonly string[] {
  const condition = conditionOf(vmi, conditionTypes.synchronized);
  const told = condition?.status === 'False' ? [text(condition.message) ?? ''] : [];
  // The condition keeps its first message; what came after it is in the events.
  const since = conditionSince(vmi, conditionTypes.synchronized);
  if (told.length === 0 || since === undefined) return told;
  const reasons: readonly string[] = [eventReasons.syncFailed, eventReasons.nicHotplug];
  return [
    ...told,
    ...events
      .filter(({ reason, at }) => reasons.includes(reason) && at >= Date.parse(since.at))
      .map(({ message }) => message),
  ];
}
