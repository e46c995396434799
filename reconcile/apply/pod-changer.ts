/**
 * The pod path: one write of the networks annotation for each change, followed until Multus has done it. Multus's
 * dynamic-networks controller adds before it removes, tries a few times within milliseconds, then forgets the pod until
 * the annotation changes; and what it rolls back stays in network-status. Hence one kind of change a write, no write
 * before the one before has arrived, and no success where it reported a failure since.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PatchpanelError } from '../errors.ts';
import { pods } from '../kube/resources.ts';
import { readOwnedInterfaces } from '../live/pods.ts';
import type { PodPlan } from '../plan/model.ts';
import type { OwnedElement, PlannedElement, PodAction } from '../plan/pod-model.ts';
import type { NetworksEdit } from '../systems/multus-edit.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { LayerReading } from './layers.ts';
import { type ElementKey, hasStatus, type PodGoal, readPodLayers } from './pod-layers.ts';
import { type PodObserver, type SeenPod, seePod } from './pod-observer.ts';
import { editKey, type PodChange, podEdit } from './pod-patch.ts';
import { newFailure, type Occurrence, occurrenceText } from './reasons.ts';
import type { Run } from './run.ts';
import { type Subject, type WaitResult, waitForLayers } from './wait.ts';
import { patchUntilItFits, writtenAt } from './write.ts';

/** A change of one pod, and all that is needed to follow it. */
export class PodChanger {
  readonly #run: Run;
  readonly #target: PodPlan['target'];
  readonly #uid: string;
  readonly #action: PodAction;

  constructor(run: Run, target: PodPlan['target'], uid: string, action: PodAction) {
    this.#run = run;
    this.#target = target;
    this.#uid = uid;
    this.#action = action;
  }

  /**
   * Adds one element and waits until it is there and stays. Where the controller could not add it, or took it out again
   * behind network-status, it is taken out and tried once more; and then it is taken out for good, since an element that
   * fails is tried first at each later change, and blocks it.
   * @param domain that is to have it as a NIC: its record outlives a declaration that drops the domain
   */
  async plug(element: PlannedElement, domain?: string): Promise<WaitResult<SeenPod>> {
    const { name, network, interface: at } = element;
    const own: OwnedElement = { name, network, interface: at, ...(domain === undefined ? {} : { domain }) };
    const change: PodChange = {
      networks: { kind: 'add', element: writtenElement(element) },
      owned: (before) => [...before.filter((other) => other.name !== name), own],
    };
    const first = await this.#rest([own]);
    if (first.kind === 'failed') return first;
    let result = await this.#change(change, [{ kind: 'in', element: own }], true);
    if (result.kind === 'reached' || result.code !== 'apply/not-plugged') return result;
    const failure = result;
    for (const isLast of [false, true]) {
      const out = await this.unplug([own]);
      if (out.kind === 'failed') return { ...failure, reason: `${failure.reason}; and taking it out: ${out.reason}` };
      if (isLast) break;
      result = await this.#change(change, [{ kind: 'in', element: own }], true);
      if (result.kind === 'reached' || result.code !== 'apply/not-plugged') return result;
    }
    await this.release([name]);
    return failure;
  }

  /** Takes elements out, and waits until Multus has. Who owns them is kept until they are gone. */
  async unplug(elements: readonly OwnedElement[]): Promise<WaitResult<SeenPod>> {
    const first = await this.#rest(elements);
    if (first.kind === 'failed') return first;
    const goals = elements.map((element): PodGoal => ({ kind: 'out', element }));
    const writes = this.#run.writes;
    const out = await this.#change({ networks: { kind: 'remove', elements: elements.map(editKey) } }, goals, false);
    // Of what was never plugged nothing tells that the controller has looked: with two changes at once before it, it may
    // plug the second twice, and take it out again.
    if (this.#run.writes > writes && !elements.some((element) => hasStatus(first.live.status, element))) {
      await sleep(this.#run.pace.reportGraceMs);
    }
    return out;
  }

  /** Writes the same in other bytes, so that a controller that gave up looks again. */
  async kick(goals: readonly PodGoal[]): Promise<WaitResult<SeenPod>> {
    return await this.#change(
      { networks: { kind: 'kick' } },
      goals,
      goals.some(({ kind }) => kind === 'in'),
    );
  }

  async repair(elements: Extract<PodAction, { kind: 'pod-repair' }>['elements']): Promise<WaitResult<SeenPod>> {
    const goals = elements.map((element): PodGoal => ({ kind: 'in', element }));
    return await this.#change({ networks: { kind: 'repair', elements } }, goals, false);
  }

  /** Follows what others, or a run before this one, wrote. */
  async follow(goals: readonly PodGoal[]): Promise<WaitResult<SeenPod>> {
    return await this.#wait(goals, undefined);
  }

  async release(names: readonly string[]): Promise<WaitResult<SeenPod>> {
    return await this.#change({ owned: (before) => before.filter(({ name }) => !names.includes(name)) }, [], false);
  }

  /** What the ownership record of the pod says of an attachment. */
  async ownedElement(name: string): Promise<OwnedElement | undefined> {
    const pod = await this.#run.cluster.get(pods, this.#target.namespace, this.#target.name);
    if (pod?.metadata.uid !== this.#uid) return undefined;
    return readOwnedInterfaces(pod.metadata.annotations?.[ownedAnnotation]).find((element) => element.name === name);
  }

  /** Waits until the changes of others have arrived: a second one on top of them confuses the controller. */
  async #rest(but: readonly ElementKey[]): Promise<WaitResult<SeenPod>> {
    return await this.#wait([{ kind: 'rest', but }], undefined);
  }

