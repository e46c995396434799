/** Why a layer lags, where no blocker of the plan says so already, and what to do about it: one table. */
import { migrationGraceSeconds } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { ControllerSight } from './model.ts';

/** What the sentences of the table name. */
export interface CauseFacts {
  /** Of the NIC. */
  readonly nic: string;
  /** The VM, or the pod, that has it. */
  readonly target: ObjectName;
  /** Where that is written: `the template of the VM`, `the annotation of the pod`. */
  readonly written: string;
  readonly node: string;
  /** The launcher; of a pod, the pod. */
  readonly pod: string;
  readonly network: string;
  /** `the dynamic-networks controller (DaemonSet kube-system/...)`. */
  readonly controller: string;
  /** Namespace of the controller. */
  readonly home: string;
}

/** What the table needs, as the rest of the room has it. */
export function causeFacts(facts: {
  readonly nic: string;
  readonly target: ObjectName;
  readonly written: string;
  readonly node: string | undefined;
  readonly pod: string | undefined;
  readonly network: ObjectName | undefined;
  readonly controller: ControllerSight;
}): CauseFacts {
  const { daemonSet } = facts.controller;
  return {
    ...facts,
    node: facts.node ?? 'its node',
    pod: facts.pod ?? 'POD',
    network: facts.network === undefined ? 'the network' : objectKey(facts.network),
    controller: `the dynamic-networks controller${daemonSet === undefined ? '' : ` (DaemonSet ${daemonSet})`}`,
    home: daemonSet?.split('/')[0] ?? 'kube-system',
  };
}

interface CauseRow {
  readonly summary: (facts: CauseFacts) => string;
  readonly remedy: (facts: CauseFacts) => string;
}

export const causes = {
  'not-applied': {
    summary: (of) => `"${of.nic}" is declared, and ${of.written} does not say so yet`,
    remedy: () => 'Apply the desired state.',
  },
  'not-unplugged': {
    summary: (of) => `"${of.nic}" is no longer declared, and ${of.written} still has it`,
    remedy: () => 'Apply the desired state.',
  },
  'kubevirt-behind': {
    summary: (of) => `virt-controller has not brought "${of.nic}" from the VM to its instance`,
    remedy: () => 'Look at the log of virt-controller: kubectl -n kubevirt logs -l kubevirt.io=virt-controller',
  },
  'not-live': {
    summary: (of) => `KubeVirt does not plug the binding of "${of.nic}" into a running VM, and does not say so`,
    remedy: (of) => `Restart ${of.target.name}; or take the NIC out of its template.`,
  },
  'status-behind': {
    summary: (of) => `the status of the VMI does not show "${of.nic}" as pod and domain have it`,
    remedy: (of) => `Look at the log of virt-handler on ${of.node}, which reports it.`,
  },
  'annotation-behind': {
    summary: (of) => `virt-controller has not brought "${of.nic}" from the VMI to the annotation of its pod`,
    remedy: () =>
      'KubeVirt changes it only while every container of the pod is ready; else look at the log of virt-controller.',
  },
  'controller-missing': {
    summary: () =>
      'no dynamic-networks controller changes the networks of a running pod; KubeVirt migrates the VM instead',
    remedy: (of) =>
      `KubeVirt migrates some ${migrationGraceSeconds} s after the change: see kubectl -n ${of.target.namespace} get vmim. Or install the dynamic-networks controller of Multus.`,
  },
  'controller-not-ready': {
    summary: (of) => `${of.controller} is not ready on ${of.node}`,
    remedy: (of) =>
      `Look at its pods there: kubectl -n ${of.home} get pods -o wide --field-selector spec.nodeName=${of.node}`,
  },
  'controller-silent': {
    summary: (of) => `${of.controller} has neither changed "${of.nic}" in the pod of ${of.target.name} nor said why`,
    remedy: (of) =>
      `Look at its log on ${of.node}. It forgets a pod after four tries, until the annotation changes again: any plug or unplug of ${of.target.name} makes it look anew.`,
  },
  'cni-failed': {
    summary: (of) => `the network plugin of ${of.network} failed for "${of.nic}" in the pod`,
    remedy: (of) =>
      `The cause stands in the logs of ${of.controller} and of Multus on ${of.node}. Mend it there; then unplug the NIC and plug it again, since the controller has given up until the annotation changes.`,
  },
  ghost: {
    summary: (of) => `network-status lists "${of.nic}", which the controller took out of the pod again`,
    remedy: () =>
      'Apply the desired state where patchpanel plugged it; else take its element out of the annotation, wait until network-status has lost it, and put it back.',
  },
  migrating: {
    summary: (of) => `${of.target.name} is migrating, and the change comes with the new pod`,
    remedy: (of) =>
      `Wait until it is over: kubectl -n ${of.target.namespace} get vmim. If its target pod is pending, the events of that pod say why.`,
  },
  'migration-due': {
    summary: (of) => `"${of.nic}" comes to its place by a migration of ${of.target.name}, which has not begun`,
    remedy: (of) =>
      `KubeVirt migrates it by itself; if it does not, migrate it: virtctl -n ${of.target.namespace} migrate ${of.target.name}`,
  },
  'no-free-port': {
    summary: (of) => `libvirt has no free PCIe port for it in ${of.target.name}`,
    remedy: (of) =>
      `Unplug another NIC or disk of ${of.target.name}; or declare pciePorts with restart: stage, apply, and restart it. While a plug finds no port, KubeVirt unplugs nothing either.`,
  },
  'sync-failed': {
    summary: (of) => `virt-launcher could not bring the domain of ${of.target.name} to its spec`,
    remedy: (of) => `See the reason, and the log of its launcher: ${launcherLog(of)}`,
  },
  'link-behind': {
    summary: (of) => `the link of "${of.nic}" is not as declared in the domain`,
    remedy: (of) => `Look at the log of its launcher: ${launcherLog(of)}`,
  },
  'guest-not-taking': {
    summary: (of) => `"${of.nic}" is in the pod, and the domain does not have it`,
    remedy: (of) =>
      `Look at the logs of virt-handler on ${of.node} and of the launcher: ${launcherLog(of)}. A restart of ${of.target.name} plugs it at its start.`,
  },
  'guest-not-releasing': {
    summary: (of) => `the guest was asked to release "${of.nic}", and has not`,
    remedy: (of) =>
      `In the guest, free the NIC (take it down, out of bonds and bridges) and see that PCIe hotplug works (pciehp); it is asked again with the next change. A restart of ${of.target.name} ends it.`,
  },
} as const satisfies Readonly<Record<string, CauseRow>>;

export type CauseCode = keyof typeof causes;

function launcherLog({ target, pod }: CauseFacts): string {
  return `kubectl -n ${target.namespace} logs ${pod} -c compute`;
}
