/** Differences between desired and live state. */
import type { DesiredAttachment, DesiredTarget } from '../desired/model.ts';
import type { LiveVm } from '../live/model.ts';
import type { Json, Layer } from '../vocabulary.ts';

/** One field of one attachment that a layer shows otherwise than wanted. */
export interface Difference {
  readonly attachment: string;
  readonly layer: Layer;
  /** `present`, `network`, `mac`, `model`, `binding`, `state`, ... */
  readonly field: string;
  /** `null`: not there. */
  readonly wanted: Json;
  readonly found: Json;
}

/** What the layers add up to for one attachment. */
export type AttachmentState =
  /** Declared, and every layer that can be read agrees. */
  | 'converged'
  /** Declared, and missing from the VM. */
  | 'missing'
  /** In the VM and declared alike, but a layer further in lags: a plug on its way. */
  | 'arriving'
  /** Owned or declared, and `absent` in the VM: an unplug on its way. */
  | 'leaving'
  /** Owned, no longer declared, and present in the VM. */
  | 'surplus'
  /** Declared and present, but a field differs. */
  | 'differs'
  /** Owned, no longer declared, and gone from every layer: only the ownership record is left. */
  | 'released'
  /** Neither declared nor owned: left alone. */
  | 'unmanaged';

export interface AttachmentDiff {
  readonly name: string;
  readonly state: AttachmentState;
  readonly wanted?: DesiredAttachment;
  readonly differences: readonly Difference[];
}

export interface TargetDiff {
  readonly desired: DesiredTarget;
  /** Undefined where the cluster has no such VM. */
  readonly live?: LiveVm;
  /** Declared attachments in declared order, then owned ones, then unmanaged ones in VM order. */
  readonly attachments: readonly AttachmentDiff[];
}
