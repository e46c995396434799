/** The live state: what the cluster says of each VM, layer by layer, reduced to the fields that planning needs. */

import type { PortFacts } from '../systems/kubevirt-ports.ts';
import type { LiveDomain } from '../systems/libvirt-domain.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import type { LinkState, ObjectName } from '../vocabulary.ts';
import type { LivePods } from './pod-model.ts';
import type { Protection } from './protection.ts';
import type { Suspension } from './suspension.ts';

/** How a NIC of a VM or VMI is bound; `plugin` covers `binding.name`, `other` what patchpanel has no word for. */
export type LiveBinding = 'bridge' | 'sriov' | 'masquerade' | 'plugin' | 'other';

/** A NIC of a VM template or VMI spec: the interface joined with the network of its name. */
export interface SpecNic {
  readonly name: string;
  readonly binding: LiveBinding;
  /** `""` is read as `up`. */
  readonly state: LinkState | 'absent';
  /** Lower case, colons. */
  readonly mac?: string;
  readonly model?: string;
  /** Name of the binding plugin. */
  readonly plugin?: string;
  /** Qualified NAD of a Multus network; undefined for the pod network. */
  readonly network?: ObjectName;
  /** The pod network, or Multus with `default: true`: off limits. */
  readonly isDefault: boolean;
}

