/** Request bodies: reading, decoding, and Go's words for what is wrong with them. */
import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { isObject, type JsonObject } from './json.ts';
import { decodeProtobuf, isProtobuf } from './protobuf.ts';
import { ApiError, badRequest } from './status.ts';

const bodyLimit = 3 * 1024 * 1024;

/** Throws 413 beyond 3 MiB. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= bodyLimit) chunks.push(chunk);
  }
  if (size > bodyLimit) {
    throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyLimit}`);
  }
  return Buffer.concat(chunks);
}

export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  return new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** The object in the body of a create or update, and the keys that stand twice in it. */
export function decodeObject(
  body: Buffer,
  type: string,
  kind: string,
  custom: boolean,
): { readonly object: JsonObject; readonly duplicates: readonly string[] } {
  const source = body.toString('utf8');
  if (isProtobuf(body)) {
    const object = decodeProtobuf(body);
    if (object === undefined) throw unsupportedMediaType(objectTypes);
    return { object, duplicates: [] };
  }
  if (type === 'application/yaml') return { object: decodeYamlObject(source), duplicates: [] };
  if (type !== 'application/json' && type !== '') throw unsupportedMediaType(objectTypes);
  const unrecognized = (cause: string): ApiError =>
    badRequest(`the object provided is unrecognized (must be of type ${kind}): ${cause} (${excerpt(body)})`);
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw unrecognized(`couldn't get version/kind; json parse error: ${jsonError(source)}`);
  }
  if (!isObject(value)) {
    throw unrecognized(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${goKind(value)} into Go value of type struct ` +
        '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
    );
  }
  if (custom && (value.kind === undefined || value.kind === '')) {
    throw unrecognized(`Object 'Kind' is missing in '${source}'`);
  }
  return { object: value, duplicates: new JsonScanner(source).duplicates() };
}

export function decodeYamlObject(source: string): JsonObject {
  let value: unknown;
  try {
    value = parseYaml(source);
  } catch (error) {
    throw badRequest(`error decoding YAML: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`);
  }
  if (isObject(value)) return value;
  throw badRequest(
    `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${goKind(value)} into Go value of type map[string]interface {}`,
  );
}

/** The body of a patch. */
export function decodePatch(source: string, goType: string, parse: (source: string) => unknown): unknown {
  let value: unknown;
  try {
    value = parse(source);
  } catch {
    throw badRequest(`error decoding patch: ${jsonError(source)}`);
  }
  const wanted = goType.startsWith('[]') ? Array.isArray(value) : isObject(value);
  if (!wanted)
    throw badRequest(`error decoding patch: json: cannot unmarshal ${goKind(value)} into Go value of type ${goType}`);
  return value;
}

function goKind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The start of a body: text where it looks like JSON, hexadecimal otherwise. */
function excerpt(body: Buffer): string {
  if (body.length === 0) return '<empty>';
  const source = body.toString('utf8');
  if (!source.startsWith('{')) {
    return body.length > 1024 ? `${body.subarray(0, 1024).toString('hex')} ...` : body.toString('hex');
  }
  return source.length > 30 ? `${source.slice(0, 30)} ...` : source;
}

/** Go's message for a text that is no JSON. */
function jsonError(source: string): string {
  try {
    new JsonScanner(source).scan();
    return 'unexpected end of JSON input';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Walks over JSON as Go's scanner does: for its error messages, and for keys that stand twice. */
class JsonScanner {
  readonly #source: string;
  readonly #duplicates: string[] = [];
  #position = 0;

  constructor(source: string) {
    this.#source = source;
  }

  duplicates(): readonly string[] {
    this.scan();
    return this.#duplicates;
  }

  scan(): void {
    this.#value('');
    const next = this.#space();
    if (next !== '') throw unexpected(next, 'after top-level value');
  }

  #space(): string {
    while (/[ \t\r\n]/.test(this.#source.charAt(this.#position))) this.#position++;
    return this.#source.charAt(this.#position);
  }

  #value(path: string): void {
    const next = this.#space();
    if (next === '{') this.#object(path);
    else if (next === '[') this.#array(path);
    else if (next === '"') this.#string();
    else if (next === '') throw ended();
    else {
      const literal = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
      literal.lastIndex = this.#position;
      if (!literal.test(this.#source)) throw unexpected(next, 'looking for beginning of value');
      this.#position = literal.lastIndex;
    }
  }

  #object(path: string): void {
    this.#position++;
    const seen = new Set<string>();
    if (this.#space() === '}') {
      this.#position++;
      return;
    }
    for (;;) {
      const start = this.#space();
      if (start === '') throw ended();
      if (start !== '"') throw unexpected(start, 'looking for beginning of object key string');
      const key = this.#string();
      const here = path === '' ? key : `${path}.${key}`;
      if (seen.has(key)) this.#duplicates.push(here);
      seen.add(key);
      this.#expect(':', 'after object key');
      this.#value(here);
      if (this.#closes('}', 'after object key:value pair')) return;
    }
  }

  #array(path: string): void {
    this.#position++;
    if (this.#space() === ']') {
      this.#position++;
      return;
    }
    for (let index = 0; ; index++) {
      this.#value(`${path}[${index}]`);
      if (this.#closes(']', 'after array element')) return;
    }
  }

  #expect(character: string, where: string): void {
    const next = this.#space();
    if (next === '') throw ended();
    if (next !== character) throw unexpected(next, where);
    this.#position++;
  }

  #closes(end: string, where: string): boolean {
    const next = this.#space();
    if (next === '') throw ended();
    if (next !== end && next !== ',') throw unexpected(next, where);
    this.#position++;
    return next === end;
  }

  #string(): string {
    const string = /"(?:[^"\\]|\\.)*"/sy;
    string.lastIndex = this.#position;
    const found = string.exec(this.#source)?.[0];
    if (found === undefined) throw ended();
    this.#position = string.lastIndex;
    return String(JSON.parse(found));
  }
}

function ended(): Error {
  return new Error('unexpected end of JSON input');
}

function unexpected(character: string, where: string): Error {
  return new Error(`invalid character '${character}' ${where}`);
}
