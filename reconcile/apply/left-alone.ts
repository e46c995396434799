/** What a person asked for on the object itself since the plan was made: looked at in the reading that each write starts from. */
import type { KubeObject } from '../kube/cluster.ts';
import { readProtection } from '../live/protection.ts';
import { readSuspension } from '../live/suspension.ts';
import type { Action } from '../plan/model.ts';
import type { PodAction } from '../plan/pod-model.ts';
import { protectAnnotation, suspendAnnotation } from '../systems/patchpanel.ts';
import { markOfAnother, type Stamp } from './stamp.ts';

/** Why nothing is written to it at all: another repository has it by now, or it is suspended. */
export function leftAlone(object: KubeObject, stamp: Stamp): string | undefined {
  const other = markOfAnother(object, stamp);
  return other === undefined ? suspendedMeanwhile(object) : `it belongs to ${other} now`;
}

/** Undefined where it is not suspended. */
export function suspendedMeanwhile(object: KubeObject): string | undefined {
  const suspension = readSuspension(object);
  if (suspension === undefined) return undefined;
  const who = suspension.by === undefined ? '' : `, set by ${suspension.by}`;
  return `it has the annotation ${suspendAnnotation}${who}`;
}

/** @param names of NICs that are about to go, or to become others */
export function protectedMeanwhile({ metadata }: KubeObject, names: readonly string[]): string | undefined {
  const protection = readProtection(metadata.annotations?.[protectAnnotation]);
  if (protection === undefined) return undefined;
  const kept = names.filter((name) => protection.kind !== 'some' || protection.names.includes(name));
  return kept.length === 0 ? undefined : `the annotation ${protectAnnotation} keeps ${kept.join(', ')}`;
}

/** NICs that an action takes away or makes others of. */
export function takenBy(action: Action): readonly string[] {
  switch (action.kind) {
    case 'unplug':
      return action.attachments;
    case 'swap':
      return [action.attachment];
    case 'edit-template':
      return action.remove;
    case 'plug':
    case 'link':
    case 'follow':
    case 'release':
    case 'set-ports':
    case 'restart':
      return [];
    default:
      return action satisfies never;
  }
}

/** The same of a pod, and of the domain in it. */
export function takenFromPod(action: PodAction): readonly string[] {
  if (action.kind === 'domain-detach') return [action.attachment];
  return action.kind === 'pod-unplug' ? action.elements.map(({ name }) => name) : [];
}
