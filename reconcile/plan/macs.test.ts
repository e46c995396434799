import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, codes, ofVms, own, planOf, planVm, red, steps } from '../../test/plan-cases.ts';
import { element, podWith } from '../../test/pod-cases.ts';
import { declared, desiredState, liveState, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import { makePlan } from './plan.ts';

test('an address that moves', () => {
  const mac = '02:00:00:00:00:01';
  const blueMac = { ...blue, mac };
  const redMac = { ...red, mac };
  const move = planOf(
    [declared([redMac], { name: 'a' }), declared([], { name: 'b' })],
    [runningVm([], { name: 'a' }), runningVm([blueMac], { name: 'b', owned: ['blue'] })],
  );
  assert.deepEqual(move.targets.map(steps), [['plug red in-place'], ['unplug blue in-place', 'release blue']]);
  assert.deepEqual(move.targets[0]?.actions[0]?.after, ['prod/b/1']);

  const within = planVm([redMac], runningVm([blueMac], own('blue')));
  assert.deepEqual(steps(within), ['unplug blue in-place', 'release blue', 'plug red in-place']);

  const kept = planOf(
    [declared([redMac], { name: 'a' }), declared([], { name: 'b' })],
    [runningVm([], { name: 'a' }), runningVm([blueMac], { name: 'b' })],
  );
  assert.deepEqual(kept.targets[0] && codes(kept.targets[0]), ['mac-taken red']);
  assert.match(kept.targets[0]?.blockers[0]?.message ?? '', /"blue" of prod\/b/);

  const stranger = planVm([redMac], runningVm(), { macs: { [mac]: 'other/vm/nic0' } });
  assert.deepEqual(codes(stranger), ['mac-taken red']);

  const held = planOf(
    [declared([redMac], { name: 'a' }), declared([], { name: 'b' })],
    [runningVm([], { name: 'a' }), { ...runningVm([blueMac], { name: 'b', owned: ['blue'] }), pool: 'web' }],
  );
  assert.deepEqual(held.targets.map(codes), [['mac-taken red'], ['vm-pool']]);
});

test('an address that a pod has', () => {
  const desired = desiredState([declared([{ ...red, mac: '02:00:00:00:00:01' }])]);
  const planWith = (pod: LiveTargetPod) => {
    const byQuery = new Map([['prod/web', [pod]]]);
    const pods = { byQuery, controller: { kind: 'unknown' } as const, thin: false };
    const live = {
      ...liveState([runningVm()], {
        also: desired.targets.flatMap(({ attachments }) => attachments.map(({ network }) => network.name)),
      }),
      pods,
    };
    return ofVms(makePlan(diffState(desired, live), desired, live)).targets[0];
  };
  const holder = [element('a', { mac: '02-00-00-00-00-01' })];
  const kept = planWith(podWith(holder));
  assert.deepEqual(kept && codes(kept), ['mac-taken red']);
  assert.match(kept?.blockers[0]?.message ?? '', /that of the NIC "a" of pod prod\/web/);
  const launcher = planWith(podWith(holder, { launcher: { vmi: 'db-0' } }));
  assert.deepEqual(launcher && codes(launcher), [], 'the launcher of a VM has its addresses');
});

test('addresses that trade places', () => {
  const [one, two] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
  const targets = [
    declared([{ name: 'new', mac: two }], { name: 'a' }),
    declared([{ name: 'new', mac: one }], { name: 'b' }),
  ];
  const running = planOf(targets, [
    runningVm([{ name: 'old', mac: one }], { name: 'a', owned: ['old'] }),
    runningVm([{ name: 'old', mac: two }], { name: 'b', owned: ['old'] }),
  ]);
  assert.deepEqual(
    running.targets.map(({ actions }) => actions.map(({ after }) => after)),
    [
      [[], [], ['prod/b/1']],
      [[], [], ['prod/a/1']],
    ],
  );
  const stopped = planOf(targets, [
    stoppedVm([{ name: 'old', mac: one }], { name: 'a', owned: ['old'] }),
    stoppedVm([{ name: 'old', mac: two }], { name: 'b', owned: ['old'] }),
  ]);
  assert.deepEqual(stopped.targets.map(steps), [
    ['edit -old', 'edit +new'],
    ['edit -old', 'edit +new'],
  ]);
  const renumbered = planOf(targets, [
    stoppedVm([{ name: 'new', mac: one }], { name: 'a' }),
    stoppedVm([{ name: 'new', mac: two }], { name: 'b' }),
  ]);
  assert.deepEqual(renumbered.targets.map(codes), [['mac-taken new'], ['mac-taken new']], 'each waits for the other');

  const chained = planOf(
    [
      declared(
        [
          { name: 'x', mac: one },
          { name: 'y', mac: two },
        ],
        { name: 'a' },
      ),
      declared([], { name: 'b' }),
    ],
    [
      stoppedVm([{ name: 'x', mac: two }, { name: 'y' }], { name: 'a' }),
      stoppedVm([{ name: 'old', mac: one }], { name: 'b', owned: ['old'] }),
    ],
  );
  assert.deepEqual(
    chained.targets.map(steps),
    [['edit +x +y'], ['edit -old']],
    'y waits with x, whose address it takes',
  );
  assert.deepEqual(chained.targets[0]?.actions[0]?.after, ['prod/b/1']);
});
