import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyJsonPatch, applyMergePatch, PatchFailure, parsePatchJson } from './patch.ts';

const document = { list: [1, 2, 3], map: { a: 'x', 'b/c': 'y', 'd~e': 'z' } };

const accepted: readonly (readonly [string, object, unknown])[] = [
  ['adds a key', { op: 'add', path: '/map/n', value: 1 }, { ...document, map: { ...document.map, n: 1 } }],
  ['inserts', { op: 'add', path: '/list/1', value: 9 }, { ...document, list: [1, 9, 2, 3] }],
  ['appends', { op: 'add', path: '/list/-', value: 9 }, { ...document, list: [1, 2, 3, 9] }],
  ['counts from the end', { op: 'remove', path: '/list/-1' }, { ...document, list: [1, 2] }],
  ['unescapes', { op: 'test', path: '/map/b~1c', value: 'y' }, document],
  ['unescapes a tilde', { op: 'test', path: '/map/d~0e', value: 'z' }, document],
  [
    'replaces what is not there',
    { op: 'replace', path: '/map/n', value: 1 },
    { ...document, map: { ...document.map, n: 1 } },
  ],
  ['adds null where the value is missing', { op: 'add', path: '/n' }, { ...document, n: null }],
  ['copies null from a missing key', { op: 'copy', from: '/map/no', path: '/n' }, { ...document, n: null }],
  ['finds null on a missing key', { op: 'test', path: '/map/no', value: null }, document],
  ['moves', { op: 'move', from: '/list', path: '/n' }, { map: document.map, n: [1, 2, 3] }],
];
for (const [name, step, expected] of accepted) {
  test(`JSON patch ${name}`, () => assert.deepEqual(applyJsonPatch(document, [step]), expected));
}

const refused: readonly (readonly [string, object])[] = [
  ['a failing test', { op: 'test', path: '/map/a', value: 'y' }],
  ['a test on a missing key', { op: 'test', path: '/map/no', value: 'y' }],
  ['removal of a missing key', { op: 'remove', path: '/map/no' }],
  ['a missing parent', { op: 'add', path: '/no/deep', value: 1 }],
  ['an index beyond the end', { op: 'add', path: '/list/4', value: 1 }],
  ['a word for an index', { op: 'add', path: '/list/x', value: 1 }],
  ['a pointer without a slash', { op: 'add', path: 'map/n', value: 1 }],
  ['an inherited key', { op: 'remove', path: '/map/constructor' }],
  ['an unknown operation', { op: 'frobnicate', path: '/map/a' }],
];
for (const [name, step] of refused) {
  test(`JSON patch refuses ${name}`, () => assert.throws(() => applyJsonPatch(document, [step]), PatchFailure));
}

test('numbers are compared as they are written', () => {
  const steps = parsePatchJson('[{"op":"test","path":"/list/0","value":1.0}]');
  assert.throws(() => applyJsonPatch(document, steps as readonly unknown[]), PatchFailure);
});

test('a key named __proto__ is a key like any other', () => {
  const patched = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
  assert.equal(JSON.stringify(patched), '{"__proto__":{"polluted":true}}');
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('the document that is patched stays as it is', () => {
  const before = structuredClone(document);
  applyJsonPatch(document, [
    { op: 'remove', path: '/map/a' },
    { op: 'add', path: '/list/-', value: 4 },
  ]);
  assert.deepEqual(document, before);
});

test('a merge patch of a whole object, with null for what is to go, gives that object', () => {
  const values = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(fc.integer(), fc.array(fc.integer())));
  fc.assert(
    fc.property(values, values, (before, after) => {
      const removals = Object.fromEntries(Object.keys(before).map((key) => [key, null]));
      assert.deepEqual({ ...(applyMergePatch(before, { ...removals, ...after }) as object) }, { ...after });
    }),
  );
});
