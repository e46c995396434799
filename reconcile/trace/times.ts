/** When something came to be as it is: from managedFields, conditions and events. Pure. */
import type { KubeObject } from '../kube/cluster.ts';
import { type Fields, fields, items, text } from '../systems/json-shape.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { networkStatusAnnotation } from '../systems/multus-status.ts';
import type { Since } from './model.ts';

/** A place in an object, as managedFields spell it. */
type FieldPath = readonly string[];

const specLists: readonly FieldPath[] = [['f:networks'], ['f:domain', 'f:devices', 'f:interfaces']];

/** The NIC lists of a VM's template. */
export const templateLists = specLists.map((path): FieldPath => ['f:spec', 'f:template', 'f:spec', ...path]);
/** The NIC lists of a VMI. */
export const instanceLists = specLists.map((path): FieldPath => ['f:spec', ...path]);
export const networksPath: readonly FieldPath[] = [['f:metadata', 'f:annotations', `f:${networksAnnotation}`]];
export const networkStatusPath: readonly FieldPath[] = [
  ['f:metadata', 'f:annotations', `f:${networkStatusAnnotation}`],
];

/**
 * The last write of one of these fields, and whose it was. An entry of managedFields has one time for all that its
 * manager wrote, so the NIC may have been written earlier.
 */
export function lastWrite(
  object: KubeObject | undefined,
  paths: readonly FieldPath[],
  what: string,
): Since | undefined {
  let latest: { readonly at: string; readonly manager: string } | undefined;
  for (const entry of items(object?.metadata.managedFields).map(fields)) {
    const at = text(entry.time);
    if (at === undefined || !paths.some((path) => holds(entry.fieldsV1, path))) continue;
    if (latest === undefined || at > latest.at) latest = { at, manager: text(entry.manager) ?? 'somebody' };
  }
  if (latest === undefined) return undefined;
  return { at: latest.at, by: `${latest.manager} last wrote ${what}`, orEarlier: true };
}

function holds(fieldsV1: unknown, path: FieldPath): boolean {
  let at: unknown = fieldsV1;
  for (const key of path) {
    at = fields(at)[key];
    if (at === undefined) return false;
  }
  return true;
}

/** When the pod started; its networks can't be older. */
export function podStart(pod: KubeObject | undefined): Since | undefined {
  const at = text(fields(pod?.status).startTime) ?? pod?.metadata.creationTimestamp;
  return at === undefined ? undefined : { at, by: `the pod ${pod?.metadata.name} started`, orEarlier: false };
}

/** A condition of an object, with the time of its last change. */
export function conditionOf(object: KubeObject | undefined, type: string): Fields | undefined {
  return items(fields(object?.status).conditions)
    .map(fields)
    .find((condition) => condition.type === type);
}

export function conditionSince(object: KubeObject | undefined, type: string): Since | undefined {
  const at = text(conditionOf(object, type)?.lastTransitionTime);
  return at === undefined ? undefined : { at, by: `the condition ${type} changed`, orEarlier: false };
}

/** The later of two moments. */
export function later(one: Since | undefined, other: Since | undefined): Since | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.at > one.at ? other : one;
}
