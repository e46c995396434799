import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearest } from './edit-distance.ts';

test('distance counts inserts, deletes, replacements and swaps', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['mac', 'mac', 0],
    ['mac', 'mca', 1],
    ['network', 'netwrok', 1],
    ['binding', 'biding', 1],
    ['state', 'model', 5],
  ];
  for (const [from, to, distance] of cases) {
    assert.equal(editDistance(from, to), distance);
    assert.equal(editDistance(to, from), distance);
  }
});

test('the nearest word is suggested, and none where all are far', () => {
  const known = ['name', 'network', 'mac', 'binding', 'model', 'state', 'pciePorts'];
  assert.equal(nearest('nmae', known), 'name');
  assert.equal(nearest('pcie_ports', known), 'pciePorts');
  assert.equal(nearest('Network', known), 'network');
  assert.equal(nearest('networks', known), 'network');
  assert.equal(nearest('vlan', known), undefined);
  assert.equal(nearest('x'.repeat(1_000_000), known), undefined);
});
