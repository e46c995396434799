/** The verbs on a resource. */
import type { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, warningHeader } from './answer.ts';
import { applyObject } from './apply.ts';
import type { User } from './authentication.ts';
import { namespaces } from './builtin-resources.ts';
import { builtinRules } from './builtin-rules.ts';
import type { AdmissionHook } from './contract.ts';
import { decodeObject, mediaType, readBody } from './decode.ts';
import { answersWithObject, deleteObject, parseDeleteOptions } from './deleting.ts';
import { child, cloneJson, type JsonObject, text } from './json.ts';
import { checkListOptions, type ListPage, type ListQuery, listPage, parseLimit, parseRevision } from './listing.ts';
import type { NamespaceContent } from './namespace-content.ts';
import { decodePatchBody, patchedObject, patchType } from './patching.ts';
import { negotiate, type Representation } from './representation.ts';
import type { ResourceRequest } from './request.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { itemJson, partialJson, presentJson, presentObject, type Served } from './served.ts';
import { ApiError, badRequest, methodNotAllowed, success, tooLargeResourceVersion } from './status.ts';
import type { Entry, MemoryStore } from './store.ts';
import { cellsOf, parseIncludeObject, partialMetadata, tableOf } from './table.ts';
import { serveWatch, type WatchQuery } from './watching.ts';
import { parseWriteOptions } from './write-options.ts';
import {
  admitBody,
  checkPlace,
  createObject,
  findEntry,
  replaceObject,
  updateObject,
  type WriteContext,
  type WriteResult,
} from './writing.ts';

/** A request for a resource that is served, by someone who may. */
export interface Call {
  readonly store: MemoryStore;
  readonly hooks: readonly AdmissionHook[];
  readonly namespaceContent: NamespaceContent;
  readonly served: Served;
  readonly target: ResourceRequest;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly user: User;
}

function representationOf(call: Call): Representation {
  return negotiate(call.request.headers.accept, call.served.resource.custom);
}

/** One object in the form that was asked for. */
function answerObject(call: Call, entry: Entry, status: number, warnings: readonly string[] = []): Answer {
  const { served } = call;
  const form = representationOf(call);
  const headers = warningHeader([...deprecation(served), ...warnings]);
  if (form.as === undefined) return { status, json: presentJson(served, entry), format: form.format, headers };
  if (form.as === 'PartialObjectMetadataList') {
    throw new ApiError(
      406,
      'NotAcceptable',
      `you requested PartialObjectMetadataList, but the requested object is not a list (*${served.resource.kind})`,
    );
  }
  const object = presentObject(served, entry);
  const body =
    form.as === 'Table'
      ? tableOf(served.resource, [object], { resourceVersion: String(entry.revision) }, tableOptions(call, form))
      : partialMetadata(object, form.metaVersion);
  return { status, json: JSON.stringify(body), headers };
}

function tableOptions(call: Call, form: Representation): Parameters<typeof tableOf>[3] {
  return {
    include: parseIncludeObject(call.query.get('includeObject')),
    metaVersion: form.metaVersion,
    withColumns: true,
  };
}

/** Versions after the first are deprecated, as alpha versions beside a stable one are. */
function deprecation({ resource, version, apiVersion }: Served): readonly string[] {
  const [preferred = version] = resource.versions;
  if (!resource.custom || version === preferred || !/alpha|beta/.test(version)) return [];
  const { group, kind } = resource;
  return [`${apiVersion} ${kind} is deprecated; use ${group}/${preferred} ${kind}`];
}

export function handleGet(call: Call): Answer {
  const resourceVersion = call.query.get('resourceVersion') ?? '';
  if (resourceVersion !== '' && parseRevision(resourceVersion) > call.store.revision) {
    throw tooLargeResourceVersion(resourceVersion, String(call.store.revision));
  }
  return answerObject(call, findEntry(placeOf(call), call.target.name ?? ''), 200);
}

function placeOf(call: Call): Pick<WriteContext, 'served' | 'namespace'> {
  const { namespace } = call.target;
  return { served: call.served, ...(namespace === undefined ? {} : { namespace }) };
}

