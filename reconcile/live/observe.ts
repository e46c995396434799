/** Live state: paged lists of what the desired state refers to, joined VM by VM. */
import { PatchpanelError } from '../errors.ts';
import type { Cells, Cluster, KubeObject, ListOptions, Projection, Resource } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { networkAttachmentDefinitions, pods, virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import { fields } from '../systems/json-shape.ts';
import { annotations, labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import { ownedAnnotation, sourceAnnotation } from '../systems/patchpanel.ts';
import { compareText, type ObjectName, objectKey } from '../vocabulary.ts';
import { readClusterFacts } from './cluster-facts.ts';
import { Compact } from './compact.ts';
import { type ReadDomainsOptions, readDomains } from './domain.ts';
import type { LiveNetwork, LiveState, LiveVm, LiveVmi, SpecNic, UndeclaredVm } from './model.ts';
import { readNamesakes } from './namesakes.ts';
import { projectNetwork } from './networks.ts';
import { specNics } from './nics.ts';
import { type PodWish, readPods } from './pods.ts';
import {
  joinVm,
  type LauncherPod,
  mayRun,
  projectPod,
  projectPodRow,
  projectVm,
  projectVmi,
  readOwned,
  type VmPart,
} from './project.ts';

export interface Wanted {
  /** VMs to read; those that do not exist are missing from the result. */
  readonly targets: readonly ObjectName[];
  /** NADs that the desired state refers to. */
  readonly networks?: readonly ObjectName[];
  /** VMs that are not wanted are looked for in all namespaces, where that is permitted. */
  readonly everywhere?: boolean;
  /** A number of ports is declared for one of them: look for the field that sets it. */
  readonly portField?: boolean;
  /** Plain pods; a list is only made where there are some. */
  readonly pods?: readonly PodWish[];
}

/**
 * `always` reads the XML of every running VM. With `auto` and `never` none is read here: for `auto` the caller knows
 * which VMs have a difference, and reads those with `readDomains`.
 */
export type DomainXmlPolicy = 'auto' | 'always' | 'never';

export interface ObserveOptions extends ReadDomainsOptions {
  readonly domainXml: DomainXmlPolicy;
  /** Whether the domains inside plain pods are read; by default unless `domainXml` is `never`. */
  readonly agents?: boolean;
}

/** Progress, for a terminal; `count` is what was kept. */
export interface ObserveEvent {
  readonly kind: 'listed';
  readonly resource: string;
  /** Undefined for a list of the whole cluster. */
  readonly namespace?: string;
  readonly count: number;
}

/** Beyond so many namespaces one list of the whole cluster is cheaper, where it is permitted. */
const manyNamespaces = 16;

/**
 * Reads the live state of the wanted VMs.
 * @throws PatchpanelError `cluster/no-kubevirt`, and `cluster/*` for lists that fail; what planning can do without
 * (the KubeVirt CR, DaemonSets, domain XML) degrades instead
 */
export async function observe(
  cluster: Cluster,
  wanted: Wanted,
  options: ObserveOptions,
  onEvent: (event: ObserveEvent) => void = () => {},
): Promise<LiveState> {
  const reader = new Reader(cluster, wanted, onEvent);
  const [facts, { vms, macs, undeclared }, vmis, rows, networks, podsFound] = await Promise.all([
    readClusterFacts(cluster, wanted.portField === undefined ? {} : { portField: wanted.portField }),
    reader.vms(),
    reader.vmis(),
    reader.launcherRows(),
    reader.networks(reader.networkNamespaces()),
    readPods(cluster, wanted.pods ?? [], {
      exec: options.agents ?? options.domainXml !== 'never',
      now: () => cluster.serverNow(),
    }),
  ]);
  // What is unplugged needs its NAD too, wherever that is.
  const owned = vms.flatMap((vm) => vm.nics.filter((nic) => vm.owned.includes(nic.name)));
  const distant = owned.flatMap(({ network }) => (network === undefined ? [] : [network.namespace]));
  const ofPods = [...(podsFound?.byQuery.values() ?? [])].flat();
  distant.push(...ofPods.flatMap(({ owned: kept }) => kept.map(({ network }) => network.namespace)));
  networks.push(...(await reader.networks(distant)));

  const launchers = await reader.launchers(rows, vmis);
  const live = new Map<string, LiveVm>();
  for (const vm of vms.toSorted((a, b) => compareText(objectKey(a), objectKey(b)))) {
    const vmi = vmis.get(objectKey(vm));
    live.set(objectKey(vm), joinVm(vm, vmi, vmi === undefined ? [] : (launchers.get(vmi.uid) ?? [])));
  }
  if (options.domainXml === 'always') {
    const readings = await readDomains(cluster, [...live.values()], options);
    for (const [key, vm] of live) live.set(key, { ...vm, domain: readings.get(key) ?? vm.domain });
  }
  const namesakes = await readNamesakes(
    cluster,
    wanted.targets.filter((target) => !live.has(objectKey(target))),
  );
  return {
    cluster: facts,
    vms: live,
    networks: sorted(networks.map((network) => [objectKey(network), network])),
    macs: sorted(macs),
    undeclared: undeclared.toSorted((a, b) => compareText(objectKey(a), objectKey(b))),
    ...(podsFound === undefined ? {} : { pods: podsFound }),
    ...(namesakes.size === 0 ? {} : { namesakes }),
  };
}

/** What one VM of a list comes down to: a VM that was not asked for is there for its MACs, and what it owns. */
interface ListedVm {
  readonly vm?: VmPart;
  readonly macs: readonly (readonly [mac: string, holder: string])[];
  readonly undeclared?: UndeclaredVm;
}

/** A launcher pod, and whether it has to be read in full to know how it is. */
interface LauncherRow {
  readonly namespace: string;
  readonly pod: LauncherPod;
  readonly vague: boolean;
}

const launcherSelector = `${labels.app}=${launcherAppLabel}`;
/** Beyond so many pods one list of them all is cheaper than one request for each. */
const manyPods = 50;

function podKey({ namespace, pod }: LauncherRow): string {
  return objectKey({ namespace, name: pod.name });
}

class Reader {
  readonly #cluster: Cluster;
  readonly #wanted: Wanted;
  readonly #onEvent: (event: ObserveEvent) => void;
  readonly #targets: ReadonlySet<string>;
  readonly #namespaces: readonly string[];
  readonly #networksRead = new Set<string>();
  readonly #compact = new Compact();

  constructor(cluster: Cluster, wanted: Wanted, onEvent: (event: ObserveEvent) => void) {
    this.#cluster = cluster;
    this.#wanted = wanted;
    this.#onEvent = onEvent;
    this.#targets = new Set(wanted.targets.map(objectKey));
    this.#namespaces = [...new Set(wanted.targets.map(({ namespace }) => namespace))].sort();
  }

  /** Wanted VMs, and the MACs of all VMs that are listed with them. */
  async vms(): Promise<{
    readonly vms: readonly VmPart[];
    readonly macs: [string, string][];
    readonly undeclared: readonly UndeclaredVm[];
  }> {
    const listed = await this.#eachNamespace(virtualMachines, undefined, (object) => this.#listedVm(object));
    // A MAC that two VMs have is told of the one that was not asked for: the other is in sight anyway.
    const ordered = [...listed.filter(({ vm }) => vm !== undefined), ...listed.filter(({ vm }) => vm === undefined)];
    return {
      vms: listed.flatMap(({ vm }) => (vm === undefined ? [] : [vm])),
      macs: ordered.flatMap(({ macs }) => macs.map(([mac, holder]): [string, string] => [mac, holder])),
      undeclared: listed.flatMap(({ undeclared }) => (undeclared === undefined ? [] : [undeclared])),
    };
  }

  #listedVm(object: KubeObject): ListedVm | undefined {
    const { namespace = '', name } = object.metadata;
    const vm = this.#targets.has(objectKey({ namespace, name })) ? this.#compact.vm(projectVm(object)) : undefined;
    const nics = vm?.nics ?? specNics(fields(fields(object.spec).template).spec, namespace);
    const macs = nics.flatMap((nic): ListedVm['macs'] =>
      nic.mac === undefined ? [] : [[nic.mac, `${namespace}/${name}/${nic.name}`]],
    );
    if (vm !== undefined) return { vm, macs };
    const undeclared = undeclaredVm(object, nics);
    if (undeclared !== undefined) return { macs, undeclared };
    return macs.length === 0 ? undefined : { macs };
  }

  /** VMIs of wanted VMs by key: a VMI has the name of its VM. */
  async vmis(): Promise<ReadonlyMap<string, LiveVmi>> {
    const entries = await this.#eachNamespace(virtualMachineInstances, undefined, (object) => {
      const { namespace = '', name } = object.metadata;
      const key = objectKey({ namespace, name });
      return this.#targets.has(key) ? ([key, this.#compact.vmi(projectVmi(object))] as const) : undefined;
    });
    return new Map(entries);
  }

  /** Launcher pods of wanted VMs, as rows of the server's table where it makes one. */
  async launcherRows(): Promise<readonly LauncherRow[]> {
    return await this.#eachNamespace(pods, launcherSelector, (object, cells) => this.#launcher(object, cells), {
      rows: true,
    });
  }

  #launcher(object: KubeObject, cells: Cells | undefined): LauncherRow | undefined {
    const { namespace = '', annotations: marks = {} } = object.metadata;
    const vmi = marks[annotations.domain];
    if (vmi !== undefined && !this.#targets.has(objectKey({ namespace, name: vmi }))) return undefined;
    const row = cells === undefined ? { pod: projectPod(object), vague: false } : projectPodRow(object, cells);
    return row?.pod === undefined ? undefined : { namespace, pod: this.#compact.pod(row.pod), vague: row.vague };
  }

  /**
   * The same by UID of their VMI, those in full that may run it and of which the row left something open: a guest that is
   * paused, or whose probe fails. A few are read one by one; where there are many, one list is cheaper.
   */
  async launchers(
    rows: readonly LauncherRow[],
    vmis: ReadonlyMap<string, LiveVmi>,
  ): Promise<ReadonlyMap<string, readonly LauncherPod[]>> {
    const byUid = new Map([...vmis.values()].map((vmi) => [vmi.uid, vmi]));
    const open = rows.filter(({ pod, vague }) => {
      const vmi = byUid.get(pod.vmiUid);
      return vague && vmi !== undefined && mayRun(vmi, pod);
    });
    const full = new Map((await this.#inFull(open)).map((row) => [podKey(row), row]));
    const asked = new Set(open.map(podKey));
    const known = rows.flatMap((row) => (asked.has(podKey(row)) ? (full.get(podKey(row)) ?? []) : [row]));
    return Map.groupBy(
      known.map(({ pod }) => pod),
      ({ vmiUid }) => vmiUid,
    );
  }

  /** Those that are gone meanwhile are missing. */
  async #inFull(rows: readonly LauncherRow[]): Promise<readonly LauncherRow[]> {
    const project = (object: KubeObject): LauncherRow | undefined => this.#launcher(object, undefined);
    if (rows.length > manyPods) return await this.#eachNamespace(pods, launcherSelector, project);
    const lists = rows.map(({ namespace, pod }) => {
      const selection = { namespace, labelSelector: launcherSelector, fieldSelector: `metadata.name=${pod.name}` };
      return this.#cluster.list(pods, selection, project);
    });
    return (await Promise.all(lists)).flatMap(({ items }) => items);
  }

  networkNamespaces(): readonly string[] {
    const ofPods = (this.#wanted.pods ?? []).map(({ namespace }) => namespace);
    return [...this.#namespaces, ...ofPods, ...(this.#wanted.networks ?? []).map(({ namespace }) => namespace)];
  }

  /** NADs of these namespaces, as far as they were not read before. */
  async networks(namespaces: readonly string[]): Promise<LiveNetwork[]> {
    const fresh = [...new Set(namespaces)].filter((namespace) => !this.#networksRead.has(namespace));
    for (const namespace of fresh) this.#networksRead.add(namespace);
    try {
      const lists = fresh.map((namespace) =>
        this.#list(networkAttachmentDefinitions, namespace, undefined, projectNetwork),
      );
      return (await Promise.all(lists)).flat();
    } catch (error) {
      // Without the CRD there are no NADs; every network that is referred to is then reported missing.
      if (isStatus(error, 404)) return [];
      throw error;
    }
  }

  async #eachNamespace<T>(
    resource: Resource,
    labelSelector: string | undefined,
    project: Projection<T>,
    options: ListOptions = {},
  ): Promise<T[]> {
    try {
      const whole = await this.#wholeCluster(resource, labelSelector, project, options);
      if (whole !== undefined) return whole;
      const lists = this.#namespaces.map((namespace) =>
        this.#list(resource, namespace, labelSelector, project, options),
      );
      return (await Promise.all(lists)).flat();
    } catch (error) {
      if (resource.group !== virtualMachines.group || !isStatus(error, 404)) throw error;
      const { server } = this.#cluster;
      throw new PatchpanelError('cluster/no-kubevirt', `${server} serves no ${resource.group}/${resource.version}`);
    }
  }

  /** Undefined where it is not worth it, or not permitted. */
  async #wholeCluster<T>(
    resource: Resource,
    labelSelector: string | undefined,
    project: Projection<T>,
    options: ListOptions,
  ): Promise<T[] | undefined> {
    const everywhere = this.#wanted.everywhere === true && resource.plural === virtualMachines.plural;
    if (this.#namespaces.length <= manyNamespaces && !everywhere) return undefined;
    try {
      return await this.#list(resource, undefined, labelSelector, project, options);
    } catch (error) {
      if (isStatus(error, 403)) return undefined;
      throw error;
    }
  }

  async #list<T>(
    resource: Resource,
    namespace: string | undefined,
    labelSelector: string | undefined,
    project: Projection<T>,
    options: ListOptions = {},
  ): Promise<T[]> {
    const place = namespace === undefined ? {} : { namespace };
    const selection = labelSelector === undefined ? place : { ...place, labelSelector };
    const { items } = await this.#cluster.list(resource, selection, project, options);
    this.#onEvent({ kind: 'listed', resource: resource.plural, ...place, count: items.length });
    return items;
  }
}

/** A VM that is being deleted takes its NICs with it. */
function undeclaredVm({ metadata }: KubeObject, nics: readonly SpecNic[]): UndeclaredVm | undefined {
  const { namespace = '', name, annotations: marks = {}, deletionTimestamp } = metadata;
  const record = new Set(readOwned(marks[ownedAnnotation]));
  if (record.size === 0 || deletionTimestamp !== undefined) return undefined;
  // The default network is off limits, whatever stands in the record.
  const present = nics.filter((nic) => nic.state !== 'absent' && !nic.isDefault && record.has(nic.name));
  const source = marks[sourceAnnotation];
  return { namespace, name, owned: present.map((nic) => nic.name), ...(source === undefined ? {} : { source }) };
}

function sorted<T>(entries: readonly (readonly [string, T])[]): ReadonlyMap<string, T> {
  return new Map([...new Map(entries)].sort(([a], [b]) => compareText(a, b)));
}
