/**
 * Settled, running VMs as KubeVirt leaves them: VM, VirtualMachineInstance and launcher pod of each, to be put straight
 * into the store. What belongs to the actors, such as the VMI's defaults and the pod's annotations, is theirs.
 */
import { createHash } from 'node:crypto';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import {
  annotations,
  controllerFinalizer,
  labels,
  podInterfaceName,
  primaryPodInterface,
} from '../../reconcile/systems/kubevirt-names.ts';
import { networkStatusAnnotation } from '../../reconcile/systems/multus-status.ts';
import { launcherImage, launcherPod } from '../actors/launcher-pod.ts';
import { guestAddress } from '../actors/launcher-sync.ts';
import { newVmi } from '../actors/new-vmi.ts';
import { readAs, type Vm, type Vmi } from '../actors/objects.ts';
import { nodeLabel, settledPodSpec, settledPodStatus } from './settled-pod.ts';

/** An object and where it is stored. */
export interface Seed {
  readonly group: string;
  readonly plural: string;
  readonly object: KubeObject;
}

/** A NIC on a network attachment definition, bound as a bridge. */
export interface SeedNic {
  readonly name: string;
  /** Name, or namespace/name. */
  readonly network: string;
  readonly mac?: string;
}

export interface SeedVm {
  readonly namespace: string;
  readonly name: string;
  /** Beside the default NIC on the pod network. */
  readonly nics?: readonly SeedNic[];
  readonly memory?: string;
  readonly cores?: number;
  /** Value of the annotation that sets the number of NIC slots. */
  readonly slotCount?: number;
  readonly node?: string;
  /** RFC 3339; when it was created and started. */
  readonly created?: string;
}

const disk = { name: 'rootdisk', image: 'quay.io/containerdisks/fedora:41' };
const nodes = ['node01', 'node02'];
const hostAddresses: Readonly<Record<string, string>> = { node01: '192.168.66.101', node02: '192.168.66.102' };
const longAgo = '2026-01-05T08:00:00Z';

/** VM, VMI and launcher pod of a VM that runs and has nothing left to do. The same input gives the same objects. */
export function settledVm(wish: SeedVm): readonly Seed[] {
  const key = `${wish.namespace}/${wish.name}`;
  const vm = settledVmObject(wish, uid(`vm ${key}`));
  const facts: Settled = {
    wish,
    vmUid: uid(`vm ${key}`),
    vmiUid: uid(`vmi ${key}`),
    podUid: uid(`pod ${key}`),
    podName: `virt-launcher-${wish.name}-${digest(`name ${key}`).slice(0, 5)}`,
    node: wish.node ?? nodes[Number.parseInt(digest(key).slice(0, 4), 16) % nodes.length] ?? 'node01',
    created: wish.created ?? longAgo,
    podIp: podAddress(key),
    networks: [{ name: 'default', podInterface: primaryPodInterface }, ...(wish.nics ?? []).map(secondary(wish))],
  };
  const vmi = settledVmiObject(facts, readAs<Vm>(vm));
  return [
    { group: 'kubevirt.io', plural: 'virtualmachines', object: vm },
    { group: 'kubevirt.io', plural: 'virtualmachineinstances', object: vmi },
    { group: '', plural: 'pods', object: settledPodObject(facts, readAs<Vmi>(vmi)) },
  ];
}

interface SettledNic {
  readonly name: string;
  readonly podInterface: string;
  /** `namespace/name`; undefined for the pod network. */
  readonly network?: string;
  readonly mac?: string;
}

interface Settled {
  readonly wish: SeedVm;
  readonly vmUid: string;
  readonly vmiUid: string;
  readonly podUid: string;
  readonly podName: string;
  readonly node: string;
  readonly created: string;
  readonly podIp: string;
  readonly networks: readonly SettledNic[];
}

function secondary({ namespace }: SeedVm): (nic: SeedNic) => SettledNic {
  return ({ name, network, mac }) => ({
    name,
    podInterface: podInterfaceName(name),
    network: network.includes('/') ? network : `${namespace}/${network}`,
    ...(mac === undefined ? {} : { mac }),
  });
}

