/** What is to be done about one attachment: the rule by its state, and whether the VM runs. */

import type { DesiredAttachment } from '../desired/model.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import { restartFields } from '../diff/diff.ts';
import { type NicTraces, traceNic } from '../diff/layers.ts';
import type { AttachmentDiff, Difference } from '../diff/model.ts';
import type { SpecNic } from '../live/model.ts';
import { macFault } from '../systems/mac.ts';
import { objectKey } from '../vocabulary.ts';
import { migrationBlockers, plugDelivery, unplugBlockers } from './live-ability.ts';
import type { Blocker, PlannedAttachment } from './model.ts';
import { nameBlockers } from './names.ts';
import { networkBlockers } from './networks.ts';
import { protectedBlocker, protectedVm } from './protection.ts';
import { blockedBy, blocker, merge, nothing, type Outcome, type Step, taking, type VmContext } from './steps.ts';

/** The steps of one attachment, or what blocks them. */
export function attachmentOutcome(context: VmContext, diff: AttachmentDiff): Outcome {
  const traces = traceNic(context.vm, diff.name);
  if (diff.wanted !== undefined) {
    const refused = offLimits(context, diff.wanted, traces);
    if (refused !== undefined) return blockedBy(refused);
  }
  const outcome = outcomeInState(context, diff, traces);
  // The record of a VM of another repository is that one's to tidy.
  if (!isOfAnother(context.vm.source, context.source)) return outcome;
  return { ...outcome, steps: outcome.steps.filter(({ kind }) => kind !== 'release') };
}

function outcomeInState(context: VmContext, diff: AttachmentDiff, traces: NicTraces): Outcome {
  switch (context.runState) {
    case 'running':
    case 'paused':
    case 'migrating':
      return runningOutcome(context, diff, traces);
    case 'stopped':
      return stoppedOutcome(context, diff, traces);
    case 'starting':
    case 'stopping':
    case 'missing':
      return nothing;
    default:
      return context.runState satisfies never;
  }
}

/** Whether anything is to be written for the attachment, whatever the VM does at this moment. */
export function wantsWrite(diff: AttachmentDiff): boolean {
  switch (diff.state) {
    case 'missing':
    case 'surplus':
      return true;
    case 'differs':
      return diff.differences.some(({ layer }) => layer === 'vm');
    case 'leaving':
      return diff.wanted !== undefined;
    case 'converged':
    case 'arriving':
    case 'released':
    case 'unmanaged':
      return false;
    default:
      return diff.state satisfies never;
  }
}

/** An attachment as it is written. */
export function planned(wanted: DesiredAttachment): PlannedAttachment {
  return {
    name: wanted.name,
    network: { namespace: wanted.network.namespace, name: wanted.network.name },
    binding: wanted.binding,
    state: wanted.state,
    ...(wanted.mac === undefined ? {} : { mac: wanted.mac }),
    ...(wanted.model === undefined ? {} : { model: wanted.model }),
  };
}

/** A declared name that stands for a NIC which patchpanel must not touch. */
function offLimits({ vm }: VmContext, wanted: DesiredAttachment, traces: NicTraces): Blocker | undefined {
  const nics = [traces.vm, traces.vmi].filter((nic) => nic !== undefined);
  if (nics.some((nic) => nic.isDefault)) {
    return blocker(
      'default-network',
      wanted.name,
      `"${wanted.name}" is the default network of ${vm.name}, which is off limits`,
      'Give the attachment another name, or remove it from the repository.',
    );
  }
  const foreign = nics.find(
    (nic) => nic.network === undefined || (nic.binding !== 'bridge' && nic.binding !== 'sriov'),
  );
  if (foreign === undefined) return undefined;
  const what = foreign.network === undefined ? 'is not on a Multus network' : `has the binding ${foreign.binding}`;
  return blocker(
    'foreign-nic',
    wanted.name,
    `${vm.name} has a NIC "${wanted.name}" that ${what}; patchpanel did not plug it and can not change it`,
    `Give the attachment another name, or remove that NIC from ${vm.name} by hand.`,
  );
}

/** Of a VM that runs, the default network that it was given is written out beside the first NIC. */
function losesDefault({ vm }: VmContext, name: string): Blocker {
  return blocker(
    'default-network',
    name,
    `the template of ${vm.name} has no NIC, so KubeVirt gives it the pod network at its start; a first NIC would take that away`,
    `Start ${vm.name} and run again; or write its default network into its template, or autoattachPodInterface: false if it shall have none.`,
  );
}

