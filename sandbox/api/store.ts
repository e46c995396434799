/** Objects in memory with one revision counter, as etcd has, and the history that watches and paged lists need. */
import { randomUUID } from 'node:crypto';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import type { ResourceDefinition, Store } from './contract.ts';
import { child, cloneJson, isObject, type JsonObject, put, sortKeys, text } from './json.ts';

/** One stored version of an object; its JSON, and that of its metadata, is made at most once. */
export interface Entry {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: JsonObject;
  readonly revision: number;
  json: string | undefined;
  metadataJson?: string;
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  readonly previous?: Entry;
  /** For DELETED the last state, under the revision of the deletion. */
  readonly entry: Entry;
  /** The previous state under the new revision: what a watcher gets whose selector the object leaves. */
  left?: Entry;
}

/** Revisions below were never seen by a client: a watch or an exact list from there is too old. */
const firstRevision = 1000;
/** Changes kept a resource; older ones are compacted. */
const historyLimit = 10_000;

export class Collection {
  readonly resource: ResourceDefinition;
  readonly entries = new Map<string, Entry>();
  /** Sorted, as etcd lists them. */
  readonly keys: string[] = [];
  readonly listeners = new Set<(change: Change) => void>();
  history: Change[] = [];
  /** The oldest revision from which a watch can start. */
  compacted = firstRevision;

  constructor(resource: ResourceDefinition) {
    this.resource = resource;
  }

  record(change: Change): void {
    this.history.push(change);
    if (this.history.length >= historyLimit * 2) {
      const dropped = this.history.length - historyLimit;
      this.compacted = this.history[dropped - 1]?.revision ?? this.compacted;
      this.history = this.history.slice(dropped);
    }
    for (const listener of this.listeners) listener(change);
  }

