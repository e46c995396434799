import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorTable, PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { errorJson, errorText } from './error-text.ts';
import { makeStyle } from './style.ts';

const plain = makeStyle(false);

test('a failure shows its place, the line with a caret, and the way out', () => {
  const error = new PatchpanelError('schema/unknown-key', 'unknown key "nam"; did you mean "name"?', {
    position: { file: 'vms/db-0.yaml', line: 7, column: 7 },
    sourceLine: '    - nam: storage',
  });
  assert.equal(
    errorText(error, plain),
    `error vms/db-0.yaml:7:7: unknown key "nam"; did you mean "name"? (schema/unknown-key)
  7 |     - nam: storage
            ^
  Remove it, or correct its spelling.
`,
  );
});

test('several failures are shown together', () => {
  const one = new PatchpanelError('source/empty', 'nothing here');
  assert.match(
    errorText(new PatchpanelErrors([one, one]), plain),
    /2 problems found; the cluster was not touched\.\n$/,
  );
  assert.deepEqual(Object.keys(errorJson(one)), ['errors']);
});

test('every code is a slug, and every row has a sentence and a remedy', () => {
  for (const [code, row] of Object.entries(errorTable)) {
    assert.match(code, /^[a-z]+(\/[a-z]+(-[a-z]+)*)?$/);
    assert.match(row.when, /\.$/);
    assert.match(row.remedy, /[.`]$/);
    assert.equal(new PatchpanelError('internal', 'x').exitCode, 1);
  }
});
