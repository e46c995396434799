import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import {
  networkAttachmentDefinitions,
  virtualMachineInstances,
  virtualMachinePools,
  virtualMachines,
} from '../../reconcile/kube/resources.ts';
import { assembleSandbox } from '../sandbox.ts';
import { replaySpeed } from './flow-stage.ts';
import { readAs, type Vm, type Vmi } from './objects.ts';
import { sleep } from './sleep.ts';

const namespace = 'default';

const pool: KubeObject = {
  apiVersion: 'pool.kubevirt.io/v1beta1',
  kind: 'VirtualMachinePool',
  metadata: { namespace, name: 'web' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    virtualMachineTemplate: {
      metadata: { labels: { app: 'web' } },
      spec: {
        runStrategy: 'Always',
        template: {
          spec: {
            domain: { memory: { guest: '1Gi' }, devices: { interfaces: [{ name: 'default', masquerade: {} }] } },
            networks: [{ name: 'default', pod: {} }],
          },
        },
      },
    },
  },
};

/** Adds a NIC to the lists of a template. */
function plug(name: string, template: string) {
  const network = { name, multus: { networkName: 'vlan10' } };
  return [
    { op: 'add', path: `${template}/spec/networks/-`, value: network },
    { op: 'add', path: `${template}/spec/domain/devices/interfaces/-`, value: { name, bridge: {} } },
  ] as const;
}

test('a pool makes its VMs, writes over what was changed in one, starts it anew, and goes with them', async () => {
  const sandbox = await assembleSandbox({ speed: replaySpeed });
  const { admin } = sandbox;
  const vm = async (name: string): Promise<Vm | undefined> => {
    const found = await admin.get(virtualMachines, namespace, name);
    return found === undefined ? undefined : readAs<Vm>(found);
  };
  const vmi = async (name: string): Promise<Vmi | undefined> => {
    const found = await admin.get(virtualMachineInstances, namespace, name);
    return found === undefined ? undefined : readAs<Vmi>(found);
  };
  const nics = (object: Vm | undefined): readonly string[] | undefined =>
    object?.spec.template.spec.domain.devices.interfaces?.map(({ name }) => name);
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + 20_000;
    while (!(await holds())) {
      assert.ok(performance.now() < deadline, `in vain: ${what}`);
      await sleep(10);
    }
  };
  try {
    await admin.create(networkAttachmentDefinitions, {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { namespace, name: 'vlan10' },
      spec: { config: '{"cniVersion":"1.0.0","name":"vlan10","type":"bridge"}' },
    });
    await admin.create(virtualMachinePools, pool);
    for (const name of ['web-0', 'web-1']) {
      await until(`${name} runs`, async () => (await vm(name))?.status?.ready === true);
    }
    const first = (await vmi('web-0'))?.metadata.uid;

    await admin.jsonPatch(virtualMachines, namespace, 'web-0', plug('red', '/spec/template'));
    await until('red is plugged', async () => (await vmi('web-0'))?.status?.interfaces?.length === 2);
    assert.equal((await vmi('web-0'))?.metadata.uid, first, 'the change of a VM restarted it');

    const template = '/spec/virtualMachineTemplate/spec/template';
    await admin.jsonPatch(virtualMachinePools, namespace, 'web', plug('green', template));
    await until('it is started anew', async () => {
      const now = await vmi('web-0');
      return now !== undefined && now.metadata.uid !== first && now.status?.phase === 'Running';
    });
    assert.deepEqual(nics(await vm('web-0')), ['default', 'green']);

    await admin.mergePatch(virtualMachinePools, namespace, 'web', { spec: { replicas: 1 } });
    await until('the second is gone', async () => (await vm('web-1')) === undefined);
    await admin.delete(virtualMachinePools, namespace, 'web');
    await until('all are gone', async () => (await vm('web-0')) === undefined);
    await until('the pool is gone', async () => (await admin.get(virtualMachinePools, namespace, 'web')) === undefined);
  } finally {
    await sandbox.stop();
  }
});
