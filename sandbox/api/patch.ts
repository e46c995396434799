/**
 * JSON patch (RFC 6902) as the evanphx library of kube-apiserver does it, and JSON merge patch (RFC 7386). The library
 * is laxer than the RFC: `replace` of a missing map key succeeds, negative indices count from the end, `copy` of a
 * missing key and `add` without a value write null, and `test` of null passes on a missing key.
 */
import { cloneJson, equalJson, isObject, type JsonObject, own, put } from './json.ts';

interface PatchStep {
  readonly op?: unknown;
  readonly path?: unknown;
  readonly from?: unknown;
  readonly value?: unknown;
}

/** The patch does not fit the object; clients are told no more. */
export class PatchFailure extends Error {}

/** A number whose text is not how JSON prints its value (`4.0`): unequal to every stored one, as texts are compared. */
const oddNumber = Symbol('odd number');

/** Parses a JSON patch, keeping apart numbers that only differ in their text. */
export function parsePatchJson(source: string): unknown {
  if (!/\d[.eE]/.test(source)) return JSON.parse(source);
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && context?.source !== undefined && context.source !== String(value)
      ? Object.assign(Object(value), { [oddNumber]: true })
      : value;
  return JSON.parse(source, revive);
}

function plain(value: unknown): unknown {
  if (value instanceof Number) return value.valueOf();
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, member] of Object.entries(value)) put(copy, key, plain(member));
  return copy;
}

/** Applies the steps to a copy. Throws {@link PatchFailure}. */
export function applyJsonPatch(document: unknown, steps: readonly unknown[]): unknown {
  const root = { document: cloneJson(document) };
  for (const step of steps) applyStep(root, isObject(step) ? step : {});
  return root.document;
}

interface Root {
  document: unknown;
}

function applyStep(root: Root, step: PatchStep): void {
  const path = pointer(step.path);
  switch (step.op) {
    case 'add':
      add(root, path, plain(step.value ?? null));
      break;
    case 'remove':
      remove(root, path);
      break;
    case 'replace':
      replace(root, path, plain(step.value ?? null));
      break;
    case 'test':
      test(root, path, step.value ?? null);
      break;
    case 'copy':
      add(root, path, cloneJson(find(root, pointer(step.from)) ?? null));
      break;
    case 'move': {
      const from = pointer(step.from);
      const value = find(root, from);
      if (value === undefined) throw new PatchFailure('nothing to move');
      remove(root, from);
      add(root, path, value);
      break;
    }
    default:
      throw new PatchFailure('unknown operation');
  }
}

/** Keys of a pointer; `~2` is no escape and stays as it is. */
function pointer(path: unknown): readonly string[] {
  if (typeof path !== 'string') throw new PatchFailure('no path');
  if (path === '') return [];
  if (!path.startsWith('/')) throw new PatchFailure('a pointer starts with a slash');
  return path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function index(key: string, length: number): number {
  if (!/^-?\d+$/.test(key)) throw new PatchFailure('no index');
  const number = Number.parseInt(key, 10);
  const position = number < 0 ? number + length : number;
  if (position < 0) throw new PatchFailure('index out of range');
  return position;
}

function member(container: unknown, key: string): unknown {
  if (Array.isArray(container)) {
    const position = index(key, container.length);
    if (position >= container.length) throw new PatchFailure('index out of range');
    return container[position];
  }
  return isObject(container) ? own(container, key) : undefined;
}

function container(root: Root, path: readonly string[]): JsonObject | unknown[] {
  let current = root.document;
  for (const key of path.slice(0, -1)) current = member(current, key);
  if (Array.isArray(current) || isObject(current)) return current;
  throw new PatchFailure('missing parent');
}

function find(root: Root, path: readonly string[]): unknown {
  return path.length === 0 ? root.document : member(container(root, path), last(path));
}

function last(path: readonly string[]): string {
  return path.at(-1) ?? '';
}

function add(root: Root, path: readonly string[], value: unknown): void {
  if (path.length === 0) {
    root.document = value;
    return;
  }
  const parent = container(root, path);
  if (!Array.isArray(parent)) {
    put(parent, last(path), value);
  } else if (last(path) === '-') {
    parent.push(value);
  } else {
    const position = index(last(path), parent.length + 1);
    if (position > parent.length) throw new PatchFailure('index out of range');
    parent.splice(position, 0, value);
  }
}

function remove(root: Root, path: readonly string[]): void {
  if (path.length === 0) throw new PatchFailure('the root stays');
  const parent = container(root, path);
  if (Array.isArray(parent)) {
    const position = index(last(path), parent.length);
    if (position >= parent.length) throw new PatchFailure('index out of range');
    parent.splice(position, 1);
    return;
  }
  if (!Object.hasOwn(parent, last(path))) throw new PatchFailure('nothing to remove');
  delete parent[last(path)];
}

function replace(root: Root, path: readonly string[], value: unknown): void {
  if (path.length === 0) {
    root.document = value;
    return;
  }
  const parent = container(root, path);
  if (Array.isArray(parent)) {
    const position = index(last(path), parent.length);
    if (position >= parent.length) throw new PatchFailure('index out of range');
    parent[position] = value;
  } else {
    put(parent, last(path), value);
  }
}

function test(root: Root, path: readonly string[], value: unknown): void {
  const found = find(root, path);
  if (found === undefined ? value !== null : !equalJson(found, value)) throw new PatchFailure('the test failed');
}

/** Applies a JSON merge patch to a copy. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const result: JsonObject = isObject(document) ? { ...document } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else put(result, key, applyMergePatch(own(result, key), value));
  }
  return result;
}
