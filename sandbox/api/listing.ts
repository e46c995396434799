/** Lists: pages of one revision, continue tokens, and what may be asked of a resourceVersion. */
import { Buffer } from 'node:buffer';
import type { FieldSelector, Predicate } from './selectors.ts';
import {
  ApiError,
  badRequest,
  type FieldError,
  fieldForbidden,
  fieldUnsupported,
  invalidOptions,
  serverError,
  tooLargeResourceVersion,
} from './status.ts';
import { type Collection, type Entry, lowerBound, type MemoryStore, type Snapshot } from './store.ts';

export interface ListQuery {
  readonly namespace?: string;
  readonly labels?: Predicate;
  readonly fields?: FieldSelector;
  readonly limit: number;
  readonly continue: string;
  readonly resourceVersion: string;
  readonly match: string;
}

export interface ListPage {
  readonly entries: readonly Entry[];
  readonly revision: number;
  /** Token of the next page; undefined on the last. */
  readonly continue?: string;
  /** Only without selectors, as the server would have to look at all others. */
  readonly remaining?: number;
}

/** Throws 400 in Go's words. */
export function parseLimit(value: string | null): number {
  if (value === null || value === '') return 0;
  if (!/^[+-]?\d+$/.test(value)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return Math.max(0, Number.parseInt(value, 10));
}

/** The number of a resourceVersion. Throws 500, as the real server does. */
export function parseRevision(value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw serverError(
    `resourceVersion: Invalid value: ${JSON.stringify(value)}: strconv.ParseUint: parsing ${JSON.stringify(value)}: invalid syntax`,
  );
}

/** Checks of ListOptions that need no state. Throws 422. */
export function checkListOptions(query: URLSearchParams, watch: boolean): void {
  const match = query.get('resourceVersionMatch') ?? '';
  const resourceVersion = query.get('resourceVersion') ?? '';
  const sendInitialEvents = query.get('sendInitialEvents');
  const errors = watch
    ? watchErrors(match, sendInitialEvents)
    : listErrors(match, resourceVersion, query.get('continue') ?? '', sendInitialEvents);
  if (errors.length > 0) throw invalidOptions('ListOptions', errors);
}

const matchField = 'resourceVersionMatch';

function listErrors(match: string, version: string, token: string, initial: string | null): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (match !== '') {
    if (version === '')
      errors.push(fieldForbidden(matchField, `${matchField} is forbidden unless resourceVersion is provided`));
    else if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(fieldUnsupported(matchField, match, ['Exact', 'NotOlderThan', '']));
    } else if (match === 'Exact' && version === '0') {
      errors.push(fieldForbidden(matchField, `${matchField} "exact" is forbidden for resourceVersion "0"`));
    }
    if (token !== '') errors.push(fieldForbidden(matchField, `${matchField} is forbidden when continue is provided`));
  }
  if (initial !== null) errors.push(fieldForbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  return errors;
}

function watchErrors(match: string, initial: string | null): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (initial !== null) {
    if (match !== 'NotOlderThan') {
      errors.push(fieldForbidden(matchField, `sendInitialEvents requires setting ${matchField} to NotOlderThan`));
    }
    if (match !== '' && match !== 'NotOlderThan') errors.push(fieldUnsupported(matchField, match, ['NotOlderThan']));
  } else if (match !== '') {
    errors.push(
      fieldForbidden(matchField, `${matchField} is forbidden for watch unless sendInitialEvents is provided`),
    );
  }
  return errors;
}

