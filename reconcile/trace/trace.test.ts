/** Traces of VMs in states that a sandbox does not stay in: which layer, which cause, since when. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  byMigration,
  declared,
  desiredState,
  type LiveOptions,
  liveState,
  type NicOptions,
  runningVm,
  specNic,
  statusNic,
} from '../../test/vm-builder.ts';
import type { DesiredTarget } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import type { KubeObject } from '../kube/cluster.ts';
import type { LiveVm } from '../live/model.ts';
import { makePlan } from '../plan/plan.ts';
import { makeStyle } from '../report/style.ts';
import { traceText } from '../report/trace-text.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { causes } from './causes.ts';
import type { Evidence } from './evidence.ts';
import type { Lag, NicTrace, Trace } from './model.ts';
import { subjectOf } from './subject.ts';
import { lastWrite, networksPath } from './times.ts';
import { makeTrace } from './trace.ts';

const blue: NicOptions = { name: 'blue' };
const nothing: Evidence = {
  pods: [],
  events: [],
  controller: { daemonSet: 'kube-system/c', ready: 2, wanted: 2, onNode: 'ready' },
  gaps: [],
};

function traceOf(
  vm: LiveVm,
  evidence: Partial<Evidence> = {},
  target?: DesiredTarget,
  options: LiveOptions = {},
): Trace {
  const desired = target === undefined ? undefined : desiredState([target]);
  const subject = subjectOf(vm, target, desired !== undefined);
  const live = liveState([subject.live], options);
  const state = desiredState([subject.desired]);
  const [diff] = diffState(state, live);
  assert.ok(diff !== undefined);
  const [plan] = makePlan([diff], state, live).targets;
  return makeTrace({ subject, diff, plan, live, evidence: { ...nothing, ...evidence }, desired, declared: target });
}

function nicOf(trace: Trace, name = 'blue'): NicTrace {
  const nic = trace.nics.find((each) => each.name === name);
  assert.ok(nic !== undefined);
  return nic;
}

function lagOf(trace: Trace, name = 'blue'): Lag {
  const { lag } = nicOf(trace, name);
  assert.ok(lag !== undefined, JSON.stringify(nicOf(trace, name)));
  return lag;
}

function place(lag: Lag): string {
  return `${lag.layer} ${lag.cause}`;
}

/** A VM with `blue`, in which one layer is as if it had not come. */
function without(layer: 'status' | 'element' | 'network-status' | 'domain', nic: NicOptions = blue): LiveVm {
  const vm = runningVm([nic]);
  const { vmi, pod, domain } = vm;
  assert.ok(
    vmi !== undefined &&
      pod !== undefined &&
      domain.kind === 'read' &&
      !('problem' in pod.networks) &&
      !('problem' in pod.status),
  );
  const other = ({ name }: { readonly name?: string }) => name !== nic.name;
  switch (layer) {
    case 'status':
      return { ...vm, vmi: { ...vmi, status: vmi.status.filter(other) } };
    case 'element':
      return {
        ...vm,
        pod: { ...pod, networks: [], status: pod.status.slice(0, 1) },
        vmi: { ...vmi, status: vmi.status.filter(other) },
        domain: { kind: 'read', domain: { ...domain.domain, nics: domain.domain.nics.filter(other) } },
      };
    case 'network-status':
      return {
        ...vm,
        pod: { ...pod, status: pod.status.slice(0, 1) },
        vmi: { ...vmi, status: vmi.status.filter(other) },
        domain: { kind: 'read', domain: { ...domain.domain, nics: domain.domain.nics.filter(other) } },
      };
    case 'domain':
      return {
        ...vm,
        vmi: { ...vmi, status: [...vmi.status.filter(other), { ...statusNic(nic), sources: ['multus-status'] }] },
        domain: { kind: 'read', domain: { ...domain.domain, nics: domain.domain.nics.filter(other) } },
      };
    default:
      return layer satisfies never;
  }
}

test('each layer, with nobody saying why', () => {
  assert.equal(traceOf(runningVm([blue])).agrees, true);
  assert.equal(place(lagOf(traceOf(without('status')))), 'vmi status-behind');
  assert.equal(place(lagOf(traceOf(without('element')))), 'pod annotation-behind');
  assert.equal(place(lagOf(traceOf(without('network-status')))), 'multus controller-silent');
  assert.equal(place(lagOf(traceOf(without('domain')))), 'domain guest-not-taking');
  const { vmi, ...rest } = runningVm([blue]);
  assert.ok(vmi !== undefined);
  const late = { ...rest, vmi: { ...vmi, nics: vmi.nics.slice(0, 1) } };
  assert.equal(lagOf(traceOf(late)).layer, 'vmi');
  assert.equal(lagOf(traceOf(late)).cause, 'kubevirt-behind');
});

test('the controller: missing, or not on the node', () => {
  const waiting = without('network-status');
  const missing = traceOf(waiting, { controller: { onNode: 'missing' } }, undefined, { cluster: byMigration });
  assert.equal(place(lagOf(missing)), 'multus controller-missing');
  assert.match(lagOf(missing).remedy, /get vmim/);
  const off = traceOf(waiting, { controller: { daemonSet: 'kube-system/c', ready: 1, wanted: 2, onNode: 'missing' } });
  assert.equal(place(lagOf(off)), 'multus controller-not-ready');
  const fast = without('network-status', { name: 'fast', binding: 'sriov' });
  assert.equal(place(lagOf(traceOf(fast), 'fast')), 'multus migration-due');
});

