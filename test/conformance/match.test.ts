import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, excerptOf } from './match.ts';

const whole = { trimmed: false };

test('placeholders stand for what varies and for nothing else', () => {
  assert.equal(difference({ rv: '<rv>', id: 'a-<rand5>' }, { rv: '17', id: 'a-x2b4z' }, whole), undefined);
  assert.match(difference({ rv: '<rv>' }, { rv: 'x' }, whole) ?? '', /\$\.rv/);
  assert.match(difference({ message: 'of <rv> (now)' }, { message: 'of 5 (then)' }, whole) ?? '', /message/);
});

test('a whole record allows nothing more, an excerpt does', () => {
  assert.match(difference({ a: 1 }, { a: 1, b: 2 }, whole) ?? '', /b: not recorded/);
  assert.equal(difference({ a: 1 }, { a: 1, b: 2 }, { trimmed: true }), undefined);
  assert.match(difference({ a: 1 }, { b: 2 }, { trimmed: true }) ?? '', /\$\.a/);
  assert.match(difference([1, 2], [1], { trimmed: true }) ?? '', /length/);
});

test('excerpts are made of what an answer holds', () => {
  const list = { items: [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }] };
  assert.deepEqual(difference({ names: ['a', 'b'] }, excerptOf({ names: [] }, list), { trimmed: true }), undefined);
  assert.match(difference({ names: ['a'] }, excerptOf({ names: [] }, list), { trimmed: true }) ?? '', /names/);
});
