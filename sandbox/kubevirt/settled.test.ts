import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pods, virtualMachines } from '../../reconcile/kube/resources.ts';
import { type AssembledSandbox, assembleSandbox } from '../sandbox.ts';
import { demoDatabasePorts } from './fleet.ts';

const writes: string[] = [];
let sandbox: AssembledSandbox;

before(async () => {
  sandbox = await assembleSandbox({
    speed: 100,
    vms: 3,
    onRequest: ({ verb, user, path }) => {
      if (!['get', 'list', 'watch'].includes(verb)) writes.push(`${user} ${verb} ${path}`);
    },
  });
});
after(() => sandbox.stop());

test('the actors find nothing to do on seeded VMs', async () => {
  // At this speed the slowest of their delays, half a minute, is over in 0.3 s.
  await sleep(500);
  assert.deepEqual(writes, []);
  const names = await sandbox.admin.list(
    virtualMachines,
    {},
    ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
  );
  assert.deepEqual(names.items.toSorted(), [
    'demo/db-0',
    'demo/web-0',
    'demo/web-1',
    'fleet/vm-0',
    'fleet/vm-1',
    'fleet/vm-2',
  ]);
});

test('virsh answers in their pods', async () => {
  const selection = { namespace: 'demo', labelSelector: 'vm.kubevirt.io/name=db-0' };
  const [pod] = (await sandbox.admin.list(pods, selection, ({ metadata }) => metadata.name)).items;
  assert.ok(pod);
  const target = { namespace: 'demo', pod, container: 'compute' };
  const { stdout, exitCode } = await sandbox.admin.exec(target, ['virsh', 'dumpxml', 'demo_db-0']);
  assert.equal(exitCode, 0);
  assert.equal(stdout.match(/model='pcie-root-port'/g)?.length, demoDatabasePorts);
});
