/** Plain pods that the desired state names, or selects by their labels. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { events, pods } from '../kube/resources.ts';
import { fields, items, present, text } from '../systems/json-shape.ts';
import { annotations, computeContainer, labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import { readElements } from '../systems/multus-edit.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { networkStatusAnnotation, parseNetworkStatus } from '../systems/multus-status.ts';
import { heldAnnotation, ownedAnnotation, protectAnnotation, sourceAnnotation } from '../systems/patchpanel.ts';
import type { DomainTarget } from '../vocabulary.ts';
import { readAgent } from './agent.ts';
import { readHeld } from './held.ts';
import { readControllerPresence } from './pod-controller.ts';
import type { ControllerEvent, LivePods, LiveTargetPod, OwnedInterface } from './pod-model.ts';
import { imageVersion } from './project.ts';
import { readProtection } from './protection.ts';
import { readSuspension } from './suspension.ts';

/** One pod by name, or those that match a selector; `key` is what the result calls them. */
export interface PodWish {
  readonly key: string;
  readonly namespace: string;
  readonly name?: string;
  readonly selector?: string;
  readonly domain?: DomainTarget;
}

export interface ReadPodsOptions {
  /** Whether domains may be looked at by exec. */
  readonly exec: boolean;
  /** Milliseconds since the epoch, by the server's clock; it is asked after an answer. */
  readonly now: () => number;
}

/** The controller's own name for itself in events. */
const eventSource = 'pod-networks-updates';
/** So long after a write a change may be on its way; after a failure the controller gives up much sooner. */
const settlingMs = 30_000;
/** How many domains are looked at side by side. */
const agentsAtOnce = 8;

/** Reads the pods that are wanted; without a wish nothing is asked of the cluster. */
export async function readPods(
  cluster: Cluster,
  wishes: readonly PodWish[],
  options: ReadPodsOptions,
): Promise<LivePods | undefined> {
  if (wishes.length === 0) return undefined;
  const [lists, controller] = await Promise.all([
    Promise.all(wishes.map((wish) => listPods(cluster, wish, options.now))),
    readControllerPresence(cluster),
  ]);
  const reported = await readEvents(
    cluster,
    lists.flat().filter(({ networksText }) => networksText !== undefined),
  );
  const byQuery = new Map<string, readonly LiveTargetPod[]>();
  for (const [index, wish] of wishes.entries()) {
    const found = (lists[index] ?? []).map((pod) => {
      const known = reported === undefined ? undefined : (reported.get(pod.uid) ?? []);
      return known === undefined ? pod : { ...pod, events: known };
    });
    byQuery.set(wish.key, await withAgents(cluster, found, wish.domain, options.exec));
  }
  return { byQuery, ...controller };
}

