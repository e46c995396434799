/** In which stages a run would go, in one line. */
import { blocksAll } from '../apply/blocks.ts';
import { stagesOf } from '../apply/gate.ts';
import type { Plan } from '../plan/model.ts';

/** So many canaries are named. */
const namesShown = 5;

/**
 * `In stages: prod/db-0 first; then 4 of the wave "early"; then 12 of the wave "the rest".`, or who
 * holds that up; undefined where all go at once.
 */
export function stagesLine(plan: Plan): string | undefined {
  const { entrants, names } = stagesOf(plan);
  const held = entrants.filter((entrant) => entrant.held === true).sort((a, b) => a.stage - b.stage)[0];
  const stages = new Map<number, string[]>();
  for (const [index, { target, actions, blockers }] of plan.targets.entries()) {
    const stage = entrants[index]?.stage;
    if (stage === undefined || actions.length === 0 || blocksAll(blockers)) continue;
    stages.set(stage, [...(stages.get(stage) ?? []), `${target.namespace}/${target.name}`]);
  }
  if (held !== undefined) {
    const behind = [...stages].reduce((sum, [stage, targets]) => sum + (stage > held.stage ? targets.length : 0), 0);
    if (behind > 0) return `Not begun: ${behind} behind ${held.key} of ${names[held.stage]}, which is held.`;
  }
  if (stages.size < 2) return undefined;
  const parts = [...stages]
    .sort(([a], [b]) => a - b)
    .map(([stage, targets]) => {
      if (stage > 0)
        return names[stage] === undefined ? `${targets.length} more` : `${targets.length} of ${names[stage]}`;
      const more = targets.length > namesShown ? ` and ${targets.length - namesShown} more` : '';
      return `${targets.slice(0, namesShown).join(', ')}${more} first`;
    });
  return `In stages: ${parts.join('; then ')}.`;
}
