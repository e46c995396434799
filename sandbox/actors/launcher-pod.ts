/** The virt-launcher pod that virt-controller makes for a VMI, or for the target of its migration. Pure. */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import {
  annotations,
  bridgeName,
  computeContainer,
  labels,
  launcherAppLabel,
  primaryPodInterface,
} from '../../reconcile/systems/kubevirt-names.ts';
import { networksAnnotation } from '../../reconcile/systems/multus-networks.ts';
import type { Migration, Vmi } from './objects.ts';
import { defaultNetworkAnnotation, networksAtBirth } from './pod-networks.ts';
import { nicLists } from './vm-networks.ts';

export const launcherImage = 'registry:5000/kubevirt/virt-launcher:v1.9.0';
const nonRootUser = 107;

/** Why a pod can't be made, in virt-controller's words; undefined where it can. No binding plugin is registered. */
export function renderFailure(vmi: Vmi): string | undefined {
  const plugin = nicLists(vmi.spec).interfaces.find((nic) => nic.binding !== undefined);
  if (plugin === undefined) return undefined;
  return `failed to render launch manifest: couldn't find configuration for network binding: ${plugin.binding?.name}`;
}

/** What a launcher takes beside the guest; one with a device to pass through has all memory locked. */
export function memoryOverhead(vmi: Vmi): { readonly bytes: number; readonly quantity: string } {
  const passesThrough = nicLists(vmi.spec).interfaces.some((nic) => nic.sriov !== undefined);
  return passesThrough ? { bytes: 1363148800, quantity: '1300Mi' } : { bytes: 289406976, quantity: '276Mi' };
}

export function launcherPod(
  vmi: Vmi,
  migration?: { readonly object: Migration; readonly sourceNode: string },
): KubeObject {
  const { name, namespace, uid } = vmi.metadata;
  const lists = nicLists(vmi.spec);
  const networks = networksAtBirth(lists, namespace);
  const defaultNetwork = lists.networks.find((network) => network.multus?.default === true)?.multus?.networkName;
  const masqueraded = lists.interfaces.some((nic) => nic.masquerade !== undefined);
  const freezer = (verb: string): string =>
    `["/usr/bin/virt-freezer", "--${verb}", "--name", "${name}", "--namespace", "${namespace}"]`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: '',
      generateName: `virt-launcher-${name}-`,
      namespace,
      labels: {
        ...vmi.metadata.labels,
        [labels.app]: launcherAppLabel,
        [labels.createdBy]: uid,
        [labels.vmName]: name,
        [labels.vmiId]: name,
        ...(migration !== undefined && {
          [labels.migrationJobUid]: migration.object.metadata.uid,
          [labels.nodeName]: migration.sourceNode,
        }),
      },
      annotations: {
        ...withoutObservedVersions(vmi.metadata.annotations),
        [annotations.domain]: name,
        'descheduler.alpha.kubernetes.io/request-evict-only': '',
        'kubectl.kubernetes.io/default-container': computeContainer,
        'kubevirt.io/memory-overhead-bytes': String(memoryOverhead(vmi).bytes),
        'kubevirt.io/migrationTransportUnix': 'true',
        'post.hook.backup.velero.io/command': freezer('unfreeze'),
        'post.hook.backup.velero.io/container': computeContainer,
        'pre.hook.backup.velero.io/command': freezer('freeze'),
        'pre.hook.backup.velero.io/container': computeContainer,
        'pre.hook.backup.velero.io/timeout': '60s',
        ...(masqueraded && {
          'istio.io/reroute-virtual-interfaces': bridgeName(primaryPodInterface),
          'traffic.sidecar.istio.io/kubevirtInterfaces': bridgeName(primaryPodInterface),
        }),
        ...(networks !== undefined && { [networksAnnotation]: networks }),
        ...(defaultNetwork !== undefined && { [defaultNetworkAnnotation]: defaultNetwork }),
        ...(migration !== undefined && { 'kubevirt.io/migrationJobName': migration.object.metadata.name }),
      },
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachineInstance',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        } as NonNullable<KubeObject['metadata']['ownerReferences']>[number],
      ],
    },
    spec: podSpec(vmi),
  };
}

/** virt-controller's notes on the VMI stay there. */
function withoutObservedVersions(all: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const notes: readonly string[] = [annotations.latestObservedApiVersion, annotations.storageObservedApiVersion];
  return Object.fromEntries(Object.entries(all).filter(([key]) => !notes.includes(key)));
}

function podSpec(vmi: Vmi): object {
  return {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 60,
    hostname: vmi.metadata.name,
    automountServiceAccountToken: false,
    nodeSelector: {
      'kubernetes.io/arch': 'amd64',
      'kubevirt.io/schedulable': 'true',
      'machine-type.node.kubevirt.io/q35': 'true',
    },
    securityContext: { runAsUser: nonRootUser, runAsGroup: nonRootUser, runAsNonRoot: true, fsGroup: nonRootUser },
    readinessGates: [{ conditionType: 'kubevirt.io/virtual-machine-unpaused' }],
    volumes: [
      { name: 'private', emptyDir: {} },
      { name: 'libvirt-runtime', emptyDir: {} },
    ],
    containers: [
      {
        name: computeContainer,
        image: launcherImage,
        command: ['/usr/bin/virt-launcher-monitor', '--name', vmi.metadata.name, '--uid', vmi.metadata.uid],
        resources: {
          limits: { 'devices.kubevirt.io/tun': '1' },
          requests: { cpu: '200m', 'devices.kubevirt.io/tun': '1', memory: '1300Mi' },
        },
        volumeMounts: [
          { name: 'private', mountPath: '/var/run/kubevirt-private' },
          { name: 'libvirt-runtime', mountPath: '/var/run/libvirt' },
        ],
        imagePullPolicy: 'IfNotPresent',
      },
    ],
  };
}