function selectionOf(call: Call): Pick<ListQuery, 'namespace' | 'labels' | 'fields'> {
  const { query, target, served } = call;
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', served.resource);
  return {
    ...(target.namespace === undefined ? {} : { namespace: target.namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(fields === undefined ? {} : { fields }),
  };
}

function listQuery(call: Call): ListQuery {
  const { query } = call;
  const limit = parseLimit(query.get('limit'));
  checkListOptions(query, false);
  return {
    ...selectionOf(call),
    limit,
    continue: query.get('continue') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    match: query.get('resourceVersionMatch') ?? '',
  };
}

export function handleList(call: Call): Answer {
  const form = representationOf(call);
  const { served } = call;
  if (form.as === 'PartialObjectMetadata') {
    throw new ApiError(
      406,
      'NotAcceptable',
      `you requested PartialObjectMetadata, but the requested object is a list (*${goList(served)})`,
    );
  }
  return answerList(call, listPage(call.store, served.collection, listQuery(call)), form);
}

function goList({ resource }: Served): string {
  if (resource.custom) return 'unstructured.UnstructuredList';
  return `${resource.group === '' ? 'core' : (resource.group.split('.')[0] ?? '')}.${resource.kind}List`;
}

function listMetadata(page: ListPage, custom: boolean): JsonObject {
  const token = page.continue ?? '';
  return {
    ...(token !== '' || custom ? { continue: token } : {}),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
    resourceVersion: String(page.revision),
  };
}

function answerList(call: Call, page: ListPage, form: Representation): Answer {
  const { served } = call;
  const { resource } = served;
  const headers = warningHeader(deprecation(served));
  const plainMetadata = listMetadata(page, false);
  if (form.as === 'Table') {
    const options = tableOptions(call, form);
    const rows = page.entries.map((entry) => rowJson(call, entry, options));
    const head = JSON.stringify(tableOf(resource, [], plainMetadata, options));
    // The rows are last.
    return { status: 200, json: `${head.slice(0, -2)}${rows.join(',')}]}`, headers };
  }
  if (form.as === 'PartialObjectMetadataList') {
    const partials = page.entries.map((entry) => partialJson(served, entry, form.metaVersion));
    const head = `"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/${form.metaVersion}"`;
    const json = `{${head},"metadata":${JSON.stringify(plainMetadata)},"items":[${partials.join(',')}]}`;
    return { status: 200, json, headers };
  }
  // The items are joined as they are kept: a list of thousands is never serialised again.
  const items = page.entries.map((entry) => itemJson(served, entry)).join(',');
  const kind = JSON.stringify(`${resource.kind}List`);
  const version = JSON.stringify(served.apiVersion);
  const json = resource.custom
    ? `{"apiVersion":${version},"items":[${items}],"kind":${kind},"metadata":${JSON.stringify(listMetadata(page, true))}}`
    : `{"kind":${kind},"apiVersion":${version},"metadata":${JSON.stringify(plainMetadata)},"items":[${items}]}`;
  return { status: 200, json, format: form.format, headers };
}

/** A row as {@link tableOf} makes it, with the metadata as it is kept: a table of thousands is never serialised again. */
function rowJson({ served }: Call, entry: Entry, options: Parameters<typeof tableOf>[3]): string {
  const { resource } = served;
  const object = presentObject(served, entry);
  if (options.include !== 'Metadata') return JSON.stringify(tableOf(resource, [object], {}, options).rows[0]);
  const cells = JSON.stringify(cellsOf(resource, object));
  return `{"cells":${cells},"object":${partialJson(served, entry, options.metaVersion)}}`;
}

export function handleWatch(call: Call, response: ServerResponse, cutMilliseconds: number | undefined): void {
  const { query, target } = call;
  const form = representationOf(call);
  checkListOptions(query, true);
  const timeout = query.get('timeoutSeconds');
  const watch: WatchQuery = {
    ...selectionOf(call),
    ...(target.name === undefined ? {} : { name: target.name }),
    resourceVersion: query.get('resourceVersion') ?? '',
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: isTrue(query.get('sendInitialEvents')),
    include: parseIncludeObject(query.get('includeObject')),
    ...(timeout === null || timeout === '' || timeout === '0' ? {} : { timeoutSeconds: Number(timeout) }),
  };
  serveWatch(call.store, call.served, watch, form, response, cutMilliseconds);
}

function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function writeContext(call: Call, options: WriteContext['options']): WriteContext {
  const { store, hooks, served, target, user } = call;
  return {
    store,
    hooks,
    served,
    user: user.user,
    options,
    warnings: [],
    ...(target.namespace === undefined ? {} : { namespace: target.namespace }),
    ...(target.subresource === undefined ? {} : { subresource: target.subresource }),
  };
}

/** Decodes the body of a create or update into the stored shape. */
function readObject(context: WriteContext, body: Buffer, contentType: string | undefined): JsonObject {
  const { resource, version } = context.served;
  const decoded = decodeObject(body, mediaType(contentType), resource.kind, resource.custom);
  const duplicates = decoded.duplicates.map((field) => `duplicate field ${JSON.stringify(field)}`);
  if (duplicates.length > 0 && context.options.fieldValidation === 'Strict') {
    throw badRequest(
      `${resource.kind} in version ${JSON.stringify(version)} cannot be handled as a ${resource.kind}: strict decoding error: ${duplicates.join(', ')}`,
    );
  }
  if (context.options.fieldValidation !== 'Ignore') context.warnings.push(...duplicates);
  return admitBody(context, decoded.object);
}

function answerWrite(call: Call, context: WriteContext, result: WriteResult): Answer {
  return answerObject(call, result.entry, result.created ? 201 : 200, context.warnings);
}

export async function handleCreate(call: Call): Promise<Answer> {
  const { request, target, query } = call;
  const body = await readBody(request);
  const context = writeContext(call, parseWriteOptions('CreateOptions', query, request.headers['user-agent']));
  const stored = readObject(context, body, request.headers['content-type']);
  if (call.served.resource.plural === 'pods' && target.subresource === 'binding') return bindPod(call, body);
  checkPlace(context, stored, undefined);
  return answerWrite(call, context, createObject(context, stored));
}

/** POST pods/NAME/binding: what a scheduler does. */
export async function handleBinding(call: Call): Promise<Answer> {
  return bindPod(call, await readBody(call.request));
}

function bindPod(call: Call, body: Buffer): Answer {
  const { resource } = call.served;
  const { object } = decodeObject(body, mediaType(call.request.headers['content-type']), 'Binding', false);
  const node = text(child(object, 'target')?.name) ?? '';
  if (node === '') throw badRequest('target.name: Required value');
  const current = findEntry(placeOf(call), call.target.name ?? '');
  const bound: JsonObject = cloneJson(current.object);
  bound.spec = { ...child(bound, 'spec'), nodeName: node };
  call.store.write(call.served.collection, bound);
  const { metadata: _metadata, ...status } = success(resource, current.name, '');
  return { status: 201, json: JSON.stringify({ ...status, metadata: {}, code: 201, details: undefined }) };
}

export async function handleUpdate(call: Call): Promise<Answer> {
  const { request, target, query, served } = call;
  const body = await readBody(request);
  const context = writeContext(call, parseWriteOptions('UpdateOptions', query, request.headers['user-agent']));
  const stored = readObject(context, body, request.headers['content-type']);
  const name = target.name ?? '';
  checkPlace(context, stored, name);
  if (builtinRules(served.collection.resource)?.createOnUpdate === true) {
    try {
      findEntry(context, name);
    } catch {
      return answerWrite(call, context, createObject(context, stored));
    }
  }
  return answerWrite(call, context, replaceObject(context, findEntry(context, name), stored));
}

export async function handlePatch(call: Call): Promise<Answer> {
  const { request, target, query, served } = call;
  const type = patchType(mediaType(request.headers['content-type']), served.resource.custom);
  const body = await readBody(request);
  const apply = type === 'apply';
  const context = writeContext(call, parseWriteOptions('PatchOptions', query, request.headers['user-agent'], apply));
  const name = target.name ?? '';
  if (apply) return answerWrite(call, context, applyObject(context, name, body));
  const patch = decodePatchBody(type, body);
  const current = findEntry(context, name);
  return answerWrite(call, context, updateObject(context, current, patchedObject(context, current, type, patch)));
}

export async function handleDelete(call: Call): Promise<Answer> {
  const { served, query, target } = call;
  const options = parseDeleteOptions(await readBody(call.request), query);
  const context = deleteContext(call, options.dryRun);
  const current = findEntry(context, target.name ?? '');
  if (served.resource === namespaces && !options.dryRun) return deleteNamespace(call, context, current);
  const result = deleteObject(context, current, options);
  if (answersWithObject(served.resource.plural, result)) return answerObject(call, result.entry, 200);
  const uid = text(child(current.object, 'metadata')?.uid) ?? '';
  return { status: 200, json: JSON.stringify(success(served.resource, current.name, uid)) };
}

/** A namespace answers with itself, terminating; a second delete changes nothing. */
function deleteNamespace(call: Call, context: WriteContext, current: Entry): Answer {
  const marked = child(current.object, 'metadata')?.deletionTimestamp !== undefined;
  return answerObject(call, marked ? current : call.namespaceContent.terminate(context, current), 200);
}

function deleteContext(call: Call, dryRun: boolean): WriteContext {
  return writeContext(call, { dryRun, fieldManager: '', fieldValidation: 'Ignore', force: false });
}

export async function handleDeleteCollection(call: Call): Promise<Answer> {
  const { served, query, store } = call;
  if (served.resource.plural === 'namespaces') throw methodNotAllowed();
  const options = parseDeleteOptions(await readBody(call.request), query);
  const page = listPage(store, served.collection, listQuery(call));
  const context = deleteContext(call, options.dryRun);
  const deleted = page.entries.map((entry) => {
    const result = deleteObject(context, entry, options);
    return result.gone ? entry : result.entry;
  });
  return answerList(call, { ...page, entries: deleted }, representationOf(call));
}
