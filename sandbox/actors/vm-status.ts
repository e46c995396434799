/** VirtualMachine.status as virt-controller works it out from the VMI. Pure. */
import { conditionTypes, restartRequiredMessage } from '../../reconcile/systems/kubevirt-names.ts';
import {
  type Condition,
  findCondition,
  isConditionTrue,
  isFinal,
  timestamp,
  type Vm,
  type Vmi,
  type VmStatus,
  withCondition,
  withoutCondition,
} from './objects.ts';

/** Whether the VMI is being moved: from the start that virt-handler reports to its end. */
export function isMigrating(vmi: Vmi): boolean {
  const state = vmi.status?.migrationState;
  return state?.startTimestamp !== undefined && state.completed !== true && state.failed !== true;
}

export function wantsToRun(vm: Vm): boolean {
  const strategy = runStrategyOf(vm);
  return strategy === 'Always' || strategy === 'RerunOnFailure' || strategy === 'Once';
}

export function runStrategyOf(vm: Vm): string {
  return vm.spec.runStrategy ?? (vm.spec.running === true ? 'Always' : 'Halted');
}

/** The status that follows; `starting`: a VMI is just being created. */
export function nextVmStatus(
  vm: Vm,
  vmi: Vmi | undefined,
  facts: { readonly restartRequired: boolean; readonly starting: boolean },
): VmStatus {
  const { created: _created, ready: _ready, ...status } = vm.status ?? {};
  const next: VmStatus = { ...status, conditions: conditionsOf(vm, vmi, facts.restartRequired) };
  next.printableStatus = printableStatus(vm, vmi, facts.starting);
  next.volumeSnapshotStatuses = snapshotStatuses(vm);
  if (vmi !== undefined) {
    next.created = true;
    const generation = Number(vmi.metadata.annotations?.['kubevirt.io/vm-generation']);
    if (Number.isInteger(generation)) next.observedGeneration = generation;
    next.desiredGeneration = vm.metadata.generation ?? 1;
  }
  if (vmi !== undefined || next.runStrategy !== undefined) next.runStrategy = runStrategyOf(vm);
  if (vmi !== undefined && isConditionTrue(vmi.status?.conditions, conditionTypes.ready)) next.ready = true;
  return next;
}

function conditionsOf(vm: Vm, vmi: Vmi | undefined, restartRequired: boolean): Condition[] {
  let list = vm.status?.conditions ?? [];
  list = withCondition(list, readyCondition(vm, vmi));
  if (vmi !== undefined) {
    const own = new Set<string>([conditionTypes.ready, conditionTypes.restartRequired]);
    const mirrored = (vmi.status?.conditions ?? []).filter((condition) => !own.has(condition.type));
    const present = new Set(mirrored.map((condition) => condition.type));
    list = list.filter((condition) => own.has(condition.type) || present.has(condition.type));
    for (const condition of mirrored) list = withCondition(list, condition);
  }
  if (!restartRequired) return withoutCondition(list, conditionTypes.restartRequired);
  if (findCondition(list, conditionTypes.restartRequired) !== undefined) return list;
  return withCondition(list, {
    type: conditionTypes.restartRequired,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timestamp(),
    message: restartRequiredMessage,
  });
}

function readyCondition(vm: Vm, vmi: Vmi | undefined): Condition {
  const found = findCondition(vmi?.status?.conditions, conditionTypes.ready);
  if (found !== undefined) return found;
  const [reason, message] =
    vmi === undefined
      ? ['VMINotExists', 'VMI does not exist']
      : ['VMIConditionMissing', 'VMI is missing the Ready condition'];
  const known = findCondition(vm.status?.conditions, conditionTypes.ready);
  if (known?.reason === reason) return known;
  const now = timestamp();
  return { type: conditionTypes.ready, status: 'False', lastProbeTime: now, lastTransitionTime: now, reason, message };
}

function printableStatus(vm: Vm, vmi: Vmi | undefined, starting: boolean): string {
  if (vm.metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (vmi === undefined) return starting ? 'Starting' : (keptStarting(vm) ?? 'Stopped');
  if (isFinal(vmi)) return 'Stopped';
  if (vmi.metadata.deletionTimestamp !== undefined) return 'Stopping';
  if (vmi.status?.phase !== 'Running') return 'Starting';
  if (isConditionTrue(vmi.status.conditions, conditionTypes.paused)) return 'Paused';
  return isMigrating(vmi) ? 'Migrating' : 'Running';
}

/** Between the creation of a VMI and its showing up in the cache the VM goes on starting. */
function keptStarting(vm: Vm): string | undefined {
  return wantsToRun(vm) && vm.status?.printableStatus === 'Starting' ? 'Starting' : undefined;
}

function snapshotStatuses(vm: Vm): { enabled: boolean; name: string; reason: string }[] {
  const volumes = vm.spec.template.spec.volumes;
  if (!Array.isArray(volumes)) return [];
  return volumes.map((volume: { readonly name: string }) => ({
    enabled: false,
    name: volume.name,
    reason: `Snapshot is not supported for this volumeSource type [${volume.name}]`,
  }));
}
