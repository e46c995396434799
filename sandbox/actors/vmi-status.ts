/** VirtualMachineInstance.status as virt-controller works it out from the launcher pod. Pure. */
import { conditionTypes, migrationRequiredReasons } from '../../reconcile/systems/kubevirt-names.ts';
import {
  type Condition,
  findCondition,
  type Pod,
  timestamp,
  type Vmi,
  withCondition,
  withoutCondition,
} from './objects.ts';

/** The Ready condition: the pod's own once the guest runs, else why it is not ready. */
export function withReady(vmi: Vmi, pod: Pod | undefined): Condition[] {
  const conditions = vmi.status?.conditions;
  const podReady = findCondition(pod?.status?.conditions, 'Ready');
  if (pod !== undefined && pod.metadata.deletionTimestamp === undefined && vmi.status?.phase === 'Running') {
    const status = podReady?.status ?? 'False';
    const known = findCondition(conditions, conditionTypes.ready);
    if (known?.status === status && known.reason === undefined) return [...(conditions ?? [])];
    return withCondition(conditions, {
      type: conditionTypes.ready,
      status,
      lastProbeTime: null,
      lastTransitionTime: podReady?.lastTransitionTime ?? timestamp(),
    });
  }
  const [reason, message] = notReady(pod);
  if (findCondition(conditions, conditionTypes.ready)?.reason === reason) return [...(conditions ?? [])];
  const now = timestamp();
  return withCondition(conditions, {
    type: conditionTypes.ready,
    status: 'False',
    lastProbeTime: now,
    lastTransitionTime: now,
    reason,
    message,
  });
}

function notReady(pod: Pod | undefined): readonly [string, string] {
  if (pod === undefined) return ['PodNotExists', 'virt-launcher pod has not yet been scheduled'];
  if (pod.metadata.deletionTimestamp !== undefined) return ['PodTerminating', 'virt-launcher pod is terminating'];
  return ['GuestNotRunning', 'Guest VM is not reported as running'];
}

/** MigrationRequired False while in-place delivery is awaited, True when it is overdue, none where nothing is open. */
export function withMigrationRequired(
  conditions: readonly Condition[] | undefined,
  state: 'none' | 'pending' | 'required',
): Condition[] {
  const type = conditionTypes.migrationRequired;
  if (state === 'none') return withoutCondition(conditions, type);
  const required = state === 'required';
  const status = required ? 'True' : 'False';
  const known = findCondition(conditions, type);
  // Once a migration is required it stays so until the need has gone.
  if (known?.status === status || known?.status === 'True') return [...(conditions ?? [])];
  const now = timestamp();
  return withCondition(conditions, {
    type,
    status,
    lastProbeTime: null,
    lastTransitionTime: now,
    reason: required ? migrationRequiredReasons.required : migrationRequiredReasons.pending,
  });
}

/** Adds the phase, with the time of its beginning. */
export function withPhase(status: Vmi['status'], phase: string): NonNullable<Vmi['status']> {
  return {
    ...status,
    phase,
    phaseTransitionTimestamps: [
      ...(status?.phaseTransitionTimestamps ?? []),
      { phase, phaseTransitionTimestamp: timestamp() },
    ],
  };
}
