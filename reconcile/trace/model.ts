/** Why a NIC is not where it should be: one VM or pod, every NIC, every layer. */
import type { SourceIdentity } from '../desired/model.ts';
import type { AttachmentState, Difference } from '../diff/model.ts';
import type { PodAttachmentDiff } from '../diff/pods.ts';
import type { Position } from '../errors.ts';
import type { Delivery } from '../live/model.ts';
import type { Blocker, PlanPorts, RunState } from '../plan/model.ts';
import type { Layer, ObjectName } from '../vocabulary.ts';

export const traceVersion = 'patchpanel.dev/trace/v1alpha1';

/** How a NIC comes to be in the trace. */
export type NicRole =
  /** In the desired state. */
  | 'declared'
  /** On patchpanel's record, and no longer declared: it is to go. */
  | 'owned'
  /** In the VM; no desired state was given to compare it with. */
  | 'present'
  /** In the VM, neither declared nor owned: left alone, and not counted. */
  | 'unmanaged'
  /** Of a kind that patchpanel does not plug, such as a binding plugin. */
  | 'foreign'
  /** The default network: off limits, and not counted. */
  | 'default';

export interface LayerTrace {
  readonly layer: Layer;
  /** `waits`: it only waits for layers further in, as the spec of a NIC that is being unplugged. */
  readonly verdict: 'agrees' | 'lags' | 'waits' | 'unread';
  /** What is seen there, in a few words; for `unread`, why nothing is. */
  readonly seen: string;
}

/** A moment that the cluster tells of. */
export interface Since {
  /** RFC 3339. */
  readonly at: string;
  /** What tells. */
  readonly by: string;
  /** The last write of something that holds more than this NIC: it may lag for longer. */
  readonly orEarlier: boolean;
}

/** Something that a system said, in its own words. */
export interface Reason {
  readonly from: 'condition' | 'event' | 'controller' | 'network' | 'ports';
  readonly text: string;
  /** RFC 3339. */
  readonly at?: string;
}

export interface Lag {
  readonly layer: Layer;
  /** A code of docs/reference/trace.md, or that of a blocker. */
  readonly cause: string;
  /** The cause in a sentence. */
  readonly summary: string;
  readonly remedy: string;
  /** Undefined where nothing tells. */
  readonly since?: Since;
  /** The most telling first. */
  readonly reasons: readonly Reason[];
}

export interface NicTrace {
  readonly name: string;
  readonly role: NicRole;
  readonly state: AttachmentState | PodAttachmentDiff['state'];
  /** Where it is declared. */
  readonly position?: Position;
  readonly network?: ObjectName;
  /** Its interface in the pod. */
  readonly podInterface?: string;
  readonly layers: readonly LayerTrace[];
  readonly differences: readonly Difference[];
  readonly lag?: Lag;
}

/** The dynamic-networks controller, as far as it matters to this VM. */
export interface ControllerSight {
  readonly daemonSet?: string;
  readonly ready?: number;
  readonly wanted?: number;
  /** On the node of the VM. */
  readonly onNode: 'ready' | 'not-ready' | 'missing' | 'unknown';
}

export interface Trace {
  readonly version: typeof traceVersion;
  readonly target: { readonly kind: 'VirtualMachine' | 'Pod' } & ObjectName;
  readonly source?: SourceIdentity;
  /** The desired state has an object for the VM; undefined where none was given. */
  readonly declared?: boolean;
  readonly runState: RunState;
  readonly node?: string;
  readonly pod?: string;
  readonly cluster: {
    readonly server: string;
    readonly delivery: Delivery;
    readonly kubevirtVersion?: string;
    readonly controller: ControllerSight;
  };
  readonly ports?: PlanPorts;
  /** Every layer of every NIC that counts agrees. */
  readonly agrees: boolean;
  readonly nics: readonly NicTrace[];
  /** What would stop the next change of this VM as a whole. */
  readonly blockers: readonly Blocker[];
  /** What could not be read, and what that costs. */
  readonly gaps: readonly string[];
}
