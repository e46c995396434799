/** Settled, running pods that are no launchers of VMs, to be put straight into the store. */
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import { primaryPodInterface } from '../reconcile/systems/kubevirt-names.ts';
import { type NetworkSelectionElement, networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import { type NetworkStatus, networkStatusAnnotation } from '../reconcile/systems/multus-status.ts';
import { nodeAddresses } from './actors/kubelet.ts';
import { mac, podAddress, type Seed, uid } from './kubevirt/seed.ts';

export interface PlainPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** The networks annotation: elements, or text as it is; undefined for a pod without one. */
  readonly networks?: readonly NetworkSelectionElement[] | string;
  /** network-status; by default what Multus writes for the default network and these elements. */
  readonly status?: readonly NetworkStatus[];
  readonly hostNetwork?: boolean;
  /** Controller of the pod. */
  readonly owner?: { readonly apiVersion: string; readonly kind: string; readonly name: string };
  readonly container?: string;
  readonly node?: string;
  /** RFC 3339; when it was created and started. */
  readonly created?: string;
}

const longAgo = '2026-01-05T08:00:00Z';
const image = 'registry.k8s.io/e2e-test-images/agnhost:2.53';

/** A pod that runs and is ready. The same input gives the same object. */
export function plainPod(wish: PlainPod): Seed {
  const { namespace, name, hostNetwork = false, networks, owner, container = 'main', node = 'node01' } = wish;
  const started = wish.created ?? longAgo;
  const hostIP = nodeAddresses[node] ?? '';
  const podIP = hostNetwork ? hostIP : podAddress(`${namespace}/${name}`);
  const running = { running: { startedAt: started } };
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: uid(`pod ${namespace}/${name}`),
      creationTimestamp: started,
      labels: { ...wish.labels },
      annotations: {
        ...(networks !== undefined && {
          [networksAnnotation]: typeof networks === 'string' ? networks : JSON.stringify(networks),
        }),
        ...(!hostNetwork && { [networkStatusAnnotation]: JSON.stringify(wish.status ?? bornStatus(wish, podIP)) }),
      },
      ...(owner !== undefined && {
        ownerReferences: [controller(owner, uid(`${owner.kind} ${namespace}/${owner.name}`))],
      }),
    },
    spec: {
      nodeName: node,
      restartPolicy: 'Always',
      ...(hostNetwork && { hostNetwork }),
      containers: [{ name: container, image }],
    },
    status: {
      phase: 'Running',
      conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
        type,
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: started,
      })),
      hostIP,
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: started,
      containerStatuses: [
        { name: container, image, imageID: image, ready: true, started: true, restartCount: 0, state: running },
      ],
      qosClass: 'BestEffort',
    },
  };
  return { group: '', plural: 'pods', object };
}

function controller(owner: NonNullable<PlainPod['owner']>, ownerUid: string) {
  return { ...owner, uid: ownerUid, controller: true, blockOwnerDeletion: true };
}

function bornStatus({ namespace, name, networks }: PlainPod, address: string): readonly NetworkStatus[] {
  const own = (nic: string): string => mac(`pod ${namespace}/${name}/${nic}`);
  const first = { name: 'k8s-pod-network', interface: primaryPodInterface, ips: [address], default: true, dns: {} };
  const elements = typeof networks === 'object' ? networks : [];
  return [
    { ...first, mac: own(primaryPodInterface) },
    ...elements.map((element, index) => {
      const nic = element.interface ?? `net${index + 1}`;
      return { name: `${element.namespace}/${element.name}`, interface: nic, mac: element.mac ?? own(nic), dns: {} };
    }),
  ];
}

/**
 * The demonstration's pods beside its VMs: router-0, which nobody owns and which has a second network; a pod of a
 * Deployment; one in the network of its host.
 */
export function demoPods(namespace: string, created: string): readonly Seed[] {
  const replicaSet = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'probe-6c9f7d5b48' };
  const daemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'node-agent' };
  const management = { name: 'mgmt-net', namespace, interface: 'net1', mac: '02:70:70:00:02:00' };
  const common = { namespace, created };
  return [
    plainPod({ ...common, name: 'router-0', labels: { app: 'router' }, networks: [management], container: 'router' }),
    plainPod({
      ...common,
      name: 'probe-6c9f7d5b48-x2k8p',
      labels: { app: 'probe', 'pod-template-hash': '6c9f7d5b48' },
      owner: replicaSet,
      container: 'probe',
      node: 'node02',
    }),
    plainPod({
      ...common,
      name: 'node-agent-4mzqx',
      labels: { app: 'node-agent' },
      owner: daemonSet,
      hostNetwork: true,
      container: 'agent',
    }),
  ];
}
