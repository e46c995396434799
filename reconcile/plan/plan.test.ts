import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blue,
  checkRows,
  green,
  own,
  planOf,
  planVm,
  type Row,
  red,
  steps,
  templated,
  withPod,
  withVmi,
} from '../../test/plan-cases.ts';
import { declared, runningVm, statusNic, stoppedVm } from '../../test/vm-builder.ts';
import type { TargetPlan } from './model.ts';

test('a converged VM is only counted', () => {
  const plan = planOf([declared([blue])], [runningVm([blue])]);
  assert.deepEqual(plan.targets, []);
  const { summary } = plan;
  assert.deepEqual(summary, { vms: 1, unchanged: 1, changed: 0, blocked: 0, plugs: 0, unplugs: 0, others: 0 });
});

test('refusals', () => {
  const foreign = templated(runningVm([blue]), [{ ...blue, binding: 'plugin' }]);
  const rows: readonly Row[] = [
    {
      what: 'multicast',
      wanted: [{ ...blue, mac: '03:00:00:00:00:01' }],
      vm: runningVm(),
      blockers: ['mac-invalid blue'],
    },
    { what: 'zero', wanted: [{ ...blue, mac: '00:00:00:00:00:00' }], vm: runningVm(), blockers: ['mac-invalid blue'] },
    { what: 'case alone', wanted: [blue], vm: runningVm([{ name: 'Blue' }]), blockers: ['name-collision blue'] },
    { what: 'foreign binding', wanted: [blue], vm: foreign, blockers: ['foreign-nic blue'] },
    {
      what: 'the default network',
      wanted: [{ name: 'default', network: 'blue-net' }],
      vm: runningVm(),
      blockers: ['default-network default'],
    },
  ];
  checkRows(rows);
});

test('a declared NIC that patchpanel did not plug is said to stay, where the VM is listed', () => {
  const vm = runningVm([blue, red], own('red'));
  assert.deepEqual(planOf([declared([blue, red])], [vm]).targets, []);
  const { notes } = planVm([blue, red, green], vm);
  assert.deepEqual(
    notes.filter(({ code }) => code === 'not-owned'),
    [
      {
        code: 'not-owned',
        message: 'there before patchpanel, so not unplugged when removed from the repository: blue',
      },
    ],
  );
});

test('a blocker of an attachment points to where that is declared', () => {
  const wanted = declared([blue, { ...red, mac: '03:00:00:00:00:01' }]);
  const position = { file: 'vms/db-0.yaml', line: 17, column: 7 };
  const attachments = wanted.attachments.map((each) => (each.name === 'red' ? { ...each, position } : each));
  const [target] = planOf([{ ...wanted, attachments }], [runningVm([blue])]).targets;
  assert.deepEqual(
    target?.blockers.map((found) => [found.code, found.position]),
    [['mac-invalid', position]],
  );
});

test('an owned NIC is removed, any other is left alone', () => {
  const vm = runningVm([blue, red], own('blue', 'default'));
  const target = planVm([], vm);
  assert.deepEqual(steps(target), ['unplug blue in-place', 'release blue']);
  assert.deepEqual(target.unmanaged, ['red']);
  assert.deepEqual(
    target.notes.map(({ code }) => code),
    ['unmanaged-nics'],
  );
  const stopped = planVm([], stoppedVm([blue, red], own('blue')));
  assert.deepEqual(steps(stopped), ['edit -blue']);
});

test('a run that was cut short is taken up where it stopped', () => {
  const leaving = templated(runningVm([blue], own('blue')), [{ ...blue, state: 'absent' }]);
  const arriving = withVmi(
    { ...runningVm([blue]), domain: runningVm().domain },
    { status: [{ ...statusNic(blue), sources: ['multus-status'] }] },
  );
  const swapping = withVmi(templated(runningVm([blue]), [{ ...blue, network: 'new-net' }]), { migrating: true });
  checkRows([
    { what: 'unplug', wanted: [], vm: leaving, actions: ['follow blue gone', 'release blue'] },
    { what: 'record only', wanted: [], vm: runningVm([], own('blue')), actions: ['release blue'] },
    { what: 'plug', wanted: [blue], vm: arriving, actions: ['follow blue plugged'] },
    { what: 'swap', wanted: [{ ...blue, network: 'new-net' }], vm: swapping, actions: ['follow blue swapped'] },
    {
      what: 'link',
      wanted: [{ ...blue, state: 'down' }],
      vm: templated(runningVm([blue]), [{ ...blue, state: 'down' }]),
      actions: ['follow blue link'],
    },
  ]);
});

test('notes', () => {
  const noteCodes = (target: TargetPlan) => target.notes.map(({ code }) => code);
  const required = {
    ...runningVm([blue], own('blue')),
    conditions: [{ type: 'RestartRequired', status: 'True', message: 'cpu' }],
  };
  assert.deepEqual(noteCodes(planVm([blue], required)), ['restart-required']);
  const refused = { ...runningVm([], { xml: false }), domain: { kind: 'unread', why: 'forbidden' } as const };
  const forecast = planVm([blue], refused);
  assert.deepEqual(noteCodes(forecast), ['ports-forecast']);
  assert.equal(forecast.ports?.basis, 'forecast');
  const { networks } = runningVm([red]).pod ?? {};
  assert.ok(networks);
  const stale = planVm([], withPod(runningVm(), { networks }));
  assert.deepEqual(noteCodes(stale), ['stale-element']);
  assert.deepEqual(stale.actions, []);
  assert.deepEqual(noteCodes(planVm([blue], runningVm([blue], own('blue')), { networks: [] })), ['network-missing']);
  const stagedTarget = planVm([{ ...blue, mac: '02:00:00:00:00:02' }], runningVm([blue], own('blue')), {
    restart: 'stage',
  });
  assert.deepEqual(noteCodes(stagedTarget), ['staged']);
  assert.match(stagedTarget.notes[0]?.message ?? '', /mac unset must become 02:00:00:00:00:02/);
});

test('the summary counts VMs and attachments', () => {
  const { summary } = planOf(
    [
      declared([blue, red], { name: 'a' }),
      declared([], { name: 'b' }),
      declared([blue], { name: 'c' }),
      declared([], { name: 'd' }),
    ],
    [
      runningVm([], { name: 'a' }),
      runningVm([green], { name: 'b', owned: ['green'] }),
      runningVm([], { name: 'c', ports: 1 }),
      runningVm([], { name: 'd' }),
    ],
  );
  assert.deepEqual(summary, { vms: 4, unchanged: 1, changed: 2, blocked: 1, plugs: 2, unplugs: 1, others: 0 });
});
