/**
 * In which wave a target goes, and who goes first of all. A target that gives an address up goes no later than the one
 * that waits for it, so that no wave waits for a later one.
 */
import type { Limit, Wave } from '../desired/model.ts';
import { objectKey } from '../vocabulary.ts';
import type { Note, PlanWave, TargetName, TargetPlan } from './model.ts';

export type Labels = Readonly<Record<string, string>>;

/** What the rest is called that no wave fits. */
const restName = 'the rest';

/**
 * The targets with their waves.
 * @param waves orders of waves; the place in the first one counts most
 */
export function withWaves<T extends TargetPlan>(
  targets: readonly T[],
  waves: readonly (readonly Wave[])[] | undefined,
  labelsOf: (target: T) => Labels,
): readonly T[] {
  if (waves === undefined || waves.length === 0) return targets;
  const own = targets.map((plan) => waveOf(plan.target, labelsOf(plan), waves));
  const givers = giversOf(targets);
  const moved = new Map<number, { readonly wave: PlanWave; readonly taker: number }>();
  const current = (index: number): PlanWave | undefined => moved.get(index)?.wave ?? own[index];
  for (let changed = true; changed; ) {
    changed = false;
    for (const [taker, all] of givers) {
      const wave = current(taker);
      for (const giver of all) {
        if (wave === undefined || wave.index >= (current(giver)?.index ?? 0)) continue;
        moved.set(giver, { wave, taker });
        changed = true;
      }
    }
  }
  return targets.map((plan, index) => {
    const wave = current(index);
    const why = moved.get(index);
    if (wave === undefined || (plan.actions.length === 0 && !isHeld(plan))) return plan;
    const was = own[index]?.name ?? restName;
    const taker = why === undefined ? undefined : targets[why.taker];
    const notes = taker === undefined ? plan.notes : [...plan.notes, movedNote(wave, was, taker.target)];
    return { ...plan, notes, wave };
  });
}

/** What failed, and has not been looked at since. */
export function isHeld({ blockers }: Pick<TargetPlan, 'blockers'>): boolean {
  return blockers.some(({ code }) => code === 'held');
}

function movedNote(wave: PlanWave, was: string, taker: TargetName): Note {
  const message = `goes with the wave "${wave.name}", not with "${was}", as ${objectKey(taker)} waits for an address that it gives up`;
  return { code: 'wave-moved', message };
}

function waveOf(target: TargetName, labels: Labels, orders: readonly (readonly Wave[])[]): PlanWave {
  let index = 0;
  const names: string[] = [];
  for (const order of orders) {
    const found = order.findIndex((wave) => fits(wave, target, labels));
    const wave = order[found];
    index = index * (order.length + 1) + (found < 0 ? order.length : found);
    if (wave !== undefined) names.push(wave.name);
  }
  return { index, name: names.length === 0 ? restName : names.join(', ') };
}

function fits({ namespaces, vms, labels }: Wave, target: TargetName, found: Labels): boolean {
  const isNamed = ({ name }: TargetName) =>
    vms === undefined || vms.some((each) => (each.endsWith('*') ? name.startsWith(each.slice(0, -1)) : name === each));
  return (
    (namespaces === undefined || namespaces.includes(target.namespace)) &&
    isNamed(target) &&
    Object.entries(labels ?? {}).every(([key, value]) => found[key] === value)
  );
}

/** By the index of a target: those that must have given something up before it can go on. */
function giversOf(targets: readonly Pick<TargetPlan, 'actions'>[]): ReadonlyMap<number, ReadonlySet<number>> {
  const homes = new Map(targets.flatMap(({ actions }, index) => actions.map(({ id }) => [id, index] as const)));
  return new Map(
    targets.map(({ actions }, index) => [
      index,
      new Set(
        actions.flatMap(({ after }) => after.flatMap((id) => homes.get(id) ?? [])).filter((other) => other !== index),
      ),
    ]),
  );
}

/**
 * Indices of the targets that go first: of the first wave that has any, in the order of the plan, each with those that it
 * waits for. Such a group stays whole, so there may be a few more than asked for.
 * @param movable whether anything would be done to a target
 */
export function canariesOf(
  targets: readonly Pick<TargetPlan, 'actions' | 'wave'>[],
  canary: Limit | undefined,
  movable: (index: number) => boolean,
): ReadonlySet<number> {
  const able = [...targets.keys()].filter(movable);
  if (canary === undefined || able.length === 0) return new Set();
  const first = Math.min(...able.map((index) => targets[index]?.wave?.index ?? 0));
  const candidates = able.filter((index) => (targets[index]?.wave?.index ?? 0) === first);
  const most = Math.min(
    canary.count ?? Infinity,
    canary.percent === undefined ? Infinity : Math.ceil((candidates.length * canary.percent) / 100),
  );
  const givers = giversOf(targets);
  const chosen = new Set<number>();
  for (const index of candidates) {
    if (chosen.size >= Math.max(1, most)) break;
    const group = [index];
    for (const member of group) {
      chosen.add(member);
      for (const giver of givers.get(member) ?? []) if (!chosen.has(giver) && !group.includes(giver)) group.push(giver);
    }
  }
  return chosen;
}
