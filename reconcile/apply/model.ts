/** What a run did, and what it says while it does it. */
import type { ErrorCode } from '../errors.ts';
import type { PlanAction, TargetName } from '../plan/model.ts';
import type { LeftBehind } from '../plan/reversal.ts';
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
  /** Not begun, as others failed before it: a canary, a wave, or as many as the settings allow. */
  | 'not-started'
  /** Staged: takes effect at the next restart. */
  | 'staged'
  /** A window closed before it was done, or never was open; the next run goes on. */
  | 'waiting';

export interface ActionOutcome {
  readonly id: string;
  readonly kind: PlanAction['kind'];
  /** `reversed`: done, and taken back since another action of the target failed. */
  readonly result: 'done' | 'failed' | 'reversed' | 'not-started';
  /** It was not started as a window is closed. */
  readonly waits?: true;
  /** What a failed action left behind was taken back. */
  readonly reversed?: true;
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
  /** What followed a change that the layers did not confirm. */
  readonly reversal?: ReversalOutcome;
}

export interface ReversalOutcome {
  /** The way back, in its order; empty where nothing was to be taken back, or the settings say so. */
  readonly actions: readonly ActionOutcome[];
  /** What is still there of the change, each with its way out. */
  readonly left: readonly LeftBehind[];
  /** Layers that were seen to agree after it. */
  readonly verified: readonly Layer[];
  /** The target is marked: it is left alone until its input changes. */
  readonly held: boolean;
}

export interface Outcome {
  readonly targets: readonly TargetOutcome[];
  readonly interrupted: boolean;
  /** Windows were closed, and a person gave this reason to act all the same. */
  readonly overrode?: string;
  readonly summary: {
    readonly converged: number;
    readonly failed: number;
    readonly blocked: number;
    readonly staged: number;
    /** For a window. */
    readonly waiting: number;
    readonly interrupted: number;
    /** Not begun, as others failed before them. */
    readonly notStarted: number;
    /** Of those that failed: all that was done was taken back. */
    readonly reversed: number;
    /** Of those that failed: marked, and left alone from now on. */
    readonly held: number;
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
  /** A signature that was demanded is right. */
  | { readonly type: 'verified'; readonly what: string; readonly signer: string }
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
  /** A change failed, and what was done to its target is taken back. */
  | { readonly type: 'reversing'; readonly target: TargetName }
  | {
      readonly type: 'action-started';
      readonly target: TargetName;
      readonly action: PlanAction;
      /** It takes another one back. */
      readonly reversing?: true;
    }
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
      readonly reversing?: true;
    }
  | {
      readonly type: 'action-failed';
      readonly target: TargetName;
      readonly action: PlanAction;
      readonly reason: string;
      readonly code: ErrorCode;
      readonly reversing?: true;
    }
  | { readonly type: 'target-done'; readonly target: TargetName; readonly result: TargetResult }
  | { readonly type: 'stopping'; readonly signal: string }
  /** The lock that keeps runs of one repository apart. */
  | { readonly type: 'lock'; readonly state: 'waiting' | 'taken' | 'lost' | 'released'; readonly message: string }
  /** Something did not work that the run can do without. */
  | { readonly type: 'warning'; readonly message: string };

export type OnRunEvent = (event: RunEvent) => void;
