import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PodGoal, readPodLayers } from './pod-layers.ts';
import type { SeenPod } from './pod-observer.ts';
import { beforeWiring, finalEnds } from './pod-run.ts';

const network = { namespace: 'prod', name: 'vlan10' };
const blue = { network, interface: 'pp-blue' };
const element = { name: 'vlan10', namespace: 'prod', interface: 'pp-blue' };
const entry = { name: 'prod/vlan10', interface: 'pp-blue', mac: '02:00:00:00:0a:01', ips: ['10.0.0.2', 'fd00::2'] };

function pod(networks: SeenPod['networks'], status: SeenPod['status']): SeenPod {
  return { namespace: 'prod', name: 'router', uid: 'u', phase: 'Running', deleting: false, networks, status };
}

const cases: readonly [string, PodGoal, SeenPod, readonly string[]][] = [
  ['in both', { kind: 'in', element: blue }, pod([element], [entry]), []],
  [
    'only written',
    { kind: 'in', element: blue },
    pod([element], []),
    ['multus: network-status has no pp-blue on prod/vlan10'],
  ],
  [
    'on another network',
    { kind: 'in', element: blue },
    pod([element], [{ ...entry, name: 'prod/vlan20' }]),
    ['multus: network-status has no pp-blue on prod/vlan10'],
  ],
  ['gone from both', { kind: 'out', element: blue }, pod([], []), []],
  [
    'not yet gone',
    { kind: 'out', element: blue },
    pod([], [entry]),
    ['multus: network-status still has pp-blue on prod/vlan10'],
  ],
  ['the default network is never meant', { kind: 'out', element: blue }, pod([], [{ ...entry, default: true }]), []],
  ['at rest', { kind: 'rest', but: [] }, pod([element], [entry]), []],
  [
    'not at rest',
    { kind: 'rest', but: [] },
    pod([element], []),
    ['multus: network-status has no pp-blue on prod/vlan10, which was asked for before'],
  ],
  ['what is about to go need not arrive', { kind: 'rest', but: [blue] }, pod([element], []), []],
  [
    'an element without interface never arrives',
    { kind: 'rest', but: [] },
    pod([{ name: 'x', namespace: 'prod' }], []),
    [],
  ],
  [
    'unreadable',
    { kind: 'in', element: blue },
    pod({ problem: 'bad' }, { problem: 'worse' }),
    ['pod: the networks annotation can not be read: bad', 'multus: network-status can not be read: worse'],
  ],
];
for (const [title, goal, seen, lagging] of cases) {
  test(title, () => {
    const readings = readPodLayers([goal], seen).filter(({ agrees }) => !agrees);
    assert.deepEqual(
      readings.map(({ layer, seen: words }) => `${layer}: ${words}`),
      lagging,
    );
  });
}

test('what was there before a guest got the interface, as far as network-status tells', () => {
  const declared = { name: 'blue', network, interface: 'pp-blue', ips: ['10.0.0.2/24'] };
  assert.deepEqual(beforeWiring(pod([], [entry]), 'pp-blue', declared), {
    mac: '02:00:00:00:0a:01',
    addresses: ['10.0.0.2/24', 'fd00::2/128'],
  });
  assert.deepEqual(beforeWiring(pod([], []), 'pp-blue', undefined), { addresses: [] });
});

test('at the end: what is declared and free to be judged is there, what was taken out is not', () => {
  const declared = ['red', 'blue'].map((name) => ({ name, network, interface: `pp-${name}` }));
  const old = { name: 'red', network: { ...network, name: 'vlan20' }, interface: 'pp-red' };
  const ends = finalEnds({
    declared,
    actions: [{ kind: 'pod-unplug', id: '1', after: [], elements: [old], ghost: false }],
    blockers: [{ code: 'network-missing', attachment: 'blue', message: '', remedy: '' }],
    notes: [],
  });
  assert.deepEqual(
    ends.map(({ element: { name, network: on }, present }) => [name, on.name, present]),
    [
      ['red', 'vlan10', true],
      ['red', 'vlan20', false],
    ],
  );
});
