/** Create, update, patch and delete: what kube-apiserver does between decoding a request and storing the object. */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { builtinRules } from './builtin-rules.ts';
import type { AdmissionDenial, AdmissionHook, AdmissionRequest } from './contract.ts';
import { child, cloneJson, equalJson, type JsonObject, list, text } from './json.ts';
import { trackUpdate } from './managed-fields.ts';
import { microTimeError } from './micro-time.ts';
import {
  finalizerWarnings,
  metadataOf,
  prepareNewMetadata,
  prepareUpdatedMetadata,
  validateMetadata,
  validateMetadataUpdate,
  validateNewName,
} from './object-meta.ts';
import { applyDefaults, goTypeError, prune, validateObject } from './schema.ts';
import { type Served, storedApiVersion } from './served.ts';
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  type FieldError,
  fieldInvalid,
  invalid,
  notFound,
  serverError,
} from './status.ts';
import { type Entry, entryOf, keyOf, type MemoryStore, timestamp } from './store.ts';
import type { WriteOptions } from './write-options.ts';

/** One write, with all that its steps need to know. */
export interface WriteContext {
  readonly store: MemoryStore;
  readonly hooks: readonly AdmissionHook[];
  readonly served: Served;
  readonly namespace?: string;
  readonly subresource?: string;
  readonly user: string;
  readonly options: WriteOptions;
  /** Texts for Warning headers; the steps add to it. */
  readonly warnings: string[];
}

export interface WriteResult {
  readonly entry: Entry;
  readonly created: boolean;
}

/** Largest object that etcd takes. */
const etcdLimit = 1.5 * 1024 * 1024;

/** Checks kind, version and fields of a decoded body and brings it into the stored shape. Throws 400 or 422. */
export function admitBody(context: WriteContext, body: JsonObject): JsonObject {
  const { served, options } = context;
  const { resource } = served;
  const kind = text(body.kind) ?? '';
  const apiVersion = text(body.apiVersion) ?? '';
  const handled = `${resource.kind} in version ${JSON.stringify(served.version)} cannot be handled as a ${resource.kind}: `;
  if (resource.custom) {
    if (kind !== resource.kind) {
      const name = text(metadataOf(body).name) ?? '';
      throw invalid({ group: resource.group, kind }, name, [fieldInvalid('kind', kind, `must be ${resource.kind}`)]);
    }
    if (apiVersion !== served.apiVersion) {
      throw badRequest(
        `the API version in the data (${apiVersion}) does not match the expected API version (${served.apiVersion})`,
      );
    }
  } else {
    if (kind !== '' && kind !== resource.kind) {
      throw badRequest(
        `${kind} in version ${JSON.stringify(served.version)} cannot be handled as a ${resource.kind}: converting ` +
          `(${served.version}.${kind}) to (${internalGroup(resource.group)}.${resource.kind}): unknown conversion`,
      );
    }
    if (apiVersion !== '' && apiVersion !== served.apiVersion) {
      throw badRequest(
        `${handled}no kind ${JSON.stringify(resource.kind)} is registered for version ${JSON.stringify(apiVersion)} in ` +
          'scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"',
      );
    }
    const mismatch = goTypeError(resource.schema, resource.kind, body) ?? microTimeError(resource.plural, body);
    if (mismatch !== undefined) throw badRequest(handled + mismatch);
  }
  const unknown = prune(resource.schema, body);
  if (unknown.length > 0 && options.fieldValidation !== 'Ignore') {
    const texts = unknown.map((field) => `unknown field ${JSON.stringify(field)}`);
    if (options.fieldValidation === 'Strict') throw badRequest(`${handled}strict decoding error: ${texts.join(', ')}`);
    context.warnings.push(...texts);
  }
  return toStored(served, body);
}

