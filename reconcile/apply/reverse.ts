/**
 * After a change that the layers did not confirm: takes back what the run did to that target, the last action first,
 * looks at all layers again, and marks the target, so that no run tries the same again until its input changes.
 *
 * Only a verdict of the layers, the node or libvirt does that. What the API server refused was not written; a server that
 * is out of reach, another writer, or a run that is over say nothing of the change: the next run goes on from there.
 */
import { type ErrorCode, errorTable, PatchpanelError } from '../errors.ts';
import { actionName } from '../plan/action-name.ts';
import type { PlanAction, TargetName } from '../plan/model.ts';
import type { LeftBehind } from '../plan/reversal.ts';
import type { ActionOutcome, ReversalOutcome } from './model.ts';
import type { Run } from './run.ts';
import type { Work } from './work.ts';

const verdicts: ReadonlySet<ErrorCode> = new Set(['apply/timeout', 'apply/not-plugged', 'apply/not-attached']);

/** What a target came to, with what was taken back. */
export interface Reversed {
  readonly actions: readonly ActionOutcome[];
  readonly reversal?: ReversalOutcome;
}

/** @param outcomes of all actions of the target */
export async function reverseFailed<A extends PlanAction>(
  work: Work<A>,
  target: TargetName,
  outcomes: readonly ActionOutcome[],
  run: Run,
): Promise<Reversed> {
  const failed = outcomes.find(({ result }) => result === 'failed');
  const { onFailure } = run;
  if (failed?.code === undefined || !verdicts.has(failed.code) || onFailure === 'retry') return { actions: outcomes };
  if (run.whyOver !== undefined) return { actions: outcomes };
  const way = new WayBack(work, target, run);
  if (onFailure === 'reverse') await way.go();
  // A run that was stopped on the way back has not seen the end of it: the next one looks afresh.
  const held = way.stopped ? false : await holdAfter(work, target, failed, way, run);
  const actions = outcomes.map((outcome) => (way.undone.has(outcome.id) ? asReversed(outcome) : outcome));
  return { actions, reversal: { actions: way.outcomes, left: way.left, verified: way.verified, held } };
}

function asReversed(outcome: ActionOutcome): ActionOutcome {
  return outcome.result === 'done' ? { ...outcome, result: 'reversed' } : { ...outcome, reversed: true };
}

class WayBack<A extends PlanAction> {
  readonly outcomes: ActionOutcome[] = [];
  readonly left: LeftBehind[] = [];
  /** Ids of the actions that nothing is left of. */
  readonly undone = new Set<string>();
  verified: ReversalOutcome['verified'] = [];
  stopped = false;
  readonly #work: Work<A>;
  readonly #target: TargetName;
  readonly #run: Run;

  constructor(work: Work<A>, target: TargetName, run: Run) {
    this.#work = work;
    this.#target = target;
    this.#run = run;
  }