  /** Index of the first change after a revision. */
  changesAfter(revision: number): number {
    let low = 0;
    let high = this.history.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.history[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A collection as it was at a revision. */
export interface Snapshot {
  readonly keys: readonly string[];
  get(key: string): Entry | undefined;
}

export class MemoryStore implements Store {
  readonly #collections = new Map<string, Collection>();
  #revision = firstRevision;

  constructor(resources: readonly ResourceDefinition[]) {
    for (const resource of resources) {
      this.#collections.set(`${resource.group}/${resource.plural}`, new Collection(resource));
    }
  }

  get revision(): number {
    return this.#revision;
  }

  collection(group: string, plural: string): Collection {
    const found = this.#collections.get(`${group}/${plural}`);
    if (found === undefined) throw new Error(`the sandbox serves no resource ${plural}.${group}`);
    return found;
  }

  seed(group: string, plural: string, object: KubeObject): KubeObject {
    const collection = this.collection(group, plural);
    const copy: JsonObject = cloneJson({ ...object });
    const { resource } = collection;
    copy.kind ??= resource.kind;
    copy.apiVersion ??= apiVersionOf(resource);
    const metadata = child(copy, 'metadata') ?? {};
    metadata.uid ??= randomUUID();
    metadata.creationTimestamp ??= timestamp();
    copy.metadata = metadata;
    return this.write(collection, copy).object as unknown as KubeObject;
  }

  get(group: string, plural: string, namespace: string | undefined, name: string): KubeObject | undefined {
    const collection = this.collection(group, plural);
    const entry = collection.entries.get(keyOf(collection.resource, namespace ?? '', name));
    return entry?.object as KubeObject | undefined;
  }

  list(group: string, plural: string, namespace?: string): readonly KubeObject[] {
    const collection = this.collection(group, plural);
    const found: KubeObject[] = [];
    for (const key of collection.keys) {
      const entry = collection.entries.get(key);
      if (entry !== undefined && (namespace === undefined || entry.namespace === namespace)) {
        found.push(entry.object as unknown as KubeObject);
      }
    }
    return found;
  }

  /** Stores a new version under the next revision; the store owns the object from now on. */
  write(collection: Collection, object: JsonObject): Entry {
    const revision = ++this.#revision;
    const entry = entryOf(collection.resource, object, revision);
    const previous = collection.entries.get(entry.key);
    collection.entries.set(entry.key, entry);
    if (previous === undefined) {
      collection.keys.splice(lowerBound(collection.keys, entry.key), 0, entry.key);
      collection.record({ type: 'ADDED', revision, entry });
    } else {
      collection.record({ type: 'MODIFIED', revision, previous, entry });
      // History keeps old versions for long; who asks for one again has it serialised again.
      previous.json = undefined;
      delete previous.metadataJson;
    }
    return entry;
  }

  /** Removes an object; `last` is its state as watchers see it. */
  remove(collection: Collection, key: string, last: JsonObject): Entry {
    const previous = collection.entries.get(key);
    const revision = ++this.#revision;
    const entry = entryOf(collection.resource, last, revision);
    collection.entries.delete(key);
    const index = lowerBound(collection.keys, key);
    if (collection.keys[index] === key) collection.keys.splice(index, 1);
    collection.record({ type: 'DELETED', revision, entry, ...(previous === undefined ? {} : { previous }) });
    return entry;
  }

  /** The collection as it was; undefined where that revision is compacted. */
  snapshot(collection: Collection, revision: number): Snapshot | undefined {
    if (revision < collection.compacted) return undefined;
    const first = collection.changesAfter(revision);
    if (first === collection.history.length) {
      return { keys: collection.keys, get: (key) => collection.entries.get(key) };
    }
    const before = new Map<string, Entry | undefined>();
    for (let index = collection.history.length - 1; index >= first; index--) {
      const change = collection.history[index];
      if (change !== undefined) before.set(change.entry.key, change.previous);
    }
    const keys = collection.keys.filter((key) => !before.has(key) || before.get(key) !== undefined);
    for (const [key, entry] of before) {
      if (entry !== undefined && !collection.entries.has(key)) keys.splice(lowerBound(keys, key), 0, key);
    }
    return { keys, get: (key) => (before.has(key) ? before.get(key) : collection.entries.get(key)) };
  }
}

export function apiVersionOf(resource: ResourceDefinition, version = resource.versions[0] ?? 'v1'): string {
  return resource.group === '' ? version : `${resource.group}/${version}`;
}

export function keyOf(resource: ResourceDefinition, namespace: string, name: string): string {
  return resource.namespaced ? `${namespace}/${name}` : name;
}

/** Now, as `metav1.Time` prints it. */
export function timestamp(date = new Date()): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

/** First index whose key is not below `key`. */
export function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function entryOf(resource: ResourceDefinition, object: JsonObject, revision: number): Entry {
  const metadata: JsonObject = { ...child(object, 'metadata'), resourceVersion: String(revision) };
  const ordered = order(resource, { ...object, metadata });
  const namespace = text(metadata.namespace) ?? '';
  const name = text(metadata.name) ?? '';
  return { key: keyOf(resource, namespace, name), namespace, name, object: ordered, revision, json: undefined };
}

/** The JSON of a stored version, ending without a line feed. */
export function jsonOf(entry: Entry): string {
  entry.json ??= JSON.stringify(entry.object);
  return entry.json;
}

/** Fields of ObjectMeta, in the order in which built-in resources print them. */
export const metadataOrder = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
];

/** Custom resources print their keys sorted; built-in ones as their Go structs are laid out. */
function order(resource: ResourceDefinition, object: JsonObject): JsonObject {
  if (resource.custom) return sortKeys(object) as JsonObject;
  const metadata = child(object, 'metadata') ?? {};
  const ordered: JsonObject = {};
  for (const key of metadataOrder) if (metadata[key] !== undefined) ordered[key] = metadata[key];
  const result: JsonObject = { kind: object.kind, apiVersion: object.apiVersion, metadata: ordered };
  for (const [key, value] of Object.entries(object)) {
    if (!Object.hasOwn(result, key)) put(result, key, isObject(value) ? { ...value } : value);
  }
  return result;
}
