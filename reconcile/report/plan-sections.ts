/** Parts of a Markdown comment that plans and changes have in common. */
import { isPodPlan, type TargetName, type TargetPlan } from '../plan/model.ts';
import { cell, fenced, fold, type Room } from './markdown-text.ts';
import { pasteFold } from './paste.ts';
import { portCountLines, portStrip } from './port-strip.ts';
import { makeStyle } from './style.ts';
import { describeAction, runStateWords, sign } from './words.ts';

/** `prod/db-0`, or `pod prod/edge`. */
export function targetTitle({ kind, namespace, name }: TargetName | TargetPlan['target']): string {
  return `${kind === 'Pod' ? 'pod ' : ''}${namespace}/${name}`;
}

/** Lines of a diff; empty where a target has nothing but blockers, which stand above. */
export function targetDiff(target: TargetPlan): readonly string[] {
  const lines = target.actions.map((action) => diffLine(sign(action), describeAction(action, target.target)));
  if (target.ports !== undefined) lines.push(fenced(`# ${portStrip(target.ports, makeStyle(false))}`));
  if (!isPodPlan(target) && target.portCount !== undefined)
    lines.push(...portCountLines(target.portCount).map((line) => fenced(`# ${line}`)));
  for (const note of target.notes) lines.push(fenced(`# ${note.message}`));
  return lines;
}

/** In a diff `!` is what `~` is elsewhere. */
export function diffLine(mark: '+' | '-' | '~' | '.', words: string): string {
  return fenced(`${mark === '~' ? '!' : mark} ${words}`);
}

export function targetFold(target: TargetPlan): string {
  const lines = targetDiff(target);
  return lines.length === 0 ? '' : fold(`${targetTitle(target.target)}, ${runStateWords[target.runState]}`, lines);
}

/** Signs of the actions, each once with its number. */
export function signsOf(target: TargetPlan): string {
  const signs = target.actions.map((action) => sign(action));
  if (signs.length <= 12) return signs.join(' ') || (target.blockers.length > 0 ? 'blocked' : 'none');
  const kinds = [...new Set(signs)];
  return kinds.map((kind) => `${signs.filter((each) => each === kind).length} ${kind}`).join(', ');
}

export function blockerItems(targets: readonly TargetPlan[]): readonly string[] {
  return targets.flatMap((target) =>
    target.blockers.map((blocker) => {
      const whom = blocker.attachment === undefined ? '' : ` ${cell(blocker.attachment)}`;
      const { position } = blocker;
      const at = position === undefined ? '' : ` ${cell(`${position.file}:${position.line}`)}`;
      const what = `(${blocker.code}): ${cell(blocker.message)}. ${cell(blocker.remedy)}`;
      return `- **${cell(targetTitle(target.target))}**${whom}${at} ${what}${pasteFold(blocker)}`;
    }),
  );
}

/** A list under its heading, as far as there is room; what is left out is counted. */
export function listSection(
  room: Room,
  share: number,
  heading: string,
  items: readonly string[],
  noun: string,
): readonly string[] {
  if (items.length === 0) return [];
  const frame = room.take([heading, '', '', `${items.length} more ${noun}s are not shown.`, '']);
  if (frame.hidden > 0) return [];
  const { shown, hidden } = room.take(items, share);
  const rest = hidden > 0 ? [`${hidden} more ${noun}${hidden === 1 ? ' is' : 's are'} not shown.`, ''] : [];
  return [heading, '', ...shown, ...(shown.length > 0 ? [''] : []), ...rest];
}