  async go(): Promise<void> {
    const { actions, left } = await this.#work.reversal();
    this.left.push(...left);
    if (actions.length === 0) return;
    this.#run.onEvent({ type: 'reversing', target: this.#target });
    const back: A[] = [];
    const stuck = new Set(left.flatMap(({ attachment }) => attachment ?? []));
    const failed = new Set<string>();
    const halted = new Set<string>();
    for (const { action, undoes } of actions) {
      // The rest of what failed: a record is kept until its NIC is gone, and a pod interface while a guest hangs on it.
      if (failed.has(undoes) || namesIn(action).some((name) => halted.has(name))) continue;
      if (this.#run.whyOver !== undefined) {
        this.stopped = true;
        break;
      }
      const outcome = await this.#step(action);
      this.outcomes.push(outcome);
      if (outcome.result === 'done') back.push(action);
      else if (this.#run.whyOver !== undefined) {
        // What was given up for want of time, or under another hand, says nothing of the change.
        this.stopped = true;
        break;
      } else {
        failed.add(undoes);
        for (const name of namesIn(action)) {
          halted.add(name);
          stuck.add(name);
        }
        this.left.push(leftBy(action, outcome));
        // The pod of a VM that is about to move is no place for changes.
        if (action.kind === 'swap') break;
      }
    }
    const done = new Set(this.outcomes.filter(({ result }) => result === 'done').map(({ id }) => id));
    for (const { undoes } of actions) {
      if (actions.every((one) => one.undoes !== undoes || done.has(one.action.id))) this.undone.add(undoes);
    }
    if (this.stopped) this.left.push(cutShort(this.#run.whyOver));
    else if (back.length > 0) await this.#verify(back, stuck);
  }

  async #step(action: A): Promise<ActionOutcome> {
    const { onEvent } = this.#run;
    const head = { id: action.id, kind: action.kind } as const;
    const started = performance.now();
    onEvent({ type: 'action-started', target: this.#target, action, reversing: true });
    try {
      const failure = await this.#work.carryOut(action, false);
      const milliseconds = performance.now() - started;
      if (failure === undefined) {
        onEvent({ type: 'action-done', target: this.#target, action, milliseconds, reversing: true });
        return { ...head, result: 'done', milliseconds };
      }
      const { code, reason, layer } = failure;
      return this.#failed(action, {
        ...head,
        result: 'failed',
        milliseconds,
        code,
        reason,
        laggingLayer: layer,
        remedy: errorTable[code].remedy,
      });
    } catch (error) {
      const code = error instanceof PatchpanelError ? error.code : 'internal';
      const reason = error instanceof Error ? error.message : String(error);
      return this.#failed(action, { ...head, result: 'failed', code, reason, remedy: errorTable[code].remedy });
    }
  }

  #failed(action: A, outcome: ActionOutcome): ActionOutcome {
    const { reason = '', code = 'internal' } = outcome;
    this.#run.onEvent({ type: 'action-failed', target: this.#target, action, reason, code, reversing: true });
    return outcome;
  }

  async #verify(back: readonly A[], stuck: ReadonlySet<string>): Promise<void> {
    const verdict = await this.#work.verifyReversed(back, stuck).catch((error: unknown) => ({
      verified: [],
      failure: { layer: 'vm', reason: error instanceof Error ? error.message : String(error) } as const,
    }));
    this.verified = verdict.verified;
    if (verdict.failure === undefined) return;
    this.stopped = this.#run.whyOver !== undefined;
    const { layer, reason } = verdict.failure;
    this.left.push({
      message: `after all was taken back, layer ${layer} disagrees: ${reason}`,
      remedy: 'See each layer with `patchpanel trace`.',
    });
  }
}

function cutShort(why = 'the run is over'): LeftBehind {
  return {
    message: `not all was taken back: ${why}`,
    remedy: 'It is not held: the next run goes on from here.',
  };
}

function leftBy(action: PlanAction, { laggingLayer, reason }: ActionOutcome): LeftBehind {
  const [attachment] = namesIn(action);
  const layer = laggingLayer === undefined ? '' : ` at layer ${laggingLayer}`;
  return {
    ...(attachment === undefined ? {} : { attachment }),
    message: `"${actionName(action)}" failed on the way back${layer}: ${reason ?? ''}`,
    remedy:
      action.kind === 'swap'
        ? 'If its migration hangs, delete the VirtualMachineInstanceMigration; see each layer with `patchpanel trace`.'
        : 'Mend what the layer says (see each with `patchpanel trace`), or restart it.',
  };
}

function namesIn(action: PlanAction): readonly string[] {
  if ('attachment' in action) return [action.attachment];
  if ('attachments' in action) return action.attachments.map((one) => (typeof one === 'string' ? one : one.name));
  if ('element' in action) return [action.element.name];
  if (action.kind === 'pod-unplug') return action.elements.map(({ name }) => name);
  if ('put' in action) return [...action.put.map(({ name }) => name), ...action.remove];
  return [];
}

/** @returns whether the mark could be written */
async function holdAfter<A extends PlanAction>(
  work: Work<A>,
  target: TargetName,
  failed: ActionOutcome,
  { left, undone }: WayBack<A>,
  run: Run,
): Promise<boolean> {
  const layer = failed.laggingLayer === undefined ? '' : ` at layer ${failed.laggingLayer}`;
  const said = [
    `"${run.ledger.nameOf(failed.id)}" failed${layer}: ${failed.reason ?? ''}`,
    ...(undone.size > 0 ? ['what was done was taken back'] : []),
    ...left.map(({ message, remedy }) => `${message}. ${remedy}`),
  ];
  try {
    await work.hold(said.join('; '));
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    run.onEvent({ type: 'warning', message: `${target.namespace}/${target.name} could not be marked as held: ${why}` });
    return false;
  }
}