/** Why a NIC stays as it is, if somebody protects it. */
function keeps(context: VmContext, name: string, what: string): Blocker | undefined {
  return context.vm.protection === undefined ? undefined : protectedBlocker(protectedVm(context), name, what);
}

/** Another address, network, binding or model makes it another NIC to the guest; the link is no more than a cable. */
function keptFromPut(context: VmContext, name: string, differences: readonly Difference[]): Blocker | undefined {
  const replaced = differences.filter(({ layer, field }) => layer === 'vm' && field !== 'state' && field !== 'present');
  return replaced.length === 0 ? undefined : keeps(context, name, `${changes(replaced)} would replace it`);
}

// --- a VM without a running domain: its template is edited outright

function stoppedOutcome(context: VmContext, diff: AttachmentDiff, traces: NicTraces): Outcome {
  const { name, state, wanted } = diff;
  if (wanted === undefined) {
    if (state === 'surplus' || state === 'leaving') {
      const kept = state === 'surplus' ? keeps(context, name, 'it would be removed from the template') : undefined;
      return kept === undefined ? taking({ kind: 'remove', name, staged: false }) : blockedBy(kept);
    }
    return state === 'released' ? taking({ kind: 'release', name }) : nothing;
  }
  if (!wantsWrite(diff)) return nothing;
  if (context.vm.automaticNetwork === true && context.vm.vmi === undefined)
    return blockedBy(losesDefault(context, name));
  const blockers = [...plugBlockers(context, wanted), ...(sriovLinkBlocker(wanted) ?? [])];
  // What is there already keeps its network: a missing one is no reason not to change the rest.
  const same = traces.vm?.network !== undefined && objectKey(traces.vm.network) === objectKey(wanted.network);
  const counted = blockers.filter(({ code }) => !same || !code.startsWith('network-'));
  const kept = keptFromPut(context, name, diff.differences);
  if (kept !== undefined) counted.push(kept);
  if (counted.length > 0) return blockedBy(...counted);
  return taking({ kind: 'put', name, attachment: planned(wanted), staged: false });
}

// --- a VM that runs

function runningOutcome(context: VmContext, diff: AttachmentDiff, traces: NicTraces): Outcome {
  const { name, wanted } = diff;
  switch (diff.state) {
    case 'converged':
    case 'unmanaged':
      return nothing;
    case 'released':
      return taking({ kind: 'release', name });
    case 'missing':
      return wanted === undefined ? nothing : plugOutcome(context, wanted, traces);
    case 'surplus':
      return surplusOutcome(context, name, traces);
    case 'leaving':
      return leavingOutcome(context, name, wanted, traces);
    case 'arriving':
      return wanted === undefined ? nothing : arrivingOutcome(context, wanted, traces, diff.differences);
    case 'differs':
      return wanted === undefined ? nothing : changeOutcome(context, wanted, traces, diff.differences);
    default:
      return diff.state satisfies never;
  }
}

function plugOutcome(context: VmContext, wanted: DesiredAttachment, traces: NicTraces): Outcome {
  const { name } = wanted;
  // Struck from the template by another hand, but still plugged: KubeVirt takes it back as if nothing had been.
  const present = traces.vmi !== undefined && traces.vmi.state !== 'absent';
  const delivery = present ? 'in-place' : plugDelivery(context, wanted.binding, wanted.network);
  const blockers = [...plugBlockers(context, wanted), ...(sriovLinkBlocker(wanted) ?? [])];
  if (delivery === 'migration') blockers.push(...migrationBlockers(context, name));
  if (blockers.length > 0) return blockedBy(...blockers);
  return taking({ kind: 'plug', name, attachment: planned(wanted), delivery, port: !(present && traces.inDomain) });
}

function plugBlockers(context: VmContext, wanted: DesiredAttachment): Blocker[] {
  const { name, mac } = wanted;
  const found = [...nameBlockers(context.vm, name), ...networkBlockers(context, name, wanted.network, 'plug')];
  const fault = mac === undefined ? undefined : macFault(mac);
  if (fault !== undefined) {
    found.push(blocker('mac-invalid', name, `the MAC ${mac} ${fault}`, 'Declare a unicast address of your own.'));
  }
  return found;
}

function sriovLinkBlocker({ name, binding, state }: DesiredAttachment): readonly Blocker[] | undefined {
  if (binding !== 'sriov' || state !== 'down') return undefined;
  const message = 'KubeVirt sets no link state on SR-IOV NICs';
  return [blocker('link-unsupported', name, message, 'Declare state: up, or remove the attachment.')];
}

