import assert from 'node:assert/strict';
import { test } from 'node:test';
import { element, entry, podWith } from '../../test/pod-cases.ts';
import type { PlannedElement, PodAction } from './pod-model.ts';
import { type PodSight, podReversalOf } from './pod-reversal.ts';

const here = { id: 'pod/prod/web/1', after: [] } as const;
const lan: PlannedElement = { name: 'lan', network: { namespace: 'prod', name: 'lan-net' }, interface: 'lan' };

function pod(elements: readonly object[], status?: PodSight['status']): PodSight {
  const { networks, status: own = [] } = podWith(elements);
  return { networks, status: status ?? own };
}

const without = pod([]);
const withLan = pod([element('lan', { mac: '02:00:00:00:00:01', ips: ['10.0.0.1/24'] })]);

function back(
  action: PodAction,
  before: PodSight,
  live: PodSight,
  promised: readonly string[] = [],
): readonly unknown[] {
  const { actions, left } = podReversalOf([{ action, before }], live, new Set(promised));
  return [
    ...actions.map(({ action: { id: _id, after: _after, ...step } }) => step),
    ...left.map(({ message }) => message),
  ];
}

test('each kind of action of a pod has its way back, or says why there is none', () => {
  const plug: PodAction = { ...here, kind: 'pod-plug', element: lan };
  const unplug: PodAction = { ...here, kind: 'pod-unplug', elements: [lan], ghost: false };
  const again = { kind: 'pod-plug', element: { ...lan, mac: '02:00:00:00:00:01', ips: ['10.0.0.1/24'] } };
  const out = [
    { kind: 'pod-unplug', elements: [lan], ghost: false },
    { kind: 'pod-release', attachments: ['lan'] },
  ];
  const nic = { ...here, attachment: 'lan', interface: 'lan' } as const;
  const rows: readonly [string, readonly unknown[], readonly unknown[]][] = [
    ['plug', back(plug, without, withLan), out],
    ['a plug of what was there', back(plug, withLan, withLan), []],
    ['a plug that was taken out again', back(plug, without, without), []],
    ['unplug', back(unplug, withLan, without), [again]],
    ['an unplug that was not written', back(unplug, withLan, withLan), []],
    ['a ghost', back({ ...unplug, ghost: true }, withLan, without), []],
    [
      'attach',
      back({ ...nic, kind: 'domain-attach', model: 'virtio', state: 'up' }, withLan, withLan),
      [{ kind: 'domain-detach', attachment: 'lan', interface: 'lan' }],
    ],
    [
      'an attach that was undone',
      back({ ...nic, kind: 'domain-attach', model: 'virtio', state: 'up' }, withLan, without),
      [],
    ],
    [
      'link',
      back({ ...nic, kind: 'domain-link', state: 'down' }, withLan, withLan),
      [{ kind: 'domain-link', attachment: 'lan', interface: 'lan', state: 'up' }],
    ],
    ['kick', back({ ...here, kind: 'pod-kick', attachments: ['lan'], until: 'plugged' }, withLan, withLan), []],
  ];
  for (const [what, found, expected] of rows) assert.deepEqual(found, expected, what);
  const left: readonly [readonly unknown[], RegExp][] = [
    [back(unplug, withLan, pod([], [entry('lan')])), /Multus has not taken lan out/],
    [back(unplug, withLan, without, [here.id]), /address goes to another pod/],
    [back({ ...nic, kind: 'domain-detach' }, withLan, without), /is not attached again/],
  ];
  for (const [found, words] of left) assert.match(String(found[0]), words);
});
