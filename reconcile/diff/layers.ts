/**
 * What each layer shows of one NIC, brought to one form in which equal things compare equal. A layer that can't be
 * read, or that says nothing of this kind of NIC, has no view and is not compared.
 *
 * Judged by layers alone: generations and the absence of conditions say nothing of NICs.
 */

import type { DesiredAttachment } from '../desired/model.ts';
import type { LiveVm, LiveVmi, SpecNic, StatusNic } from '../live/model.ts';
import { conditionTypes, nicAlias, podInterfaceName } from '../systems/kubevirt-names.ts';
import type { DomainNic } from '../systems/libvirt-domain.ts';
import { normaliseMac } from '../systems/mac.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import { type Layer, objectKey } from '../vocabulary.ts';

/** The fields of one NIC in one layer. Values are strings, so that two views compare field by field. */
export type LayerView = Readonly<Partial<Record<LayerField, string>>>;

/** Fields in the order in which differences list them. */
export const layerFields = ['default', 'network', 'binding', 'mac', 'model', 'state', 'sources'] as const;
export type LayerField = (typeof layerFields)[number];

/**
 * What a layer holds of a NIC: a view, `absent` where the layer can be read and has none, or undefined where it says
 * nothing.
 */
type LayerReading = LayerView | 'absent' | undefined;

export type LayerReadings = Readonly<Record<Layer, LayerReading>>;

/** What was found of one NIC, by layer, as the systems spell it. */
export interface NicTraces {
  readonly vm?: SpecNic;
  /** Undefined also where there is no VMI, or one that has ended. */
  readonly vmi?: SpecNic;
  readonly status?: StatusNic;
  readonly element?: NetworkSelectionElement;
  readonly multus?: NetworkStatus;
  readonly domain?: DomainNic;
  /** In the guest's hardware: by live XML where it was read, else by what VMI status takes from the domain. */
  readonly inDomain: boolean;
  /** In the pod's network namespace: by network-status where it can be parsed, else by VMI status. */
  readonly inMultus: boolean;
}

/** The VMI, unless it has ended: a VMI that succeeded or failed runs nothing and keeps nothing. */
export function activeVmi(live: Pick<LiveVm, 'vmi'>): LiveVmi | undefined {
  const { vmi } = live;
  return vmi === undefined || vmi.phase === 'Succeeded' || vmi.phase === 'Failed' ? undefined : vmi;
}

/** The VMI where its domain runs; only then have the layers below it anything to say. */
export function runningVmi(live: LiveVm): LiveVmi | undefined {
  const vmi = activeVmi(live);
  return vmi?.phase === 'Running' ? vmi : undefined;
}

/** Names that the NIC's pod interface may have: as VMI status tells (VMs of old count `net1`, `net2`), or by hash. */
export function podInterfacesOf(name: string, status: StatusNic | undefined): readonly string[] {
  const told = status?.podInterfaceName;
  return told === undefined ? [podInterfaceName(name)] : [told];
}

/** Finds the NIC of this name in every layer. */
export function traceNic(live: LiveVm, name: string): NicTraces {
  const vm = live.nics.find((nic) => nic.name === name);
  const vmi = activeVmi(live)?.nics.find((nic) => nic.name === name);
  const running = runningVmi(live);
  if (running === undefined) return { ...(vm && { vm }), ...(vmi && { vmi }), inDomain: false, inMultus: false };

  const status = running.status.find((nic) => nic.name === name);
  const interfaces = podInterfacesOf(name, status);
  const matches = (item: { readonly interface?: string }) =>
    item.interface !== undefined && interfaces.includes(item.interface);
  const element = listOf(live.pod?.networks)?.find(matches);
  const statuses = listOf(live.pod?.status);
  const multus = statuses?.find((entry) => entry.default !== true && matches(entry));
  const domain = live.domain.kind === 'read' ? live.domain.domain.nics.find((nic) => isNic(nic, name)) : undefined;
  return {
    ...(vm && { vm }),
    ...(vmi && { vmi }),
    ...(status && { status }),
    ...(element && { element }),
    ...(multus && { multus }),
    ...(domain && { domain }),
    inDomain: live.domain.kind === 'read' ? domain !== undefined : (status?.sources.includes('domain') ?? false),
    inMultus: statuses ? multus !== undefined : (status?.sources.includes('multus-status') ?? false),
  };
}

/** By its whole alias: a bridge NIC may be called `sriov-fast`, which a stripped alias can't tell from SR-IOV `fast`. */
function isNic(nic: DomainNic, name: string): boolean {
  if (nic.alias === undefined) return nic.name === name;
  return nic.alias === nicAlias(name) || (nic.type === 'hostdev' && nic.alias === nicAlias(name, 'sriov'));
}

