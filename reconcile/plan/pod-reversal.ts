/** The way back of a pod: see reversal.ts. Pure; told from the annotation as it was right before each action. */
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import { objectKey } from '../vocabulary.ts';
import type { OwnedElement, PlannedElement, PodAction } from './pod-model.ts';
import type { PodStep } from './pods.ts';
import type { LeftBehind, Reversal, Taken } from './reversal.ts';

/** What the way back looks at. */
export interface PodSight {
  readonly networks: readonly NetworkSelectionElement[] | { readonly problem: string };
  readonly status: readonly NetworkStatus[] | { readonly problem: string };
}

interface Part {
  readonly steps: readonly PodStep[];
  readonly left: readonly LeftBehind[];
}

const none: Part = { steps: [], left: [] };

/**
 * @param taken in the order in which they were done, the one that failed last
 * @param live the pod as it is now
 * @param promised ids of actions that another pod waits for: an address that one of them freed may be in use there by now
 */
export function podReversalOf(
  taken: readonly Taken<PodAction, PodSight>[],
  live: PodSight,
  promised: ReadonlySet<string>,
): Reversal<PodAction> {
  const actions: { action: PodAction; undoes: string }[] = [];
  const left: LeftBehind[] = [];
  for (const one of taken.toReversed()) {
    const part = partOf(one, live, promised.has(one.action.id));
    left.push(...part.left);
    for (const [index, step] of part.steps.entries()) {
      const suffix = part.steps.length === 1 ? '' : `-${index + 1}`;
      actions.push({ action: { ...step, id: `${one.action.id}/reversed${suffix}`, after: [] }, undoes: one.action.id });
    }
  }
  return { actions, left };
}

function partOf({ action, before }: Taken<PodAction, PodSight>, live: PodSight, promised: boolean): Part {
  switch (action.kind) {
    case 'pod-plug':
      return takenOut(action.element, before, live);
    case 'pod-unplug':
      return action.ghost ? none : putBack(action.elements, before, live, promised);
    case 'domain-attach': {
      // What libvirt refused was taken out of the pod already.
      if (!hasInterface(live, action.interface)) return none;
      const { attachment, interface: at } = action;
      return { steps: [{ kind: 'domain-detach', attachment, interface: at }], left: [] };
    }
    case 'domain-detach': {
      const { attachment } = action;
      const message = `"${attachment}" was detached from the domain, or the guest was asked to let it go, and is not attached again`;
      return { steps: [], left: [{ attachment, message, remedy: 'Declare it again, or attach it by hand.' }] };
    }
    case 'domain-link':
      return { steps: [{ ...withoutPlace(action), state: action.state === 'up' ? 'down' : 'up' }], left: [] };
    // The same in other bytes, an interface's own name, nothing at all, or the record of what is gone.
    case 'pod-kick':
    case 'pod-repair':
    case 'pod-follow':
    case 'pod-release':
      return none;
    default:
      return action satisfies never;
  }
}

function withoutPlace({ kind, attachment, interface: at, state }: Extract<PodAction, { kind: 'domain-link' }>) {
  return { kind, attachment, interface: at, state } as const;
}

function takenOut(element: PlannedElement, before: PodSight, live: PodSight): Part {
  // There before, or taken out already, as what Multus reports that it could not plug.
  if (find(before, element) !== undefined || find(live, element) === undefined) return none;
  const { name, network, interface: at } = element;
  return {
    steps: [
      { kind: 'pod-unplug', elements: [{ name, network, interface: at }], ghost: false },
      { kind: 'pod-release', attachments: [name] },
    ],
    left: [],
  };
}

function putBack(elements: readonly OwnedElement[], before: PodSight, live: PodSight, promised: boolean): Part {
  const steps: PodStep[] = [];
  const left: LeftBehind[] = [];
  for (const { name, network, interface: at } of elements) {
    const was = find(before, { network, interface: at });
    if (was === undefined || find(live, { network, interface: at }) !== undefined) continue;
    if (hasInterface(live, at)) {
      const message = `"${name}" is out of the annotation, and Multus has not taken ${at} out of the pod`;
      const remedy = 'Look at the log of the dynamic-networks controller on its node, then run again.';
      left.push({ attachment: name, message, remedy });
    } else if (promised) {
      const message = `"${name}" stays unplugged, as its address goes to another pod`;
      left.push({ attachment: name, message, remedy: 'Give one of the two another MAC.' });
    } else {
      const mac = was.mac === undefined ? {} : { mac: was.mac };
      const ips = was.ips === undefined ? {} : { ips: was.ips };
      steps.push({ kind: 'pod-plug', element: { name, network, interface: at, ...mac, ...ips } });
    }
  }
  return { steps, left };
}

type Key = Pick<OwnedElement, 'network' | 'interface'>;

function find({ networks }: PodSight, { network, interface: at }: Key): NetworkSelectionElement | undefined {
  if ('problem' in networks) return undefined;
  return networks.find((each) => each.interface === at && `${each.namespace}/${each.name}` === objectKey(network));
}

function hasInterface({ status }: PodSight, at: string): boolean {
  return !('problem' in status) && status.some((entry) => entry.interface === at && entry.default !== true);
}
