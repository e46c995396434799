import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runningVm } from '../../test/vm-builder.ts';
import { nameBlockers } from './names.ts';

test('two names with one hash share a pod interface, which KubeVirt does not check', () => {
  const vm = runningVm([{ name: 'red' }, { name: 'green' }]);
  const hashOf = (name: string) => (name === 'blue' || name === 'red' ? '16477688c0e' : name);
  const [found] = nameBlockers(vm, 'blue', hashOf);
  assert.equal(found?.code, 'name-collision');
  assert.match(found.message, /"red" of db-0 lead to one pod interface, pod16477688c0e/);
  assert.deepEqual(nameBlockers(vm, 'blue'), []);
});

test('a NIC does not clash with itself', () => {
  assert.deepEqual(nameBlockers(runningVm([{ name: 'red' }]), 'red'), []);
});
