/** Which VMs there are: their names alone, for verbs that start from the cluster and not from a repository. */

import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { virtualMachines } from '../kube/resources.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { readOwned } from './project.ts';

export interface VmSelection {
  /** All namespaces where it is missing. */
  readonly namespace?: string;
  readonly labelSelector?: string;
}

/**
 * Names of the VMs of a selection, sorted.
 * @throws PatchpanelError `cluster/no-kubevirt`, `cluster/*` else
 */
export async function selectVms(cluster: Cluster, selection: VmSelection): Promise<readonly ObjectName[]> {
  return await listVms(cluster, selection, () => true);
}

/**
 * VMs with NICs that patchpanel plugged: of the whole cluster, or of these namespaces where no more may be listed. Then `problem`
 * says so.
 * @throws PatchpanelError as above
 */
export async function ownedVms(
  cluster: Cluster,
  namespaces: readonly string[],
): Promise<{ readonly vms: readonly ObjectName[]; readonly problem?: string }> {
  const isOwned = ({ metadata: { annotations = {} } }: KubeObject) =>
    readOwned(annotations[ownedAnnotation]).length > 0;
  try {
    return { vms: await listVms(cluster, {}, isOwned) };
  } catch (error) {
    if (!isStatus(error, 403) || namespaces.length === 0) throw error;
    const lists = namespaces.map((namespace) => listVms(cluster, { namespace }, isOwned));
    const problem = `VMs were looked for in ${namespaces.join(', ')} alone: the whole cluster may not be listed`;
    return { vms: (await Promise.all(lists)).flat(), problem };
  }
}

async function listVms(
  cluster: Cluster,
  selection: VmSelection,
  isMeant: (vm: KubeObject) => boolean,
): Promise<readonly ObjectName[]> {
  try {
    const { items } = await cluster.list(
      virtualMachines,
      selection,
      (vm): ObjectName | undefined => {
        const { namespace = '', name } = vm.metadata;
        return isMeant(vm) ? { namespace, name } : undefined;
      },
      { metadataOnly: true },
    );
    return items.sort((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const { group, version } = virtualMachines;
    throw new PatchpanelError('cluster/no-kubevirt', `${cluster.server} serves no ${group}/${version}`);
  }
}
