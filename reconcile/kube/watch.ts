/** The body of a watch: one JSON event a line. */
import type { IncomingMessage } from 'node:http';
import { PatchpanelError } from '../errors.ts';
import type { KubeObject, WatchEvent } from './cluster.ts';
import { failureError, type Intent, networkReason, readStatusObject } from './failures.ts';

const eventTypes: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/**
 * Yields events until the server ends the watch or `signal` aborts.
 * @throws PatchpanelError for an ERROR event (410 where the resourceVersion is too old), a line longer than `maxBytes`,
 * or a connection that breaks
 */
export async function* readWatch(
  response: IncomingMessage,
  intent: Intent,
  server: string,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  try {
    for await (const line of readLines(response, maxBytes)) {
      if (signal.aborted) return;
      yield parseEvent(line, intent, server);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof PatchpanelError) throw error;
    throw new PatchpanelError('cluster/unreachable', `watch ${intent.resource}: ${server}: ${networkReason(error)}`);
  } finally {
    response.destroy();
  }
}

function parseEvent(line: string, intent: Intent, server: string): WatchEvent {
  let event: { readonly type?: unknown; readonly object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch {
    throw new PatchpanelError('cluster/api', `watch ${intent.resource}: the server sent a line that is not JSON`);
  }
  if (event.type === 'ERROR') throw failureError(intent, readStatusObject(event.object), server);
  if (typeof event.type !== 'string' || !eventTypes.has(event.type)) {
    throw new PatchpanelError('cluster/api', `watch ${intent.resource}: the server sent an event of unknown type`);
  }
  return { type: event.type as WatchEvent['type'], object: event.object as KubeObject };
}

async function* readLines(response: IncomingMessage, maxBytes: number): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      const line = (parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString('utf8') ?? '';
      parts = [];
      size = 0;
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    if (start < chunk.length) {
      parts.push(chunk.subarray(start));
      size += chunk.length - start;
      if (size > maxBytes) throw new PatchpanelError('cluster/api', `a watch event has more than ${maxBytes} bytes`);
    }
  }
}
