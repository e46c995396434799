/** What differs between kinds of target; all else of a run is the same for VMs and pods. */
import type { ErrorCode } from '../errors.ts';
import type { PlanAction } from '../plan/model.ts';
import type { Layer } from '../vocabulary.ts';
import type { Verdict } from './verify.ts';

export interface WorkFailure {
  readonly layer: Layer;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface Work<A extends PlanAction> {
  /**
   * Writes one action and follows it to its end; undefined where it is done.
   * @param isFirst nothing of the target was done before
   */
  carryOut(action: A, isFirst: boolean): Promise<WorkFailure | undefined>;
  /**
   * Holds all layers against all that was done.
   * @param last the action that a disagreement is told of
   * @param restarted whether a restart that was planned took place
   */
  verify(last: A, restarted: boolean): Promise<Verdict>;
}
