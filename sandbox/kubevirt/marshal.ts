/**
 * What virt-api's mutating webhooks do to JSON by reading it into typed values and writing them again: fields of a
 * wrong type are refused, unknown and empty ones vanish. The types are those of the schemas.
 */
import { type Fields, fields } from '../../reconcile/systems/json-shape.ts';
import type { Schema } from './schema.ts';

/** Plain booleans and numbers that are written only where they say something; others are optional and stay. */
const zeroVanishes: ReadonlySet<string> = new Set([
  'default',
  'readonly',
  'disableHotplug',
  'dedicatedCpuPlacement',
  'isolateEmulatorThread',
  'overcommitGuestOverhead',
  'acpiIndex',
  'cores',
  'sockets',
  'maxSockets',
  'threads',
]);

/** Faults of type, each as the webhook words it; list indexes are not told. */
export function typeFaults(value: unknown, schema: Schema, path: string): readonly string[] {
  if (value === null || value === undefined) return [];
  const found = typeName(value);
  if (!accepts(schema, found, value)) return [`${path} in body must be of type ${schema.type}: "${found}"`];
  if (Array.isArray(value)) return value.flatMap((item) => (schema.items ? typeFaults(item, schema.items, path) : []));
  const entries = Object.entries(found === 'object' ? fields(value) : {});
  return entries.flatMap(([key, entry]) => {
    const inner = schema.properties?.[key] ?? schema.additionalProperties;
    return inner ? typeFaults(entry, inner, `${path}.${key}`) : [];
  });
}

function typeName(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}

function accepts(schema: Schema, found: string, value: unknown): boolean {
  if (schema.type === undefined) return true;
  if (schema.type === 'integer') return found === 'number' && Number.isInteger(value);
  return schema.type === found;
}

/** The value as it is written again; undefined where nothing is left of it. */
export function remarshal(value: unknown, schema: Schema, required = false): unknown {
  if (value === null || value === undefined) return required && schema.type === 'string' ? '' : undefined;
  if (Array.isArray(value)) {
    if (value.length === 0 && !required) return undefined;
    return value.map((item) => (schema.items ? (remarshal(item, schema.items, true) ?? null) : item));
  }
  if (typeof value === 'string') return value === '' && !required ? undefined : value;
  if (typeof value !== 'object') return value;
  return remarshalObject(fields(value), schema);
}

function remarshalObject(value: Fields, schema: Schema): Fields {
  const { properties } = schema;
  if (!properties) return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null));
  const written: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(properties)) {
    const required = schema.required?.includes(key) ?? false;
    const entry = remarshal(value[key], inner, required);
    if (entry === undefined) continue;
    if (!required && zeroVanishes.has(key) && (entry === false || entry === 0)) continue;
    written[key] = entry;
  }
  return written;
}
