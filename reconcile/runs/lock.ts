/**
 * The lock of a repository: a Lease that one run at a time holds while it changes VMs, and renews until it is done.
 *
 * Each write is a JSON Patch that tests what it rests on, so a Lease that moved or is gone is never overwritten. A holder
 * that can't renew in time stops by its own clock before the others may take over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, PatchOperation } from '../kube/cluster.ts';
import { apiFailure, isStatus } from '../kube/failures.ts';
import { leases } from '../kube/resources.ts';
import { fields, numeric, text } from '../systems/json-shape.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';
import { ageWords } from './age.ts';
import { microTime } from './micro-time.ts';

export interface LockOptions {
  readonly place: ObjectName;
  /** Who holds it, such as the name of the pod and the id of the run. */
  readonly holder: string;
  /** Without a renewal for so long, others may take it over. */
  readonly durationSeconds: number;
  /** How long to wait for another holder. */
  readonly patienceMs: number;
  /** Ends the waiting; its reason is thrown. */
  readonly signal: AbortSignal;
  /** Once, where there is another holder to wait for. */
  readonly onWait: (message: string) => void;
}

export interface HeldLock {
  /** Aborts where another run has it now, or may have it; the reason is a PatchpanelError `run/lock-lost`. */
  readonly lost: AbortSignal;
  /** Another run held it between the look of {@link lockVersion} and now: what was planned may be done already. */
  readonly movedSince: (version: string | undefined) => boolean;
  /** Gives it back where it is still held. Never throws: a lock that is not given back expires. */
  release(): Promise<void>;
}

/** Where a run that waits looks again, in milliseconds. */
const pollMs = 2000;

interface Seen {
  readonly version: string;
  readonly uid: string;
  /** Empty where it is free. */
  readonly holder: string;
  readonly durationMs: number;
  readonly acquired: number;
  readonly renewed: number;
  readonly transitions: number;
}

/** The version of the Lease, to tell later whether somebody had it meanwhile; undefined where there is none yet. */
export async function lockVersion(cluster: Cluster, place: ObjectName): Promise<string | undefined> {
  return (await look(cluster, place))?.version;
}

/** Who holds a lock now. */
export interface LockState {
  readonly holder: string;
  /** Since it was taken, in milliseconds. */
  readonly heldMs: number;
}

/** Undefined where nobody holds it, or its holder let its time pass. */
export async function lockState(cluster: Cluster, place: ObjectName): Promise<LockState | undefined> {
  const seen = await look(cluster, place);
  const now = Date.now();
  if (seen === undefined || seen.holder === '' || now - seen.renewed > seen.durationMs) return undefined;
  return { holder: seen.holder, heldMs: Math.max(0, now - seen.acquired) };
}

/**
 * Takes the lock, and renews it until it is released.
 * @throws PatchpanelError `run/locked` where another run holds it; `cluster/*`
 */
export async function takeLock(cluster: Cluster, options: LockOptions): Promise<HeldLock> {
  const giveUp = performance.now() + options.patienceMs;
  let told = false;
  for (;;) {
    options.signal.throwIfAborted();
    const seen = await look(cluster, options.place);
    const mayTake = seen === undefined || isFree(seen, options) || (await isDead(cluster, seen, options));
    if (mayTake) {
      const taken = await seize(cluster, seen, options);
      if (taken !== undefined) return new Keeper(cluster, taken, seen, options);
      continue;
    }
    const message = heldWords(seen, options.place);
    const left = giveUp - performance.now();
    if (left <= 0) throw locked(message, seen, options.place);
    if (!told) options.onWait(message);
    told = true;
    await pause(Math.min(pollMs, left), options.signal);
  }
}

async function look(cluster: Cluster, { namespace, name }: ObjectName): Promise<Seen | undefined> {
  const lease = await cluster.get(leases, namespace, name);
  return lease === undefined ? undefined : read(lease);
}

function read(lease: KubeObject): Seen {
  const spec = fields(lease.spec);
  return {
    version: lease.metadata.resourceVersion ?? '',
    uid: lease.metadata.uid ?? '',
    holder: text(spec.holderIdentity) ?? '',
    durationMs: (numeric(spec.leaseDurationSeconds) ?? 0) * 1000,
    acquired: Date.parse(text(spec.acquireTime) ?? ''),
    renewed: Date.parse(text(spec.renewTime) ?? ''),
    transitions: numeric(spec.leaseTransitions) ?? 0,
  };
}

function isFree({ holder }: Seen, { holder: me }: LockOptions): boolean {
  return holder === '' || holder === me;
}

/**
 * Whether the holder let its time pass. Clocks differ, so one that looks expired is watched for longer than a live
 * holder takes from one renewal to the next.
 */
async function isDead(cluster: Cluster, seen: Seen, { place, signal }: LockOptions): Promise<boolean> {
  if (Date.now() - seen.renewed <= seen.durationMs) return false;
  await pause(seen.durationMs / 2, signal);
  return (await look(cluster, place))?.version === seen.version;
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}

