/** What stands in the list of scenarios must run on the cluster that the runner names. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scenarioFiles } from './scenarios.ts';

test('no file of scenarios starts a sandbox of its own', () => {
  assert.ok(scenarioFiles.length > 10);
  const own = scenarioFiles.filter((file) => {
    const text = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
    return /from '\.\.\/sandbox\/(sandbox|api\/server)\.ts'/.test(text);
  });
  assert.deepEqual(own, []);
});