function settledVmObject(wish: SeedVm, vmUid: string): KubeObject {
  const { name, namespace, nics = [], created = longAgo } = wish;
  const conditions = settledConditions(created);
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: {
      name,
      namespace,
      uid: vmUid,
      generation: 1,
      creationTimestamp: created,
      labels: { app: name },
      annotations: observedVersions,
      finalizers: [controllerFinalizer],
      managedFields: [
        managed('kubectl-create', created, {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': specFields,
        }),
        managed('virt-controller', created, { 'f:metadata': { 'f:annotations': {}, 'f:finalizers': {} } }),
        { ...managed('virt-controller', created, { 'f:status': vmStatusFields }), subresource: 'status' },
      ],
    },
    spec: {
      runStrategy: 'Always',
      template: {
        metadata: {
          annotations: {
            ...(wish.slotCount === undefined ? {} : { [annotations.pciSlotCount]: String(wish.slotCount) }),
            [annotations.pciTopologyVersion]: 'v3',
          },
          labels: { [labels.domain]: name },
        },
        spec: {
          architecture: 'amd64',
          domain: {
            cpu: { cores: wish.cores ?? 2 },
            devices: {
              disks: [{ disk: { bus: 'virtio' }, name: disk.name }],
              interfaces: [
                { masquerade: {}, model: 'virtio', name: 'default' },
                ...nics.map((nic) => ({
                  bridge: {},
                  ...(nic.mac === undefined ? {} : { macAddress: nic.mac }),
                  model: 'virtio',
                  name: nic.name,
                })),
              ],
              rng: {},
            },
            firmware: { serial: uid(`serial ${vmUid}`), uuid: uid(`firmware ${vmUid}`) },
            machine: { type: 'q35' },
            memory: { guest: wish.memory ?? '1Gi' },
            resources: {},
          },
          networks: [
            { name: 'default', pod: {} },
            ...nics.map((nic) => ({ multus: { networkName: nic.network }, name: nic.name })),
          ],
          volumes: [{ containerDisk: { image: disk.image }, name: disk.name }],
        },
      },
    },
    status: {
      conditions,
      created: true,
      desiredGeneration: 1,
      observedGeneration: 1,
      printableStatus: 'Running',
      ready: true,
      runStrategy: 'Always',
      volumeSnapshotStatuses: [
        {
          enabled: false,
          name: disk.name,
          reason: `Snapshot is not supported for this volumeSource type [${disk.name}]`,
        },
      ],
    },
  };
}

const observedVersions = {
  [annotations.latestObservedApiVersion]: 'v1',
  [annotations.storageObservedApiVersion]: 'v1',
};

function settledConditions(created: string): readonly object[] {
  return ['Ready', 'LiveMigratable', 'StorageLiveMigratable', 'AgentConnected'].map((type) => ({
    lastProbeTime: type === 'Ready' ? null : created,
    lastTransitionTime: created,
    status: 'True',
    type,
  }));
}

function settledVmiObject(facts: Settled, vm: Vm): KubeObject {
  const { wish, node, created } = facts;
  const born = newVmi(vm);
  const memory = wish.memory ?? '1Gi';
  const phases = ['Pending', 'Scheduling', 'Scheduled', 'Running'];
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      ...born.metadata,
      name: wish.name,
      namespace: wish.namespace,
      uid: facts.vmiUid,
      generation: 6,
      creationTimestamp: created,
      labels: { ...born.metadata.labels, ...nodeLabel(node) },
      annotations: { ...observedVersions, ...born.metadata.annotations },
      managedFields: [
        managed('virt-controller', created, { 'f:metadata': {}, 'f:spec': specFields['f:template']['f:spec'] }),
        managed('virt-handler', created, { 'f:status': vmiStatusFields }),
      ],
    },
    spec: born.spec,
    status: {
      activePods: { [facts.podUid]: node },
      conditions: settledConditions(created),
      currentCPUTopology: { cores: wish.cores ?? 2 },
      guestOSInfo: { id: 'fedora', name: 'Fedora Linux', version: '41' },
      interfaces: facts.networks.map((nic, index) => interfaceStatus(facts, nic, index)),
      launcherContainerImageVersion: launcherImage,
      machine: { type: 'q35' },
      memory: { guestAtBoot: memory, guestCurrent: memory, guestRequested: memory, memoryOverhead: '276Mi' },
      migrationMethod: 'BlockMigration',
      migrationTransport: 'Unix',
      nodeName: node,
      phase: 'Running',
      phaseTransitionTimestamps: phases.map((phase) => ({ phase, phaseTransitionTimestamp: created })),
      qosClass: 'Burstable',
      runtimeUser: 107,
      selinuxContext: 'none',
      virtualMachineRevisionName: `revision-start-vm-${facts.vmUid}-1`,
      volumeStatus: [{ name: disk.name, target: '' }],
    },
  };
}

