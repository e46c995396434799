/** A plan, and what it was made from, as a page of panels: every VM and pod, also those that are as declared. */
import type { DesiredState } from '../../desired/model.ts';
import { revision } from '../../desired/revision.ts';
import type { TargetDiff } from '../../diff/model.ts';
import { diffPods } from '../../diff/pods.ts';
import type { LiveState } from '../../live/model.ts';
import { isPodPlan, type Plan, type PodPlan, type VmPlan } from '../../plan/model.ts';
import { objectKey } from '../../vocabulary.ts';
import { brakeLines } from '../brake-words.ts';
import { planSummary } from '../plan-text.ts';
import { stagesLine } from '../rollout-words.ts';
import { printable } from '../style.ts';
import { shortRevision, sourceName, undeclaredLines } from '../words.ts';
import { type Facet, facetWords, type Panel, type Picture } from './model.ts';
import { plannedPodPanel, podPanel } from './pod-panel.ts';
import { networkIndex, vmPanel } from './vm-panel.ts';

/** What a plan was made from. */
export interface PlanGround {
  readonly desired: DesiredState;
  readonly live: LiveState;
  readonly diffs: readonly TargetDiff[];
}

/** @param made when the plan was made */
export function planPicture(plan: Plan, { desired, live, diffs }: PlanGround, made: Date): Picture {
  const networks = networkIndex();
  const vmPlans = new Map<string, VmPlan>();
  const podPlans = new Map<string, PodPlan>();
  for (const target of plan.targets) {
    if (isPodPlan(target)) podPlans.set(objectKey(target.target), target);
    else vmPlans.set(objectKey(target.target), target);
  }
  const panels = diffs.map((diff) => vmPanel(diff, vmPlans.get(objectKey(diff.desired.target)), networks));
  const pods = diffPods(desired.pods ?? [], live).flatMap((diff) => (diff.pod === undefined ? [] : [diff]));
  const drawn = new Set<string>();
  for (const diff of pods) {
    const key = objectKey(diff.pod);
    if (drawn.has(key)) continue;
    drawn.add(key);
    panels.push(podPanel(diff, podPlans.get(key), networks));
  }
  for (const [key, pod] of podPlans) if (!drawn.has(key)) panels.push(plannedPodPanel(pod, networks));
  const { server, kubevirtVersion, delivery, deliveryEvidence } = plan.cluster;
  const stages = stagesLine(plan);
  return {
    kind: 'plan',
    source: printable(sourceName(plan.source)),
    revision: printable(shortRevision(plan.source)),
    made: made.toISOString(),
    summary: planSummary(plan),
    facts: [
      ['revision', printable(revision(plan.source))],
      ['cluster', printable(server)],
      ['KubeVirt', printable(kubevirtVersion ?? 'of unknown version')],
      ['plugs', printable(`${delivery === 'in-place' ? 'in place' : 'by migration'} (${deliveryEvidence})`)],
    ],
    notices: [...(stages === undefined ? [] : [stages]), ...brakeLines(plan), ...undeclaredLines(plan)].map(printable),
    calm: 'As declared',
    networks: networks.names,
    panels: panels.sort(byUrgency),
  };
}

const order = Object.keys(facetWords) as readonly Facet[];

export function byUrgency(one: Panel, other: Panel): number {
  const rank = order.indexOf(one.is[0] ?? 'calm') - order.indexOf(other.is[0] ?? 'calm');
  if (rank !== 0) return rank;
  return compare(one.ns, other.ns) || compare(one.name, other.name);
}

const names = new Intl.Collator('en', { numeric: true });

/** `db-9` before `db-10`. */
function compare(a: string, b: string): number {
  return names.compare(a, b);
}
