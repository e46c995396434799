/** Runs over clusters that are in an odd state, or change while they are worked on. */
import assert from 'node:assert/strict';
import { afterEach, suite, test } from 'node:test';
import type { KubeObject, Resource } from '../reconcile/kube/cluster.ts';
import { networkAttachmentDefinitions, virtualMachineInstances, virtualMachines } from '../reconcile/kube/resources.ts';
import { handsOf, nad, namespaces, Scenario, vmManifest } from './apply-scenario.ts';
import { failure, kinds, results } from './apply-support.ts';
import { startCluster } from './cluster-under-test.ts';

suite('an API server on which nobody acts', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  /** @param objects of the namespace `prod`, besides its networks */
  async function serve(objects: readonly KubeObject[], mayWrite = true): Promise<Scenario> {
    const cluster = await startCluster({ actors: false });
    const hands = await handsOf(cluster);
    closers.push(async () => {
      await hands.close();
      await cluster.stop();
    });
    const all = [nad('prod', 'vlan10'), nad('prod', 'vlan20'), ...objects];
    await cluster.admin.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'prod' } });
    await Promise.all(all.map((object) => cluster.admin.create(resourceOf(object), writable(object))));
    return new Scenario(mayWrite ? hands : { ...hands, writer: hands.reader }, 'prod');
  }

  test('a VMI that has ended keeps no NIC: the VM is one that is stopped', async () => {
    const vm = vmManifest('prod', 'db-0');
    const ended = { ...instanceOf(vm), status: { phase: 'Succeeded', interfaces: [] } };
    const scenario = await serve([vm, ended]);
    const put = await scenario.run({ 'db-0': ['blue'] }, { actionTimeoutMs: 2000 });
    assert.deepEqual(kinds(put.plan), ['edit-template']);
    assert.deepEqual(results(put.outcome), { 'db-0': 'converged' }, JSON.stringify(put.outcome));
    // What the instance had when it ran is no trace of the NIC.
    const now = await scenario.cluster.get(virtualMachines, 'prod', 'db-0');
    assert.ok(now !== undefined);
    const again = await serve([now, { ...instanceOf(now), status: { phase: 'Failed' } }]);
    const removed = await again.run({ 'db-0': [] }, { actionTimeoutMs: 2000 });
    assert.deepEqual(results(removed.outcome), { 'db-0': 'converged' }, JSON.stringify(removed.outcome));
  });

  test('a VM that KubeVirt gives its only network is not started without it', async () => {
    const scenario = await serve([
      withoutNics('prod', 'db-0'),
      withoutNics('prod', 'db-1', { autoattachPodInterface: false }),
    ]);
    const { plan, outcome } = await scenario.run({ 'db-0': ['blue'], 'db-1': ['blue'] });
    assert.deepEqual(results(outcome), { 'db-0': 'blocked', 'db-1': 'converged' }, JSON.stringify(outcome));
    assert.deepEqual(
      plan.targets[0]?.blockers.map(({ code }) => code),
      ['default-network'],
    );
    assert.deepEqual((await scenario.live('db-0')).nics, []);
  });

  test('credentials that may only read: the plan is made, and apply says what is missing', async () => {
    const scenario = await serve([vmManifest('prod', 'db-0', 'Halted')], false);
    const { plan, outcome } = await scenario.run({ 'db-0': ['blue'] });
    assert.deepEqual(kinds(plan), ['edit-template']);
    assert.deepEqual(results(outcome), { 'db-0': 'failed' });
    assert.equal(failure(outcome).code, 'cluster/forbidden');
    // VM and VMI are asked for at once; which is refused first is up to the server.
    assert.match(failure(outcome).reason ?? '', /no permission to get virtualmachine(instance)?s in namespace prod/);
    assert.equal(outcome.summary.writes, 0);
  });

  test('a VM beyond the first page of a list is found', async () => {
    const vms = Array.from({ length: 1203 }, (_, index) => vmManifest('prod', `vm-${index}`, 'Halted'));
    const scenario = await serve(vms);
    const { outcome } = await scenario.run({ 'vm-0': ['blue'], 'vm-1202': ['blue'] });
    assert.deepEqual(results(outcome), { 'vm-0': 'converged', 'vm-1202': 'converged' }, JSON.stringify(outcome));
  });
});

function withoutNics(namespace: string, name: string, devices: object = {}): KubeObject {
  const { spec: _spec, ...manifest } = vmManifest(namespace, name);
  return { ...manifest, spec: { runStrategy: 'Halted', template: { spec: { domain: { devices } } } } };
}

const resources: readonly Resource[] = [virtualMachines, virtualMachineInstances, networkAttachmentDefinitions];

function resourceOf({ kind }: KubeObject): Resource {
  const found = resources.find((resource) => resource.kind === kind);
  assert.ok(found !== undefined, kind);
  return found;
}

/** An object as it may be created: without what the server gives. */
function writable(object: KubeObject): KubeObject {
  const { namespace = '', name, annotations } = object.metadata;
  return { ...object, metadata: { namespace, name, ...(annotations !== undefined && { annotations }) } };
}

/** The VMI that a VM of this template runs as. */
function instanceOf({ metadata: { namespace = '', name }, spec }: KubeObject): KubeObject {
  const template = (spec as { readonly template: { readonly spec: object } }).template;
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { namespace, name },
    spec: template.spec,
  };
}