function interfaceStatus(facts: Settled, nic: SettledNic, index: number): object {
  const own = nic.mac ?? mac(`guest ${facts.vmiUid}/${nic.name}`);
  const ip = nic.network === undefined ? facts.podIp : guestAddress(own);
  return {
    infoSource: nic.network === undefined ? 'domain, guest-agent' : 'domain, guest-agent, multus-status',
    interfaceName: `enp${index + 1}s0`,
    ipAddress: ip,
    ipAddresses: [ip],
    linkState: 'up',
    mac: own,
    name: nic.name,
    podInterfaceName: nic.podInterface,
    queueCount: 1,
  };
}

function settledPodObject(facts: Settled, vmi: Vmi): KubeObject {
  const {
    [annotations.latestObservedApiVersion]: _,
    [annotations.storageObservedApiVersion]: __,
    ...atBirth
  } = vmi.metadata.annotations ?? {};
  const pod = launcherPod({ ...vmi, metadata: { ...vmi.metadata, annotations: atBirth } });
  const { node, created, podUid, podIp } = facts;
  const podFacts = {
    vmName: facts.wish.name,
    namespace: facts.wish.namespace,
    vmiUid: facts.vmiUid,
    podUid,
    node,
    hostIp: hostAddresses[node] ?? '192.168.66.109',
    podIp,
    disk,
    started: created,
  };
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: facts.podName,
      uid: podUid,
      generation: 1,
      creationTimestamp: created,
      labels: { ...pod.metadata.labels, ...nodeLabel(node) },
      annotations: { ...pod.metadata.annotations, [networkStatusAnnotation]: networkStatus(facts) },
      managedFields: [
        managed('virt-controller', created, { 'f:metadata': {}, 'f:spec': podSpecFields }, 'v1'),
        managed(
          'multus',
          created,
          { 'f:metadata': { 'f:annotations': { [`f:${networkStatusAnnotation}`]: {} } } },
          'v1',
        ),
        { ...managed('kubelet', created, { 'f:status': podStatusFields }, 'v1'), subresource: 'status' },
      ],
    },
    spec: settledPodSpec(podFacts),
    status: settledPodStatus(podFacts),
  };
}

/** As Multus writes it: the default network first, then the annotation's in their order. */
function networkStatus({ networks, podIp, vmiUid }: Settled): string {
  return JSON.stringify(
    networks.map(({ name, network, podInterface, mac: own }) =>
      network === undefined
        ? {
            name: 'k8s-pod-network',
            interface: podInterface,
            ips: [podIp],
            mac: mac(`pod ${vmiUid}`),
            default: true,
            dns: {},
          }
        : { name: network, interface: podInterface, mac: own ?? mac(`pod ${vmiUid}/${name}`), dns: {} },
    ),
  );
}

function managed(manager: string, time: string, owned: object, apiVersion = 'kubevirt.io/v1') {
  const fieldsV1 = JSON.parse(JSON.stringify(owned)) as Record<string, never>;
  return { apiVersion, fieldsType: 'FieldsV1', fieldsV1, manager, operation: 'Update', time };
}

/** Field sets as large as those of real objects. */
function owns(...names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries([['.', {}], ...names.map((name) => [`f:${name}`, {}])]);
}

const specFields = {
  'f:runStrategy': {},
  'f:template': {
    'f:metadata': owns('annotations', 'labels'),
    'f:spec': {
      ...owns('architecture', 'networks', 'volumes'),
      'f:domain': {
        ...owns('cpu', 'machine', 'memory'),
        'f:devices': owns('disks', 'interfaces', 'rng'),
      },
    },
  },
};
const vmStatusFields = owns(
  'conditions',
  'created',
  'desiredGeneration',
  'observedGeneration',
  'printableStatus',
  'ready',
  'runStrategy',
  'volumeSnapshotStatuses',
);
const vmiStatusFields = owns(
  'activePods',
  'conditions',
  'guestOSInfo',
  'interfaces',
  'launcherContainerImageVersion',
  'memory',
  'migrationMethod',
  'nodeName',
  'phase',
  'phaseTransitionTimestamps',
  'volumeStatus',
);
const podSpecFields = owns('affinity', 'containers', 'initContainers', 'nodeSelector', 'readinessGates', 'volumes');
const podStatusFields = owns('conditions', 'containerStatuses', 'hostIP', 'initContainerStatuses', 'phase', 'podIP');

function digest(seed: string): string {
  return createHash('sha256').update(seed).digest('hex');
}

export function uid(seed: string): string {
  const hash = digest(seed);
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

export function mac(seed: string): string {
  return `02:${digest(seed).slice(0, 10).match(/../g)?.join(':')}`;
}

export function podAddress(seed: string): string {
  const hash = digest(`address ${seed}`);
  return `10.244.${Number.parseInt(hash.slice(0, 2), 16)}.${2 + (Number.parseInt(hash.slice(2, 4), 16) % 250)}`;
}
