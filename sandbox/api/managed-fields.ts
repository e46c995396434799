/** managedFields: who wrote which fields, for updates and for server-side apply. */
import type { ResourceDefinition } from './contract.ts';
import {
  addFields,
  type Comparison,
  compare,
  decodeFields,
  emptySet,
  encodeFields,
  type FieldNode,
  intersect,
  isEmpty,
  type Shape,
  subtract,
  union,
} from './field-set.ts';
import { child, equalJson, isObject, type JsonObject, list, text } from './json.ts';
import { metadataOf } from './object-meta.ts';
import { timestamp } from './store.ts';

export interface Manager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource?: string;
  readonly time: string;
  readonly fields: FieldNode;
}

/** Fields of metadata that nobody owns. */
const ownerless = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
]);

const metadataShape: JsonObject = {
  properties: {
    finalizers: { 'x-kubernetes-list-type': 'set' },
    ownerReferences: { 'x-kubernetes-list-map-keys': ['uid'] },
  },
};

const shapes = new WeakMap<ResourceDefinition, JsonObject>();

/** The schema with what it leaves unsaid of metadata. */
export function shapeOf(resource: ResourceDefinition): Shape {
  let shape = shapes.get(resource);
  if (shape === undefined) {
    const schema = (resource.schema ?? {}) as JsonObject;
    const properties = schema.properties;
    shape = { ...schema, properties: { ...(isObject(properties) ? properties : {}), metadata: metadataShape } };
    shapes.set(resource, shape);
  }
  return shape;
}

/** The part of an object that can be owned. */
function ownable(object: JsonObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object;
  const named = Object.entries(isObject(metadata) ? metadata : {}).filter(([key]) => !ownerless.has(key));
  return named.length === 0 ? rest : { ...rest, metadata: Object.fromEntries(named) };
}

export function managersOf(object: JsonObject | undefined): readonly Manager[] {
  return list(child(object, 'metadata')?.managedFields)
    .filter(isObject)
    .map((entry) => {
      const subresource = text(entry.subresource);
      return {
        manager: text(entry.manager) ?? '',
        operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
        apiVersion: text(entry.apiVersion) ?? '',
        time: text(entry.time) ?? '',
        fields: decodeFields(entry.fieldsV1),
        ...(subresource === undefined ? {} : { subresource }),
      };
    });
}

export function setManagers(object: JsonObject, managers: readonly Manager[]): void {
  const metadata = metadataOf(object);
  const kept = managers.filter((manager) => !isEmpty(manager.fields));
  if (kept.length === 0) delete metadata.managedFields;
  else metadata.managedFields = [...kept].sort(byAge).map(encodeManager);
}

/** Applies come first, then the older entries. */
function byAge(a: Manager, b: Manager): number {
  if (a.operation !== b.operation) return a.operation === 'Apply' ? -1 : 1;
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.manager < b.manager ? -1 : a.manager > b.manager ? 1 : 0;
}

function encodeManager(manager: Manager): JsonObject {
  const { subresource } = manager;
  return {
    manager: manager.manager,
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    time: manager.time,
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(manager.fields),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

export function isSameManager(a: Omit<Manager, 'fields' | 'time'>, b: Omit<Manager, 'fields' | 'time'>): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/**
 * Compares two states of an object. Structs of built-in objects are always there, so nobody owns them; metadata
 * belongs to no one either.
 */
export function compareObjects(
  resource: ResourceDefinition,
  before: JsonObject | undefined,
  after: JsonObject,
): Comparison {
  const comparison = compare(before === undefined ? {} : ownable(before), ownable(after), shapeOf(resource));
  const ownerlessSteps = resource.custom ? ['f:metadata'] : ['f:metadata', 'f:spec', 'f:status'];
  for (const set of [comparison.changed, comparison.removed]) {
    set.member = false;
    for (const step of ownerlessSteps) {
      const node = set.children.get(step);
      if (node !== undefined) node.member = false;
    }
  }
  return comparison;
}

/** Takes changed and removed fields away from managers: whoever writes a field last owns it. */
export function disown(managers: readonly Manager[], { changed, removed }: Comparison): readonly Manager[] {
  return managers.map((manager) => ({
    ...manager,
    fields: subtract(subtract(manager.fields, intersect(manager.fields, changed)), removed),
  }));
}

/** Records in `next`, in place, what a create or update by `manager` wrote. */
export function trackUpdate(
  resource: ResourceDefinition,
  current: JsonObject | undefined,
  next: JsonObject,
  manager: string,
  apiVersion: string,
  subresource: string | undefined,
): void {
  const before = managersOf(current);
  const comparison = compareObjects(resource, current, next);
  if (isEmpty(comparison.changed) && isEmpty(comparison.removed)) {
    setEntries(next, child(current, 'metadata')?.managedFields);
    return;
  }
  const self = {
    manager,
    operation: 'Update',
    apiVersion,
    ...(subresource === undefined ? {} : { subresource }),
  } as const;
  const own = before.find((other) => isSameManager(other, self));
  const others = disown(
    before.filter((other) => other !== own),
    comparison,
  );
  const fields = subtract(union(own?.fields ?? emptySet(), comparison.changed), comparison.removed);
  setManagers(next, [...others, { ...self, time: timestamp(), fields }]);
}

function setEntries(object: JsonObject, entries: unknown): void {
  const metadata = metadataOf(object);
  if (entries === undefined) delete metadata.managedFields;
  else metadata.managedFields = entries;
}

/** The fields that an applied configuration names. */
export function appliedFields(resource: ResourceDefinition, applied: JsonObject): FieldNode {
  const fields = emptySet();
  const part = ownable(applied);
  if (Object.keys(part).length > 0) addFields(fields, part, shapeOf(resource), 'without containers');
  fields.member = false;
  const metadata = fields.children.get('f:metadata');
  if (metadata !== undefined) metadata.member = false;
  return fields;
}

/** Keeps the time of an entry whose fields stay the same, so that applying again changes nothing. */
export function timeOf(previous: Manager | undefined, fields: FieldNode): string {
  const same = previous !== undefined && equalJson(encodeFields(previous.fields), encodeFields(fields));
  return same ? previous.time : timestamp();
}
