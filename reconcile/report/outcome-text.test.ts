import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionOutcome, Outcome } from '../apply/model.ts';
import { samplePlan, samplePlug } from './fixtures/sample-plan.ts';
import { outcomeText } from './outcome-text.ts';
import { makeStyle } from './style.ts';

function outcome(actions: readonly ActionOutcome[]): Outcome {
  const summary = {
    converged: 0,
    failed: 1,
    blocked: 0,
    staged: 0,
    waiting: 0,
    interrupted: 0,
    notStarted: 0,
    reversed: 0,
    held: 0,
    unchanged: 0,
  };
  return {
    targets: [{ target: samplePlug.target, result: 'failed', actions, verified: [] }],
    interrupted: false,
    summary: { ...summary, writes: 1, milliseconds: 120_300 },
  };
}

test('a failed action tells layer, reason, code, how long it was tried, and the remedy', () => {
  const text = outcomeText(
    outcome([
      {
        id: 'prod/db-0/1',
        kind: 'unplug',
        result: 'failed',
        milliseconds: 120_000,
        laggingLayer: 'domain',
        reason: 'the guest has not released "backup"',
        code: 'apply/timeout',
        remedy: 'Run again.',
      },
      { id: 'prod/db-0/2', kind: 'link', result: 'not-started', reason: '"unplug backup" failed' },
    ]),
    samplePlan([samplePlug]),
    makeStyle(false),
  );
  assert.equal(
    text,
    `prod/db-0  failed
  failed      unplug backup at layer domain: the guest has not released "backup" (apply/timeout), gave up after 2 min 0 s
              Run again.
  not started set the link of mgmt down: "unplug backup" failed
0 VMs converged, 1 failed; 1 write in 2 min 0 s.
`,
  );
});
