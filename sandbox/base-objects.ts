/** What a cluster with KubeVirt and Multus has before anybody runs a VM on it. */
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import { nodeAddresses, nodeNames } from './actors/kubelet.ts';

export interface Placed {
  readonly group: string;
  readonly plural: string;
  readonly object: KubeObject;
}

const kubevirtVersion = 'v1.9.0';
const namespaceNames = ['default', 'kube-node-lease', 'kube-public', 'kube-system', 'kubevirt'];

/** Namespaces, nodes, the KubeVirt CR, and the DaemonSet of the dynamic-networks controller where there is one. */
export function baseObjects(dynamicNetworks: boolean): readonly Placed[] {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  return [
    ...namespaceNames.map((name) => ({ group: '', plural: 'namespaces', object: namespace(name) })),
    ...nodeNames.map((name) => ({ group: '', plural: 'nodes', object: node(name, now) })),
    { group: 'kubevirt.io', plural: 'kubevirts', object: kubevirt(now) },
    ...(dynamicNetworks ? [{ group: 'apps', plural: 'daemonsets', object: daemonSet() }] : []),
  ];
}

export function namespace(name: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

function node(name: string, now: string): KubeObject {
  const resources = { cpu: '64', memory: '256Gi', pods: '1000', 'devices.kubevirt.io/kvm': '1k' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubevirt.io/schedulable': 'true',
        'machine-type.node.kubevirt.io/q35': 'true',
      },
    },
    spec: {},
    status: {
      capacity: resources,
      allocatable: resources,
      addresses: [
        { type: 'InternalIP', address: nodeAddresses[name] ?? '' },
        { type: 'Hostname', address: name },
      ],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'kubelet is posting ready status',
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: { kubeletVersion: 'v1.36.2', architecture: 'amd64', operatingSystem: 'linux' },
    },
  };
}

function kubevirt(now: string): KubeObject {
  const condition = (type: string, status: string, reason: string): object => ({
    type,
    status,
    reason,
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { name: 'kubevirt', namespace: 'kubevirt' },
    spec: {
      configuration: {
        developerConfiguration: { featureGates: [] },
        network: { defaultNetworkInterface: 'masquerade' },
        vmRolloutStrategy: 'LiveUpdate',
      },
      workloadUpdateStrategy: { workloadUpdateMethods: ['LiveMigrate'] },
    },
    status: {
      phase: 'Deployed',
      observedKubeVirtVersion: kubevirtVersion,
      targetKubeVirtVersion: kubevirtVersion,
      operatorVersion: kubevirtVersion,
      conditions: [
        condition('Available', 'True', 'AllComponentsReady'),
        condition('Progressing', 'False', 'AllComponentsReady'),
        condition('Degraded', 'False', 'AllComponentsReady'),
      ],
    },
  };
}

function daemonSet(): KubeObject {
  const labels = { app: 'dynamic-networks-controller' };
  const count = nodeNames.length;
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: {
      name: 'dynamic-networks-controller-ds',
      namespace: 'kube-system',
      labels: { ...labels, tier: 'node', name: 'dynamic-networks-controller' },
    },
    spec: {
      selector: { matchLabels: { name: 'dynamic-networks-controller' } },
      template: {
        metadata: { labels: { ...labels, tier: 'node', name: 'dynamic-networks-controller' } },
        spec: {
          serviceAccountName: 'dynamic-networks-controller',
          containers: [
            {
              name: 'dynamic-networks-controller',
              image: 'ghcr.io/k8snetworkplumbingwg/multus-dynamic-networks-controller:latest',
            },
          ],
        },
      },
    },
    status: {
      currentNumberScheduled: count,
      desiredNumberScheduled: count,
      numberAvailable: count,
      numberMisscheduled: 0,
      numberReady: count,
      observedGeneration: 1,
      updatedNumberScheduled: count,
    },
  };
}
