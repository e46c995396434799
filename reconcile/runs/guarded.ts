/** One run at a time: a plan that has work is carried out under the lock, and made anew where another run was faster. */
import type { OnRunEvent } from '../apply/model.ts';
import type { Cluster } from '../kube/cluster.ts';
import type { Plan } from '../plan/model.ts';
import { objectKey } from '../vocabulary.ts';
import { type HeldLock, type LockOptions, lockVersion, takeLock } from './lock.ts';

export interface GuardedSteps<T> {
  /** The plan of now, or a saved one. */
  readonly plan: () => Promise<Plan>;
  /** The same, after another run has ended: made anew, or checked again. */
  readonly again: (first: Plan) => Promise<Plan>;
  readonly hasWork: (plan: Plan, now: Date) => boolean;
  /**
   * Nothing new may be started once the signal aborts.
   * @param at given where the plan had no work at that moment, and no lock is held: a window that opens since stays closed
   */
  readonly work: (plan: Plan, signal: AbortSignal, at?: Date) => Promise<T>;
}

export interface Guarded<T> {
  readonly plan: Plan;
  readonly result: T;
}

/**
 * @param lock undefined: no lock is taken
 * @throws PatchpanelError `run/locked`, and what the steps throw; the lock is given back in any case
 */
export async function guarded<T>(
  cluster: Cluster,
  lock: Omit<LockOptions, 'onWait'> | undefined,
  stop: AbortSignal,
  steps: GuardedSteps<T>,
  onEvent: OnRunEvent,
): Promise<Guarded<T>> {
  if (lock === undefined) {
    const plan = await steps.plan();
    return { plan, result: await steps.work(plan, stop) };
  }
  const before = await lockVersion(cluster, lock.place);
  const first = await steps.plan();
  const now = new Date();
  if (!steps.hasWork(first, now)) return { plan: first, result: await steps.work(first, stop, now) };
  const name = objectKey(lock.place);
  const held = await takeLock(cluster, {
    ...lock,
    onWait: (message) => onEvent({ type: 'lock', state: 'waiting', message }),
  });
  try {
    onEvent({ type: 'lock', state: 'taken', message: `took the lock ${name}` });
    tellLoss(held, onEvent);
    const plan = held.movedSince(before) ? await steps.again(first) : first;
    return { plan, result: await steps.work(plan, AbortSignal.any([stop, held.lost])) };
  } finally {
    await held.release();
    if (!held.lost.aborted) onEvent({ type: 'lock', state: 'released', message: `gave the lock ${name} back` });
  }
}

function tellLoss({ lost }: HeldLock, onEvent: OnRunEvent): void {
  const tell = (): void => {
    const { message }: Error = lost.reason;
    onEvent({ type: 'lock', state: 'lost', message: `${message}: starting nothing new` });
  };
  lost.addEventListener('abort', tell, { once: true });
}
