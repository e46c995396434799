/** A sandbox with VMs and networks, and the engine from desired state to outcome, for tests across rooms. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApplyOptions, applyPlan } from '../reconcile/apply/apply.ts';
import type { Outcome, RunEvent } from '../reconcile/apply/model.ts';
import {
  type DesiredAttachment,
  type DesiredState,
  defaultSettings,
  type Settings,
} from '../reconcile/desired/model.ts';
import { diffState } from '../reconcile/diff/diff.ts';
import type { Cluster, KubeObject, Resource } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { networkAttachmentDefinitions, virtualMachineInstances, virtualMachines } from '../reconcile/kube/resources.ts';
import type { LiveState, LiveVm } from '../reconcile/live/model.ts';
import { observe } from '../reconcile/live/observe.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { makePlan } from '../reconcile/plan/plan.ts';
import {
  type ClusterOptions,
  type ClusterUnderTest,
  kubeconfigFor,
  patience,
  startCluster,
} from './cluster-under-test.ts';

export const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' };
const networkNames = ['vlan10', 'vlan20', 'vlan30'] as const;

/** A NIC as a test declares it; network `vlan10`, bridge and up unless it says otherwise. */
export type Nic = string | (Partial<DesiredAttachment> & { readonly name: string; readonly on?: string });

/** What a test says of the settings. */
type GivenSettings = Partial<Settings>;

export interface Hands {
  readonly admin: Cluster;
  readonly reader: Cluster;
  readonly writer: Cluster;
}

/** Clients for all of them. `close` ends those that this made. */
export async function handsOf(cluster: ClusterUnderTest): Promise<Hands & { close(): Promise<void> }> {
  const { server, ca, admin, tokens } = cluster;
  const own = { server, ca, fieldManager: 'patchpanel', qps: Infinity };
  const reader = await connect({ ...own, token: tokens.plan });
  const writer = await connect({ ...own, token: tokens.apply });
  return {
    admin,
    reader,
    writer,
    async close() {
      await Promise.all([reader.close(), writer.close()]);
    },
  };
}

export class Scenario {
  /** Who prepares and interferes, who plans, and who applies. */
  readonly admin: Cluster;
  readonly reader: Cluster;
  readonly cluster: Cluster;
  readonly namespace: string;

  constructor({ admin, reader, writer }: Hands, namespace: string) {
    this.admin = admin;
    this.reader = reader;
    this.cluster = writer;
    this.namespace = namespace;
  }

  /** Creates a VM with a masquerade NIC and waits until its guest runs. */
  async vm(name: string): Promise<void> {
    await this.admin.create(virtualMachines, vmManifest(this.namespace, name));
    await this.until(name, (object) => {
      const status = object?.status as { readonly phase?: string; readonly interfaces?: readonly object[] } | undefined;
      return status?.phase === 'Running' && (status.interfaces ?? []).length > 0;
    });
  }

  async stoppedVm(name: string): Promise<void> {
    await this.admin.create(virtualMachines, vmManifest(this.namespace, name, 'Halted'));
  }

