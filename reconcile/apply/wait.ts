/** Waits until all layers agree with an action's goals at the same time, and says meanwhile which one lags and why. */
import type { LiveVm } from '../live/model.ts';
import type { Action, PlanAction, TargetName } from '../plan/model.ts';
import type { Layer, ObjectName } from '../vocabulary.ts';
import { firstLagging, type Goal, interfaceName, type LayerReading, readLayers, withNicNames } from './layers.ts';
import type { OnRunEvent } from './model.ts';
import type { Observer } from './observer.ts';
import { conditionReason, failedInterface, type Occurrence, occurrenceText, type Reasons } from './reasons.ts';

export interface Wait {
  readonly target: ObjectName;
  readonly action: Action;
  readonly goals: readonly Goal[];
  /** `performance.now()` at which the wait is given up. */
  readonly deadline: number;
  /** The same while the VM migrates: KubeVirt resorts to that where a change in place does not come. */
  readonly migrationDeadline?: number;
  /** When the change was written, by the server's clock; undefined where nothing was. */
  readonly writtenAt?: number;
  readonly pace: WaitPace;
  /** Aborts when the run is told to stop: a server that is out of reach is not waited for then. */
  readonly stop?: AbortSignal | undefined;
}

/** How patient a wait is; defaults suit a real cluster. */
export interface WaitPace {
  /** After so long without progress the system is asked why, and again at this interval. */
  readonly askAfterMs: number;
  /** So long a NIC may still turn up after the controller has reported that it could not plug it. */
  readonly failureGraceMs: number;
  /** So long a server that is out of reach is waited for after the run was told to stop. */
  readonly lostGraceMs: number;
}

export const defaultPace: WaitPace = { askAfterMs: 2000, failureGraceMs: 5000, lostGraceMs: 10_000 };

/** What has not changed is told again after so long: a log that keeps the first seconds to itself has it then. */
const tellAgainMs = 6000;

/** What is followed to its end: a VM, or a pod. */
export interface Subject<T> {
  /** As it is seen now; undefined once it is gone. */
  look(): T | undefined;
  /** Calls `listener` after each change, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** What each layer says to all that is waited for, outermost first. */
  readings(live: T): readonly LayerReading[];
  /** `performance.now()` at which the wait is given up. */
  deadline(live: T): number;
  /** Why a layer lags, while nothing moves; a `failure` may end the wait. */
  ask(live: T, lagging: LayerReading): Promise<{ readonly reason?: string; readonly failure?: string }>;
  /** Where it is gone. */
  readonly vanished: { readonly layer: Layer; readonly reason: string };
}

export type WaitResult<T = LiveVm> =
  | { readonly kind: 'reached'; readonly live: T }
  | {
      readonly kind: 'failed';
      readonly code: 'apply/timeout' | 'apply/not-plugged' | 'plan/stale' | 'cluster/unreachable';
      readonly layer: Layer;
      readonly reason: string;
    };

/** What a wait needs of the run: the watched layers, and why one lags. */
export type Sight = Pick<Observer, 'look' | 'podNames' | 'onChange'>;
export type Asked = Pick<Reasons, 'warnings' | 'lost'>;

/** Follows one action on a VM to its end by the observer's watches; asks for reasons only while nothing moves. */
export async function waitFor(wait: Wait, observer: Sight, reasons: Asked, onEvent: OnRunEvent): Promise<WaitResult> {
  const { namespace, name } = wait.target;
  const target = { kind: 'VirtualMachine', namespace, name } as const;
  return await waitForLayers(new VmSubject(wait, observer, reasons), { ...wait, target }, reasons, onEvent);
}

interface LayerWaitOptions extends Pick<Wait, 'pace' | 'stop'> {
  readonly target: TargetName;
  readonly action: PlanAction;
}

/** Follows a subject until all of its layers agree. */
export async function waitForLayers<T>(
  subject: Subject<T>,
  wait: LayerWaitOptions,
  reasons: Pick<Asked, 'lost'>,
  onEvent: OnRunEvent,
): Promise<WaitResult<T>> {
  return await new LayerWait(subject, wait, reasons, onEvent).run();
}

