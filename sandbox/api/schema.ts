/** Structural schemas: unknown fields, pruning, defaults and validation, with the messages of kube-apiserver. */
import { cloneJson, equalJson, isObject, type JsonObject, list, own, put, text } from './json.ts';
import { type FieldError, fieldInvalid, fieldRequired, fieldUnsupported } from './status.ts';
import { metadataOrder } from './store.ts';

type Schema = JsonObject;

const preserve = 'x-kubernetes-preserve-unknown-fields';

/** Fields of ObjectMeta; what stands beside them is unknown. */
const metadataFields = new Set([...metadataOrder, 'selfLink']);

/** Removes what the schema does not know from a freshly decoded object and returns the paths of it. */
export function prune(schema: object | undefined, object: JsonObject): readonly string[] {
  const unknown: string[] = [];
  const metadata = object.metadata;
  if (isObject(metadata)) {
    for (const key of Object.keys(metadata)) {
      if (metadataFields.has(key)) continue;
      unknown.push(`metadata.${key}`);
      delete metadata[key];
    }
  }
  if (schema === undefined) return unknown;
  for (const key of Object.keys(object)) {
    if (key === 'apiVersion' || key === 'kind' || key === 'metadata') continue;
    pruneMember(schema as Schema, object, key, key, unknown);
  }
  return unknown;
}

function pruneValue(schema: Schema, value: unknown, path: string, unknown: string[]): void {
  if (Array.isArray(value)) {
    const items = schema.items;
    if (isObject(items))
      for (const [index, item] of value.entries()) pruneValue(items, item, `${path}[${index}]`, unknown);
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) pruneMember(schema, value, key, `${path}.${key}`, unknown);
  }
}

function pruneMember(schema: Schema, object: JsonObject, key: string, path: string, unknown: string[]): void {
  const member = memberSchema(schema, key);
  if (member === undefined) {
    if (!preserves(schema)) {
      unknown.push(path);
      delete object[key];
    }
  } else if (object[key] === null && member.nullable !== true) {
    delete object[key];
  } else if (member !== anySchema) {
    pruneValue(member, object[key], path, unknown);
  }
}

const anySchema: Schema = {};

function preserves(schema: Schema): boolean {
  return schema[preserve] === true || (schema.properties === undefined && schema.additionalProperties === undefined);
}

function memberSchema(schema: Schema, key: string): Schema | undefined {
  const properties = schema.properties;
  const property = isObject(properties) ? own(properties, key) : undefined;
  if (isObject(property)) return property;
  const additional = schema.additionalProperties;
  if (additional === true) return anySchema;
  return isObject(additional) ? additional : undefined;
}

/** Fills in defaults, in place. */
export function applyDefaults(schema: object | undefined, object: unknown): void {
  if (schema === undefined) return;
  const { properties, items, additionalProperties } = schema as Schema;
  if (Array.isArray(object)) {
    if (isObject(items)) for (const item of object) applyDefaults(items, item);
    return;
  }
  if (!isObject(object)) return;
  if (isObject(properties)) {
    for (const [key, member] of Object.entries(properties)) {
      if (!isObject(member)) continue;
      if (own(object, key) === undefined && member.default !== undefined) put(object, key, cloneJson(member.default));
      if (object[key] !== undefined) applyDefaults(member, object[key]);
    }
  }
  if (isObject(additionalProperties))
    for (const member of Object.values(object)) applyDefaults(additionalProperties, member);
}

/**
 * Errors of an object, all but metadata. Validation rules in CEL are not evaluated; where the schema has some and other
 * errors keep the real server from evaluating them, it says so, and so does this.
 */
export function validateObject(
  schema: object | undefined,
  object: JsonObject,
  before: readonly FieldError[],
): readonly FieldError[] {
  const errors: FieldError[] = [...before];
  if (schema !== undefined) validate(schema as Schema, object, '', errors);
  if (errors.some((error) => blocking.has(error.reason)) && schema !== undefined && hasRules(schema as Schema)) {
    errors.push({
      reason: 'FieldValueInvalid',
      field: '<nil>',
      message:
        'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
    });
  }
  return errors;
}

const blocking = new Set([
  'FieldValueRequired',
  'FieldValueTypeInvalid',
  'FieldValueNotSupported',
  'FieldValueTooLong',
  'FieldValueTooMany',
]);

const rulesKnown = new WeakMap<object, boolean>();

