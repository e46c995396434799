/** Whether a VM may be written at all, and whether now. */
import type { SourceIdentity } from '../desired/model.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import { activeVmi } from '../diff/layers.ts';
import type { LiveVm } from '../live/model.ts';
import { conditionTypes } from '../systems/kubevirt-names.ts';
import { sourceAnnotation } from '../systems/patchpanel.ts';
import type { ObjectName } from '../vocabulary.ts';
import { heldBlocker } from './held.ts';
import type { Blocker, RunState } from './model.ts';
import { sharedOwnership } from './shared-ownership.ts';
import { blocker, type VmContext } from './steps.ts';

/** Decided by the VMI, never by the run strategy: Manual, Once and RerunOnFailure say nothing of the moment. */
export function runStateOf(live: LiveVm | undefined): RunState {
  if (live === undefined) return 'missing';
  const vmi = activeVmi(live);
  if (vmi === undefined) return 'stopped';
  if (vmi.deleting) return 'stopping';
  if (vmi.phase !== 'Running') return 'starting';
  if (vmi.migrating) return 'migrating';
  const paused = vmi.conditions.some(({ type, status }) => type === conditionTypes.paused && status === 'True');
  return paused ? 'paused' : 'running';
}

/** Why nothing may be written to this VM, now or ever. What is on its way may still be followed. */
export function vmBlockers(context: VmContext): readonly Blocker[] {
  const { vm } = context;
  const found: Blocker[] = [];
  if (vm.deleting) {
    found.push(
      blocker('vm-deleting', undefined, `${vm.name} is being deleted`, `Remove ${vm.name} from the repository.`),
    );
  }
  if (vm.pool !== undefined) {
    found.push(
      blocker(
        'vm-pool',
        undefined,
        `${vm.name} belongs to the VirtualMachinePool ${vm.pool}, which overwrites its template`,
        `Declare the NICs in spec.virtualMachineTemplate of the pool (its VMs restart with it), or detach ${vm.name} from the pool.`,
      ),
    );
  }
  if (isOfAnother(vm.source, context.source)) found.push(otherSource('vm', vm, context.source));
  if (vm.otherManagers.length > 0 && !vm.sharedOwnershipAcknowledged) found.push(sharedOwnership(context));
  const held = heldBlocker(context);
  if (held !== undefined) found.push(held);
  const momentary = notNow(context);
  if (momentary !== undefined) found.push(momentary);
  return found;
}

/** Two repositories that declare one VM would take turns on it. */
export function otherSource(
  kind: 'vm' | 'pod',
  { namespace, name, source }: ObjectName & { readonly source?: string },
  { mark = '' }: SourceIdentity,
): Blocker {
  return blocker(
    'other-source',
    undefined,
    `${name} is declared by another repository: ${source ?? ''} changed it last, and this is ${mark}`,
    `Remove it from one of the two. If it moved here, or the repository did, hand it over with kubectl -n ${namespace} annotate ${kind} ${name} ${sourceAnnotation}='${mark}' --overwrite and run again.`,
  );
}

function notNow({ vm, runState }: VmContext): Blocker | undefined {
  switch (runState) {
    case 'starting':
      return blocker(
        'vm-starting',
        undefined,
        `${vm.name} is starting (its VMI is ${vm.vmi?.phase ?? 'not there'})`,
        `Run again when ${vm.name} runs. If it never does, look at the events of its launcher pod, or stop it.`,
      );
    case 'stopping':
      return blocker(
        'vm-not-ready',
        undefined,
        `${vm.name} is stopping`,
        'Run again when its VMI is gone, or runs anew.',
      );
    case 'migrating':
      return blocker('vm-migrating', undefined, `${vm.name} is migrating`, 'Run again when the migration is over.');
    case 'running':
    case 'paused': {
      const { pod } = vm;
      if (pod?.ready && !pod.deleting) return undefined;
      const what = pod === undefined ? 'has no launcher pod' : `has a launcher pod, ${pod.name}, that is not ready`;
      return blocker(
        'vm-not-ready',
        undefined,
        `${vm.name} ${what}: KubeVirt plugs nothing into it`,
        'Look at the containers of the pod; run again when it is ready.',
      );
    }
    case 'stopped':
    case 'missing':
      return undefined;
    default:
      return runState satisfies never;
  }
}
