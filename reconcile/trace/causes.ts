/** Why a layer lags, where no blocker of the plan says so already, and what to do about it: one table. */
import type { LiveVm } from '../live/model.ts';
import { migrationGraceSeconds } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { ControllerSight } from './model.ts';

/** What the sentences of the table name. */
interface CauseFacts {
  readonly name: string;
  readonly vm: LiveVm;
  readonly network: ObjectName | undefined;
  readonly controller: ControllerSight;
}

interface CauseRow {
  readonly summary: (facts: CauseFacts) => string;
  readonly remedy: (facts: CauseFacts) => string;
}

export const causes = {
  'not-applied': {
    summary: ({ name }) => `"${name}" is declared, and the template of the VM does not say so yet`,
    remedy: () => 'Apply the desired state.',
  },
  'not-unplugged': {
    summary: ({ name }) => `"${name}" is no longer declared, and the template of the VM still has it`,
    remedy: () => 'Apply the desired state.',
  },
  'kubevirt-behind': {
    summary: ({ name }) => `virt-controller has not brought "${name}" from the VM to its instance`,
    remedy: () => 'Look at the log of virt-controller: kubectl -n kubevirt logs -l kubevirt.io=virt-controller',
  },
  'not-live': {
    summary: ({ name }) => `KubeVirt does not plug the binding of "${name}" into a running VM, and does not say so`,
    remedy: ({ vm }) => `Restart ${vm.name}; or take the NIC out of its template.`,
  },
  'status-behind': {
    summary: ({ name }) => `the status of the VMI does not show "${name}" as pod and domain have it`,
    remedy: ({ vm }) => `Look at the log of virt-handler on ${nodeOf(vm)}, which reports it.`,
  },
  'annotation-behind': {
    summary: ({ name }) => `virt-controller has not brought "${name}" from the VMI to the annotation of its pod`,
    remedy: () =>
      'KubeVirt changes it only while every container of the pod is ready; else look at the log of virt-controller.',
  },
  'controller-missing': {
    summary: () =>
      'no dynamic-networks controller changes the networks of a running pod; KubeVirt migrates the VM instead',
    remedy: ({ vm }) =>
      `KubeVirt migrates some ${migrationGraceSeconds} s after the change: see kubectl -n ${vm.namespace} get vmim. Or install the dynamic-networks controller of Multus.`,
  },
  'controller-not-ready': {
    summary: ({ vm, controller }) =>
      `the dynamic-networks controller (${controller.daemonSet}) is not ready on ${nodeOf(vm)}`,
    remedy: ({ vm, controller }) =>
      `Look at its pods on ${nodeOf(vm)}: kubectl -n ${controller.daemonSet?.split('/')[0]} get pods -o wide --field-selector spec.nodeName=${nodeOf(vm)}`,
  },
  'controller-silent': {
    summary: ({ name, vm }) =>
      `the dynamic-networks controller has neither changed "${name}" in the pod of ${vm.name} nor said why`,
    remedy: ({ vm, controller }) =>
      `Look at its log on ${nodeOf(vm)}${controller.daemonSet === undefined ? '' : ` (DaemonSet ${controller.daemonSet})`}. It forgets a pod after four tries, until the annotation changes again: any plug or unplug of ${vm.name} makes it look anew.`,
  },
  'cni-failed': {
    summary: ({ name, network }) =>
      `the network plugin of ${network === undefined ? 'the network' : objectKey(network)} failed for "${name}" in the pod`,
    remedy: ({ vm, controller }) =>
      `The cause stands in the log of the dynamic-networks controller${controller.daemonSet === undefined ? '' : ` (DaemonSet ${controller.daemonSet})`} and of Multus on ${nodeOf(vm)}. Mend it there; then unplug the NIC and plug it again, since the controller has given up until the annotation changes.`,
  },
  migrating: {
    summary: ({ vm }) => `${vm.name} is migrating, and the change comes with the new pod`,
    remedy: ({ vm }) =>
      `Wait until it is over: kubectl -n ${vm.namespace} get vmim. If its target pod is pending, the events of that pod say why.`,
  },
  'migration-due': {
    summary: ({ name, vm }) => `"${name}" comes to its place by a migration of ${vm.name}, which has not begun`,
    remedy: ({ vm }) =>
      `KubeVirt migrates it by itself; if it does not, migrate it: virtctl -n ${vm.namespace} migrate ${vm.name}`,
  },
  'no-free-port': {
    summary: ({ vm }) => `libvirt has no free PCIe port for it in ${vm.name}`,
    remedy: ({ vm }) =>
      `Unplug another NIC or disk of ${vm.name}; or declare pciePorts with restart: stage, apply, and restart it. While a plug finds no port, KubeVirt unplugs nothing either.`,
  },
  'sync-failed': {
    summary: ({ vm }) => `virt-launcher could not bring the domain of ${vm.name} to its spec`,
    remedy: ({ vm }) =>
      `See the reason, and the log of its launcher: kubectl -n ${vm.namespace} logs ${podOf(vm)} -c compute`,
  },
  'link-behind': {
    summary: ({ name }) => `the link of "${name}" is not as declared in the domain`,
    remedy: ({ vm }) => `Look at the log of its launcher: kubectl -n ${vm.namespace} logs ${podOf(vm)} -c compute`,
  },
  'guest-not-taking': {
    summary: ({ name }) => `"${name}" is in the pod, and the domain does not have it`,
    remedy: ({ vm }) =>
      `Look at the logs of virt-handler on ${nodeOf(vm)} and of the launcher: kubectl -n ${vm.namespace} logs ${podOf(vm)} -c compute. A restart of ${vm.name} plugs it at its start.`,
  },
  'guest-not-releasing': {
    summary: ({ name }) => `the guest was asked to release "${name}", and has not`,
    remedy: ({ vm }) =>
      `In the guest, free the NIC (take it down, out of bonds and bridges) and see that PCIe hotplug works (pciehp); it is asked again with the next change. A restart of ${vm.name} ends it.`,
  },
} as const satisfies Readonly<Record<string, CauseRow>>;

export type CauseCode = keyof typeof causes;

function nodeOf({ vmi }: LiveVm): string {
  return vmi?.nodeName ?? 'its node';
}

function podOf({ pod }: LiveVm): string {
  return pod?.name ?? 'POD';
}
