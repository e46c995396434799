/** What a run did, for a terminal or a log. */
import type { ActionOutcome, Outcome, TargetOutcome } from '../apply/model.ts';
import { printable, type Style } from './style.ts';
import { count, duration } from './words.ts';

function actionLine(action: ActionOutcome, style: Style): string {
  const time = action.milliseconds === undefined ? '' : `  ${duration(action.milliseconds)}`;
  if (action.result === 'done') return `  ${style.good('done')}        ${action.kind} (${action.id})${time}`;
  const layer = action.laggingLayer === undefined ? '' : ` at layer ${action.laggingLayer}`;
  const reason = action.reason === undefined ? '' : `: ${printable(action.reason)}`;
  if (action.result === 'failed')
    return `  ${style.bad('failed')}      ${action.kind} (${action.id})${layer}${reason}${time}`;
  return `  not started ${action.kind} (${action.id})${reason}`;
}

function targetLines(target: TargetOutcome, style: Style): string[] {
  const name = style.bold(`${target.target.namespace}/${target.target.name}`);
  if (target.result === 'converged') {
    const layers = target.verified.length > 0 ? `  layers agree: ${target.verified.join(', ')}` : '';
    return [`${name}  ${style.good('converged')}${style.dim(layers)}`];
  }
  return [`${name}  ${style.bad(target.result)}`, ...target.actions.map((action) => actionLine(action, style))];
}

/** `3 VMs converged, 1 failed, 2 unchanged; 5 writes in 4.2 s.` */
function outcomeSummary(outcome: Outcome): string {
  const { converged, failed, blocked, staged, interrupted, unchanged, writes, milliseconds } = outcome.summary;
  const parts = [`${count(converged, 'VM')} converged`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (blocked > 0) parts.push(`${blocked} blocked`);
  if (staged > 0) parts.push(`${staged} staged for the next restart`);
  if (interrupted > 0) parts.push(`${interrupted} interrupted`);
  if (unchanged > 0) parts.push(`${unchanged} unchanged`);
  return `${parts.join(', ')}; ${count(writes, 'write')} in ${duration(milliseconds)}.`;
}

/** The whole outcome as text; ends with a newline. */
export function outcomeText(outcome: Outcome, style: Style): string {
  const lines = outcome.targets.flatMap((target) => targetLines(target, style));
  lines.push(style.bold(outcomeSummary(outcome)));
  return `${lines.join('\n')}\n`;
}
