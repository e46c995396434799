/** Restarts on the sandbox, by the command line: where both sides allow one, in a window, once. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome } from '../reconcile/apply/model.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { isStatus } from '../reconcile/kube/failures.ts';
import {
  networkAttachmentDefinitions,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachines,
} from '../reconcile/kube/resources.ts';
import { isPodPlan, type Plan } from '../reconcile/plan/model.ts';
import { parsePlan } from '../reconcile/plan/plan-json.ts';
import { fields, items } from '../reconcile/systems/json-shape.ts';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { countPorts } from '../reconcile/systems/libvirt-ports.ts';
import { applyOptions, nad, vmManifest } from './apply-scenario.ts';
import { killedAfter, unreachable } from './apply-support.ts';
import { CliStage } from './cli-stage.ts';

const apiVersion = 'patchpanel.dev/v1alpha1';
const always = [{ start: '* * * * *', duration: '2h' }];
/** It is never that day when this test runs, save once in four years. */
const leapDays = [{ start: '0 0 29 2 *', duration: '1m', timeZone: 'Europe/Zurich' }];
const restart = 'PUT virtualmachines /apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachines';

let stage: CliStage;
let cluster: Cluster;
before(async () => {
  stage = await CliStage.start();
  cluster = await connect({ kubeconfig: stage.kubeconfig });
});
after(async () => {
  await cluster.close();
  await stage.stop();
});

interface Wish {
  readonly vm: string;
  readonly windows?: readonly object[];
  readonly policy?: string;
  readonly may?: string;
  readonly ports?: number;
  readonly nics?: readonly object[];
}

async function declare(folder: string, wish: Wish): Promise<string> {
  const { vm, windows = always, policy = 'allowed', may = 'allowed', ports, nics = [] } = wish;
  const path = await stage.desired(folder, {});
  const spec = { restart: may, ...(ports === undefined ? {} : { pciePorts: ports }), attachments: nics };
  const object = { apiVersion, kind: 'NetworkAttachments', metadata: { name: vm, namespace: 'demo' }, spec };
  const settings = { apiVersion, kind: 'Settings', spec: { restart: policy, restartWindows: windows } };
  await writeFile(join(path, 'vm.yaml'), stringify(object));
  await writeFile(join(path, 'settings.yaml'), stringify(settings));
  return path;
}

/** A VM of its own for each test, which runs. */
async function newVm(name: string): Promise<void> {
  const manifest = vmManifest('demo', name);
  await stage.cluster.admin.create(virtualMachines, manifest);
  await until(name, '');
}

