/**
 * JSON decoded into a described Go type, as Go's encoding/json does it: keys match without regard to case, the last
 * duplicate wins (maps and structs merge), null leaves scalars alone, the first type error is kept while decoding goes
 * on, and the error texts are Go's.
 */
import { type JsonNode, scanJson } from './go-json-syntax.ts';

/** As much of Go's type system as the structs of Multus need. */
export type GoType =
  | { readonly kind: 'string' | 'int' | 'bool' | 'any' | 'map' }
  | { readonly kind: 'slice'; readonly of: GoType }
  | { readonly kind: 'pointer'; readonly to: GoType }
  | GoStruct
  /** A type with `UnmarshalText`. */
  | { readonly kind: 'text'; readonly name: string; readonly parse: (text: string) => TextResult }
  /** A type whose `UnmarshalJSON` decodes into a local copy of its struct. */
  | { readonly kind: 'custom'; readonly name: string; readonly via: GoStruct };

export interface GoStruct {
  readonly kind: 'struct';
  /** With its package: `types.BandwidthEntry`. */
  readonly name: string;
  /** By JSON key, in declared order. */
  readonly fields: { readonly [key: string]: GoType };
}

export type TextResult = { readonly ok: true; readonly value: string } | { readonly ok: false; readonly error: string };

export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

/**
 * `json.Unmarshal` into a fresh value. A nil result is undefined; a slice is an array, a map or struct an object that
 * holds the keys which the input set, under the spelling of the Go type.
 */
export function decodeGo(text: string, type: GoType): Decoded {
  const scanned = scanJson(text);
  return scanned.ok ? decodeNode(scanned.node, type) : scanned;
}

/** Values that may hold anything are read to this depth; Go goes deeper, no annotation does. */
const maxAnyDepth = 500;

function decodeNode(node: JsonNode, type: GoType): Decoded {
  const decoder = new Decoder();
  try {
    const value = decoder.decode(type, node, undefined);
    return decoder.saved === undefined ? { ok: true, value } : { ok: false, error: decoder.saved };
  } catch (error) {
    if (error instanceof HardFault) return { ok: false, error: error.message };
    throw error;
  }
}

/** An error that ends decoding at once and hides a type error that was kept. */
class HardFault extends Error {}

class Decoder {
  /** The first type error. */
  saved: string | undefined;
  /** The struct that is being filled, and the path of keys that leads to the value. */
  #struct = '';
  #path: string[] = [];

  decode(type: GoType, node: JsonNode, old: unknown): unknown {
    if (node.kind === 'null') return isNilable(type) ? undefined : old;
    switch (type.kind) {
      case 'pointer':
        return this.decode(type.to, node, old);
      case 'custom':
        return decodeCustom(type.via, node);
      case 'any':
        return this.#any(node, 0);
      case 'slice':
        return node.kind === 'array' ? this.#slice(type.of, node.items, old) : this.#mismatch(type, node, old);
      case 'map':
        return node.kind === 'object' ? this.#map(node.entries, old) : this.#mismatch(type, node, old);
      case 'struct':
        return node.kind === 'object' ? this.#fill(type, node.entries, old) : this.#mismatch(type, node, old);
      case 'text':
        return node.kind === 'string' ? fromText(type.parse(node.value)) : this.#mismatch(type, node, old);
      case 'string':
      case 'bool':
        return node.kind === type.kind ? node.value : this.#mismatch(type, node, old);
      case 'int':
        return node.kind === 'number' ? this.#int(node.text, old) : this.#mismatch(type, node, old);
      default:
        return type satisfies never;
    }
  }