function hasRules(schema: Schema): boolean {
  let known = rulesKnown.get(schema);
  if (known === undefined) {
    known = JSON.stringify(schema).includes('"x-kubernetes-validations"');
    rulesKnown.set(schema, known);
  }
  return known;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function hasType(schema: Schema, value: unknown): boolean {
  if (schema['x-kubernetes-int-or-string'] === true) return typeof value === 'string' || Number.isInteger(value);
  const type = schema.type;
  if (type === undefined) return true;
  if (value === null) return schema.nullable === true;
  const actual = typeOf(value);
  return actual === type || (type === 'number' && actual === 'integer');
}

function validate(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (!hasType(schema, value)) {
    const actual = typeOf(value);
    errors.push({
      reason: 'FieldValueTypeInvalid',
      field: path,
      message: `Invalid value: "${actual}": ${path} in body must be of type ${String(schema.type)}: "${actual}"`,
    });
    return;
  }
  if (isObject(value)) validateMap(schema, value, path, errors);
  else if (Array.isArray(value)) validateList(schema, value, path, errors);
  else validateScalar(schema, value, path, errors);
}

function validateMap(schema: Schema, value: JsonObject, path: string, errors: FieldError[]): void {
  const prefix = path === '' ? '' : `${path}.`;
  for (const key of list(schema.required)) {
    if (typeof key === 'string' && own(value, key) === undefined) errors.push(fieldRequired(`${prefix}${key}`));
  }
  for (const [key, member] of Object.entries(value)) {
    if (path === '' && (key === 'metadata' || key === 'apiVersion' || key === 'kind')) continue;
    const known = memberSchema(schema, key);
    if (known !== undefined && known !== anySchema) validate(known, member, `${prefix}${key}`, errors);
  }
}

function validateList(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[]): void {
  const { items, maxItems } = schema;
  if (typeof maxItems === 'number' && value.length > maxItems) {
    const message = `Too many: ${value.length}: must have at most ${maxItems} items`;
    errors.push({ reason: 'FieldValueTooMany', field: path, message });
  }
  if (isObject(items)) for (const [index, item] of value.entries()) validate(items, item, `${path}[${index}]`, errors);
  const keys = schema['x-kubernetes-list-map-keys'];
  const identify = Array.isArray(keys)
    ? (item: unknown) => Object.fromEntries(keys.map((key) => [key, isObject(item) ? item[String(key)] : undefined]))
    : schema['x-kubernetes-list-type'] === 'set'
      ? (item: unknown) => item
      : undefined;
  if (identify === undefined) return;
  const seen: unknown[] = [];
  for (const [index, item] of value.entries()) {
    const identity = identify(item);
    if (seen.some((other) => equalJson(other, identity))) {
      const message = `Duplicate value: ${JSON.stringify(identity)}`;
      errors.push({ reason: 'FieldValueDuplicate', field: `${path}[${index}]`, message });
    } else {
      seen.push(identity);
    }
  }
}

function validateScalar(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  const allowed = schema.enum;
  if (Array.isArray(allowed) && !allowed.includes(value)) {
    errors.push(fieldUnsupported(path, value, allowed.map(String)));
  }
  if (typeof value === 'number') {
    const { minimum, maximum } = schema;
    if (typeof minimum === 'number' && value < minimum) {
      errors.push(fieldInvalid(path, value, `${path} in body should be greater than or equal to ${minimum}`));
    }
    if (typeof maximum === 'number' && value > maximum) {
      errors.push(fieldInvalid(path, value, `${path} in body should be less than or equal to ${maximum}`));
    }
  } else if (typeof value === 'string') {
    const { maxLength, minLength } = schema;
    const pattern = text(schema.pattern);
    if (typeof maxLength === 'number' && value.length > maxLength) {
      errors.push({
        reason: 'FieldValueTooLong',
        field: path,
        message: `Too long: may not be more than ${maxLength} bytes`,
      });
    } else if (typeof minLength === 'number' && value.length < minLength) {
      errors.push(fieldInvalid(path, value, `${path} in body should be at least ${minLength} chars long`));
    } else if (pattern !== undefined && !new RegExp(pattern).test(value)) {
      errors.push(fieldInvalid(path, value, `${path} in body should match '${pattern}'`));
    }
  }
}

const goTypes: Readonly<Record<string, string>> = { string: 'string', integer: 'int32', boolean: 'bool' };

/** How Go's decoder complains of the first wrong type in a built-in object; undefined where it does not. */
export function goTypeError(schema: object | undefined, kind: string, object: JsonObject): string | undefined {
  if (schema === undefined) return undefined;
  const { properties } = schema as Schema;
  for (const [key, member] of Object.entries(isObject(properties) ? properties : {})) {
    const found = isObject(member) ? goMismatch(member, own(object, key), `${kind}.${key}`) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function goMismatch(schema: Schema, value: unknown, path: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  const type = text(schema.type) ?? '';
  const actual = typeOf(value) === 'integer' ? 'number' : typeOf(value) === 'boolean' ? 'bool' : typeOf(value);
  const wanted = goTypes[type];
  if (wanted !== undefined) {
    const fits = hasType(schema, value);
    return fits ? undefined : `json: cannot unmarshal ${actual} into Go struct field ${path} of type ${wanted}`;
  }
  if (type !== 'object' || !isObject(value)) return undefined;
  const { properties, additionalProperties } = schema;
  for (const [key, member] of Object.entries(value)) {
    const known = isObject(properties) ? own(properties, key) : undefined;
    const found = isObject(known)
      ? goMismatch(known, member, `${path}.${key}`)
      : isObject(additionalProperties)
        ? goMismatch(additionalProperties, member, path)
        : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
