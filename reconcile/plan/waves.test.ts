import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, planVm } from '../../test/plan-cases.ts';
import { runningVm } from '../../test/vm-builder.ts';
import type { Wave } from '../desired/model.ts';
import type { VmPlan } from './model.ts';
import { canariesOf, type Labels, withWaves } from './waves.ts';

const sample = planVm([blue], runningVm());

/** A target with one action, which comes after those of others. */
function target(name: string, after: readonly string[] = [], namespace = 'prod'): VmPlan {
  const id = `${namespace}/${name}/1`;
  const actions = [
    { kind: 'link', attachment: 'a', state: 'up', id, after: after.map((other) => `prod/${other}/1`) },
  ] as const;
  return { ...sample, target: { kind: 'VirtualMachine', namespace, name }, notes: [], actions };
}

function waves(
  orders: readonly (readonly Wave[])[],
  targets: readonly VmPlan[],
  labels: Readonly<Record<string, Labels>> = {},
) {
  return withWaves(targets, orders, (plan) => labels[plan.target.name] ?? {});
}

test('the first wave that fits counts, by namespace, name and labels; the rest goes last', () => {
  const order: readonly Wave[] = [
    { name: 'lab', namespaces: ['lab'] },
    { name: 'web', vms: ['web-*', 'proxy'] },
    { name: 'gold', labels: { tier: 'gold' }, namespaces: ['prod'] },
  ];
  const targets = [target('db-0'), target('proxy'), target('web-1'), target('web-1', [], 'lab'), target('proxy-2')];
  const found = waves([order], targets, { 'db-0': { tier: 'gold' } });
  assert.deepEqual(
    found.map(({ wave }) => `${wave?.index} ${wave?.name}`),
    ['2 gold', '1 web', '1 web', '0 lab', '3 the rest'],
  );
  assert.deepEqual(
    withWaves(targets, undefined, () => ({})),
    targets,
  );
});

test('an order that stands first counts first', () => {
  const owner: readonly Wave[] = [{ name: 'owned', vms: ['b', 'c'] }];
  const own: readonly Wave[] = [{ name: 'mine', vms: ['a', 'c'] }];
  const found = waves([owner, own], [target('a'), target('b'), target('c'), target('d')]);
  assert.deepEqual(
    found
      .toSorted((x, y) => (x.wave?.index ?? 0) - (y.wave?.index ?? 0))
      .map(({ target: { name }, wave }) => `${name} ${wave?.name}`),
    ['c owned, mine', 'b owned', 'a mine', 'd the rest'],
  );
});

test('who gives something up goes no later than who waits for it, through others too', () => {
  const order: readonly Wave[] = [
    { name: 'early', vms: ['a'] },
    { name: 'middle', vms: ['b'] },
  ];
  const found = waves([order], [target('a', ['b']), target('b', ['c']), target('c'), target('d')]);
  assert.deepEqual(
    found.map(({ wave, notes }) => [wave?.name, notes.map(({ message }) => message)]),
    [
      ['early', []],
      ['early', ['goes with the wave "early", not with "middle", as prod/a waits for an address that it gives up']],
      ['early', ['goes with the wave "early", not with "the rest", as prod/b waits for an address that it gives up']],
      ['the rest', []],
    ],
  );
});

test('canaries are the first of the first wave that can go, with those that they wait for', () => {
  const targets = waves(
    [[{ name: 'early', vms: ['b', 'c', 'd'] }]],
    [target('a'), target('b', ['d']), target('c'), target('d')],
  );
  const all = () => true;
  const rows: readonly [Parameters<typeof canariesOf>[1], (index: number) => boolean, readonly number[]][] = [
    [undefined, all, []],
    [{ count: 1 }, all, [1, 3]],
    [{ count: 3 }, all, [1, 2, 3]],
    [{ percent: 34 }, all, [1, 3]],
    [{ count: 2, percent: 1 }, all, [1, 3]],
    // What is blocked proves nothing.
    [{ count: 1 }, (index) => index !== 1, [2]],
    [{ count: 1 }, (index) => index === 0, [0]],
    [{ count: 1 }, () => false, []],
  ];
  for (const [canary, movable, expected] of rows) {
    assert.deepEqual([...canariesOf(targets, canary, movable)].sort(), expected, JSON.stringify(canary));
  }
});
