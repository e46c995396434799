import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PatchOperation } from '../kube/cluster.ts';
import { stamped } from './stamp.ts';

const stamp = { commit: 'main@sha1:1d0c9a3f', at: new Date('2026-11-24T12:00:00.123Z') };
const change: PatchOperation = { op: 'replace', path: '/spec/x', value: 1 };
const marks = {
  'patchpanel.dev/applied-commit': 'main@sha1:1d0c9a3f',
  'patchpanel.dev/applied-at': '2026-11-24T12:00:00Z',
};
const added = Object.entries(marks).map(([key, value]) => ({
  op: 'add',
  path: `/metadata/annotations/${key.replace('/', '~1')}`,
  value,
}));

test('a change carries the commit and the time', () => {
  assert.deepEqual(stamped([change], { metadata: { name: 'a', annotations: { x: 'y' } } }, stamp), [change, ...added]);
});

test('an object without annotations gets the map, and only where there is still none', () => {
  assert.deepEqual(stamped([change], { metadata: { name: 'a' } }, stamp), [
    change,
    { op: 'test', path: '/metadata/annotations', value: null },
    { op: 'add', path: '/metadata/annotations', value: marks },
  ]);
  const withMap: PatchOperation[] = [{ op: 'add', path: '/metadata/annotations', value: { owned: '[]' } }];
  assert.deepEqual(stamped(withMap, { metadata: { name: 'a' } }, stamp), [...withMap, ...added]);
});

test('without a change there is no stamp', () => {
  assert.deepEqual(stamped([], { metadata: { name: 'a' } }, stamp), []);
});