class VmSubject implements Subject<LiveVm> {
  readonly vanished = { layer: 'vm', reason: 'the VM is no longer there' } as const;
  readonly #wait: Wait;
  readonly #observer: Sight;
  readonly #reasons: Asked;

  constructor(wait: Wait, observer: Sight, reasons: Asked) {
    this.#wait = wait;
    this.#observer = observer;
    this.#reasons = reasons;
  }

  look(): LiveVm | undefined {
    return this.#observer.look(this.#wait.target);
  }

  onChange(listener: () => void): () => void {
    return this.#observer.onChange(this.#wait.target, listener);
  }

  readings(live: LiveVm): readonly LayerReading[] {
    return readLayers(this.#wait.goals, live);
  }

  deadline({ vmi }: LiveVm): number {
    const { deadline, migrationDeadline } = this.#wait;
    return vmi?.migrating === true ? Math.max(deadline, migrationDeadline ?? deadline) : deadline;
  }

  async ask(live: LiveVm, lagging: LayerReading): ReturnType<Subject<LiveVm>['ask']> {
    const { target, action, writtenAt } = this.#wait;
    const names = [target.name, ...this.#observer.podNames(target)];
    const warnings = await this.#reasons.warnings(target.namespace, names);
    // Of what is followed from an earlier run, older reports tell the reason too.
    const newest = warnings.find((warning) => warning.at >= (writtenAt ?? 0) - 1000);
    const reason = newest === undefined ? conditionReason(live) : this.#occurrenceWords(newest, live);
    const said = reason === undefined ? {} : { reason };
    if (action.kind !== 'plug' || action.delivery !== 'in-place' || lagging.layer !== 'multus') return said;
    if (writtenAt === undefined) return said;
    const failure = failedInterface(warnings, this.#needles(live), writtenAt);
    return failure === undefined ? said : { ...said, failure: this.#occurrenceWords(failure, live) };
  }

  #occurrenceWords(occurrence: Occurrence, live: LiveVm): string {
    const names = this.#wait.goals.flatMap((goal) => ('name' in goal ? [goal.name] : []));
    return withNicNames(occurrenceText(occurrence), live, names);
  }

  /** What a report about these goals mentions: the interface of the pod, or the network. */
  #needles(live: LiveVm): string[] {
    return this.#wait.goals.flatMap((goal) =>
      goal.kind === 'plugged' ? [interfaceName(live, goal.name), `${goal.network.namespace}/${goal.network.name}`] : [],
    );
  }
}

class LayerWait<T> {
  readonly #subject: Subject<T>;
  readonly #wait: LayerWaitOptions;
  readonly #reasons: Pick<Asked, 'lost'>;
  readonly #onEvent: OnRunEvent;
  readonly #started = performance.now();
  readonly #reached = new Set<Layer>();
  #told = '';
  #toldAt = Number.NEGATIVE_INFINITY;
  #reason: string | undefined;
  #failedSince: number | undefined;

  constructor(subject: Subject<T>, wait: LayerWaitOptions, reasons: Pick<Asked, 'lost'>, onEvent: OnRunEvent) {
    this.#subject = subject;
    this.#wait = wait;
    this.#reasons = reasons;
    this.#onEvent = onEvent;
  }

