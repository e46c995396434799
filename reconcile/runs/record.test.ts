import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome, TargetOutcome } from '../apply/model.ts';
import type { Plan } from '../plan/model.ts';
import { afterError, afterRun, isFresh, parseRecord, type RunEnd, type RunRecord, recordText } from './record.ts';

const facts = {
  id: 'run-1',
  by: 'host',
  started: new Date('2026-11-24T12:00:00Z'),
  ended: new Date('2026-11-24T12:00:05Z'),
  source: 'https://git.example.com/vms.git',
  inputs: 'sha256:00',
};
const later = {
  ...facts,
  id: 'run-2',
  started: new Date('2026-11-24T13:00:00Z'),
  ended: new Date('2026-11-24T13:00:01Z'),
};

function target(name: string, result: TargetOutcome['result'], actions: TargetOutcome['actions'] = []): TargetOutcome {
  return { target: { kind: 'VirtualMachine', namespace: 'prod', name }, result, actions, verified: [] };
}

const plugged: TargetOutcome['actions'] = [{ id: 'a', kind: 'plug', result: 'done' }];
const gaveUp: TargetOutcome['actions'] = [
  { id: 'a', kind: 'plug', result: 'failed', code: 'apply/timeout', reason: 'no NIC\nin the domain' },
];

function end(targets: readonly TargetOutcome[], change: Partial<RunEnd> & { readonly writes?: number } = {}): RunEnd {
  const { writes = 0, ...rest } = change;
  const count = (result: TargetOutcome['result']): number => targets.filter((each) => each.result === result).length;
  const outcome: Outcome = {
    targets,
    interrupted: count('interrupted') > 0,
    summary: {
      converged: targets.filter(({ result, actions }) => result === 'converged' && actions.length > 0).length,
      failed: count('failed'),
      blocked: count('blocked'),
      staged: count('staged'),
      interrupted: count('interrupted'),
      waiting: count('waiting'),
      notStarted: count('not-started'),
      reversed: 0,
      held: 0,
      unchanged: 0,
      writes,
      milliseconds: 5,
    },
  };
  const plan: Pick<Plan, 'targets' | 'summary'> = {
    targets: [],
    summary: { vms: 3, unchanged: 0, changed: 0, blocked: 0, plugs: 0, unplugs: 0, others: 0 },
  };
  return { commit: 'main@sha1:aa', plan: plan as Plan, outcome, stamp: false, ...rest };
}

function recorded(value: RunRecord | undefined): RunRecord {
  assert.ok(value !== undefined);
  // As the next run reads it.
  const read = parseRecord(recordText(value));
  assert.deepEqual(read, value);
  return read ?? assert.fail();
}

const first = recorded(afterRun(undefined, facts, end([target('db-0', 'converged', plugged)], { writes: 1 })));

test('the first run is news: what it changed, and how all are', () => {
  assert.deepEqual(first.targets, { 'prod/db-0': { state: 'in-sync', since: '2026-11-24T12:00:05.000Z' } });
  assert.deepEqual(first.counts, {
    targets: 3,
    inSync: 3,
    staged: 0,
    blocked: 0,
    failed: 0,
    interrupted: 0,
    waiting: 0,
    notStarted: 0,
  });
  assert.deepEqual(first.runs, [
    {
      id: 'run-1',
      by: 'host',
      at: '2026-11-24T12:00:00.000Z',
      seconds: 5,
      commit: 'main@sha1:aa',
      outcome: 'converged',
      changed: 1,
      failed: 0,
      blocked: 0,
      writes: 1,
    },
  ]);
});

test('a run without news changes nothing, or the time of the check alone', () => {
  assert.equal(afterRun(first, later, end([])), undefined);
  assert.equal(afterRun(first, later, end([target('db-0', 'converged')])), undefined);
  // The same commit by another name.
  assert.equal(afterRun(first, later, end([], { commit: 'aa@sha1:aa' })), undefined);
  const stamped = afterRun(first, later, end([], { stamp: true }));
  assert.deepEqual(stamped, { ...first, lastFullCheck: '2026-11-24T13:00:01.000Z' });
});

test('another commit, other inputs, another outcome and drift that was mended are news', () => {
  const cases: readonly (readonly [typeof facts, RunEnd])[] = [
    [later, end([], { commit: 'main@sha1:bb' })],
    [{ ...later, inputs: 'sha256:11' }, end([])],
    [{ ...later, source: 'https://git.example.com/other.git' }, end([])],
    [later, end([target('db-0', 'blocked')])],
    [later, end([target('db-0', 'converged', plugged)], { writes: 1 })],
  ];
  for (const [now, ended] of cases) {
    const next = recorded(afterRun(first, now, ended));
    assert.deepEqual(
      next.runs.map(({ id }) => id),
      ['run-2', 'run-1'],
    );
  }
});

test('a state is told since it came to be, with its reason in one line, and until it went', () => {
  const failed = recorded(afterRun(first, later, end([target('db-0', 'failed', gaveUp)], { writes: 1 })));
  assert.equal(failed.outcome, 'partly-failed');
  const since = '2026-11-24T13:00:01.000Z';
  const state = { state: 'failed', since, reason: 'apply/timeout: no NIC in the domain' };
  assert.deepEqual(failed.targets['prod/db-0'], state);
  const muchLater = { ...later, id: 'run-3', ended: new Date('2026-11-24T14:00:00Z') };
  assert.equal(afterRun(failed, muchLater, end([target('db-0', 'failed', gaveUp)])), undefined);
  const mended = recorded(afterRun(failed, muchLater, end([])));
  assert.deepEqual(mended.targets['prod/db-0'], { state: 'in-sync', since: '2026-11-24T14:00:00.000Z' });
});