function surplusOutcome(context: VmContext, name: string, traces: NicTraces): Outcome {
  const nic = traces.vm;
  if (nic === undefined) return nothing;
  const kept = keeps(context, name, 'it would be unplugged');
  if (kept !== undefined) return blockedBy(kept);
  if (nic.binding === 'sriov') {
    return needsRestart(context, name, 'an SR-IOV NIC is not unplugged from a running VM', {
      kind: 'remove',
      name,
      staged: true,
    });
  }
  if (nic.binding !== 'bridge') {
    return blockedBy(
      blocker(
        'not-unpluggable',
        name,
        `the NIC now has the binding ${nic.binding}, and KubeVirt unplugs only bridge NICs`,
        `Remove the NIC from ${context.vm.name} by hand and restart it.`,
      ),
    );
  }
  const blockers = unplugBlockers(context, nic, traces);
  if (blockers.length > 0) return blockedBy(...blockers);
  const unplug: Step = { kind: 'unplug', name, delivery: context.cluster.delivery, port: traces.inDomain };
  return taking(unplug, { kind: 'release', name });
}

function leavingOutcome(
  context: VmContext,
  name: string,
  wanted: DesiredAttachment | undefined,
  traces: NicTraces,
): Outcome {
  if (traces.vm === undefined && traces.vmi !== undefined && traces.vmi.state !== 'absent') {
    const what = 'it was removed from the template, which unplugs nothing';
    const kept = context.restartWindows.length === 0 ? undefined : keeps(context, name, 'a restart would take it away');
    return kept === undefined ? restartPending(context, name, what) : blockedBy(kept);
  }
  const nic: SpecNic | undefined = traces.vm ?? traces.vmi;
  const blockers = nic === undefined ? [] : unplugBlockers(context, nic, traces);
  if (blockers.length > 0) return blockedBy(...blockers);
  const gone = taking({ kind: 'follow', name, until: 'gone', port: traces.inDomain });
  if (wanted === undefined) return merge([gone, taking({ kind: 'release', name })]);
  const again = plugOutcome(context, wanted, { inDomain: false, inMultus: false });
  const note = { code: 'one-way-absent', attachment: name, message: 'its unplug must end before it is plugged again' };
  return merge([gone, again, { ...nothing, notes: [note] }]);
}

function arrivingOutcome(
  context: VmContext,
  wanted: DesiredAttachment,
  traces: NicTraces,
  differences: readonly Difference[],
): Outcome {
  const { name } = wanted;
  // Declared again before the guest let go: KubeVirt plugs it anew of its own accord.
  const replug = traces.vmi?.state === 'absent';
  const pending = differences.some(
    ({ layer, field }) => layer !== 'guest' && (field === 'present' || field === 'sources'),
  );
  if (replug || pending) {
    const blockers = replug ? [] : arrivalBlockers(context, wanted, traces);
    if (blockers.length > 0) return blockedBy(...blockers);
    return taking({ kind: 'follow', name, until: 'plugged', port: !traces.inDomain });
  }
  const steps: Step[] = [];
  const blockers: Blocker[] = [];
  if (differences.some(({ field }) => field === 'network')) {
    blockers.push(...networkBlockers(context, name, wanted.network, 'plug'), ...migrationBlockers(context, name));
    if (blockers.length === 0) steps.push({ kind: 'follow', name, until: 'swapped', port: false });
  }
  if (differences.some(({ field }) => field === 'state')) {
    steps.push({ kind: 'follow', name, until: 'link', port: false });
  }
  return { steps, blockers, notes: [] };
}

/** A plug on its way that can't arrive. */
function arrivalBlockers(context: VmContext, wanted: DesiredAttachment, traces: NicTraces): readonly Blocker[] {
  if (traces.inMultus) return [];
  const found = [...networkBlockers(context, wanted.name, wanted.network, 'plug')];
  if (plugDelivery(context, wanted.binding, wanted.network) === 'migration') {
    found.push(...migrationBlockers(context, wanted.name));
  }
  return found;
}

