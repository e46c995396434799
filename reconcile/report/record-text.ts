/** The record of the last runs for a person, and for `-o json`. */
import { ageWords } from '../runs/age.ts';
import type { LockState } from '../runs/lock.ts';
import type { RunRecord } from '../runs/record.ts';
import { printable, type Style } from './style.ts';
import { count, duration } from './words.ts';

/** So many targets are listed; `-o json` has all. */
const mostTargets = 50;

export function recordAsText(record: RunRecord, lock: LockState | undefined, now: Date, style: Style): string {
  const { source, commit, outcome, lastFullCheck, counts, error } = record;
  const paint = outcome === 'converged' ? style.good : outcome === 'staged' ? style.changed : style.bad;
  const lines = [
    `${style.bold(printable(source))}  ${printable(commit ?? 'no commit yet')}`,
    `${paint(outcome)}: ${countWords(counts)}${lastFullCheck === undefined ? '' : `; checked ${ago(lastFullCheck, now)}`}`,
  ];
  if (error !== undefined) lines.push(`${style.bad('error')} ${printable(error.message)} (${error.code})`);
  if (lock !== undefined)
    lines.push(style.changed(`a run is under way: ${printable(lock.holder)}, since ${ageWords(lock.heldMs)}`));
  lines.push(...targetLines(record, now, style), ...runLines(record, now, style));
  return `${lines.join('\n')}\n`;
}

export function countWords({ targets, inSync, ...others }: RunRecord['counts']): string {
  const more = Object.entries(others).flatMap(([state, number]) =>
    number > 0 ? [`${number} ${state === 'notStarted' ? 'not started' : state}`] : [],
  );
  return [`${inSync} of ${count(targets, 'target')} in sync`, ...more].join(', ');
}

/** What is not in sync first, and of the rest what changed last. */
function targetLines({ targets }: RunRecord, now: Date, style: Style): readonly string[] {
  const all = Object.entries(targets).sort(([, a], [, b]) => {
    const rank = Number(a.state === 'in-sync') - Number(b.state === 'in-sync');
    return rank === 0 ? b.since.localeCompare(a.since) : rank;
  });
  const lines = all.slice(0, mostTargets).map(([name, { state, since, reason }]) => {
    const word = state === 'in-sync' ? style.good(state) : style.bad(state);
    return `  ${style.bold(printable(name))}  ${word} since ${ageWords(now.getTime() - Date.parse(since))}${reason === undefined ? '' : `: ${printable(reason)}`}`;
  });
  if (all.length > mostTargets) lines.push(`  and ${all.length - mostTargets} more`);
  return lines.length === 0 ? [] : ['', ...lines];
}

function runLines({ runs }: RunRecord, now: Date, style: Style): readonly string[] {
  if (runs.length === 0) return [];
  return [
    '',
    style.bold('last runs with news'),
    ...runs.map((run) => {
      const { id, by, at, commit, outcome } = run;
      return `  ${ago(at, now)}  ${outcome}  ${printable(shortCommit(commit))}  ${runWords(run)}  ${style.dim(printable(`${by}/${id}`))}`;
    }),
  ];
}

/** What a run did, and how long it took. */
export function runWords({ changed, writes, error, seconds, overrode }: RunRecord['runs'][number]): string {
  const took = duration(seconds * 1000);
  const what =
    error === undefined
      ? `${changed} changed, ${count(writes, 'write')} in ${took}`
      : `${printable(error.message)}, after ${took}`;
  const against = overrode === undefined ? '' : `, outside of the windows: ${printable(overrode)}`;
  return `${what}${against}`;
}

export function shortCommit(commit: string | undefined): string {
  return (
    commit?.replace(/@sha1:([0-9a-f]{8})[0-9a-f]*$/, '@$1').replace(/^sha256:([0-9a-f]{8})[0-9a-f]*$/, 'folder@$1') ??
    '-'
  );
}

function ago(time: string, now: Date): string {
  return `${ageWords(now.getTime() - Date.parse(time))} ago`;
}

/** One line, where a run was left out. */
export function unchangedLine(record: RunRecord, now: Date, recheckAfterMs: number): string {
  const age = now.getTime() - Date.parse(record.lastFullCheck ?? '');
  const due = ageWords(Math.max(0, recheckAfterMs - age));
  return `unchanged: ${printable(record.commit ?? '')} was found in sync ${ageWords(age)} ago; the next full check is due in ${due}\n`;
}
