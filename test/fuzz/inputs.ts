/** Inputs that are almost right: samples with a few edits, each of which fast-check can take away or make smaller. */
import * as fc from 'fast-check';
import type { Target } from './target.ts';

/** Where an edit is made, as a share of the input of 1,000,000. */
const scale = 1_000_000;
const place = fc.nat(scale - 1);

type Edit =
  | { readonly kind: 'insert'; readonly at: number; readonly piece: string }
  | { readonly kind: 'replace'; readonly at: number; readonly length: number; readonly piece: string }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | { readonly kind: 'grow'; readonly at: number; readonly piece: string; readonly times: number }
  | {
      readonly kind: 'splice';
      readonly at: number;
      readonly sample: number;
      readonly from: number;
      readonly length: number;
    }
  | { readonly kind: 'cut'; readonly at: number };

/** What breaks parsers of any kind. */
const nasty = [
  '\0',
  '\u001b[31m',
  '\r\n',
  '\r',
  '\n',
  '\t',
  ' ',
  '\ufeff',
  '\u2028',
  '\u202e',
  '\ud800',
  '\udfff',
  '\u00e9',
  '\u{1f4a5}',
  '"',
  "'",
  '`',
  '\\',
  '\\u0000',
  '\\ud800',
  '/',
  '//',
  '..',
  '../../etc/passwd',
  '.git',
  '$(reboot)',
  ';',
  '--help',
  '%s',
  '%00',
  '{',
  '}',
  '[',
  ']',
  '<',
  '>',
  '&',
  '#',
  ',',
  ':',
  ': ',
  '- ',
  '-',
  '|',
  '@',
  '=',
  '*',
  '0',
  '-0',
  '-1',
  '1',
  '9007199254740993',
  '1e999',
  '-1e999',
  '4294967296',
  '2147483648',
  '0x',
  '0.1',
  'NaN',
  'Infinity',
  'null',
  'true',
  'false',
  '{}',
  '[]',
  '""',
  '__proto__',
  '"__proto__":{"a":1}',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '\u00ff',
  '\u0080',
  '\u0000\u0000\u0000\u0000',
  '\u00ff\u00ff\u00ff\u00ff',
  '\u007f\u00ff\u00ff\u00ff',
] as const;

/** Seldom, and seldom large: what takes long for its length alone teaches little. */
const times = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 1, max: 40 }) },
  { weight: 4, arbitrary: fc.integer({ min: 41, max: 2000 }) },
  { weight: 1, arbitrary: fc.constantFrom(10_000, 50_000) },
);

/** No edit makes an input longer than this. */
const longest = 400_000;

function pieceOf({ kind, pieces = [] }: Target): fc.Arbitrary<string> {
  const known = pieces.length === 0 ? nasty : pieces;
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    { weight: 4, arbitrary: fc.constantFrom(...nasty) },
    { weight: 2, arbitrary: fc.nat(kind === 'bytes' ? 0xff : 0xffff).map((code) => String.fromCharCode(code)) },
  );
}

function editOf(target: Target): fc.Arbitrary<Edit> {
  const piece = pieceOf(target);
  const length = fc.oneof(
    { weight: 6, arbitrary: fc.nat(4) },
    { weight: 2, arbitrary: fc.nat(60) },
    { weight: 1, arbitrary: fc.nat(4000) },
  );
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('insert' as const), at: place, piece }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('replace' as const), at: place, length, piece }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('repeat' as const), at: place, length, times }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('grow' as const), at: place, piece, times }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('splice' as const),
        at: place,
        sample: fc.nat(1000),
        from: place,
        length,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: place }) },
  );
}

function edited(input: string, edit: Edit, samples: readonly string[]): string {
  const at = offset(edit.at, input);
  switch (edit.kind) {
    case 'insert':
      return input.slice(0, at) + edit.piece + input.slice(at);
    case 'replace':
      return input.slice(0, at) + edit.piece + input.slice(at + edit.length);
    case 'repeat':
      return input.slice(0, at) + many(input.slice(at, at + edit.length), edit.times) + input.slice(at);
    case 'grow':
      return input.slice(0, at) + many(edit.piece, edit.times) + input.slice(at);
    case 'splice': {
      const other = samples[edit.sample % samples.length] ?? '';
      const from = offset(edit.from, other);
      return input.slice(0, at) + other.slice(from, from + edit.length) + input.slice(at);
    }
    case 'cut':
      return input.slice(0, at);
    default:
      return edit satisfies never;
  }
}

