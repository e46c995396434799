/** virt-controller: its controllers over one set of caches. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { type Actor, type ActorContext, EventRecorder } from './context.ts';
import { MigrationController } from './migration-controller.ts';
import { PoolController } from './pool-controller.ts';
import { VmController } from './vm-controller.ts';
import { VmiController } from './vmi-controller.ts';
import { WorkloadUpdater } from './workload-updater.ts';

export function virtController(cluster: Cluster, { caches, speed }: Pick<ActorContext, 'caches' | 'speed'>): Actor {
  const events = new EventRecorder(cluster, 'virtualmachine-controller');
  const updates = new EventRecorder(cluster, 'workload-update-controller');
  const poolEvents = new EventRecorder(cluster, 'virtualmachinepool-controller');
  const vmiController = new VmiController(cluster, caches, events, speed);
  const controllers = [
    vmiController,
    new VmController(cluster, caches, events),
    new MigrationController(cluster, caches, vmiController.index, events),
    new WorkloadUpdater(cluster, caches, updates, speed),
    new PoolController(cluster, caches, poolEvents, speed),
  ];
  return {
    async stop() {
      await Promise.all(controllers.map((controller) => controller.stop()));
      await Promise.all([events.flush(), updates.flush(), poolEvents.flush()]);
    },
  };
}
