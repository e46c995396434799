/** A plan in two: what is of the change, and what was due before, target by target, for whoever shows them. Pure. */
import { isPodPlan, type Note, type TargetPlan } from '../plan/model.ts';
import type { Cause, ClusterChange, TargetCauses } from './model.ts';

export interface SplitPlan {
  readonly ofChange: readonly TargetPlan[];
  readonly before: readonly TargetPlan[];
}

/**
 * A target that has both is in both lists, each time with its own. Ports, and what is `both`, stand with the change, for
 * they are what it leads to.
 */
export function splitPlan({ plan, causes }: ClusterChange): SplitPlan {
  const parts = plan.targets.map((target, index) => {
    const own = causes[index];
    if (own === undefined) throw new Error('there are causes of every target of the plan');
    return { ofChange: partOf(target, own, true), before: partOf(target, own, false) };
  });
  return {
    ofChange: parts.flatMap(({ ofChange }) => ofChange ?? []),
    before: parts.flatMap(({ before }) => before ?? []),
  };
}

function partOf(target: TargetPlan, causes: TargetCauses, ofChange: boolean): TargetPlan | undefined {
  const wanted = (list: readonly { readonly cause: Cause }[], at: number) =>
    (list[at]?.cause === 'before') !== ofChange;
  const blockers = target.blockers.filter((_, at) => wanted(causes.blockers, at));
  const differences = target.differences.filter((_, at) => wanted(causes.differences, at));
  const own = target.notes.filter((_, at) => wanted(causes.notes, at));
  const notes = ofChange ? [...own, ...partly(causes)] : own;
  const hasPorts = ofChange || !causes.actions.some(({ cause }) => cause !== 'before');
  const common = { blockers, differences, notes };
  const part: TargetPlan = isPodPlan(target)
    ? { ...target, ...common, actions: target.actions.filter((_, at) => wanted(causes.actions, at)) }
    : { ...target, ...common, actions: target.actions.filter((_, at) => wanted(causes.actions, at)) };
  const { actions } = part;
  const nothing = [actions, blockers, notes].every(({ length }) => length === 0);
  if (nothing && !differences.some(({ layer }) => layer !== 'guest')) return undefined;
  return hasPorts && actions.length + blockers.length > 0 ? part : withoutPorts(part);
}

/** An action that was due before, and carries more with the change, is not cut in two. */
function partly({ actions }: TargetCauses): readonly Note[] {
  return actions.flatMap(({ attachments }) =>
    attachments === undefined
      ? []
      : [{ code: 'partly-before', message: `of one step only ${attachments.join(', ')} is of this change` }],
  );
}

function withoutPorts(target: TargetPlan): TargetPlan {
  if (isPodPlan(target)) {
    const { ports: _, ...rest } = target;
    return rest;
  }
  const { ports: _, portCount: __, ...rest } = target;
  return rest;
}
