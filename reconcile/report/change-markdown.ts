/** A change as Markdown, for a comment in a pull request: what it causes first, what was due before in a fold. */
import { isOfChange } from '../change/causes.ts';
import type { Change, ObjectChange } from '../change/model.ts';
import { splitPlan } from '../change/split.ts';
import { revision } from '../desired/revision.ts';
import type { TargetPlan } from '../plan/model.ts';
import { brakeLines } from './brake-words.ts';
import { baseFaults, baseName, changeSummary, noLongerLines, objectLines, settingLines } from './change-words.ts';
import { cell, code, commentMarker, fold, Room } from './markdown-text.ts';
import { changePicture } from './mermaid.ts';
import { blockerItems, diffLine, listSection, signsOf, targetDiff, targetTitle } from './plan-sections.ts';
import { count, fleetNoun, runStateWords, sourceName, undeclaredLines } from './words.ts';

/** One row and one fold of the comment: an object that the change touches, or a target that it does something to. */
interface Entry {
  readonly title: string;
  readonly object?: ObjectChange;
  readonly target?: TargetPlan;
}

/**
 * Under 65,000 characters, whatever the change. Ends with a newline.
 * @param marker name in the first line, for one of several instances that comment
 */
export function changeMarkdown(change: Change, marker?: string): string {
  const { base, cluster, declared, source } = change;
  const room = new Room();
  room.reserve(600);
  const head = room.take([
    commentMarker(marker),
    `**${changeSummary(change)}**`,
    '',
    `Revision ${code(revision(source))} of ${cell(sourceName(source))}, compared with ${code(baseName(base, false))}`,
    '',
  ]).shown;
  const faults = room.take(baseFaults(base).map((line) => `> ${cell(line)}  `)).shown;
  const { ofChange, before } = cluster === undefined ? { ofChange: [], before: [] } : splitPlan(cluster);
  const stops = listSection(room, 0.4, '### Blocked', blockerItems(ofChange), 'blocker');
  const entries = entriesOf(change, ofChange);
  const rows = entries.map((entry) => row(entry, cluster !== undefined));
  const table = entries.length === 0 ? [] : tableHead(cluster !== undefined);
  room.take(table);
  const settings = settingLines(declared.settings).map(({ words }) => `- ${cell(words)}`);
  const policy = listSection(room, 0.1, '### Settings', settings, 'setting');
  const shown = room.take(rows, 0.3);
  const picture = room.take([changePicture(change)].filter((text) => text !== '')).shown;
  const drift = driftFold(change, before);
  const kept = room.take(drift, 0.3);
  const undeclared =
    cluster === undefined
      ? []
      : [...brakeLines(cluster.plan), ...undeclaredLines(cluster.plan)].map((line) => `- ${cell(line)}`);
  const left = room.take(undeclared, 0.2).shown;
  const folds = room.take(entries.map((entry) => entryFold(entry, declared.prune)).filter((text) => text !== ''));
  const rest = [
    ...(shown.hidden > 0 ? [`${shown.hidden} more objects are not shown; \`-o json\` has them all.`] : []),
    ...(folds.hidden > 0 ? [`Details of ${folds.hidden} more objects are not shown.`] : []),
    ...(kept.hidden > 0 ? ['What was due before is too much to show.'] : []),
  ];
  const lines = [
    ...head,
    ...(faults.length === 0 ? [] : [...faults, '']),
    ...stops,
    ...(entries.length === 0 ? [] : [...table, ...shown.shown, '']),
    ...policy,
    ...picture,
    ...folds.shown,
    ...kept.shown,
    ...(left.length === 0 ? [] : [...left, '']),
    ...rest,
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}

function entriesOf({ declared }: Change, ofChange: readonly TargetPlan[]): readonly Entry[] {
  const targets = new Map(ofChange.map((target) => [targetTitle(target.target), target]));
  const objects = declared.objects.map((object): Entry => {
    const title = targetTitle(object.target);
    const target = targets.get(title);
    targets.delete(title);
    return { title, object, ...(target === undefined ? {} : { target }) };
  });
  const others = [...targets].map(([title, target]): Entry => ({ title, target }));
  return [...objects, ...others].sort((a, b) => rank(a) - rank(b));
}

/** What is blocked comes first, then what changes the cluster. */
function rank({ target }: Entry): number {
  if (target === undefined) return 2;
  return target.blockers.length > 0 ? 0 : 1;
}

function tableHead(hasCluster: boolean): readonly string[] {
  return hasCluster
    ? ['| object | declared | state | does |', '|---|---|---|---|']
    : ['| object | declared | NICs |', '|---|---|---|'];
}

function row({ title, object, target }: Entry, hasCluster: boolean): string {
  const nics = object === undefined ? '' : nicSigns(object);
  if (!hasCluster) return `| ${cell(title)} | ${object?.change ?? ''} | ${nics} |`;
  const said = object === undefined ? 'as before' : `${object.change}${nics === '' ? '' : ` (${nics})`}`;
  const state = target === undefined ? '' : runStateWords[target.runState];
  return `| ${cell(title)} | ${said} | ${state} | ${target === undefined ? 'none' : signsOf(target)} |`;
}

/** `+2 -1 ~1`. */
function nicSigns({ attachments, fields }: ObjectChange): string {
  const number = (change: string) => attachments.filter((each) => each.change === change).length;
  const [plugged, unplugged, changed] = [number('plugged'), number('unplugged'), number('changed') + fields.length];
  const parts = [
    plugged > 0 ? `+${plugged}` : '',
    unplugged > 0 ? `-${unplugged}` : '',
    changed > 0 ? `\\~${changed}` : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}

/** What the cluster is in for; where nothing is, or no cluster was asked, what is declared. */
function entryFold({ title, object, target }: Entry, prune: boolean): string {
  const planned = target === undefined ? [] : targetDiff(target);
  const declared =
    object === undefined ? [] : objectLines(object, prune).map(({ sign, words }) => diffLine(sign, words));
  const lines = planned.length > 0 ? planned : declared;
  if (lines.length === 0) return '';
  const state = target === undefined ? (object?.change ?? '') : runStateWords[target.runState];
  return fold(`${title}, ${state}`, lines);
}

function driftFold({ cluster }: Change, before: readonly TargetPlan[]): readonly string[] {
  if (cluster === undefined) return [];
  const due = before.flatMap((target) => [
    diffLine('.', targetTitle(target.target)),
    ...target.blockers.map(({ code: what, message }) => diffLine('~', `blocked (${what}) ${message}`)),
    ...targetDiff(target),
  ]);
  const less = cluster.noLonger.flatMap((each) => [
    diffLine('.', targetTitle(each.target)),
    ...noLongerLines(each).map(({ words }) => diffLine('.', `  ${words}`)),
  ]);
  const also = cluster.causes.filter(isOfChange).length > 0 && due.length > 0 ? ', apart from the above' : '';
  return [
    ...(due.length === 0
      ? []
      : [fold(`Due before this change${also}: ${count(before.length, fleetNoun(cluster.plan.summary))}`, due)]),
    ...(less.length === 0 ? [] : [fold(`No longer due with this change: ${cluster.noLonger.length}`, less, 4_000)]),
  ];
}
