import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkStatusOf, networksOf } from './pod-annotations.ts';

const networks = 'k8s.v1.cni.cncf.io/networks';
const status = 'k8s.v1.cni.cncf.io/network-status';

test('a missing or empty annotation has no elements', () => {
  for (const annotations of [{}, { [networks]: '', [status]: '' }, { [networks]: '\n', [status]: ' ' }]) {
    assert.deepEqual(networksOf(annotations, 'prod'), []);
    assert.deepEqual(networkStatusOf(annotations), []);
  }
});

test('both forms of the networks annotation read alike', () => {
  const element = { name: 'vlan10', namespace: 'prod', interface: 'pod1' };
  for (const value of ['vlan10@pod1', JSON.stringify([{ name: 'vlan10', interface: 'pod1' }])]) {
    assert.deepEqual(networksOf({ [networks]: value }, 'prod'), [element]);
  }
});

test('what can not be parsed is a problem with its reason', () => {
  const broken = networksOf({ [networks]: '[{]' }, 'prod');
  assert.ok('problem' in broken && broken.problem !== '');
  const brokenStatus = networkStatusOf({ [status]: '[{]' });
  assert.ok('problem' in brokenStatus && brokenStatus.problem !== '');
});
