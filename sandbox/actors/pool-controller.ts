/**
 * virt-controller's controller of VM pools: makes the VMs, writes over what was changed in one of them as soon as the pool's template
 * changes, and then has its VMI started anew, whatever could have been plugged live.
 */
import type { Cluster, KubeObject } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { virtualMachineInstances, virtualMachinePools, virtualMachines } from '../../reconcile/kube/resources.ts';
import type { Caches } from './caches.ts';
import type { EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { equalJson, json, type Meta, readAs, type Vm, type Vmi, writable } from './objects.ts';
import { WorkQueue } from './work-queue.ts';

const finalizer = 'pool.kubevirt.io/finalizer';
const revisionLabel = 'kubevirt.io/vm-pool-revision-name';

/** It acts on a change of a pool, and then on VMIs, a second later each time; milliseconds on a real cluster. */
const delay = 1000;

interface Pool {
  readonly metadata: Meta;
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly virtualMachineTemplate: {
      readonly metadata?: Pick<Meta, 'labels' | 'annotations'>;
      readonly spec: Vm['spec'];
    };
  };
  readonly status?: object;
}

export class PoolController {
  readonly #cluster: Cluster;
  readonly #pools: Informer;
  readonly #vms: Informer;
  readonly #vmis: Informer;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;
  readonly #delay: number;

  constructor(cluster: Cluster, { pools, vms, vmis }: Caches, events: EventRecorder, speed: number) {
    this.#cluster = cluster;
    this.#pools = pools;
    this.#vms = vms;
    this.#vmis = vmis;
    this.#events = events;
    this.#delay = delay / speed;
    this.#queue = new WorkQueue((key) => this.#sync(key));
    pools.onChange((_change, object) => this.#queue.addAfter(keyOf(object), this.#delay));
    vms.onChange((_change, object) => this.#wake(object));
  }

  async stop(): Promise<void> {
    await this.#queue.close();
  }

  /** Looks at the pool of a VM again. */
  #wake({ metadata }: KubeObject): void {
    const owner = metadata.ownerReferences?.find(({ kind }) => kind === virtualMachinePools.kind);
    if (owner !== undefined) this.#queue.addAfter(`${metadata.namespace}/${owner.name}`, this.#delay);
  }

  async #sync(key: string): Promise<void> {
    const stored = this.#pools.byKey(key);
    if (stored === undefined) return;
    const pool = readAs<Pool>(stored);
    const own = this.#vmsOf(pool);
    if (pool.metadata.deletionTimestamp !== undefined) {
      await this.#finish(pool, own);
      return;
    }
    if (!(pool.metadata.finalizers ?? []).includes(finalizer)) {
      await this.#setFinalizers(pool, [...(pool.metadata.finalizers ?? []), finalizer]);
    }
    const replicas = pool.spec.replicas ?? 1;
    for (let ordinal = 0; ordinal < replicas; ordinal += 1) await this.#create(pool, ordinal, own);
    for (const vm of own.slice(replicas)) await this.#delete(vm);
    for (const vm of own.slice(0, replicas)) await this.#renew(pool, vm);
    await this.#writeStatus(pool);
  }

