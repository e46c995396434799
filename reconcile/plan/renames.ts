/** A VM can't be renamed. An object under another name, while the VM of the old one runs, is more likely a mistake. */
import type { TargetDiff } from '../diff/model.ts';
import type { LiveState } from '../live/model.ts';
import { objectKey } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { targetKeyOf } from './removals.ts';
import { blocker } from './steps.ts';

/** Where a VM may be that its object does not find: in another namespace, or under the name that it had before. */
export function whereabouts({ desired }: TargetDiff, { namesakes, undeclared = [] }: LiveState): string {
  const same = namesakes?.get(objectKey(desired.target)) ?? [];
  if (same.length > 0) return `; there is ${same.map(objectKey).join(', ')}`;
  const old = undeclared.find(
    ({ namespace, owned }) => namespace === desired.target.namespace && declaresAll(desired, owned),
  );
  return old === undefined ? '' : `; ${objectKey(old)}, which has these NICs, has no object: was it renamed?`;
}

/** Pruning waits where the object may only have got a wrong name or namespace; by `targetKeyOf`. */
export function renamesOf(
  diffs: readonly TargetDiff[],
  { undeclared = [] }: LiveState,
): ReadonlyMap<string, readonly Blocker[]> {
  const missing = diffs.filter(({ live }) => live === undefined);
  const owned = new Map(undeclared.map((vm) => [objectKey(vm), vm.owned]));
  return new Map(
    diffs.flatMap(({ desired }) => {
      const { target } = desired;
      if (desired.pruned !== true) return [];
      const names = owned.get(objectKey(target)) ?? [];
      const moved = missing.find((other) => other.desired.target.name === target.name)?.desired;
      const successor =
        moved ??
        missing.find(
          (other) => other.desired.target.namespace === target.namespace && declaresAll(other.desired, names),
        )?.desired;
      if (successor === undefined) return [];
      const { file, line } = successor.position;
      if (moved !== undefined) {
        const message = `${objectKey(target)} has no object any more, but ${objectKey(moved.target)} (${file}:${line}), which the cluster does not have, has its name: is the namespace wrong?`;
        const remedy = `Correct the namespace at ${file}:${line} (or --namespace), or create the VM ${objectKey(moved.target)}, or remove its object; then ${objectKey(target)} is pruned.`;
        return [[targetKeyOf(target), [blocker('renamed', undefined, message, remedy)]] as const];
      }
      const message = `${target.name} has no object any more, but ${successor.target.name} (${file}:${line}), which the cluster does not have, declares its NICs: was it renamed?`;
      const remedy = `Correct the name at ${file}:${line}, or create the VM ${successor.target.name}, or remove its object; then ${target.name} is pruned.`;
      return [[targetKeyOf(target), [blocker('renamed', undefined, message, remedy)]] as const];
    }),
  );
}

function declaresAll({ attachments }: TargetDiff['desired'], names: readonly string[]): boolean {
  return names.length > 0 && names.every((name) => attachments.some((attachment) => attachment.name === name));
}
