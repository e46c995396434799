/** When a change of a pod is done: in its annotation, and in what Multus says of its interfaces. */
import type { OwnedElement } from '../plan/pod-model.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import { objectKey } from '../vocabulary.ts';
import type { LayerReading } from './layers.ts';
import type { SeenPod } from './pod-observer.ts';

/** An element, by what the dynamic-networks controller tells elements apart. */
export type ElementKey = Pick<OwnedElement, 'network' | 'interface'>;

export type PodGoal =
  | { readonly kind: 'in'; readonly element: ElementKey }
  | { readonly kind: 'out'; readonly element: ElementKey }
  /** What others have in the annotation has arrived. */
  | { readonly kind: 'rest'; readonly but: readonly ElementKey[] };

/** What annotation and network-status say to all goals together. */
export function readPodLayers(goals: readonly PodGoal[], pod: SeenPod): readonly LayerReading[] {
  return [
    reading(
      'pod',
      goals.map((goal) => judgeAnnotation(goal, pod)),
    ),
    reading(
      'multus',
      goals.map((goal) => judgeStatus(goal, pod)),
    ),
  ];
}

function reading(layer: 'pod' | 'multus', seen: readonly (string | undefined)[]): LayerReading {
  const first = seen.find((words) => words !== undefined);
  return first === undefined ? { layer, agrees: true } : { layer, agrees: false, seen: first };
}

function judgeAnnotation(goal: PodGoal, { networks }: SeenPod): string | undefined {
  if ('problem' in networks) return `the networks annotation can not be read: ${networks.problem}`;
  switch (goal.kind) {
    case 'in':
      return networks.some((element) => isElement(element, goal.element))
        ? undefined
        : `the annotation has no ${words(goal.element)}`;
    case 'out':
      return networks.some((element) => isElement(element, goal.element))
        ? `the annotation still has ${words(goal.element)}`
        : undefined;
    case 'rest':
      return undefined;
    default:
      return goal satisfies never;
  }
}

function judgeStatus(goal: PodGoal, { networks, status }: SeenPod): string | undefined {
  if ('problem' in status) return `network-status can not be read: ${status.problem}`;
  switch (goal.kind) {
    case 'in':
      return hasStatus(status, goal.element) ? undefined : `network-status has no ${words(goal.element)}`;
    case 'out':
      return hasStatus(status, goal.element) ? `network-status still has ${words(goal.element)}` : undefined;
    case 'rest': {
      if ('problem' in networks) return undefined;
      const late = networks
        .flatMap((element) => keyOf(element) ?? [])
        .find((key) => !goal.but.some((other) => isSame(key, other)) && !hasStatus(status, key));
      return late === undefined ? undefined : `network-status has no ${words(late)}, which was asked for before`;
    }
    default:
      return goal satisfies never;
  }
}

/** Undefined for an element without an interface, which the controller can't plug. */
function keyOf({ namespace, name, interface: at }: NetworkSelectionElement): ElementKey | undefined {
  return at === undefined ? undefined : { network: { namespace, name }, interface: at };
}

function isElement(element: NetworkSelectionElement, wanted: ElementKey): boolean {
  const key = keyOf(element);
  return key !== undefined && isSame(key, wanted);
}

function isSame(one: ElementKey, other: ElementKey): boolean {
  return one.interface === other.interface && objectKey(one.network) === objectKey(other.network);
}

/** Whether network-status lists an element, as far as it can be read. */
export function hasStatus(status: SeenPod['status'], { network, interface: at }: ElementKey): boolean {
  if ('problem' in status) return false;
  return status.some((entry) => entry.default !== true && entry.interface === at && entry.name === objectKey(network));
}

function words({ network, interface: at }: ElementKey): string {
  return `${at} on ${objectKey(network)}`;
}