  #vmsOf(pool: Pool): readonly Vm[] {
    return [...this.#vms.values()]
      .map((object) => readAs<Vm>(object))
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === pool.metadata.uid) === true)
      .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true }));
  }

  async #create(pool: Pool, ordinal: number, own: readonly Vm[]): Promise<void> {
    const { namespace, name, uid } = pool.metadata;
    const vmName = `${name}-${ordinal}`;
    if (own.some((vm) => vm.metadata.name === vmName)) return;
    const { labels, annotations, spec } = rendered(pool);
    const owner = { apiVersion: 'pool.kubevirt.io/v1beta1', kind: virtualMachinePools.kind, name, uid };
    const created = await this.#cluster.create(virtualMachines, {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: {
        namespace,
        name: vmName,
        labels,
        ...(annotations !== undefined && { annotations }),
        finalizers: [finalizer],
        ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true } as typeof owner],
      },
      spec,
    });
    this.#vms.observe(created);
    this.#tell(pool, 'SuccessfulCreate', `Created VM ${namespace}/${vmName}`);
  }

  /** A VM of an older revision is written over; a VMI of one is deleted once its VM is up to date. */
  async #renew(pool: Pool, vm: Vm): Promise<void> {
    const { namespace, name } = vm.metadata;
    if (vm.metadata.deletionTimestamp !== undefined) {
      await this.#release(vm);
      return;
    }
    const revision = revisionOf(pool);
    if (vm.metadata.labels?.[revisionLabel] !== revision) {
      const { labels, annotations, spec } = rendered(pool);
      const { annotations: _, ...kept } = vm.metadata;
      const metadata = { ...kept, labels, ...(annotations !== undefined && { annotations }) };
      const next = { ...vm, metadata, spec: withFirmwareOf(vm, spec) };
      this.#vms.observe(await this.#cluster.update(virtualMachines, writable(next)));
      this.#tell(pool, 'SuccessfulUpdate', `Updated VM ${namespace}/${name}`);
      return;
    }
    const found = this.#vmis.get(namespace, name);
    if (found === undefined) return;
    const vmi = readAs<Vmi>(found);
    if (vmi.metadata.deletionTimestamp !== undefined || vmi.metadata.labels?.[revisionLabel] === revision) return;
    await this.#cluster.delete(virtualMachineInstances, namespace, name);
    this.#tell(pool, 'SuccessfulDelete', `Successfully updated resource ${namespace}/${name}`);
  }

  async #delete(vm: Vm): Promise<void> {
    if (vm.metadata.deletionTimestamp !== undefined) {
      await this.#release(vm);
      return;
    }
    await this.#cluster.delete(virtualMachines, vm.metadata.namespace, vm.metadata.name);
  }

  async #release({ metadata }: Vm): Promise<void> {
    const finalizers = metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer)) return;
    const kept = finalizers.filter((one) => one !== finalizer);
    await this.#cluster.jsonPatch(virtualMachines, metadata.namespace, metadata.name, [
      { op: 'test', path: '/metadata/finalizers', value: finalizers },
      { op: 'replace', path: '/metadata/finalizers', value: kept },
    ]);
  }

  async #finish(pool: Pool, own: readonly Vm[]): Promise<void> {
    for (const vm of own) await this.#delete(vm);
    if (own.length > 0) return;
    const left = (pool.metadata.finalizers ?? []).filter((one) => one !== finalizer);
    await this.#setFinalizers(pool, left);
  }

  async #setFinalizers({ metadata }: Pool, finalizers: readonly string[]): Promise<void> {
    const stored = await this.#cluster.jsonPatch(virtualMachinePools, metadata.namespace, metadata.name, [
      { op: 'test', path: '/metadata/finalizers', value: json(metadata.finalizers) },
      { op: 'replace', path: '/metadata/finalizers', value: json(finalizers) },
    ]);
    this.#pools.observe(stored);
  }

  async #writeStatus(pool: Pool): Promise<void> {
    const own = this.#vmsOf(pool);
    const ready = own.filter(({ status }) => status?.ready === true).length;
    const labelSelector = Object.entries(pool.spec.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
    const status = {
      labelSelector: labelSelector.join(','),
      ...(ready > 0 && { readyReplicas: ready }),
      replicas: own.length,
    };
    if (equalJson(status, pool.status)) return;
    const { namespace, name } = pool.metadata;
    const stored = this.#pools.get(namespace, name);
    if (stored === undefined) return;
    try {
      this.#pools.observe(
        await this.#cluster.update(virtualMachinePools, { ...stored, status }, { subresource: 'status' }),
      );
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }

  #tell({ metadata }: Pool, reason: string, message: string): void {
    const involved = { apiVersion: 'pool.kubevirt.io/v1beta1', kind: virtualMachinePools.kind, metadata };
    this.#events.emit(involved, 'Normal', reason, message);
  }
}

/** The template of the pool as it is now, by the name of its ControllerRevision. */
function revisionOf({ metadata }: Pool): string {
  return `${metadata.name}-${metadata.generation ?? 1}`;
}

/** What a VM of the pool is to have. */
function rendered(pool: Pool): {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  spec: Vm['spec'];
} {
  const { metadata, spec } = pool.spec.virtualMachineTemplate;
  const mark = { [revisionLabel]: revisionOf(pool) };
  const labels = { ...spec.template.metadata?.labels, ...mark };
  return {
    labels: { ...metadata?.labels, ...mark },
    ...(metadata?.annotations !== undefined && { annotations: metadata.annotations }),
    spec: { ...spec, template: { ...spec.template, metadata: { ...spec.template.metadata, labels } } },
  };
}

/** UUID and serial were made up for this VM when it was created, and stay. */
function withFirmwareOf(vm: Vm, spec: Vm['spec']): Vm['spec'] {
  const { firmware } = vm.spec.template.spec.domain;
  if (firmware === undefined) return spec;
  const { template } = spec;
  const domain = { ...template.spec.domain, firmware };
  return { ...spec, template: { ...template, spec: { ...template.spec, domain } } };
}
