/**
 * Who may be changed when: a state machine without clock or I/O, which is told what happens and says who may go on. A
 * target asks each time it wants to be changed, leaves while it waits for another one, and ends once. What was begun may
 * always go on; the brakes hold back what was not.
 *
 * No target can wait for ever: one that is in change waits for no other, and the planner lets none wait for one of a
 * later stage.
 */

export interface Entrant {
  readonly key: string;
  /** Targets of one stage go side by side; a stage opens when all of the one before have ended, and none failed. */
  readonly stage: number;
  /** It failed in an earlier run, and holds back later stages as if it had failed in this one. */
  readonly held?: boolean;
}

export interface Limits {
  readonly maxInFlight: number;
  readonly maxInFlightPerNode?: number;
  /** Nothing new is begun after so many failed. */
  readonly maxFailures?: number;
}

export type Ruling =
  | { readonly key: string; readonly kind: 'enter' }
  | { readonly key: string; readonly kind: 'refused'; readonly reason: string };

export class Rollout {
  readonly #limits: Limits;
  readonly #stages: ReadonlyMap<string, number>;
  /** How messages call the stages. */
  readonly #names: readonly string[];
  /** Targets of each stage that have not ended. */
  readonly #open: Map<number, number>;
  /** Who asks, with its node, by stage: of a large fleet almost all ask at once, and few can go. */
  readonly #asking = new Map<number, Map<string, string | undefined>>();
  /** Keys of those in change, and their nodes. */
  readonly #inFlight = new Map<string, string | undefined>();
  readonly #begun = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #failed = new Set<string>();
  #failedStage: number | undefined;
  #failedStageReason = '';
  #stopReason: string | undefined;

  constructor(entrants: readonly Entrant[], limits: Limits, stageNames: readonly string[] = []) {
    this.#limits = limits;
    this.#names = stageNames;
    this.#stages = new Map(entrants.map(({ key, stage }) => [key, stage]));
    this.#open = new Map();
    for (const { stage } of entrants) this.#open.set(stage, (this.#open.get(stage) ?? 0) + 1);
    for (const { key, stage, held } of entrants) if (held === true) this.#holdBack(key, stage, 'is held');
  }

  /** Something failed, and it holds others back. */
  get holdsBack(): boolean {
    return this.#stopReason !== undefined || this.#failedStage !== undefined;
  }

  /** @param node where the target runs, where that is known */
  ask(key: string, node?: string): void {
    if (this.#inFlight.has(key)) return;
    const stage = this.#stageOf(key);
    const queue = this.#asking.get(stage) ?? new Map<string, string | undefined>();
    this.#asking.set(stage, queue.set(key, node));
  }

  /** It asks no more. */
  withdraw(key: string): void {
    this.#asking.get(this.#stageOf(key))?.delete(key);
  }

  /** It waits for another target, and others may go. */
  leave(key: string): void {
    this.#inFlight.delete(key);
  }

  end(key: string, failed: boolean): void {
    this.leave(key);
    this.withdraw(key);
    if (this.#ended.has(key)) return;
    this.#ended.add(key);
    const stage = this.#stageOf(key);
    this.#open.set(stage, (this.#open.get(stage) ?? 1) - 1);
    if (failed) this.fail(key);
  }

  /** It failed, and is still in change while that is taken back: nobody is begun meanwhile whom the failure holds back. */
  fail(key: string): void {
    if (this.#failed.has(key)) return;
    this.#failed.add(key);
    this.#holdBack(key, this.#stageOf(key), 'failed');
    const { maxFailures } = this.#limits;
    if (maxFailures === undefined || this.#failed.size < maxFailures) return;
    this.#stopReason ??= `${this.#failed.size} failed, and maxFailures is ${maxFailures}`;
  }

  #holdBack(key: string, stage: number, what: string): void {
    if (this.#failedStage !== undefined && stage >= this.#failedStage) return;
    this.#failedStage = stage;
    const name = this.#names[stage];
    this.#failedStageReason = name === undefined ? `${key} ${what}` : `${key} of ${name} ${what}`;
  }

  /** Those who never may go on, and those who may now, in the order in which they asked. Each is told once. */
  next(): readonly Ruling[] {
    return [...this.#refused(), ...this.#entering()];
  }

  #refused(): readonly Ruling[] {
    if (!this.holdsBack) return [];
    const rulings: Ruling[] = [];
    for (const [stage, queue] of this.#asking) {
      const isLate = this.#failedStage !== undefined && stage > this.#failedStage;
      const reason = this.#stopReason ?? (isLate ? this.#failedStageReason : undefined);
      if (reason === undefined) continue;
      for (const key of queue.keys()) {
        if (this.#begun.has(key)) continue;
        queue.delete(key);
        rulings.push({ key, kind: 'refused', reason });
      }
    }
    return rulings;
  }

  /** Of the first stage that is open; what was begun and has not ended is of that one. */
  #entering(): readonly Ruling[] {
    const rulings: Ruling[] = [];
    const open = Math.min(...[...this.#open].flatMap(([stage, count]) => (count > 0 ? [stage] : [])));
    const queue = this.#asking.get(open) ?? new Map<string, string | undefined>();
    for (const [key, node] of queue) {
      if (this.#inFlight.size >= this.#limits.maxInFlight) break;
      if (this.#isFull(node)) continue;
      queue.delete(key);
      this.#inFlight.set(key, node);
      this.#begun.add(key);
      rulings.push({ key, kind: 'enter' });
    }
    return rulings;
  }

  #isFull(node: string | undefined): boolean {
    const { maxInFlightPerNode } = this.#limits;
    if (maxInFlightPerNode === undefined || node === undefined) return false;
    return [...this.#inFlight.values()].filter((other) => other === node).length >= maxInFlightPerNode;
  }

  #stageOf(key: string): number {
    return this.#stages.get(key) ?? 0;
  }
}
