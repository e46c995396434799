/**
 * virt-controller's controller of VirtualMachineInstances: makes the launcher pod, takes the VMI through its phases,
 * rewrites the networks annotation of the running pod, and says in the status what the pod shows.
 */
import type { Cluster, PatchOperation } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { pods, virtualMachineInstances } from '../../reconcile/kube/resources.ts';
import {
  annotations,
  conditionTypes,
  foregroundDeleteFinalizer,
  labels,
  launcherAppLabel,
  migrationGraceSeconds,
} from '../../reconcile/systems/kubevirt-names.ts';
import { networksAnnotation } from '../../reconcile/systems/multus-networks.ts';
import type { Caches } from './caches.ts';
import type { EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { launcherImage, launcherPod, renderFailure } from './launcher-pod.ts';
import { failedCreate } from './new-vmi.ts';
import {
  equalJson,
  findCondition,
  type InterfaceStatus,
  isFinal,
  json,
  type Pod,
  readAs,
  type Vmi,
  type VmiStatus,
  withCondition,
  withoutCondition,
  writable,
} from './objects.ts';
import {
  migrationNeed,
  networksOfRunningPod,
  podInterfaceNames,
  readPodNetworkStatus,
  statusFromPod,
} from './pod-networks.ts';
import { withObservedVersions } from './vm-controller.ts';
import { nicLists } from './vm-networks.ts';
import { isMigrating } from './vm-status.ts';
import { withMigrationRequired, withPhase, withReady } from './vmi-status.ts';
import { WorkQueue } from './work-queue.ts';

/** Launcher pods of the cache by the UID of their VMI. */
export class PodIndex {
  readonly #byVmi = new Map<string, Map<string, Pod>>();

  constructor(informer: Informer, changed: (vmiKey: string) => void) {
    informer.onChange((change, object) => {
      const pod = readAs<Pod>(object);
      const owner = pod.metadata.labels?.[labels.createdBy];
      if (owner === undefined) return;
      const list = this.#byVmi.get(owner) ?? new Map<string, Pod>();
      if (change === 'deleted') list.delete(pod.metadata.uid);
      else list.set(pod.metadata.uid, pod);
      if (list.size === 0) this.#byVmi.delete(owner);
      else this.#byVmi.set(owner, list);
      changed(`${pod.metadata.namespace}/${pod.metadata.annotations?.[annotations.domain] ?? ''}`);
    });
  }

  of(vmi: Vmi): readonly Pod[] {
    return [...(this.#byVmi.get(vmi.metadata.uid)?.values() ?? [])];
  }

  /** KubeVirt's choice: the newest pod on the VMI's node; before it has one, the newest that is no migration target. */
  current(vmi: Vmi): Pod | undefined {
    const node = vmi.status?.nodeName;
    const fitting = this.of(vmi).filter((pod) =>
      node === undefined
        ? pod.metadata.labels?.[labels.migrationJobUid] === undefined
        : pod.spec.nodeName === node && pod.metadata.name !== pendingTarget(vmi),
    );
    return fitting
      .sort((a, b) => Number(b.metadata.resourceVersion) - Number(a.metadata.resourceVersion))
      .sort(byAge)[0];
  }
}

function byAge(a: Pod, b: Pod): number {
  return (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? '');
}

function pendingTarget(vmi: Vmi): string | undefined {
  const state = vmi.status?.migrationState;
  return state !== undefined && state.completed !== true ? state.targetPod : undefined;
}

export class VmiController {
  readonly #cluster: Cluster;
  readonly #vmis: Informer;
  readonly #pods: Informer;
  readonly #index: PodIndex;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;
  readonly #graceMs: number;
  /** When each VMI began to wait for in-place delivery, by UID. */
  readonly #waitingSince = new Map<string, number>();
  readonly #deleting = new Set<string>();

  constructor(cluster: Cluster, { vmis, pods: podInformer }: Caches, events: EventRecorder, speed: number) {
    this.#cluster = cluster;
    this.#vmis = vmis;
    this.#pods = podInformer;
    this.#events = events;
    this.#graceMs = (migrationGraceSeconds * 1000) / speed;
    this.#queue = new WorkQueue((key) => this.#sync(key));
    this.#index = new PodIndex(podInformer, (key) => this.#queue.add(key));
    vmis.onChange((change, object) => {
      if (change === 'deleted') this.#waitingSince.delete(object.metadata.uid ?? '');
      this.#queue.add(keyOf(object));
    });
    podInformer.onChange((change, object) => {
      if (change === 'deleted') this.#deleting.delete(object.metadata.uid ?? '');
    });
  }

  get index(): PodIndex {
    return this.#index;
  }

  async stop(): Promise<void> {
    await this.#queue.close();
  }

  async #sync(key: string): Promise<void> {
    const stored = this.#vmis.byKey(key);
    if (stored === undefined) return;
    const vmi = readAs<Vmi>(stored);
    const observed = withObservedVersions(vmi);
    if (observed !== undefined && vmi.metadata.deletionTimestamp === undefined) {
      await this.#update(observed);
      return;
    }
    if (vmi.metadata.deletionTimestamp !== undefined || isFinal(vmi)) {
      await this.#end(vmi);
      return;
    }
    const pod = this.#index.current(vmi);
    if (pod === undefined && vmi.status?.phase === 'Pending') await this.#createPod(vmi);
    else if (vmi.status?.phase === 'Running') await this.#running(vmi, pod);
    else await this.#starting(vmi, pod);
  }

  async #createPod(vmi: Vmi): Promise<void> {
    const failure = renderFailure(vmi);
    if (failure !== undefined) {
      const known = findCondition(vmi.status?.conditions, conditionTypes.synchronized);
      if (known?.message === failure) return;
      const conditions = withCondition(withReady(vmi, undefined), failedCreate(failure));
      await this.#update({ ...vmi, status: { ...vmi.status, conditions } });
      return;
    }
    const created = await this.#cluster.create(pods, launcherPod(vmi));
    this.#pods.observe(created);
    const message = `Created virtual machine pod ${created.metadata.name}`;
    this.#events.emit(vmi, 'Normal', 'SuccessfulCreate', message);
  }

  /** Pending to Scheduled: full updates. */
  async #starting(vmi: Vmi, pod: Pod | undefined): Promise<void> {
    if (pod === undefined) return;
    const running = pod.status?.phase === 'Running';
    if (running) await this.#syncAnnotation(vmi, pod);
    let status: VmiStatus = { ...vmi.status, activePods: this.#activePods(vmi) };
    const conditions = withReady(vmi, pod);
    status.conditions = withoutCondition(conditions, conditionTypes.synchronized);
    if (vmi.status?.phase === 'Pending') status = withPhase(status, 'Scheduling');
    else if (vmi.status?.phase === 'Scheduling' && running) {
      status = withPhase(status, 'Scheduled');
      status.interfaces = this.#interfaces(vmi, pod);
      status.nodeName = pod.spec.nodeName ?? '';
      status.launcherContainerImageVersion = launcherImage;
      status.qosClass = 'Burstable';
    }
    if (!equalJson(status, vmi.status)) {
      const labelled = status.nodeName === undefined ? {} : { [labels.nodeName]: status.nodeName };
      const metadata = { ...vmi.metadata, labels: { ...vmi.metadata.labels, ...labelled } };
      await this.#update({ ...vmi, metadata, status });
    }
    await this.#labelPod(pod, status.nodeName);
  }

  /** A running VMI: the annotation first, then one JSON patch of what changed in the status. */
  async #running(vmi: Vmi, pod: Pod | undefined): Promise<void> {
    if (pod !== undefined && pod.status?.phase === 'Running') await this.#syncAnnotation(vmi, pod);
    // What is needed is judged by the status as it is about to be.
    const interfaces = pod === undefined ? vmi.status?.interfaces : this.#interfaces(vmi, pod);
    const conditions = withMigrationRequired(withReady(vmi, pod), this.#migrationState(vmi, pod, interfaces ?? []));
    const patch: PatchOperation[] = [];
    if (!equalJson(conditions, vmi.status?.conditions)) {
      patch.push({ op: 'test', path: '/status/conditions', value: json(vmi.status?.conditions) });
      patch.push({ op: 'replace', path: '/status/conditions', value: json(conditions) });
    }
    const active = this.#activePods(vmi);
    if (!equalJson(active, vmi.status?.activePods)) {
      patch.push({ op: 'test', path: '/status/activePods', value: json(vmi.status?.activePods) });
      patch.push({ op: 'replace', path: '/status/activePods', value: active });
    }
    if (pod === undefined) {
      patch.push({ op: 'test', path: '/status/phase', value: 'Running' });
      patch.push({ op: 'replace', path: '/status/phase', value: 'Failed' });
    } else {
      if (vmi.status?.launcherContainerImageVersion !== launcherImage) {
        patch.push({ op: 'add', path: '/status/launcherContainerImageVersion', value: launcherImage });
      }
      if (!equalJson(interfaces, vmi.status?.interfaces)) {
        patch.push({ op: 'test', path: '/status/interfaces', value: json(vmi.status?.interfaces) });
        patch.push({ op: 'add', path: '/status/interfaces', value: json(interfaces) });
      }
    }
    await this.#patch(vmi, patch);
    if (pod !== undefined) await this.#labelPod(pod, vmi.status?.nodeName);
  }

  /** Deletes the pods of a VMI that ends, and lets go of it when they are gone. */
  async #end(vmi: Vmi): Promise<void> {
    const all = this.#index.of(vmi);
    if (vmi.metadata.deletionTimestamp !== undefined) {
      for (const pod of all) await this.#deletePod(vmi, pod);
    }
    const pod = all.find((one) => one.metadata.deletionTimestamp === undefined) ?? all[0];
    const conditions = withReady(vmi, pod);
    const left = all.length > 0 ? this.#activePods(vmi) : undefined;
    if (all.length > 0 || vmi.metadata.deletionTimestamp === undefined) {
      if (equalJson(conditions, vmi.status?.conditions)) return;
      await this.#patch(vmi, [
        { op: 'test', path: '/status/conditions', value: json(vmi.status?.conditions) },
        { op: 'replace', path: '/status/conditions', value: json(conditions) },
      ]);
      return;
    }
    if (!isFinal(vmi)) {
      await this.#patch(vmi, [
        { op: 'test', path: '/status/conditions', value: json(vmi.status?.conditions) },
        { op: 'replace', path: '/status/conditions', value: json(conditions) },
        { op: 'test', path: '/status/phase', value: json(vmi.status?.phase) },
        { op: 'replace', path: '/status/phase', value: 'Failed' },
      ]);
      return;
    }
    const finalizers = vmi.metadata.finalizers ?? [];
    if (!finalizers.includes(foregroundDeleteFinalizer) && left === vmi.status?.activePods) return;
    const { activePods: _, ...status } = vmi.status ?? {};
    await this.#update({
      ...vmi,
      metadata: { ...vmi.metadata, finalizers: finalizers.filter((one) => one !== foregroundDeleteFinalizer) },
      status: { ...status, conditions },
    });
  }

  async #deletePod(vmi: Vmi, pod: Pod): Promise<void> {
    if (pod.metadata.deletionTimestamp !== undefined || this.#deleting.has(pod.metadata.uid)) return;
    this.#deleting.add(pod.metadata.uid);
    await this.#cluster.delete(pods, pod.metadata.namespace, pod.metadata.name);
    const message = `Deleted virtual machine pod ${pod.metadata.name}`;
    this.#events.emit(vmi, 'Normal', 'SuccessfulDelete', message);
  }

  #activePods(vmi: Vmi): Record<string, string> {
    return Object.fromEntries(this.#index.of(vmi).map((pod) => [pod.metadata.uid, pod.spec.nodeName ?? '']));
  }

  #interfaces(vmi: Vmi, pod: Pod): InterfaceStatus[] {
    const status = readPodNetworkStatus(pod.metadata.annotations);
    return statusFromPod(vmi.spec.networks ?? [], vmi.status?.interfaces ?? [], status);
  }

  /** Pending turns into required when in-place delivery has not come within the grace period. */
  #migrationState(
    vmi: Vmi,
    pod: Pod | undefined,
    interfaces: readonly InterfaceStatus[],
  ): 'none' | 'pending' | 'required' {
    const known = findCondition(vmi.status?.conditions, conditionTypes.migrationRequired);
    const { uid, namespace } = vmi.metadata;
    if (pod === undefined || isMigrating(vmi)) {
      if (known === undefined) return 'none';
      return known.status === 'True' ? 'required' : 'pending';
    }
    const status = readPodNetworkStatus(pod.metadata.annotations);
    const need = migrationNeed(nicLists(vmi.spec), namespace, interfaces, status);
    if (need !== 'later') {
      this.#waitingSince.delete(uid);
      return need === 'now' ? 'required' : 'none';
    }
    const now = performance.now();
    const since = this.#waitingSince.get(uid) ?? now;
    this.#waitingSince.set(uid, since);
    const left = since + this.#graceMs - now;
    if (left <= 0) return 'required';
    this.#queue.addAfter(`${namespace}/${vmi.metadata.name}`, Math.ceil(left) + 1);
    return 'pending';
  }

  async #syncAnnotation(vmi: Vmi, pod: Pod): Promise<void> {
    const podStatus = readPodNetworkStatus(pod.metadata.annotations);
    const lists = nicLists(vmi.spec);
    const patch: PatchOperation[] = [];
    const info = networkInfo(vmi, pod);
    if (info !== undefined && info !== pod.metadata.annotations?.[annotations.networkInfo]) {
      patch.push({ op: 'add', path: annotationPath(annotations.networkInfo), value: info });
    }
    const value = networksOfRunningPod(lists, vmi.metadata.namespace, vmi.status?.interfaces ?? [], podStatus);
    if (value !== undefined && value !== (pod.metadata.annotations?.[networksAnnotation] ?? '')) {
      patch.push({ op: 'add', path: annotationPath(networksAnnotation), value });
    }
    await this.#patchPod(pod, patch);
  }

  async #labelPod(pod: Pod, node: string | undefined): Promise<void> {
    const current = pod.metadata.labels ?? {};
    if (node === undefined || pod.spec.nodeName !== node || current[labels.nodeName] === node) return;
    if (current[labels.app] !== launcherAppLabel) return;
    await this.#patchPod(pod, [
      { op: 'test', path: '/metadata/labels', value: current },
      { op: 'replace', path: '/metadata/labels', value: { ...current, [labels.nodeName]: node } },
    ]);
  }

  async #patchPod(pod: Pod, patch: readonly PatchOperation[]): Promise<void> {
    if (patch.length === 0) return;
    const { namespace, name } = pod.metadata;
    this.#pods.observe(await this.#cluster.jsonPatch(pods, namespace, name, patch));
  }

  async #patch(vmi: Vmi, patch: readonly PatchOperation[]): Promise<void> {
    if (patch.length === 0) return;
    const { namespace, name } = vmi.metadata;
    this.#vmis.observe(await this.#cluster.jsonPatch(virtualMachineInstances, namespace, name, patch));
  }

  async #update(vmi: Vmi): Promise<void> {
    try {
      this.#vmis.observe(await this.#cluster.update(virtualMachineInstances, writable(vmi)));
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }
}

function annotationPath(key: string): string {
  return `/metadata/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** What virt-controller notes on the pod of the SR-IOV NICs that network-status shows. */
export function networkInfo(vmi: Vmi, pod: Pod): string | undefined {
  const podStatus = readPodNetworkStatus(pod.metadata.annotations);
  const names = podInterfaceNames(vmi.spec.networks ?? [], podStatus);
  const interfaces = nicLists(vmi.spec)
    .interfaces.filter((nic) => nic.sriov !== undefined)
    .flatMap((nic) => {
      const entry = podStatus.find((one) => one.interface !== undefined && one.interface === names.get(nic.name));
      return entry === undefined ? [] : [{ network: nic.name, ...(entry.mac !== undefined && { mac: entry.mac }) }];
    });
  return interfaces.length === 0 ? undefined : JSON.stringify({ interfaces });
}
