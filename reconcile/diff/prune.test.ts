import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pruneVerdict } from './prune.ts';

test('outside of the namespaces of its repository nothing is pruned, whatever mark it bears', () => {
  const mark = 'https://git.example.com/net/vms?ref=main';
  const desired = {
    source: { kind: 'git', url: 'https://git.example.com/net/vms', ref: 'main', commit: 'c0ffee', path: '', mark },
    settings: { maxInFlight: 1, restart: 'never', prune: true, onFailure: 'reverse' },
  } as const;
  const of = (namespace: string, scope?: readonly string[]) =>
    pruneVerdict({ namespace, source: mark }, { ...desired, ...(scope === undefined ? {} : { scope }) });
  assert.equal(of('prod'), 'prune');
  assert.equal(of('prod', ['prod']), 'prune');
  assert.equal(of('prod', ['team-*']), 'another');
  assert.equal(of('team-a', ['team-*']), 'prune');
});
