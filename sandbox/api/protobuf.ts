/** The little protobuf that kubectl insists on: reading its access reviews, and an empty OpenAPI v2 document. */
import { Buffer } from 'node:buffer';
import type { JsonObject } from './json.ts';

const magic = Buffer.from('k8s\0', 'latin1');

export function isProtobuf(body: Buffer): boolean {
  return body.subarray(0, 4).equals(magic);
}

type Fields = ReadonlyMap<number, Buffer>;

/** Length-delimited fields of a message; of a field that stands twice the last one counts, as protobuf says. */
function fields(message: Buffer): Fields {
  const found = new Map<number, Buffer>();
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
    if ((tag & 7) === 2) {
      const length = varint();
      found.set(tag >>> 3, message.subarray(position, position + length));
      position += length;
    } else if ((tag & 7) === 0) {
      varint();
    } else {
      break;
    }
  }
  return found;
}

const resourceFields = ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name'];

/** A SelfSubjectAccessReview or SelfSubjectRulesReview: `runtime.Unknown` around the message. */
export function decodeAccessReview(body: Buffer): JsonObject {
  const unknown = fields(body.subarray(magic.length));
  const spec = fields(fields(unknown.get(2) ?? Buffer.alloc(0)).get(2) ?? Buffer.alloc(0));
  const typeMeta = fields(unknown.get(1) ?? Buffer.alloc(0));
  const kind = typeMeta.get(2)?.toString('utf8') ?? '';
  const first = spec.get(1);
  if (kind === 'SelfSubjectRulesReview') {
    return { kind, spec: first === undefined ? {} : { namespace: first.toString('utf8') } };
  }
  const result: JsonObject = {};
  if (first !== undefined) result.resourceAttributes = strings(first, resourceFields);
  const second = spec.get(2);
  if (second !== undefined) result.nonResourceAttributes = strings(second, ['path', 'verb']);
  return { kind, spec: result };
}

function strings(message: Buffer, names: readonly string[]): JsonObject {
  const found = fields(message);
  const result: JsonObject = {};
  for (const [index, name] of names.entries()) {
    const value = found.get(index + 1)?.toString('utf8') ?? '';
    if (value !== '') result[name] = value;
  }
  return result;
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
