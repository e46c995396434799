/** Desired and live states for tests: a VM whose layers all agree, from which a case departs in what it is about. */

import {
  type DesiredAttachment,
  type DesiredState,
  type DesiredTarget,
  defaultSettings,
  type Settings,
} from '../reconcile/desired/model.ts';
import type {
  ClusterFacts,
  LiveBinding,
  LiveNetwork,
  LiveState,
  LiveVm,
  LiveVmi,
  SpecNic,
  StatusNic,
} from '../reconcile/live/model.ts';
import { nicAlias, podInterfaceName } from '../reconcile/systems/kubevirt-names.ts';
import type { PortFacts } from '../reconcile/systems/kubevirt-ports.ts';
import type { DomainNic, LiveDomain } from '../reconcile/systems/libvirt-domain.ts';
import type { LinkState, ObjectName } from '../reconcile/vocabulary.ts';

export const namespace = 'prod';

export interface NicOptions {
  readonly name: string;
  /** NAD in the namespace `prod`; the name of the NIC with `-net` where left out. */
  readonly network?: string;
  readonly binding?: LiveBinding;
  readonly state?: LinkState | 'absent';
  readonly mac?: string;
  readonly model?: string;
}

export interface VmOptions {
  readonly name?: string;
  readonly owned?: readonly string[];
  /** Root ports of the domain; the default network and every NIC take one each, from 1 on. */
  readonly ports?: number;
  /** False: nobody read the domain XML. */
  readonly xml?: boolean;
  readonly hardware?: Partial<PortFacts>;
  /** Changes to the finished VM. */
  readonly vm?: Partial<LiveVm>;
  readonly vmi?: Partial<LiveVmi>;
}

export const hardware: PortFacts = {
  memoryBytes: 1024 ** 3,
  machineType: 'q35',
  architecture: 'amd64',
  virtioDisks: 1,
  hostDevices: 0,
  gpus: 0,
  virtioInputs: 0,
  watchdog: false,
  rng: false,
  balloon: true,
  disableHotplug: false,
  rootComplexAnnotation: false,
};

const defaultNic: SpecNic = { name: 'default', binding: 'masquerade', state: 'up', model: 'virtio', isDefault: true };

export function nad(name: string): ObjectName {
  return { namespace, name };
}

export function specNic(options: NicOptions): SpecNic {
  return {
    name: options.name,
    binding: options.binding ?? 'bridge',
    state: options.state ?? 'up',
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    ...(options.binding === 'sriov' ? {} : { model: options.model ?? 'virtio' }),
    network: nad(options.network ?? `${options.name}-net`),
    isDefault: false,
  };
}

export function statusNic(options: NicOptions): StatusNic {
  return {
    name: options.name,
    podInterfaceName: podInterfaceName(options.name),
    sources: ['domain', 'multus-status'],
    ...(options.binding === 'sriov' ? {} : { linkState: options.state === 'down' ? 'down' : 'up' }),
    ...(options.mac === undefined ? {} : { mac: options.mac }),
  };
}

function domainNic(options: NicOptions, bus: number): DomainNic {
  const sriov = options.binding === 'sriov';
  return {
    name: options.name,
    alias: nicAlias(options.name, sriov ? 'sriov' : 'bridge'),
    type: sriov ? 'hostdev' : 'ethernet',
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    linkState: options.state === 'down' ? 'down' : 'up',
    address: { domain: 0, bus, slot: 0, function: 0 },
  };
}

/** A q35 domain with so many root ports, the default network on the first and these NICs on the next ones. */
export function domainOf(nics: readonly NicOptions[], ports: number): LiveDomain {
  const found = [{ name: 'default' }, ...nics].map((nic, index) => domainNic(nic, index + 1));
  const controllers = Array.from({ length: ports }, (_, index) => ({
    index: index + 1,
    model: 'pcie-root-port',
    hotplug: true,
    address: { domain: 0, bus: 0, slot: 1, function: index },
  }));
  return {
    name: `${namespace}_db-0`,
    running: true,
    nics: found,
    pciControllers: [{ index: 0, model: 'pcie-root', hotplug: true }, ...controllers],
    devices: [
      ...controllers.map(({ index, address }) => ({ label: `controller pci ${index}`, address })),
      ...found.flatMap(({ alias, address }) =>
        address === undefined ? [] : [{ label: `interface ${alias}`, address }],
      ),
    ],
  };
}

