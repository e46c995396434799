/** What every actor is given, and what an actor is. */
import type { Cluster, KubeObject } from '../../reconcile/kube/cluster.ts';
import { events } from '../../reconcile/kube/resources.ts';
import type { Fault, FaultName } from '../contract.ts';
import type { Caches } from './caches.ts';
import type { NodeState } from './node-state.ts';
import { timestamp } from './objects.ts';

export interface Actor {
  /** Finishes what is in hand and takes on nothing new. */
  stop(): Promise<void>;
}

export interface ActorContext {
  /** Divides every delay. */
  readonly speed: number;
  readonly faults: Faults;
  /** What the API server holds; started after the actors were made. */
  readonly caches: Caches;
  /** What the nodes hold: pods' interfaces and domains. Only kubelet, CNI and virt-handler look at it. */
  readonly node: NodeState;
}

/** Switches of misbehaviour; may be changed while the sandbox runs. */
export class Faults {
  #list: readonly Fault[];

  constructor(list: readonly Fault[]) {
    this.#list = list;
  }

  set(list: readonly Fault[]): void {
    this.#list = list;
  }

  /** Whether a fault was given with exactly this value. */
  has(fault: FaultName, value: string): boolean {
    return this.#list.some((one) => one.name === fault && one.value === value);
  }

  /** Whether a fault strikes any of these names: a network of a VM, a NAD, `namespace/name`, or all by `*`. */
  strikes(fault: FaultName, ...names: readonly string[]): boolean {
    return this.#list.some((one) => one.name === fault && (one.value === '*' || names.includes(one.value)));
  }
}

/** What an event is about. */
interface Involved {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
}

/** Writes events as a client-go recorder does: one object for repeated ones, with a count. */
export class EventRecorder {
  readonly #cluster: Cluster;
  readonly #component: string;
  readonly #seen = new Map<string, KubeObject>();
  #work: Promise<void> = Promise.resolve();

  constructor(cluster: Cluster, component: string) {
    this.#cluster = cluster;
    this.#component = component;
  }

  /** Written in the background, one after the other; an event that is lost is no reason to fail. */
  emit(involved: Involved, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#work = this.#work.then(() => this.#write(involved, type, reason, message));
  }

  /** Resolves when all that was emitted is written. */
  async flush(): Promise<void> {
    await this.#work;
  }

  async #write(involved: Involved, type: 'Normal' | 'Warning', reason: string, message: string): Promise<void> {
    const { name, namespace, uid } = involved.metadata;
    const key = [uid, type, reason, message].join('\n');
    const now = timestamp();
    const known = this.#seen.get(key);
    try {
      if (known !== undefined) {
        const count = Number(known.count) + 1;
        const patch = { count, lastTimestamp: now };
        this.#seen.set(key, await this.#cluster.mergePatch(events, namespace, known.metadata.name, patch));
        return;
      }
      if (this.#seen.size > 10_000) this.#seen.clear();
      const stamp = process.hrtime.bigint().toString(16);
      const created = await this.#cluster.create(events, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${name}.${stamp}`, namespace },
        involvedObject: { apiVersion: involved.apiVersion, kind: involved.kind, name, namespace, uid },
        type,
        reason,
        message,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: this.#component },
      });
      this.#seen.set(key, created);
    } catch {
      this.#seen.delete(key);
    }
  }
}
