/**
 * JSON as Go's encoding/json scans it: the same inputs refused with the same words. Multus, its dynamic controller and
 * KubeVirt put these texts into events and logs, so whoever reads them there finds them here again.
 */

/** A JSON value with what JavaScript's own parser loses: duplicate keys and the text of numbers. */
export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, JsonNode])[] };

export type ScannedJson =
  | { readonly ok: true; readonly node: JsonNode }
  | { readonly ok: false; readonly error: string };

/** Go refuses deeper nesting. */
const maxDepth = 10_000;

/** Reads a text as `json.Unmarshal` does before it looks at any type. */
export function scanJson(text: string): ScannedJson {
  // Go sees UTF-8, in which half a surrogate pair can not be written.
  const scanner = new Scanner(text.toWellFormed());
  try {
    return { ok: true, node: scanner.document() };
  } catch (error) {
    if (error instanceof SyntaxFault) return { ok: false, error: error.message };
    throw error;
  }
}

class SyntaxFault extends Error {}

type OpenArray = { readonly kind: 'array'; readonly items: JsonNode[] };
type OpenObject = { readonly kind: 'object'; readonly entries: [string, JsonNode][]; key: string };

/** Keeps its own stack: nesting up to Go's limit would overflow that of JavaScript. */
class Scanner {
  readonly #text: string;
  #at = 0;
  readonly #open: (OpenArray | OpenObject)[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    for (;;) {
      let done = this.#begin();
      while (done !== undefined) {
        const parent = this.#open.at(-1);
        if (parent === undefined) return this.#end(done);
        done = this.#append(parent, done);
      }
    }
  }

  /** Reads up to the end of a scalar or empty container, which it returns, or opens a container. */
  #begin(): JsonNode | undefined {
    this.#space();
    switch (this.#peek()) {
      case '[':
        return this.#beginArray();
      case '{':
        return this.#beginObject();
      case '"':
        return { kind: 'string', value: this.#string() };
      case 't':
        this.#literal('true');
        return { kind: 'bool', value: true };
      case 'f':
        this.#literal('false');
        return { kind: 'bool', value: false };
      case 'n':
        this.#literal('null');
        return { kind: 'null' };
      default:
        return { kind: 'number', text: this.#number() };
    }
  }

  #beginArray(): JsonNode | undefined {
    this.#push({ kind: 'array', items: [] });
    this.#space();
    return this.#peek() === ']' ? this.#pop() : undefined;
  }

  #beginObject(): JsonNode | undefined {
    const opened: OpenObject = { kind: 'object', entries: [], key: '' };
    this.#push(opened);
    this.#space();
    if (this.#peek() === '}') return this.#pop();
    this.#key(opened);
    return undefined;
  }

  #push(container: OpenArray | OpenObject): void {
    this.#open.push(container);
    if (this.#open.length > maxDepth) this.#failInToken('exceeded max depth');
    this.#at += 1;
  }

  #pop(): JsonNode | undefined {
    this.#at += 1;
    const closed = this.#open.pop();
    if (closed === undefined) return undefined;
    return closed.kind === 'array' ? closed : { kind: 'object', entries: closed.entries };
  }

  /** Puts a finished value into its container; returns the container where that ends with it. */
  #append(parent: OpenArray | OpenObject, value: JsonNode): JsonNode | undefined {
    this.#space();
    if (parent.kind === 'array') {
      parent.items.push(value);
      if (this.#peek() === ']') return this.#pop();
      if (this.#peek() !== ',') this.#fail('after array element');
      this.#at += 1;
      return undefined;
    }
    parent.entries.push([parent.key, value]);
    if (this.#peek() === '}') return this.#pop();
    if (this.#peek() !== ',') this.#fail('after object key:value pair');
    this.#at += 1;
    this.#key(parent);
    return undefined;
  }

  #key(object: OpenObject): void {
    this.#space();
    if (this.#peek() !== '"') this.#fail('looking for beginning of object key string');
    object.key = this.#string();
    this.#space();
    if (this.#peek() !== ':') this.#fail('after object key');
    this.#at += 1;
  }

  #end(node: JsonNode): JsonNode {
    this.#space();
    if (this.#at < this.#text.length) this.#fail('after top-level value');
    return node;
  }

  #space(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  /** Go marks the end of input with a space, and blames that where a token is cut off. */
  #peekInToken(): string {
    return this.#peek() || ' ';
  }

  #literal(word: 'true' | 'false' | 'null'): void {
    this.#at += 1;
    for (const letter of word.slice(1)) {
      if (this.#peek() !== letter) this.#failInToken(`in literal ${word} (expecting '${letter}')`);
      this.#at += 1;
    }
  }

  #number(): string {
    const start = this.#at;
    if (this.#peek() === '-') {
      this.#at += 1;
      if (!/[0-9]/.test(this.#peek())) this.#failInToken('in numeric literal');
    }
    if (!/[0-9]/.test(this.#peek())) this.#fail('looking for beginning of value');
    // A number may not go on after a leading zero; the digit that does is blamed on what comes next.
    if (this.#peek() === '0') this.#at += 1;
    else this.#digits();
    if (this.#peek() === '.') {
      this.#at += 1;
      if (!/[0-9]/.test(this.#peek())) this.#failInToken('after decimal point in numeric literal');
      this.#digits();
    }
    if (/[eE]/.test(this.#peek())) {
      this.#at += 1;
      if (/[+-]/.test(this.#peek())) this.#at += 1;
      if (!/[0-9]/.test(this.#peek())) this.#failInToken('in exponent of numeric literal');
      this.#digits();
    }
    return this.#text.slice(start, this.#at);
  }

  #digits(): void {
    while (/[0-9]/.test(this.#peek())) this.#at += 1;
  }

  #string(): string {
    this.#at += 1;
    let value = '';
    for (;;) {
      const from = this.#at;
      while (isPlain(this.#text.charCodeAt(this.#at))) this.#at += 1;
      value += this.#text.slice(from, this.#at);
      if (this.#peek() === '"') {
        this.#at += 1;
        // Escapes may have left half a surrogate pair, which Go replaces.
        return value.toWellFormed();
      }
      if (this.#peek() !== '\\') this.#fail('in string literal');
      this.#at += 1;
      value += this.#escape();
    }
  }

  #escape(): string {
    const letter = this.#peekInToken();
    const simple = simpleEscapes.get(letter);
    if (simple === undefined && letter !== 'u') this.#failInToken('in string escape code');
    this.#at += 1;
    if (simple !== undefined) return simple;
    const from = this.#at;
    for (let digit = 0; digit < 4; digit += 1) {
      if (!/[0-9A-Fa-f]/.test(this.#peek())) this.#failInToken('in \\u hexadecimal character escape');
      this.#at += 1;
    }
    return String.fromCharCode(Number.parseInt(this.#text.slice(from, this.#at), 16));
  }

  #fail(context: string): never {
    if (this.#at >= this.#text.length) throw new SyntaxFault('unexpected end of JSON input');
    this.#failInToken(context);
  }

  #failInToken(context: string): never {
    throw new SyntaxFault(
      `invalid character ${quoteFirstByte(this.#text.slice(this.#at, this.#at + 2) || ' ')} ${context}`,
    );
  }
}

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['\\', '\\'],
  ['/', '/'],
  ['"', '"'],
]);

/** By code unit: thousands of pods have such an annotation. NaN, past the end, is neither plain nor a space. */
function isPlain(code: number): boolean {
  return code >= 0x20 && code !== 0x22 && code !== 0x5c;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

/** Go scans bytes: of a character beyond ASCII it shows the first byte, taken for Latin-1. */
function quoteFirstByte(rest: string): string {
  if (rest.startsWith("'")) return "'\\''";
  if (rest.startsWith('"')) return `'"'`;
  const [byte = 0] = new TextEncoder().encode(rest);
  return `'${goQuote(String.fromCharCode(byte)).slice(1, -1)}'`;
}

const goEscapes: ReadonlyMap<string, string> = new Map([
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['"', '\\"'],
  ['\\', '\\\\'],
]);

/** A string as Go's `%q` shows it. */
export function goQuote(text: string): string {
  return `"${Array.from(text.toWellFormed(), quoteCharacter).join('')}"`;
}

function quoteCharacter(character: string): string {
  const short = goEscapes.get(character);
  if (short !== undefined) return short;
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x20 || code === 0x7f) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
