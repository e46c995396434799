import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSettings } from './model.ts';
import { countOf, settingsOf } from './settings.ts';
import { settingsSchema } from './settings-schema.ts';

function settings(spec: object) {
  return settingsOf(settingsSchema.parse({ apiVersion: 'patchpanel.dev/v1alpha1', kind: 'Settings', spec }).spec);
}

test('an object that says nothing gives the defaults', () => {
  assert.deepEqual(settings({}), defaultSettings);
  assert.deepEqual(settings({ suspend: false, suspendedNamespaces: [] }), defaultSettings);
});

test('amounts, waves and windows in the form that the other rooms see', () => {
  const night = { start: '0 2 * * *', duration: '1h', timeZone: 'UTC' };
  const waves = [
    { name: 'first', vms: ['web-*'] },
    { name: 'second', namespaces: ['prod'], labels: { tier: 'db' } },
  ];
  const found = settings({
    canary: '5%',
    maxRemovals: 3,
    waves,
    suspend: true,
    suspendedNamespaces: ['prod', 'infra', 'prod'],
    allowWindows: [{ start: '0 2 * * *', duration: '1h' }],
  });
  assert.deepEqual(found, {
    ...defaultSettings,
    canary: { percent: 5 },
    maxRemovals: { count: 3 },
    waves: [waves],
    suspend: true,
    suspendedNamespaces: ['infra', 'prod'],
    allowWindows: [{ from: 'repository', overridable: true, windows: [night] }],
  });
});

test('a share is rounded down, and of two ceilings the lower counts', () => {
  for (const [limit, total, count] of [
    [{ count: 3 }, 10, 3],
    [{ count: 3 }, 2, 2],
    [{ percent: 10 }, 19, 1],
    [{ percent: 10 }, 9, 0],
    [{ percent: 29 }, 100, 29],
    [{ percent: 100 }, 7, 7],
    [{ count: 3, percent: 50 }, 4, 2],
    [{ count: 3, percent: 50 }, 100, 3],
    [{ count: 0 }, 5, 0],
  ] as const) {
    assert.equal(countOf(limit, total), count, JSON.stringify([limit, total]));
  }
});
