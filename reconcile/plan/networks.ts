/** NetworkAttachmentDefinitions: they must exist, and be valid, before a plug and until after an unplug. */
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { blocker, type VmContext } from './steps.ts';

/** KubeVirt checks none of this: a missing network leaves a pod pending for ever, without an error of its own. */
export function networkBlockers(
  { networks, vm }: Pick<VmContext, 'networks'> & { readonly vm: { readonly name: string } },
  name: string,
  network: ObjectName,
  purpose: 'plug' | 'unplug',
): readonly Blocker[] {
  const key = objectKey(network);
  const found = networks.get(key);
  const inPod = purpose === 'unplug' ? ', and the interface can not be taken out of the pod without it' : '';
  if (found === undefined) {
    const create = `Create the NetworkAttachmentDefinition ${network.name} in namespace ${network.namespace}`;
    return [
      blocker(
        'network-missing',
        name,
        `the network ${key} does not exist${inPod}`,
        purpose === 'plug'
          ? `${create}, or correct the name in the declaration of ${vm.name}.`
          : `${create} again, and delete it only after the unplug.`,
      ),
    ];
  }
  if (found.problem === undefined) return [];
  return [
    blocker(
      'network-invalid',
      name,
      `the network ${key} can not be used: ${found.problem}${inPod}`,
      `Mend spec.config of the NetworkAttachmentDefinition ${key}.`,
    ),
  ];
}
