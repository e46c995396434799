/** The last look at a VM: everything that was done there, and all that is declared or owned, in every layer at one time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../errors.ts';
import { readDomain } from '../live/domain.ts';
import type { LiveVm } from '../live/model.ts';
import type { Action, PlannedAttachment, VmPlan } from '../plan/model.ts';
import type { Layer } from '../vocabulary.ts';
import { domainObjection } from './domain-check.ts';
import { type Goal, isOfTemplate, plugged, readLayers } from './layers.ts';
import type { Run } from './run.ts';
import { waitFor } from './wait.ts';

export interface Verdict {
  /** Layers that agree. */
  readonly verified: readonly Layer[];
  readonly failure?: { readonly layer: Layer; readonly code: ErrorCode; readonly reason: string };
}

/** VMI status is written from the domain's state a moment after libvirt has changed it, and before. */
const domainPatienceMs = 10_000;
const domainRetryMs = 500;

/**
 * @param last the action that a disagreement is told of
 * @param restarted whether the restart that was planned took place
 */
export async function verify(plan: Judged, last: Action, restarted: boolean, run: Run): Promise<Verdict> {
  const target = { namespace: plan.target.namespace, name: plan.target.name };
  const before = run.observer.look(target);
  if (before === undefined) return { verified: [], failure: vanished };
  const goals = finalGoals(plan, before, restarted);
  const result = await waitFor(
    {
      target,
      action: last,
      goals,
      deadline: run.deadlineFor(false),
      migrationDeadline: run.deadlineFor(true),
      pace: run.pace,
      stop: run.options.signal,
    },
    run.observer,
    run.reasons,
    // Its layers have been told of already.
    () => {},
  );
  if (result.kind === 'failed') {
    const { layer, code, reason } = result;
    return { verified: agreeing(goals, run.observer.look(target)), failure: { layer, code, reason } };
  }
  const verified = agreeing(goals, result.live);
  const objection = await objectionOfDomain(goals, result.live, run);
  if (objection === undefined) return { verified };
  return {
    verified: verified.filter((layer) => layer !== 'domain'),
    failure: { layer: 'domain', code: 'apply/timeout', reason: objection },
  };
}

/** What of a plan a final check looks at. */
type Judged = Pick<VmPlan, 'target' | 'actions' | 'declared'> & {
  readonly [key in 'differences' | 'blockers' | 'notes']: readonly { readonly attachment?: string }[];
};

/**
 * What is looked at once the way back was gone: what it brought back, and all else that was as declared before. Held
 * against the template, which was written back.
 *
 * @param stuck names of attachments that it did not reach
 */
export function afterReversal(
  plan: Pick<VmPlan, 'target' | 'differences' | 'blockers' | 'notes'>,
  back: readonly Action[],
  stuck: ReadonlySet<string>,
): Judged {
  const { target, differences, blockers, notes } = plan;
  const lost = [...stuck].map((attachment) => ({ attachment }));
  return { target, actions: back, differences: [...differences, ...lost], blockers, notes };
}

const vanished = { layer: 'vm', code: 'plan/stale', reason: 'the VM is no longer there' } as const;

/**
 * What a VM must look like after its actions: every NIC that is declared, owned or was touched is as declared, and names
 * that were unplugged are gone. What another hand plugged is not ours to judge, nor what the plan could not change: a
 * NIC that is blocked, or waits for a restart, is held against the template where it was touched, and else left out.
 * After the restart nothing waits any more.
 */
