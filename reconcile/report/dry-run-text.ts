/** What the server said of a plan, for a terminal or a log. */

import { isDeepStrictEqual } from 'node:util';
import type { DryRun } from '../apply/dry-run.ts';
import type { KubeObject } from '../kube/cluster.ts';
import { actionName } from '../plan/action-name.ts';
import { objectKey } from '../vocabulary.ts';
import { printable, type Style } from './style.ts';
import { count } from './words.ts';

/** Ends with a line of counts. */
export function dryRunText(runs: readonly DryRun[], style: Style): string {
  const refused = runs.filter((run) => run.refused !== undefined).length;
  const lines = runs.flatMap((run) => runLines(run, style));
  const summary =
    runs.length === 0
      ? 'Server dry run: nothing to ask about.'
      : `Server dry run: ${count(runs.length - refused, 'VM')} accepted, ${refused} refused; nothing was written.`;
  return `${[...lines, summary].join('\n')}\n`;
}

function runLines({ target, asked, before, after, refused, later }: DryRun, style: Style): string[] {
  const word = refused === undefined ? 'accepted' : style.bad('refused');
  const lines = [`${style.bold(objectKey(target))}  ${word}  ${printable(asked.map(actionName).join('; '))}`];
  if (refused !== undefined) lines.push(`  ${actionName(refused.action)}: ${printable(refused.reason)}`);
  else lines.push(...changedPaths(before, after).map((path) => `  would change ${printable(path)}`));
  if (later !== undefined) lines.push(`  not asked yet: ${actionName(later.action)}, since ${printable(later.reason)}`);
  return lines;
}

/** Fields of the object that differ, lists as a whole; what the server notes of any write is left out. */
function changedPaths(before: KubeObject | undefined, after: KubeObject | undefined): readonly string[] {
  const own = { managedFields: undefined, generation: undefined, resourceVersion: undefined };
  const view = (object: KubeObject | undefined): unknown =>
    object === undefined ? {} : { ...object, metadata: { ...object.metadata, ...own } };
  return differing(view(before), view(after), '');
}

function differing(before: unknown, after: unknown, path: string): readonly string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return [path];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    differing(before[key], after[key], path === '' ? key : /[./]/.test(key) ? `${path}[${key}]` : `${path}.${key}`),
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
