/**
 * Multus on the nodes: gives a new pod its interfaces, and adds and removes single ones when it is asked by the
 * dynamic-networks controller. The CNI plugins behind it are a model, or real ones where the sandbox was given some.
 */
import { annotations, primaryPodInterface } from '../../reconcile/systems/kubevirt-names.ts';
import {
  type NetworkSelectionElement,
  networksAnnotation,
  type ParsedNetworks,
  parseNetworks,
} from '../../reconcile/systems/multus-networks.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import type { RuntimeRequest } from '../node/cni-chain.ts';
import type { CommandResult } from '../node/virsh.ts';
import type { ActorContext } from './context.ts';
import { readNad } from './nad.ts';
import { newMac, newPodAddress } from './node-state.ts';
import type { Pod } from './objects.ts';
import { defaultNetworkAnnotation, readPodNetworkStatus, splitNad } from './pod-networks.ts';

/** One interface that Multus asks CNI plugins for. */
export interface Delegate {
  /** What network-status calls the network. */
  readonly name: string;
  readonly interface: string;
  /** `spec.config` of the NAD; undefined for the cluster's own pod network. */
  readonly config: string | undefined;
  readonly nad: string;
  readonly isDefault: boolean;
  /** What is asked for beside the network. */
  readonly element?: RuntimeRequest;
}

/** CNI plugins at work in the network namespaces of pods. */
export interface PodPlugins {
  /** Makes the network namespace of a pod. Returns false where it was there. */
  open(pod: Pod): Promise<boolean>;
  /** Whether the pod has an interface of this name, whoever made it. */
  has(pod: Pod, name: string): Promise<boolean>;
  /** Entries of network-status from the result. @throws Error with the text of the plugin that failed */
  add(pod: Pod, delegate: Delegate): Promise<readonly NetworkStatus[]>;
  /** @throws Error with the text of the plugin that failed */
  del(pod: Pod, delegate: Delegate): Promise<void>;
  setMac(pod: Pod, name: string, mac: string): Promise<void>;
  /** Runs a command in the network namespace of a pod. @param stdin what it can read */
  exec(podUid: string, command: readonly string[], stdin?: Uint8Array | string): Promise<CommandResult>;
  /** Has the plugins take out all that they put in; then the network namespace goes. */
  forget(pod: Pod): Promise<void>;
}

export class Multus {
  readonly #context: ActorContext;
  readonly #plugins: PodPlugins | undefined;
  readonly #opening = new Map<string, Promise<void>>();

  constructor(context: ActorContext, plugins: PodPlugins | undefined) {
    this.#context = context;
    this.#plugins = plugins;
  }

  /** Adds an interface to a running pod. @throws Error as Multus answers; what it says reaches no event */
  async add(pod: Pod, element: NetworkSelectionElement): Promise<readonly NetworkStatus[]> {
    return await this.#add(pod, this.#delegate(element, element.interface ?? ''));
  }

  /** Takes an interface out of a running pod; one that is not there is no error. @throws Error as Multus answers */
  async del(pod: Pod, element: NetworkSelectionElement): Promise<void> {
    await this.#del(pod, this.#delegate(element, element.interface ?? ''));
  }

