/** The mark on an object whose change failed. The next change of that object takes it away. */
import type { Cluster, PatchOperation, Resource } from '../kube/cluster.ts';
import { heldAnnotation } from '../systems/patchpanel.ts';
import type { ObjectName } from '../vocabulary.ts';
import type { Edit } from './patches.ts';
import { heldPath, type Stamp } from './stamp.ts';
import { patchUntilItFits } from './write.ts';

/** Of what can go wrong, the system's own words may be long. */
const maxReason = 2000;

/**
 * @param uid of the object that was planned for
 * @param mark what is held, and why
 * @throws PatchpanelError as a write of an action does
 */
export async function markHeld(
  cluster: Cluster,
  resource: Resource,
  target: ObjectName,
  uid: string | undefined,
  stamp: Stamp,
  mark: { readonly input: string; readonly instance?: string; readonly reason: string },
): Promise<void> {
  const { input, instance, reason } = mark;
  const value = JSON.stringify({
    input,
    ...(instance === undefined ? {} : { instance }),
    reason: reason.slice(0, maxReason),
    at: `${stamp.at.toISOString().slice(0, 19)}Z`,
    commit: stamp.commit,
  });
  await patchUntilItFits(cluster, resource, target, uid, stamp, async ({ metadata }): Promise<Edit> => {
    const identity: PatchOperation[] =
      metadata.uid === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: metadata.uid }];
    const add: PatchOperation[] =
      metadata.annotations === undefined
        ? [{ op: 'add', path: '/metadata/annotations', value: { [heldAnnotation]: value } }]
        : [{ op: 'add', path: heldPath, value }];
    return { kind: 'patch', operations: [...identity, ...add] };
  });
}
