/**
 * Kubernetes Events on the VMs and pods that a run changed, or failed to change: one for each of them, so that `kubectl
 * describe` tells who plugged what, from which commit. Best effort: a run does not fail for want of them.
 */
import type { OnRunEvent, RunEvent, TargetResult } from '../apply/model.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { events } from '../kube/resources.ts';
import { actionName } from '../plan/action-name.ts';
import type { PlanAction, TargetName } from '../plan/model.ts';
import { fieldManager } from '../systems/patchpanel.ts';
import { oneLine } from './one-line.ts';

export interface EventSource {
  readonly run: string;
  /** Pod or host. */
  readonly host: string;
  readonly clock: () => Date;
  /** UIDs by {@link targetKey}: `kubectl describe` asks for the Events of one object by it. */
  readonly uidOf: (target: TargetName) => string | undefined;
  readonly commit: string;
}

/** Longest message that the newer API of Events takes. */
const maxMessageBytes = 1024;

interface Course {
  readonly done: PlanAction[];
  readonly takenBack: PlanAction[];
  failure?: string;
}

/** Of actions that wrote nothing, an Event would tell nothing new. */
const silent: ReadonlySet<PlanAction['kind']> = new Set(['follow', 'pod-follow']);

/** What follows an unplug goes without saying. */
const recordOnly: ReadonlySet<PlanAction['kind']> = new Set(['release', 'pod-release']);

export class EventWriter {
  readonly #cluster: Cluster;
  readonly #source: EventSource;
  readonly #courses = new Map<string, Course>();
  readonly #pending: Promise<void>[] = [];
  #failures = 0;
  #firstFailure = '';

  constructor(cluster: Cluster, source: EventSource) {
    this.#cluster = cluster;
    this.#source = source;
  }

  readonly onEvent: OnRunEvent = (event) => {
    if (event.type === 'action-done') this.#done(event);
    else if (event.type === 'action-failed') this.#fail(event);
    else if (event.type === 'target-done') this.#tell(event.target, event.result);
  };

  #courseOf(target: TargetName): Course {
    const key = targetKey(target);
    const course = this.#courses.get(key) ?? { done: [], takenBack: [] };
    this.#courses.set(key, course);
    return course;
  }

  #done({ target, action, reversing }: Extract<RunEvent, { readonly type: 'action-done' }>): void {
    const { done, takenBack } = this.#courseOf(target);
    (reversing === true ? takenBack : done).push(action);
  }

  #fail({ target, action, reason, code, reversing }: Extract<RunEvent, { readonly type: 'action-failed' }>): void {
    // What went wrong first is what matters.
    if (reversing === true) return;
    this.#courseOf(target).failure = `${actionName(action)} failed: ${reason} (${code})`;
  }

  #tell(target: TargetName, result: TargetResult): void {
    const { done, takenBack, failure } = this.#courseOf(target);
    const changes = done.filter(({ kind }) => !silent.has(kind)).map(actionName);
    const back = takenBack.filter(({ kind }) => !recordOnly.has(kind)).map(actionName);
    if (changes.length === 0 && failure === undefined) return;
    const { commit, run } = this.#source;
    const said = [
      ...(changes.length > 0 ? [`done: ${changes.join(', ')}`] : []),
      ...(failure === undefined ? [] : [failure]),
      ...(back.length > 0 ? [`taken back by: ${back.join(', ')}`] : []),
    ];
    const message = oneLine(`${said.join('; ')} [${commit}, run ${run}]`, maxMessageBytes);
    this.#pending.push(this.#write(this.#object(target, reasonOf(result), failure !== undefined, message)));
  }

  #object(target: TargetName, reason: string, isWarning: boolean, message: string): KubeObject {
    const { run, host, clock, uidOf } = this.#source;
    const uid = uidOf(target);
    const now = `${clock().toISOString().slice(0, 19)}Z`;
    const isPod = target.kind === 'Pod';
    // Named, so that a create whose answer was lost may be repeated.
    const stem = target.name.slice(0, 230).replace(/[.-]+$/, '');
    return {
      metadata: { namespace: target.namespace, name: `${stem}.${isPod ? 'pod' : 'vm'}.${run}` },
      involvedObject: {
        apiVersion: isPod ? 'v1' : 'kubevirt.io/v1',
        kind: target.kind,
        namespace: target.namespace,
        name: target.name,
        ...(uid === undefined ? {} : { uid }),
      },
      reason,
      message,
      type: isWarning ? 'Warning' : 'Normal',
      source: { component: fieldManager, host },
      reportingComponent: fieldManager,
      reportingInstance: host,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
  }

  async #write(event: KubeObject): Promise<void> {
    try {
      await this.#cluster.create(events, event);
    } catch (error) {
      // The first answer was lost.
      if (isStatus(error, 409)) return;
      this.#failures += 1;
      this.#firstFailure ||= error instanceof Error ? error.message : String(error);
    }
  }

  /** Waits until all are written; why some are not, if so. */
  async settled(): Promise<string | undefined> {
    await Promise.all(this.#pending);
    if (this.#failures === 0) return undefined;
    return `${this.#failures} of ${this.#pending.length} Events could not be written: ${this.#firstFailure}`;
  }
}

function reasonOf(result: TargetResult): string {
  switch (result) {
    case 'converged':
      return 'NetworksChanged';
    case 'waiting':
      return 'NetworksPartlyChanged';
    case 'staged':
      return 'NetworksStaged';
    case 'failed':
      return 'NetworksFailed';
    case 'blocked':
      return 'NetworksPartlyBlocked';
    case 'interrupted':
    case 'not-started':
      return 'NetworksInterrupted';
    default:
      return result satisfies never;
  }
}

/** `VirtualMachine prod/db-0`. */
export function targetKey({ kind, namespace, name }: TargetName): string {
  return `${kind} ${namespace}/${name}`;
}
