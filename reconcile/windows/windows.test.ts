import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  durationFault,
  isOpen,
  nextOpening,
  nextPermitted,
  startFault,
  type TimeWindow,
  timeZoneFault,
  wallClock,
  windowWords,
} from './windows.ts';

const saturdays: TimeWindow = { start: '0 2 * * 6', duration: '2h', timeZone: 'Europe/Zurich' };
const hourly: TimeWindow = { start: '30 * * * *', duration: '10m', timeZone: 'UTC' };

test('a window is open from its start up to, and not at, its end', () => {
  // Saturday, 28 November 2026, 02:00 in Zurich.
  for (const [at, open] of [
    ['2026-11-28T00:59:59.999Z', false],
    ['2026-11-28T01:00:00.000Z', true],
    ['2026-11-28T01:00:00.001Z', true],
    ['2026-11-28T02:59:59.999Z', true],
    ['2026-11-28T03:00:00.000Z', false],
    ['2026-11-27T01:30:00.000Z', false],
    // In summer the same clock on the wall is an hour earlier.
    ['2026-07-04T00:00:00.000Z', true],
    ['2026-07-04T02:00:00.000Z', false],
  ] as const) {
    assert.equal(isOpen([saturdays], new Date(at)), open, at);
  }
});

test('one of several windows is enough, and none is never', () => {
  const at = new Date('2026-11-24T12:34:00Z');
  assert.equal(isOpen([saturdays, hourly], at), true);
  assert.equal(isOpen([], at), false);
  assert.equal(nextOpening([], at), undefined);
});

test('a window that is longer than the time between two starts is always open', () => {
  const always: TimeWindow = { start: '0 * * * *', duration: '1h30m', timeZone: 'UTC' };
  for (let minute = 0; minute < 60; minute += 7) {
    assert.ok(isOpen([always], new Date(Date.UTC(2026, 10, 24, 12, minute))), `${minute}`);
  }
});

test('the next opening is the earliest of all, after the moment that is asked for', () => {
  const at = new Date('2026-11-24T12:34:00Z');
  const next = nextOpening([saturdays, hourly], at);
  assert.deepEqual([next?.at.toISOString(), next?.window], ['2026-11-24T13:30:00.000Z', hourly]);
  assert.equal(nextOpening([saturdays], at)?.at.toISOString(), '2026-11-28T01:00:00.000Z');
  assert.equal(
    nextOpening([saturdays], new Date('2026-11-28T01:00:00Z'))?.at.toISOString(),
    '2026-12-05T01:00:00.000Z',
  );
});

test('clocks that are put forward and back', () => {
  const nightly: TimeWindow = { start: '30 2 * * *', duration: '1h', timeZone: 'Europe/Zurich' };
  // There is no 02:30 on that day: it opens with the hour that is left out.
  assert.equal(nextOpening([nightly], new Date('2026-03-28T12:00:00Z'))?.at.toISOString(), '2026-03-29T01:00:00.000Z');
  // There are two of them: it opens with the first, once.
  const first = nextOpening([nightly], new Date('2026-10-24T12:00:00Z'))?.at;
  assert.equal(first?.toISOString(), '2026-10-25T00:30:00.000Z');
  assert.equal(nextOpening([nightly], new Date('2026-10-25T00:30:00Z'))?.at.toISOString(), '2026-10-26T01:30:00.000Z');
  assert.equal(isOpen([nightly], new Date('2026-10-25T01:29:00Z')), true);
  assert.equal(isOpen([nightly], new Date('2026-10-25T01:31:00Z')), false);
});

test('what is no window is refused, with what to write', () => {
  for (const good of ['0 2 * * 6', '*/5 0-4 1,15 JAN-MAR mon', '0 2 29 2 *']) assert.equal(startFault(good), undefined);
  for (const bad of ['', '0 2 * *', '0 0 2 * * 6', '@daily', '2026-01-01T00:00:00', '0 2 * * 6 ; rm', '0 2 L * #']) {
    assert.match(startFault(bad) ?? '', /five fields/, bad);
  }
  assert.match(startFault('61 2 * * 6') ?? '', /^is not a cron expression: Invalid value for minute: 61/);
  assert.equal(startFault('0 2 31 2 *'), 'never comes');
  for (const good of ['2h', '90m', '1h30m', '168h']) assert.equal(durationFault(good), undefined);
  for (const bad of ['', '0h', '2', '2 h', '1.5h', '-1h', 'PT2H', '30s'])
    assert.match(durationFault(bad) ?? '', /90m/, bad);
  assert.equal(durationFault('169h'), 'is longer than a week');
  for (const good of ['UTC', 'Europe/Zurich']) assert.equal(timeZoneFault(good), undefined);
  for (const bad of ['', 'Europe/Zuerich', 'Mars']) assert.match(timeZoneFault(bad) ?? '', /Europe\/Zurich/, bad);
});

test('in words', () => {
  assert.equal(windowWords(saturdays), '0 2 * * 6 for 2h, Europe/Zurich');
  assert.equal(wallClock(new Date('2026-11-28T01:00:00Z'), 'Europe/Zurich'), '2026-11-28 02:00 Europe/Zurich');
});

test('the first moment that all windows permit, and none denies', () => {
  const nightly: TimeWindow = { start: '0 1 * * *', duration: '3h', timeZone: 'UTC' };
  const twoToThree: TimeWindow = { start: '0 1 * * *', duration: '2h', timeZone: 'UTC' };
  const at = new Date('2026-11-24T12:00:00Z');
  for (const [allow, deny, next] of [
    [[], [], '2026-11-24T12:00:00.000Z'],
    [[[saturdays]], [], '2026-11-28T01:00:00.000Z'],
    [[[saturdays], [nightly]], [], '2026-11-28T01:00:00.000Z'],
    [[[nightly]], [twoToThree], '2026-11-25T03:00:00.000Z'],
    [[[nightly]], [nightly], undefined],
    [[[saturdays], [hourly]], [], '2026-11-28T01:30:00.000Z'],
    [[[]], [], undefined],
  ] as const) {
    assert.equal(nextPermitted(allow, deny, at)?.toISOString(), next, JSON.stringify([allow, deny]));
  }
});
