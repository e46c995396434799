/** Ready-made fleets: many like VMs for measurements, and the few that the demonstration talks of. */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields } from '../../reconcile/systems/json-shape.ts';
import { hardwareFacts } from '../../reconcile/systems/kubevirt-hardware.ts';
import { slotCountFor } from '../../reconcile/systems/kubevirt-ports.ts';
import type { Store } from '../api/contract.ts';
import { type Seed, type SeedNic, type SeedVm, settledVm } from './seed.ts';

export const fleetNamespace = 'fleet';

export interface FleetOptions {
  readonly count: number;
  readonly namespace?: string;
  /** Secondary NICs a VM, each on a network of its own. */
  readonly nics?: number;
  /** RFC 3339; when the VMs were created and started. */
  readonly created?: string;
}

/** The networks of a fleet, then its VMs, one after another: thousands need not be held at once. */
export function* fleetSeeds({ count, namespace = fleetNamespace, nics = 3, created }: FleetOptions): Generator<Seed> {
  yield namespaceSeed(namespace);
  const wanted = Array.from({ length: nics }, (_, index) => ({
    name: `net-${index + 1}`,
    network: `vlan${100 + index}`,
  }));
  for (const { network } of wanted) yield bridgeNetwork({ namespace, name: network });
  const born = created === undefined ? {} : { created };
  const digits = Math.max(1, String(count - 1).length);
  for (let number = 0; number < count; number += 1)
    yield* settledVm({ namespace, name: `vm-${String(number).padStart(digits, '0')}`, nics: wanted, ...born });
}

/** Puts seeds into a store. Returns how many. */
export function plant(store: Pick<Store, 'seed'>, seeds: Iterable<Seed>): number {
  let planted = 0;
  for (const { group, plural, object } of seeds) {
    store.seed(group, plural, object);
    planted += 1;
  }
  return planted;
}

export const demoNamespace = 'demo';

/** PCIe root ports that the demonstration's database VM starts with. */
export const demoDatabasePorts = 24;

const demoNetworks = [
  { name: 'storage-net', mtu: 9000 },
  { name: 'backup-net', mtu: 9000 },
  { name: 'mgmt-net' },
  { name: 'vlan100' },
  { name: 'vlan200' },
  { name: 'vlan300' },
] as const;

/**
 * The demonstration's namespace: six networks; web-0 and web-1, q35 as it comes, with four free ports, web-1 with a NIC
 * to unplug; db-0, which its slot count gives 24 ports.
 *
 * @param created RFC 3339; when the VMs were created and started
 */
export function demoSeeds(created?: string): readonly Seed[] {
  const namespace = demoNamespace;
  const storage: SeedNic = { name: 'storage', network: 'storage-net', mac: '02:70:70:00:01:00' };
  const born = created === undefined ? {} : { created };
  const database: SeedVm = { namespace, name: 'db-0', node: 'node01', ...born };
  return [
    namespaceSeed(namespace),
    ...demoNetworks.map((network) => bridgeNetwork({ namespace, ...network })),
    ...settledVm({ namespace, name: 'web-0', node: 'node01', ...born }),
    ...settledVm({ namespace, name: 'web-1', node: 'node02', nics: [storage], ...born }),
    ...settledVm({ ...database, slotCount: slotsFor(database, demoDatabasePorts) }),
  ];
}

/** The slot count that gives a VM so many root ports. */
function slotsFor(wish: SeedVm, ports: number): number {
  const vm = settledVm(wish)[0]?.object;
  const spec = fields(fields(fields(vm?.spec).template).spec);
  const slots = slotCountFor(hardwareFacts(spec, {}), 1 + (wish.nics?.length ?? 0), ports);
  if (slots === undefined) throw new Error(`${wish.name} has ${ports} ports without a slot count`);
  return slots;
}

/** A network attachment definition whose CNI plugin is a Linux bridge. */
function bridgeNetwork(wish: { readonly namespace: string; readonly name: string; readonly mtu?: number }): Seed {
  const { namespace, name, mtu } = wish;
  const config = JSON.stringify({
    cniVersion: '1.0.0',
    name,
    type: 'bridge',
    bridge: `br-${name.replace(/-net$/, '')}`,
    ...(mtu === undefined ? {} : { mtu }),
    ipam: {},
  });
  const object: KubeObject = {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace, generation: 1 },
    spec: { config },
  };
  return { group: 'k8s.cni.cncf.io', plural: 'network-attachment-definitions', object };
}

function namespaceSeed(name: string): Seed {
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
  return { group: '', plural: 'namespaces', object };
}