/** Undefined where another was faster. */
async function seize(cluster: Cluster, seen: Seen | undefined, options: LockOptions): Promise<Seen | undefined> {
  const { place, holder, durationSeconds } = options;
  const now = microTime(new Date());
  const spec = {
    holderIdentity: holder,
    leaseDurationSeconds: durationSeconds,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: seen === undefined ? 0 : seen.transitions + 1,
  };
  try {
    if (seen === undefined) return read(await cluster.create(leases, { metadata: { ...place }, spec }));
    return await change(cluster, place, [
      { op: 'test', path: '/metadata/resourceVersion', value: seen.version },
      { op: 'add', path: '/spec', value: spec },
    ]);
  } catch (error) {
    if (!hasMoved(error)) throw error;
    // It may have been ourselves, in an answer that was lost.
    const found = await look(cluster, place);
    return found?.holder === holder ? found : undefined;
  }
}

async function change(cluster: Cluster, place: ObjectName, patch: readonly PatchOperation[]): Promise<Seen> {
  return read(await cluster.jsonPatch(leases, place.namespace, place.name, patch));
}

/** A failed `test` is 422, and does not say which; the Lease may also be gone. */
function hasMoved(error: unknown): boolean {
  return isStatus(error, 409) || isStatus(error, 422) || isStatus(error, 404);
}

function heldWords(seen: Seen, place: ObjectName): string {
  const now = Date.now();
  const since = Number.isNaN(seen.acquired) ? '' : `, for ${ageWords(now - seen.acquired)}`;
  const renewed = Number.isNaN(seen.renewed) ? '' : ` (renewed ${ageWords(now - seen.renewed)} ago)`;
  return `the lock ${objectKey(place)} is held by ${seen.holder}${since}${renewed}`;
}

function locked(message: string, seen: Seen, { namespace, name }: ObjectName): PatchpanelError {
  return new PatchpanelError('run/locked', message, {
    remedy: `Wait for that run, or give --lock-timeout. Where it was killed, the lock is free ${ageWords(seen.durationMs)} after its last renewal; \`kubectl get lease ${name} --namespace ${namespace} --output yaml\` shows it.`,
  });
}

class Keeper implements HeldLock {
  readonly #cluster: Cluster;
  readonly #options: LockOptions;
  readonly #found: Seen | undefined;
  readonly #uid: string;
  readonly #lost = new AbortController();
  readonly #done = new AbortController();
  readonly #keeping: Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster, taken: Seen, found: Seen | undefined, options: LockOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#found = found;
    this.#uid = taken.uid;
    this.#arm(performance.now());
    this.#keeping = this.#keep();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  readonly movedSince = (version: string | undefined): boolean =>
    this.#found?.version !== version || (this.#found !== undefined && this.#found.holder !== '');

  /** Others may take over when the time since a renewal is up; this run stops a sixth of that time before. */
  #arm(renewedAt: number): void {
    clearTimeout(this.#timer);
    const durationMs = this.#options.durationSeconds * 1000;
    const left = renewedAt + (durationMs * 5) / 6 - performance.now();
    this.#timer = setTimeout(() => this.#lose('it could not be renewed in time'), Math.max(0, left));
  }

  async #keep(): Promise<void> {
    const everyMs = (this.#options.durationSeconds * 1000) / 3;
    let waitMs = everyMs;
    const { signal } = this.#done;
    while (!signal.aborted && !this.lost.aborted) {
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      if (signal.aborted || this.lost.aborted) return;
      const at = performance.now();
      waitMs = (await this.#renew(at)) ? everyMs : everyMs / 4;
    }
  }

  /** False where it is not known to be renewed, and may still be ours. */
  async #renew(at: number): Promise<boolean> {
    const { place, holder } = this.#options;
    try {
      await this.#patch([{ op: 'replace', path: '/spec/renewTime', value: microTime(new Date()) }]);
      this.#arm(at);
      return true;
    } catch (error) {
      if (!hasMoved(error)) return false;
      const found = await look(this.#cluster, place).catch(() => 'unknown' as const);
      if (found === 'unknown' || found?.holder === holder) return false;
      this.#lose(found === undefined ? 'the Lease was deleted' : `it was taken by ${found.holder || 'nobody'}`);
      return false;
    }
  }

  async #patch(operations: readonly { readonly op: 'replace'; readonly path: string; readonly value: Json }[]) {
    const { place, holder } = this.#options;
    await change(this.#cluster, place, [
      { op: 'test', path: '/metadata/uid', value: this.#uid },
      { op: 'test', path: '/spec/holderIdentity', value: holder },
      ...operations,
    ]);
  }

  #lose(why: string): void {
    if (this.lost.aborted || this.#done.signal.aborted) return;
    clearTimeout(this.#timer);
    const message = `the lock ${objectKey(this.#options.place)} was lost: ${why}`;
    this.#lost.abort(new PatchpanelError('run/lock-lost', message));
  }

  async release(): Promise<void> {
    this.#done.abort();
    clearTimeout(this.#timer);
    await this.#keeping;
    if (this.lost.aborted) return;
    try {
      await this.#patch([
        { op: 'replace', path: '/spec/holderIdentity', value: '' },
        { op: 'replace', path: '/spec/renewTime', value: microTime(new Date()) },
      ]);
    } catch (error) {
      // Lost after all, or out of reach: then it expires.
      if (apiFailure(error) === undefined && !(error instanceof PatchpanelError)) throw error;
    }
  }
}
