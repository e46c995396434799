/** The control plane itself: what it is, whom it lets in, and what it notes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { apiFailure } from '../../reconcile/kube/failures.ts';
import { virtualMachines } from '../../reconcile/kube/resources.ts';
import { AuditLog } from './audit.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installDefinitions } from './definitions.ts';

let plane: ControlPlane;
before(async () => {
  plane = await startControlPlane({ users: [{ name: 'alice', groups: ['staff'] }] });
  await installDefinitions(plane.admin);
});
after(() => plane.stop());

test('a real kube-apiserver with a real etcd', (context) => {
  const { kubernetes, etcd } = plane.versions;
  assert.match(kubernetes, /^v1\.\d+\.\d+/);
  assert.match(etcd, /^3\.\d+\.\d+/);
  context.diagnostic(`kube-apiserver ${kubernetes}, etcd ${etcd}`);
});

test('RBAC decides: a user without a rule may do nothing, and the log says so', async () => {
  const alice = await plane.open(plane.tokenOf('alice'), 'alice');
  const log = new AuditLog(plane.auditLog);
  log.take();
  await assert.rejects(
    alice.list(virtualMachines, {}, (vm) => vm),
    (error) => apiFailure(error)?.status === 403,
  );
  assert.deepEqual(
    log.take().map(({ user, verb, resource, status }) => [user, verb, resource, status]),
    [['alice', 'list', 'virtualmachines', 403]],
  );
});

test('the custom resources are served', async () => {
  const { items } = await plane.admin.list(virtualMachines, {}, (vm) => vm);
  assert.deepEqual(items, []);
});