export function finalGoals(plan: Omit<Judged, 'target'>, live: LiveVm, restarted = false): readonly Goal[] {
  const open = restarted ? [] : plan.notes;
  const held = new Set([...plan.blockers, ...open].map(({ attachment }) => attachment));
  const unsettled = new Set([...held, ...(restarted ? [] : plan.differences).map(({ attachment }) => attachment)]);
  const declared = new Map((plan.declared ?? []).map((attachment) => [attachment.name, attachment]));
  const untouched = [...live.owned, ...declared.keys()].filter((name) => !unsettled.has(name));
  const names = new Set([...untouched, ...plan.actions.flatMap(namesOf)]);
  const staged = restarted ? new Map<string, boolean>() : stagedNames(plan.actions);
  const goals = [...names].sort().flatMap((name) => {
    const present = staged.get(name);
    if (present !== undefined) return [{ kind: 'in-template', name, present } as const];
    return finalGoal(name, held.has(name) ? undefined : declared.get(name), live);
  });
  for (const action of plan.actions) {
    if (action.kind === 'set-ports') goals.push({ kind: 'ports', knob: action.knob, value: action.value });
    if (action.kind !== 'restart' || !restarted) continue;
    goals.push({ kind: 'restarted', instance: action.instance });
    if (action.ports !== undefined) goals.push({ kind: 'root-ports', atLeast: action.ports });
  }
  // What is judged in the template alone does not care where the VM runs.
  return goals.every(isOfTemplate) ? goals : [{ kind: 'settled' }, ...goals];
}

function finalGoal(name: string, wanted: PlannedAttachment | undefined, live: LiveVm): readonly Goal[] {
  const nic = live.nics.find((candidate) => candidate.name === name && candidate.state !== 'absent');
  if (wanted === undefined && nic === undefined) return [{ kind: 'gone', name }];
  if (live.vmi === undefined) return [{ kind: 'in-template', name, present: true }];
  if (wanted !== undefined) return [plugged(wanted)];
  if (nic?.network === undefined || nic.state === 'absent') return [];
  return [{ kind: 'plugged', name, network: nic.network, state: nic.state }];
}

/** Names whose change waits for a restart, and whether the template is to have them. */
function stagedNames(actions: readonly Action[]): ReadonlyMap<string, boolean> {
  const staged = new Map<string, boolean>();
  for (const action of actions) {
    if (action.kind !== 'edit-template' || !action.staged) continue;
    for (const name of action.remove) staged.set(name, false);
    for (const { name } of action.put) staged.set(name, true);
  }
  return staged;
}

function namesOf(action: Action): readonly string[] {
  switch (action.kind) {
    case 'plug':
      return action.attachments.map(({ name }) => name);
    case 'unplug':
    case 'release':
      return action.attachments;
    case 'edit-template':
      return [...action.put.map(({ name }) => name), ...action.remove];
    case 'link':
    case 'swap':
    case 'follow':
      return [action.attachment];
    case 'set-ports':
    case 'restart':
      return [];
    default:
      return action satisfies never;
  }
}

function agreeing(goals: readonly Goal[], live: LiveVm | undefined): readonly Layer[] {
  if (live === undefined) return [];
  return readLayers(goals, live)
    .filter(({ agrees }) => agrees)
    .map(({ layer }) => layer);
}

/** Undefined where the XML agrees, or where it can do without: VMI status has spoken for the domain. */
async function objectionOfDomain(goals: readonly Goal[], live: LiveVm, run: Run): Promise<string | undefined> {
  const { domainXml } = run.options;
  if (domainXml === 'never' || live.vmi === undefined || goals.every(isOfTemplate)) return undefined;
  const deadline = Math.min(performance.now() + domainPatienceMs, run.deadlineFor(false));
  for (;;) {
    const reading = await readDomain(run.cluster, live);
    if (reading.kind === 'unread' && domainXml === 'auto') return undefined;
    const objection =
      reading.kind === 'read'
        ? domainObjection(goals, reading.domain)
        : `the domain XML can not be read: ${reading.message ?? reading.why}`;
    const hopeless = reading.kind === 'unread' && reading.why === 'forbidden';
    if (objection === undefined || hopeless || performance.now() + domainRetryMs > deadline) return objection;
    await sleep(domainRetryMs);
  }
}
