/** Which failures of a base are told, and which stop the plan. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { unrendered } from './base.ts';

test('faults of the files of a base are told; what keeps it from being had stops the plan', () => {
  const fault = new PatchpanelError('yaml/syntax', 'broken', { position: { file: 'a.yaml', line: 1, column: 2 } });
  const empty = new PatchpanelError('source/empty', 'nothing there');
  assert.deepEqual(unrendered('main', new PatchpanelErrors([fault, empty])), {
    kind: 'unrendered',
    ref: 'main',
    faults: [
      { code: 'yaml/syntax', message: 'broken', position: { file: 'a.yaml', line: 1, column: 2 } },
      { code: 'source/empty', message: 'nothing there' },
    ],
  });
  const stops: readonly ErrorCode[] = ['git/unknown-ref', 'git/incomplete', 'git/unreachable', 'cli/usage', 'internal'];
  for (const code of [...stops, 'trust/unverifiable', 'source/unsupported-transport'] as const) {
    const error = new PatchpanelError(code, 'no');
    assert.throws(() => unrendered('main', new PatchpanelErrors([fault, error])), code);
  }
  assert.throws(() => unrendered('main', new TypeError('a bug')), TypeError);
});
