/**
 * Carries a plan out on the kubevirt path. The protocol, VM by VM: look again; write one action as one patch of the VM
 * template; follow it by watch until VM, VMI, pod, Multus and domain agree; write the next; hold all layers against all
 * that was done. VMs go side by side, so many at a time, and none stops another.
 *
 * Killing a run at any point leaves whole patches behind, of which the next plan makes what is left to do.
 */
import type { Cluster } from '../kube/cluster.ts';
import { isPodPlan, type Plan } from '../plan/model.ts';
import { onlyWaits } from '../plan/restart.ts';
import { blocksAll } from './blocks.ts';
import { ChangeWindows } from './change-windows.ts';
import { gateOf } from './gate.ts';
import type { OnRunEvent, Outcome, TargetOutcome } from './model.ts';
import { Observer } from './observer.ts';
import { PodObserver } from './pod-observer.ts';
import { Reasons } from './reasons.ts';
import { type Pace, Run } from './run.ts';
import { runTarget } from './target-run.ts';

export interface ApplyOptions {
  /** VMs in change at one time; the plan's settings say it where this is missing. */
  readonly maxInFlight?: number;
  /** From the write of an action until all layers agree. */
  readonly actionTimeoutMs: number;
  /** The same for what a migration brings; at least ten minutes where it is missing. */
  readonly migrationTimeoutMs?: number;
  /** From the start of the run; nothing new is started afterwards. */
  readonly runTimeoutMs: number;
  /** Aborts to stop: nothing new is started, what is in flight is finished. */
  readonly signal?: AbortSignal;
  /** Whether the final check reads the domain XML by exec; `always` fails where that is refused. */
  readonly domainXml: 'auto' | 'always' | 'never';
  /** The plan was saved earlier and looked at: a VM that moved since fails with `plan/stale`. */
  readonly savedPlan?: boolean;
  readonly pace?: Partial<Pace>;
  /** Why a person acts against the windows of the Settings; left out where nobody does. */
  readonly overrideWindows?: string;
  /** Time of day, for the windows. */
  readonly clock?: () => Date;
}

/** Carries out all that the plan says; never throws for what goes wrong with a VM, which its outcome tells. */
export async function applyPlan(
  plan: Plan,
  cluster: Cluster,
  options: ApplyOptions,
  onEvent: OnRunEvent,
): Promise<Outcome> {
  const started = performance.now();
  const end = new AbortController();
  const run = new Run(
    cluster,
    plan,
    options,
    {
      observer: new Observer(cluster, end.signal),
      pods: new PodObserver(
        cluster,
        plan.targets.filter(isPodPlan).map(({ target }) => target),
        end.signal,
      ),
      reasons: new Reasons(cluster),
      gate: gateOf(plan, options.maxInFlight),
    },
    onEvent,
  );
  try {
    const targets = await Promise.all(plan.targets.map((target) => runTarget(target, run)));
    const outcome = outcomeOf(plan, targets, run.writes, performance.now() - started);
    const { overrideWindows: reason } = options;
    return reason !== undefined && run.windows.overridden ? { ...outcome, overrode: reason } : outcome;
  } finally {
    end.abort();
  }
}

/** Whether carrying the plan out would do anything now: not where all is blocked, or waits for a window. */
export function hasWork({ targets, settings }: Plan, now: Date, overrides: boolean): boolean {
  const windows = new ChangeWindows(settings, overrides);
  // Behind an action that waits, the others of its target wait too.
  return targets.some(
    ({ actions: [first], blockers }) =>
      first !== undefined && !blocksAll(blockers) && windows.closed(first, now) === undefined,
  );
}

/** Whether nothing is left of a change that failed. */
function isReversed({ reversal }: TargetOutcome): boolean {
  if (reversal === undefined || reversal.actions.length === 0 || reversal.left.length > 0) return false;
  return reversal.actions.every(({ result }) => result === 'done');
}

function outcomeOf(plan: Plan, targets: readonly TargetOutcome[], writes: number, milliseconds: number): Outcome {
  function count(result: TargetOutcome['result']): number {
    return targets.filter((target) => target.result === result).length;
  }
  const interrupted = count('interrupted');
  return {
    targets,
    interrupted: interrupted > 0,
    summary: {
      // VMs that are in the plan for a note alone had nothing to do.
      converged: targets.filter(({ result, actions }) => result === 'converged' && actions.length > 0).length,
      failed: count('failed'),
      blocked: count('blocked'),
      staged: count('staged'),
      waiting: count('waiting'),
      interrupted,
      notStarted: count('not-started'),
      reversed: targets.filter(isReversed).length,
      held: targets.filter(({ reversal }) => reversal?.held === true).length,
      unchanged: plan.summary.unchanged - plan.targets.filter(onlyWaits).length,
      writes,
      milliseconds,
    },
  };
}
