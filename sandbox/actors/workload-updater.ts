/** virt-controller's workload updater: migrates VMIs that need it, where the KubeVirt CR lets it. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { virtualMachineInstanceMigrations } from '../../reconcile/kube/resources.ts';
import {
  annotations,
  conditionTypes,
  liveMigrateMethod,
  workloadUpdateSeconds,
} from '../../reconcile/systems/kubevirt-names.ts';
import { vmiNameLabel } from '../kubevirt/migration-admission.ts';
import type { Caches } from './caches.ts';
import type { EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { isConditionTrue, type Migration, readAs, type Vmi } from './objects.ts';
import { WorkQueue } from './work-queue.ts';

export class WorkloadUpdater {
  readonly #cluster: Cluster;
  readonly #vmis: Informer;
  readonly #migrations: Informer;
  readonly #kubevirts: Informer;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;

  constructor(cluster: Cluster, caches: Caches, events: EventRecorder, speed: number) {
    this.#cluster = cluster;
    this.#vmis = caches.vmis;
    this.#migrations = caches.migrations;
    this.#kubevirts = caches.kubevirts;
    this.#events = events;
    this.#queue = new WorkQueue((key) => this.#sync(key));
    const delayMs = (workloadUpdateSeconds * 1000) / speed;
    this.#vmis.onChange((change, object, old) => {
      if (change === 'deleted' || !needsMigration(readAs<Vmi>(object))) return;
      if (old === undefined || !needsMigration(readAs<Vmi>(old))) this.#queue.addAfter(keyOf(object), delayMs);
    });
    this.#migrations.onChange((change, object) => {
      const migration = readAs<Migration>(object);
      if (change !== 'deleted' && !isMigrationOver(migration)) return;
      this.#queue.addAfter(`${migration.metadata.namespace}/${migration.spec.vmiName}`, delayMs);
    });
    this.#kubevirts.onChange(() => {
      for (const vmi of this.#vmis.values()) {
        if (needsMigration(readAs<Vmi>(vmi))) this.#queue.addAfter(keyOf(vmi), delayMs);
      }
    });
  }

  async stop(): Promise<void> {
    await this.#queue.close();
  }

  async #sync(key: string): Promise<void> {
    const stored = this.#vmis.byKey(key);
    if (stored === undefined || !this.#mayMigrate()) return;
    const vmi = readAs<Vmi>(stored);
    if (!needsMigration(vmi) || vmi.metadata.deletionTimestamp !== undefined) return;
    if (!isConditionTrue(vmi.status?.conditions, conditionTypes.liveMigratable)) return;
    if (vmi.metadata.annotations?.[annotations.testMigrationAbortion] !== undefined) return;
    if (activeMigration(this.#migrations, vmi) !== undefined) return;
    const created = await this.#cluster.create(virtualMachineInstanceMigrations, {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstanceMigration',
      metadata: {
        name: '',
        generateName: 'kubevirt-workload-update-',
        namespace: vmi.metadata.namespace,
        labels: { [vmiNameLabel]: vmi.metadata.name },
        annotations: { 'kubevirt.io/workloadUpdateMigration': '' },
      },
      spec: { vmiName: vmi.metadata.name, priority: 'user-triggered' },
    });
    this.#migrations.observe(created);
    const message = `Created Migration ${created.metadata.name} for automated workload update`;
    this.#events.emit(vmi, 'Normal', 'SuccessfulCreate', message);
  }

  #mayMigrate(): boolean {
    for (const kubevirt of this.#kubevirts.values()) {
      const spec = kubevirt.spec as { workloadUpdateStrategy?: { workloadUpdateMethods?: string[] } } | undefined;
      if (spec?.workloadUpdateStrategy?.workloadUpdateMethods?.includes(liveMigrateMethod) === true) return true;
    }
    return false;
  }
}

function needsMigration(vmi: Vmi): boolean {
  return isConditionTrue(vmi.status?.conditions, conditionTypes.migrationRequired);
}

export function isMigrationOver(migration: Migration): boolean {
  return migration.status?.phase === 'Succeeded' || migration.status?.phase === 'Failed';
}

/** The migration of this VMI that has not come to an end. */
function activeMigration(migrations: Informer, vmi: Vmi): Migration | undefined {
  for (const object of migrations.values()) {
    const migration = readAs<Migration>(object);
    if (migration.metadata.namespace !== vmi.metadata.namespace) continue;
    if (migration.spec.vmiName === vmi.metadata.name && !isMigrationOver(migration)) return migration;
  }
  return undefined;
}
