/** VMs of the same name in other namespaces: whoever declares a VM that is not there may have meant one of them. */
import type { Cluster } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { virtualMachines } from '../kube/resources.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';

/** A hint is worth so many requests; a fleet that is missing as a whole has another cause. */
const mostAsked = 10;

/** By `namespace/name` of a VM that is not there, in order of namespaces; empty where the whole cluster may not be listed. */
export async function readNamesakes(
  cluster: Cluster,
  missing: readonly ObjectName[],
): Promise<ReadonlyMap<string, readonly ObjectName[]>> {
  const asked = missing.slice(0, mostAsked);
  const found = await Promise.all(asked.map(async (vm) => [objectKey(vm), await namesakesOf(cluster, vm)] as const));
  return new Map(found.filter(([, namesakes]) => namesakes.length > 0));
}

async function namesakesOf(cluster: Cluster, { name }: ObjectName): Promise<readonly ObjectName[]> {
  const selection = { fieldSelector: `metadata.name=${name}` };
  try {
    const { items } = await cluster.list(virtualMachines, selection, ({ metadata }) => metadata, {
      metadataOnly: true,
    });
    const names = items.map(({ namespace = '' }) => namespace).sort();
    return names.map((namespace) => ({ namespace, name }));
  } catch (error) {
    if (isStatus(error, 403)) return [];
    throw error;
  }
}
