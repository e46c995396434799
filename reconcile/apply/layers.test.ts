import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveVm as live, type Seen } from '../../test/live-vm.ts';
import type { Action } from '../plan/model.ts';
import type { Layer } from '../vocabulary.ts';
import { firstLagging, type Goal, goalsOf, readLayers } from './layers.ts';

const plugged: Goal = { kind: 'plugged', name: 'blue', network: { namespace: 'prod', name: 'vlan10' }, state: 'up' };
const gone: Goal = { kind: 'gone', name: 'blue' };
const swapped: Goal = { kind: 'swapped', name: 'blue', network: { namespace: 'prod', name: 'vlan20' } };
const absent = { state: 'absent' } as const;
const onNew = { network: { namespace: 'prod', name: 'vlan20' } } as const;
const all = ['domain', 'guest-agent', 'multus-status'] as const;

/** Sequences as a real virt-controller and the parts of a node bring them about; each row is one write. */
const sequences: readonly [string, Goal, readonly [Seen, Layer | 'done'][]][] = [
  [
    'a plug in place',
    plugged,
    [
      [{}, 'vm'],
      [{ vm: {} }, 'vmi'],
      [{ vm: {}, vmi: {} }, 'pod'],
      [{ vm: {}, vmi: {}, annotation: 'vlan10' }, 'multus'],
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10' }, 'multus'],
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: ['multus-status'] }, 'domain'],
      [
        { vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: ['multus-status', 'domain'] },
        'done',
      ],
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all, linkState: 'up' }, 'done'],
      // A ghost: the list lost it again.
      [{ vm: {}, vmi: {}, annotation: 'vlan10', sources: ['domain'] }, 'multus'],
    ],
  ],
  [
    'an SR-IOV plug by migration: the annotation of a pod that was born with it says nothing',
    plugged,
    [
      [{ vm: { binding: 'sriov' }, vmi: { binding: 'sriov' } }, 'multus'],
      [
        {
          vm: { binding: 'sriov' },
          vmi: { binding: 'sriov' },
          networkStatus: 'vlan10',
          sources: ['multus-status', 'domain'],
        },
        'done',
      ],
    ],
  ],
  [
    'a plug with its link down',
    { ...plugged, state: 'down' },
    [
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all, linkState: 'up' }, 'vm'],
      [
        {
          vm: { state: 'down' },
          vmi: { state: 'down' },
          annotation: 'vlan10',
          networkStatus: 'vlan10',
          sources: all,
          linkState: 'up',
        },
        'domain',
      ],
    ],
  ],
  [
    'an unplug: the pod lets go before the guest does, VMI and VM come last',
    gone,
    [
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all }, 'vm'],
      [{ vm: absent, vmi: {}, networkStatus: 'vlan10', sources: all }, 'vmi'],
      [{ vm: absent, vmi: absent, networkStatus: 'vlan10', sources: all }, 'multus'],
      [{ vm: absent, vmi: absent, sources: all }, 'multus'],
      [{ vm: absent, vmi: absent, sources: ['domain', 'guest-agent'] }, 'domain'],
      [{ vm: absent, vmi: absent }, 'vmi'],
      [{ vm: absent }, 'vm'],
      [{}, 'done'],
    ],
  ],
  [
    'the template alone does not make it gone',
    gone,
    [
      [{ vmi: absent, networkStatus: 'vlan10', sources: all }, 'multus'],
      [{ networkStatus: 'vlan10', sources: ['multus-status'] }, 'multus'],
      [{ sources: ['multus-status'] }, 'multus'],
      [{ sources: ['domain'] }, 'domain'],
      [{ sources: [] }, 'vmi'],
      // KubeVirt leaves the element of a NIC that never arrived.
      [{ annotation: 'vlan10' }, 'done'],
    ],
  ],
  [
    'an unplug of a NIC with an ordinal name',
    gone,
    [
      [{ ordinal: 'net1', networkStatus: 'vlan10', sources: ['multus-status'] }, 'multus'],
      [{ ordinal: 'net1' }, 'done'],
    ],
  ],
  [
    'a link change',
    { kind: 'link', name: 'blue', state: 'down' },
    [
      [{ vm: {}, vmi: {}, sources: all, linkState: 'up' }, 'vm'],
      [{ vm: { state: 'down' }, vmi: {}, sources: all, linkState: 'up' }, 'vmi'],
      [{ vm: { state: 'down' }, vmi: { state: 'down' }, sources: all }, 'domain'],
      [{ vm: { state: 'down' }, vmi: { state: 'down' }, sources: all, linkState: 'down' }, 'done'],
    ],
  ],
  [
    'a swap: the source pod keeps the old network until the migration is over',
    swapped,
    [
      [{ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all }, 'vm'],
      [{ vm: onNew, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all }, 'vmi'],
      [{ vm: onNew, vmi: onNew, annotation: 'vlan10', networkStatus: 'vlan10', sources: all }, 'pod'],
      [{ vm: onNew, vmi: onNew, annotation: 'vlan20', networkStatus: 'vlan10', sources: all }, 'multus'],
      [
        { vm: onNew, vmi: onNew, annotation: 'vlan20', networkStatus: 'vlan20', sources: all, migrating: true },
        'domain',
      ],
      [{ vm: onNew, vmi: onNew, annotation: 'vlan20', networkStatus: 'vlan20', sources: ['multus-status'] }, 'domain'],
      [{ vm: onNew, vmi: onNew, annotation: 'vlan20', networkStatus: 'vlan20', sources: all }, 'done'],
    ],
  ],
  [
    'a VM that migrates is not settled',
    { kind: 'settled' },
    [
      [{ migrating: true }, 'pod'],
      [{}, 'done'],
    ],
  ],
  [
    'an edit of the template is done in the template',
    { kind: 'in-template', name: 'blue', present: true },
    [
      [{}, 'vm'],
      [{ vm: absent }, 'vm'],
      [{ vm: {} }, 'done'],
    ],
  ],
];

