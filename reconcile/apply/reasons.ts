/** Why a layer lags, in the system's own words: conditions of the VMI, then events, the newest first. */
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { isLost, isStatus } from '../kube/failures.ts';
import { events } from '../kube/resources.ts';
import type { LiveVm } from '../live/model.ts';
import { conditionTypes, migrationRequiredReasons } from '../systems/kubevirt-names.ts';

/** An Event as far as it explains something. */
export interface Occurrence {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  /** Kind and name of the object that it is about. */
  readonly about: string;
  /** Milliseconds since the epoch, by the server's clock; whole seconds in most events. */
  readonly at: number;
  /** Changes each time that it happens again: times are too coarse to tell. */
  readonly stamp?: string;
  /** When it first happened, where that was before. */
  readonly first?: number;
}

/** Reasons of the dynamic-networks controller for what it could not do in a pod. */
const failedInPod: ReadonlySet<string> = new Set([
  'FailedAddingInterface',
  'FailedRemovingInterface',
  'InterfaceAddRejected',
]);

/** An API server that does not answer. */
export interface Loss {
  readonly message: string;
  /** `performance.now()` of the first question that it left unanswered. */
  readonly since: number;
}

/** A question that takes longer than this is answered by nobody. */
const answerMs = 10_000;

/** Reads events; once that is refused it is not tried again. */
export class Reasons {
  readonly #cluster: Cluster;
  #forbidden = false;
  #lost: Loss | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Set where the API server did not answer the last question. */
  get lost(): Loss | undefined {
    return this.#lost;
  }

  /** Warnings about the objects of these names, the newest first; none where events can't be read. */
  async warnings(namespace: string, names: readonly string[]): Promise<readonly Occurrence[]> {
    const since = performance.now();
    try {
      const found = await inTime((signal) => this.#read(namespace, names, signal));
      this.#lost = undefined;
      return found;
    } catch (error) {
      // An explanation that fails must not fail what it would explain.
      if (isStatus(error, 403)) this.#forbidden = true;
      const silent = error instanceof NoAnswer || isLost(error);
      this.#lost = silent && error instanceof Error ? { since, ...this.#lost, message: error.message } : undefined;
      return [];
    }
  }

  async #read(namespace: string, names: readonly string[], signal: AbortSignal): Promise<readonly Occurrence[]> {
    if (this.#forbidden) {
      // Everybody may read it: whether the server answers at all is worth knowing.
      await this.#cluster.raw('/version');
      return [];
    }
    const lists = await Promise.all(
      names.map((name) =>
        this.#cluster.list(events, { namespace, fieldSelector: `involvedObject.name=${name}` }, readOccurrence, {
          signal,
        }),
      ),
    );
    return lists
      .flatMap((list) => list.items)
      .filter((occurrence) => occurrence.type === 'Warning')
      .sort((one, other) => other.at - one.at);
  }
}

class NoAnswer extends Error {
  constructor() {
    super('the API server does not answer');
  }
}

/** Gives work up that is not done in time, and stops waiting for it. */
async function inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const giveUp = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    giveUp.abort(new NoAnswer());
    late.reject(giveUp.signal.reason);
  }, answerMs);
  try {
    return await Promise.race([work(giveUp.signal), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What conditions of VMI and VM say about a NIC that lags; undefined where they say nothing. */
export function conditionReason(live: LiveVm): string | undefined {
  const found = live.vmi?.conditions ?? [];
  const synchronized = found.find(({ type, status }) => type === conditionTypes.synchronized && status === 'False');
  if (synchronized !== undefined) return `${synchronized.reason ?? ''} ${synchronized.message ?? ''}`.trim();
  if (live.vmi?.migrating === true) return 'a migration is under way';
  const migration = found.find(({ type }) => type === conditionTypes.migrationRequired);
  if (migration?.status === 'True') return 'KubeVirt wants to migrate the VM for this change';
  if (migration?.reason === migrationRequiredReasons.pending)
    return 'KubeVirt waits for the dynamic-networks controller before it migrates the VM';
  if (found.some(({ type, status }) => type === conditionTypes.paused && status === 'True')) return 'the VM is paused';
  return undefined;
}

/**
 * The controller's report, not older than `since`, that it could not plug a pod interface. It tries four times within
 * milliseconds and then forgets the pod until the annotation changes, so such a report is the end of it.
 */
export function failedInterface(
  warnings: readonly Occurrence[],
  needles: readonly string[],
  since: number,
): Occurrence | undefined {
  return warnings.find(
    (warning) =>
      failedInPod.has(warning.reason) &&
      // Most events tell whole seconds.
      warning.at >= Math.floor(since / 1000) * 1000 &&
      needles.some((needle) => warning.message.includes(needle)),
  );
}

/** A report on a pod, of any of its interfaces, that was not there before and is not older than `since`. */
export function newFailure(
  warnings: readonly Occurrence[],
  before: readonly Occurrence[],
  since: number,
): Occurrence | undefined {
  const known = new Set(before.map(({ stamp }) => stamp));
  return warnings.find(
    (warning) =>
      failedInPod.has(warning.reason) && !known.has(warning.stamp) && warning.at >= Math.floor(since / 1000) * 1000,
  );
}

/** One line: `FailedAddingInterface on Pod virt-launcher-x: ...`. */
export function occurrenceText(occurrence: Occurrence): string {
  return `${occurrence.reason} on ${occurrence.about}: ${occurrence.message}`;
}

/** An Event in the form that reasons are told from. */
export function readOccurrence(event: KubeObject): Occurrence {
  const about = record(event.involvedObject);
  const series = record(event.series);
  const times = [event.lastTimestamp, series.lastObservedTime, event.eventTime, event.metadata.creationTimestamp];
  const at = Math.max(...times.map((time) => (typeof time === 'string' && Date.parse(time)) || 0));
  const first = typeof event.firstTimestamp === 'string' ? Date.parse(event.firstTimestamp) : Number.NaN;
  return {
    ...(first < at ? { first } : {}),
    type: text(event.type),
    reason: text(event.reason),
    message: text(event.message).replaceAll(/\s+/g, ' ').slice(0, 500),
    about: `${text(about.kind)} ${text(about.name)}`,
    at,
    stamp: [event.metadata.uid ?? event.metadata.name, event.count, series.count, at].join(' '),
  };
}

function record(value: unknown): { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
