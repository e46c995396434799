/**
 * The plan: a value, versioned and byte-stable. Made from equal inputs it has equal bytes; keys are in the order of
 * these declarations, lists in the order that each says.
 */
import type { AppliedPolicy, Settings, SourceIdentity } from '../desired/model.ts';
import type { Difference } from '../diff/model.ts';
import type { LeftWhy } from '../diff/prune.ts';
import type { Position } from '../errors.ts';
import type { Delivery, UndeclaredVm } from '../live/model.ts';
import type { Binding, Json, LinkState, ObjectName } from '../vocabulary.ts';
import type { TimeWindow } from '../windows/windows.ts';
import type { DomainTarget, PlannedElement, PodAction } from './pod-model.ts';

export const planVersion = 'patchpanel.dev/plan/v1alpha1';

/** An attachment as a plug writes it. */
export interface PlannedAttachment {
  readonly name: string;
  readonly network: ObjectName;
  readonly binding: Binding;
  readonly state: LinkState;
  readonly mac?: string;
  readonly model?: string;
}

interface ActionBase {
  /** `namespace/name/1`, counted within the VM in the order of execution. */
  readonly id: string;
  /** Ids that must be done before; within the VM the previous action is implied. */
  readonly after: readonly string[];
}

export type Action =
  | (ActionBase & {
      readonly kind: 'plug';
      /** One in place; all that one migration brings otherwise. */
      readonly attachments: readonly PlannedAttachment[];
      readonly delivery: Delivery;
      /** Index of the PCIe root port that libvirt will choose, by attachment, where the live XML was read. */
      readonly ports?: Readonly<Record<string, number>>;
    })
  | (ActionBase & { readonly kind: 'unplug'; readonly attachments: readonly string[]; readonly delivery: Delivery })
  | (ActionBase & { readonly kind: 'link'; readonly attachment: string; readonly state: LinkState })
  | (ActionBase & {
      readonly kind: 'swap';
      readonly attachment: string;
      readonly from: ObjectName;
      readonly to: ObjectName;
    })
  /** Nothing to write: a change that is already on its way is followed to its end. */
  | (ActionBase & {
      readonly kind: 'follow';
      readonly attachment: string;
      readonly until: 'plugged' | 'gone' | 'link' | 'swapped';
    })
  /** One edit of the template of a stopped VM, or of a running one where `restart` is `stage`. */
  | (ActionBase & {
      readonly kind: 'edit-template';
      readonly put: readonly PlannedAttachment[];
      readonly remove: readonly string[];
      /** The VM runs: the edit takes effect at its next restart. */
      readonly staged: boolean;
    })
  /** Writes what gives the VM its declared number of PCIe ports at its next start into its template. */
  | (ActionBase & {
      readonly kind: 'set-ports';
      readonly knob: PortKnob;
      /** What the knob is set to; no smaller value gives as many ports. One that is higher already stays. */
      readonly value: number;
      /** The VM runs: it takes effect at its next restart. */
      readonly staged: boolean;
    })
  /** Restarts the VM in a window, for what of the template waits for that. Outside them all it waits. */
  | (ActionBase & {
      readonly kind: 'restart';
      /** UID of the instance that is to end: where another one runs, the restart is done. */
      readonly instance: string;
      readonly windows: readonly TimeWindow[];
      /** At least so many root ports must the domain have then. */
      readonly ports?: number;
    })
  /** Drops names from the ownership record of attachments that are gone; of none, where only its hold is to be lifted. */
  | (ActionBase & { readonly kind: 'release'; readonly attachments: readonly string[] });

/**
 * Where KubeVirt reads a number of ports: the template annotation `kubevirt.io/pci-interface-slot-count`, whose value
 * counts NIC slots, or the field `domain.devices.numberPciPorts` where the cluster's VMs have one. Where it reads neither, a
 * hook sidecar adds them.
 */
export type PortKnob = 'slot-count' | 'field' | 'sidecar';

/** Why an action can't run. `code` is stable; docs/reference/blockers.md lists all. */
export interface Blocker {
  readonly code: BlockerCode;
  /**
   * Only this attachment is blocked, the others of the VM go on. Undefined where the VM as a whole is meant: nothing is
   * written for it (except `port-count` and `restart-refused`, which stop nothing else, and `no-ports`, which lets
   * `set-ports` and `restart` pass).
   */
  readonly attachment?: string;
  /** Where that attachment is declared; left out for one that is no longer. */
  readonly position?: Position;
  readonly message: string;
  readonly remedy: string;
  /** What the remedy has to be written elsewhere, such as YAML for another tool, in lines. */
  readonly paste?: string;
}

export type BlockerCode =
  | 'vm-not-found'
  | 'vm-deleting'
  | 'vm-migrating'
  | 'vm-paused'
  | 'vm-starting'
  | 'vm-not-ready'
  | 'vm-pool'
  | 'shared-ownership'
  | 'default-network'
  | 'needs-restart'
  | 'link-unsupported'
  | 'not-migratable'
  | 'no-delivery'
  | 'not-unpluggable'
  | 'ordinal-names'
  | 'one-way-absent'
  | 'pending-plug'
  | 'no-ports'
  | 'network-missing'
  | 'network-invalid'
  | 'mac-taken'
  | 'mac-invalid'
  | 'name-collision'
  | 'foreign-nic'
  | 'port-count'
  | 'pod-not-found'
  | 'pod-declared-twice'
  | 'pod-not-running'
  | 'pod-deleting'
  | 'pod-static'
  | 'pod-host-network'
  | 'pod-primary-network'
  | 'pod-launcher'
  | 'pod-controller'
  | 'pod-annotation'
  | 'pod-annotation-size'
  | 'pod-no-interface'
  | 'pod-unsettled'
  | 'network-device'
  | 'network-unfit'
  | 'foreign-element'
  | 'shared-address'
  | 'agent-unfit'
  | 'agent-unread'
  | 'agent-dropped'
  | 'restart-refused'
  | 'suspended'
  | 'held'
  | 'other-source'
  | 'renamed'
  | 'protected'
  | 'removal-limit';