/** A running VM with these NICs in every layer, besides its default network. */
export function runningVm(nics: readonly NicOptions[] = [], options: VmOptions = {}): LiveVm {
  const name = options.name ?? 'db-0';
  const spec = [defaultNic, ...nics.map(specNic)];
  const facts = { ...hardware, ...options.hardware };
  const inPod = nics.map((nic) => ({
    name: nic.network ?? `${nic.name}-net`,
    namespace,
    interface: podInterfaceName(nic.name),
    ...(nic.mac === undefined ? {} : { mac: nic.mac }),
  }));
  return {
    namespace,
    name,
    uid: `uid-${name}`,
    resourceVersion: '1',
    deleting: false,
    nics: spec,
    owned: options.owned ?? [],
    sharedOwnershipAcknowledged: false,
    otherManagers: [],
    conditions: [],
    hardware: facts,
    vmi: {
      uid: `uid-vmi-${name}`,
      resourceVersion: '2',
      phase: 'Running',
      deleting: false,
      nodeName: 'node-1',
      nics: spec,
      status: [{ name: 'default', podInterfaceName: 'eth0', sources: ['domain'] }, ...nics.map(statusNic)],
      conditions: [{ type: 'LiveMigratable', status: 'True' }],
      migrating: false,
      hardware: facts,
      launcherVersion: 'v1.9.0',
      ...options.vmi,
    },
    pod: {
      name: `virt-launcher-${name}`,
      uid: `uid-pod-${name}`,
      phase: 'Running',
      ready: true,
      nodeName: 'node-1',
      deleting: false,
      networks: inPod.filter((_, index) => nics[index]?.binding !== 'sriov'),
      status: [
        { name: 'k8s-pod-network', interface: 'eth0', default: true },
        ...inPod.map((element) => ({ name: `${namespace}/${element.name}`, interface: element.interface })),
      ],
    },
    domain:
      options.xml === false
        ? { kind: 'unread', why: 'not-asked' }
        : { kind: 'read', domain: domainOf(nics, options.ports ?? 8) },
    ...options.vm,
  };
}

/** A VM that has no VMI. */
export function stoppedVm(nics: readonly NicOptions[] = [], options: VmOptions = {}): LiveVm {
  const { vmi: _vmi, pod: _pod, ...vm } = runningVm(nics, options);
  return { ...vm, domain: { kind: 'unread', why: 'not-running' }, ...options.vm };
}

const position = { file: 'vms/db-0.yaml', line: 1, column: 1 };

export function attachment(options: NicOptions): DesiredAttachment {
  return {
    name: options.name,
    network: nad(options.network ?? `${options.name}-net`),
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    binding: options.binding === 'sriov' ? 'sriov' : 'bridge',
    ...(options.model === 'e1000' || options.model === 'virtio' ? { model: options.model } : {}),
    state: options.state === 'down' ? 'down' : 'up',
    position,
  };
}

export function declared(
  nics: readonly NicOptions[],
  options: Pick<DesiredTarget, 'pciePorts' | 'mayRestart'> & { readonly name?: string } = {},
): DesiredTarget {
  return {
    target: { kind: 'VirtualMachine', namespace, name: options.name ?? 'db-0' },
    ...(options.pciePorts === undefined ? {} : { pciePorts: options.pciePorts }),
    ...(options.mayRestart === undefined ? {} : { mayRestart: options.mayRestart }),
    attachments: nics.map(attachment),
    position,
  };
}

export function desiredState(targets: readonly DesiredTarget[], settings: Partial<Settings> = {}): DesiredState {
  return {
    source: { kind: 'folder', path: 'fleet', digest: '00' },
    settings: { ...defaultSettings, ...settings },
    targets,
    files: 1,
  };
}

export const inPlace: ClusterFacts = {
  server: 'https://127.0.0.1:6443',
  delivery: 'in-place',
  deliveryEvidence: 'DaemonSet kube-system/dynamic-networks-controller-ds',
  kubevirtVersion: 'v1.9.0',
  liveMigrateEnabled: true,
};

export const byMigration: ClusterFacts = {
  ...inPlace,
  delivery: 'migration',
  deliveryEvidence: 'no dynamic-networks controller was found',
};

export interface LiveOptions {
  readonly cluster?: ClusterFacts;
  /** NADs in `prod`; those that the VMs and `also` name, where left out. */
  readonly networks?: readonly LiveNetwork[];
  /** NADs to have besides. */
  readonly also?: readonly string[];
  readonly macs?: Readonly<Record<string, string>>;
}

export function network(name: string, more: Partial<LiveNetwork> = {}): LiveNetwork {
  return { ...nad(name), uid: `uid-${name}`, pluginType: 'bridge', ...more };
}

export function liveState(vms: readonly LiveVm[], options: LiveOptions = {}): LiveState {
  const named = vms.flatMap((vm) => vm.nics.flatMap((nic) => (nic.network === undefined ? [] : [nic.network.name])));
  const networks = options.networks ?? [...new Set([...named, ...(options.also ?? [])])].map((name) => network(name));
  return {
    cluster: options.cluster ?? inPlace,
    vms: new Map(vms.map((vm) => [`${vm.namespace}/${vm.name}`, vm])),
    networks: new Map(networks.map((item) => [`${item.namespace}/${item.name}`, item])),
    macs: new Map(Object.entries(options.macs ?? {})),
  };
}
