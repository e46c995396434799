import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPodRows, declares, element, owns, podPlan, podWith, wants } from '../../test/pod-cases.ts';
import { defaultSettings } from '../desired/model.ts';
import { readProtection } from '../live/protection.ts';

const mark = 'https://git.example.com/pods?ref=main';
const source = {
  kind: 'git',
  url: 'https://git.example.com/pods',
  ref: 'main',
  commit: 'c0ffee',
  path: '',
  mark,
} as const;
const both = [element('a'), element('b')];
const owned = [owns('a'), owns('b')];

function protectedPod(text: string) {
  const protection = readProtection(text);
  return podWith(both, { owned, ...(protection === undefined ? {} : { protection }) });
}

checkPodRows([
  {
    what: 'a protected element stays, another goes',
    wanted: declares([]),
    pod: protectedPod('a'),
    actions: ['unplug b', 'release b'],
    blockers: ['protected a'],
  },
  {
    what: 'nor does it come anew',
    wanted: declares([wants('a', { mac: '02:00:00:00:00:0a' }), wants('b')]),
    pod: protectedPod('true'),
    blockers: ['protected a'],
  },
  {
    what: 'a name that is not there protects all',
    wanted: declares([wants('a')]),
    pod: protectedPod('a,x'),
    blockers: ['protected b'],
  },
]);

test('a pod of another repository is left to it', () => {
  const pod = podWith(both, { owned, source: 'https://git.example.com/others?ref=main' });
  const plan = podPlan(declares([wants('a')]), pod, { desired: { source } });
  assert.deepEqual(plan?.actions, []);
  assert.deepEqual(
    plan?.blockers.map(({ code }) => code),
    ['other-source'],
  );
  assert.deepEqual(
    podPlan(declares([wants('a')]), podWith(both, { owned, source: mark }), { desired: { source } })?.blockers,
    [],
  );
});

test('elements of pods count against the limit, those that come anew do not', () => {
  const settings = { ...defaultSettings, maxRemovals: { count: 1 } };
  const pod = podWith(both, { owned });
  const gone = podPlan(declares([]), pod, { desired: { settings } });
  assert.deepEqual(
    gone?.blockers.map(({ code }) => code),
    ['removal-limit'],
  );
  assert.deepEqual(gone?.actions, []);
  const anew = podPlan(declares([wants('a', { mac: '02:00:00:00:00:0a' })]), pod, { desired: { settings } });
  assert.deepEqual(anew?.blockers, []);
});
