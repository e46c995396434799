/** A resource in one of its versions, as requests see it. */
import type { ResourceDefinition } from './contract.ts';
import type { JsonObject } from './json.ts';
import type { FieldError } from './status.ts';
import { apiVersionOf, type Collection, type Entry, jsonOf } from './store.ts';

/** Another shape of the same stored objects, such as events.k8s.io events, which are stored as core events. */
export interface View {
  readonly fromStored: (object: JsonObject) => JsonObject;
  readonly toStored: (object: JsonObject) => JsonObject;
  /** What a new object, in its stored shape, must have beyond what the stored resource asks for. */
  readonly validateNew?: (object: JsonObject) => readonly FieldError[];
}

export interface Served {
  /** As requested; differs from the collection's own definition for a view. */
  readonly resource: ResourceDefinition;
  readonly version: string;
  readonly apiVersion: string;
  readonly collection: Collection;
  readonly view?: View;
}

export function presentObject(served: Served, entry: Entry): JsonObject {
  if (served.view !== undefined) return served.view.fromStored(entry.object);
  if (entry.object.apiVersion === served.apiVersion) return entry.object;
  return { ...entry.object, apiVersion: served.apiVersion };
}

export function presentJson(served: Served, entry: Entry): string {
  const stored = served.view === undefined && entry.object.apiVersion === served.apiVersion;
  return stored ? jsonOf(entry) : JSON.stringify(presentObject(served, entry));
}

/** An item of a list: built-in ones leave out kind and apiVersion. */
export function itemJson(served: Served, entry: Entry): string {
  const json = presentJson(served, entry);
  if (served.resource.custom) return json;
  const head = `{"kind":${JSON.stringify(served.resource.kind)},"apiVersion":${JSON.stringify(served.apiVersion)},`;
  return json.startsWith(head) ? `{${json.slice(head.length)}` : json;
}

/** PartialObjectMetadata of an object. */
export function partialJson(served: Served, entry: Entry, metaVersion: string): string {
  entry.metadataJson ??= JSON.stringify(presentObject(served, entry).metadata);
  return `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":${entry.metadataJson}}`;
}

export function storedApiVersion(served: Served): string {
  return apiVersionOf(served.collection.resource);
}
