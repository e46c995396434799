import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveVm } from '../../test/live-vm.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { conditionReason, occurrenceText, Reasons } from './reasons.ts';

function event(name: string, type: string, times: Readonly<Record<string, unknown>>): KubeObject {
  return {
    metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z' },
    type,
    reason: `Reason-${name}`,
    message: 'two\n  lines',
    involvedObject: { kind: 'Pod', name: 'launcher' },
    ...times,
  };
}

/** Lists these events for whatever is asked. */
function lister(
  answer: () => readonly KubeObject[],
  version: () => unknown = () => ({}),
): { readonly cluster: Cluster; readonly asked: string[] } {
  const asked: string[] = [];
  const list: Cluster['list'] = async (_resource, selection, project) => {
    asked.push(selection.fieldSelector ?? '');
    return {
      items: answer()
        .map((object) => project(object, undefined))
        .filter((item) => item !== undefined),
      resourceVersion: '1',
    };
  };
  const raw: Cluster['raw'] = async () => version();
  return { cluster: { list, raw } as Partial<Cluster> as Cluster, asked };
}

test('warnings come newest first, by whichever time they tell', async () => {
  const { cluster, asked } = lister(() => [
    event('normal', 'Normal', { lastTimestamp: '2026-01-01T00:09:00Z' }),
    event('old', 'Warning', { lastTimestamp: '2026-01-01T00:01:00Z' }),
    event('series', 'Warning', {
      eventTime: '2026-01-01T00:00:30.000000Z',
      series: { lastObservedTime: '2026-01-01T00:05:00Z' },
    }),
    event('created', 'Warning', { lastTimestamp: null }),
  ]);
  const found = await new Reasons(cluster).warnings('prod', ['launcher']);
  assert.deepEqual(
    found.map(({ reason }) => reason),
    ['Reason-series', 'Reason-old', 'Reason-created'],
  );
  assert.deepEqual(asked, ['involvedObject.name=launcher']);
  assert.equal(found[0] === undefined ? '' : occurrenceText(found[0]), 'Reason-series on Pod launcher: two lines');
});

test('events that can not be read explain nothing, and are not asked for again once forbidden', async () => {
  let status = 500;
  const { cluster, asked } = lister(() => {
    throw new PatchpanelError('cluster/api', 'no', { cause: { status, reason: '', message: '' } });
  });
  const reasons = new Reasons(cluster);
  assert.deepEqual(await reasons.warnings('prod', ['a']), []);
  status = 403;
  assert.deepEqual(await reasons.warnings('prod', ['a']), []);
  assert.deepEqual(await reasons.warnings('prod', ['a']), []);
  assert.equal(asked.length, 2);
});

test('a server that does not answer is told of until it does, even where events are forbidden', async () => {
  const forbidden = { status: 403, reason: '', message: '' };
  const unreachable = new PatchpanelError('cluster/unreachable', 'connection refused');
  let failure: PatchpanelError | undefined = unreachable;
  const answer = () => {
    if (failure !== undefined) throw failure;
    return [];
  };
  const reasons = new Reasons(lister(answer, answer).cluster);
  const lost = () => reasons.lost;
  assert.equal(lost(), undefined);
  await reasons.warnings('prod', ['a']);
  const { since, message } = lost() ?? {};
  assert.equal(message, 'connection refused');
  await reasons.warnings('prod', ['a']);
  assert.equal(lost()?.since, since);
  failure = new PatchpanelError('cluster/forbidden', 'no', { cause: forbidden });
  await reasons.warnings('prod', ['a']);
  assert.equal(lost(), undefined);
  failure = unreachable;
  await reasons.warnings('prod', ['a']);
  assert.equal(lost()?.message, 'connection refused');
  failure = undefined;
  await reasons.warnings('prod', ['a']);
  assert.equal(lost(), undefined);
});

test('conditions that say something of NICs are put into words', () => {
  const cases = [
    [[], undefined],
    [[{ type: 'Ready', status: 'True' }], undefined],
    [[{ type: 'MigrationRequired', status: 'False', reason: 'AutoMigrationPending' }], /dynamic-networks controller/],
    [[{ type: 'MigrationRequired', status: 'True', reason: 'AutoMigrationDueToLiveUpdate' }], /wants to migrate/],
    [[{ type: 'Paused', status: 'True' }], /paused/],
    [
      [
        { type: 'Paused', status: 'True' },
        { type: 'Synchronized', status: 'False', reason: 'R', message: 'M' },
      ],
      /^R M$/,
    ],
  ] as const;
  for (const [conditions, words] of cases) {
    const found = conditionReason(liveVm({ conditions }));
    if (words === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', words);
  }
  assert.match(conditionReason(liveVm({ migrating: true })) ?? '', /migration is under way/);
});
