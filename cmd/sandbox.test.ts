import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultNames } from '../sandbox/contract.ts';
import { known } from '../test/conformance/known-differences.ts';
import { buildProgram } from './program.ts';

test('faults are known by name, and those of the API server take numbers', async () => {
  const refused = {
    'no-such-fault': /The faults are no-plug/,
    'no-plug': /no-plug=\*\. The faults are no-plug/,
    'no-unplug=': /no-unplug=\*/,
    'api-errors': /such as api-errors=0\.1/,
    'api-errors=1': /a share/,
    'api-errors=often': /a share/,
    'watch-cut': /milliseconds/,
    'watch-cut=0.5': /milliseconds/,
  };
  for (const [fault, message] of Object.entries(refused)) {
    const argv = ['sandbox', '--kubeconfig', 'never-written', '--fault', fault];
    const program = await buildProgram('', { code: 0 });
    await assert.rejects(program.parseAsync(argv, { from: 'user' }), { message }, fault);
  }
});

test('the reference page names every fault, and how many recorded cases differ', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/reference/sandbox.md'), 'utf8');
  for (const name of faultNames) assert.ok(page.includes(`| \`${name}`), name);
  assert.ok(page.includes(`${Object.keys(known).length} cases`), String(Object.keys(known).length));
});
