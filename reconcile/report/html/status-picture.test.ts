import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveState, runningVm } from '../../../test/vm-builder.ts';
import { defaultSettings } from '../../desired/model.ts';
import { diffState } from '../../diff/diff.ts';
import type { LiveVm } from '../../live/model.ts';
import type { RunRecord } from '../../runs/record.ts';
import type { Sight } from '../../trace/sight.ts';
import { subjectOf } from '../../trace/subject.ts';
import { type StatusGround, statusPicture } from './status-picture.ts';

const since = '2026-03-01T08:00:00.000Z';
const blue = { name: 'blue' };

function recordOf(targets: RunRecord['targets'], more: Partial<RunRecord> = {}): RunRecord {
  return {
    version: 'patchpanel.dev/record/v1alpha1',
    source: 'https://git.example.com/net.git',
    commit: 'main@sha1:0123456789abcdef0123456789abcdef01234567',
    inputs: '',
    outcome: 'blocked',
    counts: { targets: 3, inSync: 1, staged: 1, blocked: 1, failed: 0, interrupted: 0, waiting: 0, notStarted: 0 },
    targets,
    runs: [],
    ...more,
  };
}

function sightOf(...vms: readonly LiveVm[]): Sight {
  const subjects = vms.map((vm) => subjectOf(vm, undefined, false));
  const live = liveState(subjects.map((subject) => subject.live));
  const targets = subjects.map(({ desired }) => desired);
  const source = { kind: 'folder', path: '', digest: '' } as const;
  return { vms: diffState({ source, settings: defaultSettings, targets, files: 0 }, live), pods: [] };
}

function picture(record: RunRecord, sight: Sight, more: Partial<StatusGround> = {}) {
  return statusPicture(
    { record, sight, lock: undefined, server: 'https://127.0.0.1:6443', ...more },
    new Date('2026-03-02T09:30:00Z'),
  );
}

test('a panel has the state of the record, since when and why, and the cables of now', () => {
  const vms = ['db-0', 'db-1', 'db-2', 'db-3'].map((name) =>
    runningVm([blue, { name: 'by-hand' }], { name, owned: ['blue'] }),
  );
  const record = recordOf({
    'prod/db-0': { state: 'in-sync', since },
    'prod/db-1': { state: 'blocked', since, reason: 'vm-paused: db-1 is paused' },
    'prod/db-2': { state: 'staged', since, reason: 'no window is open' },
  });
  const { panels, summary, revision, calm } = picture(record, sightOf(...vms));
  assert.deepEqual(
    panels.map(({ name, is, since: from }) => [name, ...is, from]),
    [
      ['db-1', 'blocked', since],
      ['db-2', 'staged', since],
      ['db-0', 'calm', since],
      ['db-3', 'calm', undefined],
    ],
  );
  assert.deepEqual(panels[0]?.blocks, [{ code: 'vm-paused', text: 'db-1 is paused' }]);
  assert.deepEqual(panels[1]?.blocks, [{ code: 'staged', text: 'no window is open' }]);
  assert.deepEqual(panels[3]?.notes, ['the record has no word of it']);
  assert.deepEqual(
    panels[2]?.cables.map(({ name, is }) => `${name} ${is}`),
    ['blue stays', 'by-hand foreign', 'default foreign'],
  );
  assert.deepEqual(
    [summary, revision, calm],
    ['blocked: 1 of 3 targets in sync, 1 staged, 1 blocked', 'main@01234567', 'In sync'],
  );
});

test('a change under way is in flight, one that the instance lacks comes with its restart', () => {
  const leaving = runningVm([{ ...blue, state: 'absent' }], { owned: ['blue'] });
  assert.equal(picture(recordOf({}), sightOf(leaving)).panels[0]?.cables[0]?.is, 'flight');
  const vm = runningVm([blue], { name: 'db-1', owned: ['blue'] });
  const other = {
    ...vm,
    nics: vm.nics.map((nic) => (nic.name === 'blue' ? { ...nic, mac: '02:00:00:00:00:09' } : nic)),
  };
  const [panel] = picture(recordOf({}), sightOf(other)).panels;
  assert.deepEqual([panel?.cables[0]?.is, panel?.is], ['staged', ['staged']]);
});

test('a VM that is held says so itself', () => {
  const held = { input: 'sha256:1', reason: 'two plugs failed', at: since, commit: 'main@sha1:01' };
  const [panel] = picture(recordOf({}), sightOf(runningVm([blue], { owned: ['blue'], vm: { held } }))).panels;
  const [block] = panel?.blocks ?? [];
  assert.deepEqual([panel?.is, block?.code], [['blocked'], 'held']);
  assert.match(block?.text ?? '', /^db-0 is held since .*: two plugs failed$/);
  assert.match(block?.remedy ?? '', /kubectl -n prod annotate vm db-0 patchpanel.dev\/held-$/);
});

test('what can not be seen is still told, and the page says why', () => {
  const record = recordOf(
    {
      'prod/db-0': { state: 'failed', since, reason: 'apply/timeout: no domain' },
      'pod/prod/web-0': { state: 'in-sync', since },
    },
    {
      runs: [
        {
          id: 'r1',
          by: 'host',
          at: since,
          seconds: 2,
          outcome: 'partly-failed',
          changed: 1,
          failed: 1,
          blocked: 0,
          writes: 3,
        },
      ],
    },
  );
  const sight: Sight = { vms: [], pods: [], problem: 'what runs now could not be read: forbidden' };
  const { panels, notices, runs } = picture(record, sight, { lock: { holder: 'host/r2', heldMs: 30_000 } });
  assert.deepEqual(
    panels.map(({ kind, ns, name, run, is, cables }) => [kind, ns, name, run, ...is, cables.length]),
    [
      ['VM', 'prod', 'db-0', undefined, 'failed', 0],
      ['pod', 'prod', 'web-0', undefined, 'calm', 0],
    ],
  );
  assert.deepEqual(notices, ['a run is under way: host/r2, since 30 s', sight.problem]);
  assert.deepEqual(runs, [
    {
      at: '2026-03-01 08:00 UTC',
      outcome: 'partly-failed',
      commit: '-',
      what: '1 changed, 3 writes in 2.0 s',
      by: 'host/r1',
    },
  ]);
  const gone = picture(record, { vms: [], pods: [] });
  assert.equal(gone.panels[0]?.run, 'not in the cluster');
});
