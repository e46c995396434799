/** Objects as people apply them, for tests of the sandbox. */
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import type { ObjectName } from '../reconcile/vocabulary.ts';

/** A network whose CNI plugin is a Linux bridge. */
export function bridgeNetwork(metadata: ObjectName): KubeObject {
  const config = JSON.stringify({ cniVersion: '1.0.0', name: metadata.name, type: 'bridge', bridge: 'br1', ipam: {} });
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata,
    spec: { config },
  };
}

/** A VM that runs, with its default network alone. */
export function machine(metadata: ObjectName): KubeObject {
  const devices = {
    disks: [{ name: 'root', disk: { bus: 'virtio' } }],
    interfaces: [{ name: 'default', masquerade: {} }],
  };
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata,
    spec: {
      runStrategy: 'Always',
      template: {
        spec: {
          domain: { memory: { guest: '1Gi' }, devices },
          networks: [{ name: 'default', pod: {} }],
          volumes: [{ name: 'root', containerDisk: { image: 'registry.example/disk' } }],
        },
      },
    },
  };
}