function offset(share: number, text: string): number {
  return Math.floor((share / scale) * (text.length + 1));
}

function many(piece: string, count: number): string {
  return piece.repeat(Math.min(count, Math.floor(longest / Math.max(piece.length, 1))));
}

type ShapeEdit =
  | { readonly kind: 'put'; readonly at: number; readonly value: unknown }
  | { readonly kind: 'add'; readonly at: number; readonly key: string; readonly value: unknown }
  | { readonly kind: 'drop'; readonly at: number }
  | { readonly kind: 'wrap'; readonly at: number; readonly times: number }
  | { readonly kind: 'move'; readonly at: number; readonly from: number };

function shapeEditOf(target: Target): fc.Arbitrary<ShapeEdit> {
  const value = fc.oneof(
    fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e300, 2 ** 53, '', 'x', [], {}, [null], [[]], [{}], {
      '': null,
    }),
    pieceOf(target),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const key = fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'length',
    '',
    '0',
    'name',
    'then',
    'toJSON',
    ...(target.pieces ?? []),
  );
  return fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), at: place, value }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('add' as const), at: place, key, value }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), at: place }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('wrap' as const), at: place, times: fc.constantFrom(1, 2, 100, 1000) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), at: place, from: place }) },
  );
}

/** A place in a value: what holds it, and under which key. */
interface Slot {
  readonly holder: object;
  readonly key: string;
}

function slotsOf(root: object): readonly Slot[] {
  const slots: Slot[] = [];
  const pending: object[] = [root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const key of Object.keys(next)) {
      slots.push({ holder: next, key });
      const value: unknown = Reflect.get(next, key);
      if (typeof value === 'object' && value !== null) pending.push(value);
    }
  }
  return slots;
}

/** JSON with a few values of other shapes; one that is nested too deeply to be written stays as it was. */
function reshaped(sample: string, edits: readonly ShapeEdit[]): string {
  const root = { value: JSON.parse(sample) as unknown };
  for (const edit of edits) {
    const slots = slotsOf(root);
    const slot = slots[Math.floor((edit.at / scale) * slots.length)];
    if (slot !== undefined) reshape(slot, edit, slots);
  }
  return JSON.stringify(root.value) ?? 'null';
}

function reshape({ holder, key }: Slot, edit: ShapeEdit, slots: readonly Slot[]): void {
  const put = (value: unknown): void => define(holder, key, value);
  const found: unknown = Reflect.get(holder, key);
  switch (edit.kind) {
    case 'put':
      put(structuredClone(edit.value));
      return;
    case 'add':
      if (typeof found === 'object' && found !== null) define(found, edit.key, structuredClone(edit.value));
      return;
    case 'drop':
      if (key !== 'value') Reflect.deleteProperty(holder, key);
      return;
    case 'wrap': {
      const open = Array.from({ length: edit.times }, () => '[').join('');
      put(JSON.parse(`${open}${open.replaceAll('[', ']')}`));
      return;
    }
    case 'move': {
      const from = slots[Math.floor((edit.from / scale) * slots.length)];
      // A copy: a value within itself is no JSON.
      put(from === undefined ? null : structuredClone(Reflect.get(from.holder, from.key)));
      return;
    }
    default:
      edit satisfies never;
  }
}

/** An own property, even where the key is `__proto__`. */
function define(holder: object, key: string, value: unknown): void {
  // JSON has no such thing.
  if (Array.isArray(holder) && !/^\d{1,4}$/.test(key)) return;
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Inputs for a target. */
export function inputsOf(target: Target): fc.Arbitrary<string> {
  const { samples, kind } = target;
  const sample = fc.constantFrom(...samples);
  const textual = fc
    .tuple(sample, fc.array(editOf(target), { minLength: 1, maxLength: 6 }))
    .map(([input, edits]) => edits.reduce((text, edit) => edited(text, edit, samples), input).slice(0, longest));
  if (kind !== 'json') return textual;
  const shaped = fc
    .tuple(sample, fc.array(shapeEditOf(target), { minLength: 1, maxLength: 6 }))
    .map(([input, edits]) => reshaped(input, edits));
  return fc.oneof({ weight: 3, arbitrary: shaped }, { weight: 1, arbitrary: textual });
}
