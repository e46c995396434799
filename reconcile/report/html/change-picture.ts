/** What a change causes, among all that is due, as a page of panels: what is of the change comes first, and can be filtered for. */
import type { Cause, Change, ClusterChange, TargetCauses } from '../../change/model.ts';
import { objectKey } from '../../vocabulary.ts';
import { baseFaults, baseName, changeSummary } from '../change-words.ts';
import { printable } from '../style.ts';
import type { Panel, Picture } from './model.ts';
import { byUrgency, type PlanGround, planPicture } from './plan-picture.ts';

/** @param made when the plan was made */
export function changePicture(change: Change, cluster: ClusterChange, ground: PlanGround, made: Date): Picture {
  const picture = planPicture(cluster.plan, ground, made);
  const causes = new Map(
    cluster.causes.map((each) => [`${each.target.kind === 'Pod' ? 'pod' : 'VM'} ${objectKey(each.target)}`, each]),
  );
  const panels = picture.panels.map((panel) =>
    withCauses(panel, causes.get(`${panel.kind} ${panel.ns}/${panel.name}`)),
  );
  return {
    ...picture,
    summary: changeSummary(change),
    facts: [['compared with', printable(baseName(change.base, false))], ...picture.facts],
    notices: [...baseFaults(change.base).map(printable), ...picture.notices],
    panels: panels.sort((a, b) => Number(isOfChange(b)) - Number(isOfChange(a)) || byUrgency(a, b)),
  };
}

function isOfChange({ is }: Panel): boolean {
  return is.includes('mine');
}

/** Steps and blockers keep their places in the plan, so their causes go by place. */
function withCauses(panel: Panel, causes: TargetCauses | undefined): Panel {
  if (causes === undefined) return panel;
  const all = [...causes.actions, ...causes.blockers].map(({ cause }) => cause);
  const mine = all.some((cause) => cause !== 'before');
  const before = all.some((cause) => cause !== 'change');
  return {
    ...panel,
    is: [...panel.is, ...(mine ? (['mine'] as const) : []), ...(before ? (['before'] as const) : [])],
    ...(panel.steps === undefined
      ? {}
      : { steps: panel.steps.map(([sign, words], at) => [sign, marked(words, causes.actions[at]?.cause)] as const) }),
    ...(panel.blocks === undefined
      ? {}
      : {
          blocks: panel.blocks.map((block, at) => ({ ...block, text: marked(block.text, causes.blockers[at]?.cause) })),
        }),
  };
}

const causeWords: Readonly<Record<Cause, string>> = {
  change: '',
  before: ' (due before this change)',
  both: ' (due before, and more of it by this change)',
};

function marked(words: string, cause: Cause = 'change'): string {
  return `${words}${causeWords[cause]}`;
}
