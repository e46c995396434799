import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultSettings, type Limit, type Settings, type WindowRule } from './model.ts';
import { countOf } from './settings.ts';
import { settingsOfNow, tighten, tightenedKeys } from './tighten.ts';

const window = fc.record(
  {
    start: fc.constantFrom('0 2 * * 6', '0 3 * * *'),
    duration: fc.constantFrom('1h', '2h'),
    timeZone: fc.constant('UTC'),
  },
  { noNullPrototype: true },
);

function rulesOf(from: WindowRule['from']): fc.Arbitrary<readonly WindowRule[]> {
  const rule = fc.record(
    {
      from: fc.constant(from),
      overridable: fc.constant(from === 'repository'),
      windows: fc.array(window, { minLength: 1, maxLength: 2 }),
    },
    { noNullPrototype: true },
  );
  return fc.array(rule, { minLength: 1, maxLength: 1 });
}

const limit: fc.Arbitrary<Limit> = fc.oneof(
  fc.record({ count: fc.nat(9) }, { noNullPrototype: true }),
  fc.record({ percent: fc.nat(100) }, { noNullPrototype: true }),
  fc.record({ count: fc.nat(9), percent: fc.nat(100) }, { noNullPrototype: true }),
);
const namespaces = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }).map((list) => list.toSorted());

function brakes(from: WindowRule['from']) {
  return {
    maxInFlight: fc.integer({ min: 1, max: 9 }),
    maxInFlightPerNode: fc.integer({ min: 1, max: 9 }),
    canary: limit,
    maxFailures: fc.integer({ min: 1, max: 9 }),
    onFailure: fc.constantFrom('reverse' as const, 'hold' as const, 'retry' as const),
    prune: fc.boolean(),
    maxRemovals: limit,
    suspend: fc.constant(true as const),
    suspendedNamespaces: namespaces,
    allowWindows: rulesOf(from),
    denyWindows: rulesOf(from),
    restart: fc.constantFrom('never' as const, 'stage' as const, 'allowed' as const),
    restartWindows: rulesOf(from),
  };
}

const settings: fc.Arbitrary<Settings> = fc.record(brakes('repository'), {
  requiredKeys: ['maxInFlight', 'onFailure', 'prune', 'restart'],
  noNullPrototype: true,
});
const ceilings: fc.Arbitrary<Partial<Settings>> = fc.record(brakes('policy'), {
  requiredKeys: [],
  noNullPrototype: true,
});

const strictness = { restart: ['allowed', 'stage', 'never'], onFailure: ['retry', 'reverse', 'hold'] };

/** Why the one lets through what the other does not. */
function looserThan(one: Settings, other: Partial<Settings>): string | undefined {
  for (const key of ['maxInFlight', 'maxInFlightPerNode', 'maxFailures'] as const) {
    if ((one[key] ?? Infinity) > (other[key] ?? Infinity)) return key;
  }
  for (const key of ['canary', 'maxRemovals'] as const) {
    const [mine, theirs] = [one[key] ?? {}, other[key] ?? {}];
    for (const total of [1, 3, 10, 99]) if (countOf(mine, total) > countOf(theirs, total)) return key;
  }
  for (const key of ['restart', 'onFailure'] as const) {
    if (strictness[key].indexOf(one[key]) < strictness[key].indexOf(other[key] ?? '')) return key;
  }
  if (one.prune && other.prune === false) return 'prune';
  if (other.suspend === true && one.suspend !== true) return 'suspend';
  if (other.suspendedNamespaces?.some((each) => !one.suspendedNamespaces?.includes(each))) return 'suspendedNamespaces';
  return (['allowWindows', 'denyWindows', 'restartWindows'] as const).find((key) => {
    const mine = (one[key] ?? []).map((rule) => JSON.stringify(rule));
    return other[key]?.some((rule) => !mine.includes(JSON.stringify(rule))) === true;
  });
}

test('what holds is never looser than the settings, nor than the policy', () => {
  fc.assert(
    fc.property(settings, ceilings, (own, policy) => {
      const held = tighten(own, policy);
      assert.equal(looserThan(held, own), undefined);
      assert.equal(looserThan(held, policy), undefined);
    }),
    { numRuns: 500 },
  );
});

test('a policy twice is the policy once, and of two policies it does not matter which comes first', () => {
  fc.assert(
    fc.property(settings, ceilings, ceilings, (own, policy, other) => {
      const held = tighten(own, policy);
      assert.deepEqual(tighten(held, policy), held);
      assert.deepEqual(tighten(held, other), tighten(tighten(own, other), policy));
      assert.deepEqual(tighten(own, {}), own);
    }),
    { numRuns: 500 },
  );
});

test('the waves of the policy come before those of the repository', () => {
  const [own, owners] = [[{ name: 'own' }], [{ name: 'first' }, { name: 'second' }]];
  const held = tighten({ ...defaultSettings, waves: [own] }, { waves: [owners] });
  assert.deepEqual(held.waves, [owners, own]);
  assert.deepEqual(tighten(held, { waves: [owners] }), held);
});

test('what the repository asked for in vain is told', () => {
  const own: Settings = { ...defaultSettings, maxInFlight: 10, prune: true, maxRemovals: { percent: 20 } };
  const held = tighten(own, { maxInFlight: 2, prune: true, maxRemovals: { count: 5 }, suspendedNamespaces: ['infra'] });
  assert.deepEqual(tightenedKeys(own, held), [
    { key: 'maxInFlight', asked: '10', holds: '2' },
    { key: 'maxRemovals', asked: '20%', holds: '5 and 20%' },
    { key: 'suspendedNamespaces', holds: 'infra' },
  ]);
  assert.deepEqual(tightenedKeys(held, held), []);
});

test('a saved plan goes on under a stricter policy, unless it would not have been made', () => {
  const saved: Settings = { ...defaultSettings, restart: 'stage' };
  const policy = (brakes: Partial<Settings>) => ({ from: 'ConfigMap infra/policy, policy.yaml', ceilings: brakes });
  assert.equal(settingsOfNow(saved, policy({ maxInFlight: 1 })).maxInFlight, 1);
  assert.throws(() => settingsOfNow(saved, policy({ restart: 'never' })), {
    code: 'plan/stale',
    message:
      'the policy (ConfigMap infra/policy, policy.yaml) is stricter than the plan: restart is never now, and was stage',
  });
  assert.throws(() => settingsOfNow(saved, policy({ suspendedNamespaces: ['prod'] })), /was not set/);
});
