/** One VM or pod of a run: its actions in sequence, each written, followed and told; then the final check. */
import { type ErrorCode, errorTable, PatchpanelError } from '../errors.ts';
import { actionName } from '../plan/action-name.ts';
import { type Action, isPodPlan, type PlanAction, type TargetName, type TargetPlan } from '../plan/model.ts';
import type { PodAction } from '../plan/pod-model.ts';
import { onlyWaits } from '../plan/restart.ts';
import type { Layer } from '../vocabulary.ts';
import { blocksAll } from './blocks.ts';
import { gateKey } from './gate.ts';
import type { ActionOutcome, TargetOutcome, TargetResult } from './model.ts';
import { PodWork } from './pod-run.ts';
import { reverseFailed } from './reverse.ts';
import type { Run } from './run.ts';
import { VmWork } from './vm-work.ts';
import type { Work } from './work.ts';

/** Why an action is not started: a restart or any action waits for a window, for want of time, or something failed, here or before it. */
interface Hindrance {
  readonly reason: string;
  readonly why: 'waits' | 'window' | 'interrupted' | 'failed' | 'not-started';
}

/** Runs the actions of one target; never throws, so that none stops another. */
export async function runTarget(plan: TargetPlan, run: Run): Promise<TargetOutcome> {
  const outcome = await outcomeOf(plan, run);
  // With its place goes the word of how it ended, so that nobody is begun in between.
  run.gate.end(gateKey(plan.target), outcome.result === 'failed');
  return outcome;
}

async function outcomeOf(plan: TargetPlan, run: Run): Promise<TargetOutcome> {
  if (plan.actions.length === 0 || blocksAll(plan.blockers)) {
    const reason = `the ${isPodPlan(plan) ? 'pod' : 'VM'} is blocked`;
    const skipped = plan.actions.map((action): ActionOutcome => notStarted(action, reason));
    for (const outcome of skipped) run.ledger.settle(outcome);
    const idle = onlyWaits(plan) ? 'staged' : 'converged';
    const result = plan.blockers.length > 0 ? 'blocked' : idle;
    return { target: plan.target, result, actions: skipped, verified: [] };
  }
  try {
    return isPodPlan(plan)
      ? await new TargetRun<PodAction>(plan, new PodWork(plan, run), run).go()
      : await new TargetRun<Action>(plan, new VmWork(plan, run), run).go();
  } catch (error) {
    // Such as a listener that throws: those that wait for this VM must not wait for ever.
    const actions = plan.actions.map((action) => failedBy(action, error));
    for (const outcome of actions) run.ledger.settle(outcome);
    return { target: plan.target, result: 'failed', actions, verified: [] };
  }
}

type PlanOf<A extends PlanAction> = Pick<TargetPlan, 'target' | 'blockers'> & { readonly actions: readonly A[] };

class TargetRun<A extends PlanAction> {
  readonly #plan: PlanOf<A>;
  readonly #work: Work<A>;
  readonly #run: Run;
  readonly #target: TargetName;
  readonly #outcomes: ActionOutcome[] = [];
  #verified: readonly Layer[] = [];
  #holdsSlot = false;
  #hindrance: Hindrance | undefined;
  #opened = false;

  constructor(plan: PlanOf<A>, work: Work<A>, run: Run) {
    this.#plan = plan;
    this.#work = work;
    this.#run = run;
    this.#target = plan.target;
  }

