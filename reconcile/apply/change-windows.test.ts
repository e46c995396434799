import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, planOf } from '../../test/plan-cases.ts';
import { declared, runningVm } from '../../test/vm-builder.ts';
import { defaultSettings, type Settings, type WindowRule } from '../desired/model.ts';
import type { Action } from '../plan/model.ts';
import type { TimeWindow } from '../windows/windows.ts';
import { hasWork } from './apply.ts';
import { ChangeWindows } from './change-windows.ts';

const nights: TimeWindow = { start: '0 2 * * *', duration: '2h', timeZone: 'UTC' };
const mondays: TimeWindow = { start: '0 0 * * 1', duration: '24h', timeZone: 'UTC' };
const unlink: Action = { id: 'a/b/1', after: [], kind: 'link', attachment: 'blue', state: 'down' };
const follow: Action = { id: 'a/b/1', after: [], kind: 'follow', attachment: 'blue', until: 'plugged' };
const restart: Action = { id: 'a/b/1', after: [], kind: 'restart', instance: 'uid', windows: [mondays] };

function rule(window: TimeWindow, from: WindowRule['from'] = 'repository', overridable = from === 'repository') {
  return { from, overridable, windows: [window] };
}

/** Tuesday, 24 November 2026. */
function at(time: string): Date {
  return new Date(`2026-11-24T${time}Z`);
}

function closed(settings: Partial<Settings>, time: Date, action = unlink, overrides = false): string | undefined {
  return new ChangeWindows({ ...defaultSettings, ...settings }, overrides).closed(action, time);
}

test('changes wait outside of the windows, and the words say until when', () => {
  const allow = { allowWindows: [rule(nights)] };
  const deny = { denyWindows: [rule(nights)] };
  for (const [settings, time, words] of [
    [{}, '12:00:00', undefined],
    [allow, '02:00:00', undefined],
    [allow, '03:59:59', undefined],
    [allow, '04:00:00', 'no window of the Settings for changes is open: they may be made from 2026-11-25 02:00 UTC'],
    [deny, '12:00:00', undefined],
    [deny, '02:30:00', 'the Settings deny changes now: they may be made from 2026-11-24 04:00 UTC'],
    [
      { ...allow, denyWindows: [rule(nights, 'policy')] },
      '02:30:00',
      'the policy denies changes now: no time comes when they may be made',
    ],
    [
      { allowWindows: [rule(nights), rule(mondays, 'policy')] },
      '02:30:00',
      'no window of the policy for changes is open: they may be made from 2026-11-30 02:00 UTC',
    ],
  ] as const) {
    assert.equal(closed(settings, at(time)), words, `${JSON.stringify(settings)} at ${time}`);
  }
  assert.equal(closed(allow, at('12:00:00'), follow), undefined);
});

test('a window that closes is seen by the next look', () => {
  const windows = new ChangeWindows({ ...defaultSettings, allowWindows: [rule(nights)] }, false);
  assert.equal(windows.closed(unlink, at('03:59:59')), undefined);
  assert.match(windows.closed(unlink, at('04:00:00')) ?? '', /from 2026-11-25 02:00/);
  assert.equal(windows.closed(unlink, new Date('2026-11-25T02:00:00Z')), undefined);
});

test('a person may act against the windows of the repository, and against those of the policy where it says so', () => {
  const own = { allowWindows: [rule(nights)] };
  const policy = { allowWindows: [rule(nights), rule(mondays, 'policy')] };
  const mild = { allowWindows: [rule(nights), rule(mondays, 'policy', true)] };
  for (const [settings, words] of [
    [own, undefined],
    [policy, /of the policy .*from 2026-11-30 00:00 UTC; the policy does not let these windows be overridden/],
    [mild, undefined],
  ] as const) {
    const found = closed(settings, at('12:00:00'), unlink, true);
    if (words === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', words);
  }
  const windows = new ChangeWindows({ ...defaultSettings, ...own }, true);
  windows.closed(unlink, at('02:30:00'));
  assert.equal(windows.overridden, false);
  windows.closed(unlink, at('12:00:00'));
  assert.equal(windows.overridden, true);
});

test('a restart needs its own windows, those of the policy for restarts, and those for changes; none is overridden', () => {
  const allowed = { restart: 'allowed' } as const;
  const monday = new Date('2026-11-30T02:30:00Z');
  const noon = new Date('2026-11-30T12:00:00Z');
  assert.equal(closed(allowed, monday, restart), undefined);
  assert.match(closed(allowed, at('02:30:00'), restart, true) ?? '', /it is restarted in a window only/);
  const policy = { ...allowed, restartWindows: [rule(nights, 'policy')] };
  assert.equal(closed(policy, monday, restart), undefined);
  assert.match(closed(policy, noon, restart) ?? '', /restarted in a window only.*2026-12-01 02:00/);
  assert.match(closed({ ...allowed, allowWindows: [rule(nights)] }, noon, restart) ?? '', /for changes/);
  assert.match(closed({ restart: 'stage' }, monday, restart) ?? '', /no longer allow/);
});

test('a plan that only waits for a window is no work', () => {
  const plan = planOf([declared([blue])], [runningVm()]);
  const waits = { ...plan, settings: { ...plan.settings, allowWindows: [rule(nights)] } };
  for (const [made, time, overrides, work] of [
    [plan, '12:00:00', false, true],
    [waits, '12:00:00', false, false],
    [waits, '12:00:00', true, true],
    [waits, '02:00:00', false, true],
  ] as const) {
    assert.equal(hasWork(made, at(time), overrides), work);
  }
});
