import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/cluster.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import { editKey, type PodChange, podEdit } from './pod-patch.ts';

const blue = { name: 'blue', network: { namespace: 'prod', name: 'vlan10' }, interface: 'pp-blue' };
const record = JSON.stringify([blue]);
const written = JSON.stringify([{ name: 'vlan10', namespace: 'prod', interface: 'pp-blue' }]);
const networksPath = '/metadata/annotations/k8s.v1.cni.cncf.io~1networks';
const ownedPath = '/metadata/annotations/patchpanel.dev~1owned-attachments';

function pod(annotations: Record<string, string> | undefined, extra: object = {}): KubeObject {
  return {
    metadata: {
      namespace: 'prod',
      name: 'router',
      uid: 'u1',
      resourceVersion: '7',
      ...(annotations === undefined ? {} : { annotations }),
      ...extra,
    },
    status: { phase: 'Running' },
  };
}

const plug: PodChange = { networks: { kind: 'add', element: editKey(blue) }, owned: (before) => [...before, blue] };

test('without annotations: the resource version stands for what can not be tested', () => {
  assert.deepEqual(podEdit(pod(undefined), plug), {
    kind: 'patch',
    operations: [
      { op: 'test', path: '/metadata/uid', value: 'u1' },
      { op: 'test', path: '/metadata/resourceVersion', value: '7' },
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path: networksPath, value: written },
      { op: 'add', path: ownedPath, value: record },
    ],
  });
});

test('both annotations are tested as they were read, byte by byte', () => {
  const before = '[{"name": "vlan30", "interface": "net1"}]';
  const edit = podEdit(pod({ [networksAnnotation]: before, [ownedAnnotation]: '[]' }), plug);
  assert.ok(edit.kind === 'patch');
  assert.deepEqual(edit.operations.slice(0, 3), [
    { op: 'test', path: '/metadata/uid', value: 'u1' },
    { op: 'test', path: networksPath, value: before },
    { op: 'test', path: ownedPath, value: '[]' },
  ]);
});

test('there already: nothing to write', () => {
  const there = pod({ [networksAnnotation]: written, [ownedAnnotation]: record });
  assert.deepEqual(podEdit(there, { networks: { kind: 'add', element: editKey(blue) } }), { kind: 'done' });
});

test('the last name takes the record with it', () => {
  const edit = podEdit(pod({ [networksAnnotation]: '[]', [ownedAnnotation]: record }), { owned: () => [] });
  assert.ok(edit.kind === 'patch');
  assert.deepEqual(edit.operations.at(-1), { op: 'remove', path: ownedPath });
});

test('a pod that ends or does not run is not written', () => {
  assert.equal(podEdit(pod({}, { deletionTimestamp: '2026-01-01T00:00:00Z' }), plug).kind, 'refused');
  assert.equal(podEdit({ ...pod({}), status: { phase: 'Succeeded' } }, plug).kind, 'refused');
});

test('an element that another put there is neither taken out nor taken over', () => {
  const theirs = pod({ [networksAnnotation]: written, [ownedAnnotation]: '[]' });
  const remove: PodChange = { networks: { kind: 'remove', elements: [editKey(blue)] } };
  assert.deepEqual(podEdit(theirs, remove), {
    kind: 'refused',
    reason: 'prod/vlan10@pp-blue is not on the record of what patchpanel plugged',
  });
  assert.deepEqual(podEdit(theirs, plug), { kind: 'done' });
  // Of the same network, but at another interface, the record says nothing.
  const other = JSON.stringify([{ ...blue, interface: 'pp-other' }]);
  assert.equal(podEdit(pod({ [networksAnnotation]: written, [ownedAnnotation]: other }), remove).kind, 'refused');
  assert.equal(podEdit(pod({ [networksAnnotation]: written, [ownedAnnotation]: record }), remove).kind, 'patch');
  assert.deepEqual(podEdit(pod({}), remove), { kind: 'done' }, 'what is gone already is gone');
});
