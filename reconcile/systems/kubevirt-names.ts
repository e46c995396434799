/**
 * How KubeVirt v1.9 names things: interfaces of a launcher pod, taps, bridges, annotations, labels, conditions and
 * event reasons. Nothing else in the house spells them.
 */
import { createHash } from 'node:crypto';

/** Hexadecimal digits of the hash in a pod interface name; `pod` + 11 is a byte short of IFNAMSIZ. */
const hashLength = 11;

/** Name of the pod's first interface, unless Multus's network-status has a default entry with another name. */
export const primaryPodInterface = 'eth0';

/** The first 11 hex digits of the SHA-256 of a network name, which pod interface, tap and bridge share. */
export function networkHash(networkName: string): string {
  let hash = hashes.get(networkName);
  if (hash === undefined) {
    hash = createHash('sha256').update(networkName).digest('hex').slice(0, hashLength);
    if (hashes.size < maxHashes) hashes.set(networkName, hash);
  }
  return hash;
}

/** The NICs of a fleet have few names, and each is hashed in every layer. */
const hashes = new Map<string, string>();
const maxHashes = 10_000;

/**
 * Name of a secondary NIC in the launcher pod: `pod` + hash. It depends on the *network name* in the VM spec alone, so
 * one NAD may be attached many times under different names.
 */
export function podInterfaceName(networkName: string): string {
  return `pod${networkHash(networkName)}`;
}

/** Name that VMs born before KubeVirt v1.0 use: `net1` for the first secondary network. @param position from 1 */
export function ordinalPodInterfaceName(position: number): string {
  return `net${position}`;
}

/** Whether a pod interface was named by position; KubeVirt then ignores `absent` without a word. */
export function isOrdinalPodInterfaceName(podInterface: string): boolean {
  return /^net\d+$/.test(podInterface);
}

/** The tap behind a pod interface: `eth0` -> `tap0`, `net1` -> `tap1`, `podHASH` -> `tapHASH`. */
export function tapName(podInterface: string): string {
  return `tap${podInterface.slice(3)}`;
}

/** The in-pod bridge of a pod interface: `podHASH` -> `k6t-HASH`, others `k6t-NAME`. */
export function bridgeName(podInterface: string): string {
  return `k6t-${withoutPodPrefix(podInterface)}`;
}

/** What the pod's own NIC is renamed to once the bridge took its place: `HASH-nic`. */
export function renamedPodNicName(podInterface: string): string {
  return `${withoutPodPrefix(podInterface)}-nic`;
}

function withoutPodPrefix(podInterface: string): string {
  return podInterface.startsWith('pod') ? podInterface.slice(3) : podInterface;
}

/** libvirt's name of the domain of a VMI. */
export function domainName(namespace: string, vmi: string): string {
  return `${namespace}_${vmi}`;
}

/** Prefix of an alias that a user of libvirt chose; libvirt replaces any other. */
export const userAliasPrefix = 'ua-';
/** What follows it on the host device of an SR-IOV NIC. */
export const sriovAliasPrefix = 'sriov-';

/** Alias of a NIC in the domain XML: the key that joins it with the VM spec. */
export function nicAlias(networkName: string, binding: 'bridge' | 'sriov' = 'bridge'): string {
  return `${userAliasPrefix}${binding === 'sriov' ? sriovAliasPrefix : ''}${networkName}`;
}

/** The network name that an alias stands for; undefined for an alias that libvirt made. */
export function networkOfAlias(alias: string): string | undefined {
  if (!alias.startsWith(userAliasPrefix)) return undefined;
  const name = alias.slice(userAliasPrefix.length);
  return name.startsWith(sriovAliasPrefix) ? name.slice(sriovAliasPrefix.length) : name;
}

/** The container of a launcher pod in which libvirt runs. */
export const computeContainer = 'compute';
/** The container that Istio adds to a pod. */
export const istioContainer = 'istio-proxy';

/**
 * Where virsh finds libvirt in a launcher pod, most likely first; undefined: its own default. Then virtqemud of a
 * launcher without root, libvirtd of older ones, and launchers that run as root.
 */
export const launcherUris = [
  undefined,
  'qemu+unix:///session?socket=/var/run/libvirt/virtqemud-sock',
  'qemu+unix:///session?socket=/var/run/libvirt/libvirt-sock',
  'qemu:///system',
] as const;

