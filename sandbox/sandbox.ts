/** Starts the embedded cluster: API server, actors, seeded objects, kubeconfig. */
import { randomBytes } from 'node:crypto';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { Faults } from './actors/context.ts';
import { builtinResources } from './api/builtin-resources.ts';
import { selfSigned } from './api/certificate.ts';
import type { ApiServer, ApiServerOptions, ExecHandler } from './api/contract.ts';
import { startApiServer } from './api/server.ts';
import { timestamp } from './api/store.ts';
import { baseObjects } from './base-objects.ts';
import { type ActorName, actorPrograms, actorUsers, type Cast, startCast } from './cast.ts';
import type { Fault, FaultName, Sandbox, SandboxOptions } from './contract.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { kubevirtAdmission } from './kubevirt/admission.ts';
import { demoNamespace, demoSeeds, fleetNamespace, fleetSeeds, plant } from './kubevirt/fleet.ts';
import { migrationAdmission } from './kubevirt/migration-admission.ts';
import { kubevirtResources } from './kubevirt/resources.ts';
import { kubevirtSubresources } from './kubevirt/subresources.ts';
import { loadManifests } from './load.ts';
import type { Domain } from './node/libvirt-model.ts';
import { RealPlugins } from './node/real-plugins.ts';
import { demoPods } from './plain-pods.ts';

/** A user whom RBAC holds to its rules. */
interface Account {
  readonly user: string;
  readonly token: string;
  readonly allows: (request: Parameters<NonNullable<ApiServerOptions['authorize']>>[0]) => boolean;
}

/** What tests may do beyond the command line's options. */
export interface AssembleOptions extends SandboxOptions {
  /** Stands between an actor and its client, to record what it writes. */
  readonly wrap?: (actor: ActorName, cluster: Cluster) => Cluster;
  /** Is asked before the model of libvirt is: see `real-virsh.ts`. */
  readonly exec?: ExecHandler;
  /** Service accounts besides the administrator, and what each may do. */
  readonly accounts?: readonly Account[];
  /** False: KubeVirt's resources alone, without objects, webhooks or anybody who acts. */
  readonly actors?: false;
  /** Is told of each domain that the launcher of a pod changed, NICs plugged and unplugged. */
  readonly onDomain?: (domain: Domain) => void;
  /**
   * With real CNI plugins: lets an exec in a pod that is no launcher run its command, as root, on this machine, in the network
   * namespace of the pod. Never to be had from the command line.
   */
  readonly execInPods?: boolean;
}

export interface AssembledSandbox extends Sandbox {
  /** Real CNI plugins and the namespaces that they work in, where there are some. */
  readonly plugins: RealPlugins | undefined;
  /** The administrator's client, and the token for another. */
  readonly admin: Cluster;
  readonly adminToken: string;
  /** PEM of the authority that the server's certificate is checked with. */
  readonly ca: string;
  /** Switches of misbehaviour, which may be changed at any time. */
  readonly faults: Faults;
  /** Whether the dynamic-networks controller looks at pods. */
  setDynamicNetworks(enabled: boolean): void;
  /** Whether kubelet leaves new pods as they are. */
  setHeld(held: boolean): void;
  /** Lets virt-handler look at every VMI again, after a switch was changed. */
  wake(): void;
}

/** Starts a sandbox on loopback. @throws PatchpanelError where the port is taken or a manifest is refused */
export function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  return assembleSandbox(options);
}

