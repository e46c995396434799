import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declared, desiredState, liveState, runningVm } from '../../../test/vm-builder.ts';
import { type Cause, type Change, type ClusterChange, changeVersion } from '../../change/model.ts';
import { diffState } from '../../diff/diff.ts';
import { makePlan } from '../../plan/plan.ts';
import { changePicture } from './change-picture.ts';

const [blue, red] = [{ name: 'blue' }, { name: 'red' }];

test('what is of the change comes first and can be filtered for; what was due before says so', () => {
  const desired = desiredState([declared([blue], { name: 'db-0' }), declared([blue, red], { name: 'db-1' })]);
  const vms = ['db-0', 'db-1', 'db-2'].map((name) => runningVm([], { name }));
  const live = liveState(vms, { also: ['blue-net', 'red-net'] });
  const diffs = diffState(desired, live);
  const plan = makePlan(diffs, desired, live);
  const causeOf: Readonly<Record<string, Cause>> = {
    'prod/db-0/1': 'before',
    'prod/db-1/1': 'before',
    'prod/db-1/2': 'change',
  };
  const cluster: ClusterChange = {
    plan,
    causes: plan.targets.map(({ target, actions }) => ({
      target,
      actions: actions.map(({ id }) => ({ id, cause: causeOf[id] ?? 'both' })),
      blockers: [],
      differences: [],
      notes: [],
    })),
    noLonger: [],
    summary: { changed: 1, blocked: 0, plugs: 1, unplugs: 0, others: 0, before: 2, noLonger: 0 },
  };
  const change: Change = {
    version: changeVersion,
    source: desired.source,
    base: { kind: 'unrendered', ref: 'main', faults: [{ code: 'yaml/syntax', message: 'a tab' }] },
    declared: {
      objects: [],
      settings: [],
      prune: false,
      summary: { added: 0, removed: 0, changed: 1, plugged: 1, unplugged: 0, altered: 0 },
    },
    cluster,
  };
  const picture = changePicture(change, cluster, { desired, live, diffs }, new Date(0));
  assert.deepEqual(
    picture.panels.map(({ name, is }) => [name, ...is]),
    [
      ['db-1', 'plug', 'mine', 'before'],
      ['db-0', 'plug', 'before'],
    ],
  );
  assert.deepEqual(
    picture.panels[0]?.steps?.map(([, words]) => words),
    ['plug blue into blue-net (due before this change)', 'plug red into red-net'],
  );
  assert.match(picture.summary, /^This change: 1 VM to change \(1 plug\)\. Due before it: 2 VMs\.$/);
  assert.deepEqual(picture.facts[0], ['compared with', 'main']);
  assert.match(picture.notices[0] ?? '', /^main can not be rendered/);
});
