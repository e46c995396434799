/** Watches: what happened since a resourceVersion, then what happens, one JSON line an event. */
import type { ServerResponse } from 'node:http';
import type { JsonObject } from './json.ts';
import { parseRevision, selects } from './listing.ts';
import type { Representation } from './representation.ts';
import type { FieldSelector, Predicate } from './selectors.ts';
import { presentJson, presentObject, type Served } from './served.ts';
import { ApiError } from './status.ts';
import { type Change, type Entry, entryOf, type MemoryStore } from './store.ts';
import { type IncludeObject, partialMetadata, tableOf } from './table.ts';

export interface WatchQuery {
  readonly namespace?: string;
  readonly name?: string;
  readonly labels?: Predicate;
  readonly fields?: FieldSelector;
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  readonly sendInitialEvents: boolean;
  readonly timeoutSeconds?: number;
  readonly include: IncludeObject;
}

type EventType = Change['type'] | 'BOOKMARK' | 'ERROR';

/** A client that reads slower than it is told things is cut off beyond this many buffered bytes. */
const maxBuffered = 128 * 1024 * 1024;
const bookmarkInterval = 60_000;
const bookmarkBeforeEnd = 2_000;

export function serveWatch(
  store: MemoryStore,
  served: Served,
  query: WatchQuery,
  representation: Representation,
  response: ServerResponse,
  cutMilliseconds: number | undefined,
): void {
  const { collection } = served;
  const from = query.resourceVersion === '' ? 0 : parseRevision(query.resourceVersion);
  const stream = new EventStream(served, query, representation, response);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  if (from > 0 && !query.sendInitialEvents && from < collection.compacted) {
    stream.error(new ApiError(410, 'Expired', `too old resource version: ${from} (${collection.compacted})`));
    response.end();
    return;
  }
  if (query.sendInitialEvents || from === 0) {
    for (const key of collection.keys) {
      const entry = collection.entries.get(key);
      if (entry !== undefined && stream.matches(entry)) stream.object('ADDED', entry);
    }
    if (query.sendInitialEvents) stream.bookmark(store.revision, true);
  } else {
    for (let index = collection.changesAfter(from); index < collection.history.length; index++) {
      const change = collection.history[index];
      if (change !== undefined) stream.change(change);
    }
  }
  const listener = (change: Change): void => {
    if (change.revision > from) stream.change(change);
    if (response.writableLength > maxBuffered) response.destroy();
  };
  collection.listeners.add(listener);
  const timeout =
    query.timeoutSeconds === undefined ? (1800 + Math.random() * 1800) * 1000 : query.timeoutSeconds * 1000;
  // From the end on nothing may be told: until the client has all, the response isn't closed, and a timer may be due in the same turn.
  const stop = (): void => {
    collection.listeners.delete(listener);
    for (const timer of timers) clearTimeout(timer);
  };
  const end = (): void => {
    stop();
    response.end();
  };
  const timers = [setTimeout(end, timeout)];
  if (cutMilliseconds !== undefined) timers.push(setTimeout(() => response.destroy(), cutMilliseconds));
  if (query.bookmarks) {
    const mark = (): void => stream.bookmark(Math.max(store.revision, from), false);
    timers.push(setInterval(mark, bookmarkInterval));
    if (timeout > bookmarkBeforeEnd) timers.push(setTimeout(mark, timeout - bookmarkBeforeEnd));
  }
  for (const timer of timers) timer.unref();
  response.on('close', stop);
}

class EventStream {
  readonly #served: Served;
  readonly #query: WatchQuery;
  readonly #representation: Representation;
  readonly #response: ServerResponse;
  #columnsSent = false;

  constructor(served: Served, query: WatchQuery, representation: Representation, response: ServerResponse) {
    this.#served = served;
    this.#query = query;
    this.#representation = representation;
    this.#response = response;
  }

  matches(entry: Entry): boolean {
    const { namespace, name } = this.#query;
    if (namespace !== undefined && this.#served.resource.namespaced && entry.namespace !== namespace) return false;
    if (name !== undefined && entry.name !== name) return false;
    return selects(this.#query, entry);
  }

  /** An object that leaves the selection is told as DELETED, one that enters it as ADDED. */
  change(change: Change): void {
    const { previous, entry } = change;
    const before = previous !== undefined && this.matches(previous);
    if (change.type === 'DELETED') {
      if (before) this.object('DELETED', entry);
      return;
    }
    const after = this.matches(entry);
    if (after) {
      this.object(before ? 'MODIFIED' : 'ADDED', entry);
    } else if (before) {
      change.left ??= entryOf(this.#served.collection.resource, previous.object, change.revision);
      this.object('DELETED', change.left);
    }
  }

  object(type: EventType, entry: Entry): void {
    this.#line(type, this.#json(entry));
  }

  bookmark(revision: number, initialEventsEnd: boolean): void {
    const metadata: JsonObject = {
      resourceVersion: String(revision),
      ...(initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    const { as, metaVersion } = this.#representation;
    const kind = this.#served.resource.kind;
    const object: JsonObject = { kind, apiVersion: this.#served.apiVersion, metadata };
    if (as === 'Table') this.#line('BOOKMARK', JSON.stringify(this.#table([object], metadata)));
    else if (as === undefined) this.#line('BOOKMARK', JSON.stringify(object));
    else this.#line('BOOKMARK', JSON.stringify(partialMetadata(object, metaVersion)));
  }

  error(error: ApiError): void {
    this.#line('ERROR', JSON.stringify(error.body));
  }

  #json(entry: Entry): string {
    const { as, metaVersion } = this.#representation;
    if (as === undefined) return presentJson(this.#served, entry);
    if (as !== 'Table') return JSON.stringify(partialMetadata(entry.object, metaVersion));
    return JSON.stringify(
      this.#table([presentObject(this.#served, entry)], { resourceVersion: String(entry.revision) }),
    );
  }

  #table(objects: readonly JsonObject[], metadata: JsonObject): unknown {
    const table = tableOf(this.#served.resource, objects, metadata, {
      include: this.#query.include,
      metaVersion: this.#representation.metaVersion,
      withColumns: !this.#columnsSent,
    });
    this.#columnsSent = true;
    return table;
  }

  #line(type: EventType, json: string): void {
    this.#response.write(`{"type":"${type}","object":${json}}\n`);
  }
}