/** A NIC of VMI status. */
export interface StatusNic {
  readonly name: string;
  readonly mac?: string;
  readonly podInterfaceName?: string;
  readonly guestInterfaceName?: string;
  /** `infoSource`, split into a set. */
  readonly sources: readonly ('domain' | 'guest-agent' | 'multus-status')[];
  readonly linkState?: LinkState;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface LiveVmi {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly phase: string;
  readonly deleting: boolean;
  readonly nodeName?: string;
  readonly nics: readonly SpecNic[];
  readonly status: readonly StatusNic[];
  readonly conditions: readonly Condition[];
  /** `status.migrationState` is there and neither completed nor failed. */
  readonly migrating: boolean;
  /** `status.migrationState` is there: a launcher of another version may have defined the domain. */
  readonly hasMigrated?: true;
  readonly hardware: PortFacts;
  /** `status.launcherContainerImageVersion` or the like, such as `v1.9.0`, where known. */
  readonly launcherVersion?: string;
}

export interface LivePod {
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  /** As KubeVirt judges it before it plugs: whether the guest passes its readiness probe says nothing. */
  readonly ready: boolean;
  readonly nodeName?: string;
  readonly deleting: boolean;
  /** Elements of the networks annotation, or why it can't be parsed. */
  readonly networks: readonly NetworkSelectionElement[] | { readonly problem: string };
  readonly status: readonly NetworkStatus[] | { readonly problem: string };
}

/** The domain layer: read, or why it was not. */
export type DomainReading =
  | { readonly kind: 'read'; readonly domain: LiveDomain }
  | {
      readonly kind: 'unread';
      readonly why: 'not-asked' | 'not-running' | 'forbidden' | 'failed';
      readonly message?: string;
    };

/** Another tool that writes the VM's network lists, found in managedFields, labels or annotations. */
export interface OtherManager {
  /** `Argo CD`, `Flux`, `Helm`, or the name of a field manager. */
  readonly tool: string;
  /** How it was found, for the message. */
  readonly evidence: string;
  /** What of that tool has the VM among its objects, where its marks tell. */
  readonly owner?: {
    readonly kind: 'Application' | 'Kustomization' | 'HelmRelease' | 'release';
    readonly name: string;
    readonly namespace?: string;
  };
}

/** The mark of a change that failed: it is not tried again until what it was made from changes. */
export interface HeldMark {
  /** Digest of what was declared; undefined where the mark can't be read, which holds whatever is declared. */
  readonly input?: string;
  /** UID of the instance that ran then; another one is another case. */
  readonly instance?: string;
  readonly reason: string;
  /** When, as Kubernetes writes times. */
  readonly at?: string;
  readonly commit?: string;
}

export interface LiveVm extends ObjectName {
  readonly uid: string;
  /** `Always`, `Manual` and so on. */
  readonly runStrategy?: string;
  readonly resourceVersion: string;
  readonly deleting: boolean;
  readonly nics: readonly SpecNic[];
  /** The template has no NIC at all, so KubeVirt gives it the pod network at its start. */
  readonly automaticNetwork?: boolean;
  /** Names that patchpanel attached: the annotation of systems/patchpanel.ts. */
  readonly owned: readonly string[];
  /** `patchpanel.dev/shared-ownership: acknowledged`. */
  readonly sharedOwnershipAcknowledged: boolean;
  readonly otherManagers: readonly OtherManager[];
  readonly held?: HeldMark;
  readonly labels?: Readonly<Record<string, string>>;
  /** The desired state that changed it last; see desired/source-mark.ts. */
  readonly source?: string;
  /** Which of its NICs must not be taken away. */
  readonly protection?: Protection;
  readonly suspension?: Suspension;
  /** Name of the VirtualMachinePool that owns the VM. */
  readonly pool?: string;
  readonly conditions: readonly Condition[];
  readonly hardware: PortFacts;
  readonly vmi?: LiveVmi;
  readonly pod?: LivePod;
  readonly domain: DomainReading;
}

/** A NetworkAttachmentDefinition; `problem` says why a plug into it would fail. */
export interface LiveNetwork extends ObjectName {
  readonly uid: string;
  /** Rises with each change of its config; undefined where the server counts none. */
  readonly generation?: number;
  /** Type of the interface plugin, such as `bridge`. */
  readonly pluginType?: string;
  readonly resourceName?: string;
  /** Frames of a guest behind a bridge do not pass: an interface that has its own MAC alone. */
  readonly guestless?: true;
  readonly problem?: string;
}

/** How a change of a running VM reaches the pod. */
export type Delivery =
  /** The dynamic-networks controller plugs the pod in place. */
  | 'in-place'
  /** KubeVirt migrates the VM to a pod that has the change. */
  | 'migration';

export interface ClusterFacts {
  readonly server: string;
  readonly delivery: Delivery;
  /** How the delivery was found out, for the plan: "DaemonSet kube-system/dynamic-networks-controller-ds". */
  readonly deliveryEvidence: string;
  readonly kubevirtVersion?: string;
  /** `workloadUpdateMethods` holds LiveMigrate; undefined where the KubeVirt CR can't be read. */
  readonly liveMigrateEnabled?: boolean;
  /** Registered binding plugins; undefined where the KubeVirt CR can't be read. */
  readonly bindingPlugins?: readonly string[];
  /**
   * The VM's schema has `domain.devices.numberPciPorts`. Undefined where nobody asked, as it takes the OpenAPI document
   * of the group; false where that can't be read.
   */
  readonly portField?: boolean;
  /** The feature gate Sidecar is on; undefined where the KubeVirt CR can't be read. */
  readonly sidecarGate?: boolean;
  /** The feature gate HotplugNICs is on. */
  readonly hotplugGate?: boolean;
}

/** A VM that the desired state does not name, with a record of what patchpanel plugged. */
export interface UndeclaredVm extends ObjectName {
  /** What of the record the VM still has, in the order of the VM. */
  readonly owned: readonly string[];
  /** The desired state that changed it last. */
  readonly source?: string;
}

export interface LiveState {
  readonly cluster: ClusterFacts;
  /** By `namespace/name`; the VMs that were asked for. */
  readonly vms: ReadonlyMap<string, LiveVm>;
  /** By `namespace/name`; the NADs of the namespaces that are referred to. */
  readonly networks: ReadonlyMap<string, LiveNetwork>;
  /** MACs of NICs of all VMs that were listed, to find one that is taken: MAC -> `namespace/name/nic`. */
  readonly macs: ReadonlyMap<string, string>;
  /** Left out where no pod was asked for. */
  readonly pods?: LivePods;
  /** By namespace and name; those that came with the lists. */
  readonly undeclared?: readonly UndeclaredVm[];
  /** VMs that are not there, by `namespace/name`, with those of the same name in other namespaces. */
  readonly namesakes?: ReadonlyMap<string, readonly ObjectName[]>;
}
