import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { macFault, macPattern, normaliseMac, parseMac, sameMac } from './mac.ts';

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

test('all ways of writing one address give one address', () => {
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.array(byte, { minLength: 6, maxLength: 6 }), (bytes) => {
      const digits = bytes.map((each) => each.toString(16).padStart(2, '0'));
      const normal = digits.join(':');
      const dotted = digits.join('').replace(/^(.{4})(.{4})(.{4})$/, '$1.$2.$3');
      for (const written of [normal, digits.join('-'), dotted]) {
        for (const text of [written, written.toUpperCase()]) {
          assert.match(text, macPattern);
          assert.equal(normaliseMac(text), normal);
        }
      }
    }),
  );
});

test('addresses that no NIC can have are told apart', () => {
  assert.equal(macFault('02:70:70:00:00:01'), undefined);
  assert.equal(macFault('00:00:00:00:00:01'), undefined);
  assert.match(macFault('33-33-00-00-00-01') ?? '', /multicast/);
  assert.match(macFault('FFFF.FFFF.FFFF') ?? '', /broadcast/);
});
