/** What all targets of one run share. */
import type { OnFailure } from '../desired/model.ts';
import { revision } from '../desired/revision.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { actionNames } from '../plan/action-name.ts';
import type { Plan, TargetName } from '../plan/model.ts';
import type { ApplyOptions } from './apply.ts';
import { ChangeWindows } from './change-windows.ts';
import type { Gate } from './gate.ts';
import type { ActionOutcome, OnRunEvent } from './model.ts';
import type { Observer } from './observer.ts';
import type { PodObserver } from './pod-observer.ts';
import type { Reasons } from './reasons.ts';
import type { Stamp } from './stamp.ts';
import { defaultPace, type WaitPace } from './wait.ts';

/** A migration copies all memory of a VM. */
const migrationTimeoutMs = 600_000;
/** Longest delay that a timer of Node takes. */
const longestTimerMs = 2_147_483_647;

/** How patient a run is; defaults suit a real cluster. */
export interface Pace extends WaitPace {
  /** Reports of a rollback come so long after network-status has listed what was rolled back. */
  readonly reportGraceMs: number;
  /** Between two looks at a domain inside a pod, which can not be watched. */
  readonly pollMs: number;
  /** A guest that has not let a NIC go in so long is asked again. */
  readonly unplugAgainMs: number;
}

const podPace = { reportGraceMs: 1000, pollMs: 500, unplugAgainMs: 10_000 } as const;

export class Run {
  readonly cluster: Cluster;
  readonly options: ApplyOptions;
  readonly observer: Observer;
  readonly pods: PodObserver;
  readonly reasons: Reasons;
  readonly gate: Gate;
  readonly windows: ChangeWindows;
  readonly ledger: Ledger;
  readonly onEvent: OnRunEvent;
  readonly pace: Pace;
  /** `performance.now()` at which the run's time is up. */
  readonly deadline: number;
  /** Aborts when nothing new may be started: a stop was asked for, or the time is up. */
  readonly over: AbortSignal;
  /** What follows a change that the layers did not confirm. */
  readonly onFailure: OnFailure;
  /** Ids of actions that actions of other targets come after. */
  readonly promised: ReadonlySet<string>;
  writes = 0;
  readonly #commit: string;
  readonly #source: Plan['source'];

  constructor(
    cluster: Cluster,
    plan: Plan,
    options: ApplyOptions,
    parts: Pick<Run, 'observer' | 'pods' | 'reasons' | 'gate'>,
    onEvent: OnRunEvent,
  ) {
    this.cluster = cluster;
    this.options = options;
    this.observer = parts.observer;
    this.pods = parts.pods;
    this.reasons = parts.reasons;
    this.gate = parts.gate;
    this.windows = new ChangeWindows(plan.settings, options.overrideWindows !== undefined);
    this.ledger = new Ledger(plan);
    this.onFailure = plan.settings.onFailure;
    this.promised = promisedIds(plan);
    this.#commit = revision(plan.source);
    this.#source = plan.source;
    this.onEvent = onEvent;
    this.pace = { ...defaultPace, ...podPace, ...options.pace };
    this.deadline = performance.now() + options.runTimeoutMs;
    const timeUp = AbortSignal.timeout(Math.min(options.runTimeoutMs, longestTimerMs));
    this.over = options.signal === undefined ? timeUp : AbortSignal.any([options.signal, timeUp]);
  }

  /** Why nothing new is started; undefined while it is. */
  get whyOver(): string | undefined {
    const { signal } = this.options;
    if (signal?.aborted === true) return isLockLost(signal.reason) ? signal.reason.message : 'the run was told to stop';
    return this.over.aborted || performance.now() >= this.deadline ? 'the time of the run is up' : undefined;
  }

  /** What each change leaves on its object. */
  get stamp(): Stamp {
    return { commit: this.#commit, at: this.now, source: this.#source };
  }

  /** Where a target runs; undefined where that is not known, or does not matter. */
  async nodeOf(target: TargetName): Promise<string | undefined> {
    if (!this.gate.asksForNodes) return undefined;
    const { kind, namespace } = target;
    try {
      if (kind === 'Pod') {
        await this.pods.open(namespace);
        return this.pods.look(target)?.node;
      }
      await this.observer.open(namespace);
      return this.observer.look(target)?.vmi?.nodeName;
    } catch {
      // The change itself will tell.
      return undefined;
    }
  }

  /** The time of day. */
  get now(): Date {
    return this.options.clock?.() ?? new Date();
  }

  /**
   * When a wait that starts now is given up.
   * @param byMigration all memory is copied, or a guest shuts down and boots
   */
  deadlineFor(byMigration: boolean): number {
    const { actionTimeoutMs } = this.options;
    const patience = byMigration
      ? (this.options.migrationTimeoutMs ?? Math.max(actionTimeoutMs, migrationTimeoutMs))
      : actionTimeoutMs;
    return Math.min(performance.now() + patience, this.deadline);
  }
}

function promisedIds({ targets }: Plan): ReadonlySet<string> {
  return new Set(
    targets.flatMap(({ actions }) => {
      const own = new Set(actions.map(({ id }) => id));
      return actions.flatMap(({ after }) => after.filter((id) => !own.has(id)));
    }),
  );
}

function isLockLost(reason: unknown): reason is PatchpanelError {
  return reason instanceof PatchpanelError && reason.code === 'run/lock-lost';
}

/** How each action of the plan ended, for those of other VMs that come after it. */
export class Ledger {
  readonly #entries: ReadonlyMap<string, PromiseWithResolvers<ActionOutcome>>;
  readonly #names: ReadonlyMap<string, string>;

  constructor(plan: Plan) {
    this.#names = actionNames(plan);
    this.#entries = new Map(
      plan.targets.flatMap((target) =>
        target.actions.map((action) => [action.id, Promise.withResolvers<ActionOutcome>()] as const),
      ),
    );
  }

  settle(outcome: ActionOutcome): void {
    this.#entries.get(outcome.id)?.resolve(outcome);
  }

  /** The action in words, with its VM. */
  nameOf(id: string): string {
    return this.#names.get(id) ?? id;
  }

  /** Undefined for an id that is not in the plan. */
  outcomeOf(id: string): Promise<ActionOutcome> | undefined {
    return this.#entries.get(id)?.promise;
  }
}