  /** Waits for the VMI to be as it should. */
  async until(name: string, holds: (vmi: KubeObject | undefined) => boolean): Promise<void> {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      if (holds(await this.admin.get(virtualMachineInstances, this.namespace, name))) return;
      await sleep(25);
    }
    assert.fail(`${this.namespace}/${name} did not come to be as it should`);
  }

  /** @param settings beside ten VMs at a time */
  desired(vms: Readonly<Record<string, readonly Nic[]>>, settings: GivenSettings): DesiredState {
    const position = { file: 'vms.yaml', line: 1, column: 1 };
    return {
      source: { kind: 'folder', path: '.', digest: '00' },
      settings: { ...defaultSettings, maxInFlight: 10, ...settings },
      files: 1,
      targets: Object.entries(vms).map(([name, nics]) => ({
        target: { kind: 'VirtualMachine', namespace: this.namespace, name },
        position,
        attachments: nics.map((nic): DesiredAttachment => {
          const { on = 'vlan10', ...given } = typeof nic === 'string' ? { name: nic } : nic;
          const network = { namespace: this.namespace, name: on };
          return { network, binding: 'bridge', state: 'up', position, ...given };
        }),
      })),
    };
  }

  async observe(vms: readonly string[]): Promise<LiveState> {
    const here = (name: string) => ({ namespace: this.namespace, name });
    return await observe(
      this.reader,
      { targets: vms.map(here), networks: networkNames.map(here) },
      { domainXml: 'never' },
    );
  }

  async plan(vms: Readonly<Record<string, readonly Nic[]>>, settings: GivenSettings = {}): Promise<Plan> {
    const desired = this.desired(vms, settings);
    const live = await this.observe(Object.keys(vms));
    return makePlan(diffState(desired, live), desired, live);
  }

  async live(name: string): Promise<LiveVm> {
    const vm = (await this.observe([name])).vms.get(`${this.namespace}/${name}`);
    assert.ok(vm !== undefined);
    return vm;
  }

  /** Plans and applies; the events go along. */
  async run(
    vms: Readonly<Record<string, readonly Nic[]>>,
    options: Partial<ApplyOptions> = {},
    cluster: Cluster = this.cluster,
    settings: GivenSettings = {},
  ): Promise<{ readonly plan: Plan; readonly outcome: Outcome; readonly events: readonly RunEvent[] }> {
    const plan = await this.plan(vms, settings);
    const events: RunEvent[] = [];
    const outcome = await applyPlan(plan, cluster, applyOptions(options), (event) => events.push(event));
    return { plan, outcome, events };
  }

  /** Names of the NICs that the running guest has. */
  async guestNics(name: string): Promise<readonly string[]> {
    const { vmi } = await this.live(name);
    const nics = vmi?.status.filter(({ sources }) => sources.includes('domain')) ?? [];
    return nics.map((nic) => nic.name).sort();
  }

  /** Nothing is left to do. */
  async assertConverged(vms: Readonly<Record<string, readonly Nic[]>>): Promise<void> {
    const plan = await this.plan(vms);
    assert.deepEqual(
      plan.targets.flatMap(({ actions, blockers, differences }) => [...actions, ...blockers, ...differences]),
      [],
    );
  }
}

/** Patient enough for a busy machine; a test that expects a time-out asks for a short one. */
export function applyOptions(options: Partial<ApplyOptions>): ApplyOptions {
  return {
    actionTimeoutMs: 20_000 * patience,
    migrationTimeoutMs: 30_000 * patience,
    runTimeoutMs: 60_000 * patience,
    domainXml: 'auto',
    ...options,
    pace: { askAfterMs: 200, failureGraceMs: 400, lostGraceMs: 400, ...options.pace },
  };
}

export interface Stage {
  /** A namespace of its own, with its networks. */
  scenario(name: string): Promise<Scenario>;
  readonly cluster: ClusterUnderTest;
  /** Path of a kubeconfig of the account that applies. */
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

export async function stage(options: ClusterOptions = {}): Promise<Stage> {
  const cluster = await startCluster(options);
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigFor(cluster, cluster.tokens.apply));
  const hands = await handsOf(cluster);
  const { admin } = hands;
  return {
    cluster,
    kubeconfig,
    async scenario(name) {
      await admin.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      for (const network of networkNames) await admin.create(networkAttachmentDefinitions, nad(name, network));
      return new Scenario(hands, name);
    },
    async stop() {
      await hands.close();
      await cluster.stop();
      await rm(folder, { recursive: true });
    },
  };
}

export function nad(namespace: string, name: string, config: object = { type: 'bridge', bridge: name }): KubeObject {
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { namespace, name },
    spec: { config: JSON.stringify({ cniVersion: '1.0.0', name, ...config }) },
  };
}

export function vmManifest(namespace: string, name: string, runStrategy: 'Always' | 'Halted' = 'Always'): KubeObject {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { namespace, name },
    spec: {
      runStrategy,
      template: {
        metadata: { annotations: { 'kubevirt.io/pci-interface-slot-count': '12' } },
        spec: {
          domain: {
            machine: { type: 'q35' },
            memory: { guest: '1Gi' },
            devices: {
              disks: [{ name: 'root', disk: { bus: 'virtio' } }],
              interfaces: [{ name: 'default', masquerade: {}, model: 'virtio' }],
            },
          },
          networks: [{ name: 'default', pod: {} }],
          volumes: [{ name: 'root', containerDisk: { image: 'example.com/guest:1' } }],
        },
      },
    },
  };
}
