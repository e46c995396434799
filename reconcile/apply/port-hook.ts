/** The ConfigMap with the script of a hook sidecar: written before the template names it, and owned by the VM. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { configMaps, virtualMachines } from '../kube/resources.ts';
import { fields, text } from '../systems/json-shape.ts';
import { type RootPortHook, rootPortHook } from '../systems/kubevirt-sidecar.ts';
import { managedBy } from '../systems/patchpanel.ts';

/**
 * Makes sure that the ConfigMap is there and holds the script under its key. Keys of other numbers stay: an instance that was
 * born with one needs it again when it migrates. It goes with its VM.
 *
 * @throws PatchpanelError `cluster/conflict` where a ConfigMap of that name belongs to somebody else, `cluster/*` else
 */
export async function writePortHook(cluster: Cluster, vm: KubeObject, ports: number): Promise<void> {
  const hook = rootPortHook(vm.metadata, ports);
  const namespace = vm.metadata.namespace ?? '';
  const found = await cluster.get(configMaps, namespace, hook.configMap);
  if (found !== undefined) return await addScript(cluster, vm, found, hook);
  try {
    await cluster.create(configMaps, manifest(vm, hook));
  } catch (error) {
    // Somebody was faster, or an answer was lost.
    const other = isStatus(error, 409) ? await cluster.get(configMaps, namespace, hook.configMap) : undefined;
    if (other === undefined) throw error;
    await addScript(cluster, vm, other, hook);
  }
}

function manifest({ metadata }: KubeObject, { configMap, key, script }: RootPortHook): KubeObject {
  const { namespace = '', name, uid = '' } = metadata;
  const apiVersion = `${virtualMachines.group}/${virtualMachines.version}`;
  return {
    metadata: {
      name: configMap,
      namespace,
      labels: { ...managedBy },
      ownerReferences: [{ apiVersion, kind: virtualMachines.kind, name, uid }],
    },
    data: { [key]: script },
  };
}

async function addScript(
  cluster: Cluster,
  vm: KubeObject,
  { metadata, data }: KubeObject,
  { configMap, key, script }: RootPortHook,
): Promise<void> {
  if (metadata.ownerReferences?.some(({ uid }) => uid === vm.metadata.uid) !== true) {
    throw new PatchpanelError(
      'cluster/conflict',
      `the ConfigMap ${metadata.namespace}/${configMap} does not belong to this VM: delete or rename it`,
    );
  }
  if (text(fields(data)[key]) === script) return;
  await cluster.jsonPatch(configMaps, metadata.namespace, configMap, [
    { op: 'test', path: '/metadata/uid', value: metadata.uid ?? null },
    ...(data === undefined || data === null ? [{ op: 'add', path: '/data', value: {} } as const] : []),
    { op: 'add', path: `/data/${key}`, value: script },
  ]);
}
