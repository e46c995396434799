import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, codes, planOf, planVm, red, steps, withVmi } from '../../test/plan-cases.ts';
import { declared, runningVm } from '../../test/vm-builder.ts';
import type { HeldMark, LiveVm } from '../live/model.ts';
import { parsePlan, planToJson } from './plan-json.ts';

function held(vm: LiveVm, mark: Partial<HeldMark> = {}): LiveVm {
  const { input = '' } = planVm([blue], runningVm());
  const instance = vm.vmi?.uid;
  const reason = 'the guest took none';
  return {
    ...vm,
    held: { input, reason, at: '2026-11-24T12:00:00Z', ...(instance === undefined ? {} : { instance }), ...mark },
  };
}

test('a change that failed is not tried again until its input changes', () => {
  const vm = runningVm();
  const marked = held(vm);
  const rows: readonly [string, ReturnType<typeof planVm>, readonly string[]][] = [
    ['as it was', planVm([blue], marked), ['held']],
    ['another object', planVm([blue, red], marked), []],
    ['another address', planVm([{ ...blue, mac: '02:00:00:00:00:01' }], marked), []],
    ['another instance', planVm([blue], withVmi(marked, { uid: 'uid-new' })), []],
    ['a mark that can not be read', planVm([red], { ...vm, held: { reason: 'its mark can not be read' } }), ['held']],
  ];
  for (const [what, plan, expected] of rows) assert.deepEqual(codes(plan), expected, what);
  const [found] = planVm([blue], marked).blockers;
  assert.match(found?.message ?? '', /since 2026-11-24T12:00:00Z.*the guest took none/);
});

test('the mark of a VM that is as declared by now is lifted', () => {
  const owned = { owned: ['blue'] };
  const { input = '' } = planVm([blue], runningVm());
  const [action] = planVm([blue], held(runningVm([blue], owned), { input })).actions;
  assert.deepEqual(
    [action?.kind, action !== undefined && 'attachments' in action && action.attachments],
    ['release', []],
  );
});

test('a network that was mended ends the hold', () => {
  const marked = held(runningVm());
  const network = { namespace: 'prod', name: 'blue-net', uid: 'other', pluginType: 'bridge' };
  const plan = planOf([declared([blue])], [marked], { networks: [network] });
  assert.deepEqual(plan.targets.map(codes), [[]]);
});

test('what is held is not waited for, and needs no hold once it is done', () => {
  const input = planVm([], runningVm([blue], { owned: ['blue'] })).input ?? '';
  const leaving = held(runningVm([{ ...blue, state: 'absent' }], { owned: ['blue'] }), { input });
  assert.deepEqual(codes(planVm([], leaving)), ['held']);
  const gone = planVm([], held(runningVm([], { owned: ['blue'] }), { input }));
  assert.deepEqual([codes(gone), steps(gone)], [[], ['release blue']]);
});

test('the mark is part of what a plan was made from, and the digest part of the plan', () => {
  const plan = planOf([declared([blue])], [runningVm()]);
  const other = planOf([declared([blue])], [held(runningVm(), { input: 'of old' })]);
  assert.notEqual(plan.targets[0]?.read.digest, other.targets[0]?.read.digest);
  assert.equal(parsePlan(planToJson(plan)).targets[0]?.input, plan.targets[0]?.input);
});
