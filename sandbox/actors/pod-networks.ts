/**
 * How virt-controller reads and writes the networks of a launcher pod: the annotation at birth and on a running pod,
 * what network-status says for the VMI's status, and whether a migration is needed. Rests on KubeVirt v1.9.0's
 * behaviour as recorded.
 */
import {
  isOrdinalPodInterfaceName,
  ordinalPodInterfaceName,
  podInterfaceName,
  primaryPodInterface,
} from '../../reconcile/systems/kubevirt-names.ts';
import {
  type NetworkStatus,
  networkStatusAnnotation,
  parseNetworkStatus,
} from '../../reconcile/systems/multus-status.ts';
import type { InterfaceStatus, VmInterface, VmNetwork } from './objects.ts';
import { isSecondary, type NicLists } from './vm-networks.ts';

export const defaultNetworkAnnotation = 'v1.multus-cni.io/default-network';

const multusSource = 'multus-status';

/** network-status of a pod; what can not be read counts as empty, as with KubeVirt. */
export function readPodNetworkStatus(
  annotations: Readonly<Record<string, string>> | undefined,
): readonly NetworkStatus[] {
  const parsed = parseNetworkStatus(annotations?.[networkStatusAnnotation] ?? '');
  return parsed.ok ? parsed.entries : [];
}

/** The annotation of a pod that is about to be created; undefined where it has no secondary network. */
export function networksAtBirth(lists: NicLists, namespace: string): string | undefined {
  const nics = new Map(lists.interfaces.map((nic) => [nic.name, nic]));
  const elements = lists.networks
    .filter((network) => isSecondary(network) && nics.get(network.name)?.state !== 'absent')
    .map((network) => element(network, nics.get(network.name), namespace, podInterfaceName(network.name)));
  return elements.length === 0 ? undefined : JSON.stringify(elements);
}

/**
 * The annotation of a running pod, where virt-controller regenerates it: something waits to be plugged, or something is
 * absent. Undefined: left as it is. An SR-IOV NIC that is not in the status yet is left out, also at boot.
 */
export function networksOfRunningPod(
  lists: NicLists,
  namespace: string,
  statuses: readonly InterfaceStatus[],
  podStatus: readonly NetworkStatus[],
): string | undefined {
  const shown = new Set(statuses.map((status) => status.name));
  const nics = new Map(lists.interfaces.map((nic) => [nic.name, nic]));
  const toPlug = lists.interfaces.some(
    (nic) => nic.state !== 'absent' && !shown.has(nic.name) && nic.sriov === undefined,
  );
  const toUnplug = lists.interfaces.some((nic) => nic.state === 'absent');
  if (!toPlug && !toUnplug) return undefined;
  const names = podInterfaceNames(lists.networks, podStatus);
  const elements = lists.networks
    .filter((network) => {
      const nic = nics.get(network.name);
      if (!isSecondary(network) || nic === undefined || nic.state === 'absent') return false;
      return nic.sriov === undefined || shown.has(nic.name);
    })
    .map((network) => element(network, nics.get(network.name), namespace, names.get(network.name) ?? ''));
  return elements.length === 0 ? '' : JSON.stringify(elements);
}

/** Go's order of keys, since virt-controller compares the text. */
function element(network: VmNetwork, nic: VmInterface | undefined, namespace: string, podName: string): object {
  const { namespace: ns, name } = splitNad(network.multus?.networkName ?? '', namespace);
  return {
    name,
    namespace: ns,
    ...(nic?.macAddress !== undefined && nic.macAddress !== '' && { mac: nic.macAddress }),
    interface: podName,
  };
}

/** `ns/name` at its first slash, else a name in the VMI's namespace. */
export function splitNad(
  networkName: string,
  namespace: string,
): { readonly namespace: string; readonly name: string } {
  const slash = networkName.indexOf('/');
  if (slash === -1) return { namespace, name: networkName };
  return { namespace: networkName.slice(0, slash), name: networkName.slice(slash + 1) };
}

/** Pod interface of each secondary network: hashed, or by position where the pod was born that way. */
export function podInterfaceNames(
  networks: readonly VmNetwork[],
  podStatus: readonly NetworkStatus[],
): ReadonlyMap<string, string> {
  const ordinal = podStatus.some((entry) => isOrdinalPodInterfaceName(entry.interface ?? ''));
  return new Map(
    networks
      .filter(isSecondary)
      .map((network, index) => [
        network.name,
        ordinal ? ordinalPodInterfaceName(index + 1) : podInterfaceName(network.name),
      ]),
  );
}

/** Parts of an infoSource; their order means nothing. */
export function infoSources(status: InterfaceStatus | undefined): string[] {
  return (status?.infoSource ?? '').split(', ').filter((source) => source !== '');
}

/** VMI.status.interfaces with multus-status and pod interface names as network-status has them. */
export function statusFromPod(
  networks: readonly VmNetwork[],
  statuses: readonly InterfaceStatus[],
  podStatus: readonly NetworkStatus[],
): InterfaceStatus[] {
  const names = podInterfaceNames(networks, podStatus);
  const inPod = new Set(podStatus.map((entry) => entry.interface));
  const primary = podStatus.find((entry) => entry.default === true)?.interface ?? primaryPodInterface;
  const next = statuses.map((status) => ({ ...status }));
  for (const network of networks) {
    const found = next.find((status) => status.name === network.name);
    const podName = names.get(network.name);
    if (podName === undefined) {
      if (found === undefined) next.push({ name: network.name, podInterfaceName: primary });
      else found.podInterfaceName ??= primary;
    } else if (inPod.has(podName)) {
      const status = found ?? { name: network.name };
      if (found === undefined) next.push(status);
      const sources = infoSources(status);
      if (!sources.includes(multusSource)) status.infoSource = [...sources, multusSource].join(', ');
      status.podInterfaceName = podName;
    } else if (found !== undefined && infoSources(found).includes(multusSource)) {
      const sources = infoSources(found).filter((source) => source !== multusSource);
      if (sources.length === 0) next.splice(next.indexOf(found), 1);
      else found.infoSource = sources.join(', ');
    }
  }
  return next;
}

/** `later`: in-place delivery may still do it, so a grace period runs first. */
export type MigrationNeed = 'none' | 'later' | 'now';

/** The first secondary, in network order, that is not as the spec wants it decides. */
export function migrationNeed(
  lists: NicLists,
  namespace: string,
  statuses: readonly InterfaceStatus[],
  podStatus: readonly NetworkStatus[],
): MigrationNeed {
  for (const network of lists.networks.filter(isSecondary)) {
    const nic = lists.interfaces.find((one) => one.name === network.name);
    const status = statuses.find((one) => one.name === network.name);
    if (nic === undefined) continue;
    if (nic.state === 'absent') {
      const sources = infoSources(status);
      if (sources.includes(multusSource) && !sources.includes('domain')) return 'later';
      continue;
    }
    if (status === undefined) return nic.sriov === undefined ? 'later' : 'now';
    const entry = podStatus.find((one) => one.interface === status.podInterfaceName);
    if (entry !== undefined && !isSameNad(entry.name, network.multus?.networkName ?? '', namespace)) return 'now';
  }
  return 'none';
}

function isSameNad(statusName: string, networkName: string, namespace: string): boolean {
  const { namespace: ns, name } = splitNad(networkName, namespace);
  return statusName === `${ns}/${name}` || statusName === networkName;
}
