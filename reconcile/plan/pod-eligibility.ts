/** Whether a pod may be written at all, and whether now: what the dynamic-networks controller can not do, with a way out. */
import { elementKey, elementsOf, hasEnded, interfaceKey, type PodDiff, statusKeysOf } from '../diff/pods.ts';
import type { LiveState } from '../live/model.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import type { Blocker, RunState } from './model.ts';
import { blocker } from './steps.ts';

export function podRunState(pod: LiveTargetPod | undefined): RunState {
  if (pod === undefined) return 'missing';
  if (pod.deleting) return 'stopping';
  if (hasEnded(pod)) return 'stopped';
  return pod.phase === 'Running' ? 'running' : 'starting';
}

/** Why nothing may be written to the annotation of this pod. */
export function podBlockers(diff: PodDiff, live: LiveState): readonly Blocker[] {
  const { pod } = diff;
  const found = [
    notRunning(pod),
    ...launcherBlockers(diff, live),
    networkOfPod(pod),
    controllerBlocker(pod, live),
    pod.hostNetwork || pod.phase !== 'Running' ? undefined : unreadable(pod),
  ].filter((one) => one !== undefined);
  return found.length > 0 ? found : unsettled(diff);
}

function onPod(code: Blocker['code'], message: string, remedy: string): Blocker {
  return blocker(code, undefined, message, remedy);
}

function notRunning(pod: LiveTargetPod): Blocker | undefined {
  if (pod.deleting) {
    return onPod(
      'pod-deleting',
      `the pod ${pod.name} is being deleted`,
      'Run again when the pod that takes its place runs.',
    );
  }
  if (pod.mirror) {
    const message = `${pod.name} is a static pod of its node, whose annotations can not be changed for good`;
    return onPod('pod-static', message, 'Change the manifest of the pod on the node.');
  }
  if (pod.phase === 'Running' && pod.running) return undefined;
  const what = pod.phase === 'Running' ? 'has containers that do not run' : `is ${pod.phase}`;
  return onPod(
    'pod-not-running',
    `the pod ${pod.name} ${what}: only a running pod is looked at by the dynamic-networks controller`,
    hasEnded(pod) ? 'Create the pod anew, or remove it from the repository.' : 'Run again when the pod runs.',
  );
}

function networkOfPod(pod: LiveTargetPod): Blocker | undefined {
  if (pod.hostNetwork) {
    const message = `${pod.name} is in the network of its host, where the dynamic-networks controller does nothing`;
    return onPod('pod-host-network', message, 'Create the pod without hostNetwork, or remove it from the repository.');
  }
  if (!pod.primaryUdn) return undefined;
  return onPod(
    'pod-primary-network',
    `${pod.name} has a primary user-defined network of OVN-Kubernetes: the dynamic-networks controller takes its eth0 for one to remove, fails, and takes back what it added`,
    'Declare the networks in the template of the pod, and create it anew.',
  );
}

/** KubeVirt writes the annotation of its launchers itself, and forgets what others put there. */
export function launcherBlockers({ pod, desired }: PodDiff, live: LiveState): readonly Blocker[] {
  if (pod.launcher === undefined) return [];
  const version = pod.launcher.version ?? live.cluster.kubevirtVersion;
  const [major = 0, minor = 0] = (/^v?(\d+)\.(\d+)/.exec(version ?? '') ?? []).slice(1).map(Number);
  const release = major * 1000 + minor;
  if (version !== undefined && release > 0 && release < 1000) {
    if (desired.domain !== undefined) return [];
    const message = `${pod.name} is the launcher of ${pod.launcher.vmi}: its guest sees a new interface only where its domain is named`;
    return [onPod('pod-launcher', message, 'Declare target.domain: {name, container: compute, uri}.')];
  }
  const gated = release >= 1001 && release < 1004;
  const byVm = release >= 1004 || (gated && live.cluster.hotplugGate === true);
  const who = `${pod.name} is the launcher pod of ${pod.launcher.vmi}, whose annotation KubeVirt ${version ?? 'of unknown version'} writes`;
  if (byVm || version === undefined) {
    return [onPod('pod-launcher', who, `Declare target: {kind: VirtualMachine, name: ${pod.launcher.vmi}} instead.`)];
  }
  const gate = 'turn on the feature gate HotplugNICs of KubeVirt and declare the VirtualMachine instead';
  const update = 'Update KubeVirt to v1.4';
  return [
    onPod('pod-launcher', who, gated ? `${update}, or ${gate}.` : `${update} and declare the VirtualMachine instead.`),
  ];
}

function controllerBlocker(pod: LiveTargetPod, live: LiveState): Blocker | undefined {
  const { controller, thin } = live.pods ?? { controller: { kind: 'unknown' as const }, thin: false };
  const install =
    'Install the dynamic-networks controller of Multus on every node, or put the networks into the template of the pod and create it anew.';
  if (controller.kind === 'missing') {
    return onPod(
      'pod-controller',
      `nobody acts on a change of the annotation of ${pod.name}: ${controller.evidence}`,
      install,
    );
  }
  if (controller.kind === 'nodes' && !(pod.node !== undefined && controller.ready.has(pod.node))) {
    const message = `the dynamic-networks controller is not ready on the node ${pod.node ?? ''} of ${pod.name}: ${controller.evidence}`;
    return onPod('pod-controller', message, 'Mend the pod of the controller on that node, then run again.');
  }
  if (!thin) return undefined;
  const message = 'Multus runs as a thin plugin, which the dynamic-networks controller can not ask for anything';
  return onPod('pod-controller', message, 'Install Multus as the thick plugin.');
}

