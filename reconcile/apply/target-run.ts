/** One VM of a run: its actions in sequence, each written, followed and told; then the final check. */
import { type ErrorCode, errorTable, PatchpanelError } from '../errors.ts';
import type { LiveVm } from '../live/model.ts';
import { actionName } from '../plan/action-name.ts';
import type { Action, Blocker, VmPlan } from '../plan/model.ts';
import { onlyWaits } from '../plan/restart.ts';
import type { Layer } from '../vocabulary.ts';
import { goalsOf } from './layers.ts';
import type { ActionOutcome, TargetOutcome, TargetResult } from './model.ts';
import { closedWords, requestRestart } from './restart.ts';
import type { Run } from './run.ts';
import { ensureFresh } from './staleness.ts';
import { verify } from './verify.ts';
import { waitFor } from './wait.ts';
import { type Written, writeAction } from './write.ts';

/** Why an action is not started: it waits for a window, for want of time, or something failed. */
interface Hindrance {
  readonly reason: string;
  readonly why: 'waits' | 'interrupted' | 'failed';
}

/** Runs the actions of one VM; never throws, so that no VM stops another. */
export async function runTarget(plan: VmPlan, run: Run): Promise<TargetOutcome> {
  if (plan.actions.length === 0 || blocksAll(plan.blockers)) {
    const reason = 'the VM is blocked';
    const skipped = plan.actions.map((action): ActionOutcome => notStarted(action, reason));
    for (const outcome of skipped) run.ledger.settle(outcome);
    const idle = onlyWaits(plan) ? 'staged' : 'converged';
    const result = plan.blockers.length > 0 ? 'blocked' : idle;
    return { target: plan.target, result, actions: skipped, verified: [] };
  }
  try {
    return await new TargetRun(plan, run).go();
  } catch (error) {
    // Such as a listener that throws: those that wait for this VM must not wait for ever.
    const actions = plan.actions.map((action) => failedBy(action, error));
    for (const outcome of actions) run.ledger.settle(outcome);
    return { target: plan.target, result: 'failed', actions, verified: [] };
  }
}

/**
 * A blocker of one attachment left its actions out of the plan; one of the VM forbids all. Of the others `port-count` and
 * `restart-refused` stop nothing else, and `no-ports` left nothing in the plan but what gives the VM more of them.
 */
function blocksAll(blockers: readonly Blocker[]): boolean {
  return blockers.some(({ attachment, code }) => attachment === undefined && !mild.has(code));
}

const mild: ReadonlySet<Blocker['code']> = new Set(['port-count', 'no-ports', 'restart-refused']);

class TargetRun {
  readonly #plan: VmPlan;
  readonly #run: Run;
  readonly #target: VmPlan['target'];
  readonly #outcomes: ActionOutcome[] = [];
  #verified: readonly Layer[] = [];
  #holdsSlot = false;
  #hindrance: Hindrance | undefined;
  #opened = false;

  constructor(plan: VmPlan, run: Run) {
    this.#plan = plan;
    this.#run = run;
    this.#target = plan.target;
  }

