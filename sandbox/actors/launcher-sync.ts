/**
 * How virt-launcher brings the NICs of a running domain to the VMI's spec, and what virt-handler then reports. Pure
 * but for the order of several plugs, which is anything. Rests on KubeVirt v1.9.0.
 */
import { nicAlias, podInterfaceName, tapName } from '../../reconcile/systems/kubevirt-names.ts';
import { nicOf, type PodNetworks } from '../node/kubevirt-domain.ts';
import {
  attachDevice,
  type Domain,
  detachDevice,
  hostDevices,
  LibvirtError,
  nicByAlias,
  setLink,
} from '../node/libvirt-model.ts';
import { type InterfaceStatus, type VmInterface, type Vmi, writable } from './objects.ts';
import { infoSources } from './pod-networks.ts';
import { nicLists } from './vm-networks.ts';

export interface Guest {
  /** Whether the guest takes a NIC of this network. */
  readonly takes: (network: string) => boolean;
  /** Whether it gives one back. */
  readonly releases: (network: string) => boolean;
}

export interface SyncResult {
  readonly domain: Domain;
  /** First refusal of libvirt; what comes after it was not tried. */
  readonly error?: string;
}

/** Attach, then detach, then link state; the first error ends it. */
export function syncNics(
  vmi: Vmi,
  domain: Domain,
  pod: PodNetworks,
  guest: Guest,
  inPod: (network: string) => boolean,
): SyncResult {
  let current = domain;
  try {
    for (const nic of shuffled(toAttach(vmi, domain).filter((one) => inPod(one.name) && guest.takes(one.name)))) {
      const device = nicOf(writable(vmi), nic.name, pod);
      if (device !== undefined) current = attachDevice(current, device);
    }
    for (const nic of nicLists(vmi.spec).interfaces) {
      if (nic.state !== 'absent' || !guest.releases(nic.name)) continue;
      // A tap named by position never matches: the NIC silently stays.
      if (nicByAlias(current, nicAlias(nic.name))?.target !== tapName(podInterfaceName(nic.name))) continue;
      current = detachDevice(current, nicAlias(nic.name));
    }
    for (const nic of nicLists(vmi.spec).interfaces) current = withLink(current, nic);
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const message = `virError(Code=${error.code}, Domain=${error.domain}, Message='${error.message}')`;
    return { domain: current, error: message };
  }
  return { domain: current };
}

/** NICs that are in the pod, by multus-status, and not in the domain. */
export function toAttach(vmi: Vmi, domain: Domain): readonly VmInterface[] {
  const statuses = vmi.status?.interfaces ?? [];
  return nicLists(vmi.spec).interfaces.filter((nic) => {
    if (nic.state === 'absent' || nic.sriov !== undefined) return false;
    const sources = infoSources(statuses.find((status) => status.name === nic.name));
    return sources.includes('multus-status') && nicByAlias(domain, nicAlias(nic.name)) === undefined;
  });
}

function withLink(domain: Domain, nic: VmInterface): Domain {
  const found = nicByAlias(domain, nicAlias(nic.name));
  if (found === undefined || nic.state === 'absent') return domain;
  const wanted = nic.state === 'down' ? 'down' : 'up';
  return (found.link ?? 'up') === wanted ? domain : setLink(domain, nicAlias(nic.name), wanted);
}

/** Gives the domain on the target of a migration the host devices that its spec asks for and its pod has. */
export function withHostDevices(
  vmi: Vmi,
  domain: Domain,
  pod: PodNetworks,
  inPod: (network: string) => boolean,
): SyncResult {
  let current = domain;
  for (const nic of nicLists(vmi.spec).interfaces) {
    const alias = nicAlias(nic.name, 'sriov');
    if (nic.sriov === undefined || !inPod(nic.name)) continue;
    if (hostDevices(current).some((device) => device.alias === alias)) continue;
    const device = nicOf(writable(vmi), nic.name, pod);
    try {
      if (device !== undefined) current = attachDevice(current, device);
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      const message = `virError(Code=${error.code}, Domain=${error.domain}, Message='${error.message}')`;
      return { domain: current, error: message };
    }
  }
  return { domain: current };
}

/** VMI.status.interfaces as rebuilt from domain and guest agent; what only Multus shows is kept. */
export function statusFromDomain(vmi: Vmi, domain: Domain, podAddress: string | undefined): InterfaceStatus[] {
  const before = vmi.status?.interfaces ?? [];
  const networks = vmi.spec.networks ?? [];
  const next: InterfaceStatus[] = [];
  for (const nic of nicLists(vmi.spec).interfaces) {
    const known = before.find((status) => status.name === nic.name);
    const inMultus = infoSources(known).includes('multus-status');
    const network = networks.find((one) => one.name === nic.name);
    const primary = network?.pod !== undefined || network?.multus?.default === true;
    const found = nicByAlias(domain, nicAlias(nic.name));
    const hostDevice = hostDevices(domain).find((device) => device.alias === nicAlias(nic.name, 'sriov'));
    const device = found ?? hostDevice;
    if (device === undefined) {
      if (inMultus) {
        const podName = known?.podInterfaceName;
        next.push({
          name: nic.name,
          ...(podName !== undefined && { podInterfaceName: podName }),
          infoSource: 'multus-status',
        });
      }
      continue;
    }
    const mac = found?.mac ?? nic.macAddress ?? known?.mac;
    const address = primary ? podAddress : guestAddress(mac ?? nic.name);
    next.push({
      name: nic.name,
      ...(mac !== undefined && { mac }),
      ...(address !== undefined && { ipAddress: address, ipAddresses: [address] }),
      ...(known?.podInterfaceName !== undefined && { podInterfaceName: known.podInterfaceName }),
      interfaceName: guestName(device.address),
      infoSource: inMultus ? 'domain, guest-agent, multus-status' : 'domain, guest-agent',
      ...(found !== undefined && { queueCount: found.queues ?? 1, linkState: found.link ?? 'up' }),
    });
  }
  return next;
}

/** The name that systemd's predictable names give a NIC behind a root port. */
function guestName(address: { readonly bus: number; readonly slot: number } | undefined): string {
  return address === undefined ? 'eth0' : `enp${address.bus}s${address.slot}`;
}

/** An address that the guest got in its own network, the same for the same MAC. */
export function guestAddress(mac: string): string {
  const hash = [...mac].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 62_500, 7);
  return `10.200.${Math.floor(hash / 250)}.${(hash % 250) + 2}`;
}

/** The launcher goes through a Go map, so the order of several plugs is anything. */
function shuffled<T>(list: readonly T[]): readonly T[] {
  return list
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
