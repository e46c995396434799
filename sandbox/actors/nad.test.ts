import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pods } from '../../reconcile/kube/resources.ts';
import { computeContainer } from '../../reconcile/systems/kubevirt-names.ts';
import { parseDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { assembleSandbox } from '../sandbox.ts';

test('the MTU of a network reaches the domain', async (context) => {
  const { admin, stop } = await assembleSandbox({ speed: 100 });
  context.after(stop);
  const { items } = await admin.list(pods, { namespace: 'demo' }, (pod) => pod.metadata.name);
  const pod = items.find((name) => name.startsWith('virt-launcher-web-1-')) ?? '';
  const target = { namespace: 'demo', pod, container: computeContainer };
  const { stdout } = await admin.exec(target, ['virsh', 'dumpxml', 'demo_web-1']);
  const mtus = parseDomain(stdout).nics.map(({ name, mtu }) => [name, mtu]);
  assert.deepEqual(mtus, [
    ['default', 1500],
    ['storage', 9000],
  ]);
});
