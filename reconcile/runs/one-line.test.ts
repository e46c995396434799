import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageWords } from './age.ts';
import { microTime } from './micro-time.ts';
import { oneLine } from './one-line.ts';

test('text of others stays one line, and no mark turns it around', () => {
  assert.equal(oneLine('a\r\nb\u2028c\u202ed\u0007 ', 100), 'a b c d');
  assert.equal(oneLine('plain äöü', 100), 'plain äöü');
});

test('it is cut at bytes, never within a character', () => {
  assert.equal(oneLine('x'.repeat(20), 10), 'xxxxxxx...');
  const cut = oneLine('ä'.repeat(20), 12);
  assert.equal(cut, 'ääää...');
  assert.ok(Buffer.byteLength(cut) <= 12);
});

test('times of Leases have six decimals', () => {
  assert.equal(microTime(new Date('2026-11-24T12:00:00.123Z')), '2026-11-24T12:00:00.123000Z');
});

test('ages are told in one unit', () => {
  const words = [-5, 3, 119, 120, 7199, 7200, 172_799, 172_800].map((seconds) => ageWords(seconds * 1000));
  assert.deepEqual(words, ['0 s', '3 s', '119 s', '2 min', '119 min', '2 h', '47 h', '2 days']);
});
