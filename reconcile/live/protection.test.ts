import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProtection } from './protection.ts';

test('what the annotation protects; what is unclear protects all', () => {
  assert.equal(readProtection(undefined), undefined);
  assert.equal(readProtection('false'), undefined);
  assert.deepEqual(readProtection(' true '), { kind: 'all' });
  assert.deepEqual(readProtection('storage, backup,storage'), { kind: 'some', names: ['backup', 'storage'] });
  for (const text of ['', ',', 'a,,b', 'a b', '["a"]', '*']) {
    assert.deepEqual(readProtection(text), { kind: 'malformed', text }, text);
  }
});
