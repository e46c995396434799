/**
 * The little protobuf that kubectl insists on: its access reviews, what `kubectl create configmap|namespace|secret|
 * serviceaccount` sends, and an empty OpenAPI v2 document. Answers are JSON, which kubectl takes as well.
 */
import { Buffer } from 'node:buffer';
import type { JsonObject } from './json.ts';

const magic = Buffer.from('k8s\0', 'latin1');

export function isProtobuf(body: Buffer): boolean {
  return body.subarray(0, magic.length).equals(magic);
}

type Value = Buffer | number;
/** Field number -> values in order. */
type Fields = ReadonlyMap<number, readonly Value[]>;

function parse(message: Buffer): Fields {
  const found = new Map<number, Value[]>();
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; position < message.length; shift += 7) {
      const byte = message[position++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (position < message.length) {
    const tag = varint();
    const values = found.get(tag >>> 3) ?? [];
    found.set(tag >>> 3, values);
    if ((tag & 7) === 2) {
      const length = varint();
      values.push(message.subarray(position, position + length));
      position += length;
    } else if ((tag & 7) === 0) {
      values.push(varint());
    } else {
      break;
    }
  }
  return found;
}

function bytes(fields: Fields, number: number): Buffer | undefined {
  return fields.get(number)?.findLast((value) => typeof value !== 'number');
}

function message(fields: Fields, number: number): Fields {
  return parse(bytes(fields, number) ?? Buffer.alloc(0));
}

function string(fields: Fields, number: number): string | undefined {
  const value = bytes(fields, number)?.toString('utf8');
  return value === '' ? undefined : value;
}

function map(fields: Fields, number: number, encoding: 'utf8' | 'base64'): JsonObject | undefined {
  const entries = (fields.get(number) ?? []).flatMap((entry) => (typeof entry === 'number' ? [] : [parse(entry)]));
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map((entry) => [string(entry, 1) ?? '', bytes(entry, 2)?.toString(encoding) ?? '']),
  );
}

function flag(fields: Fields, number: number): boolean | undefined {
  const value = fields.get(number)?.at(-1);
  return value === undefined ? undefined : value === 1;
}

/** Drops what is not there. */
function present(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

type Decoder = (fields: Fields) => JsonObject;

const decoders: Readonly<Record<string, Decoder>> = {
  ConfigMap: (fields) => ({
    data: map(fields, 2, 'utf8'),
    binaryData: map(fields, 3, 'base64'),
    immutable: flag(fields, 4),
  }),
  Secret: (fields) => ({
    data: map(fields, 2, 'base64'),
    type: string(fields, 3),
    stringData: map(fields, 4, 'utf8'),
  }),
  Namespace: () => ({}),
  ServiceAccount: () => ({}),
  SelfSubjectAccessReview: accessReview,
  SelfSubjectRulesReview: (fields) => ({ spec: present({ namespace: string(message(fields, 2), 1) }) }),
  SelfSubjectReview: () => ({}),
};

const resourceFields = ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'];

function accessReview(fields: Fields): JsonObject {
  const spec = message(fields, 2);
  const strings = (number: number, names: readonly string[]): JsonObject | undefined => {
    if (bytes(spec, number) === undefined) return undefined;
    const attributes = message(spec, number);
    return present(Object.fromEntries(names.map((name, index) => [name, string(attributes, index + 1)])));
  };
  return {
    spec: present({
      resourceAttributes: strings(1, resourceFields),
      nonResourceAttributes: strings(2, ['path', 'verb']),
    }),
  };
}

function metadata(fields: Fields): JsonObject {
  return present({
    name: string(fields, 1),
    generateName: string(fields, 2),
    namespace: string(fields, 3),
    labels: map(fields, 11, 'utf8'),
    annotations: map(fields, 12, 'utf8'),
  });
}

/** An object in its `runtime.Unknown` envelope; undefined for kinds that are not read as protobuf. */
export function decodeProtobuf(body: Buffer): JsonObject | undefined {
  const unknown = parse(body.subarray(magic.length));
  const type = message(unknown, 1);
  const kind = string(type, 2) ?? '';
  const decode = decoders[kind];
  if (decode === undefined) return undefined;
  const raw = message(unknown, 2);
  return { apiVersion: string(type, 1), kind, metadata: metadata(message(raw, 1)), ...present(decode(raw)) };
}

function field(number: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, payload.length]), payload]);
}

/** An OpenAPI v2 `Document` that knows no definitions: kubectl then merges custom resources as plain JSON. */
export function emptyOpenApiV2(): Buffer {
  const info = Buffer.concat([field(1, Buffer.from('Kubernetes')), field(2, Buffer.from('sandbox'))]);
  return Buffer.concat([
    field(1, Buffer.from('2.0')),
    field(2, info),
    field(8, Buffer.alloc(0)),
    field(9, Buffer.alloc(0)),
  ]);
}
