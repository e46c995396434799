/** virt-controller: its four controllers over one set of caches. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import {
  kubevirts,
  pods,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachines,
} from '../../reconcile/kube/resources.ts';
import { labels, launcherAppLabel } from '../../reconcile/systems/kubevirt-names.ts';
import { type Actor, type ActorContext, EventRecorder } from './context.ts';
import { Informer } from './informer.ts';
import { MigrationController } from './migration-controller.ts';
import { VmController } from './vm-controller.ts';
import { VmiController } from './vmi-controller.ts';
import { WorkloadUpdater } from './workload-updater.ts';

export function virtController(cluster: Cluster, { speed }: Pick<ActorContext, 'speed'>): Actor {
  const vms = new Informer(cluster, virtualMachines);
  const vmis = new Informer(cluster, virtualMachineInstances);
  const launchers = new Informer(cluster, pods, { labelSelector: `${labels.app}=${launcherAppLabel}` });
  const migrations = new Informer(cluster, virtualMachineInstanceMigrations);
  const settings = new Informer(cluster, kubevirts);
  const informers = [settings, launchers, vmis, vms, migrations];
  const events = new EventRecorder(cluster, 'virtualmachine-controller');
  const updates = new EventRecorder(cluster, 'workload-update-controller');
  const vmiController = new VmiController(cluster, vmis, launchers, events, speed);
  const controllers = [
    vmiController,
    new VmController(cluster, vms, vmis, events),
    new MigrationController(cluster, { migrations, vmis, pods: launchers }, vmiController.index, events),
    new WorkloadUpdater(cluster, { vmis, migrations, kubevirts: settings }, updates, speed),
  ];
  return {
    async start() {
      // Settings and pods first: nobody shall act on a VMI whose pod it has not seen yet.
      for (const informer of informers) await informer.start();
    },
    async stop() {
      await Promise.all(controllers.map((controller) => controller.stop()));
      await Promise.all([events.flush(), updates.flush()]);
      await Promise.all(informers.map((informer) => informer.stop()));
    },
  };
}
