/** The copies of the cluster that all actors read: one list and one watch a resource, however many VMs there are. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import {
  kubevirts,
  networkAttachmentDefinitions,
  pods,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachinePools,
  virtualMachines,
} from '../../reconcile/kube/resources.ts';
import { Informer } from './informer.ts';

export class Caches {
  readonly kubevirts: Informer;
  readonly nads: Informer;
  readonly pods: Informer;
  readonly vmis: Informer;
  readonly vms: Informer;
  readonly migrations: Informer;
  readonly pools: Informer;

  constructor(cluster: Cluster) {
    this.kubevirts = new Informer(cluster, kubevirts);
    this.nads = new Informer(cluster, networkAttachmentDefinitions);
    this.pods = new Informer(cluster, pods);
    this.vmis = new Informer(cluster, virtualMachineInstances);
    this.vms = new Informer(cluster, virtualMachines);
    this.migrations = new Informer(cluster, virtualMachineInstanceMigrations);
    this.pools = new Informer(cluster, virtualMachinePools);
  }

  /** Fills them in an order in which nobody acts on an object whose parts are still unseen. */
  async start(): Promise<void> {
    for (const informer of this.#all()) await informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()));
  }

  #all(): readonly Informer[] {
    return [this.kubevirts, this.nads, this.pods, this.vmis, this.vms, this.migrations, this.pools];
  }
}
