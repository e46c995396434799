/**
 * A change of a pod as one JSON Patch: `test` on the annotations as they were read, then the networks annotation and the
 * ownership record, both at once. The dynamic-networks controller and webhooks write the same pod.
 */
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import { readOwnedInterfaces } from '../live/pods.ts';
import type { OwnedElement } from '../plan/pod-model.ts';
import { fields, text } from '../systems/json-shape.ts';
import { type EditedNetworks, editNetworks, type NetworksEdit, readElements } from '../systems/multus-edit.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import type { Edit } from './patches.ts';

/** What the dynamic-networks controller tells elements apart by. */
type ElementKey = Extract<NetworksEdit, { kind: 'remove' }>['elements'][number];

export interface PodChange {
  /** Undefined: only the ownership record. */
  readonly networks?: NetworksEdit;
  /** The record after the change. */
  readonly owned?: (before: readonly OwnedElement[]) => readonly OwnedElement[];
}

/** The edit of a pod that a change stands for, made from the pod as it is now. */
export function podEdit(pod: KubeObject, change: PodChange): Edit {
  const { metadata } = pod;
  if (metadata.deletionTimestamp !== undefined) return refused('it is being deleted');
  const phase = text(fields(pod.status).phase);
  if (phase !== 'Running') return refused(`it is ${phase ?? 'not running'}`);
  const annotations = metadata.annotations ?? {};
  const raw = annotations[networksAnnotation];
  const edited = change.networks === undefined ? undefined : edit(raw, metadata.namespace ?? '', change.networks);
  if (edited?.ok === false) return refused(edited.reason);
  const record = annotations[ownedAnnotation];
  const before = readOwnedInterfaces(record);
  const foreign = foreignElement(raw, metadata.namespace ?? '', change.networks, before);
  if (foreign !== undefined && change.networks?.kind === 'remove')
    return refused(`${keyWords(foreign)} is not on the record of what patchpanel plugged`);
  // What another put there stays theirs.
  const owned = foreign === undefined ? (change.owned?.(before) ?? before) : before;
  const wanted: readonly (readonly [string, string | undefined])[] = [
    [networksAnnotation, edited === undefined ? raw : edited.value],
    [ownedAnnotation, JSON.stringify(owned) === JSON.stringify(before) ? record : recordOf(owned)],
  ];
  const changes = wanted.filter(([key, value]) => annotations[key] !== value);
  if (changes.length === 0) return { kind: 'done' };
  return { kind: 'patch', operations: operationsFor(pod, changes) };
}

/** The element of an edit that is in the annotation, and not on the record: the record is written along with it. */
function foreignElement(
  raw: string | undefined,
  namespace: string,
  change: NetworksEdit | undefined,
  owned: readonly OwnedElement[],
): ElementKey | undefined {
  const elements = change?.kind === 'remove' ? change.elements : change?.kind === 'add' ? [change.element] : [];
  return elements.find(
    (element) =>
      hasElement(raw, namespace, element) && !owned.some((own) => keyWords(editKey(own)) === keyWords(element)),
  );
}

function keyWords({ namespace, name, interface: at }: ElementKey): string {
  return `${namespace}/${name}@${at}`;
}

/** An element that a run before this one added is there already. */
function edit(raw: string | undefined, namespace: string, change: NetworksEdit): EditedNetworks {
  if (change.kind === 'add' && hasElement(raw, namespace, change.element)) return { ok: true, value: raw };
  return editNetworks(raw, namespace, change);
}

function hasElement(raw: string | undefined, namespace: string, wanted: ElementKey): boolean {
  const read = readElements(raw, namespace);
  return (
    read.ok &&
    read.elements.some(
      (element) =>
        element.namespace === wanted.namespace &&
        element.name === wanted.name &&
        element.interface === wanted.interface,
    )
  );
}

/** How an edit names an element. */
export function editKey({ network, interface: at }: Pick<OwnedElement, 'network' | 'interface'>): ElementKey {
  return { namespace: network.namespace, name: network.name, interface: at };
}

/** Undefined where the record goes. */
function recordOf(owned: readonly OwnedElement[]): string | undefined {
  if (owned.length === 0) return undefined;
  const sorted = owned.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return JSON.stringify(
    sorted.map(({ name, network, interface: at, domain }) => ({
      name,
      network: { namespace: network.namespace, name: network.name },
      interface: at,
      domain,
    })),
  );
}

function operationsFor(
  { metadata }: KubeObject,
  changes: readonly (readonly [string, string | undefined])[],
): readonly PatchOperation[] {
  const { annotations, uid, resourceVersion } = metadata;
  const operations: PatchOperation[] = [];
  // A pod of a StatefulSet comes back under its name.
  if (uid !== undefined) operations.push({ op: 'test', path: '/metadata/uid', value: uid });
  // No test tells that a key is missing: then nothing at all may have changed.
  const isNew = [networksAnnotation, ownedAnnotation].some((key) => annotations?.[key] === undefined);
  if (isNew && resourceVersion !== undefined)
    operations.push({ op: 'test', path: '/metadata/resourceVersion', value: resourceVersion });
  for (const key of [networksAnnotation, ownedAnnotation]) {
    const value = annotations?.[key];
    if (value !== undefined) operations.push({ op: 'test', path: pathOf(key), value });
  }
  if (annotations === undefined) operations.push({ op: 'add', path: '/metadata/annotations', value: {} });
  for (const [key, value] of changes) {
    operations.push(
      value === undefined ? { op: 'remove', path: pathOf(key) } : { op: 'add', path: pathOf(key), value },
    );
  }
  return operations;
}

function pathOf(annotation: string): string {
  return `/metadata/annotations/${annotation.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function refused(reason: string): Edit {
  return { kind: 'refused', reason };
}
