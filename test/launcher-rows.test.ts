/** Launcher pods are read as rows of the server's table; the plan must be the one that whole pods give, byte for byte. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { pods } from '../reconcile/kube/resources.ts';
import { observe } from '../reconcile/live/observe.ts';
import { planToJson } from '../reconcile/plan/plan-json.ts';
import { load, plan } from '../reconcile/run.ts';
import { fields, items } from '../reconcile/systems/json-shape.ts';
import type { Json } from '../reconcile/vocabulary.ts';
import { fleetNamespace } from '../sandbox/kubevirt/fleet.ts';
import { type AssembledSandbox, assembleSandbox } from '../sandbox/sandbox.ts';
import { desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';

const count = 60;
const names = Array.from({ length: count }, (_, number) => `vm-${String(number).padStart(2, '0')}`);
let sandbox: AssembledSandbox;
let folder = '';
let lists: string[] = [];

before(async () => {
  sandbox = await assembleSandbox({
    actors: false,
    vms: count,
    onRequest: ({ method, path }) => {
      if (method === 'GET') lists.push(path);
    },
  });
  folder = await mkdtemp(join(tmpdir(), 'patchpanel-rows-'));
  // One NIC is there, one is to come: every VM has something to do, so every pod is looked at.
  const nics = [
    { name: 'net-1', network: 'vlan100' },
    { name: 'more', network: 'vlan101' },
  ];
  await writeFiles(folder, desiredFiles(Object.fromEntries(names.map((name) => [name, nics])), fleetNamespace));
});

after(async () => {
  await sandbox.stop();
  await rm(folder, { recursive: true });
});

/** The same cluster, of which nobody asks for rows. */
function whole(cluster: Cluster): Cluster {
  const list: Cluster['list'] = (resource, selection, project, { rows: _rows, ...options } = {}) =>
    cluster.list(resource, selection, project, options);
  return new Proxy(cluster, {
    get(target, key) {
      if (key === 'list') return list;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function launcherOf(name: string): Promise<KubeObject> {
  const labelSelector = `kubevirt.io=virt-launcher,vm.kubevirt.io/name=${name}`;
  const found = await sandbox.admin.list(pods, { namespace: fleetNamespace, labelSelector }, (pod) => pod);
  const [pod] = found.items;
  assert.ok(pod !== undefined);
  return pod;
}

async function patchStatus(name: string, status: (old: Readonly<Record<string, unknown>>) => object): Promise<void> {
  const pod = await launcherOf(name);
  const patch = { status: status(fields(pod.status)) } as unknown as Json;
  await sandbox.admin.mergePatch(pods, fleetNamespace, pod.metadata.name, patch, { subresource: 'status' });
}

/** The status with something else said of its compute container. */
function compute(change: object): (status: Readonly<Record<string, unknown>>) => object {
  return ({ containerStatuses }) => ({
    containerStatuses: items(containerStatuses)
      .map(fields)
      .map((one) => (one.name === 'compute' ? { ...one, ...change } : one)),
  });
}

async function bothWays(): Promise<{ readonly rows: string; readonly whole: string }> {
  const desired = await load({ kind: 'folder', path: folder }, {}, () => {});
  const made = await plan(desired, sandbox.admin, 'never', () => {});
  const targets = names.map((name) => ({ namespace: fleetNamespace, name }));
  const one = await observe(sandbox.admin, { targets }, { domainXml: 'never' });
  const other = await observe(whole(sandbox.admin), { targets }, { domainXml: 'never' });
  assert.deepEqual(one, other);
  return {
    rows: planToJson(made),
    whole: planToJson(await plan(desired, whole(sandbox.admin), 'never', () => {})),
  };
}

test('pods that all run take one list, and no other', async () => {
  lists = [];
  const targets = names.map((name) => ({ namespace: fleetNamespace, name }));
  await observe(sandbox.admin, { targets }, { domainXml: 'never' });
  assert.equal(lists.filter((path) => path.endsWith('/pods')).length, 1);
});

test('whatever state a pod is in, the plan is the same', async () => {
  const { admin } = sandbox;
  await patchStatus('vm-01', compute({ ready: false }));
  await patchStatus(
    'vm-02',
    compute({ ready: false, state: { waiting: { reason: 'CrashLoopBackOff' }, running: null } }),
  );
  await patchStatus('vm-03', () => ({ phase: 'Failed' }));
  await patchStatus('vm-04', () => ({ phase: 'Pending', containerStatuses: [] }));
  await patchStatus('vm-05', () => ({ reason: 'NodeLost' }));
  await patchStatus('vm-06', ({ containerStatuses }) => ({
    containerStatuses: [...items(containerStatuses), { name: 'istio-proxy', ready: false, state: { running: {} } }],
  }));
  await admin.delete(pods, fleetNamespace, (await launcherOf('vm-07')).metadata.name);
  await admin.delete(pods, fleetNamespace, (await launcherOf('vm-08')).metadata.name, { gracePeriodSeconds: 0 });
  // Of the VMI and of its node, born in the same second: the one that ended comes after the one that runs.
  const running = await launcherOf('vm-09');
  sandbox.api.store.seed('', 'pods', {
    ...running,
    metadata: { ...running.metadata, name: `a-${running.metadata.name}`, uid: 'ended' },
    status: { ...fields(running.status), phase: 'Succeeded' },
  });
  // The target of a migration, on a node where its VMI is not yet.
  const source = await launcherOf('vm-10');
  sandbox.api.store.seed('', 'pods', {
    ...source,
    metadata: { ...source.metadata, name: `b-${source.metadata.name}`, uid: 'target' },
    spec: { ...fields(source.spec), nodeName: 'elsewhere' },
    status: { phase: 'Pending' },
  });
  lists = [];
  const { rows, whole: all } = await bothWays();
  assert.equal(rows, all);
  assert.match(rows, /not ready/);
  assert.match(rows, /has no launcher pod/);
});

test('where most guests fail their probe, their pods are read by one more list', async () => {
  for (const name of names.slice(2)) {
    if (name !== 'vm-08') await patchStatus(name, compute({ ready: false }));
  }
  lists = [];
  const targets = names.map((name) => ({ namespace: fleetNamespace, name }));
  await observe(sandbox.admin, { targets }, { domainXml: 'never' });
  assert.equal(lists.filter((path) => path.endsWith('/pods')).length, 2);
  const { rows, whole: all } = await bothWays();
  assert.equal(rows, all);
});
