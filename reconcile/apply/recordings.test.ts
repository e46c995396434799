/** The predicates over recordings of a real virt-controller, write by write; runs where PATCHPANEL_CASES is set. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { recordings } from '../../test/recordings.ts';
import type { KubeObject } from '../kube/cluster.ts';
import type { LiveVm } from '../live/model.ts';
import { joinVm, projectPod, projectVm, projectVmi } from '../live/project.ts';
import { firstLagging, type Goal, readLayers } from './layers.ts';

interface Entry {
  readonly atMs: number;
  readonly kind: string;
  readonly name: string;
  readonly eventType: string;
  readonly changed?: Readonly<Record<string, unknown>>;
}

interface Recording {
  readonly namespace: string;
  readonly steps: readonly { readonly name?: string; readonly atMs: number }[];
  readonly timeline: readonly Entry[];
}

type Fields = { [key: string]: unknown };

/** `metadata.annotations[a.b/c]` -> `metadata`, `annotations`, `a.b/c`. */
function pathOf(text: string): string[] {
  const [, dotted = '', key] = /^([^[]*)(?:\[(.*)\])?$/.exec(text) ?? [];
  return [...dotted.split('.'), ...(key === undefined ? [] : [key])];
}

function assign(object: Fields, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length > 0) {
    const inner = (object[first] ?? {}) as Fields;
    object[first] = inner;
    assign(inner, rest, value);
  } else if (value === null) delete object[first];
  else object[first] = value;
}

/** What is seen after each write, from the moment of a step on. */
function* replay(recording: Recording, step: string): Generator<LiveVm> {
  const from = recording.steps.find(({ name }) => name === step)?.atMs;
  assert.ok(from !== undefined, `no step "${step}"`);
  const objects = new Map<string, Fields>();
  for (const { kind, name, eventType, changed, atMs } of recording.timeline) {
    if (eventType === 'REJECTED_WRITE') continue;
    const key = `${kind} ${name}`;
    const object: Fields = objects.get(key) ?? { metadata: { name, namespace: recording.namespace, uid: key } };
    if (eventType === 'DELETED') objects.delete(key);
    else objects.set(key, object);
    for (const [path, value] of Object.entries(changed ?? {})) assign(object, pathOf(path), value);
    const live = see(objects);
    if (atMs >= from && live !== undefined) yield live;
  }
}

function see(objects: ReadonlyMap<string, Fields>): LiveVm | undefined {
  const of = (kind: string) =>
    [...objects].filter(([key]) => key.startsWith(`${kind} `)).map(([, object]) => object as Fields & KubeObject);
  const [vm] = of('VirtualMachine');
  const [vmi] = of('VirtualMachineInstance');
  if (vm === undefined || vmi === undefined) return undefined;
  const pods = of('Pod').map((pod) => ({
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, 'kubevirt.io/created-by': vmi.metadata.uid ?? '' } },
  }));
  return joinVm(
    projectVm(vm),
    projectVmi(vmi),
    pods.map(projectPod).filter((pod) => pod !== undefined),
  );
}

const plugged = (name: string, network: string): Goal => ({
  kind: 'plugged',
  name,
  network: { namespace: '', name: network },
  state: 'up',
});

/** The layers that lag one after the other, until the goal is reached; layers that agree at once are passed over. */
const cases: readonly [file: string, step: string, goal: Goal, layers: readonly string[]][] = [
  ['02-plug-one-bridge-nic', 'plug blue', plugged('blue', 'vlan10'), ['vmi', 'pod', 'multus', 'domain', 'done']],
  [
    '04-unplug-one-absent',
    'red absent',
    { kind: 'gone', name: 'red' },
    ['vmi', 'multus', 'domain', 'vmi', 'vm', 'done'],
  ],
  ['07-link-down-up', 'blue down', { kind: 'link', name: 'blue', state: 'down' }, ['vmi', 'domain', 'done']],
  [
    '08-nad-swap',
    'blue vlan10 -> vlan20',
    { kind: 'swapped', name: 'blue', network: { namespace: '', name: 'vlan20' } },
    ['vmi', 'pod', 'done'],
  ],
];

for (const [file, step, goal, expected] of cases) {
  const { path, skip } = recordings('kubevirt-flow', `${file}.json`);
  test(`${file}: ${goal.kind}`, { skip }, () => {
    const recording = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    const here = 'network' in goal ? { ...goal, network: { ...goal.network, namespace: recording.namespace } } : goal;
    const seen: string[] = [];
    for (const live of replay(recording, step)) {
      const layer = firstLagging(readLayers([here], live))?.layer ?? 'done';
      if (layer !== seen.at(-1)) seen.push(layer);
      if (layer === 'done') break;
    }
    assert.deepEqual(seen, expected);
  });
}
