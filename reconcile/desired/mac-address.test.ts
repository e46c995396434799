import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { macFault, macPattern, normalizeMac } from './mac-address.ts';

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
          assert.equal(normalizeMac(text), normal);
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
