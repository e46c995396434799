/** One pod of a run. */
import type { PodPlan } from '../plan/model.ts';
import type { ActionOutcome, TargetOutcome } from './model.ts';
import type { Run } from './run.ts';

/** Runs the actions of one pod; never throws, so that no target stops another. Nothing is carried out yet. */
export function runPod(plan: PodPlan, run: Run): Promise<TargetOutcome> {
  const reason = plan.blockers.length > 0 ? 'the pod is blocked' : 'this version only plans for pods';
  const actions = plan.actions.map(({ id, kind }): ActionOutcome => ({ id, kind, result: 'not-started', reason }));
  for (const outcome of actions) run.ledger.settle(outcome);
  const idle = actions.length === 0 && plan.blockers.length === 0;
  return Promise.resolve({ target: plan.target, result: idle ? 'converged' : 'blocked', actions, verified: [] });
}