/** Reads one page. Throws 400, 410 Expired or 504. */
export function listPage(store: MemoryStore, collection: Collection, query: ListQuery): ListPage {
  const { snapshot, revision, start } = startingPoint(store, collection, query);
  const prefix = query.namespace === undefined || !collection.resource.namespaced ? '' : `${query.namespace}/`;
  // resourceVersion=0 is answered from the watch cache, which pays no heed to a limit.
  const limit = query.resourceVersion === '0' ? 0 : query.limit;
  const selective = query.labels !== undefined || query.fields !== undefined;
  const end = prefix === '' ? snapshot.keys.length : lowerBound(snapshot.keys, `${prefix.slice(0, -1)}0`);
  const entries: Entry[] = [];
  let position = lowerBound(snapshot.keys, start === '' ? prefix : start);
  for (; position < end; position++) {
    const entry = snapshot.get(snapshot.keys[position] ?? '');
    if (entry === undefined || !selects(query, entry)) continue;
    if (limit > 0 && entries.length === limit) {
      return {
        entries,
        revision,
        continue: encodeContinue(revision, entries.at(-1)?.key ?? '', prefix),
        ...(selective ? {} : { remaining: end - position }),
      };
    }
    entries.push(entry);
  }
  return { entries, revision };
}

export function selects(query: Pick<ListQuery, 'labels' | 'fields'>, entry: Entry): boolean {
  if (query.fields?.name !== undefined && entry.name !== query.fields.name) return false;
  return (query.labels?.(entry.object) ?? true) && (query.fields?.matches(entry.object) ?? true);
}

interface StartingPoint {
  readonly snapshot: Snapshot;
  readonly revision: number;
  /** Key to start at. */
  readonly start: string;
}

function startingPoint(store: MemoryStore, collection: Collection, query: ListQuery): StartingPoint {
  const prefix = query.namespace === undefined ? '' : query.namespace;
  if (query.continue !== '') {
    if (query.resourceVersion !== '' && query.resourceVersion !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    const token = decodeContinue(query.continue);
    const start = `${prefix}${prefix === '' ? token.start.slice(1) : token.start}`;
    // -1 is the inconsistent token of a 410: go on from that key in what there is now.
    const revision = token.rv === -1 ? store.revision : token.rv;
    const snapshot = store.snapshot(collection, revision);
    if (snapshot === undefined) throw expiredContinue(token.start);
    return { snapshot, revision, start };
  }
  const asked = query.resourceVersion === '' ? 0 : parseRevision(query.resourceVersion);
  if (asked > store.revision) throw tooLargeResourceVersion(query.resourceVersion, String(store.revision));
  const revision = query.match === 'Exact' ? asked : store.revision;
  const snapshot = store.snapshot(collection, revision);
  if (snapshot === undefined) {
    throw new ApiError(410, 'Expired', 'The resourceVersion for the provided list is too old.');
  }
  return { snapshot, revision, start: '' };
}

interface ContinueToken {
  readonly rv: number;
  readonly start: string;
}

const tokenVersion = 'meta.k8s.io/v1';

function encodeContinue(revision: number, lastKey: string, prefix: string): string {
  const start = `/${lastKey.slice(prefix.length)}\u0000`;
  return encodeToken({ rv: revision, start });
}

function encodeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: tokenVersion, ...token })).toString('base64url');
}

function decodeContinue(token: string): ContinueToken {
  const wrong = (cause: string): ApiError => badRequest(`invalid continue token: continue key is not valid: ${cause}`);
  const bad = token.search(/[^A-Za-z0-9_-]/);
  if (bad >= 0) throw wrong(`illegal base64 data at input byte ${bad}`);
  let value: { readonly v?: unknown; readonly rv?: unknown; readonly start?: unknown } | null;
  try {
    value = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    throw wrong('invalid character in the token');
  }
  if (value?.v !== tokenVersion)
    throw wrong(`server does not recognize this encoded version ${String(value?.v ?? '')}`);
  const { rv, start } = value;
  if (typeof rv !== 'number' || typeof start !== 'string' || start === '' || rv === 0) {
    throw wrong('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  }
  return { rv, start };
}

function expiredContinue(start: string): ApiError {
  return new ApiError(
    410,
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
    { continue: encodeToken({ rv: -1, start }) },
  );
}
