/** The actors on an API server, the sandbox's own or a real one: each is a client of it, with a user of its own. */
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { annotations } from '../reconcile/systems/kubevirt-names.ts';
import { Caches } from './actors/caches.ts';
import type { Actor, ActorContext, Faults } from './actors/context.ts';
import { dynamicNetworksController } from './actors/dynamic-networks.ts';
import { kubelet } from './actors/kubelet.ts';
import { Multus } from './actors/multus.ts';
import { mtuOfNad } from './actors/nad.ts';
import { NodeState } from './actors/node-state.ts';
import { type Pod, readAs, type Vmi } from './actors/objects.ts';
import { virtController } from './actors/virt-controller.ts';
import { virtHandler } from './actors/virt-handler.ts';
import type { ExecHandler } from './api/contract.ts';
import type { Domain } from './node/libvirt-model.ts';
import { podExec } from './node/pod-exec.ts';
import type { RealPlugins } from './node/real-plugins.ts';
import { virshExec } from './node/virsh.ts';

/** Users of the parts, as on a real cluster: a reader tells writers apart by them. */
export const actorUsers = {
  virtController: 'system:serviceaccount:kubevirt:kubevirt-controller',
  virtApi: 'system:serviceaccount:kubevirt:kubevirt-apiserver',
  virtHandler: 'system:serviceaccount:kubevirt:kubevirt-handler',
  scheduler: 'system:kube-scheduler',
  kubelet: 'system:node:node01',
  dynamicNetworks: 'system:serviceaccount:kube-system:dynamic-networks-controller',
} as const;
export type ActorName = keyof typeof actorUsers;

/** Programs of the parts: what stands as field manager of their writes. */
export const actorPrograms: Readonly<Record<ActorName, string>> = {
  virtController: 'virt-controller',
  virtApi: 'virt-api',
  virtHandler: 'virt-handler',
  scheduler: 'kube-scheduler',
  kubelet: 'kubelet',
  dynamicNetworks: 'dynamic-networks-controller',
};

export interface CastOptions {
  /** A client for each actor; the cast does not close it. */
  readonly client: (actor: ActorName) => Promise<Cluster>;
  /** A client that reads for all of them. */
  readonly reader: Cluster;
  /** Divides every delay. */
  readonly speed: number;
  readonly faults: Faults;
  /** Whether the dynamic-networks controller looks at pods from the start. */
  readonly dynamicNetworks: boolean;
  /** False: the API server has a virt-controller already, such as the real one. */
  readonly virtController?: boolean;
  readonly onDomain?: ((domain: Domain) => void) | undefined;
  /** Real CNI plugins, instead of modelled ones; the cast does not close them. */
  readonly plugins?: RealPlugins | undefined;
  /** Whether commands run in pods that real plugins serve: as root, on this machine. */
  readonly execInPods?: boolean | undefined;
}

export interface Cast {
  /** Answers `virsh` in the compute containers of launcher pods; runs what other pods are asked to where it may. */
  readonly exec: ExecHandler;
  /** Whether the dynamic-networks controller looks at pods. */
  setDynamicNetworks(enabled: boolean): void;
  /** Whether kubelet leaves new pods as they are. */
  setHeld(held: boolean): void;
  /** Lets virt-handler look at every VMI again, after a switch was changed. */
  wake(): void;
  stop(): Promise<void>;
}

/** Lets the actors look at what is there, and act. A VM that they see without its VMI is started. */
export async function startCast(options: CastOptions): Promise<Cast> {
  const { client, speed, faults } = options;
  const caches = new Caches(options.reader);
  const node = new NodeState((network) => mtuOfNad(caches.nads, network), options.onDomain);
  const context: ActorContext = { speed, faults, node, caches };
  const actors: Actor[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(actors.map((actor) => actor.stop()));
    await caches.stop();
  };
  try {
    const multus = new Multus(context, options.plugins);
    const networks = dynamicNetworksController(await client('dynamicNetworks'), context, multus);
    networks.enabled = options.dynamicNetworks;
    const clients = { scheduler: await client('scheduler'), kubelet: await client('kubelet') };
    const nodes = kubelet(clients, context, multus);
    const handler = virtHandler(await client('virtHandler'), context);
    actors.push(networks, nodes, handler);
    if (options.virtController !== false) actors.push(virtController(await client('virtController'), context));
    await caches.start();
    networks.start();
    const virsh = virshExec((namespace, pod) => domainIn(caches, node, namespace, pod));
    const inPod = options.execInPods === true ? podExec(multus) : undefined;
    return {
      exec: async (request) => (await inPod?.(request)) ?? (await virsh(request)),
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

/** The domain that a launcher pod runs now; undefined before its guest has started. */
function domainIn(caches: Caches, node: NodeState, namespace: string, object: KubeObject): Domain | undefined {
  const pod = readAs<Pod>(object);
  const name = pod.metadata.annotations?.[annotations.domain];
  if (name === undefined) return undefined;
  const vmi = caches.vmis.get(namespace, name);
  const status = vmi === undefined ? undefined : readAs<Vmi>(vmi).status;
  if (vmi === undefined || status?.phase !== 'Running' || status.nodeName !== pod.spec.nodeName) return undefined;
  return node.domainOf(pod, readAs<Vmi>(vmi));
}