  async go(): Promise<TargetOutcome> {
    for (const action of this.#plan.actions) this.#note(await this.#step(action));
    if (this.#hindrance === undefined || this.#hindrance.why === 'waits') await this.#finalCheck();
    // The way back may take long.
    if (this.#outcomes.some(({ result }) => result === 'failed')) this.#run.gate.fail(gateKey(this.#target));
    const reversed = await reverseFailed(this.#work, this.#target, this.#outcomes, this.#run);
    const result = this.#result();
    if (this.#opened) this.#run.onEvent({ type: 'target-done', target: this.#target, result });
    return { target: this.#plan.target, result, ...reversed, verified: this.#verified };
  }

  #note(outcome: ActionOutcome): void {
    this.#outcomes.push(outcome);
    this.#run.ledger.settle(outcome);
  }

  async #step(action: A): Promise<ActionOutcome> {
    this.#hindrance ??= await this.#hindranceOf(action);
    if (this.#hindrance !== undefined) {
      const waits = this.#hindrance.why === 'window' ? { waits: true as const } : {};
      return { ...notStarted(action, this.#hindrance.reason), ...waits };
    }
    const { onEvent } = this.#run;
    const started = performance.now();
    onEvent({ type: 'action-started', target: this.#target, action });
    let outcome: ActionOutcome;
    try {
      outcome = { ...(await this.#carryOut(action)), milliseconds: performance.now() - started };
    } catch (error) {
      outcome = { ...failedBy(action, error), milliseconds: performance.now() - started };
    }
    if (outcome.result === 'failed') {
      this.#hindrance = { reason: `"${actionName(action)}" failed`, why: 'failed' };
      this.#tellFailure(action, outcome);
    } else {
      onEvent({ type: 'action-done', target: this.#target, action, milliseconds: outcome.milliseconds ?? 0 });
    }
    return outcome;
  }

  /** Waits for what comes before an action in other VMs, then for a slot. */
  async #hindranceOf(action: A): Promise<Hindrance | undefined> {
    const own = new Set(this.#plan.actions.map(({ id }) => id));
    for (const id of action.after) {
      if (own.has(id)) continue;
      const hindrance = await this.#predecessor(id);
      if (hindrance !== undefined) return hindrance;
    }
    const why = this.#run.whyOver;
    if (why !== undefined) return { reason: why, why: 'interrupted' };
    // A VM that waits for its window holds up no other.
    const closed = this.#closed(action);
    if (closed !== undefined) return closed;
    if (!this.#holdsSlot) {
      const node = await this.#run.nodeOf(this.#target);
      const entry = await this.#run.gate.enter(gateKey(this.#target), node, this.#run.over);
      if (entry.kind === 'over') return { reason: this.#run.whyOver ?? 'the run was told to stop', why: 'interrupted' };
      if (entry.kind === 'refused') return { reason: entry.reason, why: 'not-started' };
      this.#holdsSlot = true;
      // The window may have closed over the wait for the slot.
      const late = this.#closed(action);
      if (late !== undefined) return late;
    }
    if (!this.#opened) {
      this.#opened = true;
      this.#run.onEvent({ type: 'target-started', target: this.#target });
    }
    return undefined;
  }

  #closed(action: A): Hindrance | undefined {
    const reason = this.#run.windows.closed(action, this.#run.now);
    if (reason === undefined) return undefined;
    // All that comes before a restart is done, and is proved at once.
    return { reason, why: action.kind === 'restart' ? 'waits' : 'window' };
  }

  async #predecessor(id: string): Promise<Hindrance | undefined> {
    const { ledger, over } = this.#run;
    const pending = ledger.outcomeOf(id);
    if (pending === undefined) return { reason: `it comes after ${id}, which is not in the plan`, why: 'failed' };
    // A VM that waits for another is not in change: others may go on.
    const settled = await Promise.race([pending, Promise.resolve(undefined)]);
    if (settled === undefined) this.#giveSlot();
    const outcome = settled ?? (await Promise.race([pending, aborted(over)]));
    if (outcome === undefined) return { reason: this.#run.whyOver ?? 'the run was told to stop', why: 'interrupted' };
    if (outcome.result === 'done') return undefined;
    return { reason: `it comes after "${ledger.nameOf(id)}", which was not done`, why: this.#whyNot(outcome) };
  }

  /** Of what another target did not do: whether it was held back itself. */
  #whyNot({ result, waits }: ActionOutcome): Hindrance['why'] {
    if (waits === true) return 'window';
    if (result !== 'not-started') return 'failed';
    if (this.#run.whyOver !== undefined) return 'interrupted';
    return this.#run.gate.holdsBack && this.#outcomes.length === 0 ? 'not-started' : 'failed';
  }

  async #carryOut(action: A): Promise<ActionOutcome> {
    const failure = await this.#work.carryOut(action, this.#outcomes.length === 0);
    if (failure !== undefined)
      return { ...failedAs(action, failure.code, failure.reason), laggingLayer: failure.layer };
    return { id: action.id, kind: action.kind, result: 'done' };
  }

  /** Holds all layers against all that was done; a disagreement counts against the last action. */
  async #finalCheck(): Promise<void> {
    // Of what was not started, nothing can be told.
    const last = this.#plan.actions.findLast(({ id }) => this.#isDone(id));
    if (last === undefined) return;
    try {
      const verdict = await this.#work.verify(last, this.#restarted);
      this.#verified = verdict.verified;
      if (verdict.failure === undefined) return;
      const { layer, reason, code } = verdict.failure;
      this.#failLast(last, { ...failedAs(last, code, reason), laggingLayer: layer });
    } catch (error) {
      this.#failLast(last, failedBy(last, error));
    }
  }

  #isDone(id: string): boolean {
    return this.#outcomes.some((outcome) => outcome.id === id && outcome.result === 'done');
  }

  get #restarted(): boolean {
    return this.#outcomes.some(({ kind, result }) => kind === 'restart' && result === 'done');
  }

  #failLast(action: A, outcome: ActionOutcome): void {
    const index = this.#outcomes.findIndex(({ id }) => id === action.id);
    const milliseconds = this.#outcomes[index]?.milliseconds;
    this.#outcomes.splice(index, 1, { ...outcome, ...(milliseconds === undefined ? {} : { milliseconds }) });
    this.#tellFailure(action, outcome);
  }

  #tellFailure(action: A, { reason = '', code = 'internal' }: ActionOutcome): void {
    this.#run.onEvent({ type: 'action-failed', target: this.#target, action, reason, code });
  }

  #result(): TargetResult {
    if (this.#outcomes.some(({ result }) => result === 'failed')) return 'failed';
    const hindrance = this.#hindrance?.why;
    if (hindrance === 'interrupted' || hindrance === 'failed' || hindrance === 'not-started') return hindrance;
    if (hindrance === 'window') return 'waiting';
    if (this.#plan.blockers.length > 0) return 'blocked';
    const staged = this.#plan.actions.some((action) => 'staged' in action && action.staged);
    return (staged && !this.#restarted) || hindrance === 'waits' ? 'staged' : 'converged';
  }

  #giveSlot(): void {
    if (!this.#holdsSlot) return;
    this.#holdsSlot = false;
    this.#run.gate.leave(gateKey(this.#target));
  }
}

function notStarted(action: PlanAction, reason: string): ActionOutcome {
  return { id: action.id, kind: action.kind, result: 'not-started', reason };
}

function failedAs(
  action: PlanAction,
  code: ErrorCode,
  reason: string,
  remedy: string = errorTable[code].remedy,
): ActionOutcome {
  return { id: action.id, kind: action.kind, result: 'failed', reason, code, remedy };
}

function failedBy(action: PlanAction, error: unknown): ActionOutcome {
  if (error instanceof PatchpanelError) return failedAs(action, error.code, error.message, error.remedy);
  return failedAs(action, 'internal', error instanceof Error ? error.message : String(error));
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