/** Waits for an instance other than that one to run. */
async function until(name: string, before: string): Promise<string> {
  for (let attempt = 0; attempt < 800; attempt += 1) {
    const vmi = await stage.cluster.admin.get(virtualMachineInstances, 'demo', name);
    const { phase, interfaces } = fields(vmi?.status);
    const uid = vmi?.metadata.uid ?? '';
    if (uid !== before && phase === 'Running' && items(interfaces).length > 0) {
      stage.requests();
      return uid;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return assert.fail(`${name} did not come to run`);
}

/** Asks until it is taken: 409 where a controller wrote the VM in the same instant. */
async function start(name: string): Promise<void> {
  const vm = { metadata: { name, namespace: 'demo' } };
  const asked = stage.cluster.admin.update(virtualMachines, vm, { subresource: 'start' });
  await asked.catch((error) => (isStatus(error, 409) ? sleep(50).then(() => start(name)) : assert.fail(error)));
}

async function instance(name: string): Promise<string> {
  const vmi = await stage.cluster.admin.get(virtualMachineInstances, 'demo', name);
  stage.requests();
  return vmi?.metadata.uid ?? 'none';
}

async function rootPorts(name: string): Promise<number> {
  return countPorts(parseDomain(await stage.domainXml(name))).ports.length;
}

function restarts(): number {
  return stage.writes().filter((write) => write.startsWith(restart)).length;
}

test('in a window: written, restarted once, and proved in the domain', async () => {
  await newVm('open');
  const before = await instance('open');
  const path = await declare('open', { vm: 'open', ports: 24 });
  const planned = (await stage.expect(2, ['plan', path])).stdout;
  assert.match(
    planned,
    /~ set kubevirt\.io\/pci-interface-slot-count .*\n.*~ restart open \(only in a window: \* \* \* \* \* for 2h, UTC\)/,
  );
  stage.requests();
  const applied = (await stage.expect(0, ['apply', path])).stdout;
  assert.match(applied, /demo\/open {2}converged {2}layers agree: vm, vmi, pod, (multus, )?domain/);
  assert.match(applied, /1 VM converged; 2 writes/);
  assert.deepEqual(stage.writes(), [
    'PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/demo/virtualmachines/open',
    `${restart}/open/restart`,
  ]);
  assert.notEqual(await instance('open'), before);
  assert.equal(await rootPorts('open'), 24);
  assert.match((await stage.expect(0, ['plan', path])).stdout, /Nothing to do: 1 VM as declared/);
  await stage.expect(0, ['apply', path]);
  assert.deepEqual(stage.writes(), []);
});

test('outside its windows: staged, says when one opens, and never that nothing is left to do', async () => {
  await newVm('closed');
  const before = await instance('closed');
  const path = await declare('closed', { vm: 'closed', ports: 24, windows: leapDays });
  for (const writes of [1, 0]) {
    const applied = (await stage.expect(0, ['apply', path])).stdout;
    assert.match(applied, /demo\/closed {2}staged/);
    assert.match(
      applied,
      /not started restart closed .*: it is restarted in a window only, and the next opens at \d{4}-02-29 00:00 Europe\/Zurich/,
    );
    assert.match(applied, /0 VMs converged, 1 staged for the next restart/);
    assert.equal(stage.writes().length, writes);
  }
  assert.equal(await instance('closed'), before);
  assert.match((await stage.expect(2, ['plan', path])).stdout, /~ restart closed/);

  // Without its own word it only waits, and the plan says so.
  for (const [folder, wish] of [
    ['unasked', { may: 'never' }],
    ['staging', { policy: 'stage' }],
  ] as const) {
    const held = await declare(folder, { vm: 'closed', ports: 24, ...wish });
    assert.match(
      (await stage.expect(0, ['plan', held])).stdout,
      /Nothing to do now: 1 VM waits for a restart, 0 VMs as/,
    );
    const outcome = (await stage.expect(0, ['apply', held, '-o', 'json'])).stdout;
    assert.deepEqual(
      (JSON.parse(outcome) as Outcome).targets.map(({ result }) => result),
      ['staged'],
    );
    assert.deepEqual(stage.writes(), []);
  }
  assert.equal(await instance('closed'), before);
});

test('another MAC address: the new instance has it', async () => {
  await newVm('moved');
  const nic = { name: 'blue', network: 'storage-net', mac: '02:00:00:00:0c:01' };
  await stage.expect(0, ['apply', await declare('moved', { vm: 'moved', nics: [nic] })]);
  assert.equal(restarts(), 0, 'a plug needs no restart');
  const path = await declare('moved', { vm: 'moved', nics: [{ ...nic, mac: '02:00:00:00:0c:02' }] });
  await stage.expect(0, ['apply', path]);
  assert.equal(restarts(), 1);
  const { nics } = parseDomain(await stage.domainXml('moved'));
  assert.equal(nics.find(({ name }) => name === 'blue')?.mac, '02:00:00:00:0c:02');
  await stage.expect(0, ['apply', path]);
  assert.equal(restarts(), 0);
});

test('killed behind the request: the next run does not ask again, and an old plan is stale', async () => {
  await newVm('killed');
  const before = await instance('killed');
  await stage.expect(0, ['apply', await declare('killed', { vm: 'killed', ports: 24, windows: leapDays })]);
  const path = await declare('killed', { vm: 'killed', ports: 24 });
  const saved = (await stage.expect(2, ['plan', path, '-o', 'json'])).stdout;
  stage.requests();
  await killedAfter(parsePlan(saved), stage.kubeconfig, 'waiting');
  assert.equal(restarts(), 1);
  // While it goes down and comes back, a run may find it in any state, but asks for no second restart.
  const second = await stage.run(['apply', path]);
  assert.ok(second.code === 0 || second.code === 4, second.stdout + second.stderr);
  assert.equal(restarts(), 0, second.stdout);
  const now = await until('killed', before);
  assert.match((await stage.expect(0, ['plan', path])).stdout, /Nothing to do: 1 VM/);
  assert.equal(await rootPorts('killed'), 24);
  const file = join(stage.folder, 'killed.plan.json');
  await writeFile(file, saved);
  assert.match((await stage.expect(7, ['apply', file])).stderr, /vmi\.uid/);
  assert.equal(restarts(), 0);
  assert.equal(await instance('killed'), now);
});

/** A cluster whose restarts pass through a hand of the test's own. */
function withRestart(hand: (send: () => ReturnType<Cluster['update']>) => ReturnType<Cluster['update']>): Cluster {
  return new Proxy(cluster, {
    get(target, key) {
      if (key === 'update') return (...given: Parameters<Cluster['update']>) => hand(() => target.update(...given));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A cluster on which something happens right behind the write of the ports. */
function behindTheWrite(cluster: Cluster, happens: () => Promise<void>): Cluster {
  return new Proxy(cluster, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key !== 'jsonPatch') return value;
      return async (...given: Parameters<Cluster['jsonPatch']>) => {
        const written = await target.jsonPatch(...given);
        await happens();
        return written;
      };
    },
  });
}

async function applied(vm: string, by: Cluster, options: Parameters<typeof applyOptions>[0] = {}): Promise<Outcome> {
  const path = await declare(vm, { vm, ports: 24 });
  const plan = parsePlan((await stage.expect(2, ['plan', path, '-o', 'json'])).stdout);
  stage.requests();
  return await applyPlan(plan, by, applyOptions(options), () => {});
}

test('the answer is lost: the layers tell, and it is asked for once', async () => {
  await newVm('lost');
  const by = withRestart(async (send) => {
    await send();
    throw await unreachable();
  });
  const outcome = await applied('lost', by);
  assert.deepEqual(
    outcome.targets.map(({ result }) => result),
    ['converged'],
  );
  assert.equal(restarts(), 1);
});

test('restarted by another hand in between: done, without a request', async () => {
  await newVm('other');
  const before = await instance('other');
  let asked = 0;
  const by = behindTheWrite(
    withRestart((send) => {
      asked += 1;
      return send();
    }),
    async () => {
      await stage.cluster.admin.update(
        virtualMachines,
        { metadata: { name: 'other', namespace: 'demo' } },
        { subresource: 'restart' },
      );
      await until('other', before);
    },
  );
  const outcome = await applied('other', by);
  assert.deepEqual(
    outcome.targets.map(({ result }) => result),
    ['converged'],
  );
  assert.equal(asked, 0);
});

test('the window closes before its turn', async () => {
  await newVm('late');
  const path = await declare('late', { vm: 'late', ports: 24, windows: [{ start: '0 2 * * *', duration: '1h' }] });
  const plan = parsePlan((await stage.expect(2, ['plan', path, '-o', 'json'])).stdout);
  const before = await instance('late');
  const at = (text: string) => applyOptions({ clock: () => new Date(text) });
  const late = await applyPlan(plan, cluster, at('2026-11-24T03:00:00Z'), () => {});
  assert.deepEqual(
    late.targets.map(({ result }) => result),
    ['staged'],
  );
  assert.match(late.targets[0]?.actions.at(-1)?.reason ?? '', /2026-11-25 02:00 UTC/);
  assert.equal(await instance('late'), before);
});

test('the window closes while it waits for its turn', async () => {
  const names = ['turn-a', 'turn-b'];
  for (const name of names) {
    await newVm(name);
    await stage.expect(0, ['apply', await declare(`${name}-before`, { vm: name, ports: 24, windows: leapDays })]);
  }
  const path = await declare('turns', { vm: 'turn-a', ports: 24 });
  const metadata = { name: 'turn-b', namespace: 'demo' };
  const spec = { restart: 'allowed', pciePorts: 24, attachments: [] };
  await writeFile(join(path, 'other.yaml'), stringify({ apiVersion, kind: 'NetworkAttachments', metadata, spec }));
  const made = parsePlan((await stage.expect(2, ['plan', path, '-o', 'json'])).stdout);
  const windows = [{ start: '0 2 * * *', duration: '1h', timeZone: 'UTC' }];
  const plan: Plan = {
    ...made,
    settings: { ...made.settings, maxInFlight: 1 },
    targets: made.targets.map((target) =>
      isPodPlan(target)
        ? target
        : {
            ...target,
            actions: target.actions.map((action) => (action.kind === 'restart' ? { ...action, windows } : action)),
          },
    ),
  };
  let asked = 0;
  const by = withRestart((send) => {
    asked += 1;
    return send();
  });
  // It is open until the first restart is asked for.
  const clock = () => new Date(`2026-11-24T0${asked === 0 ? 2 : 3}:30:00Z`);
  const outcome = await applyPlan(plan, by, applyOptions({ clock }), () => {});
  assert.deepEqual(
    outcome.targets.map(({ result }) => result),
    ['converged', 'staged'],
  );
  assert.equal(asked, 1);
});

/** Migrates a VM that never gets there; resolves once its VMI says so. */
async function beginMigration(name: string): Promise<void> {
  const { admin } = stage.cluster;
  await stage.cluster.misbehave({ name: 'migration-hangs', value: name });
  await admin.create(virtualMachineInstanceMigrations, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { namespace: 'demo', name: `${name}-away` },
    spec: { vmiName: name },
  });
  for (let attempt = 0; attempt < 800; attempt += 1) {
    const vmi = await admin.get(virtualMachineInstances, 'demo', name);
    if (fields(vmi?.status).migrationState !== undefined) return;
    await sleep(25);
  }
  assert.fail(`${name} does not migrate`);
}

test('a migration that began behind the write: it is not restarted', async () => {
  await newVm('moving');
  const before = await instance('moving');
  let asked = 0;
  const by = behindTheWrite(
    withRestart((send) => {
      asked += 1;
      return send();
    }),
    () => beginMigration('moving'),
  );
  const [target] = (await applied('moving', by)).targets;
  await stage.cluster.misbehave();
  assert.deepEqual([target?.result, target?.actions.at(-1)?.code], ['failed', 'cluster/conflict']);
  assert.equal(asked, 0);
  assert.equal(await instance('moving'), before);
});

test('what KubeVirt does not restart, or would not start again, is refused; the rest is written', async () => {
  await newVm('refused');
  const before = await instance('refused');
  await stage.cluster.admin.create(virtualMachines, {
    ...vmManifest('demo', 'once'),
    spec: { ...fields(vmManifest('demo', 'once').spec), runStrategy: 'Once' },
  });
  await until('once', '');
  const path = await declare('refused', { vm: 'once', ports: 24 });
  const text = (await stage.expect(4, ['apply', path])).stdout;
  assert.match(text, /\(restart-refused\) once has the run strategy Once/);
  assert.equal(restarts(), 0);
  await stage.cluster.admin.create(virtualMachines, {
    ...vmManifest('demo', 'manual'),
    spec: { ...fields(vmManifest('demo', 'manual').spec), runStrategy: 'Manual' },
  });
  await start('manual');
  const first = await until('manual', '');
  await stage.expect(0, ['apply', await declare('manual', { vm: 'manual', ports: 24 })]);
  assert.notEqual(await instance('manual'), first);

  const nic = { name: 'blue', network: 'fleeting-net', mac: '02:00:00:00:0d:01' };
  await stage.cluster.admin.create(networkAttachmentDefinitions, nad('demo', 'fleeting-net'));
  await stage.expect(0, ['apply', await declare('gone', { vm: 'refused', nics: [nic] })]);
  await stage.cluster.admin.delete(networkAttachmentDefinitions, 'demo', 'fleeting-net');
  const stuck = await stage.expect(4, ['apply', await declare('gone', { vm: 'refused', nics: [nic], ports: 24 })]);
  assert.match(stuck.stdout, /would not start again: the network demo\/fleeting-net does not exist/);
  assert.equal(await instance('refused'), before);
});
