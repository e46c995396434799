import assert from 'node:assert/strict';
import { test } from 'node:test';
import { revision } from '../desired/revision.ts';
import { samplePlan, samplePlug } from './fixtures/sample-plan.ts';
import { samplePod } from './fixtures/sample-pod-plan.ts';
import { count, describeAction, duration, sign } from './words.ts';

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

test('actions of pods are put into words', () => {
  const words = samplePod.actions.map((action) => `${sign(action)} ${describeAction(action, samplePod.target)}`);
  assert.deepEqual(words, [
    '~ name the interface of lab/old-net: net1',
    '- detach backup from the domain',
    '- unplug backup (lab/old-net as podb), which network-status lists in error',
    '. drop the ownership record of backup',
    '. wait: mgmt is being plugged',
    '~ ask the controller again to plug web',
    '+ plug storage into storage-net as pods mac 02:00:00:00:0a:01 ips 192.0.2.7/24',
    '+ attach storage to the domain mac 02:00:00:00:0a:01 e1000e link down',
    '~ set the link of mgmt up',
  ]);
});
