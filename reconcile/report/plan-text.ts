/** A plan for a terminal or a log. */
import { actionNames } from '../plan/action-name.ts';
import { isPodPlan, type Plan, type PlanAction, type TargetPlan } from '../plan/model.ts';
import { foreignNics } from '../plan/notes.ts';
import { onlyWaits } from '../plan/restart.ts';
import { objectKey } from '../vocabulary.ts';
import { brakeLines } from './brake-words.ts';
import { pasteLines } from './paste.ts';
import { portCountLines, portLegend, portStrip } from './port-strip.ts';
import { stagesLine } from './rollout-words.ts';
import { printable, type Style } from './style.ts';
import {
  count,
  describeAction,
  fleetNoun,
  fleetWords,
  runStateWords,
  shortRevision,
  sign,
  sourceName,
  undeclaredLines,
} from './words.ts';

/** Signs of actions; a plan that only plugs and unplugs explains itself. */
const changeLegend = 'changes: + plug  - unplug  ~ other change  . follow what is under way, or tidy the record';

function paintAction(action: PlanAction, style: Style): (text: string) => string {
  const mark = sign(action);
  if (mark === '+') return style.added;
  if (mark === '-') return style.removed;
  return mark === '~' ? style.changed : style.dim;
}

function portsOf(action: PlanAction): readonly number[] {
  if (action.kind === 'plug') return Object.values(action.ports ?? {});
  return action.kind === 'domain-attach' && action.port !== undefined ? [action.port] : [];
}

function actionLine(action: PlanAction, target: TargetPlan, names: ReadonlyMap<string, string>, style: Style): string {
  const ports = portsOf(action);
  const where = ports.length === 0 ? '' : style.dim(`  -> port ${ports.join(', ')}`);
  const own = new Set(target.actions.map(({ id }) => id));
  const foreign = action.after.filter((id) => !own.has(id));
  const first = foreign.map((id) => printable(names.get(id) ?? id)).join(', ');
  const after = foreign.length === 0 ? '' : style.dim(`  after ${first}`);
  const words = printable(describeAction(action, target.target));
  return `  ${paintAction(action, style)(`${sign(action)} ${words}`)}${where}${after}`;
}

/** One target with its blockers, actions, ports and notes. */
export function targetLines(target: TargetPlan, names: ReadonlyMap<string, string>, style: Style): string[] {
  const { namespace, name } = target.target;
  const { position: at } = target;
  const place = style.dim(at === undefined ? 'no longer declared' : printable(`${at.file}:${at.line}`));
  const kind = isPodPlan(target) ? 'pod ' : '';
  const lines = [`${kind}${style.bold(`${namespace}/${name}`)}  ${runStateWords[target.runState]}  ${place}`];
  for (const blocker of target.blockers) {
    const whom = blocker.attachment === undefined ? '' : `${blocker.attachment}: `;
    const { position } = blocker;
    const at = position === undefined ? '' : style.dim(`  ${printable(`${position.file}:${position.line}`)}`);
    lines.push(`  ${style.bad('! blocked')} (${blocker.code}) ${printable(whom + blocker.message)}${at}`);
    lines.push(`      ${printable(blocker.remedy)}`, ...pasteLines(blocker, '        '));
  }
  for (const action of target.actions) lines.push(actionLine(action, target, names, style));
  if (target.ports !== undefined) lines.push(`  ${portStrip(target.ports, style)}`);
  if (!isPodPlan(target) && target.portCount !== undefined)
    lines.push(...portCountLines(target.portCount).map((line) => `  ${printable(line)}`));
  for (const note of target.notes) lines.push(`  ${style.dim(`note: ${printable(note.message)}`)}`);
  return lines;
}

/** The last line: `Plan: 2 VMs to change (3 plugs, 1 unplug), 1 VM blocked, 4 unchanged.` */
export function planSummary(plan: Plan): string {
  const { vms, pods, unchanged, changed, blocked, plugs, unplugs, others } = plan.summary;
  const waiting = plan.targets.filter(onlyWaits).length;
  const noun = fleetNoun(plan.summary);
  const waits = `${count(waiting, 'VM')} ${waiting === 1 ? 'waits' : 'wait'} for a restart`;
  if (changed === 0 && blocked === 0) {
    if (waiting === 0) return `Nothing to do: ${fleetWords(vms, pods)} as declared.`;
    return `Nothing to do now: ${waits}, ${count(vms - waiting, 'VM')} as declared.`;
  }
  const steps: string[] = [];
  if (plugs > 0) steps.push(count(plugs, 'plug'));
  if (unplugs > 0) steps.push(count(unplugs, 'unplug'));
  if (others > 0) steps.push(count(others, 'other change'));
  const parts = [`${count(changed, noun)} to change${steps.length > 0 ? ` (${steps.join(', ')})` : ''}`];
  if (blocked > 0) parts.push(`${count(blocked, noun)} blocked`);
  if (waiting > 0) parts.push(waits);
  parts.push(`${unchanged - waiting} unchanged`);
  return `Plan: ${parts.join(', ')}.`;
}

/** The cluster, and how a plug gets there. */
export function planHeader({ cluster }: Plan, style: Style): string {
  const how = `plugs ${cluster.delivery === 'in-place' ? 'in place' : 'by migration'} (${cluster.deliveryEvidence})`;
  return style.dim(`${cluster.server}  KubeVirt ${cluster.kubevirtVersion ?? 'of unknown version'}, ${how}`);
}

/** So many VMs with nothing but foreign NICs stand each for itself; of a fleet that would be all there is to read. */
const foldedFrom = 3;

/** As declared, and only in the plan for NICs that are none of its business. */
function isSettled({ actions, blockers, notes, differences }: TargetPlan): boolean {
  const nothing = actions.length === 0 && blockers.length === 0;
  return (
    nothing && differences.every(({ layer }) => layer === 'guest') && notes.every(({ code }) => code === foreignNics)
  );
}

function foldedLines(targets: readonly TargetPlan[], noun: string): readonly string[] {
  if (targets.length === 0) return [];
  const names = targets.slice(0, foldedFrom).map(({ target }) => objectKey(target));
  return [
    `${targets.length} ${noun}s as declared have NICs that are neither declared nor plugged by patchpanel, so left alone: ${names.join(', ')}, and ${targets.length - names.length} more`,
  ];
}

/** The whole plan as text; ends with a newline. */
export function planText(plan: Plan, style: Style): string {
  const lines = [
    `${style.bold(shortRevision(plan.source))}  ${printable(sourceName(plan.source))}`,
    planHeader(plan, style),
    '',
  ];
  const names = actionNames(plan);
  const settled = plan.targets.filter(isSettled);
  const folded = new Set(settled.length > foldedFrom ? settled : []);
  for (const target of plan.targets) {
    if (!folded.has(target)) lines.push(...targetLines(target, names, style), '');
  }
  const notes = [...foldedLines([...folded], fleetNoun(plan.summary)), ...brakeLines(plan), ...undeclaredLines(plan)];
  for (const line of notes) lines.push(style.dim(`note: ${printable(line)}`));
  if (notes.length > 0) lines.push('');
  if (plan.targets.some((target) => target.ports?.strip !== undefined)) lines.push(style.dim(portLegend));
  const signs = plan.targets.flatMap(({ actions }) => actions.map((action) => sign(action)));
  if (signs.includes('~') || signs.includes('.')) lines.push(style.dim(changeLegend));
  const stages = stagesLine(plan);
  if (stages !== undefined) lines.push(printable(stages));
  lines.push(style.bold(planSummary(plan)));
  return `${lines.join('\n')}\n`;
}
