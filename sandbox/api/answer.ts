/** What a handler hands back, and how it goes out. */
import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { isPretty, render } from './representation.ts';
import { ApiError, PageNotFound } from './status.ts';

export interface Answer {
  readonly status: number;
  /** JSON text without a final line feed. */
  readonly json?: string;
  readonly format?: 'json' | 'yaml';
  readonly contentType?: string;
  /** A body that is not JSON. */
  readonly text?: string;
  readonly bytes?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export function jsonAnswer(body: unknown, status = 200): Answer {
  return { status, json: JSON.stringify(body) };
}

export function textAnswer(text: string, status = 200): Answer {
  return { status, text };
}

/** Warnings become one header, as kube-apiserver joins them. */
export function warningHeader(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {};
  const texts = [...new Set(warnings)].map((warning) => `299 - "${warning.replaceAll(/["\\]/g, '\\$&')}"`);
  return { warning: texts.join(', ') };
}

export function errorAnswer(error: unknown): Answer {
  if (error instanceof PageNotFound) return textAnswer(error.text, 404);
  if (error instanceof ApiError) {
    return { status: error.code, json: JSON.stringify(error.body), headers: error.headers };
  }
  const message = error instanceof Error ? error.message : String(error);
  return jsonAnswer(
    {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: `Internal error occurred: ${message}`,
      reason: 'InternalError',
      details: { causes: [{ message }] },
      code: 500,
    },
    500,
  );
}

export function send(request: IncomingMessage, response: ServerResponse, query: URLSearchParams, answer: Answer): void {
  const headers: Record<string, string> = { 'cache-control': 'no-cache, private', ...answer.headers };
  let body: string | Uint8Array;
  if (answer.json !== undefined) {
    const pretty = isPretty(query, request.headers['user-agent']);
    const [text, type] = render(answer.json, answer.format ?? 'json', pretty);
    body = text;
    headers['content-type'] = answer.contentType ?? type;
  } else {
    body = answer.bytes ?? answer.text ?? '';
    headers['content-type'] = answer.contentType ?? 'text/plain; charset=utf-8';
  }
  response.writeHead(answer.status, headers);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** An HTTP answer on a connection that asked to be upgraded. */
export function refuse(socket: Duplex, answer: Answer): void {
  const body = Buffer.from(answer.json === undefined ? (answer.text ?? '') : `${answer.json}\n`);
  const type = answer.json === undefined ? 'text/plain; charset=utf-8' : 'application/json';
  socket.end(
    Buffer.concat([
      Buffer.from(
        `HTTP/1.1 ${answer.status} Refused\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`,
      ),
      body,
    ]),
  );
}
