/** Rules of ObjectMeta: names, labels, annotations, owner references, finalizers, and what the server fills in. */
import { randomInt, randomUUID } from 'node:crypto';
import type { ResourceDefinition } from './contract.ts';
import { child, equalJson, isObject, type JsonObject, list, text } from './json.ts';
import { type FieldError, fieldForbidden, fieldInvalid, fieldRequired, fieldTooLong } from './status.ts';
import { timestamp } from './store.ts';

const label63 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const nameText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
export const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric " +
  "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const keyText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. " +
  "'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const valueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

export function isDnsLabel(value: string): boolean {
  return value.length <= 63 && label63.test(value);
}

/** The object's metadata; where it is missing, a fresh one is put in. */
export function metadataOf(object: JsonObject): JsonObject {
  const found = child(object, 'metadata');
  if (found !== undefined) return found;
  const fresh: JsonObject = {};
  object.metadata = fresh;
  return fresh;
}

const randomCharacters = 'bcdfghjklmnpqrstvwxz2456789';

/** Fills in what a create decides: name, uid, time. Values given for them are overwritten. */
export function prepareNewMetadata(
  resource: ResourceDefinition,
  metadata: JsonObject,
  namespace: string | undefined,
): void {
  const generateName = text(metadata.generateName) ?? '';
  if ((text(metadata.name) ?? '') === '' && generateName !== '') {
    let suffix = '';
    for (let index = 0; index < 5; index++) suffix += randomCharacters.charAt(randomInt(randomCharacters.length));
    metadata.name = generateName.slice(0, 58) + suffix;
  }
  if (resource.namespaced && namespace !== undefined) metadata.namespace = namespace;
  else delete metadata.namespace;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp();
  for (const key of [
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
    'resourceVersion',
    'managedFields',
  ]) {
    delete metadata[key];
  }
  tidy(metadata);
}

const systemFields = ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'];

/** Puts back what an update can't change. A uid stays as given, so that a wrong one can be told. */
export function prepareUpdatedMetadata(metadata: JsonObject, current: JsonObject): void {
  for (const key of systemFields) {
    if (key === 'uid' && (text(metadata.uid) ?? '') !== '') continue;
    if (current[key] === undefined) delete metadata[key];
    else metadata[key] = current[key];
  }
  delete metadata.selfLink;
  if (current.namespace !== undefined) metadata.namespace ??= current.namespace;
  tidy(metadata);
}

/** Go leaves out empty maps and lists, and reads a null string as an empty one. */
function tidy(metadata: JsonObject): void {
  for (const key of ['labels', 'annotations']) {
    const map = metadata[key];
    if (!isObject(map) || Object.keys(map).length === 0) delete metadata[key];
    else for (const [name, value] of Object.entries(map)) if (value === null) map[name] = '';
  }
  for (const key of ['finalizers', 'ownerReferences']) {
    const items = metadata[key];
    if (!Array.isArray(items) || items.length === 0) delete metadata[key];
  }
  if (metadata.generateName === '') delete metadata.generateName;
}

export function validateNewName(metadata: JsonObject): readonly FieldError[] {
  const name = text(metadata.name) ?? '';
  if (name === '') return [fieldRequired('metadata.name', 'name or generateName is required')];
  if (name.length > 253) return [fieldInvalid('metadata.name', name, 'must be no more than 253 characters')];
  return subdomain.test(name) ? [] : [fieldInvalid('metadata.name', name, nameText)];
}

const annotationsLimit = 256 * 1024;

/** Labels, annotations, owner references. */
export function validateMetadata(metadata: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(child(metadata, 'labels') ?? {})) {
    if (!isQualifiedName(key)) errors.push(fieldInvalid('metadata.labels', key, keyText));
    const label = String(value);
    if (label.length > 63) {
      errors.push(fieldInvalid('metadata.labels', label, 'must be no more than 63 bytes'));
    } else if (label !== '' && !qualifiedName.test(label)) {
      errors.push(fieldInvalid('metadata.labels', label, valueText));
    }
  }
  let size = 0;
  for (const [key, value] of Object.entries(child(metadata, 'annotations') ?? {})) {
    if (!isQualifiedName(key.toLowerCase())) errors.push(fieldInvalid('metadata.annotations', key, keyText));
    size += key.length + String(value).length;
  }
  if (size > annotationsLimit) errors.push(fieldTooLong('metadata.annotations', annotationsLimit));
  for (const owner of list(metadata.ownerReferences)) {
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      const value = isObject(owner) ? (text(owner[key]) ?? '') : '';
      if (value === '') errors.push(fieldInvalid(`metadata.ownerReferences.${key}`, '', 'must not be empty'));
    }
  }
  return errors;
}

function isQualifiedName(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (name.length > 63 || !qualifiedName.test(name)) return false;
  return slash < 0 || subdomain.test(key.slice(0, slash));
}

/** What an update of metadata may not do. */
export function validateMetadataUpdate(metadata: JsonObject, current: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (current.deletionTimestamp !== undefined) {
    const had = new Set(list(current.finalizers));
    const added = list(metadata.finalizers).filter((finalizer) => !had.has(finalizer));
    if (added.length > 0) {
      const found = `[]string{${added.map((finalizer) => JSON.stringify(finalizer)).join(', ')}}`;
      errors.push(
        fieldForbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers ${found}`,
        ),
      );
    }
  }
  if (!equalJson(metadata.uid, current.uid)) {
    errors.push(fieldInvalid('metadata.uid', metadata.uid, 'field is immutable'));
  }
  return errors;
}

/** Warnings about finalizers without a domain, told only where they are new. */
export function finalizerWarnings(metadata: JsonObject, current: JsonObject | undefined): readonly string[] {
  const had = new Set(list(current?.finalizers));
  return list(metadata.finalizers)
    .filter((finalizer) => typeof finalizer === 'string' && !finalizer.includes('/') && !had.has(finalizer))
    .filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion')
    .map(
      (finalizer) =>
        `metadata.finalizers: ${JSON.stringify(finalizer)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
    );
}
