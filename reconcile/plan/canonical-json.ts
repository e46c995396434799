/** JSON with sorted keys: equal values have equal bytes, and so one digest. */
import { createHash } from 'node:crypto';
import type { Json } from '../vocabulary.ts';

/** The value with the keys of every object sorted by code units. */
export function sortKeys(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(sortKeys);
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sortKeys(value[key] ?? null)]));
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

/** `sha256:` and the hex digest of the canonical form. */
export function digestOf(value: Json): string {
  return `sha256:${createHash('sha256')
    .update(JSON.stringify(sortKeys(value)))
    .digest('hex')}`;
}