test('what is no longer declared is forgotten, where all that is declared is known', () => {
  const known = end([], { commit: 'main@sha1:bb', declared: new Set(['prod/web-0']) });
  assert.deepEqual(recorded(afterRun(first, later, known)).targets, {});
  assert.deepEqual(
    Object.keys(recorded(afterRun(first, later, { ...known, declared: new Set(['prod/db-0']) })).targets),
    ['prod/db-0'],
  );
});

test('of pods and of what is pruned, since when is told too, and a second run is no news', () => {
  const declared = new Set(['prod/db-0']);
  const pod = { ...target('web-0', 'blocked'), target: { kind: 'Pod', namespace: 'prod', name: 'web-0' } as const };
  const blocked = end([pod, target('gone-0', 'blocked')], { declared });
  const before = recorded(afterRun(undefined, facts, blocked));
  assert.deepEqual(Object.keys(before.targets), ['pod/prod/web-0', 'prod/gone-0']);
  assert.equal(afterRun(before, later, blocked), undefined);
  const done = end([target('gone-0', 'converged', plugged)], { declared, writes: 1 });
  const after = recorded(afterRun(before, later, done));
  assert.deepEqual(after.targets, { 'prod/gone-0': { state: 'in-sync', since: later.ended.toISOString() } });
  assert.equal(afterRun(after, { ...later, id: 'run-3' }, end([], { declared })), undefined);
});

test('who waits for a window, and who was held back, is told as that', () => {
  const waiting = recorded(afterRun(undefined, facts, end([target('db-0', 'waiting')])));
  assert.deepEqual(
    [waiting.outcome, waiting.targets['prod/db-0']?.state, waiting.counts.waiting],
    ['staged', 'waiting', 1],
  );
  const stopped = end([target('db-0', 'failed', gaveUp), target('db-1', 'not-started')]);
  const after = recorded(afterRun(undefined, facts, stopped));
  assert.deepEqual(
    [after.targets['prod/db-1']?.state, after.counts.notStarted, after.counts.inSync],
    ['not-started', 1, 1],
  );
  for (const record of [waiting, after]) assert.equal(isFresh(record, facts, 'aa', facts.ended, 60_000), false);
});

test('the last five runs are kept', () => {
  let record: RunRecord | undefined;
  for (let id = 0; id < 8; id += 1) {
    record = afterRun(record, { ...facts, id: `run-${id}` }, end([], { commit: `main@sha1:${id}` }));
  }
  assert.deepEqual(
    record?.runs.map(({ id }) => id),
    ['run-7', 'run-6', 'run-5', 'run-4', 'run-3'],
  );
});

test('an error is news once, and keeps what is known of the VMs', () => {
  const fault = { code: 'yaml/syntax', message: 'broken\nfile' };
  const failed = recorded(afterError(first, later, fault));
  assert.deepEqual([failed.outcome, failed.error?.message, failed.commit], ['error', 'broken file', first.commit]);
  assert.deepEqual(failed.targets, first.targets);
  assert.equal(failed.lastFullCheck, first.lastFullCheck);
  assert.equal(afterError(failed, later, fault), undefined);
  assert.notEqual(afterError(failed, later, { ...fault, code: 'git/unreachable' }), undefined);
  const mended = recorded(afterRun(failed, later, end([])));
  assert.deepEqual([mended.outcome, mended.error], ['converged', undefined]);
});

test('a run may be left out only for the same commit and inputs, in sync, checked not long ago', () => {
  const hour = 3_600_000;
  const now = new Date('2026-11-24T12:30:00Z');
  assert.equal(isFresh(first, facts, 'aa', now, hour), true);
  assert.equal(isFresh(first, facts, 'bb', now, hour), false);
  assert.equal(isFresh(first, { ...facts, inputs: 'sha256:11' }, 'aa', now, hour), false);
  assert.equal(isFresh(first, { ...facts, source: 'x' }, 'aa', now, hour), false);
  assert.equal(isFresh(first, facts, 'aa', new Date('2026-11-24T13:00:06Z'), hour), false);
  // A clock that goes before that of the last run proves nothing.
  assert.equal(isFresh(first, facts, 'aa', new Date('2026-11-24T11:00:00Z'), hour), false);
  assert.equal(isFresh({ ...first, outcome: 'blocked' }, facts, 'aa', now, hour), false);
  const { lastFullCheck: _, ...unchecked } = first;
  assert.equal(isFresh(unchecked, facts, 'aa', now, hour), false);
});

test('text that is no record reads as none', () => {
  for (const text of ['', '[]', '{"version":"patchpanel.dev/record/v9"}', JSON.stringify({ ...first, counts: 1 })]) {
    assert.equal(parseRecord(text), undefined);
  }
});

test('a record of a fleet fits a ConfigMap; what is not in sync is kept longest', () => {
  const states = Array.from({ length: 20_000 }, (_, at) => [
    `prod/vm-${at}`,
    { state: at % 100 === 0 ? ('failed' as const) : ('in-sync' as const), since: '2026-11-24T12:00:05.000Z' },
  ]);
  const kept = parseRecord(recordText({ ...first, targets: Object.fromEntries(states) }));
  assert.equal(Object.keys(kept?.targets ?? {}).length, 200);
  const reasons = states.map(([name]) => [name, { state: 'failed' as const, since: 'x', reason: 'y'.repeat(300) }]);
  const text = recordText({ ...first, targets: Object.fromEntries(reasons) });
  assert.ok(Buffer.byteLength(text) <= 900_000);
  assert.ok(Object.keys(parseRecord(text)?.targets ?? {}).length > 1000);
});