function listOf<T>(value: readonly T[] | { readonly problem: string } | undefined): readonly T[] | undefined {
  return value === undefined || 'problem' in value ? undefined : value;
}

/** What an attachment must look like in each layer; the keys are those that were declared and that the layer knows. */
export function wantedViews(wanted: DesiredAttachment): Readonly<Record<Layer, LayerView>> {
  const network = objectKey(wanted.network);
  const mac = wanted.mac === undefined ? {} : { mac: normaliseMac(wanted.mac) };
  const spec = {
    network,
    binding: wanted.binding,
    ...mac,
    ...(wanted.model === undefined ? {} : { model: wanted.model }),
    state: wanted.state,
  };
  return {
    vm: { ...spec, default: 'no' },
    vmi: { ...spec, sources: 'domain, multus-status' },
    // KubeVirt writes the declared MAC into the element, and none that it made up.
    pod: { network, ...mac },
    // The MAC of network-status is that of the pod's own link, which need not be the guest's.
    multus: { network },
    domain: wanted.binding === 'sriov' ? {} : { ...mac, state: wanted.state },
    guest: {},
  };
}

/** What each layer shows of the NIC called `name`. */
export function readLayers(live: LiveVm, name: string, traces: NicTraces = traceNic(live, name)): LayerReadings {
  const vmi = activeVmi(live);
  const running = runningVmi(live);
  return {
    vm: traces.vm === undefined ? 'absent' : specView(traces.vm),
    vmi: vmi === undefined ? undefined : vmiView(traces, running !== undefined),
    pod: running === undefined ? undefined : podView(live, traces),
    multus: running === undefined ? undefined : multusView(live, traces),
    domain: running === undefined ? undefined : domainView(live, traces),
    guest: running === undefined ? undefined : guestView(running, traces),
  };
}

function specView(nic: SpecNic): LayerView {
  return {
    default: nic.isDefault ? 'yes' : 'no',
    ...(nic.network === undefined ? {} : { network: objectKey(nic.network) }),
    binding: nic.binding,
    ...(nic.mac === undefined ? {} : { mac: normaliseMac(nic.mac) }),
    // KubeVirt's default where a NIC names none.
    model: nic.model ?? 'virtio',
    state: nic.state,
  };
}

function vmiView(traces: NicTraces, running: boolean): LayerReading {
  const { vmi, status } = traces;
  if (vmi === undefined) return 'absent';
  if (!running) return specView(vmi);
  // A source that the layer itself lacks is that layer's difference; this tells that VMI status has yet to follow.
  const sources = new Set<string>(status?.sources);
  if (!traces.inDomain) sources.add('domain');
  if (!traces.inMultus) sources.add('multus-status');
  const counted = ['domain', 'multus-status'].filter((source) => sources.has(source));
  return { ...specView(vmi), sources: counted.join(', ') };
}

function podView(live: LiveVm, traces: NicTraces): LayerReading {
  const { element } = traces;
  if (listOf(live.pod?.networks) === undefined) return undefined;
  // KubeVirt leaves SR-IOV elements out of a running pod's annotation although the device is there.
  const sriov = (traces.vmi ?? traces.vm)?.binding === 'sriov';
  if (element === undefined) return sriov ? undefined : 'absent';
  return {
    network: `${element.namespace}/${element.name}`,
    ...(element.mac === undefined ? {} : { mac: normaliseMac(element.mac) }),
  };
}

function multusView(live: LiveVm, traces: NicTraces): LayerReading {
  const { multus } = traces;
  if (!traces.inMultus) return 'absent';
  if (multus === undefined) return undefined;
  // Very old Multus wrote the bare name.
  return { network: multus.name.includes('/') ? multus.name : `${live.namespace}/${multus.name}` };
}

function domainView(live: LiveVm, traces: NicTraces): LayerReading {
  if (!traces.inDomain) return 'absent';
  const { domain, status } = traces;
  const state = live.domain.kind === 'read' ? domain?.linkState : status?.linkState;
  const mac = live.domain.kind === 'read' ? domain?.mac : status?.mac;
  return {
    ...(mac === undefined ? {} : { mac: normaliseMac(mac) }),
    ...(state === undefined ? {} : { state }),
  };
}

/** Only a guest with an agent tells, and only of NICs that its hardware has. */
function guestView(vmi: LiveVmi, traces: NicTraces): LayerReading {
  const agent = vmi.conditions.some(({ type, status }) => type === conditionTypes.agentConnected && status === 'True');
  if (!agent || !traces.inDomain) return undefined;
  return traces.status?.sources.includes('guest-agent') ? {} : 'absent';
}
