import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normaliseMac, parseMac, sameMac } from './mac.ts';

test('a MAC is read in the three spellings that Go takes', () => {
  for (const text of ['02:00:5E:10:00:ff', '02-00-5e-10-00-FF', '0200.5e10.00ff']) {
    assert.deepEqual(parseMac(text), [2, 0, 0x5e, 0x10, 0, 0xff], text);
    assert.equal(normaliseMac(text), '02:00:5e:10:00:ff');
  }
  assert.equal(sameMac('AA-BB-CC-DD-EE-FF', 'aabb.ccdd.eeff'), true);
  assert.equal(sameMac('AA-BB-CC-DD-EE-FF', 'aa:bb:cc:dd:ee:fe'), false);
});

test('EUI-64 and InfiniBand lengths pass, others do not', () => {
  const ofLength = (bytes: number) => Array.from({ length: bytes }, () => '02').join(':');
  for (const bytes of [6, 8, 20]) assert.equal(parseMac(ofLength(bytes))?.length, bytes);
  for (const bytes of [1, 2, 5, 7, 9, 19, 21]) assert.equal(parseMac(ofLength(bytes)), undefined, String(bytes));
});

test('what is no MAC is told apart', () => {
  for (const text of [
    '',
    'x',
    '02:00-5e:10:00:ff',
    '2:0:5e:10:0:ff',
    ' 02:00:5e:10:00:ff',
    '02005e1000ff',
    '0200.5e10',
  ]) {
    assert.equal(parseMac(text), undefined, text);
  }
  assert.equal(normaliseMac('Nonsense'), 'nonsense');
});

test('normalising is idempotent', () => {
  fc.assert(fc.property(fc.string(), (text) => normaliseMac(normaliseMac(text)) === normaliseMac(text)));
});
