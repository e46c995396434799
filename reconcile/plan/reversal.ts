/**
 * The way back: which actions undo what a run did to a VM, the last one first, and what can't be undone. Pure. What was
 * done is told from how the VM looked right before each action, so that nothing of another hand is undone.
 */
import { activeVmi } from '../diff/layers.ts';
import type { LiveVm, SpecNic } from '../live/model.ts';
import { nicAlias } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { runStateOf } from './eligibility.ts';
import { namingScheme } from './live-ability.ts';
import type { Action, PlanAction, PlannedAttachment } from './model.ts';

/** An action that a run wrote, or that it followed. */
export interface Taken<A extends PlanAction, L> {
  readonly action: A;
  /** As the target was right before. */
  readonly before: L;
}

/** What stays as it is, and how a person gets out of it. */
export interface LeftBehind {
  readonly attachment?: string;
  readonly message: string;
  readonly remedy: string;
}

export interface Reversal<A extends PlanAction> {
  /** Each with the action that it undoes. */
  readonly actions: readonly { readonly action: A; readonly undoes: string }[];
  readonly left: readonly LeftBehind[];
}

type Draft = DistributiveOmit<Action, 'id' | 'after'>;
type DistributiveOmit<T, Key extends PropertyKey> = T extends unknown ? Omit<T, Key> : never;

interface Part {
  readonly drafts: readonly Draft[];
  readonly left: readonly LeftBehind[];
}

/** What stands in the way back, whatever the VM says. */
interface Limits {
  readonly promised: boolean;
  readonly lost: ReadonlySet<string>;
}

const none: Part = { drafts: [], left: [] };

/**
 * @param taken in the order in which they were done, the one that failed last
 * @param live the VM as it is now
 * @param promised ids of actions that another VM waits for: an address that one of them freed may be in use there by now
 * @param lost networks, as `namespace/name`, that are no longer there: a plug into one hangs, and may never be cancelled
 */
export function reversalOf(
  taken: readonly Taken<Action, LiveVm>[],
  live: LiveVm,
  promised: ReadonlySet<string>,
  lost: ReadonlySet<string> = new Set(),
): Reversal<Action> {
  const actions: { action: Action; undoes: string }[] = [];
  const left: LeftBehind[] = [];
  for (const one of taken.toReversed()) {
    const part = partOf(one, live, { promised: promised.has(one.action.id), lost });
    left.push(...part.left);
    for (const [index, draft] of part.drafts.entries()) {
      const suffix = part.drafts.length === 1 ? '' : `-${index + 1}`;
      actions.push({
        action: { ...draft, id: `${one.action.id}/reversed${suffix}`, after: [] },
        undoes: one.action.id,
      });
    }
  }
  return { actions, left };
}

function partOf({ action, before }: Taken<Action, LiveVm>, live: LiveVm, limits: Limits): Part {
  switch (action.kind) {
    case 'plug':
      return unplugged(action, before, live);
    case 'unplug':
      return pluggedAgain(action, before, live, limits);
    case 'link':
      return linkedBack(action, before, live);
    case 'swap':
      return movedBack(action, before, live, limits);
    case 'edit-template':
      return templateBack(action, before, limits);
    case 'set-ports':
      return leaving(
        undefined,
        'the template goes on asking for its new number of PCIe ports',
        'Declare fewer pciePorts, or take them out of the template by hand.',
      );
    case 'restart':
      return leaving(
        undefined,
        `${live.name} was restarted, or was asked to`,
        'Look at the events of its launcher pod if it does not come up.',
      );
    // Nothing was written, or only the record of what is gone.
    case 'follow':
    case 'release':
      return none;
    default:
      return action satisfies never;
  }
}

function leaving(attachment: string | undefined, message: string, remedy: string): Part {
  return { drafts: [], left: [{ ...(attachment === undefined ? {} : { attachment }), message, remedy }] };
}

