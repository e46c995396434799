/** A list and then a watch without end: what a client-side cache of one resource needs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { objectKey } from '../vocabulary.ts';
import type { Cluster, KubeObject, Resource, Selection } from './cluster.ts';
import { isStatus } from './failures.ts';

/** A change of the store. `key` is `namespace/name`, or `/name` for an object without namespace. */
export type FollowEvent<T> =
  | { readonly type: 'added'; readonly key: string; readonly object: T }
  | { readonly type: 'modified'; readonly key: string; readonly object: T; readonly before: T }
  | { readonly type: 'deleted'; readonly key: string; readonly before: T };

export interface FollowHandlers<T> {
  /** After each complete list, the first one included; later lists have sent their differences as events before. */
  readonly onSync?: (items: ReadonlyMap<string, T>) => void;
  /** Not called for what the first list holds. */
  readonly onEvent?: (event: FollowEvent<T>) => void;
  /** A failure after the first list: the follower goes on trying until it is aborted. */
  readonly onError?: (error: unknown) => void;
}

export interface FollowOptions {
  /** Without an event or bookmark for so long the watch is given up and the list is read anew. Default 90 s. */
  readonly silenceMs?: number;
  /** The longest wait between attempts. Default 30 s. */
  readonly maxBackoffMs?: number;
}

export interface Follower<T> {
  /** What is there now, by key; kept up to date. */
  readonly items: ReadonlyMap<string, T>;
  /** Resolves after the first list; rejects where that fails, or with the reason of the signal. */
  readonly synced: Promise<void>;
  /** Resolves after an abort; rejects where the first list failed. */
  readonly finished: Promise<void>;
}

/** API servers send a bookmark about once a minute, so a longer silence is a dead connection. */
const defaultSilenceMs = 90_000;

/**
 * Follows a resource until `signal` aborts: resumes after every end of a watch, lists again after 410 or after silence,
 * and then tells the differences. Where `project` returns undefined the object counts as not there. Handlers are called
 * in order, and must not throw.
 */
export function follow<T>(
  cluster: Cluster,
  resource: Resource,
  selection: Selection,
  project: (object: KubeObject) => T | undefined,
  handlers: FollowHandlers<T>,
  signal: AbortSignal,
  options: FollowOptions = {},
): Follower<T> {
  const run = new FollowRun(cluster, resource, selection, project, handlers, signal, options);
  const synced = Promise.withResolvers<void>();
  const finished = run
    .run(() => synced.resolve())
    .then(
      () => synced.reject(signal.reason),
      (error: unknown) => {
        synced.reject(error);
        throw error;
      },
    );
  // Whoever cares awaits them; nobody has to.
  synced.promise.catch(() => {});
  finished.catch(() => {});
  return { items: run.items, synced: synced.promise, finished };
}

interface Entry<T> {
  readonly key: string;
  readonly version: string | undefined;
  readonly value: T;
}

class FollowRun<T> {
  readonly items = new Map<string, T>();
  readonly #versions = new Map<string, string | undefined>();
  readonly #cluster: Cluster;
  readonly #resource: Resource;
  readonly #selection: Selection;
  readonly #project: (object: KubeObject) => T | undefined;
  readonly #handlers: FollowHandlers<T>;
  readonly #signal: AbortSignal;
  readonly #silenceMs: number;
  readonly #maxBackoffMs: number;
  #failures = 0;

  constructor(
    cluster: Cluster,
    resource: Resource,
    selection: Selection,
    project: (object: KubeObject) => T | undefined,
    handlers: FollowHandlers<T>,
    signal: AbortSignal,
    options: FollowOptions,
  ) {
    this.#cluster = cluster;
    this.#resource = resource;
    this.#selection = selection;
    this.#project = project;
    this.#handlers = handlers;
    this.#signal = signal;
    this.#silenceMs = options.silenceMs ?? defaultSilenceMs;
    this.#maxBackoffMs = options.maxBackoffMs ?? 30_000;
  }

  async run(onSynced: () => void): Promise<void> {
    let version: string | undefined;
    let synced = false;
    while (!this.#signal.aborted) {
      try {
        if (version === undefined) {
          version = await this.#list(synced);
          synced = true;
          this.#handlers.onSync?.(this.items);
          onSynced();
        }
        version = await this.#watch(version);
      } catch (error) {
        if (this.#signal.aborted) return;
        if (!synced) throw error;
        if (isStatus(error, 410)) version = undefined;
        else await this.#pause(error);
      }
    }
  }

  async #list(tell: boolean): Promise<string> {
    const { items, resourceVersion } = await this.#cluster.list(
      this.#resource,
      this.#selection,
      (object) => this.#entry(object),
      { signal: this.#signal },
    );
    const seen = new Set(items.map(({ key }) => key));
    for (const key of [...this.items.keys()]) if (!seen.has(key)) this.#remove(key);
    for (const entry of items) {
      if (this.items.has(entry.key) && this.#versions.get(entry.key) === entry.version) continue;
      this.#put(entry, tell);
    }
    return resourceVersion;
  }

  /** One watch; returns where the next one resumes, or undefined where a list is due. */
  async #watch(from: string): Promise<string | undefined> {
    const quiet = new AbortController();
    const timer = setTimeout(() => quiet.abort(), this.#silenceMs);
    let version = from;
    try {
      const selection = { ...this.#selection, resourceVersion: from };
      const signal = AbortSignal.any([this.#signal, quiet.signal]);
      for await (const event of this.#cluster.watch(this.#resource, selection, signal)) {
        timer.refresh();
        this.#failures = 0;
        version = event.object.metadata.resourceVersion ?? version;
        if (event.type === 'BOOKMARK') continue;
        const entry = event.type === 'DELETED' ? undefined : this.#entry(event.object);
        if (entry === undefined) this.#remove(keyOf(event.object));
        else this.#put(entry, true);
      }
    } catch (error) {
      // Resume from what was seen, not from where this watch began.
      if (isStatus(error, 410) || version === from) throw error;
      await this.#pause(error);
      return version;
    } finally {
      clearTimeout(timer);
    }
    if (quiet.signal.aborted) return undefined;
    // A server that ends every watch at once must not be asked in a tight loop.
    if (version === from) await sleep(50 + Math.random() * 50, undefined, { signal: this.#signal }).catch(() => {});
    return version;
  }

  async #pause(error: unknown): Promise<void> {
    this.#handlers.onError?.(error);
    this.#failures += 1;
    const ceiling = Math.min(this.#maxBackoffMs, 100 * 2 ** Math.min(this.#failures, 20));
    await sleep(Math.random() * ceiling, undefined, { signal: this.#signal }).catch(() => {});
  }

  #entry(object: KubeObject): Entry<T> | undefined {
    const value = this.#project(object);
    return value === undefined ? undefined : { key: keyOf(object), version: object.metadata.resourceVersion, value };
  }

  #put({ key, version, value }: Entry<T>, tell: boolean): void {
    const before = this.items.get(key);
    this.items.set(key, value);
    this.#versions.set(key, version);
    if (!tell) return;
    this.#handlers.onEvent?.(
      before === undefined ? { type: 'added', key, object: value } : { type: 'modified', key, object: value, before },
    );
  }

  #remove(key: string): void {
    const before = this.items.get(key);
    if (before === undefined) return;
    this.items.delete(key);
    this.#versions.delete(key);
    this.#handlers.onEvent?.({ type: 'deleted', key, before });
  }
}

/** Key of an object in the store. */
function keyOf(object: KubeObject): string {
  const { namespace = '', name } = object.metadata;
  return objectKey({ namespace, name });
}
