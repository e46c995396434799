/**
 * How virt-controller carries NIC changes of a VM template to the running VMI, and what it can not carry. Rests on
 * KubeVirt v1.9.0's behaviour as recorded.
 */
import { isOrdinalPodInterfaceName } from '../../reconcile/systems/kubevirt-names.ts';
import { equalJson, type InterfaceStatus, type VmInterface, type VmiSpec, type VmNetwork } from './objects.ts';

export interface NicLists {
  readonly interfaces: readonly VmInterface[];
  readonly networks: readonly VmNetwork[];
}

const absent = 'absent';

/** The two lists of a VM template or a VMI. */
export function nicLists(spec: VmiSpec): NicLists {
  return { interfaces: spec.domain.devices.interfaces ?? [], networks: spec.networks ?? [] };
}

/** A network that is neither the pod network nor Multus's replacement of it. */
export function isSecondary(network: VmNetwork): boolean {
  return network.multus !== undefined && network.multus.default !== true;
}

/**
 * Whether the pod names its secondaries by position, or nobody can tell since none of them has shown up yet; `absent`
 * is silently ignored then.
 */
function hasOrdinalNames(networks: readonly VmNetwork[], statuses: readonly InterfaceStatus[]): boolean {
  const secondaries = networks.filter(isSecondary);
  if (secondaries.length === 0) return false;
  for (const network of secondaries) {
    const seen = statuses.find((status) => status.name === network.name)?.podInterfaceName;
    if (seen !== undefined && seen !== '') return isOrdinalPodInterfaceName(seen);
  }
  return true;
}

/**
 * What the VMI's lists become from the VM's: NAD names and link states are copied (never back from absent), new bridge
 * and SR-IOV NICs are appended in VM order, and absent ones that left the status are dropped. Undefined: no change.
 */
export function nextVmiLists(vm: NicLists, vmi: NicLists, statuses: readonly InterfaceStatus[]): NicLists | undefined {
  const ordinal = hasOrdinalNames(vmi.networks, statuses);
  const inVm = new Map(vm.interfaces.map((nic) => [nic.name, nic]));
  const known = new Set(vmi.interfaces.map((nic) => nic.name));
  const interfaces = vmi.interfaces.map((nic) => withStateOf(nic, inVm.get(nic.name), ordinal));
  const networks = vmi.networks.map((network) =>
    withNadOf(
      network,
      vm.networks.find((one) => one.name === network.name),
    ),
  );
  for (const nic of vm.interfaces) {
    const network = vm.networks.find((one) => one.name === nic.name);
    if (known.has(nic.name) || nic.state === absent || network === undefined) continue;
    if (nic.bridge === undefined && nic.sriov === undefined) continue;
    interfaces.push(nic);
    networks.push(network);
  }
  const gone = goneAbsent(interfaces, statuses);
  const next = {
    interfaces: interfaces.filter((nic) => !gone.has(nic.name)),
    networks: networks.filter((network) => !gone.has(network.name)),
  };
  return equalJson(next, { interfaces: vmi.interfaces, networks: vmi.networks }) ? undefined : next;
}

function withStateOf(nic: VmInterface, wanted: VmInterface | undefined, ordinal: boolean): VmInterface {
  if (wanted === undefined || nic.state === absent || nic.state === wanted.state) return nic;
  if (wanted.state === absent && ordinal) return nic;
  const { state: _, ...rest } = nic;
  return wanted.state === undefined ? rest : { ...rest, state: wanted.state };
}

function withNadOf(network: VmNetwork, wanted: VmNetwork | undefined): VmNetwork {
  if (network.multus === undefined || wanted?.multus === undefined) return network;
  if (network.multus.networkName === wanted.multus.networkName) return network;
  return { ...network, multus: { ...network.multus, networkName: wanted.multus.networkName } };
}

function goneAbsent(interfaces: readonly VmInterface[], statuses: readonly InterfaceStatus[]): ReadonlySet<string> {
  const shown = new Set(statuses.map((status) => status.name));
  return new Set(interfaces.filter((nic) => nic.state === absent && !shown.has(nic.name)).map((nic) => nic.name));
}

/** The VM's lists without absent NICs that the VMI (where there is one) knows no more. Undefined: no change. */
export function nextVmLists(
  vm: NicLists,
  vmi: { readonly lists: NicLists; readonly statuses: readonly InterfaceStatus[] } | undefined,
): NicLists | undefined {
  const held = new Set<string | undefined>([
    ...(vmi?.lists.interfaces.map((nic) => nic.name) ?? []),
    ...(vmi?.statuses.map((status) => status.name) ?? []),
  ]);
  const gone = new Set(vm.interfaces.filter((nic) => nic.state === absent && !held.has(nic.name)).map((n) => n.name));
  if (gone.size === 0) return undefined;
  return {
    interfaces: vm.interfaces.filter((nic) => !gone.has(nic.name)),
    networks: vm.networks.filter((network) => !gone.has(network.name)),
  };
}

/**
 * Whether the NICs of the template differ from the VMI's in what only a restart brings: a NIC deleted from the lists,
 * any field but the link state, any field of a network but the NAD's name. New NICs of other bindings do not count.
 */
export function nicsNeedRestart(vm: NicLists, vmi: NicLists): boolean {
  const interfaces = new Map(vm.interfaces.map((nic) => [nic.name, nic]));
  const networks = new Map(vm.networks.map((network) => [network.name, network]));
  const nicDiffers = vmi.interfaces.some((nic) => {
    const wanted = interfaces.get(nic.name);
    return wanted === undefined || !equalJson(withoutState(nic), withoutState(wanted));
  });
  const networkDiffers = vmi.networks.some((network) => {
    const wanted = networks.get(network.name);
    return wanted === undefined || !equalJson(withoutNad(network), withoutNad(wanted));
  });
  const podNetworkAdded =
    vm.networks.some((network) => network.pod !== undefined) &&
    !vmi.networks.some((network) => network.pod !== undefined);
  return nicDiffers || networkDiffers || podNetworkAdded;
}

function withoutState({ state: _, ...rest }: VmInterface): object {
  return rest;
}

function withoutNad(network: VmNetwork): object {
  if (network.multus === undefined) return network;
  const { networkName: _, ...multus } = network.multus;
  return { ...network, multus };
}

/** A spec with these lists; the original is left alone. */
export function withNicLists(spec: VmiSpec, lists: NicLists): VmiSpec {
  return {
    ...spec,
    domain: { ...spec.domain, devices: { ...spec.domain.devices, interfaces: [...lists.interfaces] } },
    networks: [...lists.networks],
  };
}
