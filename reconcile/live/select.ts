/** Which VMs there are: their names alone, for verbs that start from the cluster and not from a repository. */

import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { virtualMachines } from '../kube/resources.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';

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
  try {
    const { items } = await cluster.list(
      virtualMachines,
      selection,
      ({ metadata: { namespace = '', name } }): ObjectName => ({ namespace, name }),
      { metadataOnly: true },
    );
    return items.sort((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const { group, version } = virtualMachines;
    throw new PatchpanelError('cluster/no-kubevirt', `${cluster.server} serves no ${group}/${version}`);
  }
}