  /** Elements of an earlier duplicate are decoded into, not replaced: pointers are followed. */
  #slice(of: GoType, items: readonly JsonNode[], old: unknown): unknown[] {
    const before: readonly unknown[] = Array.isArray(old) ? old : [];
    return items.map((item, index) => this.decode(of, item, before[index] ?? undefined) ?? zero(of));
  }

  #map(entries: readonly (readonly [string, JsonNode])[], old: unknown): object {
    const map = isObject(old) ? old : {};
    for (const [key, value] of entries) setKey(map, key, this.#any(value, 0));
    return map;
  }

  #fill(type: GoStruct, entries: readonly (readonly [string, JsonNode])[], old: unknown): object {
    const struct = isObject(old) ? old : {};
    const outer = this.#struct;
    for (const [key, value] of entries) {
      const name = fieldName(type, key);
      const field = name === undefined ? undefined : type.fields[name];
      if (name === undefined || field === undefined) continue;
      this.#struct = type.name.slice(type.name.indexOf('.') + 1);
      this.#path.push(name);
      const decoded = this.decode(field, value, struct[name]);
      this.#path.pop();
      this.#struct = outer;
      if (decoded === undefined) delete struct[name];
      else struct[name] = decoded;
    }
    return struct;
  }

  #int(text: string, old: unknown): unknown {
    if (/^-?[0-9]+$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)) return Number(text);
    this.#keep(`number ${text}`, 'int');
    return old;
  }

  #any(node: JsonNode, depth: number): unknown {
    if (depth > maxAnyDepth) throw new HardFault('exceeded max depth');
    switch (node.kind) {
      case 'null':
        return null;
      case 'bool':
      case 'string':
        return node.value;
      case 'number':
        return this.#float(node.text);
      case 'array':
        return node.items.map((item) => this.#any(item, depth + 1));
      case 'object': {
        const object = {};
        for (const [key, value] of node.entries) setKey(object, key, this.#any(value, depth + 1));
        return object;
      }
      default:
        return node satisfies never;
    }
  }

  #float(text: string): unknown {
    const value = Number(text);
    if (Number.isFinite(value)) return value;
    this.#keep(`number ${text}`, 'float64');
    return null;
  }

  #mismatch(type: GoType, node: JsonNode, old: unknown): unknown {
    this.#keep(node.kind, typeName(type));
    return old;
  }

  #keep(found: string, type: string): void {
    const where = this.#path.length === 0 ? 'Go value' : `Go struct field ${this.#struct}.${this.#path.join('.')}`;
    this.saved ??= `json: cannot unmarshal ${found} into ${where} of type ${type}`;
  }
}

function decodeCustom(via: GoStruct, node: JsonNode): unknown {
  const decoded = decodeNode(node, via);
  if (!decoded.ok) throw new HardFault(decoded.error);
  return decoded.value;
}

function fromText(result: TextResult): string {
  if (!result.ok) throw new HardFault(result.error);
  return result.value;
}

function isNilable(type: GoType): boolean {
  return (
    type.kind === 'pointer' ||
    type.kind === 'slice' ||
    type.kind === 'map' ||
    type.kind === 'any' ||
    type.kind === 'text'
  );
}

/** What a list holds where nothing was decoded: null made an element nil, or left it at its zero value. */
function zero(type: GoType): unknown {
  switch (type.kind) {
    case 'string':
    case 'text':
      return '';
    case 'int':
      return 0;
    case 'bool':
      return false;
    case 'struct':
    case 'custom':
      return {};
    default:
      return null;
  }
}

function typeName(type: GoType): string {
  switch (type.kind) {
    case 'slice':
      return `[]${typeName(type.of)}`;
    case 'pointer':
      return `*${typeName(type.to)}`;
    case 'map':
      return 'map[string]interface {}';
    case 'any':
      return 'interface {}';
    case 'struct':
    case 'text':
    case 'custom':
      return type.name;
    default:
      return type.kind;
  }
}

/** The exact key first, then the first that matches without regard to case. */
function fieldName(type: GoStruct, key: string): string | undefined {
  if (Object.hasOwn(type.fields, key)) return key;
  const folded = foldKey(key);
  return Object.keys(type.fields).find((name) => foldKey(name) === folded);
}

/** Two keys with one fold match a field alike. Go folds by Unicode: long s and the Kelvin sign count as letters. */
export function foldKey(key: string): string {
  return key
    .replaceAll('\u017f', 's')
    .replaceAll('\u212a', 'k')
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `__proto__` is a key like any other. */
function setKey(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}
