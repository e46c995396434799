/**
 * Sets of fields, as managedFields hold them (FieldsV1): `f:name` a member of a map, `k:{...}` an item of a keyed list,
 * `v:...` an item of a set, `.` the container itself.
 */
import { equalJson, isObject, type JsonObject, list, own } from './json.ts';

export interface FieldNode {
  /** Whether the path itself belongs to the set. */
  member: boolean;
  readonly children: Map<string, FieldNode>;
}

export function emptySet(): FieldNode {
  return { member: false, children: new Map() };
}

export function isEmpty(node: FieldNode): boolean {
  return !node.member && [...node.children.values()].every(isEmpty);
}

function childOf(node: FieldNode, step: string): FieldNode {
  let found = node.children.get(step);
  if (found === undefined) {
    found = emptySet();
    node.children.set(step, found);
  }
  return found;
}

export function decodeFields(fields: unknown): FieldNode {
  const node = emptySet();
  if (!isObject(fields)) return node;
  for (const [step, value] of Object.entries(fields)) {
    if (step === '.') node.member = true;
    else node.children.set(step, decodeFields(value));
  }
  if (Object.keys(fields).length === 0) node.member = true;
  return node;
}

export function encodeFields(node: FieldNode): JsonObject {
  const fields: JsonObject = {};
  const steps = [...node.children].filter(([, value]) => !isEmpty(value));
  if (node.member && steps.length > 0) fields['.'] = {};
  for (const [step, value] of steps.sort(([a], [b]) => (a < b ? -1 : 1))) fields[step] = encodeFields(value);
  return fields;
}

export function union(a: FieldNode, b: FieldNode): FieldNode {
  const result: FieldNode = { member: a.member || b.member, children: new Map(a.children) };
  for (const [step, value] of b.children) {
    const other = result.children.get(step);
    result.children.set(step, other === undefined ? value : union(other, value));
  }
  return result;
}

/** What is in `a` and not in `b`. */
export function subtract(a: FieldNode, b: FieldNode): FieldNode {
  const result: FieldNode = { member: a.member && !b.member, children: new Map() };
  for (const [step, value] of a.children) {
    const other = b.children.get(step);
    const rest = other === undefined ? value : subtract(value, other);
    if (!isEmpty(rest)) result.children.set(step, rest);
  }
  return result;
}

export function intersect(a: FieldNode, b: FieldNode): FieldNode {
  const result: FieldNode = { member: a.member && b.member, children: new Map() };
  for (const [step, value] of a.children) {
    const other = b.children.get(step);
    const common = other === undefined ? undefined : intersect(value, other);
    if (common !== undefined && !isEmpty(common)) result.children.set(step, common);
  }
  return result;
}

/** Paths as conflicts name them: members of a level first, then what is below. */
export function pathsOf(node: FieldNode, prefix = ''): readonly string[] {
  const steps = [...node.children].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...steps.filter(([, value]) => value.member).map(([step]) => prefix + printStep(step)),
    ...steps.flatMap(([step, value]) => pathsOf(value, prefix + printStep(step))),
  ];
}

function printStep(step: string): string {
  const value = step.slice(2);
  if (step.startsWith('f:')) return `.${value}`;
  if (step.startsWith('v:')) return `[=${value}]`;
  const keys = Object.entries(JSON.parse(value) as JsonObject);
  return `[${keys.map(([key, item]) => `${key}=${JSON.stringify(item)}`).join(',')}]`;
}

/** What is known of a value: the part of its schema that says how it merges. */
export type Shape = JsonObject | undefined;

export function memberShape(shape: Shape, key: string): Shape {
  const properties = shape?.properties;
  const property = isObject(properties) ? own(properties, key) : undefined;
  if (isObject(property)) return property;
  const additional = shape?.additionalProperties;
  return isObject(additional) ? additional : undefined;
}

export function itemShape(shape: Shape): Shape {
  const items = shape?.items;
  return isObject(items) ? items : undefined;
}

/** The step of a list item; undefined for lists that are replaced as a whole. */
export function itemStep(shape: Shape): ((item: unknown) => string) | undefined {
  const keys = shape?.['x-kubernetes-list-map-keys'];
  if (shape?.['x-kubernetes-list-type'] === 'set') return (item) => `v:${JSON.stringify(item)}`;
  if (!Array.isArray(keys)) return undefined;
  return (item) => {
    const named = keys.filter((key) => isObject(item) && item[String(key)] !== undefined).sort();
    return `k:${JSON.stringify(Object.fromEntries(named.map((key) => [key, isObject(item) ? item[String(key)] : null])))}`;
  };
}

export function isAtomicMap(shape: Shape): boolean {
  return shape?.['x-kubernetes-map-type'] === 'atomic';
}

interface Member {
  readonly step: string;
  readonly value: unknown;
  readonly shape: Shape;
}

/** Members of a map or keyed list; undefined for leaves. */
function membersOf(value: unknown, shape: Shape): readonly Member[] | undefined {
  if (isObject(value)) {
    if (isAtomicMap(shape)) return undefined;
    return Object.entries(value).map(([key, item]) => ({
      step: `f:${key}`,
      value: item,
      shape: memberShape(shape, key),
    }));
  }
  const step = Array.isArray(value) ? itemStep(shape) : undefined;
  if (step === undefined) return undefined;
  return list(value).map((item) => ({ step: step(item), value: item, shape: itemShape(shape) }));
}

/** Whether sets hold the containers as such: an update owns the maps that it makes, an apply only what it names. */
export type Containers = 'with containers' | 'without containers';

/** Adds all fields of a value to a set. */
export function addFields(node: FieldNode, value: unknown, shape: Shape, containers: Containers): void {
  const members = membersOf(value, shape);
  if (members === undefined || members.length === 0) {
    node.member = true;
    return;
  }
  if (containers === 'with containers') node.member = true;
  for (const member of members) {
    const below = childOf(node, member.step);
    addFields(below, member.value, member.shape, containers);
    if (!member.step.startsWith('f:')) below.member = true;
  }
}

export interface Comparison {
  /** Added or changed. */
  readonly changed: FieldNode;
  readonly removed: FieldNode;
}

export function compare(before: unknown, after: unknown, shape: Shape): Comparison {
  const comparison = { changed: emptySet(), removed: emptySet() };
  compareInto(comparison, before, after, shape);
  return comparison;
}

function compareInto(comparison: Comparison, before: unknown, after: unknown, shape: Shape): void {
  if (equalJson(before, after)) return;
  const old = membersOf(before, shape);
  const next = membersOf(after, shape);
  if (old === undefined || next === undefined || isObject(before) !== isObject(after)) {
    addFields(comparison.changed, after, shape, 'with containers');
    return;
  }
  const known = new Map(old.map((member) => [member.step, member]));
  const kept = new Set<string>();
  for (const { step, value, shape: below } of next) {
    kept.add(step);
    const other = known.get(step);
    if (other === undefined) {
      const added = childOf(comparison.changed, step);
      addFields(added, value, below, 'with containers');
      if (!step.startsWith('f:')) added.member = true;
    } else {
      compareInto(
        { changed: childOf(comparison.changed, step), removed: childOf(comparison.removed, step) },
        other.value,
        value,
        below,
      );
    }
  }
  for (const { step, value, shape: below } of old) {
    if (kept.has(step)) continue;
    const gone = childOf(comparison.removed, step);
    addFields(gone, value, below, 'with containers');
    gone.member = true;
  }
}
