/** Server-side apply: merge by field, own what is named, give up what is no longer named, tell conflicts. */
import type { Buffer } from 'node:buffer';
import { decodeYamlObject } from './decode.ts';
import {
  emptySet,
  type FieldNode,
  intersect,
  isAtomicMap,
  isEmpty,
  itemShape,
  itemStep,
  memberShape,
  pathsOf,
  type Shape,
  subtract,
} from './field-set.ts';
import { cloneJson, isObject, type JsonObject, list, own, put, text } from './json.ts';
import {
  appliedFields,
  compareObjects,
  disown,
  isSameManager,
  type Manager,
  managersOf,
  setManagers,
  shapeOf,
  timeOf,
} from './managed-fields.ts';
import { metadataOf } from './object-meta.ts';
import { prune } from './schema.ts';
import { ApiError, badRequest, serverError } from './status.ts';
import { type Entry, keyOf } from './store.ts';
import { checkPlace, createObject, toStored, updateObject, type WriteContext, type WriteResult } from './writing.ts';

/** Applies a configuration to the object of that name, which it creates where there is none. Throws 400, 409, 422. */
export function applyObject(context: WriteContext, name: string, body: Buffer): WriteResult {
  const { served } = context;
  const applied = decodeApplied(context, name, body);
  const resource = served.collection.resource;
  const current = served.collection.entries.get(keyOf(resource, context.namespace ?? '', name));
  const fields = appliedFields(resource, applied);
  const self = {
    manager: context.options.fieldManager,
    operation: 'Apply',
    apiVersion: served.apiVersion,
    ...(context.subresource === undefined ? {} : { subresource: context.subresource }),
  } as const;
  if (current === undefined) {
    setManagers(applied, [{ ...self, time: timeOf(undefined, fields), fields }]);
    return createObject(context, applied, true);
  }
  const before = managersOf(current.object);
  const previous = before.find((manager) => isSameManager(manager, self));
  const others = before.filter((manager) => manager !== previous);
  const merged = mergedObject(context, current, applied, giveUp(previous, others, fields));
  const comparison = compareObjects(resource, current.object, merged);
  if (!context.options.force) refuseConflicts(others, comparison.changed);
  setManagers(merged, [...disown(others, comparison), { ...self, time: timeOf(previous, fields), fields }]);
  return updateObject(context, current, merged, true);
}

function decodeApplied(context: WriteContext, name: string, body: Buffer): JsonObject {
  const { served, subresource } = context;
  const applied = decodeYamlObject(body.toString('utf8'));
  const kind = text(applied.kind) ?? '';
  const apiVersion = text(applied.apiVersion) ?? '';
  if (kind !== served.resource.kind || apiVersion !== served.apiVersion) {
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/', 2) : ['', apiVersion];
    throw badRequest(`invalid object type: ${group}/${version}, Kind=${kind}`);
  }
  const metadata = metadataOf(applied);
  if (metadata.managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  checkPlace(context, applied, name);
  metadata.name = name;
  const [unknown] = prune(served.resource.schema, applied);
  if (unknown !== undefined) {
    const given = text(metadata.namespace) ?? '';
    throw serverError(
      `failed to create typed patch object (${given}/${name}; ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}): .${unknown}: field not declared in schema`,
    );
  }
  // A main resource leaves the status alone, and its status subresource all the rest.
  if (served.resource.statusSubresource) {
    if (subresource === undefined) delete applied.status;
    else
      for (const key of Object.keys(applied))
        if (!['apiVersion', 'kind', 'metadata', 'status'].includes(key)) delete applied[key];
  }
  return toStored(served, applied);
}

/** Fields that this manager named before and now no longer does, and that nobody else owns. */
function giveUp(previous: Manager | undefined, others: readonly Manager[], fields: FieldNode): FieldNode {
  let rest = subtract(previous?.fields ?? emptySet(), fields);
  for (const other of others) rest = subtract(rest, other.fields);
  return rest;
}

function mergedObject(context: WriteContext, current: Entry, applied: JsonObject, given: FieldNode): JsonObject {
  const shape = shapeOf(context.served.collection.resource);
  const { managedFields: _managedFields, ...appliedMetadata } = metadataOf(applied);
  const config = { ...applied, metadata: appliedMetadata };
  const merged = merge(cloneJson(current.object), config, shape) as JsonObject;
  return without(merged, given, shape) as JsonObject;
}

/** Merges an applied value into a live one. */
function merge(live: unknown, applied: unknown, shape: Shape): unknown {
  if (isObject(live) && isObject(applied) && !isAtomicMap(shape)) {
    const result: JsonObject = { ...live };
    for (const [key, value] of Object.entries(applied))
      put(result, key, merge(own(live, key), value, memberShape(shape, key)));
    return result;
  }
  const step = Array.isArray(live) && Array.isArray(applied) ? itemStep(shape) : undefined;
  if (step === undefined) return cloneJson(applied);
  const result = [...list(live)];
  for (const item of list(applied)) {
    const index = result.findIndex((other) => step(other) === step(item));
    if (index < 0) result.push(cloneJson(item));
    else result[index] = merge(result[index], item, itemShape(shape));
  }
  return result;
}

/** Takes fields out of a value; containers that become empty by it go too. */
function without(value: unknown, fields: FieldNode, shape: Shape): unknown {
  if (isObject(value)) {
    const result: JsonObject = {};
    for (const [key, member] of Object.entries(value)) {
      const below = fields.children.get(`f:${key}`);
      const rest = below === undefined ? member : reduced(member, below, memberShape(shape, key));
      if (rest !== undefined) put(result, key, rest);
    }
    return result;
  }
  const step = Array.isArray(value) ? itemStep(shape) : undefined;
  if (step === undefined) return value;
  return list(value)
    .map((item) => {
      const below = fields.children.get(step(item));
      return below === undefined ? item : reduced(item, below, itemShape(shape));
    })
    .filter((item) => item !== undefined);
}

/** Undefined where nothing of the value is left. */
function reduced(value: unknown, fields: FieldNode, shape: Shape): unknown {
  if (isEmpty(fields)) return value;
  if (fields.member) return undefined;
  const rest = without(value, fields, shape);
  const empty = Array.isArray(rest) ? rest.length === 0 : isObject(rest) && Object.keys(rest).length === 0;
  return empty ? undefined : rest;
}

function refuseConflicts(others: readonly Manager[], changed: FieldNode): void {
  const conflicts = others
    .map((manager) => ({ name: describe(manager), paths: pathsOf(intersect(manager.fields, changed)) }))
    .filter(({ paths }) => paths.length > 0);
  const causes = conflicts.flatMap(({ name, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${name}`, field })),
  );
  const [first] = causes;
  if (first === undefined) return;
  const told =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${first.message}: ${first.field}`
      : `Apply failed with ${causes.length} conflicts: ${conflicts
          .map(({ name, paths }) => `conflicts with ${name}:\n${paths.map((path) => `- ${path}`).join('\n')}`)
          .join('\n')}`;
  throw new ApiError(409, 'Conflict', told, { details: { causes } });
}

function describe({ manager, operation, apiVersion, subresource }: Manager): string {
  const by = operation === 'Update' ? ` using ${apiVersion}` : '';
  const part = subresource === undefined ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  return `${JSON.stringify(manager)}${part}${by}`;
}
