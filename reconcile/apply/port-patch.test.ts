import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/cluster.ts';
import type { PortKnob } from '../plan/model.ts';
import type { Json } from '../vocabulary.ts';
import { editFor } from './patches.ts';

const slotCount = 'kubevirt.io/pci-interface-slot-count';
const topology = 'kubevirt.io/pci-topology-version';
const slotPath = '/spec/template/metadata/annotations/kubevirt.io~1pci-interface-slot-count';
const topologyPath = '/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version';
const fieldPath = '/spec/template/spec/domain/devices/numberPciPorts';
const sameVm = { op: 'test', path: '/metadata/uid', value: 'u1' };

function vm(metadata: Json | undefined, devices: Json = {}): KubeObject {
  return {
    metadata: { name: 'db-0', namespace: 'prod', uid: 'u1' },
    spec: { template: { ...(metadata === undefined ? {} : { metadata }), spec: { domain: { devices } } } },
  };
}

function edit(knob: PortKnob, object: KubeObject) {
  return editFor({ kind: 'set-ports', id: 'prod/db-0/1', after: [], knob, value: 19, staged: true }, object);
}

const set = { [slotCount]: '19', [topology]: 'v2' };

for (const [what, metadata, operations] of [
  [
    'a template without metadata',
    undefined,
    [
      { op: 'test', path: '/spec/template/metadata', value: null },
      { op: 'add', path: '/spec/template/metadata', value: { annotations: set } },
    ],
  ],
  [
    'no annotations',
    { creationTimestamp: null },
    [
      { op: 'test', path: '/spec/template/metadata/annotations', value: null },
      { op: 'add', path: '/spec/template/metadata/annotations', value: set },
    ],
  ],
  [
    'other annotations, which stay',
    { annotations: { mine: 'x', [topology]: 'v3' } },
    [
      { op: 'test', path: slotPath, value: null },
      { op: 'add', path: slotPath, value: '19' },
      { op: 'test', path: topologyPath, value: 'v3' },
      { op: 'add', path: topologyPath, value: 'v2' },
    ],
  ],
  [
    'a lower value',
    { annotations: { [slotCount]: '12', [topology]: 'v2' } },
    [
      { op: 'test', path: slotPath, value: '12' },
      { op: 'add', path: slotPath, value: '19' },
      { op: 'test', path: topologyPath, value: 'v2' },
      { op: 'add', path: topologyPath, value: 'v2' },
    ],
  ],
] as const) {
  test(`slot count: ${what}`, () => {
    assert.deepEqual(edit('slot-count', vm(metadata)), { kind: 'patch', operations: [sameVm, ...operations] });
  });
}

test('what is as high already stays, and what is no number is not written over', () => {
  for (const value of ['19', '40']) {
    assert.deepEqual(edit('slot-count', vm({ annotations: { [slotCount]: value } })), { kind: 'done' });
  }
  assert.equal(edit('slot-count', vm({ annotations: { [slotCount]: 'many' } })).kind, 'refused');
  assert.deepEqual(edit('field', vm({}, { numberPciPorts: 19 })), { kind: 'done' });
  assert.equal(edit('field', vm({}, { numberPciPorts: 'many' })).kind, 'refused');
});

test('the field', () => {
  for (const [devices, before] of [
    [{}, null],
    [{ numberPciPorts: 8 }, 8],
  ] as const) {
    assert.deepEqual(edit('field', vm({}, devices)), {
      kind: 'patch',
      operations: [sameVm, { op: 'test', path: fieldPath, value: before }, { op: 'add', path: fieldPath, value: 19 }],
    });
  }
});
