/** The {@link Rollout} as something to wait at. */
import type { Plan, PlanAction, TargetName } from '../plan/model.ts';
import { canariesOf, isHeld } from '../plan/waves.ts';
import { objectKey } from '../vocabulary.ts';
import { blocksAll } from './blocks.ts';
import { type Entrant, type Limits, Rollout } from './rollout.ts';

export type Entry =
  | { readonly kind: 'entered' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The signal aborted first. */
  | { readonly kind: 'over' };

/** A VM may have the name of a pod. */
export function gateKey(target: TargetName): string {
  return target.kind === 'Pod' ? `pod ${objectKey(target)}` : objectKey(target);
}

/** The stages of a plan: the canaries, the others of their wave, then wave by wave. */
export function stagesOf({ targets, settings }: Pick<Plan, 'targets' | 'settings'>): {
  readonly entrants: readonly Entrant[];
  readonly names: readonly string[];
} {
  const canaries = canariesNow(targets, settings.canary);
  const waves = new Map(targets.flatMap(({ wave }) => (wave === undefined ? [] : [[wave.index, wave.name] as const])));
  const order = [...waves.keys()].sort((a, b) => a - b);
  // Stage 0 is that of the canaries, whatever their wave; what has no wave has nothing to do.
  const entrants = targets.map(
    (plan, index): Entrant => ({
      key: gateKey(plan.target),
      stage: canaries.has(index) ? 0 : 1 + Math.max(0, order.indexOf(plan.wave?.index ?? 0)),
      ...(isHeld(plan) ? { held: true } : {}),
    }),
  );
  const first = canaries.size > 0 ? 'the canaries' : 'the plan';
  return { entrants, names: [first, ...order.map((index) => `the wave "${waves.get(index) ?? ''}"`)] };
}

/** @param maxInFlight in place of what the plan says */
export function gateOf(plan: Plan, maxInFlight = plan.settings.maxInFlight): Gate {
  const { entrants, names } = stagesOf(plan);
  const { maxInFlightPerNode, maxFailures } = plan.settings;
  return new Gate(
    entrants,
    {
      maxInFlight: Math.max(1, Math.floor(maxInFlight)),
      ...(maxInFlightPerNode === undefined ? {} : { maxInFlightPerNode }),
      ...(maxFailures === undefined ? {} : { maxFailures }),
    },
    names,
  );
}

export class Gate {
  /** Whether where a target runs matters. */
  readonly asksForNodes: boolean;
  readonly #rollout: Rollout;
  readonly #waiting = new Map<string, (entry: Entry) => void>();

  constructor(entrants: readonly Entrant[], limits: Limits, stageNames: readonly string[]) {
    this.asksForNodes = limits.maxInFlightPerNode !== undefined;
    this.#rollout = new Rollout(entrants, limits, stageNames);
  }

  get holdsBack(): boolean {
    return this.#rollout.holdsBack;
  }

  /** Waits until the target may be changed, or may not be for good. */
  async enter(key: string, node: string | undefined, signal: AbortSignal): Promise<Entry> {
    if (signal.aborted) return { kind: 'over' };
    return await new Promise((resolve) => {
      const over = (): void => {
        this.#waiting.delete(key);
        this.#rollout.withdraw(key);
        resolve({ kind: 'over' });
      };
      signal.addEventListener('abort', over, { once: true });
      this.#waiting.set(key, (entry) => {
        signal.removeEventListener('abort', over);
        resolve(entry);
      });
      this.#rollout.ask(key, node);
      this.#pump();
    });
  }

  /** It waits for another target. */
  leave(key: string): void {
    this.#rollout.leave(key);
    this.#pump();
  }

  /** It failed, and has not ended. */
  fail(key: string): void {
    this.#rollout.fail(key);
    this.#pump();
  }

  end(key: string, failed: boolean): void {
    this.#rollout.end(key, failed);
    this.#pump();
  }

  #pump(): void {
    for (const ruling of this.#rollout.next()) {
      const tell = this.#waiting.get(ruling.key);
      this.#waiting.delete(ruling.key);
      tell?.(ruling.kind === 'enter' ? { kind: 'entered' } : { kind: 'refused', reason: ruling.reason });
    }
  }
}

/**
 * Who goes first. A target that is held was a canary that failed, or shows as much as one: on a schedule each run would
 * else take another, and fail it too.
 */
function canariesNow(targets: Plan['targets'], canary: Plan['settings']['canary']): ReadonlySet<number> {
  const held = [...targets.entries()].flatMap(([index, plan]) => (isHeld(plan) ? [index] : []));
  if (canary !== undefined && held.length > 0) return new Set(held);
  return canariesOf(targets, canary, provers(targets));
}

/** They try nothing out: a canary that only follows what an earlier run began would let all others go. */
const quiet: ReadonlySet<PlanAction['kind']> = new Set(['follow', 'release', 'pod-follow', 'pod-release']);

/** Who may be a canary: whoever tries something out, or who has anything to do where nobody of the first wave does. */
function provers(targets: Plan['targets']): (index: number) => boolean {
  const working = [...targets.entries()].filter(
    ([, { actions, blockers }]) => actions.length > 0 && !blocksAll(blockers),
  );
  const first = Math.min(...working.map(([, { wave }]) => wave?.index ?? 0));
  const trying = working.filter(([, { actions }]) => actions.some(({ kind }) => !quiet.has(kind)));
  const proves = trying.some(([, { wave }]) => (wave?.index ?? 0) === first);
  const able = new Set((proves ? trying : working).map(([index]) => index));
  return (index) => able.has(index);
}