/** The stored shape of a decoded object. */
export function toStored(served: Served, object: JsonObject): JsonObject {
  const stored = served.view === undefined ? object : served.view.toStored(object);
  stored.kind = served.collection.resource.kind;
  stored.apiVersion = storedApiVersion(served);
  metadataOf(stored);
  return stored;
}

function internalGroup(group: string): string {
  return group === '' ? 'core' : (group.split('.')[0] ?? group);
}

/** Namespace and name of the body against those of the URL. Throws 400. */
export function checkPlace(context: WriteContext, object: JsonObject, name: string | undefined): void {
  const metadata = metadataOf(object);
  const namespace = text(metadata.namespace) ?? '';
  if (context.served.resource.namespaced && namespace !== '' && namespace !== context.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const given = text(metadata.name) ?? '';
  if (name !== undefined && given !== '' && given !== name) {
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  }
}

/** Stores a new object; `stored` comes from {@link admitBody} and is owned from here on. */
export function createObject(context: WriteContext, stored: JsonObject, applied = false): WriteResult {
  const { store, served, options } = context;
  const { resource } = served.collection;
  const metadata = metadataOf(stored);
  const givenVersion = text(metadata.resourceVersion) ?? '';
  const managed = metadata.managedFields;
  prepareNewMetadata(resource, metadata, context.namespace);
  requireNamespace(context);
  if (resource.statusSubresource && resource.custom) delete stored.status;
  applyDefaults(resource.schema, stored);
  const rules = builtinRules(resource);
  rules?.create?.(stored);
  if (resource.custom || rules?.generation === true) metadata.generation = 1;
  const object = mutate(context, 'CREATE', stored, undefined);
  const finalMetadata = metadataOf(object);
  const errors = validateObject(resource.custom ? resource.schema : undefined, object, [
    ...validateNewName(finalMetadata),
    ...validateMetadata(finalMetadata),
    ...(rules?.validate?.(object, undefined) ?? []),
    ...(served.view?.validateNew?.(object) ?? []),
  ]);
  const name = text(finalMetadata.name) ?? '';
  if (errors.length > 0) throw invalid(served.collection.resource, name, errors);
  validateByHooks(context, 'CREATE', object, undefined);
  context.warnings.push(...finalizerWarnings(finalMetadata, undefined));
  if (givenVersion !== '') throw serverError('resourceVersion should not be set on objects to be created');
  const key = keyOf(resource, context.namespace ?? '', name);
  const existing = served.collection.entries.get(key);
  if (existing !== undefined) {
    throw alreadyExists(resource, name, child(existing.object, 'metadata')?.deletionTimestamp !== undefined);
  }
  if (applied) finalMetadata.managedFields = managed;
  else trackUpdate(resource, undefined, object, options.fieldManager, served.apiVersion, undefined);
  checkSize(object);
  if (options.dryRun) return { entry: dryEntry(context, object, undefined), created: true };
  return { entry: store.write(served.collection, object), created: true };
}

function checkSize(object: JsonObject): void {
  if (JSON.stringify(object).length > etcdLimit) throw serverError('etcdserver: request is too large');
}

/** What a dry run answers with: the object, with the resourceVersion that it has so far, if any. */
function dryEntry(context: WriteContext, object: JsonObject, current: Entry | undefined): Entry {
  const entry = entryOf(context.served.collection.resource, object, current?.revision ?? 0);
  if (current === undefined) delete metadataOf(entry.object).resourceVersion;
  return entry;
}

function requireNamespace(context: WriteContext): void {
  const { store, namespace, served } = context;
  if (!served.resource.namespaced || namespace === undefined) return;
  const found = store.get('', 'namespaces', undefined, namespace);
  if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (found.metadata.deletionTimestamp !== undefined) {
    throw new ApiError(
      403,
      'Forbidden',
      `${served.resource.plural} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      {
        details: {
          kind: served.resource.plural,
          causes: [
            {
              reason: 'NamespaceTerminating',
              message: `namespace ${namespace} is being terminated`,
              field: 'metadata.namespace',
            },
          ],
        },
      },
    );
  }
}

/** The stored object of that name. Throws 404. */
export function findEntry(context: Pick<WriteContext, 'served' | 'namespace'>, name: string): Entry {
  const { served, namespace } = context;
  const entry = served.collection.entries.get(keyOf(served.resource, namespace ?? '', name));
  if (entry === undefined) throw notFound(served.resource, name);
  return entry;
}

/** A PUT: the body carries its own precondition. */
export function replaceObject(context: WriteContext, current: Entry, stored: JsonObject): WriteResult {
  const { resource } = context.served;
  const metadata = metadataOf(stored);
  metadata.name ??= current.name;
  const uid = text(metadata.uid) ?? '';
  const currentUid = text(child(current.object, 'metadata')?.uid) ?? '';
  if (uid !== '' && uid !== currentUid) {
    const group = resource.group === '' ? '' : `${resource.group}/`;
    throw conflict(
      resource,
      current.name,
      `StorageError: invalid object, Code: 4, Key: /registry/${group}${resource.plural}/${current.key}, ResourceVersion: 0, ` +
        `AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`,
    );
  }
  return updateObject(context, current, stored);
}

function checkVersion(context: WriteContext, current: Entry, metadata: JsonObject): void {
  const { resource } = context.served;
  const given = text(metadata.resourceVersion) ?? '';
  if (given === '' || given === '0') {
    if (!resource.custom) return;
    throw invalid({ group: resource.group, kind: resource.plural }, current.name, [
      fieldInvalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  if (!/^\d+$/.test(given)) throw serverError(`strconv.ParseUint: parsing ${JSON.stringify(given)}: invalid syntax`);
  if (given !== String(current.revision)) throw conflict(resource, current.name);
}

/** Stores `next` over `current`; `next` is owned from here on. */
export function updateObject(context: WriteContext, current: Entry, next: JsonObject, applied = false): WriteResult {
  const { served, options } = context;
  const { resource } = served.collection;
  const rules = builtinRules(resource);
  const currentMetadata = child(current.object, 'metadata') ?? {};
  checkVersion(context, current, metadataOf(next));
  const prepared = confine(context, current.object, next);
  prepareUpdatedMetadata(metadataOf(prepared), currentMetadata);
  applyDefaults(resource.schema, prepared);
  rules?.update?.(prepared, current.object);
  if (currentMetadata.generation !== undefined && specChanged(resource.statusSubresource, current.object, prepared)) {
    metadataOf(prepared).generation = Number(currentMetadata.generation) + 1;
  }
  const object = mutate(context, 'UPDATE', prepared, current.object);
  const metadata = metadataOf(object);
  const errors = updateErrors(context, object, current.object);
  if (errors.length > 0) throw invalid(resource, current.name, errors);
  validateByHooks(context, 'UPDATE', object, current.object);
  context.warnings.push(...finalizerWarnings(metadata, currentMetadata));
  if (!applied) {
    trackUpdate(resource, current.object, object, options.fieldManager, served.apiVersion, context.subresource);
  }
  checkSize(object);
  metadata.resourceVersion = String(current.revision);
  if (equalJson(object, current.object)) return { entry: current, created: false };
  if (options.dryRun) return { entry: dryEntry(context, object, current), created: false };
  const done =
    metadata.deletionTimestamp !== undefined &&
    list(metadata.finalizers).length === 0 &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0;
  const entry = done
    ? context.store.remove(served.collection, current.key, object)
    : context.store.write(served.collection, object);
  return { entry, created: false };
}

function updateErrors(context: WriteContext, object: JsonObject, current: JsonObject): readonly FieldError[] {
  const { resource } = context.served.collection;
  const metadata = metadataOf(object);
  const own = validateMetadata(metadata);
  const moved = validateMetadataUpdate(metadata, child(current, 'metadata') ?? {});
  // Custom resources pass through the same checks several times, and each time leaves its causes.
  const meta = resource.custom ? [...own, ...moved, ...own, ...moved, ...own] : [...own, ...moved];
  return validateObject(resource.custom ? resource.schema : undefined, object, [
    ...meta,
    ...(builtinRules(resource)?.validate?.(object, current) ?? []),
  ]);
}

/** A status update changes the status alone, any other update all but the status. */
function confine(context: WriteContext, current: JsonObject, next: JsonObject): JsonObject {
  const { resource } = context.served.collection;
  if (!resource.statusSubresource) return next;
  if (context.subresource === 'status') {
    if (resource.custom) {
      const only: JsonObject = cloneJson({ ...current, status: next.status });
      if (only.status === undefined) delete only.status;
      const managed = child(next, 'metadata')?.managedFields;
      if (managed !== undefined) metadataOf(only).managedFields = managed;
      return only;
    }
    return { ...next, spec: cloneJson(current.spec) };
  }
  const kept: JsonObject = { ...next };
  if (current.status === undefined) delete kept.status;
  else kept.status = cloneJson(current.status);
  return kept;
}

function specChanged(statusSubresource: boolean, current: JsonObject, next: JsonObject): boolean {
  const keys = new Set([...Object.keys(current), ...Object.keys(next)]);
  keys.delete('metadata');
  if (statusSubresource) keys.delete('status');
  return [...keys].some((key) => !equalJson(current[key], next[key]));
}

function hooksFor(context: WriteContext): readonly AdmissionHook[] {
  const { group, plural } = context.served.collection.resource;
  return context.hooks.filter((hook) => hook.group === group && hook.plural === plural);
}

function admissionRequest(
  context: WriteContext,
  operation: AdmissionRequest['operation'],
  object: JsonObject | undefined,
  oldObject: JsonObject | undefined,
): AdmissionRequest {
  const { served, namespace, subresource, user, options } = context;
  return {
    operation,
    resource: served.collection.resource,
    name: text(child(object ?? oldObject, 'metadata')?.name) ?? '',
    user,
    dryRun: options.dryRun,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(object === undefined ? {} : { object: object as unknown as KubeObject }),
    ...(oldObject === undefined ? {} : { oldObject: oldObject as unknown as KubeObject }),
  };
}

function mutate(
  context: WriteContext,
  operation: 'CREATE' | 'UPDATE',
  object: JsonObject,
  oldObject: JsonObject | undefined,
): JsonObject {
  let mutated = object;
  for (const hook of hooksFor(context)) {
    throwDenial(hook.refuse?.(admissionRequest(context, operation, mutated, oldObject)));
    if (hook.mutate === undefined) continue;
    const answer = hook.mutate(admissionRequest(context, operation, mutated, oldObject));
    mutated = { ...answer, metadata: { ...answer.metadata } };
  }
  return mutated;
}

/** Throws what a hook refuses with, as the API server passes it on. */
export function validateByHooks(
  context: WriteContext,
  operation: AdmissionRequest['operation'],
  object: JsonObject | undefined,
  oldObject: JsonObject | undefined,
): void {
  for (const hook of hooksFor(context)) {
    throwDenial(hook.validate?.(admissionRequest(context, operation, object, oldObject)));
  }
}

function throwDenial(denial: AdmissionDenial | undefined): void {
  if (denial === undefined) return;
  throw new ApiError(denial.code, denial.reason, denial.message, {
    ...(denial.causes === undefined ? {} : { details: { causes: denial.causes } }),
  });
}

/** Marks an object as being deleted; generation rises, as the desired state has changed. */
export function markDeleted(object: JsonObject, graceSeconds: number): JsonObject {
  const metadata: JsonObject = { ...child(object, 'metadata') };
  metadata.deletionTimestamp = timestamp(new Date(Date.now() + graceSeconds * 1000));
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (typeof metadata.generation === 'number') metadata.generation += 1;
  return { ...object, metadata };
}