/** Like {@link startSandbox}, with handles for tests. */
export async function assembleSandbox(options: AssembleOptions): Promise<AssembledSandbox> {
  const faults = new Faults(options.faults ?? []);
  const adminToken = newToken();
  const actorTokens = new Map<ActorName, string>();
  let virtApi: Cluster | undefined;
  const tokens = new Map([
    [adminToken, { user: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] }],
  ]);
  for (const [name, user] of Object.entries(actorUsers) as [ActorName, string][]) {
    const token = newToken();
    actorTokens.set(name, token);
    tokens.set(token, { user, groups: ['system:masters', 'system:authenticated'] });
  }
  const accounts = options.accounts ?? [];
  for (const { user, token } of accounts) tokens.set(token, { user, groups: ['system:serviceaccounts'] });
  const tls = selfSigned(new Date());
  let cast: Cast | undefined;
  const api: ApiServer = await startApiServer({
    tls,
    port: options.port ?? 0,
    resources: kubevirtResources,
    admission: options.actors === false ? [] : [...kubevirtAdmission, migrationAdmission],
    subresources: kubevirtSubresources(() => {
      if (virtApi === undefined) throw new Error('virt-api is not connected yet');
      return virtApi;
    }),
    exec: async (request) => (await options.exec?.(request)) ?? (await cast?.exec(request)),
    tokens,
    authorize: (request) => {
      const { groups, subresource, namespace = '', name = '' } = request;
      const forbidden = subresource === 'exec' && faults.strikes('exec-forbidden', namespace, name);
      const account = accounts.find(({ user }) => user === request.user);
      return (account?.allows(request) ?? groups.includes('system:masters')) && !forbidden;
    },
    faults: apiFaults(options.faults ?? []),
    ...(options.onRequest !== undefined && { onRequest: options.onRequest }),
  });
  const clusters: Cluster[] = [];
  const open = async (token: string, userAgent: string): Promise<Cluster> => {
    const cluster = await connect({
      server: api.url,
      ca: tls.certificate,
      token,
      userAgent,
      qps: 100_000,
      burst: 100_000,
      concurrency: 64,
    });
    clusters.push(cluster);
    return cluster;
  };
  let plugins: RealPlugins | undefined;
  const stop = async (): Promise<void> => {
    await cast?.stop();
    await plugins?.close();
    await Promise.all(clusters.map((cluster) => cluster.close()));
    await api.close();
  };
  try {
    plugins = options.cniPlugins === undefined ? undefined : await RealPlugins.open(options.cniPlugins);
    const admin = await open(adminToken, 'sandbox');
    const client = async (name: ActorName): Promise<Cluster> => {
      const cluster = await open(actorTokens.get(name) ?? '', actorPrograms[name]);
      return options.wrap?.(name, cluster) ?? cluster;
    };
    virtApi = await client('virtApi');
    const dynamicNetworks = options.dynamicNetworks !== false;
    // Before the actors look: a VM that they saw without its VMI would be started anew.
    const created = timestamp();
    const furniture = [...baseObjects(dynamicNetworks), ...demoSeeds(created), ...demoPods(demoNamespace, created)];
    const seeds = options.actors === false ? [] : furniture;
    plant(api.store, seeds);
    const vms = options.vms ?? 0;
    if (vms > 0) plant(api.store, fleetSeeds({ count: vms, created }));
    if (options.actors !== false) {
      const reader = await open(adminToken, 'informers');
      const { speed = 1, onDomain, execInPods } = options;
      cast = await startCast({ client, reader, speed, faults, dynamicNetworks, onDomain, plugins, execInPods });
    }
    const definitions = [...builtinResources, ...kubevirtResources];
    const loaded = options.load === undefined ? [] : await loadManifests(admin, options.load, definitions);
    return {
      api,
      plugins,
      admin,
      adminToken,
      ca: tls.certificate,
      faults,
      kubeconfig: kubeconfigOf({ server: api.url, certificate: tls.certificate, token: adminToken }),
      contents: [
        ...contentsOf(seeds.map(({ object }) => object)),
        ...(vms > 0 ? [`${vms} running VMs in namespace ${fleetNamespace}`] : []),
        ...loaded,
      ],
      setDynamicNetworks: (enabled) => cast?.setDynamicNetworks(enabled),
      setHeld: (held) => cast?.setHeld(held),
      wake: () => cast?.wake(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the API server itself does wrong; fixed at its start. */
function apiFaults(faults: readonly Fault[]): NonNullable<ApiServerOptions['faults']> {
  const of = (name: FaultName): number | undefined => {
    const value = faults.find((fault) => fault.name === name)?.value;
    return value === undefined ? undefined : Number(value);
  };
  const errorShare = of('api-errors');
  const watchCutMilliseconds = of('watch-cut');
  return {
    ...(errorShare !== undefined && { errorShare }),
    ...(watchCutMilliseconds !== undefined && { watchCutMilliseconds }),
  };
}

function newToken(): string {
  return randomBytes(24).toString('base64url');
}

function contentsOf(objects: readonly KubeObject[]): readonly string[] {
  return objects.map(
    ({ kind = '', metadata }) =>
      `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`,
  );
}
