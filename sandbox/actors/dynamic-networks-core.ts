/**
 * What multus-dynamic-networks-controller does to one pod, without a cluster: which attachments it adds and removes,
 * in which order, what it says about it and what it leaves in network-status, its mistakes included.
 */
import type { NetworkSelectionElement } from '../../reconcile/systems/multus-networks.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';

export interface AttachmentPlan {
  /** In annotation order; these run first. */
  readonly adds: readonly NetworkSelectionElement[];
  /** In status order. */
  readonly removes: readonly NetworkSelectionElement[];
}

export interface PodEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason:
    | 'AddedInterface'
    | 'FailedAddingInterface'
    | 'RemovedInterface'
    | 'FailedRemovingInterface'
    | 'InterfaceAddRejected';
  readonly message: string;
}

/** The CNI plugins behind Multus; both throw where the real ones answer with an error. */
export interface CniCalls {
  /** Returns the entries that go into network-status; most plugins report one interface. */
  add(element: NetworkSelectionElement): readonly NetworkStatus[] | Promise<readonly NetworkStatus[]>;
  del(element: NetworkSelectionElement): void | Promise<void>;
}

export interface Round {
  readonly failed: boolean;
  /** What network-status holds afterwards; undefined where nothing was to be done. */
  readonly status: readonly NetworkStatus[];
}

/** The controller gives up on a pod after so many tries in a row, until its annotation changes again. */
export const triesBeforeSilence = 4;

/**
 * Compares annotation and network-status by namespace, NAD and interface. MAC, addresses and all other keys are no part
 * of the identity, so a change of them goes unseen. An element without interface can never match.
 */
export function planAttachments(
  elements: readonly NetworkSelectionElement[],
  status: readonly NetworkStatus[],
): AttachmentPlan {
  const secondary = status.filter((entry) => entry.default !== true);
  const present = new Set(secondary.map(statusKey));
  const wanted = new Set(elements.map(elementKey));
  return {
    adds: elements.filter((element) => !present.has(elementKey(element))),
    removes: secondary.filter((entry) => !wanted.has(statusKey(entry))).map(elementOfStatus),
  };
}

/**
 * One reconcile of a pod. Adds run before removes; the first failure ends the batch. A failure takes the adds of this
 * round out of the pod again, but not out of network-status, which then lists an interface that is gone (a ghost).
 * `write` stores network-status; where it throws, the adds are undone.
 */
export async function reconcileAttachments(
  pod: { readonly namespace: string; readonly name: string },
  plan: AttachmentPlan,
  status: readonly NetworkStatus[],
  cni: CniCalls,
  emit: (event: PodEvent) => void,
  write: (status: readonly NetworkStatus[]) => void | Promise<void>,
): Promise<Round> {
  const tried: NetworkSelectionElement[] = [];
  let current = status;
  let failed = false;
  for (const element of plan.adds) {
    tried.push(element);
    try {
      current = addToStatus(current, ...(await cni.add(element)));
      emit(eventOf(pod, 'AddedInterface', element));
    } catch {
      emit(eventOf(pod, 'FailedAddingInterface', element));
      failed = true;
      break;
    }
  }
  if (!failed) {
    for (const element of plan.removes) {
      try {
        await cni.del(element);
        current = removeFromStatus(current, [element]);
        emit(eventOf(pod, 'RemovedInterface', element));
      } catch {
        emit(eventOf(pod, 'FailedRemovingInterface', element));
        failed = true;
        break;
      }
    }
  }
  let written = status;
  try {
    if (current !== status) await write(current);
    written = current;
  } catch {
    failed = true;
  }
  if (failed) await undo(pod, tried, cni, emit);
  return { failed, status: written };
}

async function undo(
  pod: { readonly namespace: string; readonly name: string },
  elements: readonly NetworkSelectionElement[],
  cni: CniCalls,
  emit: (event: PodEvent) => void,
): Promise<void> {
  for (const element of elements) {
    try {
      await cni.del(element);
      emit(eventOf(pod, 'RemovedInterface', element));
    } catch {
      emit(eventOf(pod, 'FailedRemovingInterface', element));
    }
  }
}

/** The event of a pod in the host network: nothing else is done for it. */
export function hostNetworkEvent(pod: { readonly namespace: string; readonly name: string }): PodEvent {
  return {
    type: 'Warning',
    reason: 'InterfaceAddRejected',
    message: `pod [${pod.namespace}/${pod.name}]: will not add interface to host networked pod`,
  };
}

/** Appends the entries of a CNI result. */
export function addToStatus(
  status: readonly NetworkStatus[],
  ...entries: readonly NetworkStatus[]
): readonly NetworkStatus[] {
  return [...status, ...entries];
}

/** Drops the entries of these elements; others, even of the same interface, stay. */
export function removeFromStatus(
  status: readonly NetworkStatus[],
  elements: readonly NetworkSelectionElement[],
): readonly NetworkStatus[] {
  const gone = new Set(elements.map(elementKey));
  return status.filter((entry) => !gone.has(statusKey(entry)));
}

function elementKey(element: NetworkSelectionElement): string {
  const name = `${element.namespace}/${element.name}`;
  return element.interface === undefined || element.interface === '' ? name : `${name}/${element.interface}`;
}

function statusKey(entry: NetworkStatus): string {
  return `${entry.name}/${entry.interface ?? ''}`;
}

/** The key is cut at its slashes, so an entry without a namespace turns into a wrong NAD. */
function elementOfStatus(entry: NetworkStatus): NetworkSelectionElement {
  const parts = statusKey(entry).split('/');
  const [namespace = '', name = ''] = parts.length > 3 ? [] : parts;
  return { name, namespace, interface: entry.interface ?? '' };
}

const verbs = {
  AddedInterface: ['Normal', 'added', 'to'],
  FailedAddingInterface: ['Warning', 'failed adding', 'to'],
  RemovedInterface: ['Normal', 'removed', 'from'],
  FailedRemovingInterface: ['Warning', 'failed removing', 'from'],
} as const;

function eventOf(
  pod: { readonly namespace: string; readonly name: string },
  reason: keyof typeof verbs,
  element: NetworkSelectionElement,
): PodEvent {
  const [type, verb, preposition] = verbs[reason];
  const target = `interface ${element.interface ?? ''} ${preposition} network: ${element.name}`;
  const suffix = reason === 'AddedInterface' || reason === 'FailedAddingInterface' ? details(element) : '';
  return { type, reason, message: `pod [${pod.namespace}/${pod.name}]: ${verb} ${target}${suffix}` };
}

function details(element: NetworkSelectionElement): string {
  const { ips = [], mac = '', 'cni-args': args } = element;
  const hasArgs = typeof args === 'object' && args !== null;
  if (ips.length === 0 && mac === '' && !hasArgs) return '';
  return `(ips: [${ips.join(' ')}], mac: ${mac}, cni-args: ${hasArgs ? `&${printed(args)}` : '<nil>'})`;
}

/** A JSON value as Go's `%v` prints what it was decoded to. */
function printed(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(printed).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, each]) => `${key}:${printed(each)}`).join(' ')}]`;
  }
  return typeof value === 'number' ? printedNumber(value) : String(value);
}

/** Numbers are float64 there, which get an exponent sooner than here, of two digits at least. */
function printedNumber(value: number): string {
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
