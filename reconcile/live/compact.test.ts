import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { KubeObject } from '../kube/cluster.ts';
import { Compact } from './compact.ts';
import { projectPod, projectVm, projectVmi } from './project.ts';

const settled = JSON.parse(readFileSync(new URL('fixtures/settled-vms.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, { readonly vm: KubeObject; readonly vmi: KubeObject; readonly pods: readonly KubeObject[] }>
>;

test('what is kept small is what it was; what is alike is one object', () => {
  const compact = new Compact();
  for (const { vm, vmi, pods } of Object.values(settled)) {
    const kept = compact.vm(projectVm(vm));
    assert.deepEqual(kept, projectVm(vm));
    assert.equal(compact.vm(projectVm(vm)).conditions, kept.conditions);
    assert.deepEqual(compact.vmi(projectVmi(vmi)), projectVmi(vmi));
    for (const pod of pods.map(projectPod)) if (pod !== undefined) assert.deepEqual(compact.pod(pod), pod);
  }
});

test('a number that JSON can not write stays', () => {
  const [{ vm } = { vm: { metadata: { name: '' } } }] = Object.values(settled);
  const part = projectVm(vm);
  const hardware = { ...part.hardware, memoryBytes: Number.POSITIVE_INFINITY };
  assert.equal(new Compact().vm({ ...part, hardware }).hardware.memoryBytes, Number.POSITIVE_INFINITY);
});
