/** Starts the embedded cluster: API server, actors, seeded objects, kubeconfig. */
import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { annotations } from '../reconcile/systems/kubevirt-names.ts';
import { Caches } from './actors/caches.ts';
import { type Actor, type ActorContext, Faults } from './actors/context.ts';
import { dynamicNetworksController } from './actors/dynamic-networks.ts';
import { kubelet } from './actors/kubelet.ts';
import { NodeState } from './actors/node-state.ts';
import { type Pod, readAs, type Vmi } from './actors/objects.ts';
import { virtController } from './actors/virt-controller.ts';
import { virtHandler } from './actors/virt-handler.ts';
import { builtinResources } from './api/builtin-resources.ts';
import { selfSigned } from './api/certificate.ts';
import type { ApiServer, ApiServerOptions, ExecHandler } from './api/contract.ts';
import { startApiServer } from './api/server.ts';
import { baseObjects } from './base-objects.ts';
import type { Fault, FaultName, Sandbox, SandboxOptions } from './contract.ts';
import { kubevirtAdmission } from './kubevirt/admission.ts';
import { demoSeeds, fleetNamespace, fleetSeeds, plant } from './kubevirt/fleet.ts';
import { migrationAdmission } from './kubevirt/migration-admission.ts';
import { kubevirtResources } from './kubevirt/resources.ts';
import { kubevirtSubresources } from './kubevirt/subresources.ts';
import { loadManifests } from './load.ts';
import type { Domain } from './node/libvirt-model.ts';
import { virshExec } from './node/virsh.ts';

/** Users of the parts, as on a real cluster: a reader tells writers apart by them. */
const actorUsers = {
  virtController: 'system:serviceaccount:kubevirt:kubevirt-controller',
  virtApi: 'system:serviceaccount:kubevirt:kubevirt-apiserver',
  virtHandler: 'system:serviceaccount:kubevirt:kubevirt-handler',
  scheduler: 'system:kube-scheduler',
  kubelet: 'system:node:node01',
  dynamicNetworks: 'system:serviceaccount:kube-system:dynamic-networks-controller',
} as const;
export type ActorName = keyof typeof actorUsers;

/** Programs of the parts: what stands as field manager of their writes. */
const actorPrograms: Readonly<Record<ActorName, string>> = {
  virtController: 'virt-controller',
  virtApi: 'virt-api',
  virtHandler: 'virt-handler',
  scheduler: 'kube-scheduler',
  kubelet: 'kubelet',
  dynamicNetworks: 'dynamic-networks-controller',
};

/** A user whom RBAC holds to its rules. */
export interface Account {
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
  /** Is told of each domain that the launcher of a pod changed, NICs plugged and unplugged. */
  readonly onDomain?: (domain: Domain) => void;
}

export interface AssembledSandbox extends Sandbox {
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
  const node = new NodeState(options.onDomain);
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
  const modelled = virshExec((namespace, pod) => domainIn(api, node, namespace, pod));
  const api: ApiServer = await startApiServer({
    tls,
    port: options.port ?? 0,
    resources: kubevirtResources,
    admission: [...kubevirtAdmission, migrationAdmission],
    subresources: kubevirtSubresources(() => {
      if (virtApi === undefined) throw new Error('virt-api is not connected yet');
      return virtApi;
    }),
    exec: async (request) => (await options.exec?.(request)) ?? (await modelled(request)),
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
  const actors: Actor[] = [];
  let caches: Caches | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(actors.map((actor) => actor.stop()));
    await caches?.stop();
    await Promise.all(clusters.map((cluster) => cluster.close()));
    await api.close();
  };
  try {
    const admin = await open(adminToken, 'sandbox');
    const client = async (name: ActorName): Promise<Cluster> => {
      const cluster = await open(actorTokens.get(name) ?? '', actorPrograms[name]);
      return options.wrap?.(name, cluster) ?? cluster;
    };
    virtApi = await client('virtApi');
    caches = new Caches(await open(adminToken, 'informers'));
    const context: ActorContext = { speed: options.speed ?? 1, faults, node, caches };
    const dynamicNetworks = options.dynamicNetworks !== false;
    const base = baseObjects(dynamicNetworks);
    // Before the actors look: a VM that they saw without its VMI would be started anew.
    const seeds = [...base, ...demoSeeds()];
    plant(api.store, seeds);
    const vms = options.vms ?? 0;
    if (vms > 0) plant(api.store, fleetSeeds({ count: vms }));
    const networks = dynamicNetworksController(await client('dynamicNetworks'), context);
    networks.enabled = dynamicNetworks;
    const nodes = kubelet({ scheduler: await client('scheduler'), kubelet: await client('kubelet') }, context);
    const handler = virtHandler(await client('virtHandler'), context);
    actors.push(networks, nodes, handler, virtController(await client('virtController'), context));
    await caches.start();
    networks.start();
    const definitions = [...builtinResources, ...kubevirtResources];
    const loaded = options.load === undefined ? [] : await loadManifests(admin, options.load, definitions);
    return {
      api,
      admin,
      adminToken,
      ca: tls.certificate,
      faults,
      kubeconfig: kubeconfig(api.url, tls.certificate, adminToken),
      contents: [
        ...contentsOf(seeds.map(({ object }) => object)),
        ...(vms > 0 ? [`${vms} running VMs in namespace ${fleetNamespace}`] : []),
        ...loaded,
      ],
      setDynamicNetworks(enabled) {
        networks.enabled = enabled;
      },
      setHeld: (held) => nodes.hold(held),
      wake: () => handler.wake(),
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

/** The domain that a launcher pod runs now; undefined before its guest has started. */
function domainIn(api: ApiServer, node: NodeState, namespace: string, object: KubeObject): Domain | undefined {
  const pod = readAs<Pod>(object);
  const name = pod.metadata.annotations?.[annotations.domain];
  if (name === undefined) return undefined;
  const vmi = api.store.get('kubevirt.io', 'virtualmachineinstances', namespace, name);
  const status = vmi === undefined ? undefined : readAs<Vmi>(vmi).status;
  if (vmi === undefined || status?.phase !== 'Running' || status.nodeName !== pod.spec.nodeName) return undefined;
  return node.domainOf(pod, readAs<Vmi>(vmi));
}

function contentsOf(objects: readonly KubeObject[]): readonly string[] {
  return objects.map(
    ({ kind = '', metadata }) =>
      `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`,
  );
}

function kubeconfig(server: string, certificate: string, token: string): string {
  const name = 'sandbox';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
  });
}
