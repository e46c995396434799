import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuantity } from './quantity.ts';

test('quantities become numbers', () => {
  const cases = [
    ['1Gi', 1024 ** 3],
    ['128Mi', 128 * 1024 ** 2],
    ['1.5Gi', 1.5 * 1024 ** 3],
    ['2G', 2e9],
    ['1000m', 1],
    ['1e3', 1000],
    ['12E', 12e18],
    ['512', 512],
    [7, 7],
  ] as const;
  for (const [text, value] of cases) assert.equal(parseQuantity(text), value, String(text));
});

test('what is no quantity has no number', () => {
  for (const value of ['', 'Gi', '1 Gi', '1gi', '0x10', null, undefined, {}])
    assert.equal(parseQuantity(value), undefined);
});
