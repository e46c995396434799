/** A cluster for tests of the command line: kubeconfigs, what the command line asked of it, what libvirt has. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import { networkAttachmentDefinitions, pods, virtualMachines } from '../reconcile/kube/resources.ts';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { sourceAnnotation } from '../reconcile/systems/patchpanel.ts';
import type { AuditEntry } from '../sandbox/api/contract.ts';
import { type CliOptions, type CliResult, CliRun } from './cli-process.ts';
import { type ClusterOptions, type ClusterUnderTest, kubeconfigFor, startCluster } from './cluster-under-test.ts';
import { writeFiles } from './desired-state.ts';

export class CliStage {
  readonly cluster: ClusterUnderTest;
  readonly folder: string;
  /** Path of a kubeconfig of the account that applies. */
  readonly kubeconfig: string;
  /** The same of the account that plans. */
  readonly planKubeconfig: string;

  constructor(cluster: ClusterUnderTest, folder: string) {
    this.cluster = cluster;
    this.folder = folder;
    this.kubeconfig = join(folder, 'kubeconfig');
    this.planKubeconfig = join(folder, 'kubeconfig-plan');
  }

  static async start(options: ClusterOptions = {}): Promise<CliStage> {
    const cluster = await startCluster(options);
    const folder = await mkdtemp(join(tmpdir(), 'patchpanel-cli-'));
    const stage = new CliStage(cluster, folder);
    const { plan, apply } = cluster.tokens;
    await writeFile(stage.kubeconfig, kubeconfigFor(cluster, apply), { mode: 0o600 });
    await writeFile(stage.planKubeconfig, kubeconfigFor(cluster, plan), { mode: 0o600 });
    return stage;
  }

  async stop(): Promise<void> {
    await this.cluster.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Starts a command line; the cluster it finds is this one, as the account that may plan or the one that may apply. */
  begin(args: readonly string[], options: CliOptions = {}): CliRun {
    const kubeconfig = args[0] === 'plan' ? this.planKubeconfig : this.kubeconfig;
    return new CliRun(args, { ...options, env: { KUBECONFIG: kubeconfig, ...options.env } });
  }

  async run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return await this.begin(args, options).result;
  }

  /** Runs a command line that must end with this code. */
  async expect(code: number, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const result = await this.run(args, options);
    assert.equal(result.code, code, `patchpanel ${args.join(' ')}\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  /** All that command lines asked for since the last call. */
  requests(): readonly AuditEntry[] {
    return this.cluster.requests();
  }

  /** Writes since the last call, as `PATCH virtualmachines /apis/...`; an exec that reads is none. */
  writes(): readonly string[] {
    return this.requests()
      .filter(({ method, subresource }) => method !== 'GET' && subresource !== 'exec')
      .map(({ method, resource, path }) => `${method} ${resource} ${path}`);
  }

  /** Writes a desired state; returns its folder. */
  async desired(name: string, vms: Readonly<Record<string, readonly Nic[]>>, namespace = 'demo'): Promise<string> {
    const folder = join(this.folder, name);
    await mkdir(folder, { recursive: true });
    await writeFiles(folder, desiredFiles(vms, namespace));
    return folder;
  }

  /** Names of the NICs in the live domain XML of a VM. */
  async guestNics(name: string, namespace = 'demo'): Promise<readonly string[]> {
    const xml = await this.domainXml(name, namespace);
    return parseDomain(xml)
      .nics.map(({ alias }) => alias?.replace(/^ua-/, '') ?? '?')
      .sort();
  }

  async domainXml(name: string, namespace = 'demo'): Promise<string> {
    const labelSelector = `kubevirt.io=virt-launcher,vm.kubevirt.io/name=${name}`;
    const running = await this.cluster.admin.list(pods, { namespace, labelSelector }, (pod) => pod);
    const pod = running.items.find(({ status }) => (status as { phase?: string } | undefined)?.phase === 'Running');
    assert.ok(pod !== undefined, `${name} has no launcher pod`);
    const target = { namespace, pod: pod.metadata.name, container: 'compute' };
    const { stdout } = await this.cluster.admin.exec(target, ['virsh', 'dumpxml', `${namespace}_${name}`]);
    return stdout;
  }

  /** Makes VMs nobody's again: those that another repository of the same test has marked as its own. */
  async handOver(...vms: readonly string[]): Promise<void> {
    const annotations = { [sourceAnnotation]: null };
    for (const name of vms)
      await this.cluster.admin.mergePatch(virtualMachines, 'demo', name, { metadata: { annotations } });
  }

  /** Creates a network whose config is this text. */
  async network(name: string, config: string, namespace = 'demo'): Promise<KubeObject> {
    return await this.cluster.admin.create(networkAttachmentDefinitions, {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { namespace, name },
      spec: { config },
    });
  }
}

/** A NIC: its name, with the network of that name in the sandbox's namespace `demo`, or all fields. */
export type Nic = string | { readonly name: string; readonly network: string; readonly [key: string]: unknown };

const networks: Readonly<Record<string, string>> = {
  storage: 'storage-net',
  backup: 'backup-net',
  mgmt: 'mgmt-net',
  red: 'vlan100',
  green: 'vlan200',
  blue: 'vlan300',
};

/** One file a VM. */
export function desiredFiles(
  vms: Readonly<Record<string, readonly Nic[]>>,
  namespace = 'demo',
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(vms).map(([name, nics]) => [
      `${name}.yaml`,
      stringify({
        apiVersion: 'patchpanel.dev/v1alpha1',
        kind: 'NetworkAttachments',
        metadata: { name, namespace },
        spec: {
          attachments: nics.map((nic) =>
            typeof nic === 'string' ? { name: nic, network: networks[nic] ?? nic } : nic,
          ),
        },
      }),
    ]),
  );
}
