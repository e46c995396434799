/** A plan as Markdown, for a comment in a pull request. */
import { revision } from '../desired/revision.ts';
import type { Plan } from '../plan/model.ts';
import { brakeLines } from './brake-words.ts';
import { cell, code, commentMarker, Room } from './markdown-text.ts';
import { planPicture } from './mermaid.ts';
import { blockerItems, listSection, signsOf, targetFold, targetTitle } from './plan-sections.ts';
import { planSummary } from './plan-text.ts';
import { stagesLine } from './rollout-words.ts';
import { fleetNoun, runStateWords, sourceName, undeclaredLines } from './words.ts';

/**
 * Blockers on top, a row a VM, a picture where it is small, a folded diff a VM; under 65,000 characters, whatever the
 * plan. Ends with a newline.
 * @param marker name in the first line, for one of several instances that comment
 */
export function planMarkdown(plan: Plan, marker?: string): string {
  const room = new Room();
  const noun = fleetNoun(plan.summary);
  const head = room.take([
    commentMarker(marker),
    `**${planSummary(plan)}**`,
    '',
    `Revision ${code(revision(plan.source))} of ${cell(sourceName(plan.source))}`,
    '',
  ]).shown;
  const stages = stagesLine(plan);
  const undeclared = room.take(
    [...(stages === undefined ? [] : [stages]), ...brakeLines(plan), ...undeclaredLines(plan)].map(
      (line) => `- ${cell(line)}`,
    ),
    0.2,
  ).shown;
  const stops = listSection(room, 0.5, '### Blocked', blockerItems(plan.targets), 'blocker');
  const more = '; `patchpanel plan -o json` has them all.';
  room.reserve(400);
  const rows = plan.targets.map(
    (target) => `| ${cell(targetTitle(target.target))} | ${runStateWords[target.runState]} | ${signsOf(target)} |`,
  );
  const table = [`| ${plan.summary.pods === undefined ? 'VM' : 'target'} | state | changes |`, '|---|---|---|'];
  room.take(table);
  const shown = room.take(rows, 0.4);
  const picture = room.take([planPicture(plan)].filter((text) => text !== '')).shown;
  const folds = plan.targets.map(targetFold).filter((text) => text !== '');
  const details = room.take(folds);
  const rest: string[] = [];
  if (shown.hidden > 0) rest.push(`${shown.hidden} more ${noun}s are not shown${more}`);
  if (details.hidden > 0) rest.push(`Details of ${details.hidden} more ${noun}s are not shown${more}`);
  const body = plan.targets.length === 0 ? [] : [...table, ...shown.shown, '', ...picture, ...details.shown];
  const tail = undeclared.length === 0 ? [] : [...undeclared, ''];
  return `${[...head, ...stops, ...body, ...tail, ...rest].join('\n').trimEnd()}\n`;
}
