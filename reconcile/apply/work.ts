/** What differs between kinds of target; all else of a run is the same for VMs and pods. */
import type { ErrorCode } from '../errors.ts';
import type { PlanAction } from '../plan/model.ts';
import type { Reversal } from '../plan/reversal.ts';
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
  /** What undoes all that was carried out so far, and what nothing undoes. */
  reversal(): Promise<Reversal<A>>;
  /**
   * Holds all layers against what the way back has led to.
   * @param back what was carried out of it
   * @param stuck names of attachments that it did not reach
   */
  verifyReversed(back: readonly A[], stuck: ReadonlySet<string>): Promise<Verdict>;
  /** Marks the target, so that no run tries the same again. */
  hold(reason: string): Promise<void>;
}
