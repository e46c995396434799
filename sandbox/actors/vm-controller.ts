/**
 * virt-controller's controller of VirtualMachines: makes and deletes VMIs by runStrategy, carries NIC changes to the
 * running VMI, drops absent NICs from the template, and writes the status.
 */
import type { Cluster, PatchOperation } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { virtualMachineInstances, virtualMachines } from '../../reconcile/kube/resources.ts';
import { annotations, controllerFinalizer } from '../../reconcile/systems/kubevirt-names.ts';
import type { Caches } from './caches.ts';
import type { EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { newVmi } from './new-vmi.ts';
import { equalJson, isFinal, json, readAs, type Vm, type Vmi, writable } from './objects.ts';
import { nextVmiLists, nextVmLists, nicLists, nicsNeedRestart, withNicLists } from './vm-networks.ts';
import { nextVmStatus, runStrategyOf, wantsToRun } from './vm-status.ts';
import { WorkQueue } from './work-queue.ts';

const observedAnnotations = {
  [annotations.latestObservedApiVersion]: 'v1',
  [annotations.storageObservedApiVersion]: 'v1',
};

/** Adds the two annotations that virt-controller writes on whatever it sees for the first time. */
export function withObservedVersions<T extends { metadata: { annotations?: Record<string, string> } }>(
  object: T,
): T | undefined {
  const current = object.metadata.annotations ?? {};
  if (Object.keys(observedAnnotations).every((key) => key in current)) return undefined;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...current, ...observedAnnotations } },
  };
}

export class VmController {
  readonly #cluster: Cluster;
  readonly #vms: Informer;
  readonly #vmis: Informer;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;
  /** Template that each VMI was born from, by UID: KubeVirt keeps it as a ControllerRevision. */
  readonly #revisions = new Map<string, Vm['spec']['template']>();
  /** VMIs whose deletion was asked for, so that it is not asked for twice before the cache shows it. */
  readonly #deleting = new Set<string>();

