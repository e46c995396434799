import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunEvent } from '../apply/model.ts';
import { samplePlug } from './fixtures/sample-plan.ts';
import { jsonProgress, liveProgress, plainProgress } from './progress.ts';
import { makeStyle } from './style.ts';

const plain = makeStyle(false);
const target = samplePlug.target;
const [unplug, link] = samplePlug.actions;
assert.ok(unplug && link);

const course: readonly RunEvent[] = [
  { type: 'action-started', target, action: unplug },
  { type: 'waiting', target, action: unplug, layer: 'domain', reason: 'the guest holds it' },
  { type: 'layer-reached', target, action: unplug, layer: 'domain', milliseconds: 840 },
  { type: 'action-done', target, action: unplug, milliseconds: 900 },
  { type: 'action-failed', target, action: link, reason: 'no\nluck', code: 'apply/timeout' },
];

function written(make: (stream: { write: (text: string) => void }) => { onEvent: (event: RunEvent) => void }): string {
  const texts: string[] = [];
  const progress = make({ write: (text) => void texts.push(text) });
  for (const event of course) progress.onEvent(event);
  return texts.join('');
}

test('a plain log has a line for each action that ended, with the time of each layer', () => {
  assert.equal(
    written((stream) => plainProgress(stream, plain, () => 0)),
    'done    prod/db-0  unplug backup  in 0.9 s: domain 0.8 s\nfailed  prod/db-0  set the link of mgmt down: no\\u000aluck (apply/timeout)\n',
  );
});

test('a plain log tells of a wait that takes long', () => {
  const ticks = [0, 6000, 12_000];
  const slowClock = (): number => ticks.shift() ?? 18_000;
  const text = written((stream) => plainProgress(stream, plain, slowClock));
  assert.match(text, /^waiting prod\/db-0 {2}unplug backup, at layer domain: the guest holds it$/m);
});

test('of a layer that agreed, was lost and agreed again, the last time counts', () => {
  const reached = { type: 'layer-reached', target, action: unplug } as const;
  const texts: string[] = [];
  const progress = plainProgress({ write: (text) => void texts.push(text) }, plain, () => 0);
  progress.onEvent({ type: 'action-started', target, action: unplug });
  progress.onEvent({ ...reached, layer: 'domain', milliseconds: 10 });
  progress.onEvent({ ...reached, layer: 'vm', milliseconds: 100 });
  progress.onEvent({ ...reached, layer: 'domain', milliseconds: 9000 });
  progress.onEvent({ type: 'action-done', target, action: unplug, milliseconds: 9000 });
  assert.match(texts.join(''), /in 9\.0 s: vm 0\.1 s, domain 9\.0 s\n$/);
});

test('a plain log tells of the same wait once', () => {
  const waiting: RunEvent = { type: 'waiting', target, action: unplug, layer: 'domain', reason: 'the guest holds it' };
  const texts: string[] = [];
  let now = 0;
  const progress = plainProgress({ write: (text) => void texts.push(text) }, plain, () => now);
  progress.onEvent({ type: 'action-started', target, action: unplug });
  progress.onEvent(waiting);
  assert.equal(texts.length, 0);
  now = 10_000;
  progress.onEvent(waiting);
  progress.onEvent(waiting);
  progress.onEvent({ ...waiting, reason: 'nobody answers' });
  assert.deepEqual(
    texts.map((text) => text.split(': ')[1]),
    ['the guest holds it\n', 'nobody answers\n'],
  );
});

test('a terminal shows waits below the log and takes them away', () => {
  const text = written((stream) => liveProgress(stream, plain, () => 0));
  assert.match(text, /waiting prod\/db-0 {2}unplug backup, at layer domain: the guest holds it\n/);
  assert.equal(text.split('\u001b[1A\u001b[0J').length - 1, 2);
  assert.match(text, /luck \(apply\/timeout\)\n$/);
});

test('JSON lines carry the commit from where it is known on', () => {
  const texts: string[] = [];
  let commit: string | undefined;
  const progress = jsonProgress(
    { write: (text) => void texts.push(text) },
    () => new Date(0),
    () => ({ run: 'run-1', commit }),
    (known) => {
      commit = known;
    },
  );
  progress.onEvent({ type: 'rendering', source: '.' });
  progress.onEvent({ type: 'plan-read', commit: 'main@sha1:1d0c' });
  progress.onEvent({ type: 'action-started', target, action: unplug });
  assert.deepEqual(
    texts.map((line) => JSON.parse(line).commit),
    [undefined, 'main@sha1:1d0c', 'main@sha1:1d0c'],
  );
});

test('JSON lines carry time, level, run, VM and action', () => {
  const lines = written((stream) =>
    jsonProgress(
      stream,
      () => new Date(0),
      () => ({ run: 'run-1' }),
      () => {},
    ),
  )
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.equal(lines.length, course.length);
  assert.deepEqual(lines.at(-1), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    run: 'run-1',
    vm: 'prod/db-0',
    action: 'prod/db-0/2',
    kind: 'link',
    type: 'action-failed',
    reason: 'no\nluck',
    code: 'apply/timeout',
  });
});
