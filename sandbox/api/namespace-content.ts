/** What the namespace controller does: a namespace that is deleted takes its content along, and goes once it is empty. */
import { namespaces } from './builtin-resources.ts';
import type { ResourceDefinition } from './contract.ts';
import { deleteObject } from './deleting.ts';
import type { JsonObject } from './json.ts';
import { type Change, type Collection, type Entry, lowerBound, type MemoryStore } from './store.ts';
import { markDeleted, type WriteContext } from './writing.ts';

const background = { foreground: false, dryRun: false } as const;

export class NamespaceContent {
  readonly #store: MemoryStore;
  readonly #collections: readonly Collection[];
  readonly #terminating = new Set<string>();

  constructor(store: MemoryStore, resources: readonly ResourceDefinition[]) {
    this.#store = store;
    this.#collections = resources
      .filter((resource) => resource.namespaced && resource.group !== 'events.k8s.io')
      .map((resource) => store.collection(resource.group, resource.plural));
    for (const collection of this.#collections) collection.listeners.add((change) => this.#changed(change));
  }

  /** Marks the namespace and deletes what is in it; finalizers and graces are waited for. */
  terminate(context: WriteContext, namespace: Entry): Entry {
    const { collection } = context.served;
    const marked: JsonObject = { ...markDeleted(namespace.object, 0), status: { phase: 'Terminating' } };
    const entry = this.#store.write(collection, marked);
    this.#terminating.add(namespace.name);
    for (const content of this.#collections) {
      const served = { ...context.served, resource: content.resource, collection: content };
      for (const found of this.#content(content, namespace.name)) {
        deleteObject({ ...context, served, namespace: namespace.name }, found, background);
      }
    }
    this.#finish(namespace.name);
    return entry;
  }

  #content(collection: Collection, namespace: string): readonly Entry[] {
    const { keys, entries } = collection;
    const range = keys.slice(lowerBound(keys, `${namespace}/`), lowerBound(keys, `${namespace}0`));
    return range.flatMap((key) => entries.get(key) ?? []);
  }

  #changed(change: Change): void {
    if (change.type === 'DELETED' && this.#terminating.has(change.entry.namespace))
      this.#finish(change.entry.namespace);
  }

  #finish(namespace: string): void {
    if (this.#collections.some((collection) => this.#content(collection, namespace).length > 0)) return;
    this.#terminating.delete(namespace);
    const collection = this.#store.collection(namespaces.group, namespaces.plural);
    const entry = collection.entries.get(namespace);
    if (entry !== undefined) this.#store.remove(collection, namespace, { ...entry.object });
  }
}
