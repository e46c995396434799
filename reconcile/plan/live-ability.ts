/** Whether a change of a running VM can be made without a restart, and how it reaches the pod. */
import { type NicTraces, runningVmi } from '../diff/layers.ts';
import type { Delivery, LiveVm, LiveVmi, SpecNic } from '../live/model.ts';
import { conditionTypes, isOrdinalPodInterfaceName } from '../systems/kubevirt-names.ts';
import { type Binding, type ObjectName, objectKey } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { networkBlockers } from './networks.ts';
import { blocker, type VmContext } from './steps.ts';

/**
 * How the secondary NICs of a pod are named, as KubeVirt judges it: by the first of them that VMI status gives a pod
 * interface. It ignores `absent` without a word both for ordinal names and while it can't tell.
 */
type NamingScheme = 'hashed' | 'ordinal' | 'unknown';

/** How the pod of an instance names its interfaces, as KubeVirt reckons it. */
export function namingScheme(vmi: LiveVmi): NamingScheme {
  const secondaries = vmi.nics.filter((nic) => !nic.isDefault);
  if (secondaries.length === 0) return 'hashed';
  for (const { name } of secondaries) {
    const told = vmi.status.find((nic) => nic.name === name)?.podInterfaceName;
    if (told !== undefined) return isOrdinalPodInterfaceName(told) ? 'ordinal' : 'hashed';
  }
  return 'unknown';
}

/** How a NIC of this binding on this network gets into the pod. A device that the pod must ask for needs a new pod. */
export function plugDelivery(context: VmContext, binding: Binding, network: ObjectName): Delivery {
  const device = context.networks.get(objectKey(network))?.resourceName;
  return binding === 'sriov' || device !== undefined ? 'migration' : context.cluster.delivery;
}

/** Why a change that only a migration brings would wait for ever. */
export function migrationBlockers(context: VmContext, name: string): readonly Blocker[] {
  const { vm, cluster } = context;
  const found: Blocker[] = [];
  const condition = vm.vmi?.conditions.find(({ type }) => type === conditionTypes.liveMigratable);
  if (condition?.status === 'False') {
    const why = condition.message ?? condition.reason;
    found.push(
      blocker(
        'not-migratable',
        name,
        `the change needs a migration, and ${vm.name} can not migrate${why === undefined ? '' : `: ${why}`}`,
        `Stop ${vm.name} and run again: a stopped VM takes the change at its next start. Or mend what keeps it from migrating.`,
      ),
    );
  }
  if (cluster.liveMigrateEnabled === false) {
    found.push(
      blocker(
        'no-delivery',
        name,
        'the change needs a migration, and KubeVirt migrates nothing of its own accord: workloadUpdateMethods lacks LiveMigrate',
        'Add LiveMigrate to spec.workloadUpdateStrategy.workloadUpdateMethods of the KubeVirt object, or install the dynamic-networks controller of Multus.',
      ),
    );
  }
  return found;
}

/** Why a bridge NIC of a running VM can't be unplugged, or an unplug that began can't end. */
export function unplugBlockers(context: VmContext, nic: SpecNic, traces: NicTraces): readonly Blocker[] {
  const { vm, runState, cluster } = context;
  const vmi = runningVmi(vm);
  const found: Blocker[] = [];
  // Once the VMI has `absent`, KubeVirt has understood it.
  const scheme = vmi === undefined || traces.vmi?.state === 'absent' ? 'hashed' : namingScheme(vmi);
  if (scheme === 'ordinal') found.push(ordinalNames(vm, nic.name));
  if (scheme === 'unknown') found.push(pendingPlug(vm, nic.name));
  if (runState === 'paused' && traces.inDomain) {
    found.push(
      blocker('vm-paused', nic.name, `${vm.name} is paused, so its guest can not release the NIC`, 'Resume the VM.'),
    );
  }
  // One that never got into the pod is only struck from the lists.
  if (!traces.inMultus && !traces.inDomain) return found;
  if (cluster.delivery === 'migration') found.push(...migrationBlockers(context, nic.name));
  else if (nic.network !== undefined) found.push(...networkBlockers(context, nic.name, nic.network, 'unplug'));
  return found;
}

function ordinalNames(vm: LiveVm, name: string): Blocker {
  return blocker(
    'ordinal-names',
    name,
    `the pod of ${vm.name} names its interfaces by position (net1, net2), for which KubeVirt ignores an unplug`,
    `Restart or migrate ${vm.name}: the new pod names them by hash.`,
  );
}

function pendingPlug(vm: LiveVm, name: string): Blocker {
  return blocker(
    'pending-plug',
    name,
    `its plug has not reached the pod of ${vm.name}, which has no other secondary NIC; KubeVirt ignores an unplug until one has`,
    `Point the attachment to a network that exists, or plug another NIC into ${vm.name}, or restart it.`,
  );
}
