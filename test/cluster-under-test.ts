/**
 * The cluster that an end-to-end scenario runs on: the sandbox, or where PATCHPANEL_TEST_CLUSTER says so a real kube-apiserver, with
 * the sandbox's actors or with KubeVirt's own controllers and the sandbox's nodes. patchpanel comes to all of them with the service
 * accounts of examples/deploy.
 */
import { randomBytes } from 'node:crypto';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import type { AuditEntry, ExecHandler } from '../sandbox/api/contract.ts';
import type { Fault } from '../sandbox/contract.ts';
import { kubeconfigOf } from '../sandbox/kubeconfig.ts';
import type { Domain } from '../sandbox/node/libvirt-model.ts';
import { assembleSandbox } from '../sandbox/sandbox.ts';
import { startRealCluster } from './control-plane/real-cluster.ts';
import { type Manifest, permits, readManifests, rightsOf } from './deploy-manifests.ts';
import { usualRights } from './rights.ts';

/** All there are, in the order in which they are reported. */
export const clusterKinds = ['sandbox', 'kube-apiserver', 'kubevirt'] as const;
export type ClusterKind = (typeof clusterKinds)[number];

export interface ClusterOptions {
  /** Running VMs in namespace `fleet`, beside those of the demonstration. */
  readonly vms?: number;
  /** False: no dynamic-networks controller. */
  readonly dynamicNetworks?: boolean;
  /** Divides every delay of the actors. */
  readonly speed?: number;
  readonly faults?: readonly Fault[];
  /** False: an API server with KubeVirt's resources, on which nobody acts and which holds nothing. */
  readonly actors?: false;
  /** Is asked before the model of libvirt is. */
  readonly exec?: ExecHandler;
  /** Is told of each domain that the launcher of a pod changed. */
  readonly onDomain?: (domain: Domain) => void;
  /** Of the sandbox alone: is told of every request, whoever asks. */
  readonly onRequest?: (entry: AuditEntry) => void;
  /** `trimmed`: the sandbox's own definitions of KubeVirt's resources, also where the released ones are at hand. */
  readonly definitions?: 'trimmed';
}

/** Tokens of the service accounts of examples/deploy. */
export interface Accounts {
  readonly plan: string;
  readonly apply: string;
}

/** Their users. */
export const accountUsers: readonly string[] = ['plan', 'apply'].map(userOf);

export interface ClusterUnderTest {
  readonly kind: ClusterKind;
  /** Of the API server. */
  readonly version: string;
  readonly server: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  /** Client of an administrator: for what a scenario prepares, and how it interferes. */
  readonly admin: Cluster;
  readonly adminToken: string;
  readonly tokens: Accounts;
  /** From now on these faults, and no others; guests look again. */
  misbehave(...faults: readonly Fault[]): Promise<void>;
  /** From now on the roles and bindings among these manifests give the accounts their rights, and no others. */
  enforce(manifests: readonly Manifest[]): Promise<void>;
  /** What patchpanel's accounts asked for since the last call. */
  requests(): readonly AuditEntry[];
  /** May be called again. */
  stop(): Promise<void>;
}

/** Which of them this process is to test. */
export const clusterKind: ClusterKind =
  clusterKinds.find((kind) => kind === process.env.PATCHPANEL_TEST_CLUSTER) ?? 'sandbox';

/** KubeVirt's own waits, such as the 20 seconds before it migrates for a plug, can't be shortened. */
export const patience = clusterKind === 'kubevirt' ? 4 : 1;

export async function startCluster(options: ClusterOptions = {}): Promise<ClusterUnderTest> {
  const all = { speed: 25, ...options };
  return clusterKind === 'sandbox' ? await startSandboxCluster(all) : await startRealCluster(clusterKind, all);
}

/** Kubeconfig, YAML, of one who holds this token. */
export function kubeconfigFor({ server, ca }: Pick<ClusterUnderTest, 'server' | 'ca'>, token: string): string {
  return kubeconfigOf({ server, certificate: ca, token });
}

function userOf(use: string): string {
  return `system:serviceaccount:patchpanel:patchpanel-${use}`;
}

async function startSandboxCluster(options: ClusterOptions): Promise<ClusterUnderTest> {
  const audit: AuditEntry[] = [];
  const tokens: Accounts = { plan: newToken(), apply: newToken() };
  let inForce = usualRights();
  const { definitions: _definitions, ...own } = options;
  const sandbox = await assembleSandbox({
    ...own,
    accounts: (['plan', 'apply'] as const).map((use) => ({
      user: userOf(use),
      token: tokens[use],
      allows: ({ verb, group, resource, subresource, namespace, name }) =>
        permits(rightsOf(`patchpanel-${use}`, inForce), {
          verb,
          group,
          resource: subresource === undefined ? resource : `${resource}/${subresource}`,
          ...(namespace !== undefined && { namespace }),
          ...(name !== undefined && { name }),
        }),
    })),
    onRequest: (entry) => {
      if (accountUsers.includes(entry.user)) audit.push(entry);
      options.onRequest?.(entry);
    },
  });
  for (const object of readManifests('base/namespace.yaml')) {
    await sandbox.admin.create({ group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' }, object);
  }
  const version = (await sandbox.admin.raw('/version')) as { readonly gitVersion: string };
  let stopped: Promise<void> | undefined;
  return {
    kind: 'sandbox',
    version: version.gitVersion,
    server: sandbox.api.url,
    ca: sandbox.ca,
    admin: sandbox.admin,
    adminToken: sandbox.adminToken,
    tokens,
    async misbehave(...faults) {
      sandbox.faults.set(faults);
      sandbox.wake();
    },
    async enforce(manifests) {
      inForce = manifests;
    },
    requests: () => audit.splice(0),
    stop() {
      stopped ??= sandbox.stop();
      return stopped;
    },
  };
}

function newToken(): string {
  return randomBytes(24).toString('base64url');
}
