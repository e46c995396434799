import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorTable, PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { errorJson, errorLines, errorText } from './error-text.ts';
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

test('of very many failures the first are shown and the others counted', () => {
  const one = new PatchpanelError('source/empty', 'nothing here');
  const text = errorText(new PatchpanelErrors(Array.from({ length: 60 }, () => one)), plain);
  assert.equal(text.match(/nothing here/g)?.length, 50);
  assert.match(text, /60 problems found; .*10 more are not shown/);
});

test('a JSON log has a line for each failure', () => {
  const one = new PatchpanelError('source/empty', 'nothing here', { remedy: 'Commit something.' });
  const lines = errorLines(new PatchpanelErrors([one, one]), new Date(0), { run: 'run-1' }).split('\n');
  assert.equal(lines.length, 3);
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    run: 'run-1',
    type: 'error',
    code: 'source/empty',
    message: 'nothing here',
    remedy: 'Commit something.',
    retryable: false,
    exitCode: 3,
  });
});

test('every code is a slug, and every row has a sentence and a remedy', () => {
  for (const [code, row] of Object.entries(errorTable)) {
    assert.match(code, /^[a-z]+(\/[a-z]+(-[a-z]+)*)?$/);
    assert.match(row.when, /\.$/);
    assert.match(row.remedy, /[.`]$/);
    assert.equal(new PatchpanelError('internal', 'x').exitCode, 1);
  }
});