  async #change(change: PodChange, goals: readonly PodGoal[], proves: boolean): Promise<WaitResult<SeenPod>> {
    const before = await this.#warnings();
    const { cluster, stamp } = this.#run;
    const { wrote, object } = await patchUntilItFits(cluster, pods, this.#target, this.#uid, stamp, async (pod) =>
      podEdit(pod, change),
    );
    const at = wrote ? writtenAt(object) : undefined;
    if (wrote) this.#run.writes += 1;
    const [annotation] = readPodLayers(goals, seePod(object));
    // A webhook may add keys of its own; but what was written has to be there.
    if (annotation?.agrees === false)
      throw new PatchpanelError('apply/refused', `a webhook changed what was written: ${annotation.seen}`);
    if (goals.length === 0) return { kind: 'reached', live: seePod(object) };
    const written = at === undefined ? undefined : { at, before };
    const result = await this.#wait(goals, written);
    if (result.kind === 'failed' || written === undefined || !proves) return result;
    return await this.#prove(goals, written);
  }

  /** What network-status lists may have been rolled back: the reports of that come a moment later. */
  async #prove(goals: readonly PodGoal[], written: Written): Promise<WaitResult<SeenPod>> {
    const { pace, reasons } = this.#run;
    const deadline = this.#run.deadlineFor(false);
    let warnings: readonly Occurrence[];
    do {
      await sleep(pace.reportGraceMs);
      warnings = await this.#warnings();
      // A server that does not answer has not said that nothing was reported.
    } while (reasons.lost !== undefined && performance.now() < deadline);
    const failure = newFailure(warnings, written.before, written.at);
    if (failure !== undefined)
      return { kind: 'failed', code: 'apply/not-plugged', layer: 'multus', reason: occurrenceText(failure) };
    return await this.#wait(goals, undefined);
  }

  async #wait(goals: readonly PodGoal[], written: Written | undefined): Promise<WaitResult<SeenPod>> {
    const { pods: observer, pace, reasons, onEvent, options } = this.#run;
    const subject = new PodSubject(
      observer,
      this.#target,
      this.#uid,
      goals,
      this.#run.deadlineFor(false),
      written,
      () => this.#warnings(),
    );
    return await waitForLayers(
      subject,
      { target: this.#target, action: this.#action, pace, stop: options.signal },
      reasons,
      onEvent,
    );
  }

  async #warnings(): Promise<readonly Occurrence[]> {
    return await this.#run.reasons.warnings(this.#target.namespace, [this.#target.name]);
  }
}

/** Without what only patchpanel knows of an attachment. */
function writtenElement(element: PlannedElement): Extract<NetworksEdit, { kind: 'add' }>['element'] {
  const { mac, ips } = element;
  return { ...editKey(element), ...(mac === undefined ? {} : { mac }), ...(ips === undefined ? {} : { ips }) };
}

/** A write: when it was made, and what was reported before. */
interface Written {
  readonly at: number;
  readonly before: readonly Occurrence[];
}

class PodSubject implements Subject<SeenPod> {
  readonly vanished: Subject<SeenPod>['vanished'];
  readonly #observer: PodObserver;
  readonly #target: ObjectName;
  readonly #uid: string;
  readonly #goals: readonly PodGoal[];
  readonly #deadline: number;
  readonly #written: Written | undefined;
  readonly #warnings: () => Promise<readonly Occurrence[]>;

  constructor(
    observer: PodObserver,
    target: ObjectName,
    uid: string,
    goals: readonly PodGoal[],
    deadline: number,
    written: Written | undefined,
    warnings: () => Promise<readonly Occurrence[]>,
  ) {
    this.vanished = { layer: 'pod', reason: `pod ${objectKey(target)} is no longer there, or has ended` };
    this.#observer = observer;
    this.#target = target;
    this.#uid = uid;
    this.#goals = goals;
    this.#deadline = deadline;
    this.#written = written;
    this.#warnings = warnings;
  }

  /** One that was made anew under the same name is another pod, and the controller forgets those that have ended. */
  look(): SeenPod | undefined {
    const pod = this.#observer.look(this.#target);
    const lives = pod?.uid === this.#uid && !pod.deleting && pod.phase !== 'Succeeded' && pod.phase !== 'Failed';
    return lives ? pod : undefined;
  }

  onChange(listener: () => void): () => void {
    return this.#observer.onChange(this.#target, listener);
  }

  readings(pod: SeenPod): readonly LayerReading[] {
    return readPodLayers(this.#goals, pod);
  }

  deadline(): number {
    return this.#deadline;
  }

  async ask(): ReturnType<Subject<SeenPod>['ask']> {
    const warnings = await this.#warnings();
    const written = this.#written;
    const failure = written === undefined ? undefined : newFailure(warnings, written.before, written.at);
    const told = failure ?? (written === undefined ? warnings[0] : undefined);
    return {
      ...(told === undefined ? {} : { reason: occurrenceText(told) }),
      ...(failure === undefined ? {} : { failure: occurrenceText(failure) }),
    };
  }
}
