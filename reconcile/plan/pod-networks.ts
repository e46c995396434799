/** NetworkAttachmentDefinitions as a running pod can take them. */
import type { PodDiff } from '../diff/pods.ts';
import type { LiveState } from '../live/model.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { networkBlockers } from './networks.ts';
import { blocker } from './steps.ts';

/** The controller plugs from the inline config of a NAD alone: it has no devices to give, and reads it again to unplug. */
export function elementNetworkBlockers(
  { pod, desired }: PodDiff,
  live: LiveState,
  name: string,
  network: ObjectName,
  purpose: 'plug' | 'unplug',
): readonly Blocker[] {
  const found = networkBlockers({ networks: live.networks, vm: pod }, name, network, purpose);
  const known = live.networks.get(objectKey(network));
  if (found.length > 0 || known === undefined || purpose === 'unplug') return found;
  const key = objectKey(network);
  if (known.resourceName !== undefined || known.pluginType === 'sriov' || known.pluginType === 'ib-sriov') {
    const what =
      known.resourceName === undefined ? `of type ${known.pluginType}` : `of the resource ${known.resourceName}`;
    const message = `the network ${key} gives a device ${what}, which a pod gets only when it is created`;
    return [
      blocker('network-device', name, message, 'Put the network into the template of the pod, and create it anew.'),
    ];
  }
  if (desired.domain === undefined || known.guestless !== true) return [];
  const message = `the network ${key} is ${known.pluginType}, through which the frames of a guest do not pass`;
  return [blocker('network-unfit', name, message, 'Declare a network of type bridge, or macvlan in mode passthru.')];
}
