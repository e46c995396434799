/** What a run did, for a terminal or a log. */
import type { ActionOutcome, Outcome, ReversalOutcome, TargetOutcome } from '../apply/model.ts';
import type { Plan } from '../plan/model.ts';
import { heldAnnotation } from '../systems/patchpanel.ts';
import { printable, type Style } from './style.ts';
import { count, describeAction, duration } from './words.ts';

/** Words of each action of the plan, by its id. */
type ActionWords = ReadonlyMap<string, string>;

function actionLines(action: ActionOutcome, words: ActionWords, style: Style): string[] {
  const what = printable(words.get(action.id) ?? `${action.kind} (${action.id})`);
  const time = action.milliseconds === undefined ? '' : duration(action.milliseconds);
  if (action.result === 'reversed') return [`  ${style.changed('taken back')}  ${what}`];
  if (action.result === 'done') return [`  ${style.good('done')}        ${what}  ${time}`.trimEnd()];
  const layer = action.laggingLayer === undefined ? '' : ` at layer ${action.laggingLayer}`;
  const reason = action.reason === undefined ? '' : `: ${printable(action.reason)}`;
  if (action.result === 'not-started') return [`  not started ${what}${reason}`];
  const code = action.code === undefined ? '' : ` (${action.code})`;
  const verb = action.code === 'apply/timeout' ? 'gave up ' : '';
  const gaveUp = time === '' ? '' : `, ${verb}after ${time}`;
  const lines = [`  ${style.bad('failed')}      ${what}${layer}${reason}${code}${gaveUp}`];
  if (action.remedy !== undefined) lines.push(`              ${printable(action.remedy)}`);
  return lines;
}

function reversalLines(
  reversal: ReversalOutcome | undefined,
  { kind, namespace, name }: TargetOutcome['target'],
  style: Style,
): string[] {
  if (reversal === undefined) return [];
  const { actions, left, verified, held } = reversal;
  const layers = verified.length > 0 ? `  layers agree: ${verified.join(', ')}` : '';
  const isBack = actions.length > 0 && left.length === 0;
  return [
    ...(isBack ? [`  ${style.changed('reversed')}    nothing of it is left${style.dim(layers)}`] : []),
    ...left.flatMap(({ message, remedy }) => [
      `  ${style.bad('left')}        ${printable(message)}`,
      `              ${printable(remedy)}`,
    ]),
    ...(held
      ? [
          `  ${style.changed('held')}        left alone until its object, a network of it or its instance changes; to try again as it is:`,
          `              kubectl -n ${namespace} annotate ${kind === 'Pod' ? 'pod' : 'vm'} ${name} ${heldAnnotation}-`,
        ]
      : []),
  ];
}

function targetLines(target: TargetOutcome, words: ActionWords, style: Style): string[] {
  const kind = target.target.kind === 'Pod' ? 'pod ' : '';
  const name = kind + style.bold(`${target.target.namespace}/${target.target.name}`);
  if (target.result === 'converged') {
    if (target.actions.length === 0) return []; // It was so before: the summary counts it as unchanged.
    const layers = target.verified.length > 0 ? `  layers agree: ${target.verified.join(', ')}` : '';
    return [`${name}  ${style.good('converged')}${style.dim(layers)}`];
  }
  return [
    `${name}  ${style.bad(target.result)}`,
    ...target.actions.flatMap((action) => actionLines(action, words, style)),
    ...reversalLines(target.reversal, target.target, style),
  ];
}

/** `3 VMs converged, 1 failed, 2 unchanged; 5 writes in 4.2 s.` */
function outcomeSummary(outcome: Outcome): string {
  const {
    converged,
    failed,
    blocked,
    staged,
    waiting,
    interrupted,
    notStarted,
    reversed,
    unchanged,
    writes,
    milliseconds,
  } = outcome.summary;
  const kinds = new Set(outcome.targets.map(({ target }) => target.kind));
  const noun = kinds.size > 1 ? 'target' : kinds.has('Pod') ? 'pod' : 'VM';
  const parts = [`${count(converged, noun)} converged`];
  if (failed > 0) parts.push(`${failed} failed${reversed > 0 ? ` (${reversed} reversed)` : ''}`);
  if (blocked > 0) parts.push(`${blocked} blocked`);
  if (staged > 0) parts.push(`${staged} staged for the next restart`);
  if (waiting > 0) parts.push(`${waiting} ${waiting === 1 ? 'waits' : 'wait'} for a window`);
  if (interrupted > 0) parts.push(`${interrupted} interrupted`);
  if (notStarted > 0) parts.push(`${notStarted} not started`);
  if (unchanged > 0) parts.push(`${unchanged} unchanged`);
  return `${parts.join(', ')}; ${count(writes, 'write')} in ${duration(milliseconds)}.`;
}

/** The whole outcome of a plan as text; ends with a newline. */
export function outcomeText(outcome: Outcome, { targets }: Pick<Plan, 'targets'>, style: Style): string {
  const words = new Map(
    targets.flatMap(({ target, actions }) => actions.map((action) => [action.id, describeAction(action, target)])),
  );
  const lines = outcome.targets.flatMap((target) => targetLines(target, words, style));
  if (outcome.overrode !== undefined)
    lines.push(style.changed(`Outside of the windows: ${printable(outcome.overrode)}`));
  lines.push(style.bold(outcomeSummary(outcome)));
  return `${lines.join('\n')}\n`;
}