  async run(): Promise<WaitResult<T>> {
    const { pace } = this.#wait;
    const changes = new Changes(this.#subject);
    try {
      let askAt = this.#started + pace.askAfterMs;
      let isLastLook = false;
      for (;;) {
        const live = this.#subject.look();
        if (live === undefined)
          return failed('plan/stale', this.#subject.vanished.layer, this.#subject.vanished.reason);
        const readings = this.#subject.readings(live);
        this.#tellReached(readings);
        const lagging = firstLagging(readings);
        if (lagging === undefined) return { kind: 'reached', live };
        const deadline = this.#subject.deadline(live);
        const now = performance.now();
        if (now >= askAt || now >= deadline) {
          const failure = await this.#ask(live, lagging);
          if (failure !== undefined) return failed('apply/not-plugged', lagging.layer, failure);
          askAt = performance.now() + pace.askAfterMs;
        }
        this.#tellWaiting(lagging);
        if (this.#isAbandoned()) return failed('cluster/unreachable', lagging.layer, this.#lastWords(lagging));
        // What came while the reasons were asked for counts, but a VM that never rests gets one more look, not one more each time.
        if (now >= deadline && (isLastLook || !changes.pending)) {
          const code = this.#reasons.lost === undefined ? 'apply/timeout' : 'cluster/unreachable';
          return failed(code, lagging.layer, this.#lastWords(lagging));
        }
        isLastLook = now >= deadline;
        await changes.next(Math.min(askAt, Math.max(deadline, performance.now())) - performance.now());
      }
    } finally {
      changes.close();
    }
  }

  #tellReached(readings: readonly LayerReading[]): void {
    const { target, action } = this.#wait;
    for (const { layer, agrees } of readings) {
      // What agreed before the change had begun, as the domain does until a migration starts, is told again at its end.
      if (!agrees) this.#reached.delete(layer);
      if (!agrees || this.#reached.has(layer)) continue;
      this.#reached.add(layer);
      this.#reason = undefined;
      this.#onEvent({
        type: 'layer-reached',
        target,
        action,
        layer,
        milliseconds: performance.now() - this.#started,
      });
    }
  }

  #tellWaiting(lagging: LayerReading): void {
    const { target, action } = this.#wait;
    const reason = this.#reasons.lost?.message ?? this.#reason ?? lagging.seen;
    const words = `${lagging.layer} ${reason}`;
    const now = performance.now();
    if (words === this.#told && now < this.#toldAt + tellAgainMs) return;
    this.#told = words;
    this.#toldAt = now;
    const layer = lagging.layer;
    this.#onEvent({
      type: 'waiting',
      target,
      action,
      layer,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  /** Asks for the last reason; returns the report of a controller that has given the NIC up. */
  async #ask(live: T, lagging: LayerReading): Promise<string | undefined> {
    const { reason, failure } = await this.#subject.ask(live, lagging);
    this.#reason = reason;
    if (failure === undefined) return undefined;
    this.#failedSince ??= performance.now();
    return performance.now() - this.#failedSince >= this.#wait.pace.failureGraceMs ? failure : undefined;
  }

  #isAbandoned(): boolean {
    const { lost } = this.#reasons;
    const { stop, pace } = this.#wait;
    return stop?.aborted === true && lost !== undefined && performance.now() >= lost.since + pace.lostGraceMs;
  }

  #lastWords(lagging: LayerReading): string {
    const { lost } = this.#reasons;
    if (lost !== undefined) {
      const seen = lagging.seen === undefined ? '' : `; seen last: ${lagging.seen}`;
      return `${lost.message}, for ${Math.round((performance.now() - lost.since) / 1000)} s${seen}`;
    }
    return [lagging.seen, this.#reason].filter((words) => words !== undefined).join('; ');
  }
}

function failed(
  code: Extract<WaitResult, { kind: 'failed' }>['code'],
  layer: Layer,
  reason: string,
): Extract<WaitResult, { kind: 'failed' }> {
  return { kind: 'failed', code, layer, reason };
}

/** Changes of one subject as something to wait for; none is lost between two waits. */
class Changes {
  readonly close: () => void;
  #seen = false;
  #wake: (() => void) | undefined;

  constructor(subject: Pick<Subject<unknown>, 'onChange'>) {
    this.close = subject.onChange(() => {
      this.#seen = true;
      this.#wake?.();
    });
  }

  get pending(): boolean {
    return this.#seen;
  }

  /** Resolves at the next change, or after so many milliseconds. */
  async next(milliseconds: number): Promise<void> {
    if (!this.#seen) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, milliseconds));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = undefined;
    this.#seen = false;
  }
}
