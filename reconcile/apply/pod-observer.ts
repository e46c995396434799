/** The pods of a run, kept up to date by one watch a namespace, however many of its pods are in change. */
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { type Follower, follow } from '../kube/follow.ts';
import { pods } from '../kube/resources.ts';
import { networkStatusOf, networksOf } from '../live/pod-annotations.ts';
import { fields, text } from '../systems/json-shape.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { Listeners } from './listeners.ts';

/** What a wait has to see of a pod. */
export interface SeenPod extends ObjectName {
  readonly uid: string;
  readonly phase: string;
  readonly deleting: boolean;
  readonly node?: string;
  readonly networks: readonly NetworkSelectionElement[] | { readonly problem: string };
  readonly status: readonly NetworkStatus[] | { readonly problem: string };
}

export function seePod(object: KubeObject): SeenPod {
  const { metadata } = object;
  const namespace = metadata.namespace ?? '';
  const annotations = metadata.annotations ?? {};
  const node = text(fields(object.spec).nodeName);
  return {
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? '',
    phase: text(fields(object.status).phase) ?? 'Pending',
    deleting: metadata.deletionTimestamp !== undefined,
    ...(node === undefined ? {} : { node }),
    networks: networksOf(annotations, namespace),
    status: networkStatusOf(annotations),
  };
}

/** A store of the pods that are asked for; it lives until its signal aborts. */
export class PodObserver {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  readonly #wanted: ReadonlySet<string>;
  readonly #followers = new Map<string, Follower<SeenPod>>();
  readonly #listeners = new Listeners();

  /** @param wanted all pods that it may be asked for; the others of their namespaces are not kept */
  constructor(cluster: Cluster, wanted: readonly ObjectName[], signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
    this.#wanted = new Set(wanted.map(objectKey));
  }

  /**
   * Follows a namespace; at once where it is followed already.
   * @throws PatchpanelError where its first list fails
   */
  async open(namespace: string): Promise<void> {
    let follower = this.#followers.get(namespace);
    if (follower === undefined) {
      follower = follow(
        this.#cluster,
        pods,
        { namespace },
        (object) =>
          this.#wanted.has(objectKey({ namespace, name: object.metadata.name })) ? seePod(object) : undefined,
        { onEvent: ({ key }) => this.#listeners.tell(key) },
        this.#signal,
      );
      this.#followers.set(namespace, follower);
      // The next pod of that namespace may fare better.
      follower.synced.catch(() => this.#followers.delete(namespace));
    }
    await follower.synced;
  }

  look(target: ObjectName): SeenPod | undefined {
    return this.#followers.get(target.namespace)?.items.get(objectKey(target));
  }

  /** Calls `listener` after each change of the pod, until the returned function is called. */
  onChange(target: ObjectName, listener: () => void): () => void {
    return this.#listeners.add(objectKey(target), listener);
  }
}
