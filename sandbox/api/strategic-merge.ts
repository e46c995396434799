/** Strategic merge patch, as kubectl sends it for built-in resources: lists merge by a key, `$patch` deletes. */
import { cloneJson, equalJson, isObject, type JsonObject, own, put, text } from './json.ts';

/** Applies the patch to a copy; the schema says which lists merge. */
export function applyStrategicPatch(document: JsonObject, patch: JsonObject, schema: object | undefined): JsonObject {
  return mergeMap(document, patch, schema as JsonObject | undefined);
}

function mergeMap(document: JsonObject, patch: JsonObject, schema: JsonObject | undefined): JsonObject {
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  const result: JsonObject = { ...document };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    const member = memberSchema(schema, key);
    const before = own(result, key);
    if (value === null) delete result[key];
    else if (isObject(value)) put(result, key, mergeMap(isObject(before) ? before : {}, value, member));
    else if (Array.isArray(value)) put(result, key, mergeList(Array.isArray(before) ? before : [], value, member));
    else put(result, key, value);
  }
  for (const [key, order] of Object.entries(patch)) {
    if (Array.isArray(order)) applyListDirective(result, key, order, schema);
  }
  return result;
}

/** `$setElementOrder/KEY` and `$deleteFromPrimitiveList/KEY`, in place. */
function applyListDirective(
  result: JsonObject,
  directive: string,
  order: readonly unknown[],
  schema: JsonObject | undefined,
): void {
  const [, kind, key = ''] = /^\$(setElementOrder|deleteFromPrimitiveList)\/(.+)$/.exec(directive) ?? [];
  const current = own(result, key);
  if (kind === undefined || !Array.isArray(current)) return;
  const changed =
    kind === 'setElementOrder'
      ? reorder(current, order, mergeKey(memberSchema(schema, key)))
      : current.filter((item) => !order.includes(item));
  put(result, key, changed);
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$')));
}

function memberSchema(schema: JsonObject | undefined, key: string): JsonObject | undefined {
  const properties = schema?.properties;
  const member = isObject(properties) ? own(properties, key) : undefined;
  return isObject(member) ? member : undefined;
}

function mergeKey(schema: JsonObject | undefined): string | undefined {
  return schema?.['x-kubernetes-patch-strategy'] === 'merge' ? text(schema['x-kubernetes-patch-merge-key']) : undefined;
}

function mergeList(before: readonly unknown[], patch: readonly unknown[], schema: JsonObject | undefined): unknown[] {
  const key = mergeKey(schema);
  if (key === undefined) return cloneJson([...patch]);
  if (patch.some((item) => isObject(item) && item.$patch === 'replace')) {
    return patch.filter((item) => !(isObject(item) && item.$patch !== undefined));
  }
  const items = schema?.items;
  let result = [...before];
  for (const item of patch) {
    if (!isObject(item)) continue;
    const index = result.findIndex((other) => isObject(other) && equalJson(other[key], item[key]));
    const found = result[index];
    if (item.$patch === 'delete') result = result.filter((_, position) => position !== index);
    else if (isObject(found)) result[index] = mergeMap(found, item, isObject(items) ? items : undefined);
    else result.push(withoutDirectives(item));
  }
  return result;
}

/** Items in the order that the patch names; those it does not name keep their place after the rest. */
function reorder(current: readonly unknown[], order: readonly unknown[], key: string | undefined): unknown[] {
  const identity = (item: unknown): unknown => (key !== undefined && isObject(item) ? item[key] : item);
  const rank = (item: unknown): number => {
    const position = order.findIndex((wanted) => equalJson(identity(wanted), identity(item)));
    return position < 0 ? order.length : position;
  };
  return current
    .map((item, index) => ({ item, index, rank: rank(item) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ item }) => item);
}