  constructor(cluster: Cluster, { vms, vmis }: Caches, events: EventRecorder) {
    this.#cluster = cluster;
    this.#vms = vms;
    this.#vmis = vmis;
    this.#events = events;
    this.#queue = new WorkQueue((key) => this.#sync(key));
    vms.onChange((_change, object) => this.#queue.add(keyOf(object)));
    vmis.onChange((change, object) => {
      if (change === 'deleted') {
        this.#revisions.delete(object.metadata.uid ?? '');
        this.#deleting.delete(object.metadata.uid ?? '');
      }
      this.#queue.add(keyOf(object));
    });
  }

  async stop(): Promise<void> {
    await this.#queue.close();
  }

  async #sync(key: string): Promise<void> {
    const stored = this.#vms.byKey(key);
    if (stored === undefined) return;
    let vm = readAs<Vm>(stored);
    const vmi = this.#vmiOf(vm);
    if (vm.metadata.deletionTimestamp !== undefined) {
      await this.#finish(vm, vmi);
      return;
    }
    if (vm.status?.printableStatus === undefined) {
      await this.#writeStatus(vm, { ...vm.status, printableStatus: 'Stopped' });
      return;
    }
    const observed = withObservedVersions(vm);
    if (observed !== undefined) {
      this.#vms.observe(await this.#cluster.update(virtualMachines, writable(observed)));
      return;
    }
    if (!(vm.metadata.finalizers ?? []).includes(controllerFinalizer)) {
      const finalizers = vm.metadata.finalizers;
      vm = await this.#patchVm(vm, [
        { op: 'test', path: '/metadata/finalizers', value: json(finalizers) },
        { op: 'replace', path: '/metadata/finalizers', value: [...(finalizers ?? []), controllerFinalizer] },
      ]);
    }
    if (vmi?.metadata.deletionTimestamp !== undefined && isFinal(vmi)) await this.#release(vmi);
    if (vmi !== undefined && vmi.metadata.deletionTimestamp === undefined) await this.#noteGeneration(vm, vmi);
    const starting = await this.#run(vm, vmi);
    const synced = vmi === undefined ? undefined : await this.#syncVmi(vm, vmi);
    if (synced !== undefined && synced.metadata.deletionTimestamp === undefined) {
      vm = await this.#copyTopologyBack(vm, synced);
    }
    vm = await this.#dropAbsent(vm, synced);
    await this.#syncStatus(vm, synced, starting);
  }

  #vmiOf(vm: Vm): Vmi | undefined {
    const found = this.#vmis.get(vm.metadata.namespace, vm.metadata.name);
    if (found === undefined) return undefined;
    const vmi = readAs<Vmi>(found);
    return vmi.metadata.ownerReferences?.some((owner) => owner.uid === vm.metadata.uid) === true ? vmi : undefined;
  }

  async #finish(vm: Vm, vmi: Vmi | undefined): Promise<void> {
    if (vmi !== undefined) {
      if (vmi.metadata.deletionTimestamp === undefined) await this.#deleteVmi(vm, vmi);
      else if (isFinal(vmi)) await this.#release(vmi);
      return;
    }
    const finalizers = vm.metadata.finalizers ?? [];
    if (!finalizers.includes(controllerFinalizer)) return;
    await this.#cluster.jsonPatch(virtualMachines, vm.metadata.namespace, vm.metadata.name, [
      { op: 'test', path: '/metadata/finalizers', value: finalizers },
      { op: 'replace', path: '/metadata/finalizers', value: finalizers.filter((one) => one !== controllerFinalizer) },
    ]);
  }

  /** Lets go of a VMI that has ended. */
  async #release(vmi: Vmi): Promise<void> {
    const finalizers = vmi.metadata.finalizers ?? [];
    if (!finalizers.includes(controllerFinalizer)) return;
    await this.#patchVmi(vmi, [
      { op: 'test', path: '/metadata/finalizers', value: finalizers },
      { op: 'replace', path: '/metadata/finalizers', value: finalizers.filter((one) => one !== controllerFinalizer) },
    ]);
  }

  /** Starts and stops by runStrategy and by requests through virt-api. Returns whether a VMI was created. */
  async #run(vm: Vm, vmi: Vmi | undefined): Promise<boolean> {
    const requests = vm.status?.stateChangeRequests ?? [];
    const [first] = requests;
    if (vmi === undefined) {
      const asked = first?.action === 'Start' && runStrategyOf(vm) !== 'Halted';
      if (!wantsToRun(vm) && !asked) return false;
      await this.#createVmi(vm);
      return true;
    }
    if (vmi.metadata.deletionTimestamp !== undefined) return false;
    const stop = first?.action === 'Stop' && (first.uid === undefined || first.uid === vmi.metadata.uid);
    const ended = isFinal(vmi) && runStrategyOf(vm) === 'Always';
    if (runStrategyOf(vm) === 'Halted' || stop || ended) await this.#deleteVmi(vm, vmi);
    return false;
  }

  async #createVmi(vm: Vm): Promise<void> {
    const created = await this.#cluster.create(virtualMachineInstances, writable(newVmi(vm) as unknown as Vmi));
    this.#revisions.set(created.metadata.uid ?? '', vm.spec.template);
    this.#vmis.observe(created);
    this.#events.emit(
      vm,
      'Normal',
      'SuccessfulCreate',
      `Started the virtual machine by creating the new virtual machine instance ${vm.metadata.name}`,
    );
  }

  async #deleteVmi(vm: Vm, vmi: Vmi): Promise<void> {
    if (this.#deleting.has(vmi.metadata.uid)) return;
    this.#deleting.add(vmi.metadata.uid);
    await this.#cluster.delete(virtualMachineInstances, vmi.metadata.namespace, vmi.metadata.name);
    this.#events.emit(
      vm,
      'Normal',
      'SuccessfulDelete',
      `Stopped the virtual machine by deleting the virtual machine instance ${vmi.metadata.uid}`,
    );
  }

  /** Carries NIC changes of the template to the VMI; returns it as it then is. */
  async #syncVmi(vm: Vm, vmi: Vmi): Promise<Vmi> {
    if (vmi.metadata.deletionTimestamp !== undefined) return vmi;
    const current = nicLists(vmi.spec);
    const lists = nextVmiLists(nicLists(vm.spec.template.spec), current, vmi.status?.interfaces ?? []);
    if (lists === undefined) return vmi;
    return this.#patchVmi(vmi, [
      { op: 'test', path: '/spec/networks', value: json(current.networks) },
      { op: 'add', path: '/spec/networks', value: json(lists.networks) },
      { op: 'test', path: '/spec/domain/devices/interfaces', value: json(current.interfaces) },
      { op: 'add', path: '/spec/domain/devices/interfaces', value: json(lists.interfaces) },
    ]);
  }

  /** A VMI whose template is as it was born from is as good as new. */
  async #noteGeneration(vm: Vm, vmi: Vmi): Promise<void> {
    const generation = String(vm.metadata.generation ?? 1);
    if (vmi.metadata.annotations?.[annotations.vmGeneration] === generation) return;
    if (!equalJson(this.#revisionOf(vm, vmi), vm.spec.template)) return;
    await this.#patchVmi(vmi, [
      { op: 'test', path: '/metadata/annotations', value: json(vmi.metadata.annotations) },
      {
        op: 'replace',
        path: '/metadata/annotations',
        value: { ...vmi.metadata.annotations, [annotations.vmGeneration]: generation },
      },
    ]);
  }

  #revisionOf(vm: Vm, vmi: Vmi): Vm['spec']['template'] {
    const known = this.#revisions.get(vmi.metadata.uid);
    if (known !== undefined) return known;
    this.#revisions.set(vmi.metadata.uid, vm.spec.template);
    return vm.spec.template;
  }

  /** The annotations that fix the PCI layout come back from the VMI whenever the version is missing in the template. */
  async #copyTopologyBack(vm: Vm, vmi: Vmi): Promise<Vm> {
    const version = vmi.metadata.annotations?.[annotations.pciTopologyVersion];
    const template = vm.spec.template;
    if (version === undefined || template.metadata?.annotations?.[annotations.pciTopologyVersion] !== undefined) {
      return vm;
    }
    const slots = vmi.metadata.annotations?.[annotations.pciSlotCount];
    const restored = {
      ...template.metadata?.annotations,
      [annotations.pciTopologyVersion]: version,
      ...(slots !== undefined && { [annotations.pciSlotCount]: slots }),
    };
    return this.#updateVm({
      ...vm,
      spec: { ...vm.spec, template: { ...template, metadata: { ...template.metadata, annotations: restored } } },
    });
  }

  async #dropAbsent(vm: Vm, vmi: Vmi | undefined): Promise<Vm> {
    const { template } = vm.spec;
    const lists = nextVmLists(
      nicLists(template.spec),
      vmi && { lists: nicLists(vmi.spec), statuses: vmi.status?.interfaces ?? [] },
    );
    if (lists === undefined) return vm;
    return this.#updateVm({
      ...vm,
      spec: { ...vm.spec, template: { ...template, spec: withNicLists(template.spec, lists) } },
    });
  }

  async #syncStatus(vm: Vm, vmi: Vmi | undefined, starting: boolean): Promise<void> {
    const status = nextVmStatus(vm, vmi, { restartRequired: this.#needsRestart(vm, vmi), starting });
    const requests = remainingRequests(vm, vmi);
    if (requests.length === 0) delete status.stateChangeRequests;
    else status.stateChangeRequests = [...requests];
    if (!equalJson(status, vm.status)) await this.#writeStatus(vm, status);
  }

  #needsRestart(vm: Vm, vmi: Vmi | undefined): boolean {
    if (vmi === undefined || vmi.metadata.deletionTimestamp !== undefined) return false;
    const template = vm.spec.template.spec;
    const none = { interfaces: [], networks: [] };
    return (
      nicsNeedRestart(nicLists(template), nicLists(vmi.spec)) ||
      !equalJson(withNicLists(template, none), withNicLists(this.#revisionOf(vm, vmi).spec, none))
    );
  }

  async #writeStatus(vm: Vm, status: Vm['status']): Promise<void> {
    const next = { ...vm, ...(status !== undefined && { status }) };
    this.#vms.observe(await this.#cluster.update(virtualMachines, writable(next), { subresource: 'status' }));
  }

  async #updateVm(vm: Vm): Promise<Vm> {
    const stored = await this.#cluster.update(virtualMachines, writable(vm));
    this.#vms.observe(stored);
    return readAs<Vm>(stored);
  }

  async #patchVm(vm: Vm, patch: readonly PatchOperation[]): Promise<Vm> {
    const { namespace, name } = vm.metadata;
    const stored = await this.#cluster.jsonPatch(virtualMachines, namespace, name, patch);
    this.#vms.observe(stored);
    return readAs<Vm>(stored);
  }

  async #patchVmi(vmi: Vmi, patch: readonly PatchOperation[]): Promise<Vmi> {
    const { namespace, name } = vmi.metadata;
    try {
      const stored = await this.#cluster.jsonPatch(virtualMachineInstances, namespace, name, patch);
      this.#vmis.observe(stored);
      return readAs<Vmi>(stored);
    } catch (error) {
      if (isStatus(error, 404)) return vmi;
      throw error;
    }
  }
}

/** A stop is done once its VMI is gone or another one, a start once there is a VMI. */
function remainingRequests(vm: Vm, vmi: Vmi | undefined): readonly { action: string; uid?: string }[] {
  return (vm.status?.stateChangeRequests ?? []).filter((request, index, all) => {
    if (request.action === 'Stop') return vmi !== undefined && (request.uid ?? vmi.metadata.uid) === vmi.metadata.uid;
    const stopsFirst = all.slice(0, index).some((one) => one.action === 'Stop' && one.uid === vmi?.metadata.uid);
    return vmi === undefined || stopsFirst;
  });
}
