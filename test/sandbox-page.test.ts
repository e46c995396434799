/** The page of the sandbox: each known difference names a test, and the test is there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

test('each known difference of the sandbox names its test', () => {
  const page = readFileSync(join(root, 'docs/reference/sandbox.md'), 'utf8');
  const [, section = ''] = page.split('### Known differences');
  const rows = section.split('\n').filter((line) => /^\| (kube|virt)-/.test(line));
  assert.ok(rows.length > 10);
  for (const row of rows) {
    const file = /`([^`]+\.ts)` +\|$/.exec(row)?.[1];
    assert.ok(file !== undefined, row);
    assert.ok(existsSync(join(root, file)), file);
  }
});
