/** How the actions of pods are put into words. */
import type { OwnedElement, PlannedElement, PodAction } from '../plan/pod-model.ts';
import type { ObjectName } from '../vocabulary.ts';

/** `storage (storage-net as net1)`. */
function elementWords({ name, network, interface: iface }: OwnedElement, pod: ObjectName): string {
  return `${name} (${networkIn(network, pod)} as ${iface})`;
}

function plannedWords(element: PlannedElement, pod: ObjectName): string {
  const parts = [`${element.name} into ${networkIn(element.network, pod)} as ${element.interface}`];
  if (element.mac !== undefined) parts.push(`mac ${element.mac}`);
  if (element.ips !== undefined) parts.push(`ips ${element.ips.join(' ')}`);
  return parts.join(' ');
}

function networkIn(network: ObjectName, pod: ObjectName): string {
  return network.namespace === pod.namespace ? network.name : `${network.namespace}/${network.name}`;
}

const onItsWay = { plugged: 'is being plugged', gone: 'is being unplugged' } as const;

/** One action in words, without its sign: `plug storage into storage-net as storage`. */
export function describePodAction(action: PodAction, pod: ObjectName): string {
  switch (action.kind) {
    case 'pod-plug':
      return `plug ${plannedWords(action.element, pod)}`;
    case 'pod-unplug': {
      const what = action.elements.map((element) => elementWords(element, pod)).join(', ');
      return action.ghost ? `unplug ${what}, which network-status lists in error` : `unplug ${what}`;
    }
    case 'pod-kick': {
      const names = action.attachments.join(', ');
      return `ask the controller again to ${action.until === 'plugged' ? 'plug' : 'unplug'} ${names}`;
    }
    case 'pod-repair':
      return `name the interface of ${action.elements
        .map(({ network, interface: iface }) => `${networkIn(network, pod)}: ${iface}`)
        .join(', ')}`;
    case 'domain-attach': {
      const mac = action.mac === undefined ? '' : ` mac ${action.mac}`;
      const model = action.model === 'virtio' ? '' : ` ${action.model}`;
      return `attach ${action.attachment} to the domain${mac}${model}${action.state === 'down' ? ' link down' : ''}`;
    }
    case 'domain-detach':
      return `detach ${action.attachment} from the domain`;
    case 'domain-link':
      return `set the link of ${action.attachment} ${action.state}`;
    case 'pod-follow':
      return `wait: ${action.attachment} ${onItsWay[action.until]}`;
    case 'pod-release':
      return `drop the ownership record of ${action.attachments.join(', ')}`;
    default:
      return action satisfies never;
  }
}
