/** Which resources are served, by group, version and name. */
import { builtinResources, events, newEvents } from './builtin-resources.ts';
import type { ResourceDefinition, SubresourceHandler } from './contract.ts';
import { eventView } from './event-view.ts';
import type { Served } from './served.ts';
import { apiVersionOf, type MemoryStore } from './store.ts';

export class ResourceTable {
  readonly resources: readonly ResourceDefinition[];
  readonly #served = new Map<string, Served>();
  readonly #versions = new Map<string, boolean>();

  constructor(store: MemoryStore, resources: readonly ResourceDefinition[], handlers: readonly SubresourceHandler[]) {
    this.resources = resources;
    for (const resource of resources) {
      for (const version of resource.versions) {
        const isView = resource === newEvents;
        const stored = isView ? events : resource;
        this.#served.set(`${resource.group}/${version}/${resource.plural}`, {
          resource,
          version,
          apiVersion: apiVersionOf(resource, version),
          collection: store.collection(stored.group, stored.plural),
          ...(isView ? { view: eventView } : {}),
        });
        this.#versions.set(`${resource.group}/${version}`, resource.custom);
      }
    }
    for (const handler of handlers) this.#versions.set(`${handler.group}/${handler.version}`, true);
  }

  find(group: string, version: string, plural: string): Served | undefined {
    return this.#served.get(`${group}/${version}/${plural}`);
  }

  /** Whether a served group version is one of custom or aggregated resources; undefined where it is not served. */
  isCustomVersion(group: string, version: string): boolean | undefined {
    return this.#versions.get(`${group}/${version}`);
  }
}

/** The given resources and the built-in ones that they don't replace. */
export function allResources(given: readonly ResourceDefinition[]): readonly ResourceDefinition[] {
  const names = new Set(given.map((resource) => `${resource.group}/${resource.plural}`));
  return [...builtinResources.filter((resource) => !names.has(`${resource.group}/${resource.plural}`)), ...given];
}