  async go(): Promise<TargetOutcome> {
    try {
      for (const action of this.#plan.actions) this.#note(await this.#step(action));
      if (this.#hindrance === undefined || this.#hindrance.why === 'waits') await this.#finalCheck();
    } finally {
      this.#giveSlot();
    }
    const result = this.#result();
    if (this.#opened) this.#run.onEvent({ type: 'target-done', target: this.#target, result });
    return { target: this.#plan.target, result, actions: this.#outcomes, verified: this.#verified };
  }

  #note(outcome: ActionOutcome): void {
    this.#outcomes.push(outcome);
    this.#run.ledger.settle(outcome);
  }

  async #step(action: Action): Promise<ActionOutcome> {
    this.#hindrance ??= await this.#hindranceOf(action);
    if (this.#hindrance !== undefined) return notStarted(action, this.#hindrance.reason);
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
  async #hindranceOf(action: Action): Promise<Hindrance | undefined> {
    const own = new Set(this.#plan.actions.map(({ id }) => id));
    for (const id of action.after) {
      if (own.has(id)) continue;
      const hindrance = await this.#predecessor(id);
      if (hindrance !== undefined) return hindrance;
    }
    const why = this.#run.whyOver;
    if (why !== undefined) return { reason: why, why: 'interrupted' };
    // A VM that waits for its window holds up no other.
    const closed = action.kind === 'restart' ? closedWords(action, this.#run.now) : undefined;
    if (closed !== undefined) return { reason: closed, why: 'waits' };
    if (!this.#holdsSlot) {
      if (!(await this.#run.slots.take(this.#run.over)))
        return { reason: this.#run.whyOver ?? 'the run was told to stop', why: 'interrupted' };
      this.#holdsSlot = true;
    }
    if (!this.#opened) {
      this.#opened = true;
      this.#run.onEvent({ type: 'target-started', target: this.#target });
    }
    return undefined;
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
    const interrupted = outcome.result === 'not-started' && this.#run.whyOver !== undefined;
    return {
      reason: `it comes after "${ledger.nameOf(id)}", which was not done`,
      why: interrupted ? 'interrupted' : 'failed',
    };
  }

  async #carryOut(action: Action): Promise<ActionOutcome> {
    const run = this.#run;
    const first = this.#outcomes.length === 0;
    await run.observer.open(this.#target.namespace);
    if (first) await ensureFresh(run.cluster, this.#plan, action, run.options.savedPlan === true);
    const live = run.observer.look(this.#target);
    if (live === undefined) throw new PatchpanelError('plan/stale', 'the VM is no longer there');
    const byMigration = comesByMigration(action, live);
    const written = await this.#write(action);
    if (written.wrote) run.writes += 1;
    const result = await waitFor(
      {
        target: this.#target,
        action,
        goals: goalsOf(action, live),
        deadline: run.deadlineFor(byMigration),
        migrationDeadline: run.deadlineFor(true),
        pace: run.pace,
        stop: run.options.signal,
        ...(written.at === undefined ? {} : { writtenAt: written.at }),
      },
      run.observer,
      run.reasons,
      run.onEvent,
    );
    if (result.kind === 'failed') {
      const { code, layer, reason } = result;
      return { ...failedAs(action, code, reason), laggingLayer: layer };
    }
    return { id: action.id, kind: action.kind, result: 'done' };
  }

  async #write(action: Action): Promise<Written> {
    const { cluster } = this.#run;
    switch (action.kind) {
      case 'follow':
        return { wrote: false };
      case 'restart':
        return await requestRestart(cluster, this.#target, this.#plan.uid, action);
      default:
        return await writeAction(cluster, this.#target, this.#plan.uid, action);
    }
  }

  /** Holds all layers against all that was done; a disagreement counts against the last action. */
  async #finalCheck(): Promise<void> {
    // Of what was not started, nothing can be told.
    const last = this.#plan.actions.findLast(({ id }) => this.#isDone(id));
    if (last === undefined) return;
    try {
      const verdict = await verify(this.#plan, last, this.#restarted, this.#run);
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

  #failLast(action: Action, outcome: ActionOutcome): void {
    const index = this.#outcomes.findIndex(({ id }) => id === action.id);
    const milliseconds = this.#outcomes[index]?.milliseconds;
    this.#outcomes.splice(index, 1, { ...outcome, ...(milliseconds === undefined ? {} : { milliseconds }) });
    this.#tellFailure(action, outcome);
  }

  #tellFailure(action: Action, { reason = '', code = 'internal' }: ActionOutcome): void {
    this.#run.onEvent({ type: 'action-failed', target: this.#target, action, reason, code });
  }

  #result(): TargetResult {
    if (this.#outcomes.some(({ result }) => result === 'failed')) return 'failed';
    const hindrance = this.#hindrance?.why;
    if (hindrance === 'interrupted' || hindrance === 'failed') return hindrance;
    if (this.#plan.blockers.length > 0) return 'blocked';
    const staged = this.#plan.actions.some(
      (action) => (action.kind === 'edit-template' || action.kind === 'set-ports') && action.staged,
    );
    return (staged && !this.#restarted) || hindrance === 'waits' ? 'staged' : 'converged';
  }

  #giveSlot(): void {
    if (!this.#holdsSlot) return;
    this.#holdsSlot = false;
    this.#run.slots.give();
  }
}

function comesByMigration(action: Action, live: LiveVm): boolean {
  switch (action.kind) {
    case 'plug':
    case 'unplug':
      return action.delivery === 'migration';
    case 'swap':
    case 'restart':
      return true;
    case 'follow':
      return (
        action.until === 'swapped' ||
        live.vmi?.migrating === true ||
        live.vmi?.conditions.some(({ type, status }) => type === 'MigrationRequired' && status === 'True') === true ||
        live.nics.some((nic) => nic.name === action.attachment && nic.binding === 'sriov')
      );
    case 'link':
    case 'edit-template':
    case 'set-ports':
    case 'release':
      return false;
    default:
      return action satisfies never;
  }
}

function notStarted(action: Action, reason: string): ActionOutcome {
  return { id: action.id, kind: action.kind, result: 'not-started', reason };
}

function failedAs(
  action: Action,
  code: ErrorCode,
  reason: string,
  remedy: string = errorTable[code].remedy,
): ActionOutcome {
  return { id: action.id, kind: action.kind, result: 'failed', reason, code, remedy };
}

function failedBy(action: Action, error: unknown): ActionOutcome {
  if (error instanceof PatchpanelError) return failedAs(action, error.code, error.message, error.remedy);
  return failedAs(action, 'internal', error instanceof Error ? error.message : String(error));
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
