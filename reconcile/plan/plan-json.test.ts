import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { declared, desiredState, liveState, runningVm } from '../../test/vm-builder.ts';
import { diffState } from '../diff/diff.ts';
import { PatchpanelError } from '../errors.ts';
import type { Json } from '../vocabulary.ts';
import { digestOf } from './canonical-json.ts';
import { checkStale, restsOnDomainXml } from './fingerprint.ts';
import type { Plan, PodPlan } from './model.ts';
import { makePlan } from './plan.ts';
import { blockerCodes, parsePlan, planToJson } from './plan-json.ts';

const blue = { name: 'blue', mac: '02:00:00:00:00:01' };
const wanted = desiredState([declared([blue])]);
const live = liveState([runningVm([{ name: 'red' }], { owned: ['red'] })], { also: ['blue-net'] });

function samplePlan(): Plan {
  return makePlan(diffState(wanted, live), wanted, live);
}

/** The same value with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reversed(item)]),
  );
}

function refusal(text: string): string {
  try {
    parsePlan(text);
  } catch (error) {
    assert.ok(error instanceof PatchpanelError);
    assert.equal(error.code, 'plan/format');
    assert.equal(error.exitCode, 3);
    return error.message;
  }
  return assert.fail('the plan was read');
}

test('keys are in the order of the format, whoever built the plan', () => {
  const text = planToJson(samplePlan());
  const other = reversed(samplePlan()) as Plan;
  assert.equal(planToJson(other), text);
  const keys = ['version', 'source', 'cluster', 'settings', 'targets', 'removals', 'summary', 'digest'];
  assert.deepEqual(Object.keys(JSON.parse(text)), keys);
  const [first] = JSON.parse(text).targets[0].actions;
  assert.deepEqual(Object.keys(first), ['id', 'after', 'kind', 'attachments', 'delivery']);
  assert.ok(text.endsWith('}\n'));
  assert.match(text, /^\{\n {2}"version": "patchpanel\.dev\/plan\/v1alpha1",\n/);
});

test('what was written is read', () => {
  assert.deepEqual(parsePlan(planToJson(samplePlan())), samplePlan());
  const undeclared = [{ namespace: 'prod', name: 'old', owned: ['blue'], why: 'prune-off' as const }];
  const made = makePlan(diffState(wanted, live), wanted, { ...live, undeclared });
  assert.deepEqual(made.undeclared, undeclared);
  assert.deepEqual(parsePlan(planToJson(made)), made);
});

const element = { network: { namespace: 'prod', name: 'blue-net' }, interface: 'net1' };
const podFields: Json = {};

/** A plan with one pod beside the VM. */
function withPod(): Plan {
  const plan = samplePlan();
  const pod: PodPlan = {
    target: { kind: 'Pod', namespace: 'prod', name: 'db-0' },
    position: { file: 'pod.yaml', line: 1, column: 1 },
    runState: 'running',
    differences: [],
    actions: [
      { id: 'pod/prod/db-0/1', after: [], kind: 'pod-unplug', elements: [{ name: 'red', ...element }], ghost: false },
      { id: 'pod/prod/db-0/2', after: [], kind: 'pod-plug', element: { name: 'blue', ...element, ips: ['192.0.2.1'] } },
    ],
    blockers: [],
    notes: [],
    declared: [{ name: 'blue', ...element, ips: ['192.0.2.1'] }],
    unmanaged: [],
    read: { digest: digestOf(podFields), fields: podFields },
  };
  return { ...plan, targets: [...plan.targets, pod], summary: { ...plan.summary, pods: 1 } };
}

test('pods stand beside VMs, and a fault of one is told where it is', () => {
  const text = planToJson(withPod());
  assert.deepEqual(parsePlan(text), withPod());
  assert.match(refusal(text.replace('"ghost": false', '"ghost": 1')), /^targets\.1\.actions\.0\.ghost: /);
  assert.match(refusal(text.replace('"kind": "Pod"', '"kind": "VirtualMachine"')), /^targets\.1\./);
  assert.match(refusal(text.replace('"kind": "Pod"', '"kind": "Service"')), /^targets\.1/);
});

test('what is no plan is refused', () => {
  const text = planToJson(samplePlan());
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /not JSON/],
    ['{"version": 1', /not JSON/],
    ['null', /no plan/],
    ['[]', /no plan/],
    [
      text.replace('plan/v1alpha1', 'plan/v9'),
      /version patchpanel\.dev\/plan\/v9; .* reads patchpanel\.dev\/plan\/v1alpha1/,
    ],
    [text.replace('"kind": "unplug"', '"kind": "destroy"'), /targets\.0\.actions\.0/],
    [text.replace('"summary"', '"sum"'), /summary|sum/],
    [text.replace('"uid-db-0"', '"uid-db-1"').replace('"uid": "uid-db-0"', '"uid": "uid-db-9"'), /digest/],
    [text.replaceAll('prod/db-0/2', 'prod/db-0/1'), /two actions/],
    [text.replace('"after": []', '"after": ["prod/db-7/1"]'), /waits for prod\/db-7\/1/],
  ];
  for (const [content, message] of cases) assert.match(refusal(content), message);
});

/** The text of a plan with some of it changed, and a digest as if it had been written so. */
function forged(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), from);
  const { digest: _, ...rest } = JSON.parse(text.replace(from, to));
  return JSON.stringify({ ...rest, digest: digestOf(rest) });
}

