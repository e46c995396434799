/** What the plan of a pod was made from: the fields that the rules look at, no more. */
import { elementKey, statusKeysOf } from '../diff/pods.ts';
import type { LiveState } from '../live/model.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import { normaliseMac } from '../systems/mac.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';
import { digestOf, sortKeys } from './canonical-json.ts';
import type { PodPlan } from './model.ts';
import { podRunState } from './pod-eligibility.ts';
import { protectionField } from './protection.ts';

/** What a plan of one pod looked at besides the pod itself. */
export interface PodReadScope {
  /** Networks by `namespace/name`. */
  readonly networks: readonly string[];
  /** The domain in it was looked at. */
  readonly domain: boolean;
}

/** The fields, with sorted keys, and their digest. */
export function readPodFields(target: ObjectName, live: LiveState, scope: PodReadScope): PodPlan['read'] {
  const pod = findPod(target, live);
  const fields = sortKeys({
    pod: pod === undefined ? null : podFields(pod),
    controller: pod === undefined ? null : controllerField(pod, live),
    ...(scope.domain ? { domain: pod === undefined ? null : domainFields(pod) } : {}),
    networks: Object.fromEntries(scope.networks.map((key) => [key, networkFields(live, key)])),
  });
  return { digest: digestOf(fields), fields };
}

function findPod(target: ObjectName, live: LiveState): LiveTargetPod | undefined {
  const key = objectKey(target);
  return [...(live.pods?.byQuery.values() ?? [])].flat().find((pod) => objectKey(pod) === key);
}

function networkFields(live: LiveState, key: string): Json {
  const network = live.networks.get(key);
  if (network === undefined) return null;
  const { problem, resourceName, pluginType, guestless } = network;
  return {
    problem: problem ?? null,
    resourceName: resourceName ?? null,
    type: pluginType ?? null,
    guestless: guestless ?? false,
  };
}

/** Fields of the pod itself: what its annotations mean, not how they are written. */
function podFields(pod: LiveTargetPod): Json {
  const { networks, status } = pod;
  return {
    uid: pod.uid,
    runState: podRunState(pod),
    running: pod.running,
    hostNetwork: pod.hostNetwork,
    primaryUdn: pod.primaryUdn,
    ...(pod.source === undefined ? {} : { source: pod.source }),
    ...(pod.protection === undefined ? {} : { protection: protectionField(pod.protection) }),
    launcher: pod.launcher === undefined ? null : (pod.launcher.version ?? 'of unknown version'),
    networks:
      'problem' in networks
        ? networks
        : networks.map((element) =>
            [elementKey(element), element.mac === undefined ? '' : normaliseMac(element.mac), ...(element.ips ?? [])]
              .join(' ')
              .trim(),
          ),
    status: status === undefined ? null : 'problem' in status ? status : statusKeysOf(pod).toSorted(),
    ...(pod.held === undefined ? {} : { held: pod.held.input ?? null }),
    ...(pod.suspension === undefined ? {} : { suspended: true }),
    owned: Object.fromEntries(
      pod.owned.map(({ name, network, interface: iface }) => [name, `${objectKey(network)} ${iface}`]),
    ),
  };
}

function controllerField({ node }: LiveTargetPod, { pods }: LiveState): Json {
  if (pods === undefined) return null;
  const { controller, thin } = pods;
  if (thin) return 'thin';
  return controller.kind === 'nodes' ? controller.ready.has(node ?? '') : controller.kind !== 'missing';
}

function domainFields({ domain }: LiveTargetPod): Json {
  if (domain?.kind !== 'read') return domain?.kind ?? null;
  const { nics, pciControllers, devices, running } = domain.domain;
  return {
    running,
    nics: Object.fromEntries(
      nics.map((nic, index) => [
        nic.alias ?? `#${index}`,
        { mac: nic.mac ?? null, model: nic.model ?? null, linkState: nic.linkState, bus: nic.address?.bus ?? null },
      ]),
    ),
    rootPorts: pciControllers.map(({ index, model, hotplug }) => `${index} ${model}${hotplug ? '' : ' hotplug=off'}`),
    usedBuses: [...new Set(devices.map(({ address }) => address.bus))].sort((a, b) => a - b),
  };
}