async function listPods(cluster: Cluster, wish: PodWish, now: () => number): Promise<readonly LiveTargetPod[]> {
  const { namespace, name, selector } = wish;
  const place = {
    namespace,
    ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  };
  const found = await cluster.list(pods, place, (object) => projectTargetPod(object, now()));
  return found.items.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function withAgents(
  cluster: Cluster,
  found: readonly LiveTargetPod[],
  domain: DomainTarget | undefined,
  exec: boolean,
): Promise<readonly LiveTargetPod[]> {
  if (domain === undefined) return found;
  const read: LiveTargetPod[] = [];
  for (let at = 0; at < found.length; at += agentsAtOnce) {
    const batch = found.slice(at, at + agentsAtOnce).map(async (pod): Promise<LiveTargetPod> => {
      const off = { kind: 'unread', why: '--domain-xml never forbids to look into the pod' } as const;
      return { ...pod, domain: exec ? await readAgent(cluster, pod, domain) : off };
    });
    read.push(...(await Promise.all(batch)));
  }
  return read;
}

/** What the controller reported, by UID of the pod; undefined where events can't be read. */
async function readEvents(
  cluster: Cluster,
  about: readonly LiveTargetPod[],
): Promise<ReadonlyMap<string, readonly ControllerEvent[]> | undefined> {
  const namespaces = [...new Set(about.map(({ namespace }) => namespace))];
  try {
    const lists = await Promise.all(
      namespaces.map((namespace) =>
        cluster.list(events, { namespace, fieldSelector: `source=${eventSource}` }, readEvent),
      ),
    );
    const all = lists.flatMap((list) => list.items).sort((a, b) => a.at - b.at || a.version - b.version);
    return new Map(
      [...Map.groupBy(all, ({ uid }) => uid)].map(([uid, ofPod]) => [uid, ofPod.map(({ event }) => event)]),
    );
  } catch (error) {
    if (error instanceof PatchpanelError && error.code === 'cluster/forbidden') return undefined;
    throw error;
  }
}

const reasons = ['AddedInterface', 'FailedAddingInterface', 'RemovedInterface', 'FailedRemovingInterface'] as const;
const eventPattern =
  /^pod \[[^\]]*\]: (?:failed )?(?:add|remov)(?:ed|ing) interface (\S+) (?:to|from) network: ([^\s(]+)/;

function readEvent(object: KubeObject):
  | {
      readonly uid: string;
      readonly at: number;
      readonly version: number;
      readonly event: ControllerEvent;
    }
  | undefined {
  const reason = reasons.find((known) => known === object.reason);
  const words = eventPattern.exec(text(object.message) ?? '');
  const uid = text(fields(object.involvedObject).uid);
  const [, iface, network] = words ?? [];
  if (reason === undefined || uid === undefined || iface === undefined || network === undefined) return undefined;
  const times = [object.lastTimestamp, fields(object.series).lastObservedTime, object.eventTime];
  return {
    uid,
    at: Math.max(...times.map((time) => (typeof time === 'string' && Date.parse(time)) || 0)),
    version: Number(object.metadata.resourceVersion ?? 0),
    event: { reason, interface: iface, network },
  };
}

/** A pod, reduced. */
function projectTargetPod(object: KubeObject, now: number): LiveTargetPod {
  const { metadata, spec } = object;
  const status = fields(object.status);
  const marks = metadata.annotations ?? {};
  const namespace = metadata.namespace ?? '';
  const networksText = marks[networksAnnotation];
  const networks = readElements(networksText, namespace);
  const statusText = marks[networkStatusAnnotation];
  const reported = statusText === undefined || statusText === '' ? undefined : parseNetworkStatus(statusText);
  const node = text(fields(spec).nodeName);
  const source = marks[sourceAnnotation];
  const suspension = readSuspension(object);
  const protection = readProtection(marks[protectAnnotation]);
  const launcher = launcherOf(object);
  const held = readHeld(marks[heldAnnotation]);
  const containers = items(status.containerStatuses).map(fields);
  return {
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? '',
    phase: text(status.phase) ?? 'Pending',
    deleting: metadata.deletionTimestamp !== undefined,
    hostNetwork: fields(spec).hostNetwork === true,
    running: containers.every(({ state }) => present(fields(state).running)),
    ...(node === undefined ? {} : { node }),
    ...(networksText === undefined ? {} : { networksText }),
    networks: networks.ok ? networks.elements : { problem: networks.error },
    ...(reported === undefined ? {} : { status: reported.ok ? reported.entries : { problem: reported.error } }),
    owned: readOwnedInterfaces(marks[ownedAnnotation]),
    ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
    ...(source === undefined ? {} : { source }),
    ...(protection === undefined ? {} : { protection }),
    ...(held === undefined ? {} : { held }),
    ...(suspension === undefined ? {} : { suspension }),
    owners: ownersOf(object),
    mirror: marks['kubernetes.io/config.mirror'] !== undefined,
    ...(launcher === undefined ? {} : { launcher }),
    primaryUdn: hasPrimaryUdn(marks, reported?.ok === true ? reported.entries : []),
    settling: now - networksWrittenAt(metadata.managedFields ?? []) < settlingMs,
    annotationBytes: Object.entries(marks).reduce((sum, entry) => sum + Buffer.byteLength(entry.join('')), 0),
  };
}

function launcherOf({ metadata, spec }: KubeObject): LiveTargetPod['launcher'] {
  const vmi = metadata.annotations?.[annotations.domain] ?? metadata.labels?.[labels.vmiId];
  if (metadata.labels?.[labels.app] !== launcherAppLabel && vmi === undefined) return undefined;
  const compute = items(fields(spec).containers)
    .map(fields)
    .find(({ name }) => name === computeContainer);
  const version = imageVersion(text(compute?.image));
  return { vmi: vmi ?? metadata.name, ...(version === undefined ? {} : { version }) };
}

/** The Deployment of a ReplicaSet is in its name: what is left without the hash of the template. */
function ownersOf({ metadata }: KubeObject): LiveTargetPod['owners'] {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return [];
  const nearest = { kind: owner.kind, name: owner.name };
  const ending = `-${metadata.labels?.['pod-template-hash'] ?? ''}`;
  if (owner.kind !== 'ReplicaSet' || ending === '-' || !owner.name.endsWith(ending)) return [nearest];
  return [nearest, { kind: 'Deployment', name: owner.name.slice(0, -ending.length) }];
}

/** A record that can't be read owns nothing: then nothing of that pod is unplugged. */
export function readOwnedInterfaces(record: string | undefined): readonly OwnedInterface[] {
  if (record === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(record);
  } catch {
    return [];
  }
  return items(parsed).flatMap((entry) => {
    const { name, network, interface: iface, domain } = fields(entry);
    const of = { namespace: text(fields(network).namespace), name: text(fields(network).name) };
    if (typeof name !== 'string' || typeof iface !== 'string' || of.namespace === undefined || of.name === undefined) {
      return [];
    }
    const within = text(domain);
    return [
      {
        name,
        network: { namespace: of.namespace, name: of.name },
        interface: iface,
        ...(within === undefined ? {} : { domain: within }),
      },
    ];
  });
}

function hasPrimaryUdn(
  marks: Readonly<Record<string, string>>,
  status: readonly { readonly interface?: string; readonly default?: boolean }[],
): boolean {
  if (status.some((entry) => entry.default === true && /^ovn-udn\d+$/.test(entry.interface ?? ''))) return true;
  try {
    const networks = fields(JSON.parse(marks['k8s.ovn.org/pod-networks'] ?? '{}'));
    return Object.entries(networks).some(([name, network]) => name !== 'default' && fields(network).role === 'primary');
  } catch {
    return false;
  }
}

/** When somebody last wrote the networks annotation, by the server's record of writers. */
function networksWrittenAt(managers: readonly unknown[]): number {
  const times = managers.map(fields).flatMap(({ time, fieldsV1 }) => {
    const marks = fields(fields(fields(fieldsV1)['f:metadata'])['f:annotations']);
    return typeof time === 'string' && marks[`f:${networksAnnotation}`] !== undefined ? [Date.parse(time) || 0] : [];
  });
  return Math.max(0, ...times);
}
