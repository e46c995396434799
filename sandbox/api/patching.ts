/** PATCH: which kinds a resource takes, and the patched object. */
import type { Buffer } from 'node:buffer';
import { decodePatch, unsupportedMediaType } from './decode.ts';
import { cloneJson, isObject, type JsonObject, sortKeys, text } from './json.ts';
import { microTimeError } from './micro-time.ts';
import { metadataOf } from './object-meta.ts';
import { applyJsonPatch, applyMergePatch, PatchFailure, parsePatchJson } from './patch.ts';
import { goTypeError, prune } from './schema.ts';
import { presentObject } from './served.ts';
import { ApiError, fieldInvalid, invalid, invalidPatchResult, patchRejected, serverError } from './status.ts';
import type { Entry } from './store.ts';
import { applyStrategicPatch } from './strategic-merge.ts';
import { checkPlace, toStored, type WriteContext } from './writing.ts';

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

const types: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** Throws 415: custom resources list what they take, built-in ones do not. */
export function patchType(mediaType: string, custom: boolean): PatchType {
  const type = types[mediaType];
  if (type !== undefined && !(custom && type === 'strategic')) return type;
  if (custom) {
    throw unsupportedMediaType(Object.keys(types).filter((known) => types[known] !== 'strategic'));
  }
  throw new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', { details: {} });
}

/** Decodes a patch once, before the object is looked for. */
export function decodePatchBody(type: Exclude<PatchType, 'apply'>, body: Buffer): unknown {
  const source = body.toString('utf8');
  if (type === 'json') return decodePatch(source, '[]handlers.jsonPatchOp', parsePatchJson);
  return decodePatch(source, 'map[string]interface {}', (json) => JSON.parse(json));
}

/** The patched object in its stored shape. Throws 422 and 400. */
export function patchedObject(
  context: WriteContext,
  current: Entry,
  type: Exclude<PatchType, 'apply'>,
  patch: unknown,
): JsonObject {
  const { served } = context;
  const before = presentObject(served, current);
  const patched = applyPatch(type, before, patch, served.resource.schema);
  const quoted = (): string => quote(served.resource.custom, patched);
  if (!isObject(patched) || (text(patched.kind) ?? '') === '') {
    throw invalidPatchResult(quoted(), `Object 'Kind' is missing in '${quoted()}'`);
  }
  checkKind(context, current, patched);
  const mismatch = served.resource.custom
    ? undefined
    : goTypeError(served.resource.schema, served.resource.kind, patched);
  const timeError = mismatch ?? microTimeError(served.resource.plural, patched);
  if (timeError !== undefined) throw invalidPatchResult(quoted(), timeError);
  const strict = context.options.fieldValidation === 'Strict';
  const whole = strict ? quoted() : '';
  const unknown = prune(served.resource.schema, patched);
  if (unknown.length > 0 && context.options.fieldValidation !== 'Ignore') {
    const texts = unknown.map((field) => `unknown field ${JSON.stringify(field)}`);
    if (strict) {
      throw invalidPatchResult(whole, `strict decoding error: ${texts.join(', ')}`);
    }
    context.warnings.push(...texts);
  }
  metadataOf(patched);
  checkPlace(context, patched, current.name);
  return toStored(served, patched);
}

function applyPatch(
  type: Exclude<PatchType, 'apply'>,
  before: JsonObject,
  patch: unknown,
  schema: object | undefined,
): unknown {
  // What is stored is never changed, so the parts that a patch leaves alone are copied too.
  if (type === 'merge') return applyMergePatch(cloneJson(before), patch);
  if (type === 'strategic') return applyStrategicPatch(cloneJson(before), isObject(patch) ? patch : {}, schema);
  try {
    return applyJsonPatch(before, Array.isArray(patch) ? patch : []);
  } catch (error) {
    if (error instanceof PatchFailure) throw patchRejected();
    throw error;
  }
}

function checkKind(context: WriteContext, current: Entry, patched: JsonObject): void {
  const { resource, apiVersion } = context.served;
  const kind = text(patched.kind) ?? '';
  if (kind !== resource.kind) {
    if (!resource.custom)
      throw serverError(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
    throw invalid({ group: resource.group, kind }, current.name, [
      fieldInvalid('kind', kind, `must be ${resource.kind}`),
    ]);
  }
  if (patched.apiVersion !== apiVersion) {
    throw serverError(`${resource.kind} is not of version ${apiVersion}`);
  }
}

/** The patched object as an error quotes it: maps that went through Go are sorted, metadata of a built-in is a struct. */
function quote(custom: boolean, patched: unknown): string {
  const sorted = sortKeys(patched);
  return JSON.stringify(
    !custom && isObject(sorted) && isObject(patched) ? { ...sorted, metadata: patched.metadata } : sorted,
  );
}
