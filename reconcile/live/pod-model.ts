/** Plain pods as they are, reduced to what planning needs. */
import type { Link } from '../systems/ip-links.ts';
import type { LiveDomain } from '../systems/libvirt-domain.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import type { ObjectName } from '../vocabulary.ts';
import type { HeldMark } from './model.ts';
import type { Protection } from './protection.ts';
import type { Suspension } from './suspension.ts';

/** An attachment as the ownership record of a pod keeps it. */
export interface OwnedInterface {
  readonly name: string;
  readonly network: ObjectName;
  readonly interface: string;
  /** Name of the domain that has it as a NIC too. */
  readonly domain?: string;
}

/** What the dynamic-networks controller reported of one interface. */
export interface ControllerEvent {
  readonly reason: 'AddedInterface' | 'FailedAddingInterface' | 'RemovedInterface' | 'FailedRemovingInterface';
  readonly interface: string;
  /** Name of the NAD, without its namespace. */
  readonly network: string;
}

/** A launcher pod of KubeVirt. */
interface Launcher {
  /** Name of the VMI. */
  readonly vmi: string;
  /** Such as `v1.3.1`: of the image, else of the cluster; undefined where neither tells. */
  readonly version?: string;
}

export interface LiveTargetPod extends ObjectName {
  readonly uid: string;
  readonly phase: string;
  readonly deleting: boolean;
  readonly hostNetwork: boolean;
  /** All containers run. */
  readonly running: boolean;
  readonly node?: string;
  /** The networks annotation as it is; undefined where there is none. */
  readonly networksText?: string;
  readonly networks: readonly NetworkSelectionElement[] | { readonly problem: string };
  /** Undefined where the pod has no network-status. */
  readonly status?: readonly NetworkStatus[] | { readonly problem: string };
  readonly owned: readonly OwnedInterface[];
  readonly labels?: Readonly<Record<string, string>>;
  /** The desired state that changed it last. */
  readonly source?: string;
  /** Which of its attachments must not be taken away. */
  readonly protection?: Protection;
  readonly held?: HeldMark;
  readonly suspension?: Suspension;
  /** Controllers of the pod, the nearest first: ReplicaSet, then Deployment. */
  readonly owners: readonly { readonly kind: string; readonly name: string }[];
  /** A static pod of a node: its annotations can't be changed for good. */
  readonly mirror: boolean;
  readonly launcher?: Launcher;
  /** OVN-Kubernetes gave it a primary user-defined network. */
  readonly primaryUdn: boolean;
  /** The annotation was written a moment ago: what it asks for may be on its way. */
  readonly settling: boolean;
  /** Oldest first. Undefined where events can't be read. */
  readonly events?: readonly ControllerEvent[];
  /** Bytes of all annotations. */
  readonly annotationBytes: number;
  /** Of a target with a domain. */
  readonly domain?: AgentReading;
}

/** The domain inside a pod and the interfaces around it, or why they can't be seen. */
export type AgentReading =
  | {
      readonly kind: 'read';
      readonly domain: LiveDomain;
      readonly links: readonly Link[];
    }
  | { readonly kind: 'unread'; readonly why: string }
  /** What the container lacks. */
  | { readonly kind: 'unfit'; readonly missing: readonly string[] };

/** Where the dynamic-networks controller runs. */
export type ControllerPresence =
  | { readonly kind: 'everywhere'; readonly evidence: string }
  | { readonly kind: 'nodes'; readonly ready: ReadonlySet<string>; readonly evidence: string }
  | { readonly kind: 'missing'; readonly evidence: string }
  /** DaemonSets can't be listed. */
  | { readonly kind: 'unknown' };

export interface LivePods {
  /** By the key of the query, each sorted by name. */
  readonly byQuery: ReadonlyMap<string, readonly LiveTargetPod[]>;
  readonly controller: ControllerPresence;
  /** Multus runs without the daemon that the controller needs. */
  readonly thin: boolean;
}
