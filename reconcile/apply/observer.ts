/**
 * What runs, kept up to date for the time of a run: three watches a namespace, of VMs, VMIs and launcher pods, however
 * many VMs are in change.
 */
import { activeVmi } from '../diff/layers.ts';
import type { Cluster, KubeObject, Resource } from '../kube/cluster.ts';
import { type Follower, follow } from '../kube/follow.ts';
import { pods, virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import type { LiveVm, LiveVmi } from '../live/model.ts';
import { joinVm, type LauncherPod, projectPod, projectVm, projectVmi, type VmPart } from '../live/project.ts';
import { labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { Listeners } from './listeners.ts';

/** Selects launcher pods; what else runs in a namespace is none of our business. */
const launcherSelector = `${labels.app}=${launcherAppLabel}`;

/** A store of the layers that can be watched; it lives until its signal aborts. */
export class Observer {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  readonly #namespaces = new Map<string, Promise<NamespaceView>>();
  readonly #views = new Map<string, NamespaceView>();

  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
  }

  /**
   * Follows a namespace; at once where it is followed already.
   * @throws PatchpanelError where its first list fails
   */
  async open(namespace: string): Promise<void> {
    let opened = this.#namespaces.get(namespace);
    if (opened === undefined) {
      const view = new NamespaceView(this.#cluster, namespace, this.#signal);
      opened = view.synced.then(() => view);
      this.#namespaces.set(namespace, opened);
      // The next VM of that namespace may fare better.
      opened.catch(() => this.#namespaces.delete(namespace));
    }
    this.#views.set(namespace, await opened);
  }

  /** The VM as it is seen now, migrating as soon as it has a second pod; undefined where there is none. */
  look(target: ObjectName): LiveVm | undefined {
    return this.#views.get(target.namespace)?.look(target);
  }

  /** Names of all launcher pods of the VM's instance, the target of a migration included. */
  podNames(target: ObjectName): readonly string[] {
    return this.#views.get(target.namespace)?.podNames(target) ?? [];
  }

  /** Calls `listener` after each change of the VM, its VMI or one of its pods, until the returned function is called. */
  onChange(target: ObjectName, listener: () => void): () => void {
    return this.#views.get(target.namespace)?.onChange(target, listener) ?? (() => {});
  }
}

class NamespaceView {
  readonly synced: Promise<unknown>;
  readonly #vms: Follower<VmPart>;
  readonly #vmis: Follower<LiveVmi>;
  readonly #pods: Follower<LauncherPod>;
  /** Keys of pods by the UID of their VMI. */
  readonly #podsOf = new Map<string, Set<string>>();
  readonly #listeners = new Listeners();

  constructor(cluster: Cluster, namespace: string, signal: AbortSignal) {
    // Where one first list fails, the other two have nothing left to follow for.
    const stop = new AbortController();
    const until = AbortSignal.any([signal, stop.signal]);
    const start = <T>(
      resource: Resource,
      project: (object: KubeObject) => T | undefined,
      handlers: Parameters<typeof follow<T>>[4],
      labelSelector?: string,
    ): Follower<T> => {
      const selection = labelSelector === undefined ? { namespace } : { namespace, labelSelector };
      return follow(cluster, resource, selection, project, handlers, until);
    };
    this.#vms = start(virtualMachines, projectVm, { onEvent: ({ key }) => this.#listeners.tell(key) });
    this.#vmis = start(virtualMachineInstances, projectVmi, { onEvent: ({ key }) => this.#listeners.tell(key) });
    this.#pods = start(
      pods,
      projectPod,
      {
        onSync: (items) => {
          for (const [key, part] of items) this.#index(key, part.vmiUid);
        },
        onEvent: (event) => {
          const part = event.type === 'deleted' ? event.before : event.object;
          if (event.type === 'deleted') this.#podsOf.get(part.vmiUid)?.delete(event.key);
          else this.#index(event.key, part.vmiUid);
          this.#tellOwner(part.vmiUid);
        },
      },
      launcherSelector,
    );
    this.synced = Promise.all([this.#vms.synced, this.#vmis.synced, this.#pods.synced]);
    this.synced.catch(() => stop.abort());
  }

  look(target: ObjectName): LiveVm | undefined {
    const key = objectKey(target);
    const vm = this.#vms.items.get(key);
    if (vm === undefined) return undefined;
    const vmi = this.#vmis.items.get(key);
    // One that has ended stays until the next start, and holds no NIC: such a VM does not run.
    if (vmi === undefined || activeVmi({ vmi }) === undefined) return joinVm(vm, undefined, []);
    const launchers = this.#podsOfVmi(vmi.uid);
    const live = joinVm(vm, vmi, launchers);
    // A migration has its target pod for a while before VMI status knows of it.
    const others = launchers.some((pod) => pod.name !== live.pod?.name && isAlive(pod));
    return live.pod !== undefined && others ? { ...live, vmi: { ...vmi, migrating: true } } : live;
  }

  podNames(target: ObjectName): readonly string[] {
    const vmi = this.#vmis.items.get(objectKey(target));
    return vmi === undefined ? [] : this.#podsOfVmi(vmi.uid).map((pod) => pod.name);
  }

  onChange(target: ObjectName, listener: () => void): () => void {
    return this.#listeners.add(objectKey(target), listener);
  }

  #podsOfVmi(uid: string): LauncherPod[] {
    return [...(this.#podsOf.get(uid) ?? [])]
      .map((key) => this.#pods.items.get(key))
      .filter((pod) => pod !== undefined);
  }

  #index(key: string, vmi: string): void {
    const keys = this.#podsOf.get(vmi) ?? new Set();
    this.#podsOf.set(vmi, keys.add(key));
  }

  /** Few VMs are listened for at a time, so their VMIs are searched rather than indexed. */
  #tellOwner(uid: string): void {
    for (const key of this.#listeners.keys()) if (this.#vmis.items.get(key)?.uid === uid) this.#listeners.tell(key);
  }
}

function isAlive({ phase, deleting }: LauncherPod): boolean {
  return !deleting && phase !== 'Succeeded' && phase !== 'Failed';
}
