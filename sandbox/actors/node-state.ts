/**
 * What the nodes of the sandbox hold and no API shows: the interfaces in each pod's network namespace and the domain of
 * each launcher pod. Kubelet, the dynamic-networks controller and virt-handler share it, as they share a real node.
 */
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import { launchDomain, type PodNetworks } from '../node/kubevirt-domain.ts';
import type { Domain } from '../node/libvirt-model.ts';
import { type Pod, type Vmi, writable } from './objects.ts';
import { infoSources, podInterfaceNames, readPodNetworkStatus } from './pod-networks.ts';

export class NodeState {
  readonly #namespaces = new Map<string, Map<string, NetworkStatus>>();
  readonly #domains = new Map<string, Domain>();
  readonly #ready = new Set<string>();
  readonly #finished = new Set<string>();
  readonly #listeners: ((podUid: string) => void)[] = [];
  readonly #onDomain: (domain: Domain) => void;

  readonly #mtuOf: (network: string) => number | undefined;

  /**
   * @param mtuOf MTU that a network gives, by `namespace/name` of its NAD
   * @param onDomain is told of each change of a domain: a real guest can be made to follow
   */
  constructor(mtuOf: (network: string) => number | undefined, onDomain: (domain: Domain) => void = () => undefined) {
    this.#mtuOf = mtuOf;
    this.#onDomain = onDomain;
  }

  /** Interfaces of a pod, by name. A pod that was there before is taken as its network-status says. */
  interfacesOf(pod: Pod): Map<string, NetworkStatus> {
    const { uid } = pod.metadata;
    let interfaces = this.#namespaces.get(uid);
    if (interfaces === undefined) {
      const entries = readPodNetworkStatus(pod.metadata.annotations);
      interfaces = new Map(entries.map((entry) => [entry.interface ?? 'eth0', entry]));
      this.#namespaces.set(uid, interfaces);
    }
    return interfaces;
  }

  /**
   * The domain in a launcher pod. That of a VMI which was running before the sandbox looked at it is made as if it had
   * just started with the NICs of its status.
   * @throws Error with the launcher's text where it can't be started
   */
  domainOf(pod: Pod, vmi: Vmi): Domain {
    const known = this.#domains.get(pod.metadata.uid);
    if (known !== undefined) return known;
    const domain = launchDomain(writable(asItStarted(vmi)), this.networksOf(pod, vmi));
    this.#domains.set(pod.metadata.uid, domain);
    return domain;
  }

  /** How the NICs of a VMI look in its pod. A bridge NIC without a MAC of its own takes that of the pod's interface. */
  networksOf(pod: Pod, vmi: Vmi): PodNetworks {
    const entries = readPodNetworkStatus(pod.metadata.annotations);
    const names = podInterfaceNames(vmi.spec.networks ?? [], entries);
    const primary = entries.find((entry) => entry.default === true)?.interface;
    const entryOf = (network: string): NetworkStatus | undefined =>
      entries.find((entry) => entry.interface !== undefined && entry.interface === names.get(network));
    return {
      podInterface: (network) => names.get(network) ?? primary,
      mac: (network) => vmi.status?.interfaces?.find((status) => status.name === network)?.mac ?? entryOf(network)?.mac,
      // Plugins tell no MTU before CNI 1.1; KubeVirt asks the interface itself.
      mtu: (network) => entryOf(network)?.mtu ?? this.#mtuOf(entryOf(network)?.name ?? ''),
    };
  }

  setDomain(podUid: string, domain: Domain): void {
    this.#domains.set(podUid, domain);
    this.#onDomain(domain);
  }

  /** The guest runs in this pod now: kubelet finds it ready. */
  markReady(podUid: string): void {
    this.#ready.add(podUid);
    this.#tell(podUid);
  }

  isReady(podUid: string): boolean {
    return this.#ready.has(podUid);
  }

  /** The launcher of this pod has ended. */
  markFinished(podUid: string): void {
    this.#finished.add(podUid);
    this.#tell(podUid);
  }

  isFinished(podUid: string): boolean {
    return this.#finished.has(podUid);
  }

  forget(podUid: string): void {
    this.#namespaces.delete(podUid);
    this.#domains.delete(podUid);
    this.#ready.delete(podUid);
    this.#finished.delete(podUid);
  }

  onChange(listener: (podUid: string) => void): void {
    this.#listeners.push(listener);
  }

  #tell(podUid: string): void {
    for (const listener of this.#listeners) listener(podUid);
  }
}

/** A running VMI with the NICs that its guest has: what its spec adds or takes away is still to be carried out. */
function asItStarted(vmi: Vmi): Vmi {
  const known = vmi.status?.interfaces?.filter((status) => infoSources(status).includes('domain')) ?? [];
  if (vmi.status?.phase !== 'Running' || known.length === 0) return vmi;
  const names = new Set(known.map(({ name }) => name));
  const { devices } = vmi.spec.domain;
  const interfaces = (devices.interfaces ?? [])
    .filter(({ name }) => names.has(name))
    .map(({ state, ...nic }) => (state === undefined || state === 'absent' ? nic : { ...nic, state }));
  const networks = vmi.spec.networks?.filter(({ name }) => names.has(name)) ?? [];
  return {
    ...vmi,
    spec: { ...vmi.spec, networks, domain: { ...vmi.spec.domain, devices: { ...devices, interfaces } } },
  };
}

let lastAddress = Math.floor(Math.random() * 0x10000);

/** A locally administered unicast MAC that no other NIC of the sandbox has. */
export function newMac(): string {
  lastAddress += 1;
  const bytes = [0xd0 + (process.pid % 16), lastAddress >> 24, lastAddress >> 16, lastAddress >> 8, lastAddress];
  return ['02', ...bytes.map((byte) => (byte & 0xff).toString(16).padStart(2, '0'))].join(':');
}

/** An address of the pod network; no two pods of a sandbox get the same until 60,000 were made. */
export function newPodAddress(): string {
  lastAddress += 1;
  return `10.244.${(lastAddress >> 8) % 240}.${(lastAddress % 250) + 2}`;
}