function unplugged(action: Extract<Action, { kind: 'plug' }>, before: LiveVm, live: LiveVm): Part {
  const names: string[] = [];
  const left: LeftBehind[] = [];
  for (const { name, binding } of action.attachments) {
    const nic = live.nics.find((candidate) => candidate.name === name);
    // There before, in the template or in the running VM: the plug has only written down what was.
    if (hasNic(before, name) || nic === undefined) continue;
    const why = binding === 'sriov' ? sriovStays(live, name) : hindrance(live, name);
    if (why === undefined) names.push(name);
    else left.push({ attachment: name, ...why });
  }
  if (names.length === 0) return { drafts: [], left };
  return {
    drafts: [
      { kind: 'unplug', attachments: names, delivery: action.delivery },
      { kind: 'release', attachments: names },
    ],
    left,
  };
}

function hasNic({ nics, vmi }: LiveVm, name: string): boolean {
  return [...nics, ...(vmi?.nics ?? [])].some((nic) => nic.name === name && nic.state !== 'absent');
}

function sriovStays(live: LiveVm, name: string): Omit<LeftBehind, 'attachment'> {
  return {
    message: `the SR-IOV NIC "${name}" stays, as KubeVirt unplugs none from a running VM`,
    remedy: `Remove it from the template of ${live.name} and restart it.`,
  };
}

/** Why KubeVirt would ignore the unplug, or the guest can't take part in it. */
function hindrance(live: LiveVm, name: string): Omit<LeftBehind, 'attachment'> | undefined {
  if (!live.owned.includes(name)) {
    return {
      message: `"${name}" is no longer on the record of what patchpanel plugged`,
      remedy: 'Whoever took it over decides what becomes of it.',
    };
  }
  const vmi = activeVmi(live);
  const isPassedOn = vmi?.nics.some((nic) => nic.name === name && nic.state === 'absent') === true;
  if (vmi === undefined || isPassedOn) return undefined;
  const scheme = namingScheme(vmi);
  if (scheme === 'unknown') {
    return {
      message: `the plug of "${name}" never reached the pod of ${live.name}, which has no other secondary NIC, so KubeVirt ignores an unplug`,
      remedy: `Point it to a network that works, or plug another NIC into ${live.name}, or restart it.`,
    };
  }
  if (scheme === 'ordinal') {
    return {
      message: `the pod of ${live.name} names its interfaces by position, for which KubeVirt ignores an unplug of "${name}"`,
      remedy: `Restart or migrate ${live.name}, then run again.`,
    };
  }
  const inDomain = vmi.status.some((nic) => nic.name === name && nic.sources.includes('domain'));
  if (runStateOf(live) !== 'paused' || !inDomain) return undefined;
  return {
    message: `${live.name} is paused, so its guest can not release "${name}"`,
    remedy: 'Resume it, then run again.',
  };
}

function pluggedAgain(
  action: Extract<Action, { kind: 'unplug' }>,
  before: LiveVm,
  live: LiveVm,
  { promised, lost }: Limits,
): Part {
  const attachments: PlannedAttachment[] = [];
  const left: LeftBehind[] = [];
  for (const name of action.attachments) {
    const was = before.nics.find((nic) => nic.name === name);
    // Never written, or on its way out before this run.
    if (
      was === undefined ||
      was.state === 'absent' ||
      live.nics.some((nic) => nic.name === name && nic.state !== 'absent')
    )
      continue;
    const attachment = attachmentOf(was, before);
    if (!isGone(live, name)) {
      left.push({
        attachment: name,
        message: `the unplug of "${name}" is under way and can not be called back`,
        remedy: `It ends when the guest of ${live.name} releases the NIC: look at the guest, or reboot it; then run again.`,
      });
    } else if (promised) {
      left.push({
        attachment: name,
        message: `"${name}" stays unplugged, as its address goes to another VM`,
        remedy: 'Give one of the two another MAC.',
      });
    } else if (attachment === undefined) {
      left.push({
        attachment: name,
        message: `"${name}" stays unplugged: what it was is no longer known in full`,
        remedy: 'Plug it by hand, or declare it.',
      });
    } else if (lost.has(objectKey(attachment.network))) {
      left.push({ attachment: name, ...lostNetwork(name, attachment.network) });
    } else attachments.push(attachment);
  }
  if (attachments.length === 0) return { drafts: [], left };
  const groups = action.delivery === 'migration' ? [attachments] : attachments.map((one) => [one]);
  return {
    drafts: groups.map((group) => ({ kind: 'plug', attachments: group, delivery: action.delivery })),
    left,
  };
}