for (const [title, goal, rows] of sequences) {
  test(title, () => {
    for (const [index, [sight, expected]] of rows.entries()) {
      const lagging = firstLagging(readLayers([goal], live(sight)));
      assert.equal(lagging?.layer ?? 'done', expected, `row ${index + 1}: ${lagging?.seen}`);
      if (lagging !== undefined) assert.ok((lagging.seen ?? '').length > 0);
      // An interface of the pod is a hash: the NIC stands beside it.
      if (/pod[0-9a-f]{11}/.test(lagging?.seen ?? '')) assert.match(lagging?.seen ?? '', /"blue" \(pod[0-9a-f]{11}\)/);
    }
  });
}

test('without an instance a NIC of the template is not plugged, and one that left it is gone', () => {
  const { vmi: _vmi, pod: _pod, ...stopped } = live({ vm: {} });
  assert.equal(firstLagging(readLayers([plugged], stopped))?.layer, 'vmi');
  const { vmi: _vmi2, pod: _pod2, ...empty } = live({});
  assert.equal(firstLagging(readLayers([gone], empty)), undefined);
});

test('a layer agrees where it does for every goal', () => {
  const goals: Goal[] = [plugged, { ...plugged, name: 'red' }];
  const sight = live({ vm: {}, vmi: {}, annotation: 'vlan10', networkStatus: 'vlan10', sources: all });
  const lagging = firstLagging(readLayers(goals, sight));
  assert.equal(lagging?.layer, 'vm');
  assert.match(lagging?.seen ?? '', /"red"/);
});

test('a follow takes its goal from the template', () => {
  const follow = { kind: 'follow', id: 'prod/db-0/1', after: [], attachment: 'blue' } as const;
  const cases: readonly [Action, Seen, Goal][] = [
    [{ ...follow, until: 'plugged' }, { vm: { state: 'down' } }, { ...plugged, state: 'down' }],
    [{ ...follow, until: 'gone' }, { vm: absent }, gone],
    // It was turned absent after the plan was made.
    [{ ...follow, until: 'plugged' }, { vm: absent }, gone],
    [{ ...follow, until: 'link' }, { vm: {} }, { kind: 'link', name: 'blue', state: 'up' }],
    [{ ...follow, until: 'swapped' }, { vm: onNew }, swapped],
  ];
  for (const [action, sight, goal] of cases) assert.deepEqual(goalsOf(action, live(sight)), [goal]);
});

test('a template edit that removes and puts one name waits for the name', () => {
  const action: Action = {
    kind: 'edit-template',
    id: 'prod/db-0/1',
    after: [],
    staged: false,
    put: [{ name: 'blue', network: { namespace: 'prod', name: 'vlan10' }, binding: 'bridge', state: 'up' }],
    remove: ['blue', 'red'],
  };
  assert.deepEqual(goalsOf(action, live({})), [
    { kind: 'in-template', name: 'blue', present: true },
    { kind: 'in-template', name: 'red', present: false },
  ]);
});
