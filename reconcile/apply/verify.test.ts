import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveVm, type Seen } from '../../test/live-vm.ts';
import type { Difference } from '../diff/model.ts';
import type { Action, Blocker } from '../plan/model.ts';
import type { DomainNic, LiveDomain } from '../systems/libvirt-domain.ts';
import { domainObjection } from './domain-check.ts';
import type { Goal } from './layers.ts';
import { afterReversal, finalGoals } from './verify.ts';

const network = { namespace: 'prod', name: 'vlan10' };
const base = { id: 'prod/db-0/1', after: [] } as const;
const plugged: Goal = { kind: 'plugged', name: 'blue', network, state: 'up' };
const gone: Goal = { kind: 'gone', name: 'blue' };
const put = { name: 'blue', network, binding: 'bridge', state: 'up' } as const;
/** Without the goal that every VM with layers has. */
function layered(goals: readonly Goal[]): readonly Goal[] {
  return goals.filter(({ kind }) => kind !== 'settled');
}

const none = { differences: [], blockers: [], notes: [] } as const;

test('what was touched or is owned is held against the template as it is in the end', () => {
  const plug: Action = { ...base, kind: 'plug', attachments: [put], delivery: 'in-place' };
  const unplug: Action = { ...base, kind: 'unplug', attachments: ['blue'], delivery: 'in-place' };
  const cases: readonly [string, readonly Action[], Seen, readonly Goal[]][] = [
    ['plugged', [plug], { vm: {} }, [plugged]],
    ['unplugged', [unplug], {}, [gone]],
    ['unplugged and plugged again', [unplug, plug], { vm: {} }, [plugged]],
    ['owned and untouched', [], { vm: {}, owned: ['blue'] }, [plugged]],
    ['owned and gone', [], { owned: ['blue'] }, [gone]],
    ['of another hand', [], { vm: {} }, []],
    [
      'linked',
      [{ ...base, kind: 'link', attachment: 'blue', state: 'down' }],
      { vm: { state: 'down' } },
      [{ ...plugged, state: 'down' }],
    ],
    ['released', [{ ...base, kind: 'release', attachments: ['blue'] }], {}, [gone]],
    [
      'staged',
      [{ ...base, kind: 'edit-template', put: [put], remove: [], staged: true }],
      { vm: {}, owned: ['blue'] },
      [{ kind: 'in-template', name: 'blue', present: true }],
    ],
    [
      'staged to go',
      [{ ...base, kind: 'edit-template', put: [], remove: ['blue'], staged: true }],
      { vmi: {}, owned: ['blue'] },
      [{ kind: 'in-template', name: 'blue', present: false }],
    ],
  ];
  for (const [title, actions, seen, goals] of cases)
    assert.deepEqual(layered(finalGoals({ ...none, actions }, liveVm(seen))), goals, title);
});

test('after the way back, what was not as declared before it is not looked at', () => {
  const target = { kind: 'VirtualMachine', namespace: 'prod', name: 'db-0' } as const;
  const other: Difference = { attachment: 'blue', layer: 'vmi', field: 'network', wanted: 'a', found: 'b' };
  const plan = { target, ...none, differences: [other] };
  const back: readonly Action[] = [
    { ...base, kind: 'unplug', attachments: ['green'], delivery: 'in-place' },
    { ...base, kind: 'link', attachment: 'red', state: 'up' },
  ];
  const live = liveVm({ vm: {}, owned: ['blue'] });
  const all = ['green', 'red'].map((name): Goal => ({ kind: 'gone', name }));
  assert.deepEqual(layered(finalGoals(afterReversal(plan, back, new Set()), live)), all);
  const calm = afterReversal({ target, ...none }, back, new Set());
  assert.deepEqual(layered(finalGoals(calm, live)), [plugged, ...all]);
  const stuck = afterReversal({ target, ...none }, back, new Set(['blue']));
  assert.deepEqual(layered(finalGoals(stuck, live)), all);
});

test('of a VM that does not run the template alone counts', () => {
  const { vmi: _vmi, pod: _pod, ...stopped } = liveVm({ vm: {}, owned: ['blue'] });
  assert.deepEqual(finalGoals({ ...none, actions: [] }, stopped), [
    { kind: 'in-template', name: 'blue', present: true },
  ]);
});

test('what the plan could not change is not waited for', () => {
  const live = liveVm({ vm: {}, owned: ['blue'] });
  const difference: Difference = { attachment: 'blue', layer: 'vmi', field: 'present', wanted: true, found: false };
  const blocker: Blocker = { code: 'needs-restart', attachment: 'blue', message: 'm', remedy: 'r' };
  assert.deepEqual(finalGoals({ ...none, actions: [], differences: [difference] }, live), []);
  assert.deepEqual(finalGoals({ ...none, actions: [], blockers: [blocker] }, live), []);
  const link: Action = { ...base, kind: 'link', attachment: 'blue', state: 'up' };
  assert.deepEqual(finalGoals({ ...none, actions: [link], differences: [difference] }, live), [
    { kind: 'settled' },
    plugged,
  ]);
});

test('what is declared is proved as declared, whoever plugged it', () => {
  const wanted = { ...put, mac: '02:00:00:00:0a:01' };
  const goal: Goal = { ...plugged, mac: wanted.mac };
  const declared = { ...none, declared: [wanted] };
  const other = { network: { namespace: 'prod', name: 'vlan20' } };
  for (const seen of [{ vm: {} }, {}, { vm: other, owned: ['blue'] }] satisfies readonly Seen[])
    assert.deepEqual(layered(finalGoals({ ...declared, actions: [] }, liveVm(seen))), [goal]);
  const note = { code: 'restart-pending', attachment: 'blue', message: 'm' };
  const waiting = { ...declared, notes: [note] };
  assert.deepEqual(finalGoals({ ...waiting, actions: [] }, liveVm({ vm: {} })), []);
  const link: Action = { ...base, kind: 'link', attachment: 'blue', state: 'up' };
  assert.deepEqual(layered(finalGoals({ ...waiting, actions: [link] }, liveVm({ vm: {} }))), [plugged]);
});

test('the domain XML has the last word', () => {
  const nic: DomainNic = { name: 'blue', type: 'ethernet', linkState: 'up' };
  const cases: readonly [Goal, readonly DomainNic[], RegExp | undefined][] = [
    [plugged, [nic], undefined],
    [plugged, [], /no NIC "blue"/],
    [plugged, [{ ...nic, linkState: 'down' }], /is down in the domain XML/],
    [plugged, [{ ...nic, type: 'hostdev', linkState: 'down' }], undefined],
    [{ ...plugged, mac: '02:00:00:00:0a:01' }, [{ ...nic, mac: '02:00:00:00:0a:01' }], undefined],
    [{ ...plugged, mac: '02:00:00:00:0a:01' }, [{ ...nic, mac: '02:00:00:00:0a:02' }], /MAC 02:00:00:00:0a:02/],
    [gone, [], undefined],
    [gone, [nic], /still has "blue"/],
    [{ kind: 'link', name: 'blue', state: 'down' }, [nic], /is up/],
    [{ kind: 'swapped', name: 'blue', network }, [nic], undefined],
    [{ kind: 'swapped', name: 'blue', network }, [], /no NIC/],
    [{ kind: 'in-template', name: 'blue', present: true }, [], undefined],
  ];
  for (const [goal, nics, objection] of cases) {
    const domain: LiveDomain = { name: 'prod_db-0', running: true, nics, pciControllers: [], devices: [] };
    const found = domainObjection([goal], domain);
    if (objection === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', objection);
  }
});
