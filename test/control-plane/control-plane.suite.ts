/** The control plane itself: what it is, whom it lets in, and what it notes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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

test('a test that is killed takes its servers along', async () => {
  const module = join(import.meta.dirname, 'control-plane.ts');
  const script = `import { startControlPlane } from '${module}'; console.log((await startControlPlane()).url);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(new URL(line.toString().trim()).port);
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (let attempt = 0; await listens(port); attempt += 1) {
    assert.ok(attempt < 200, 'the API server is still there');
    await sleep(50);
  }
});

async function listens(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
