/** A change for a terminal or a log: what it causes, what was due before, what is no longer due. */
import type { Change, ObjectChange } from '../change/model.ts';
import { splitPlan } from '../change/split.ts';
import { actionNames } from '../plan/action-name.ts';
import type { Plan, TargetPlan } from '../plan/model.ts';
import { brakeLines } from './brake-words.ts';
import {
  baseFaults,
  baseName,
  type ChangeLine,
  changeSummary,
  noLongerLines,
  objectLines,
  settingLines,
} from './change-words.ts';
import { targetTitle } from './plan-sections.ts';
import { planHeader, targetLines } from './plan-text.ts';
import { printable, type Style } from './style.ts';
import { shortRevision, sourceName, undeclaredLines } from './words.ts';

/** Ends with a newline. */
export function changeText(change: Change, style: Style): string {
  const { source, base, declared, cluster } = change;
  const lines = [
    `${style.bold(shortRevision(source))}  ${printable(sourceName(source))}  compared with ${style.bold(printable(baseName(base, true)))}`,
    ...(cluster === undefined ? [] : [planHeader(cluster.plan, style)]),
    '',
  ];
  const faults = baseFaults(base);
  if (faults.length > 0)
    lines.push(...faults.map((line, at) => style.changed(`${at === 0 ? 'note: ' : '  '}${printable(line)}`)), '');
  if (declared.settings.length > 0)
    lines.push(...settingLines(declared.settings).map((line) => changeLine(line, style)), '');
  if (cluster === undefined)
    lines.push(...declared.objects.flatMap((object) => objectBlock(object, declared.prune, style)));
  else lines.push(...clusterLines(change, cluster.plan, style));
  const told = cluster === undefined ? [] : [...brakeLines(cluster.plan), ...undeclaredLines(cluster.plan)];
  if (told.length > 0) lines.push(...told.map((line) => style.dim(`note: ${printable(line)}`)), '');
  lines.push(style.bold(changeSummary(change)));
  return `${lines.join('\n')}\n`;
}

function clusterLines({ cluster, declared }: Change, plan: Plan, style: Style): readonly string[] {
  if (cluster === undefined) return [];
  const names = actionNames(plan);
  const { ofChange, before } = splitPlan(cluster);
  const shown = new Set(ofChange.map(({ target }) => targetTitle(target)));
  const quiet = declared.objects.filter(({ target }) => !shown.has(targetTitle(target)));
  const blocks = (targets: readonly TargetPlan[]) =>
    targets.flatMap((target) => [...targetLines(target, names, style), '']);
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [style.bold(title), '', ...lines];
  return [
    ...section('Of this change:', blocks(ofChange)),
    ...section(
      'Declared by this change, with nothing to do for it:',
      quiet.flatMap((object) => objectBlock(object, declared.prune, style)),
    ),
    ...section('Due before this change:', blocks(before)),
    ...section(
      'No longer due with this change:',
      cluster.noLonger.flatMap((each) => [
        printable(targetTitle(each.target)),
        ...noLongerLines(each).map((line) => changeLine(line, style)),
        '',
      ]),
    ),
  ];
}

function objectBlock(object: ObjectChange, prune: boolean, style: Style): readonly string[] {
  const { position } = object;
  const place = position === undefined ? '' : `  ${style.dim(printable(`${position.file}:${position.line}`))}`;
  return [
    `${style.bold(printable(targetTitle(object.target)))}  ${object.change}${place}`,
    ...objectLines(object, prune).map((line) => changeLine(line, style)),
    '',
  ];
}

function changeLine({ sign, words }: ChangeLine, style: Style): string {
  const paint = { '+': style.added, '-': style.removed, '~': style.changed, '.': style.dim }[sign];
  return `  ${paint(printable(`${sign} ${words}`))}`;
}
