/** KubeVirt's own components on the control plane: that they are at work, before anything is asked of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { apiFailure } from '../../reconcile/kube/failures.ts';
import { virtualMachineInstances, virtualMachines } from '../../reconcile/kube/resources.ts';
import { fields } from '../../reconcile/systems/json-shape.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { type KubeVirt, kubevirtUsers, startKubeVirt } from './kubevirt.ts';

let plane: ControlPlane;
let kubevirt: KubeVirt;
before(async () => {
  plane = await startControlPlane({ users: Object.values(kubevirtUsers) });
  const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubevirt' } };
  await plane.admin.create({ group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' }, namespace);
  kubevirt = await startKubeVirt(plane);
});
after(async () => {
  await kubevirt?.stop();
  await plane?.stop();
});

test('virt-controller and virt-api of a release', (context) => {
  assert.match(kubevirt.version, /^v1\.\d+\.\d+$/);
  context.diagnostic(`KubeVirt ${kubevirt.version} on kube-apiserver ${plane.versions.kubernetes}`);
});

test('virt-api completes a VM and refuses a wrong one; virt-controller makes a VMI of it', async () => {
  const created = await plane.admin.create(virtualMachines, machine('one', [{ name: 'default', masquerade: {} }]));
  const { metadata } = fields(fields(created.spec).template);
  assert.equal(fields(fields(metadata).annotations)['kubevirt.io/pci-topology-version'], 'v3');
  await assert.rejects(
    plane.admin.create(virtualMachines, machine('two', [{ name: 'other', masquerade: {} }])),
    (error) => {
      assert.equal(apiFailure(error)?.status, 422);
      assert.match(
        String(apiFailure(error)?.message),
        /admission webhook "virtualmachine-validator.kubevirt.io" denied/,
      );
      return true;
    },
  );
  const deadline = performance.now() + 30_000;
  while ((await plane.admin.get(virtualMachineInstances, 'default', 'one')) === undefined) {
    assert.ok(performance.now() < deadline, 'there is no VMI');
  }
});

function machine(name: string, interfaces: readonly object[]): KubeObject {
  const domain = { memory: { guest: '1Gi' }, devices: { interfaces } };
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { namespace: 'default', name },
    spec: { runStrategy: 'Always', template: { spec: { domain, networks: [{ name: 'default', pod: {} }] } } },
  };
}