test('a plan that was edited is refused, whatever was changed', () => {
  const text = planToJson(samplePlan());
  const edits: readonly (readonly [string, string])[] = [
    [
      '"kind": "unplug",\n          "attachments": [\n            "red"',
      '"kind": "unplug",\n          "attachments": [\n            "default"',
    ],
    ['"blockers": []', '"blockers": [{"code": "held", "message": "x", "remedy": "y"}]'],
    ['"uid": "uid-db-0",\n      "position"', '"uid": "uid-db-1",\n      "position"'],
    ['"prune": false', '"prune": true'],
    ['"unplugs": 1', '"unplugs": 0'],
  ];
  for (const [from, to] of edits) {
    assert.ok(text.includes(from), from);
    assert.match(refusal(text.replace(from, to)), /^the plan does not fit its digest: the file was edited$/);
    assert.doesNotThrow(() => parsePlan(forged(text, from, to)), 'only the digest tells');
  }
  assert.match(refusal(text.replace(/,\n {2}"digest": "[^"]*"/, '')), /^digest: /);
  // JSON that means the same is the same plan.
  assert.deepEqual(parsePlan(JSON.stringify(reversed(JSON.parse(text)))), samplePlan());
});

test('with a digest of its own, an edited plan still plugs and changes only what it declares', () => {
  const text = planToJson(samplePlan());
  for (const change of [
    '{"kind": "link", "attachment": "default", "state": "down"}',
    '{"kind": "swap", "attachment": "default", "from": {"namespace": "a", "name": "b"}, "to": {"namespace": "a", "name": "c"}}',
    '{"kind": "edit-template", "put": [{"name": "other", "network": {"namespace": "a", "name": "b"}, "binding": "bridge", "state": "up"}], "remove": [], "staged": false}',
  ]) {
    const edited = forged(text, '"actions": [', `"actions": [{"id": "x", "after": [], ${change.slice(1)},`);
    assert.match(refusal(edited), /is about (default|other), which is not declared there/);
  }
});

test('a plan is stale where what it was made from has moved, and says what', () => {
  const plan = samplePlan();
  assert.deepEqual(checkStale(plan, live), []);
  const vm = runningVm([{ name: 'red', state: 'down' }], { owned: ['red'] });
  const [stale] = checkStale(plan, liveState([vm], { also: ['blue-net'] }));
  assert.equal(stale?.target.name, 'db-0');
  assert.deepEqual(
    stale?.moved.find(({ field }) => field === 'vm.nics.red.state'),
    { field: 'vm.nics.red.state', was: 'up', is: 'down' },
  );
});

test('what moves without a say leaves a plan fresh', () => {
  const plan = samplePlan();
  const vm = runningVm([{ name: 'red' }], { owned: ['red'] });
  assert.ok(vm.vmi && vm.pod);
  const moved = {
    ...vm,
    resourceVersion: '99',
    conditions: [{ type: 'Ready', status: 'True' }],
    vmi: { ...vm.vmi, resourceVersion: '98', nodeName: 'node-2' },
    pod: { ...vm.pod, uid: 'other', name: 'other', nodeName: 'node-2' },
  };
  assert.deepEqual(checkStale(plan, liveState([moved], { also: ['blue-net'] })), []);
});

test('whatever a rule looks at makes a plan stale', () => {
  const plan = samplePlan();
  const vm = runningVm([{ name: 'red' }], { owned: ['red'] });
  assert.ok(vm.vmi && vm.pod);
  const { vmi, pod } = vm;
  const also = { also: ['blue-net'] };
  const cases = {
    'VM replaced': liveState([{ ...vm, uid: 'other' }], also),
    'VM gone': liveState([], { also: ['blue-net', 'red-net'] }),
    'VM in a pool': liveState([{ ...vm, pool: 'web' }], also),
    restarted: liveState([{ ...vm, vmi: { ...vmi, uid: 'other' } }], also),
    migrating: liveState([{ ...vm, vmi: { ...vmi, migrating: true } }], also),
    'not ready': liveState([{ ...vm, pod: { ...pod, ready: false } }], also),
    'ownership changed': liveState([{ ...vm, owned: [] }], also),
    'a port taken': liveState([runningVm([{ name: 'red' }], { owned: ['red'], ports: 7 })], also),
    'a network gone': liveState([vm]),
    'an address taken': liveState([vm], { ...also, macs: { [blue.mac]: 'other/vm/nic' } }),
    'another delivery': { ...live, cluster: { ...live.cluster, delivery: 'migration' as const } },
  };
  for (const [what, now] of Object.entries(cases)) {
    const [stale] = checkStale(plan, now);
    assert.ok((stale?.moved.length ?? 0) > 0, what);
  }
});

test('a plan that rests on domain XML is checked against XML', () => {
  const plan = samplePlan();
  assert.ok(plan.targets.every(restsOnDomainXml));
  const unread = liveState([runningVm([{ name: 'red' }], { owned: ['red'], xml: false })], { also: ['blue-net'] });
  assert.deepEqual(
    checkStale(plan, unread)[0]?.moved.map(({ field }) => field),
    ['domain'],
  );
  const forecast = makePlan(diffState(wanted, unread), wanted, unread);
  assert.equal(forecast.targets.some(restsOnDomainXml), false);
  assert.deepEqual(checkStale(forecast, live), [], 'XML that was not needed then is not needed now');
});

test('the reference page explains every blocker, and no other', () => {
  const page = readFileSync(new URL('../../docs/reference/blockers.md', import.meta.url), 'utf8');
  const explained = [...page.matchAll(/^### `([a-z-]+)`$/gm)].map((match) => match[1]);
  assert.deepEqual(explained.toSorted(), [...blockerCodes].sort());
});
