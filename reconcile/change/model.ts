/**
 * What a change of the repository does: the desired states of two commits held against each other, and, where there is
 * a cluster, which part of the plan is of the change and which was due before.
 */
import type { SourceIdentity } from '../desired/model.ts';
import type { Position } from '../errors.ts';
import type { BlockerCode, Plan, PlanAction, TargetName } from '../plan/model.ts';
import type { Json, Layer, ObjectName } from '../vocabulary.ts';

export const changeVersion = 'patchpanel.dev/change/v1alpha1';

/** `null`: not there. */
export interface FieldChange {
  readonly field: string;
  readonly from: Json;
  readonly to: Json;
}

export interface AttachmentChange {
  readonly name: string;
  readonly change: 'plugged' | 'unplugged' | 'changed';
  /** As the change leaves it; of an unplugged one, as it was. */
  readonly network: ObjectName;
  /** Left out for one that is no longer declared. */
  readonly position?: Position;
  /** Of one that changed. */
  readonly fields: readonly FieldChange[];
}

/** One object of the repository that the change adds, removes or edits. */
export interface ObjectChange {
  /** Pods that a selector picks have the selector in brackets as their name. */
  readonly target: TargetName;
  readonly change: 'added' | 'removed' | 'changed';
  /** Left out for one that is removed. */
  readonly position?: Position;
  /** In declared order; those that are unplugged come last. */
  readonly attachments: readonly AttachmentChange[];
  /** Declared before and after, and alike; of a removed object, what stays for want of prune. */
  readonly stays: readonly { readonly name: string; readonly network: ObjectName }[];
  /** What else the object says, such as `pciePorts`. */
  readonly fields: readonly FieldChange[];
}

/** The change as the repository alone tells it. */
export interface DeclaredChange {
  /** VMs, then pods, by namespace and name. */
  readonly objects: readonly ObjectChange[];
  readonly settings: readonly FieldChange[];
  /** What becomes of the NICs of a removed object: unplugged where it is on. */
  readonly prune: boolean;
  readonly summary: {
    readonly added: number;
    readonly removed: number;
    readonly changed: number;
    readonly plugged: number;
    readonly unplugged: number;
    readonly altered: number;
  };
}

/** `both`: it was due before, and this change makes more of it. */
export type Cause = 'change' | 'before' | 'both';

/** Which part of the plan of a target is of the change; lists go with those of the plan. */
export interface TargetCauses {
  readonly target: TargetName;
  readonly actions: readonly {
    readonly id: string;
    readonly cause: Cause;
    /** Of an action that is `both`: the attachments that the change brings into it. */
    readonly attachments?: readonly string[];
  }[];
  readonly blockers: readonly { readonly code: BlockerCode; readonly attachment?: string; readonly cause: Cause }[];
  readonly differences: readonly {
    readonly attachment: string;
    readonly layer: Layer;
    readonly field: string;
    readonly cause: Cause;
  }[];
  readonly notes: readonly { readonly code: string; readonly attachment?: string; readonly cause: Cause }[];
}

/** What was due before and is no more. */
export interface NoLonger {
  readonly target: TargetName;
  readonly actions: readonly { readonly kind: PlanAction['kind']; readonly attachment?: string }[];
  readonly blockers: readonly { readonly code: BlockerCode; readonly attachment?: string; readonly message: string }[];
}

/** The change as it shows against a cluster. */
export interface ClusterChange {
  readonly plan: Plan;
  /** One for each target of the plan, in its order. */
  readonly causes: readonly TargetCauses[];
  readonly noLonger: readonly NoLonger[];
  readonly summary: {
    /** Targets with actions of this change, and with blockers of it. */
    readonly changed: number;
    readonly blocked: number;
    readonly plugs: number;
    readonly unplugs: number;
    readonly others: number;
    /** Targets that had actions or blockers before, whatever this change does to them besides. */
    readonly before: number;
    readonly noLonger: number;
  };
}

/** What the change is held against. */
export type Base =
  | { readonly kind: 'rendered'; readonly source: SourceIdentity }
  /** It can't be rendered: all is of the change, which may be what mends it. */
  | {
      readonly kind: 'unrendered';
      readonly ref: string;
      readonly faults: readonly { readonly code: string; readonly message: string; readonly position?: Position }[];
    };

export interface Change {
  readonly version: typeof changeVersion;
  readonly source: SourceIdentity;
  readonly base: Base;
  readonly declared: DeclaredChange;
  /** Left out where no cluster was asked. */
  readonly cluster?: ClusterChange;
}
