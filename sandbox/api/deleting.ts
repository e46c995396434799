/** DELETE of one object or of a collection. */
import type { Buffer } from 'node:buffer';
import { builtinRules } from './builtin-rules.ts';
import { at, child, isObject, type JsonObject, list, text } from './json.ts';
import {
  badRequest,
  deleteConflict,
  type FieldError,
  fieldInvalid,
  fieldUnsupported,
  invalidOptions,
} from './status.ts';
import type { Entry } from './store.ts';
import { markDeleted, validateByHooks, type WriteContext } from './writing.ts';

export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly graceSeconds?: number;
  readonly foreground: boolean;
  readonly dryRun: boolean;
}

const policies = ['Foreground', 'Background', 'Orphan'];

/** Options from the body, else from the query. Throws 400 or 422. */
export function parseDeleteOptions(body: Buffer, query: URLSearchParams): DeleteOptions {
  const given = decodeOptions(body);
  const policy = text(given.propagationPolicy) ?? query.get('propagationPolicy') ?? '';
  const orphan = given.orphanDependents ?? query.get('orphanDependents');
  const errors: FieldError[] = [];
  if (policy !== '' && orphan !== null && orphan !== undefined) {
    errors.push(
      fieldInvalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'),
    );
  } else if (policy !== '' && !policies.includes(policy)) {
    errors.push(fieldUnsupported('propagationPolicy', policy, [...policies, 'nil']));
  }
  const dryRun = [...list(given.dryRun), ...query.getAll('dryRun')].filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All')) errors.push(fieldUnsupported('dryRun', dryRun, ['All']));
  if (errors.length > 0) throw invalidOptions('DeleteOptions', errors);
  const grace = given.gracePeriodSeconds ?? query.get('gracePeriodSeconds');
  const uid = text(at(given, 'preconditions', 'uid'));
  const resourceVersion = text(at(given, 'preconditions', 'resourceVersion'));
  return {
    foreground: policy === 'Foreground',
    dryRun: dryRun.length > 0,
    ...(grace === null || grace === undefined ? {} : { graceSeconds: Math.trunc(Number(grace)) }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

function decodeOptions(body: Buffer): JsonObject {
  if (body.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw badRequest('the body of the request is no DeleteOptions');
  }
  if (!isObject(value)) return {};
  const kind = text(value.kind) ?? 'DeleteOptions';
  if (kind !== 'DeleteOptions') {
    throw badRequest(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(value.apiVersion ?? '')} in scheme ` +
        '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"',
    );
  }
  return value;
}

export interface DeleteResult {
  readonly entry: Entry;
  /** Gone, or marked and waiting for finalizers or for its grace to end. */
  readonly gone: boolean;
}

/** Deletes or marks an object. Throws 409 where a precondition fails. */
export function deleteObject(context: WriteContext, current: Entry, options: DeleteOptions): DeleteResult {
  const { served, store } = context;
  checkPreconditions(context, current, options);
  validateByHooks(context, 'DELETE', undefined, current.object);
  const metadata = child(current.object, 'metadata') ?? {};
  const grace = graceOf(served.collection.resource.plural, current.object, options);
  const finalizers = [...list(metadata.finalizers)];
  const marked = metadata.deletionTimestamp !== undefined;
  if (options.foreground && !marked) finalizers.push('foregroundDeletion');
  if (finalizers.length > 0 || grace > 0) {
    const remaining = Number(metadata.deletionGracePeriodSeconds ?? 0);
    if (marked && grace >= remaining) return { entry: current, gone: false };
    if (options.dryRun) return { entry: current, gone: false };
    const object = marked
      ? { ...current.object, metadata: { ...metadata, deletionGracePeriodSeconds: grace } }
      : markDeleted(current.object, grace);
    const withFinalizers = finalizers.length === 0 ? {} : { finalizers };
    const entry = store.write(served.collection, {
      ...object,
      metadata: { ...child(object, 'metadata'), ...withFinalizers },
    });
    return { entry, gone: false };
  }
  if (options.dryRun) return { entry: current, gone: true };
  const last =
    builtinRules(served.collection.resource)?.generation === true && !marked
      ? markDeleted(current.object, 0)
      : { ...current.object, metadata: { ...metadata, ...(marked ? { deletionGracePeriodSeconds: 0 } : {}) } };
  return { entry: store.remove(served.collection, current.key, last), gone: true };
}

function checkPreconditions(context: WriteContext, current: Entry, options: DeleteOptions): void {
  const { resource } = context.served;
  const uid = text(child(current.object, 'metadata')?.uid) ?? '';
  if (options.uid !== undefined && options.uid !== uid) {
    throw deleteConflict(
      resource,
      current.name,
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== String(current.revision)) {
    throw deleteConflict(
      resource,
      current.name,
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${current.revision}). The object might have been modified`,
    );
  }
}

/** Only pods on a node are given time; a kubelet ends it by deleting once more with none. */
function graceOf(plural: string, object: JsonObject, options: DeleteOptions): number {
  if (plural !== 'pods') return 0;
  const phase = at(object, 'status', 'phase');
  if ((text(at(object, 'spec', 'nodeName')) ?? '') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = at(object, 'spec', 'terminationGracePeriodSeconds');
  const grace = options.graceSeconds ?? (typeof own === 'number' ? own : 30);
  return grace < 0 ? 1 : grace;
}

/** Whether the answer to a delete is the object rather than a Status. */
export function answersWithObject(plural: string, result: DeleteResult): boolean {
  return plural === 'pods' || !result.gone;
}
