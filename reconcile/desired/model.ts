/** The desired state after rendering and checking: what the other rooms see of a repository. */
import type { Position } from '../errors.ts';
import type { Binding, DomainTarget, LinkState, NicModel, ObjectName } from '../vocabulary.ts';
import type { TimeWindow } from '../windows/windows.ts';

/** One NIC that a VM must have. MAC addresses are lower case with colons; `network` is always qualified. */
export interface DesiredAttachment {
  readonly name: string;
  readonly network: ObjectName;
  readonly mac?: string;
  readonly binding: Binding;
  readonly model?: NicModel;
  readonly state: LinkState;
  readonly position: Position;
}

/** All that the repository says of one VM. Attachments keep their declared order, which is the order of plugging. */
export interface DesiredTarget {
  readonly target: { readonly kind: 'VirtualMachine' } & ObjectName;
  /** At least so many PCIe root ports. */
  readonly pciePorts?: number;
  /** Its own word for a restart; the settings must allow it too. */
  readonly mayRestart?: true;
  /** Its own object says that it is to be left alone. */
  readonly suspended?: true;
  /** No object names it any more: it is in the plan to be pruned, and its position says nothing. */
  readonly pruned?: true;
  readonly attachments: readonly DesiredAttachment[];
  readonly position: Position;
}

/** One NIC that a pod must have. With a domain it is also plugged into that. */
export interface DesiredElement {
  readonly name: string;
  readonly network: ObjectName;
  /** Name of the interface in the pod. */
  readonly interface: string;
  readonly mac?: string;
  readonly ips?: readonly string[];
  readonly model?: NicModel;
  readonly state: LinkState;
  readonly position: Position;
}

/** Which pods of a namespace are meant: one by its name, or those that match a label selector, as the API takes it. */
export type PodQuery = { readonly namespace: string } & ({ readonly name: string } | { readonly selector: string });

/** A label selector as Kubernetes objects have it. */
interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?:
    | readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] | undefined }[]
    | undefined;
}

/** All that the repository says of one pod, or of the pods that match a selector. */
export interface DesiredPods {
  readonly query: PodQuery;
  /** Name of the pod, or of the object where there is a selector. */
  readonly name: string;
  /** As it was written, of a query by selector. */
  readonly selector?: LabelSelector;
  readonly repair: boolean;
  readonly suspended?: true;
  readonly domain?: DomainTarget;
  readonly attachments: readonly DesiredElement[];
  readonly position: Position;
}

/** Key of a query in maps and messages: `namespace/name`, or `namespace/[selector]`. */
export function podQueryKey(query: PodQuery): string {
  return `${query.namespace}/${'name' in query ? query.name : `[${query.selector}]`}`;
}

/** What to do with a change that a running VM can not take. */
export type RestartPolicy =
  /** Block it, and say so. */
  | 'never'
  /** Write it to the VM template, where the next restart picks it up. */
  | 'stage'
  /** Write it likewise, and restart the VMs that allow it themselves, in a window. */
  | 'allowed';

/** What follows a change that the layers did not confirm. */
export type OnFailure =
  /** It is taken back, and its target left alone until its input changes. */
  | 'reverse'
  /** It stays as it is, and its target is left alone likewise. */
  | 'hold'
  /** It stays as it is, and the next run goes on from there. */
  | 'retry';

/** A ceiling as a number, as a share of all in percent, or both: then both hold. */
export interface Limit {
  readonly count?: number;
  readonly percent?: number;
}

/** VMs and pods that all conditions fit: a namespace of these, a name of these (`web-*`), all of these labels. */
export interface Wave {
  readonly name: string;
  readonly namespaces?: readonly string[];
  readonly vms?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}

/** Windows, one of which must be open (or, where they deny, none). */
export interface WindowRule {
  /** Whose rule it is. */
  readonly from: 'repository' | 'policy';
  /** Whether a person may act against it with a reason. */
  readonly overridable: boolean;
  readonly windows: readonly TimeWindow[];
}

/** What holds for a run: the Settings of the repository, tightened by the policy of the platform owner where there is one. */
export interface Settings {
  /** VMs in change at one time. */
  readonly maxInFlight: number;
  /** The same for those of one node. */
  readonly maxInFlightPerNode?: number;
  /** VMs that go first; the others follow once they are verified. */
  readonly canary?: Limit;
  /**
   * Orders of waves, each with its first wave first; the first wave that fits a target counts, and without one it comes
   * last. The place in the first list counts before that in the second: that of the policy stands first.
   */
  readonly waves?: readonly (readonly Wave[])[];
  /** No further VM is begun after so many failed. */
  readonly maxFailures?: number;
  readonly onFailure: OnFailure;
  /** Whether owned NICs are unplugged from VMs whose object is gone. */
  readonly prune: boolean;
  /** NICs that one run may unplug. */
  readonly maxRemovals?: Limit;
  readonly suspend?: true;
  /** Sorted. */
  readonly suspendedNamespaces?: readonly string[];
  /** Each rule must have an open window. */
  readonly allowWindows?: readonly WindowRule[];
  /** No rule may have one. */
  readonly denyWindows?: readonly WindowRule[];
  readonly restart: RestartPolicy;
  /** There where `restart` is `allowed`: when. Each rule must have an open window. */
  readonly restartWindows?: readonly WindowRule[];
}

/** One brake that the policy made stricter; both values are for people. */
export interface Tightened {
  readonly key: keyof Settings;
  /** What the repository says; left out where it says nothing. */
  readonly asked?: string;
  readonly holds: string;
}

/** The policy that settings were tightened by. */
export interface AppliedPolicy {
  /** Where it was read: `ConfigMap infra/patchpanel-policy, policy.yaml`. */
  readonly from: string;
  /** In the order of the settings; empty where the repository asks for nothing that it does not get. */
  readonly tightened: readonly Tightened[];
}

/** What holds where the repository has no Settings. */
export const defaultSettings: Settings = { maxInFlight: 4, onFailure: 'reverse', prune: false, restart: 'never' };

/**
 * Where the desired state came from. A folder is identified by a digest of the files that were read. `mark` is what runs
 * leave on the objects that they change, to know them again; a folder that was given no id has none.
 */
export type SourceIdentity =
  | {
      readonly kind: 'git';
      /** Without user info. */
      readonly url: string;
      readonly ref: string;
      /** Full commit id. */
      readonly commit: string;
      readonly path: string;
      readonly mark?: string;
    }
  | {
      readonly kind: 'folder';
      readonly path: string;
      /** `sha256:` and the digest of names and contents. */
      readonly digest: string;
      readonly mark?: string;
    };

export interface DesiredState {
  readonly source: SourceIdentity;
  /** What holds: tightened where there is a policy. */
  readonly settings: Settings;
  readonly policy?: AppliedPolicy;
  /** Sorted by namespace, then name. */
  readonly targets: readonly DesiredTarget[];
  /** By namespace, then name or selector; left out where no pod is declared. */
  readonly pods?: readonly DesiredPods[];
  /** Number of files read. */
  readonly files: number;
  /** Namespaces that the repository may act in, of which the last character may be a `*`; all where it is left out. */
  readonly scope?: readonly string[];
}