function lostNetwork(name: string, network: ObjectName): Omit<LeftBehind, 'attachment'> {
  const key = objectKey(network);
  return {
    message: `"${name}" is not brought back: its network ${key} is no longer there`,
    remedy: `Create the NetworkAttachmentDefinition ${key} again, then declare "${name}" or plug it by hand.`,
  };
}

/** Where the domain XML was read, it has a say: the layers of Kubernetes may have forgotten what a guest still holds. */
function isGone({ nics, vmi, domain }: LiveVm, name: string): boolean {
  if (domain.kind === 'read' && domain.domain.nics.some(({ alias }) => alias === nicAlias(name))) return false;
  return [...nics, ...(vmi?.nics ?? []), ...(vmi?.status ?? [])].every((nic) => nic.name !== name);
}

/** What it takes to plug a NIC again, with the address that it had, whoever gave it that. */
function attachmentOf(nic: SpecNic, { vmi }: LiveVm): PlannedAttachment | undefined {
  const { name, network, binding, state, model } = nic;
  if (network === undefined || nic.isDefault || state === 'absent') return undefined;
  if (binding !== 'bridge' && binding !== 'sriov') return undefined;
  const mac = nic.mac ?? vmi?.status.find((status) => status.name === name)?.mac;
  return {
    name,
    network,
    binding,
    state,
    ...(mac === undefined ? {} : { mac }),
    ...(model === undefined ? {} : { model }),
  };
}

function linkedBack({ attachment }: Extract<Action, { kind: 'link' }>, before: LiveVm, live: LiveVm): Part {
  const was = before.nics.find(({ name }) => name === attachment)?.state;
  const is = live.nics.find(({ name }) => name === attachment)?.state;
  if (was === undefined || was === 'absent' || is === undefined || is === 'absent' || was === is) return none;
  return { drafts: [{ kind: 'link', attachment, state: was }], left: [] };
}

function movedBack(
  action: Extract<Action, { kind: 'swap' }>,
  before: LiveVm,
  live: LiveVm,
  { lost }: Pick<Limits, 'lost'>,
): Part {
  const { attachment, from, to } = action;
  const is = live.nics.find(({ name }) => name === attachment)?.network;
  if (is?.namespace !== to.namespace || is.name !== to.name) return none;
  if (lost.has(objectKey(from))) return { drafts: [], left: [{ attachment, ...lostNetwork(attachment, from) }] };
  const sources = before.vmi?.status.find(({ name }) => name === attachment)?.sources ?? [];
  if (!sources.includes('domain') && !sources.includes('multus-status')) {
    const message = `"${attachment}" stays on its new network: on the one before, its plug hung`;
    return leaving(attachment, message, 'Point it to a network that works.');
  }
  return { drafts: [{ kind: 'swap', attachment, from: to, to: from }], left: [] };
}

function templateBack(
  action: Extract<Action, { kind: 'edit-template' }>,
  before: LiveVm,
  { promised, lost }: Limits,
): Part {
  const touched = [...new Set([...action.put.map(({ name }) => name), ...action.remove])];
  const put: PlannedAttachment[] = [];
  const remove: string[] = [];
  const left: LeftBehind[] = [];
  for (const name of touched) {
    const was = before.nics.find((nic) => nic.name === name);
    const attachment = was === undefined ? undefined : attachmentOf(was, before);
    if (was === undefined) remove.push(name);
    else if (promised || attachment === undefined) {
      const message = promised
        ? `"${name}" stays as it was written, as its address goes to another VM`
        : `"${name}" stays as it was written: what it was can not be written again`;
      left.push({ attachment: name, message, remedy: 'Write it by hand, or declare it anew.' });
    } else if (lost.has(objectKey(attachment.network))) {
      // With it in the template the VM would not start again.
      left.push({ attachment: name, ...lostNetwork(name, attachment.network) });
    } else put.push(attachment);
  }
  const { staged } = action;
  const drafts: Draft[] = put.length + remove.length === 0 ? [] : [{ kind: 'edit-template', put, remove, staged }];
  // Of a VM that runs, the record outlives the template; of these NICs there never was more than that.
  if (staged && remove.length > 0) drafts.push({ kind: 'release', attachments: remove });
  return { drafts, left };
}