/** Annotations that KubeVirt reads or writes. */
export const annotations = {
  /** VM template, VMI: how many ports a domain gets; `v3` is set at creation where it is missing. */
  pciTopologyVersion: 'kubevirt.io/pci-topology-version',
  /** VM template, VMI: wanted NIC slots in total, an integer; the one per-VM knob for ports. */
  pciSlotCount: 'kubevirt.io/pci-interface-slot-count',
  /** VM template, VMI: `"true"` puts all devices on pcie.0, where nothing can be plugged. */
  rootComplex: 'kubevirt.io/placePCIDevicesOnRootComplex',
  /** VMI: generation of the VM whose template it was made from. */
  vmGeneration: 'kubevirt.io/vm-generation',
  latestObservedApiVersion: 'kubevirt.io/latest-observed-api-version',
  storageObservedApiVersion: 'kubevirt.io/storage-observed-api-version',
  /** Pod: name of the VMI. */
  domain: 'kubevirt.io/domain',
  /** Pod: what device plugins and CNI told of SR-IOV and plugin NICs. */
  networkInfo: 'kubevirt.io/network-info',
  /** VMI: a bridge on the pod network may migrate all the same. */
  allowPodBridgeMigration: 'kubevirt.io/allow-pod-bridge-network-live-migration',
  /** VMI: the workload updater leaves it alone. */
  testMigrationAbortion: 'kubevirt.io/testWorkloadUpdateMigrationAbortion',
  /** VM template, VMI: a JSON list of sidecars that may change the domain. */
  hookSidecars: 'hooks.kubevirt.io/hookSidecars',
} as const;

/** The topology version that KubeVirt itself pairs with a slot count; the count is read under any. */
export const slotCountTopology = 'v2';
/** Field of `domain.devices` for a number of ports; proposed, and in no release of KubeVirt up to v1.9. */
export const portCountField = 'numberPciPorts';
/** It, as people write it. */
export const portFieldPath = `domain.devices.${portCountField}`;
/** Run strategies of a VM that virt-api does not restart, or that is a mere target of a migration. */
export const noRestartStrategies: readonly string[] = ['Halted', 'Once', 'WaitAsReceiver'];
/** Feature gate of KubeVirt for hook sidecars. */
export const sidecarGate = 'Sidecar';
/** Feature gate of KubeVirt v1.1 to v1.3 for plugging NICs into running VMs; later they need none. */
export const hotplugGate = 'HotplugNICs';

/** Labels by which launcher pods and VMIs are found. */
export const labels = {
  /** `virt-launcher` on every launcher pod. */
  app: 'kubevirt.io',
  /** Pod: UID of its VMI. */
  createdBy: 'kubevirt.io/created-by',
  /** Pod: name of the VMI. */
  vmiId: 'vmi.kubevirt.io/id',
  /** Pod: name of the VM; deprecated. */
  vmName: 'vm.kubevirt.io/name',
  nodeName: 'kubevirt.io/nodeName',
  domain: 'kubevirt.io/domain',
  /** Target pod of a migration: UID of the VirtualMachineInstanceMigration. */
  migrationJobUid: 'kubevirt.io/migrationJobUID',
  /** VM of a pool. */
  poolRevision: 'kubevirt.io/vm-pool-revision-name',
} as const;
export const launcherAppLabel = 'virt-launcher';

/** Finalizer that virt-controller sets on VMs and VMIs. */
export const controllerFinalizer = 'kubevirt.io/virtualMachineControllerFinalize';
export const foregroundDeleteFinalizer = 'kubevirt.io/foregroundDeleteVirtualMachine';

/** Types of conditions on VMs and VMIs that say something of NICs. */
export const conditionTypes = {
  ready: 'Ready',
  paused: 'Paused',
  liveMigratable: 'LiveMigratable',
  storageLiveMigratable: 'StorageLiveMigratable',
  agentConnected: 'AgentConnected',
  /** VMI, mirrored to the VM: False while in-place delivery is awaited, True once a migration is needed. */
  migrationRequired: 'MigrationRequired',
  /** VM: the template holds a change that only a restart brings. */
  restartRequired: 'RestartRequired',
  /** VMI: False with the first error of syncing the domain; removed on success. */
  synchronized: 'Synchronized',
} as const;

export const migrationRequiredReasons = {
  pending: 'AutoMigrationPending',
  required: 'AutoMigrationDueToLiveUpdate',
} as const;

export const restartRequiredMessage = 'a non-live-updatable field was changed in the template spec';

/** Reason of Synchronized=False when libvirt refused. */
export const synchronizeFailedReason = 'Synchronizing with the Domain failed.';

/** Reasons of events on VMIs that say why a NIC lags. */
export const eventReasons = {
  /** Warning: virt-handler could not prepare the NIC in the pod. */
  nicHotplug: 'NicHotplug',
  /** Warning: virt-launcher could not bring the domain to the spec. */
  syncFailed: 'SyncFailed',
  /** Warning: a launcher pod could not be made. */
  failedCreate: 'FailedCreate',
} as const;

/** libvirt's refusals for want of a port; KubeVirt wraps them into conditions and events. */
export const noPortsPattern = /No more available PCI (slots|addresses)/;

/** Seconds that virt-controller waits for in-place delivery before MigrationRequired turns True, as it works out. */
export const migrationGraceSeconds = 20;
/** Seconds from MigrationRequired=True to the migration. */
export const workloadUpdateSeconds = 5;

/** Users whose updates of VMIs virt-api admits. */
export const kubevirtServiceAccounts = [
  'system:serviceaccount:kubevirt:kubevirt-apiserver',
  'system:serviceaccount:kubevirt:kubevirt-controller',
  'system:serviceaccount:kubevirt:kubevirt-handler',
] as const;

/** Workload update method of the KubeVirt CR without which no migration follows from MigrationRequired. */
export const liveMigrateMethod = 'LiveMigrate';