  /**
   * The default network first, then the annotation's in their order: what network-status of a new pod holds.
   * @throws Error with what Multus says where one of them fails; those before are taken out again
   */
  async setUp(pod: Pod): Promise<readonly NetworkStatus[]> {
    const parsed = readNetworks(pod);
    if (!parsed.ok) throw new Error(parsed.error);
    const delegates = [
      this.#defaultDelegate(pod),
      ...parsed.elements.map((element, index) => this.#coldDelegate(element, element.interface ?? `net${index + 1}`)),
    ];
    const entries: NetworkStatus[] = [];
    for (const [index, delegate] of delegates.entries()) {
      try {
        entries.push(...(await this.#add(pod, delegate)));
      } catch (error) {
        for (const done of delegates.slice(0, index + 1).reverse()) await this.#del(pod, done).catch(() => undefined);
        await this.forget(pod);
        const at = `[${pod.metadata.namespace}/${pod.metadata.name}:${delegate.nad}]`;
        throw new Error(`${at}: error adding container to network "${delegate.nad}": ${reasonOf(error)}`);
      }
    }
    return entries;
  }

  /** The pod has ended. */
  async forget(pod: Pod): Promise<void> {
    this.#context.node.forget(pod.metadata.uid);
    await this.#plugins?.forget(pod);
  }

  /**
   * Sees to it that real plugins serve a pod, and returns them; undefined where attachments are modelled, as those of VMs of
   * the sandbox always are. A pod that ran before it was looked at gets the interfaces of its network-status.
   */
  async plugins(pod: Pod): Promise<PodPlugins | undefined> {
    const plugins = this.#plugins;
    if (plugins === undefined || pod.spec.hostNetwork === true || this.#runsVm(pod)) return undefined;
    const { namespace, name, uid } = pod.metadata;
    if (this.#context.caches.pods.get(namespace, name)?.metadata.uid !== uid) {
      throw new Error(`pod ${namespace}/${name} with UID ${uid} is gone`);
    }
    let opening = this.#opening.get(uid);
    if (opening === undefined) {
      opening = this.#open(plugins, pod).finally(() => this.#opening.delete(uid));
      this.#opening.set(uid, opening);
    }
    await opening;
    return plugins;
  }

  /** Whether it is the launcher of a VM that the sandbox plays. */
  #runsVm({ metadata }: Pod): boolean {
    const vmi = metadata.annotations?.[annotations.domain];
    return vmi !== undefined && this.#context.caches.vmis.get(metadata.namespace, vmi) !== undefined;
  }

  async #open(plugins: PodPlugins, pod: Pod): Promise<void> {
    if (!(await plugins.open(pod)) || pod.status?.phase !== 'Running') return;
    for (const entry of readPodNetworkStatus(pod.metadata.annotations)) {
      const { name: key, interface: nic = primaryPodInterface, mac, ips = [] } = entry;
      const { namespace, name } = splitNad(key, pod.metadata.namespace);
      const isDefault = entry.default === true;
      const nad = readNad(this.#context.caches.nads, namespace, name);
      if (nad === undefined && !isDefault) continue;
      const element = { ...(mac !== undefined && { mac }), ...(isDefault && { 'cni-args': { ips } }) };
      const delegate = { name: key, nad: name, interface: nic, config: nad?.config, isDefault, element };
      try {
        await plugins.add(pod, delegate);
        if (mac !== undefined) await plugins.setMac(pod, nic, mac);
      } catch {
        // The pod runs without it: network-status was an assertion of whoever made the pod.
      }
    }
  }

  #defaultDelegate(pod: Pod): Delegate {
    const wanted = pod.metadata.annotations?.[defaultNetworkAnnotation];
    const base = {
      name: clusterNetwork,
      nad: clusterNetwork,
      interface: primaryPodInterface,
      config: undefined,
      isDefault: true,
    };
    if (wanted === undefined) return base;
    const { namespace, name } = splitNad(wanted, pod.metadata.namespace);
    const nad = readNad(this.#context.caches.nads, namespace, name);
    return { ...base, name: `${namespace}/${name}`, nad: name, config: nad?.config };
  }

  #coldDelegate(element: NetworkSelectionElement, interfaceName: string): Delegate {
    if (readNad(this.#context.caches.nads, element.namespace, element.name) === undefined) {
      throw new Error(
        `cannot find a network-attachment-definition (${element.name}) in namespace (${element.namespace})`,
      );
    }
    return this.#delegate(element, interfaceName);
  }

  #delegate(element: NetworkSelectionElement, interfaceName: string): Delegate {
    const { namespace, name } = element;
    const nad = readNad(this.#context.caches.nads, namespace, name);
    if (nad === undefined) throw new Error(`network-attachment-definitions.k8s.cni.cncf.io "${name}" not found`);
    return {
      name: `${namespace}/${name}`,
      nad: name,
      interface: interfaceName,
      config: nad.config,
      isDefault: false,
      element,
    };
  }

  async #add(pod: Pod, delegate: Delegate): Promise<readonly NetworkStatus[]> {
    const plugins = await this.plugins(pod);
    const present = this.#context.node.interfacesOf(pod);
    const { interface: name } = delegate;
    const fault = interfaceFault(name);
    if (fault !== undefined) throw new Error(fault);
    if ((await plugins?.has(pod, name)) ?? present.has(name)) {
      throw new Error(`validateIfName: interface name ${name} already exists`);
    }
    if (this.#strikes('cni-add-fails', delegate)) throw new Error('the plugin failed');
    const entries = (await plugins?.add(pod, delegate)) ?? [modelled(delegate)];
    for (const entry of entries) present.set(entry.interface ?? name, entry);
    return entries;
  }

  async #del(pod: Pod, delegate: Delegate): Promise<void> {
    if (this.#strikes('cni-del-fails', delegate)) throw new Error('the plugin failed');
    await (await this.plugins(pod))?.del(pod, delegate);
    this.#context.node.interfacesOf(pod).delete(delegate.interface);
  }

  #strikes(fault: 'cni-add-fails' | 'cni-del-fails', { name, nad, interface: nic }: Delegate): boolean {
    return this.#context.faults.strikes(fault, nad, name, `${nad}@${nic}`, `${name}@${nic}`);
  }
}

const clusterNetwork = 'k8s-pod-network';

/** The networks annotation as Multus reads it when a pod starts; none where there is none. */
function readNetworks(pod: Pod): ParsedNetworks {
  const value = pod.metadata.annotations?.[networksAnnotation] ?? '';
  return value === '' ? { ok: true, elements: [] } : parseNetworks(value, pod.metadata.namespace, 'multus');
}

/** What a plugin answers that is not there. */
function modelled({ name, interface: nic, isDefault, element }: Delegate): NetworkStatus {
  const common = { name, interface: nic, mac: element?.mac ?? newMac(), dns: {} };
  return isDefault ? { ...common, ips: [newPodAddress()], default: true } : common;
}

/** Why libcni calls no plugin for such a name, in its words. */
function interfaceFault(name: string): string | undefined {
  if (name === '') return 'interface name is empty';
  if (new TextEncoder().encode(name).length > 15) return 'interface name is too long';
  if (name === '.' || name === '..') return 'interface name is . or ..';
  if (/[/:\s]/.test(name)) return 'interface name contains / or : or whitespace characters';
  return undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
