/** The part of Kubernetes JSONPath that printer columns use: keys, indices, `[*]` and `[?(@.key=="value")]`. */
import { isObject, own } from './json.ts';

type Step =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly value: string };

const token =
  /\.((?:[^.[\\]|\\.)+)|\[\s*(-?\d+)\s*\]|\[\s*(\*)\s*\]|\[\s*(['"])(.*?)\4\s*\]|\[\?\(\s*@((?:\.[\w-]+)+)\s*==\s*(['"])(.*?)\7\s*\)\]/gy;

const parsed = new Map<string, readonly Step[]>();

/** All values that the path finds, in order. */
export function evaluateJsonPath(value: unknown, path: string): readonly unknown[] {
  let steps = parsed.get(path);
  if (steps === undefined) {
    steps = parse(path);
    parsed.set(path, steps);
  }
  let found: readonly unknown[] = [value];
  for (const step of steps) found = found.flatMap((item) => take(item, step));
  return found;
}

function parse(path: string): readonly Step[] {
  return [...path.matchAll(token)].map(([, key, index, all, , quoted, filter, , value]): Step => {
    if (key !== undefined) return { kind: 'key', key: key.replaceAll(/\\(.)/g, '$1') };
    if (index !== undefined) return { kind: 'index', index: Number(index) };
    if (all !== undefined) return { kind: 'all' };
    if (filter !== undefined) return { kind: 'filter', path: filter.slice(1).split('.'), value: value ?? '' };
    return { kind: 'key', key: quoted ?? '' };
  });
}

function take(value: unknown, step: Step): readonly unknown[] {
  switch (step.kind) {
    case 'key': {
      const member = isObject(value) ? own(value, step.key) : undefined;
      return member === undefined ? [] : [member];
    }
    case 'index': {
      const element: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return element === undefined ? [] : [element];
    }
    case 'all':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case 'filter':
      return (Array.isArray(value) ? value : []).filter((element) => filtered(element, step.path) === step.value);
  }
}

function filtered(element: unknown, path: readonly string[]): string | undefined {
  let current: unknown = element;
  for (const key of path) current = isObject(current) ? own(current, key) : undefined;
  return current === undefined || current === null ? undefined : String(current);
}
