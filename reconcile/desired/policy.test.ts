import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { parsePolicy } from './policy.ts';

const head = 'apiVersion: patchpanel.dev/v1alpha1\nkind: Policy\n';
const from = 'ConfigMap infra/policy, policy.yaml';

test('a policy says only what it spells out', () => {
  assert.deepEqual(parsePolicy(from, `${head}spec: {}\n`), { from, ceilings: {} });
  const night = '{start: "0 2 * * *", duration: 1h}';
  const { ceilings } = parsePolicy(
    from,
    `${head}spec: {maxInFlight: 2, prune: false, restart: stage, overridableWindows: true, denyWindows: [${night}], restartWindows: [${night}]}\n`,
  );
  const windows = [{ start: '0 2 * * *', duration: '1h', timeZone: 'UTC' }];
  assert.deepEqual(ceilings, {
    maxInFlight: 2,
    prune: false,
    denyWindows: [{ from: 'policy', overridable: true, windows }],
    restart: 'stage',
    restartWindows: [{ from: 'policy', overridable: false, windows }],
  });
});

test('a fault names the ConfigMap, the key, line and column', () => {
  for (const [content, code, line, column, words] of [
    [`${head}spec:\n  maxInFlght: 2\n`, 'schema/unknown-key', 4, 3, /did you mean "maxInFlight"/],
    [`${head}spec: {maxRemovals: 120%}\n`, 'schema/invalid', 3, 21, /"120%" must be a whole number from 0/],
    ['apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n', 'schema/unknown-kind', 2, 7, /"Settings"/],
    [`${head}spec: [\n`, 'yaml/syntax', 4, 1, /./],
  ] as const) {
    assert.throws(
      () => parsePolicy(from, content),
      (error: unknown) => {
        const fault = error instanceof PatchpanelErrors ? error.errors[0] : error;
        assert.ok(fault instanceof PatchpanelError);
        assert.deepEqual([fault.code, fault.position], [code, { file: from, line, column }]);
        assert.match(fault.message, words);
        return true;
      },
    );
  }
});

test('what is no policy is refused: without one that is understood nothing is done', () => {
  assert.throws(() => parsePolicy(from, ''), { code: 'policy/missing', message: /is empty/ });
  const two = `${head}spec: {}\n---\n${head}spec: {}\n`;
  assert.throws(() => parsePolicy(from, two), { code: 'policy/missing', message: /has 2 documents/ });
});