/** Something the reader should know that stops nothing. */
export interface Note {
  readonly code: string;
  readonly attachment?: string;
  readonly message: string;
}

/** Ports of one VM, for the port strip of the plan. */
export interface PlanPorts {
  /** `xml`: counted; `forecast`: computed from KubeVirt's formula, then `free` is the lower bound. */
  readonly basis: 'xml' | 'forecast';
  readonly free: number;
  /** Upper bound of a forecast; equal to `free` for XML. */
  readonly freeAtMost: number;
  readonly needed: number;
  readonly freed: number;
  /** Only where the XML was read: every root port in index order, and what this plan makes of it. */
  readonly strip?: readonly {
    readonly index: number;
    readonly state: 'used' | 'freed' | 'taken' | 'free' | 'not-hotpluggable';
    readonly device?: string;
  }[];
}

/** The declared number of PCIe root ports of a VM that has fewer. */
export interface PlanPortCount {
  readonly declared: number;
  /** `xml`: counted; `forecast`: computed from KubeVirt's formula, then `now` is the lower bound. */
  readonly basis: 'xml' | 'forecast';
  /** Of the running domain; of a stopped VM, what a start before this plan would give. */
  readonly now: number;
  /** What the next start gives after this plan: always a forecast, the lower bound. */
  readonly afterRestart: number;
  /** Devices that this next start moves to another PCI bus, by forecast, in the order of their buses. */
  readonly moves: readonly { readonly device: string; readonly from: number; readonly to: number }[];
}

export type RunState = 'running' | 'stopped' | 'starting' | 'stopping' | 'migrating' | 'paused' | 'missing';

/** A target as plans and outcomes name it. */
export type TargetName = { readonly kind: 'VirtualMachine' | 'Pod' } & ObjectName;

/** When a target goes: those of a smaller index first. */
export interface PlanWave {
  readonly index: number;
  readonly name: string;
}

interface TargetPlanBase {
  readonly uid?: string;
  /** Where it is declared; left out where it no longer is. */
  readonly position?: Position;
  readonly runState: RunState;
  readonly differences: readonly Difference[];
  readonly blockers: readonly Blocker[];
  readonly notes: readonly Note[];
  readonly ports?: PlanPorts;
  /** Where the settings have waves, and there are actions. */
  readonly wave?: PlanWave;
  /** Digest of what is declared, its networks included: what a hold is tied to. Only where there are actions. */
  readonly input?: string;
  /** Names of NICs that are neither declared nor owned, sorted; the default network is not listed. */
  readonly unmanaged: readonly string[];
  /** The fields that the plan was made from, and their digest: a plan is stale where these moved. */
  readonly read: { readonly digest: string; readonly fields: Json };
}

export interface VmPlan extends TargetPlanBase {
  readonly target: { readonly kind: 'VirtualMachine' } & ObjectName;
  readonly actions: readonly Action[];
  /** No object names the VM any more: what patchpanel owns on it goes, and then the record. */
  readonly pruned?: true;
  readonly portCount?: PlanPortCount;
  /** All attachments that are declared, in that order: what a run proves at its end. Plans of old lack it. */
  readonly declared?: readonly PlannedAttachment[];
}

/** The plan of one pod: by name, or one of those that a selector matches. */
export interface PodPlan extends TargetPlanBase {
  readonly target: { readonly kind: 'Pod' } & ObjectName;
  readonly actions: readonly PodAction[];
  /** All attachments that are declared, in that order: what a run proves at its end. */
  readonly declared: readonly PlannedElement[];
  /** The domain in the pod that the NICs are plugged into. */
  readonly domain?: DomainTarget;
}

export type TargetPlan = VmPlan | PodPlan;
export type PlanAction = Action | PodAction;

export function isPodPlan(target: TargetPlan): target is PodPlan {
  return target.target.kind === 'Pod';
}

export interface PlanUndeclared extends UndeclaredVm {
  readonly why: LeftWhy;
}

/** NICs that the plan takes away, or would, were there no limit. */
export interface PlanRemovals {
  readonly planned: number;
  /** NICs that patchpanel owns on all VMs and pods that the plan looked at. */
  readonly owned: number;
}

export interface Plan {
  readonly version: typeof planVersion;
  readonly source: SourceIdentity;
  readonly cluster: {
    readonly server: string;
    readonly delivery: Delivery;
    readonly deliveryEvidence: string;
    readonly kubevirtVersion?: string;
  };
  /** What holds for the run: a saved plan keeps its brakes. */
  readonly settings: Settings;
  /** The policy of the platform owner that they were tightened by, where there is one. */
  readonly policy?: AppliedPolicy;
  /** VMs, then pods, by namespace and name; those without differences, actions, blockers or notes are only counted. */
  readonly targets: readonly TargetPlan[];
  /** Left out where there are none. */
  readonly removals?: PlanRemovals;
  /** VMs without an object in the repository that keep NICs which patchpanel plugged; left out where there are none. */
  readonly undeclared?: readonly PlanUndeclared[];
  readonly summary: {
    readonly vms: number;
    /** Only where pods are declared. */
    readonly pods?: number;
    readonly unchanged: number;
    readonly changed: number;
    readonly blocked: number;
    readonly plugs: number;
    readonly unplugs: number;
    readonly others: number;
  };
}
