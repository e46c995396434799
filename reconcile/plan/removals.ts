/** How many NICs a plan takes away, and whether it may: one mistake in a repository must not empty a fleet. */
import type { Limit } from '../desired/model.ts';
import { countOf } from '../desired/settings.ts';
import type { TargetDiff } from '../diff/model.ts';
import type { LiveState } from '../live/model.ts';
import { objectKey } from '../vocabulary.ts';
import type { Blocker, PlanAction, PlanRemovals, TargetPlan } from './model.ts';
import { blocker, counted } from './steps.ts';

/**
 * Names of the NICs that these actions of one VM or pod take away. One that comes back under its name is changed, not
 * taken away; one whose unplug is under way left with the plan that began it.
 */
export function removedBy(actions: readonly PlanAction[]): readonly string[] {
  const gone = new Set(actions.flatMap(takenBy));
  for (const name of actions.flatMap(givenBy)) gone.delete(name);
  return [...gone].sort();
}

/** How many NICs these actions take away, over all VMs and pods. */
export function removedIn(targets: readonly Pick<TargetPlan, 'actions'>[]): number {
  return targets.reduce((sum, { actions }) => sum + removedBy(actions).length, 0);
}

function takenBy(action: PlanAction): readonly string[] {
  if (action.kind === 'unplug') return action.attachments;
  if (action.kind === 'edit-template') return action.remove;
  return action.kind === 'pod-unplug' ? action.elements.map(({ name }) => name) : [];
}

function givenBy(action: PlanAction): readonly string[] {
  if (action.kind === 'plug') return action.attachments.map(({ name }) => name);
  if (action.kind === 'edit-template') return action.put.map(({ name }) => name);
  return action.kind === 'pod-plug' ? [action.element.name] : [];
}

/** The NICs that patchpanel owns on what the plan is about: those that could be taken away at all. */
export function ownedNics(diffs: readonly TargetDiff[], live: LiveState): number {
  const ofVms = diffs.flatMap(({ live: vm }) =>
    (vm?.nics ?? []).filter(
      ({ name, state, isDefault }) => state !== 'absent' && !isDefault && vm?.owned.includes(name),
    ),
  );
  const pods = new Map([...(live.pods?.byQuery.values() ?? [])].flat().map((pod) => [pod.uid, pod]));
  return [...pods.values()].reduce((sum, { owned }) => sum + owned.length, ofVms.length);
}

/** A share is at least one: else nothing of a small fleet could ever go. */
export function removalsAllowed(limit: Limit, owned: number): number {
  return limit.count === 0 || limit.percent === 0 ? 0 : Math.max(1, countOf(limit, owned));
}

/** Whether a plan takes away more than that; a saved one may have been made under another limit. */
export function exceeds(removals: PlanRemovals | undefined, limit: Limit | undefined): boolean {
  if (removals === undefined || limit === undefined) return false;
  return removals.planned > removalsAllowed(limit, removals.owned);
}

/** `10`, `5% of 40 NICs`, or both. */
function limitWords({ count, percent }: Limit, owned: number): string {
  if (percent === undefined) return '';
  return ` (${count === undefined ? '' : `${count} and `}${percent}% of ${counted(owned, 'NIC')})`;
}

/** What keeps every VM and pod with a removal from being changed, by key, where the plan takes away too much. */
export function removalBlockers(
  targets: readonly Pick<TargetPlan, 'target' | 'actions'>[],
  removals: PlanRemovals,
  limit: Limit,
): ReadonlyMap<string, readonly Blocker[]> {
  const allowed = removalsAllowed(limit, removals.owned);
  const all = `the plan as a whole takes away ${removals.planned}, and maxRemovals lets it take ${allowed}${limitWords(limit, removals.owned)}`;
  const remedy =
    'If this is not meant, revert the commit. If it is, remove less in one commit, or raise maxRemovals in the Settings; where the policy of the platform holds, ask its owner.';
  return new Map(
    targets.flatMap(({ target, actions }) => {
      const removed = removedBy(actions);
      if (removed.length === 0) return [];
      const message = `${counted(removed.length, 'NIC')} of ${target.name} would go (${removed.join(', ')}): ${all}, so it takes none`;
      return [[targetKeyOf(target), [blocker('removal-limit', undefined, message, remedy)]] as const];
    }),
  );
}

/** Key of a VM or pod among all targets of a plan. */
export function targetKeyOf(target: {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}): string {
  return `${target.kind} ${objectKey(target)}`;
}