function changeOutcome(
  context: VmContext,
  wanted: DesiredAttachment,
  traces: NicTraces,
  differences: readonly Difference[],
): Outcome {
  const { name } = wanted;
  const nic = traces.vm;
  if (nic?.network === undefined) return nothing;
  const inVm = differences.filter(({ layer }) => layer === 'vm').map(({ field }) => field);
  if (traces.vmi?.state === 'absent') {
    const message = `an earlier unplug is still under way in the guest of ${context.vm.name}, and can not be called back`;
    const remedy = 'Run again when the guest has released the NIC.';
    return blockedBy(blocker('one-way-absent', name, message, remedy));
  }
  const outcomes: Outcome[] = [];
  if (inVm.includes('state') && wanted.binding !== 'sriov' && nic.binding === 'bridge') {
    outcomes.push(taking({ kind: 'link', name, state: wanted.state }));
  } else if (inVm.includes('state')) {
    outcomes.push(blockedBy(...(sriovLinkBlocker({ ...wanted, binding: 'sriov', state: 'down' }) ?? [])));
  }
  if (inVm.includes('network')) outcomes.push(swapOutcome(context, wanted, traces, nic.network));
  const fixed = inVm.filter((field) => restartFields.includes(field));
  if (fixed.length > 0) {
    const blockers = plugBlockers(context, wanted).filter(({ code }) => code === 'mac-invalid');
    const kept = keptFromPut(context, name, differences);
    if (kept !== undefined) blockers.push(kept);
    // Only these fields: the network is live, and a swap is never written together with anything else.
    const live = merge(outcomes).steps;
    const attachment = {
      ...planned(wanted),
      network: live.some(({ kind }) => kind === 'swap') ? wanted.network : nic.network,
      state: live.some(({ kind }) => kind === 'link') || nic.state === 'absent' ? wanted.state : nic.state,
    };
    const stage: Step = { kind: 'put', name, attachment, staged: true };
    const what = changes(differences.filter(({ layer, field }) => layer === 'vm' && fixed.includes(field)));
    outcomes.push(blockers.length > 0 ? blockedBy(...blockers) : needsRestart(context, name, what, stage));
  } else if (differences.some(({ layer, field }) => layer !== 'guest' && restartFields.includes(field))) {
    outcomes.push(
      restartPending(
        context,
        name,
        `${changes(differences.filter(({ field, layer }) => layer !== 'guest' && restartFields.includes(field)))} in the running VM, as its template says`,
      ),
    );
  }
  return merge(outcomes);
}

function swapOutcome(
  context: VmContext,
  wanted: DesiredAttachment,
  traces: NicTraces,
  from: NonNullable<SpecNic['network']>,
): Outcome {
  const { name } = wanted;
  const blockers = [...networkBlockers(context, name, wanted.network, 'plug')];
  const kept = keeps(context, name, `it would leave ${objectKey(from)}`);
  if (kept !== undefined) blockers.push(kept);
  // A NIC that never reached its pod is plugged into the new network at once, with no migration.
  const pending = !traces.inMultus && !traces.inDomain;
  if (!pending) blockers.push(...migrationBlockers(context, name));
  if (blockers.length > 0) return blockedBy(...blockers);
  return taking({ kind: 'swap', name, from, to: wanted.network, pending, port: !traces.inDomain });
}

/** `mac 02:..:01 must become 02:..:02` for each field, the outermost layer once. */
function changes(differences: readonly Difference[]): string {
  const seen = new Map<string, Difference>();
  for (const difference of differences) if (!seen.has(difference.field)) seen.set(difference.field, difference);
  return [...seen.values()]
    .map(({ field, wanted, found }) => `${field} ${found ?? 'unset'} must become ${wanted ?? 'unset'}`)
    .join(', ');
}

function needsRestart(context: VmContext, name: string, what: string, stage: Step): Outcome {
  if (context.restart !== 'never') {
    const message = `${what}: written to the template of ${context.vm.name}, takes effect at its next restart`;
    return { steps: [stage], blockers: [], notes: [{ code: 'staged', attachment: name, message }] };
  }
  return blockedBy(
    blocker(
      'needs-restart',
      name,
      `${what}; ${context.vm.name} must be restarted for it`,
      `Set restart: stage in the Settings object, apply, and restart ${context.vm.name}; or stop it and apply.`,
    ),
  );
}

/** The template has it, the running VM does not: nothing is left to write. */
function restartPending(context: VmContext, name: string, what: string): Outcome {
  if (context.restart !== 'never') {
    const message = `${what}: waits for a restart of ${context.vm.name}`;
    return { ...nothing, notes: [{ code: 'restart-pending', attachment: name, message }] };
  }
  const message = `${what}; ${context.vm.name} must be restarted for it`;
  return blockedBy(blocker('needs-restart', name, message, `Restart ${context.vm.name}.`));
}
