/** What a run did, and what it says while it does it. */
import type { ErrorCode } from '../errors.ts';
import type { PlanAction, TargetName } from '../plan/model.ts';
import type { Layer } from '../vocabulary.ts';

export type TargetResult =
  /** Every layer agrees with the repository. */
  | 'converged'
  /** Nothing could be done: see the blockers of the plan. */
  | 'blocked'
  /** An action failed or timed out; the rest of that VM was left. */
  | 'failed'
  /** The run was told to stop before this VM was done. */
  | 'interrupted'
  /** Staged: takes effect at the next restart. */
  | 'staged';

export interface ActionOutcome {
  readonly id: string;
  readonly kind: PlanAction['kind'];
  readonly result: 'done' | 'failed' | 'not-started';
  readonly milliseconds?: number;
  /** Layer that lagged where it failed, and the system's own words. */
  readonly laggingLayer?: Layer;
  readonly reason?: string;
  readonly code?: ErrorCode;
  /** What to do about a failure. */
  readonly remedy?: string;
}

export interface TargetOutcome {
  readonly target: TargetName;
  readonly result: TargetResult;
  readonly actions: readonly ActionOutcome[];
  /** Layers that were seen to agree in the final check. */
  readonly verified: readonly Layer[];
}

export interface Outcome {
  readonly targets: readonly TargetOutcome[];
  readonly interrupted: boolean;
  readonly summary: {
    readonly converged: number;
    readonly failed: number;
    readonly blocked: number;
    readonly staged: number;
    readonly interrupted: number;
    readonly unchanged: number;
    readonly writes: number;
    readonly milliseconds: number;
  };
}

/** Progress, for a terminal, a plain log or JSON lines. */
export type RunEvent =
  | { readonly type: 'rendering'; readonly source: string }
  /** A commit was fetched, and is rendered now. */
  | { readonly type: 'fetched'; readonly commit: string }
  | {
      readonly type: 'rendered';
      readonly targets: number;
      readonly pods?: number;
      readonly files: number;
      readonly revision: string;
      readonly commit: string;
    }
  /** A plan that was saved earlier. */
  | { readonly type: 'plan-read'; readonly commit: string }
  | { readonly type: 'observing'; readonly server: string }
  | { readonly type: 'observed'; readonly vms: number; readonly pods?: number; readonly milliseconds: number }
  | { readonly type: 'target-started'; readonly target: TargetName }
  | { readonly type: 'action-started'; readonly target: TargetName; readonly action: PlanAction }
  /** What a wait sees: the first layer that does not agree yet, and the last reason that the system gave. */
  | {
      readonly type: 'waiting';
      readonly target: TargetName;
      readonly action: PlanAction;
      readonly layer: Layer;
      readonly reason?: string;
    }
  /** A layer came to agree. */
  | {
      readonly type: 'layer-reached';
      readonly target: TargetName;
      readonly action: PlanAction;
      readonly layer: Layer;
      readonly milliseconds: number;
    }
  | {
      readonly type: 'action-done';
      readonly target: TargetName;
      readonly action: PlanAction;
      readonly milliseconds: number;
    }
  | {
      readonly type: 'action-failed';
      readonly target: TargetName;
      readonly action: PlanAction;
      readonly reason: string;
      readonly code: ErrorCode;
    }
  | { readonly type: 'target-done'; readonly target: TargetName; readonly result: TargetResult }
  | { readonly type: 'stopping'; readonly signal: string }
  /** The lock that keeps runs of one repository apart. */
  | { readonly type: 'lock'; readonly state: 'waiting' | 'taken' | 'lost' | 'released'; readonly message: string }
  /** Something did not work that the run can do without. */
  | { readonly type: 'warning'; readonly message: string };

export type OnRunEvent = (event: RunEvent) => void;
