import assert from 'node:assert/strict';
import { test } from 'node:test';
import { samplePlan, samplePlug } from './fixtures/sample-plan.ts';
import { count, describeAction, duration, revision } from './words.ts';

test('actions are put into words', () => {
  const words = samplePlug.actions.map((action) => describeAction(action, samplePlug.target));
  assert.deepEqual(words, [
    'unplug backup',
    'set the link of mgmt down',
    'plug storage into storage-net mac 02:00:00:00:0a:01',
    'move web from vlan10 to lab/vlan20, by migration',
  ]);
  assert.equal(revision(samplePlan([]).source), `main@sha1:${'a'.repeat(40)}`);
});

test('numbers are put into words', () => {
  assert.equal(count(1, 'VM'), '1 VM');
  assert.equal(count(0, 'VM'), '0 VMs');
  assert.equal(duration(840), '0.8 s');
  assert.equal(duration(65_000), '1 min 5 s');
});