test('a binding plugin that waits for a restart says so, where it counts', () => {
  const vm = runningVm([blue]);
  const plugin = { ...specNic({ name: 'passt', binding: 'plugin' }), plugin: 'passt' };
  const odd = { ...vm, nics: [...vm.nics, plugin] };
  assert.equal(place(lagOf(traceOf(odd), 'passt')), 'vmi not-live');
  assert.equal(traceOf(odd).agrees, false);
  const held = traceOf(odd, {}, declared([blue]));
  assert.equal(nicOf(held, 'passt').role, 'foreign');
  assert.equal(held.agrees, true);
});

test('a link that is not as declared, and an unplug that is', () => {
  const { vmi, ...vm } = runningVm([blue]);
  assert.ok(vmi !== undefined);
  const nics = vm.nics.map((nic) => (nic.name === 'blue' ? { ...nic, state: 'down' as const } : nic));
  const both = { ...vm, nics, vmi: { ...vmi, nics } };
  assert.equal(place(lagOf(traceOf(both))), 'domain link-behind');
  const owned = runningVm([blue], { owned: ['blue'] });
  const surplus = traceOf(owned, {}, declared([]));
  assert.equal(nicOf(surplus).role, 'owned');
  assert.equal(place(lagOf(surplus)), 'vm not-unplugged');
  // What is neither declared nor owned may lag as it likes.
  assert.equal(traceOf(without('domain'), {}, declared([])).agrees, true);
});

test('since: managedFields tell the last write, which may be about another NIC; else the start of the pod', () => {
  const entry = (manager: string, time: string, fieldsV1: object) => ({
    manager,
    time,
    operation: 'Update',
    fieldsV1: fieldsV1 as never,
  });
  const annotation = { 'f:metadata': { 'f:annotations': { [`f:${networksAnnotation}`]: {} } } };
  const pod: KubeObject = {
    metadata: {
      name: 'virt-launcher-db-0',
      managedFields: [
        entry('kubelet', '2026-11-24T12:00:09Z', { 'f:status': {} }),
        entry('virt-controller', '2026-11-24T12:00:05Z', annotation),
        entry('somebody', '2026-11-24T12:00:01Z', annotation),
      ],
    },
    status: { startTime: '2026-11-24T11:00:00Z' },
  };
  assert.deepEqual(lagOf(traceOf(without('network-status'), { pods: [pod] })).since, {
    at: '2026-11-24T12:00:05Z',
    by: 'virt-controller last wrote the networks annotation of the pod',
    orEarlier: true,
  });
  const plain = { ...pod, metadata: { name: 'virt-launcher-db-0' } };
  assert.equal(lagOf(traceOf(without('network-status'), { pods: [plain] })).since?.at, '2026-11-24T11:00:00Z');
  assert.equal(lastWrite(plain, networksPath, 'x'), undefined);
  // An event from before the annotation was last written is about an older try.
  const old = {
    type: 'Warning',
    reason: 'FailedAddingInterface',
    message: 'pod16477688c0e',
    about: 'Pod x',
    at: Date.parse('2026-11-24T11:59:00Z'),
  };
  assert.equal(lagOf(traceOf(without('network-status'), { pods: [pod], events: [old] })).cause, 'controller-silent');
  assert.equal(lagOf(traceOf(without('network-status'), { pods: [plain], events: [old] })).cause, 'cni-failed');
});

test('a pool, and another tool, are told as what stops the next change', () => {
  const trace = traceOf(runningVm([blue], { vm: { pool: 'farm' } }));
  assert.equal(trace.agrees, true);
  assert.deepEqual(
    trace.blockers.map(({ code }) => code),
    ['vm-pool'],
  );
  assert.match(traceText(trace, makeStyle(false)), /^next change blocked \(vm-pool\) /m);
});

test('a hold is told, with or without the desired state', () => {
  const target = declared([blue]);
  const state = desiredState([target]);
  const also = { also: ['blue-net'] };
  const plain = liveState([runningVm()], also);
  const [diff] = diffState(state, plain);
  assert.ok(diff !== undefined);
  const { input = '' } = makePlan([diff], state, plain).targets[0] ?? {};
  const vm = runningVm([], { vm: { held: { input, instance: 'uid-vmi-db-0', reason: 'the guest took none' } } });
  for (const given of [target, undefined]) {
    const { blockers } = traceOf(vm, {}, given, also);
    assert.match(blockers.find(({ code }) => code === 'held')?.message ?? '', /the guest took none/, String(given));
  }
  const changed = traceOf(vm, {}, declared([{ ...blue, mac: '02:00:00:00:00:01' }]), also);
  assert.deepEqual(changed.blockers, []);
});

test('the reference page has every cause', () => {
  const page = readFileSync(new URL('../../docs/reference/trace.md', import.meta.url), 'utf8');
  for (const code of Object.keys(causes)) assert.ok(page.includes(`\n| \`${code}\``), code);
});
