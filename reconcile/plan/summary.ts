/** The numbers of a plan. */
import type { Plan, PlanAction, PodPlan, TargetPlan, VmPlan } from './model.ts';

type Listed<T extends TargetPlan> = Pick<T, 'actions' | 'blockers'>;

/** What the plan comes to. @param pods undefined where none are declared */
export function summaryOf(vms: readonly Listed<VmPlan>[], pods: readonly PodPlan[] | undefined): Plan['summary'] {
  const targets = [...vms, ...(pods ?? [])];
  const ofVms = vms.flatMap(({ actions }) => actions);
  const ofPods = (pods ?? []).flatMap(({ actions }) => actions);
  const count = (kind: 'plug' | 'unplug') =>
    ofVms.reduce((sum, action) => sum + (action.kind === kind ? action.attachments.length : 0), 0);
  const unplugged = ofPods.reduce(
    (sum, action) => sum + (action.kind === 'pod-unplug' ? action.elements.length : 0),
    0,
  );
  return {
    vms: vms.length,
    ...(pods === undefined ? {} : { pods: pods.length }),
    unchanged: targets.filter(({ actions, blockers }) => actions.length === 0 && blockers.length === 0).length,
    changed: targets.filter(({ actions }) => actions.length > 0).length,
    blocked: targets.filter(({ blockers }) => blockers.length > 0).length,
    plugs: count('plug') + ofPods.filter(({ kind }) => kind === 'pod-plug').length,
    unplugs: count('unplug') + unplugged,
    others: [...ofVms, ...ofPods].filter(({ kind }) => !partOfAnother.has(kind)).length,
  };
}

/** Plugs and unplugs, counted apart, and what belongs to one: the record that follows, the domain behind the pod. */
const partOfAnother: ReadonlySet<PlanAction['kind']> = new Set([
  ...(['plug', 'unplug', 'release'] as const),
  ...(['pod-plug', 'pod-unplug', 'pod-release', 'domain-attach', 'domain-detach'] as const),
]);
