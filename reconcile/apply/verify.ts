/** The last look at a VM: everything that was done there, and all that patchpanel owns, in every layer at one time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readDomain } from '../live/domain.ts';
import type { LiveVm } from '../live/model.ts';
import type { Action, TargetPlan } from '../plan/model.ts';
import type { Layer } from '../vocabulary.ts';
import { domainObjection } from './domain-check.ts';
import { type Goal, isOfTemplate, readLayers } from './layers.ts';
import type { Run } from './run.ts';
import { waitFor } from './wait.ts';

export interface Verdict {
  /** Layers that agree. */
  readonly verified: readonly Layer[];
  readonly failure?: { readonly layer: Layer; readonly code: string; readonly reason: string };
}

/** VMI status is written from the domain's state a moment after libvirt has changed it, and before. */
const domainPatienceMs = 10_000;
const domainRetryMs = 500;

/** @param last the action that a disagreement is told of */
export async function verify(plan: TargetPlan, last: Action, run: Run): Promise<Verdict> {
  const target = { namespace: plan.target.namespace, name: plan.target.name };
  const before = run.observer.look(target);
  if (before === undefined) return { verified: [], failure: vanished };
  const goals = finalGoals(plan, before);
  const result = await waitFor(
    {
      target,
      action: last,
      goals,
      deadline: run.deadlineFor(false),
      migrationDeadline: run.deadlineFor(true),
      pace: run.pace,
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

const vanished = { layer: 'vm', code: 'plan/stale', reason: 'the VM is no longer there' } as const;

/**
 * What a VM must look like after its actions: names that were unplugged are gone, and each NIC of the template that was
 * touched or is owned has arrived. What another hand plugged is not ours to judge, nor what the plan could not change.
 */
export function finalGoals(
  plan: Pick<TargetPlan, 'actions' | 'differences' | 'blockers' | 'notes'>,
  live: LiveVm,
): readonly Goal[] {
  const unsettled = new Set([...plan.differences, ...plan.blockers, ...plan.notes].map(({ attachment }) => attachment));
  const touched = new Set(live.owned.filter((name) => !unsettled.has(name)));
  const staged = new Set<string>();
  for (const action of plan.actions) {
    for (const name of namesOf(action)) touched.add(name);
    if (action.kind === 'edit-template' && action.staged) for (const name of namesOf(action)) staged.add(name);
  }
  const goals: Goal[] = [];
  for (const name of [...touched].sort()) {
    const nic = live.nics.find((candidate) => candidate.name === name && candidate.state !== 'absent');
    if (staged.has(name) || (live.vmi === undefined && nic !== undefined)) {
      goals.push({ kind: 'in-template', name, present: nic !== undefined });
    } else if (nic === undefined || nic.state === 'absent') {
      goals.push({ kind: 'gone', name });
    } else if (nic.network !== undefined) {
      goals.push({ kind: 'plugged', name, network: nic.network, state: nic.state });
    }
  }
  for (const action of plan.actions) {
    if (action.kind === 'set-ports') goals.push({ kind: 'ports', knob: action.knob, value: action.value });
  }
  // What is judged in the template alone does not care where the VM runs.
  return goals.every(isOfTemplate) ? goals : [{ kind: 'settled' }, ...goals];
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
