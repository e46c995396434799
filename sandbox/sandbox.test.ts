import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { PatchpanelError } from '../reconcile/errors.ts';
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { isStatus } from '../reconcile/kube/failures.ts';
import {
  daemonSets,
  kubevirts,
  pods,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachines,
} from '../reconcile/kube/resources.ts';
import { networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import { bridgeNetwork, machine } from '../test/manifests.ts';
import type { Pod, Vmi } from './actors/objects.ts';
import { infoSources, readPodNetworkStatus } from './actors/pod-networks.ts';
import { sleep } from './actors/sleep.ts';
import type { AuditEntry } from './api/contract.ts';
import type { Fault } from './contract.ts';
import { type AssembledSandbox, assembleSandbox } from './sandbox.ts';

const speed = 25;
const namespace = 'default';
const name = 'web01';

async function withSandbox(
  options: Parameters<typeof assembleSandbox>[0],
  body: (sandbox: AssembledSandbox) => Promise<void>,
): Promise<void> {
  const sandbox = await assembleSandbox({ speed, ...options });
  try {
    await body(sandbox);
  } finally {
    await sandbox.stop();
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain: ${what}`);
    await sleep(5);
  }
}

function vmiOf(sandbox: AssembledSandbox): Vmi | undefined {
  return sandbox.api.store.get('kubevirt.io', 'virtualmachineinstances', namespace, name) as Vmi | undefined;
}

function sourcesOf(sandbox: AssembledSandbox, nic: string): string {
  const found = vmiOf(sandbox)?.status?.interfaces?.find((status) => status.name === nic);
  return infoSources(found).sort().join(' ');
}

function eventsOf(sandbox: AssembledSandbox): readonly string[] {
  return sandbox.api.store.list('', 'events', namespace).map((event) => `${event.reason}: ${event.message}`);
}

function conditionOf(sandbox: AssembledSandbox, type: string): string | undefined {
  return vmiOf(sandbox)?.status?.conditions?.find((condition) => condition.type === type)?.status;
}

const inGuest = 'domain guest-agent multus-status';

/** A running VM and networks to plug it into. */
async function prepare(sandbox: AssembledSandbox): Promise<void> {
  for (const nad of ['red-net', 'blue-net']) {
    sandbox.api.store.seed(
      'k8s.cni.cncf.io',
      'network-attachment-definitions',
      bridgeNetwork({ name: nad, namespace }),
    );
  }
  await persist(() => sandbox.admin.create(virtualMachines, machine({ name, namespace })));
  await until(() => conditionOf(sandbox, 'Ready') === 'True', 'the VM is ready');
}

/** Makes a write again that a faulty server refused, as nothing came of it. */
async function persist(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (!isStatus(error, 503)) throw error;
    }
  }
}

async function plug(sandbox: AssembledSandbox, ...nics: readonly string[]): Promise<void> {
  const patch = nics.flatMap((nic) => [
    {
      op: 'add',
      path: '/spec/template/spec/networks/-',
      value: { name: nic, multus: { networkName: `${nic.split('-')[0]}-net` } },
    } as const,
    { op: 'add', path: '/spec/template/spec/domain/devices/interfaces/-', value: { name: nic, bridge: {} } } as const,
  ]);
  await persist(() => sandbox.admin.jsonPatch(virtualMachines, namespace, name, patch));
}

async function unplug(sandbox: AssembledSandbox, index: number): Promise<void> {
  const path = `/spec/template/spec/domain/devices/interfaces/${index}/state`;
  await sandbox.admin.jsonPatch(virtualMachines, namespace, name, [{ op: 'add', path, value: 'absent' }]);
}

describe('the sandbox', { concurrency: 4 }, () => {
  it('gives a kubeconfig that works, and says what it holds', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sandbox-'));
    try {
      await withSandbox({}, async (sandbox) => {
        const file = join(folder, 'config');
        await writeFile(file, sandbox.kubeconfig);
        const cluster = await connect({ kubeconfig: file });
        const found = await cluster.get(kubevirts, 'kubevirt', 'kubevirt');
        assert.equal((found?.status as { phase: string } | undefined)?.phase, 'Deployed');
        assert.ok(sandbox.contents.includes('DaemonSet kube-system/dynamic-networks-controller-ds'));
        assert.notEqual(await cluster.get(daemonSets, 'kube-system', 'dynamic-networks-controller-ds'), undefined);
        await cluster.close();
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('leaves a thousand settled VMs alone', async () => {
    const writes: AuditEntry[] = [];
    const onRequest = (entry: AuditEntry): void => {
      if (!['list', 'watch', 'get'].includes(entry.verb)) writes.push(entry);
    };
    await withSandbox({ vms: 1000, onRequest }, async (sandbox) => {
      const { items } = await sandbox.admin.list(virtualMachineInstances, {}, (vmi) => vmi.metadata.name);
      assert.ok(items.length >= 1000);
      await sleep(300);
      assert.deepEqual(writes, []);
    });
  });

  it('creates the manifests of a folder, networks before VMs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sandbox-'));
    try {
      const vm = machine({ name: 'loaded', namespace });
      await writeFile(
        join(folder, 'a-vm.json'),
        JSON.stringify({ ...vm, metadata: { name: 'loaded', namespace: 'new' } }),
      );
      await writeFile(
        join(folder, 'b-nad.yaml'),
        'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: net, namespace: new}\nspec: {config: "{}"}\n',
      );
      await withSandbox({ load: folder }, async (sandbox) => {
        assert.deepEqual(sandbox.contents.slice(-2), [
          'NetworkAttachmentDefinition new/net',
          'VirtualMachine new/loaded',
        ]);
        assert.notEqual(await sandbox.admin.get(virtualMachines, 'new', 'loaded'), undefined);
      });
      await writeFile(join(folder, 'c.yaml'), 'kind: Unknown\napiVersion: v1\nmetadata: {name: x}\n');
      await assert.rejects(assembleSandbox({ load: folder }), (error: PatchpanelError) => {
        assert.equal(error.code, 'cli/input');
        assert.match(error.message, /c\.yaml: the sandbox serves no v1 Unknown/);
        return true;
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('shows a plugged NIC in the domain that virsh prints', async () => {
    await withSandbox({}, async (sandbox) => {
      await prepare(sandbox);
      await plug(sandbox, 'red');
      await until(() => sourcesOf(sandbox, 'red') === inGuest, 'red is plugged');
      const { items } = await sandbox.admin.list(
        pods,
        { namespace, labelSelector: `vmi.kubevirt.io/id=${name}` },
        (pod) => pod,
      );
      const target = { namespace, pod: items[0]?.metadata.name ?? '', container: 'compute' };
      const { stdout } = await sandbox.admin.exec(target, ['virsh', 'dumpxml', `${namespace}_${name}`]);
      assert.match(stdout, /<alias name='ua-red'\/>/);
    });
  });

  it('runs out of ports, says so, and keeps unplugs waiting behind the failing plug', async () => {
    await withSandbox({}, async (sandbox) => {
      await prepare(sandbox);
      await plug(sandbox, ...Array.from({ length: 12 }, (_, index) => `red-${index}`));
      await until(() => conditionOf(sandbox, 'Synchronized') === 'False', 'a plug fails');
      const reason = "virError(Code=1, Domain=20, Message='internal error: No more available PCI slots')";
      await until(() => eventsOf(sandbox).includes(`SyncFailed: ${reason}`), 'the event');
      const before = vmiOf(sandbox)?.status?.interfaces?.length ?? 0;
      assert.ok(before > 4);
      const plugged =
        vmiOf(sandbox)?.status?.interfaces?.findIndex((one) =>
          (one.infoSource ?? '').includes('domain, guest-agent, multus'),
        ) ?? 0;
      await unplug(sandbox, plugged);
      await sleep(200);
      assert.equal(vmiOf(sandbox)?.status?.interfaces?.length, before);
    });
  });

  it('plugs a pod that is no VM by its annotation, make before break', async () => {
    await withSandbox({}, async (sandbox) => {
      for (const nad of ['red-net', 'blue-net']) {
        sandbox.api.store.seed(
          'k8s.cni.cncf.io',
          'network-attachment-definitions',
          bridgeNetwork({ name: nad, namespace }),
        );
      }
      const pod = (): Pod | undefined => sandbox.api.store.get('', 'pods', namespace, 'plain') as Pod | undefined;
      const interfaces = (): readonly string[] =>
        readPodNetworkStatus(pod()?.metadata.annotations)
          .map((entry) => `${entry.interface} ${entry.name}`)
          .sort();
      await sandbox.admin.create(pods, {
        metadata: { name: 'plain', namespace, annotations: { [networksAnnotation]: 'red-net@net1' } },
        spec: { containers: [{ name: 'main', image: 'registry.example/image' }] },
      });
      await until(() => pod()?.status?.phase === 'Running', 'the pod runs');
      assert.deepEqual(interfaces(), ['eth0 k8s-pod-network', 'net1 default/red-net']);
      const value = JSON.stringify([{ name: 'blue-net', namespace, interface: 'net2' }]);
      await sandbox.admin.mergePatch(pods, namespace, 'plain', {
        metadata: { annotations: { [networksAnnotation]: value } },
      });
      await until(() => interfaces().includes('net2 default/blue-net'), 'net2 is added');
      assert.deepEqual(interfaces(), ['eth0 k8s-pod-network', 'net2 default/blue-net']);
      await until(() => eventsOf(sandbox).some((event) => event.startsWith('RemovedInterface')), 'the last event');
      assert.deepEqual(
        eventsOf(sandbox).filter((event) => event.includes('pod [')),
        [
          'AddedInterface: pod [default/plain]: added interface net2 to network: blue-net',
          'RemovedInterface: pod [default/plain]: removed interface net1 from network: red-net',
        ],
      );
    });
  });

  it('deletes a VM with all that belongs to it', async () => {
    await withSandbox({}, async (sandbox) => {
      await prepare(sandbox);
      await sandbox.admin.delete(virtualMachines, namespace, name);
      const left = (): number =>
        sandbox.api.store
          .list('', 'pods', namespace)
          .filter((pod) => (pod as unknown as Pod).metadata.labels?.['vmi.kubevirt.io/id'] === name).length;
      await until(
        () =>
          sandbox.api.store.get('kubevirt.io', 'virtualmachines', namespace, name) === undefined &&
          vmiOf(sandbox) === undefined &&
          left() === 0,
        'all is gone',
      );
    });
  });
});

const faultCases: readonly {
  readonly fault: Fault;
  readonly shows: (sandbox: AssembledSandbox) => Promise<void>;
}[] = [
  {
    fault: { name: 'no-plug', value: 'red' },
    async shows(sandbox) {
      await plug(sandbox, 'red', 'blue');
      await until(() => sourcesOf(sandbox, 'blue') === inGuest, 'blue is plugged');
      await sleep(100);
      assert.equal(sourcesOf(sandbox, 'red'), 'multus-status');
    },
  },
  {
    fault: { name: 'no-unplug', value: 'red-net' },
    async shows(sandbox) {
      await plug(sandbox, 'red');
      await until(() => sourcesOf(sandbox, 'red') === inGuest, 'red is plugged');
      await unplug(sandbox, 1);
      await until(() => sourcesOf(sandbox, 'red') === 'domain guest-agent', 'the pod lets go');
      await sleep(100);
      assert.equal(sourcesOf(sandbox, 'red'), 'domain guest-agent');
      assert.equal(conditionOf(sandbox, 'Synchronized'), undefined);
    },
  },
  {
    fault: { name: 'cni-add-fails', value: 'red-net' },
    async shows(sandbox) {
      await plug(sandbox, 'red');
      await until(() => eventsOf(sandbox).some((event) => event.startsWith('FailedAddingInterface')), 'the event');
      await sleep(100);
      assert.equal(sourcesOf(sandbox, 'red'), '');
    },
  },
  {
    fault: { name: 'migration-fails', value: '*' },
    async shows(sandbox) {
      await sandbox.admin.create(virtualMachineInstanceMigrations, migration());
      await until(() => eventsOf(sandbox).some((event) => event.startsWith('FailedMigration')), 'the migration fails');
      assert.equal(vmiOf(sandbox)?.status?.migrationState?.failed, true);
    },
  },
  {
    fault: { name: 'migration-hangs', value: '*' },
    async shows(sandbox) {
      await sandbox.admin.create(virtualMachineInstanceMigrations, migration());
      const phase = (): unknown =>
        (
          sandbox.api.store.get('kubevirt.io', 'virtualmachineinstancemigrations', namespace, 'move')?.status as
            | { phase?: string }
            | undefined
        )?.phase;
      await until(() => phase() === 'Running', 'the migration runs');
      await sleep(150);
      assert.equal(phase(), 'Running');
    },
  },
  {
    fault: { name: 'exec-forbidden', value: '*' },
    async shows(sandbox) {
      const [pod] = sandbox.api.store
        .list('', 'pods', namespace)
        .filter((one) => one.metadata.labels?.['vmi.kubevirt.io/id'] === name);
      const target = { namespace, pod: pod?.metadata.name ?? '', container: 'compute' };
      await assert.rejects(sandbox.admin.exec(target, ['virsh', 'list']), { name: 'PatchpanelError' });
    },
  },
  {
    fault: { name: 'api-errors', value: '0.1' },
    async shows(sandbox) {
      await plug(sandbox, 'red');
      await until(() => sourcesOf(sandbox, 'red') === inGuest, 'red is plugged in the end');
    },
  },
  {
    fault: { name: 'watch-cut', value: '40' },
    async shows(sandbox) {
      await plug(sandbox, 'red');
      await until(() => sourcesOf(sandbox, 'red') === inGuest, 'red is plugged all the same');
    },
  },
];

function migration(): KubeObject {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: 'move', namespace },
    spec: { vmiName: name },
  };
}

describe('a fault', { concurrency: 4 }, () => {
  for (const { fault, shows } of faultCases) {
    it(`${fault.name}=${fault.value}`, async () => {
      await withSandbox({ faults: [fault] }, async (sandbox) => {
        await prepare(sandbox);
        await shows(sandbox);
      });
    });
  }
});
