import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metricsText } from './metrics.ts';

const base = {
  source: 'https://git.example.com/net/vms.git prod',
  started: new Date('2026-11-24T12:00:00Z'),
  ended: new Date('2026-11-24T12:00:02.500Z'),
  exitCode: 0,
  skipped: false,
} as const;

test('a run is gauges with help, type and the repository as a label', () => {
  const text = metricsText({
    ...base,
    commit: 'main@sha1:1d0c',
    lastFullCheck: base.ended,
    states: { 'in-sync': 3, failed: 1 },
    changed: 1,
    writes: 2,
    troubled: [['prod/db-0', 'failed']],
  });
  assert.match(text, /^# HELP patchpanel_targets .+\n# TYPE patchpanel_targets gauge\n/m);
  const repository = 'repository="https://git.example.com/net/vms.git prod"';
  for (const line of [
    `patchpanel_last_run_timestamp_seconds{${repository}} 1795521602.5`,
    `patchpanel_last_run_duration_seconds{${repository}} 2.5`,
    `patchpanel_targets{${repository},state="in-sync"} 3`,
    `patchpanel_targets{${repository},state="failed"} 1`,
    `patchpanel_commit_info{${repository},commit="main@sha1:1d0c"} 1`,
    `patchpanel_target_state{${repository},target="prod/db-0",state="failed"} 1`,
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`);
});

test('what a run did not come to know is left out, not zero', () => {
  const text = metricsText({ ...base, exitCode: 1 });
  assert.match(text, /last_run_exit_code\{.*\} 1\n/);
  assert.doesNotMatch(text, /targets|commit_info|writes|full_check/);
});

test('a label can not break out of its quotes', () => {
  const text = metricsText({ ...base, source: 'a"} 1\nevil{x="\\' });
  assert.match(text, /\{repository="a\\"\} 1\\nevil\{x=\\"\\\\"\}/);
});

test('a broken fleet does not become a time series each', () => {
  const troubled = Array.from({ length: 1000 }, (_, at) => [`prod/vm-${at}`, 'failed'] as const);
  assert.equal(metricsText({ ...base, troubled }).match(/^patchpanel_target_state/gm)?.length, 200);
});
