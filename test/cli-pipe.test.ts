/** The command line when nobody reads on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../cmd/patchpanel.ts', import.meta.url));

test('a reader that leaves early is no failure', async () => {
  for (const args of [
    ['plan', '--help'],
    ['render', fileURLToPath(new URL('../examples/desired-state/vms', import.meta.url))],
  ]) {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, complaint);
    assert.doesNotMatch(complaint, /EPIPE|\n\s+at /);
  }
});
