/** virt-controller's controller of migrations: the target pod, the hand-over to virt-handler, and the phases. */
import type { Cluster, PatchOperation } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { pods, virtualMachineInstanceMigrations, virtualMachineInstances } from '../../reconcile/kube/resources.ts';
import { annotations, labels } from '../../reconcile/systems/kubevirt-names.ts';
import { migrationFinalizer as finalizer } from '../kubevirt/migration-admission.ts';
import type { Caches } from './caches.ts';
import type { EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { launcherPod, memoryOverhead } from './launcher-pod.ts';
import {
  equalJson,
  json,
  type Migration,
  type MigrationState,
  type Pod,
  readAs,
  timestamp,
  type Vmi,
  writable,
} from './objects.ts';
import { withObservedVersions } from './vm-controller.ts';
import { networkInfo, type PodIndex } from './vmi-controller.ts';
import { WorkQueue } from './work-queue.ts';
import { isMigrationOver } from './workload-updater.ts';

const targetNodeLabel = 'kubevirt.io/migrationTargetNodeName';
const nonRootAnnotation = 'kubevirt.io/nonroot';
const targetReadyAnnotation = 'kubevirt.io/migration-target-ready-timestamp';

const configuration = {
  allowAutoConverge: false,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
  bandwidthPerMigration: '0',
  completionTimeoutPerGiB: 150,
  maxDowntimeMs: 900,
  nodeDrainTaintKey: 'kubevirt.io/drain',
  parallelMigrationsPerCluster: 5,
  parallelOutboundMigrationsPerNode: 2,
  progressTimeout: 150,
  unsafeMigrationOverride: false,
  utilityVolumesTimeout: 150,
};

export class MigrationController {
  readonly #cluster: Cluster;
  readonly #migrations: Informer;
  readonly #vmis: Informer;
  readonly #pods: Informer;
  readonly #index: PodIndex;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;

  constructor(cluster: Cluster, caches: Caches, index: PodIndex, events: EventRecorder) {
    this.#cluster = cluster;
    this.#migrations = caches.migrations;
    this.#vmis = caches.vmis;
    this.#pods = caches.pods;
    this.#index = index;
    this.#events = events;
    this.#queue = new WorkQueue((key) => this.#sync(key));
    this.#migrations.onChange((_change, object) => this.#queue.add(keyOf(object)));
    this.#vmis.onChange((_change, object) => this.#wakeFor(keyOf(object)));
    this.#pods.onChange((_change, object) => {
      const pod = readAs<Pod>(object);
      if (pod.metadata.labels?.[labels.migrationJobUid] === undefined) return;
      this.#wakeFor(`${pod.metadata.namespace}/${pod.metadata.annotations?.[annotations.domain] ?? ''}`);
    });
  }

  async stop(): Promise<void> {
    await this.#queue.close();
  }

  #wakeFor(vmiKey: string): void {
    for (const object of this.#migrations.values()) {
      const migration = readAs<Migration>(object);
      if (`${migration.metadata.namespace}/${migration.spec.vmiName}` === vmiKey) this.#queue.add(keyOf(object));
    }
  }

  async #sync(key: string): Promise<void> {
    const stored = this.#migrations.byKey(key);
    if (stored === undefined) return;
    const migration = readAs<Migration>(stored);
    const found = this.#vmis.get(migration.metadata.namespace, migration.spec.vmiName);
    const vmi = found === undefined ? undefined : readAs<Vmi>(found);
    if (isMigrationOver(migration)) {
      await this.#close(migration, vmi);
      return;
    }
    if (migration.metadata.deletionTimestamp !== undefined) {
      await this.#cancel(migration, vmi);
      return;
    }
    const observed = withObservedVersions(migration);
    if (observed !== undefined) {
      await this.#update(observed);
      return;
    }
    if (vmi === undefined || vmi.metadata.deletionTimestamp !== undefined) {
      await this.#fail(migration, 'Migration failed because vmi does not exist.');
      return;
    }
    await this.#advance(migration, vmi);
  }

  async #advance(migration: Migration, vmi: Vmi): Promise<void> {
    const target = this.#targetOf(migration, vmi);
    const state = vmi.status?.migrationState;
    const own = state?.migrationUid === migration.metadata.uid ? state : undefined;
    if (own?.failed === true) {
      await this.#fail(migration, 'source node reported migration failed');
      return;
    }
    switch (migration.status?.phase) {
      case undefined:
        await this.#phase(migration, 'Pending', { sourcePod: this.#index.current(vmi)?.metadata.name ?? '' });
        return;
      case 'Pending':
        if (target === undefined) await this.#createTarget(migration, vmi);
        else await this.#phase(migration, 'Scheduling');
        return;
      case 'Scheduling':
        if (target?.status?.phase === 'Running') await this.#phase(migration, 'Scheduled');
        return;
      case 'Scheduled':
        if (target === undefined) return;
        if (own === undefined) await this.#handOver(migration, vmi, target);
        else await this.#phase(migration, 'PreparingTarget');
        return;
      case 'PreparingTarget':
        if (own?.targetNodeAddress !== undefined) await this.#phase(migration, 'TargetReady');
        return;
      case 'TargetReady':
        if (own?.startTimestamp !== undefined) await this.#phase(migration, 'Running');
        return;
      default:
        if (target !== undefined && own?.targetNodeDomainDetected === true) await this.#noteTargetReady(target);
        if (own?.completed !== true) return;
        this.#events.emit(migration, 'Normal', 'SuccessfulMigration', 'Source node reported migration succeeded');
        await this.#phase(migration, 'Succeeded');
    }
  }

  #targetOf(migration: Migration, vmi: Vmi): Pod | undefined {
    return this.#index.of(vmi).find((pod) => pod.metadata.labels?.[labels.migrationJobUid] === migration.metadata.uid);
  }

  async #createTarget(migration: Migration, vmi: Vmi): Promise<void> {
    let current = vmi;
    if (vmi.metadata.annotations?.[nonRootAnnotation] === undefined) {
      const stored = await this.#patchVmi(vmi, [
        { op: 'add', path: `/metadata/annotations/${nonRootAnnotation.replace('/', '~1')}`, value: 'true' },
      ]);
      current = readAs<Vmi>(stored);
    }
    const sourceNode = vmi.status?.nodeName ?? '';
    const created = await this.#cluster.create(pods, launcherPod(current, { object: migration, sourceNode }));
    this.#pods.observe(created);
    const message = `Created migration target pod ${created.metadata.name}`;
    this.#events.emit(migration, 'Normal', 'SuccessfulCreate', message);
  }

  async #handOver(migration: Migration, vmi: Vmi, target: Pod): Promise<void> {
    const info = networkInfo(vmi, target);
    if (info !== undefined && info !== target.metadata.annotations?.[annotations.networkInfo]) {
      await this.#annotate(target, annotations.networkInfo, info);
    }
    const targetNode = target.spec.nodeName ?? '';
    const state: MigrationState = {
      migrationUid: migration.metadata.uid,
      sourceNode: vmi.status?.nodeName ?? '',
      sourcePod: migration.status?.migrationState?.sourcePod ?? '',
      targetNode,
      targetPod: target.metadata.name,
      targetMemoryOverhead: memoryOverhead(vmi).quantity,
      migrationConfiguration: configuration,
    };
    await this.#patchVmi(vmi, [
      { op: 'test', path: '/status/migrationState', value: json(vmi.status?.migrationState) },
      {
        op: vmi.status?.migrationState === undefined ? 'add' : 'replace',
        path: '/status/migrationState',
        value: json(state),
      },
      { op: 'test', path: '/metadata/labels', value: json(vmi.metadata.labels) },
      { op: 'replace', path: '/metadata/labels', value: { ...vmi.metadata.labels, [targetNodeLabel]: targetNode } },
    ]);
    const message = 'Migration target pod is ready for preparation by virt-handler.';
    this.#events.emit(migration, 'Normal', 'SuccessfulHandOver', message);
  }

  async #noteTargetReady(target: Pod): Promise<void> {
    if (target.metadata.annotations?.[targetReadyAnnotation] !== undefined) return;
    await this.#annotate(target, targetReadyAnnotation, timestamp().replace('T', ' ').replace('Z', ' +0000 UTC'));
  }

  async #annotate(pod: Pod, key: string, value: string): Promise<void> {
    const path = `/metadata/annotations/${key.replaceAll('/', '~1')}`;
    const { namespace, name } = pod.metadata;
    this.#pods.observe(await this.#cluster.jsonPatch(pods, namespace, name, [{ op: 'add', path, value }]));
  }

  async #fail(migration: Migration, message: string): Promise<void> {
    this.#events.emit(migration, 'Warning', 'FailedMigration', message);
    await this.#phase(migration, 'Failed');
  }

  async #cancel(migration: Migration, vmi: Vmi | undefined): Promise<void> {
    const target = vmi && this.#targetOf(migration, vmi);
    if (target !== undefined) await this.#deleteTarget(migration, target);
    const now = timestamp();
    const aborted = { type: 'migrationAbortRequested', status: 'True', lastProbeTime: now, lastTransitionTime: now };
    this.#events.emit(migration, 'Warning', 'FailedMigration', 'Migration failed due to being canceled');
    await this.#phase({ ...migration, status: { ...migration.status, conditions: [aborted] } }, 'Failed');
  }

  async #deleteTarget(migration: Migration, target: Pod): Promise<void> {
    if (target.metadata.deletionTimestamp !== undefined) return;
    const { namespace, name } = target.metadata;
    try {
      await this.#cluster.delete(pods, namespace, name);
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
    const message = `migration canceled and pod ${namespace}/${name} is deleted`;
    this.#events.emit(migration, 'Normal', 'SuccessfulDelete', message);
  }

  /** After the end: the VMI's account of it is copied, the target of a failed one goes, the finalizer is dropped. */
  async #close(migration: Migration, vmi: Vmi | undefined): Promise<void> {
    const state = vmi?.status?.migrationState;
    if (state?.migrationUid === migration.metadata.uid && !equalJson(state, migration.status?.migrationState)) {
      const status = { ...migration.status, migrationState: state };
      await this.#update({ ...migration, status }, 'status');
      return;
    }
    if (!(migration.metadata.finalizers ?? []).includes(finalizer)) return;
    if (migration.status?.phase === 'Failed' && vmi !== undefined) {
      const target = this.#targetOf(migration, vmi);
      if (target !== undefined && target.metadata.deletionTimestamp === undefined) {
        await this.#cluster.delete(pods, target.metadata.namespace, target.metadata.name);
      }
    }
    const finalizers = (migration.metadata.finalizers ?? []).filter((one) => one !== finalizer);
    await this.#update({ ...migration, metadata: { ...migration.metadata, finalizers } });
  }

  async #phase(migration: Migration, phase: string, state?: MigrationState): Promise<void> {
    const phases = migration.status?.phaseTransitionTimestamps ?? [];
    const status: Migration['status'] = {
      ...migration.status,
      phase,
      phaseTransitionTimestamps: [...phases, { phase, phaseTransitionTimestamp: timestamp() }],
      ...(state !== undefined && { migrationState: state }),
    };
    await this.#update({ ...migration, status }, 'status');
  }

  async #update(migration: Migration, subresource?: 'status'): Promise<void> {
    const options = subresource === undefined ? {} : { subresource };
    const object = writable(migration);
    this.#migrations.observe(await this.#cluster.update(virtualMachineInstanceMigrations, object, options));
  }

  async #patchVmi(vmi: Vmi, patch: readonly PatchOperation[]): Promise<Awaited<ReturnType<Cluster['jsonPatch']>>> {
    const { namespace, name } = vmi.metadata;
    const stored = await this.#cluster.jsonPatch(virtualMachineInstances, namespace, name, patch);
    this.#vmis.observe(stored);
    return stored;
  }
}