function unreadable(pod: LiveTargetPod): Blocker | undefined {
  if ('problem' in pod.networks) {
    return onPod(
      'pod-annotation',
      `the dynamic-networks controller can not read the networks annotation of ${pod.name}: ${pod.networks.problem}`,
      'Mend the annotation k8s.v1.cni.cncf.io/networks of the pod by hand.',
    );
  }
  if (pod.status !== undefined && !('problem' in pod.status)) return undefined;
  const why = pod.status === undefined ? 'is missing' : pod.status.problem;
  return onPod(
    'pod-annotation',
    `network-status of ${pod.name} ${pod.status === undefined ? why : `can not be read: ${why}`}; without it the controller does nothing`,
    'Create the pod anew, so that Multus writes it.',
  );
}

/**
 * Whatever is written, the controller brings the whole pod to what its annotation says. What another hand left unequal
 * would so come or go with our change, and take it back where it fails.
 */
function unsettled({ pod, attachments, desired }: PodDiff): readonly Blocker[] {
  const ours = new Set(pod.owned.map(interfaceKey));
  const elements = elementsOf(pod);
  const keys = new Set(elements.map(elementKey));
  const status = new Set(statusKeysOf(pod));
  const repaired = new Set(desired.repair ? repairsOf(pod).map(({ index }) => index) : []);
  const repairedKeys = new Set(desired.repair ? repairsOf(pod).map(interfaceKey) : []);
  const nameless = elements.flatMap((element, index) =>
    element.interface === undefined && !repaired.has(index) ? [element] : [],
  );
  if (nameless.length > 0)
    return nameless.map((element) =>
      withoutInterface(pod, element.name, `${element.namespace}/${element.name}`, desired.repair),
    );
  const found: Blocker[] = [];
  const mayFollow = pod.settling && !attachments.some(({ failed }) => failed);
  const pending = elements.filter((element) => element.interface !== undefined && !ours.has(elementKey(element)));
  for (const element of pending) {
    const key = elementKey(element);
    if (status.has(key) || mayFollow) continue;
    found.push(
      onPod(
        'pod-unsettled',
        `the annotation of ${pod.name} asks for ${element.namespace}/${element.name} as ${element.interface}, which patchpanel did not write and network-status does not have: each change of the pod would try it again, and fail with it`,
        'Take that element out of the annotation, or mend its network and write the annotation again.',
      ),
    );
  }
  for (const key of status) {
    if (keys.has(key) || ours.has(key) || repairedKeys.has(key)) continue;
    found.push(
      onPod(
        'pod-unsettled',
        `network-status of ${pod.name} lists ${key}, for which the annotation has no element: the controller would take it out with the next change`,
        'Where it is to stay, add an element with that network and interface to the annotation; networks that the configuration of Multus adds, and plugins with several interfaces, can not be changed live.',
      ),
    );
  }
  return found;
}

function withoutInterface(pod: LiveTargetPod, name: string, network: string, repair: boolean): Blocker {
  const message = `the annotation of ${pod.name} has an element for ${network} without an interface, which the controller can never match: it fails first at every change`;
  const remedy =
    name === 'istio-cni'
      ? 'Istio put it there and it has no interface: take it out of the annotation of the running pod.'
      : repair
        ? 'network-status does not tell which interface it has: write it into the annotation.'
        : 'Declare repair: true, which gives it the interface that it has; or write that into the annotation.';
  return onPod('pod-no-interface', message, remedy);
}

export interface Repair {
  readonly index: number;
  readonly network: { readonly namespace: string; readonly name: string };
  readonly interface: string;
}

/**
 * The interface of each element that names none, where network-status tells it: the one entry of its network that no
 * other element has; of several, those that Multus numbered, in the order of both.
 */
export function repairsOf(pod: LiveTargetPod): readonly Repair[] {
  const elements = elementsOf(pod);
  const taken = new Set(elements.map(elementKey));
  const entries = (pod.status === undefined || 'problem' in pod.status ? [] : pod.status).filter(
    (entry) =>
      entry.default !== true && entry.interface !== undefined && !taken.has(`${entry.name}/${entry.interface}`),
  );
  const nameless = elements.flatMap((element, index) => (element.interface === undefined ? [{ element, index }] : []));
  const groups = Map.groupBy(nameless, ({ element }) => `${element.namespace}/${element.name}`);
  const found = [...groups].flatMap(([network, members]): readonly Repair[] => {
    const names = entries.filter(({ name }) => name === network).flatMap(({ interface: iface }) => iface ?? []);
    const ordered = names.every((name) => /^net\d+$/.test(name))
      ? names.toSorted((a, b) => Number(a.slice(3)) - Number(b.slice(3)))
      : names;
    if (ordered.length !== members.length || (members.length > 1 && ordered.some((name) => !/^net\d+$/.test(name))))
      return [];
    return members.map(({ element, index }, at) => ({
      index,
      network: { namespace: element.namespace, name: element.name },
      interface: ordered[at] ?? '',
    }));
  });
  return found.sort((a, b) => a.index - b.index);
}
