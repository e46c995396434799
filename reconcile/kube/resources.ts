/** The resources that patchpanel touches. */
import type { Resource } from './cluster.ts';

export const virtualMachines = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachines',
  kind: 'VirtualMachine',
} as const satisfies Resource;

export const virtualMachineInstances = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachineinstances',
  kind: 'VirtualMachineInstance',
} as const satisfies Resource;

export const virtualMachineInstanceMigrations = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachineinstancemigrations',
  kind: 'VirtualMachineInstanceMigration',
} as const satisfies Resource;

export const virtualMachinePools = {
  group: 'pool.kubevirt.io',
  version: 'v1beta1',
  plural: 'virtualmachinepools',
  kind: 'VirtualMachinePool',
} as const satisfies Resource;

export const kubevirts = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'kubevirts',
  kind: 'KubeVirt',
} as const satisfies Resource;

export const networkAttachmentDefinitions = {
  group: 'k8s.cni.cncf.io',
  version: 'v1',
  plural: 'network-attachment-definitions',
  kind: 'NetworkAttachmentDefinition',
} as const satisfies Resource;

export const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' } as const satisfies Resource;

export const configMaps = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
} as const satisfies Resource;

export const events = { group: '', version: 'v1', plural: 'events', kind: 'Event' } as const satisfies Resource;

export const daemonSets = {
  group: 'apps',
  version: 'v1',
  plural: 'daemonsets',
  kind: 'DaemonSet',
} as const satisfies Resource;

export const leases = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
} as const satisfies Resource;
