/** A list and a watch that keep a copy of a resource in memory, as the caches of controllers do. */
import type { Cluster, KubeObject, Resource, Selection } from '../../reconcile/kube/cluster.ts';
import { sleep } from './sleep.ts';

export type Change = 'added' | 'modified' | 'deleted';
export type ChangeHandler = (change: Change, object: KubeObject, old: KubeObject | undefined) => void;

const pauseAfterFailureMs = 200;
const shortestWatchMs = 20;
const rememberedDeletions = 10_000;

export class Informer {
  readonly #cluster: Cluster;
  readonly #resource: Resource;
  readonly #selection: Selection;
  readonly #objects = new Map<string, KubeObject>();
  readonly #deleted = new Set<string>();
  readonly #handlers: ChangeHandler[] = [];
  readonly #abort = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(cluster: Cluster, resource: Resource, selection: Selection = {}) {
    this.#cluster = cluster;
    this.#resource = resource;
    this.#selection = selection;
  }

  onChange(handler: ChangeHandler): void {
    this.#handlers.push(handler);
  }

  get(namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(keyOf({ metadata: { name, ...(namespace !== undefined && { namespace }) } }));
  }

  byKey(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<KubeObject> {
    return this.#objects.values();
  }

  /** Resolves once the first list is in the cache; watches from then on until stopped. */
  async start(): Promise<void> {
    const version = await this.#relist();
    this.#loop = this.#follow(version);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
  }

  /** Takes the answer to an own write into the cache at once, so that the next look at it is not stale. */
  observe(object: KubeObject): void {
    this.#store(object);
  }

  async #relist(): Promise<string> {
    const { items, resourceVersion } = await this.#cluster.list(this.#resource, this.#selection, (object) => object, {
      signal: this.#abort.signal,
    });
    const present = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) if (!present.has(key)) this.#remove(object);
    for (const item of items) this.#store(item);
    return resourceVersion;
  }

  async #follow(from: string): Promise<void> {
    const signal = this.#abort.signal;
    let version: string | undefined = from;
    while (!signal.aborted) {
      const began = Date.now();
      try {
        version ??= await this.#relist();
        const watch = this.#cluster.watch(this.#resource, { ...this.#selection, resourceVersion: version }, signal);
        for await (const event of watch) {
          if (signal.aborted) return;
          version = event.object.metadata.resourceVersion ?? version;
          if (event.type === 'DELETED') this.#remove(event.object);
          else if (event.type !== 'BOOKMARK') this.#store(event.object);
        }
        if (Date.now() - began < shortestWatchMs) await sleep(shortestWatchMs, signal);
      } catch {
        if (signal.aborted) return;
        version = undefined;
        await sleep(pauseAfterFailureMs, signal);
      }
    }
  }

  #store(object: KubeObject): void {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (old !== undefined && old.metadata.uid === object.metadata.uid && versionOf(object) <= versionOf(old)) return;
    if (object.metadata.uid !== undefined && this.#deleted.has(object.metadata.uid)) return;
    this.#objects.set(key, object);
    this.#tell(old === undefined ? 'added' : 'modified', object, old);
  }

  #remove(object: KubeObject): void {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    const uid = object.metadata.uid;
    if (uid !== undefined) {
      if (this.#deleted.size >= rememberedDeletions) this.#deleted.clear();
      this.#deleted.add(uid);
    }
    if (old === undefined || old.metadata.uid !== uid) return;
    this.#objects.delete(key);
    this.#tell('deleted', object, old);
  }

  #tell(change: Change, object: KubeObject, old: KubeObject | undefined): void {
    for (const handler of this.#handlers) handler(change, object, old);
  }
}

/** `namespace/name`, or `name` of an object without namespace. */
export function keyOf(object: Pick<KubeObject, 'metadata'>): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function versionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion ?? 0);
}
