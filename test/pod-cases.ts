/** Plans of pods, put in short, for the tables of planning rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredElement, DesiredPods, DesiredState } from '../reconcile/desired/model.ts';
import type { LiveNetwork, LiveState } from '../reconcile/live/model.ts';
import type { ControllerEvent, LivePods, LiveTargetPod, OwnedInterface } from '../reconcile/live/pod-model.ts';
import { isPodPlan, type Plan, type PodPlan } from '../reconcile/plan/model.ts';
import { makePlan } from '../reconcile/plan/plan.ts';
import type { PodAction } from '../reconcile/plan/pod-model.ts';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { readElements } from '../reconcile/systems/multus-edit.ts';
import type { NetworkStatus } from '../reconcile/systems/multus-status.ts';
import { desiredState, liveState } from './vm-builder.ts';

const position = { file: 'pods.yaml', line: 1, column: 1 };
export const eth0: NetworkStatus = { name: 'cbr0', interface: 'eth0', default: true };

/** An attachment called as its network is, less `-net`. */
export function wants(name: string, more: Partial<DesiredElement> = {}): DesiredElement {
  return { name, network: { namespace: 'prod', name: `${name}-net` }, interface: name, state: 'up', position, ...more };
}

export function declares(attachments: readonly DesiredElement[], more: Partial<DesiredPods> = {}): DesiredPods {
  return { query: { namespace: 'prod', name: 'web' }, name: 'web', repair: false, attachments, position, ...more };
}

export function owns(name: string, more: Partial<OwnedInterface> = {}): OwnedInterface {
  return { name, network: { namespace: 'prod', name: `${name}-net` }, interface: name, ...more };
}

export function element(name: string, more: object = {}): object {
  return { name: `${name}-net`, namespace: 'prod', interface: name, ...more };
}

export function entry(name: string): NetworkStatus {
  return { name: `prod/${name}-net`, interface: name };
}

export function event(reason: ControllerEvent['reason'], name: string): ControllerEvent {
  return { reason, interface: name, network: `${name}-net` };
}

/** A pod that runs, with these elements, all of them plugged unless `status` says otherwise. */
export function podWith(
  elements: readonly object[] | string | undefined,
  more: Partial<LiveTargetPod> = {},
): LiveTargetPod {
  const networksText = typeof elements === 'object' ? JSON.stringify(elements) : elements;
  const read = readElements(networksText, 'prod');
  const plugged = read.ok
    ? read.elements.map(
        (one): NetworkStatus => ({ name: `${one.namespace}/${one.name}`, interface: one.interface ?? 'net1' }),
      )
    : [];
  return {
    namespace: 'prod',
    name: 'web',
    uid: 'uid-web',
    phase: 'Running',
    deleting: false,
    hostNetwork: false,
    running: true,
    node: 'node01',
    ...(networksText === undefined ? {} : { networksText }),
    networks: read.ok ? read.elements : { problem: read.error },
    status: [eth0, ...plugged],
    owned: [],
    owners: [],
    mirror: false,
    primaryUdn: false,
    settling: false,
    events: [],
    annotationBytes: 1000,
    ...more,
  };
}

export interface PodCase {
  readonly desired?: Partial<Pick<DesiredState, 'source' | 'settings'>>;
  readonly pods?: Partial<LivePods>;
  readonly networks?: readonly LiveNetwork[];
  readonly cluster?: { readonly kubevirtVersion?: string; readonly hotplugGate?: boolean };
}

const names = ['a', 'b', 'c', 'd', 'old'];

export function podsPlan(wanted: readonly DesiredPods[], found: readonly LiveTargetPod[], options: PodCase = {}): Plan {
  const { desired, live } = podStates(wanted, found, options);
  return makePlan([], desired, live);
}

/** What such a plan is made from. */
export function podStates(
  wanted: readonly DesiredPods[],
  found: readonly LiveTargetPod[],
  options: PodCase = {},
): { readonly desired: DesiredState; readonly live: LiveState } {
  const base = liveState([], { also: names.map((name) => `${name}-net`) });
  const networks = new Map([
    ...base.networks,
    ...(options.networks ?? []).map((one) => [`${one.namespace}/${one.name}`, one] as const),
  ]);
  const byQuery = new Map(
    wanted.map(({ query }) => {
      const key = 'name' in query ? query.name : `[${query.selector}]`;
      const matches = found.filter((pod) => !('name' in query) || pod.name === query.name);
      return [`${query.namespace}/${key}`, matches] as const;
    }),
  );
  const live = {
    ...base,
    networks,
    cluster: { ...base.cluster, ...options.cluster },
    pods: {
      byQuery,
      controller: { kind: 'everywhere', evidence: 'DaemonSet x/y' } as const,
      thin: false,
      ...options.pods,
    },
  };
  return { desired: { ...desiredState([]), pods: wanted, ...options.desired }, live };
}

export function podPlan(
  wanted: DesiredPods,
  pod: LiveTargetPod | undefined,
  options: PodCase = {},
): PodPlan | undefined {
  const plan = podsPlan([wanted], pod === undefined ? [] : [pod], options);
  const [target] = plan.targets;
  assert.ok(target === undefined || isPodPlan(target));
  return target;
}

export function brief(action: PodAction): string {
  switch (action.kind) {
    case 'pod-plug':
      return `plug ${action.element.name}`;
    case 'pod-unplug':
      return `unplug ${action.elements.map(({ name }) => name).join('+')}${action.ghost ? ' ghost' : ''}`;
    case 'pod-kick':
      return `kick ${action.attachments.join('+')} ${action.until}`;
    case 'pod-repair':
      return `repair ${action.elements.map(({ index, interface: iface }) => `${index}=${iface}`).join('+')}`;
    case 'domain-attach':
      return `attach ${action.attachment}${action.port === undefined ? '' : ` ${action.port}`}`;
    case 'domain-detach':
      return `detach ${action.attachment}`;
    case 'domain-link':
      return `link ${action.attachment} ${action.state}`;
    case 'pod-follow':
      return `follow ${action.attachment} ${action.until}`;
    case 'pod-release':
      return `release ${action.attachments.join('+')}`;
    default:
      return action satisfies never;
  }
}

export const domain = { name: 'vm', container: 'vm', uri: 'qemu:///system' };

export const mac = '02:00:00:00:00:01';

/** A domain with so many free root ports, and NICs of these attachments on the first. */
export function reading(free: number, nics: readonly string[] = [], running = true): Pick<LiveTargetPod, 'domain'> {
  const ports = Array.from({ length: free + nics.length }, (_, at) => {
    const address = `<address type="pci" domain="0x0000" bus="0x00" slot="0x0${at + 1}" function="0x0"/>`;
    return `<controller type="pci" index="${at + 1}" model="pcie-root-port">${address}</controller>`;
  });
  const interfaces = nics.map(
    (name, at) =>
      `<interface type="ethernet"><mac address="${mac}"/><model type="virtio"/><alias name="ua-${name}"/><address type="pci" domain="0x0000" bus="0x0${at + 1}" slot="0x00" function="0x0"/></interface>`,
  );
  const root = '<controller type="pci" index="0" model="pcie-root"/>';
  const xml = `<domain${running ? ' id="1"' : ''}><name>vm</name><os><type machine="pc-q35-7.2">hvm</type></os><devices>${root}${ports.join('')}${interfaces.join('')}</devices></domain>`;
  return { domain: { kind: 'read', domain: parseDomain(xml), links: [] } };
}

export interface PodRow {
  readonly what: string;
  readonly wanted: DesiredPods;
  readonly pod: LiveTargetPod | undefined;
  readonly options?: PodCase;
  readonly actions?: readonly string[];
  readonly blockers?: readonly string[];
}

export function checkPodRows(rows: readonly PodRow[]): void {
  for (const { what, wanted, pod, options, actions = [], blockers = [] } of rows) {
    test(what, () => {
      const plan = podPlan(wanted, pod, options);
      assert.deepEqual(plan?.actions.map(brief) ?? [], actions);
      assert.deepEqual(
        plan?.blockers.map(({ code, attachment }) => (attachment === undefined ? code : `${code} ${attachment}`)) ?? [],
        blockers,
      );
      for (const { remedy } of plan?.blockers ?? []) assert.match(remedy, /\.$/, 'a remedy is a sentence');
    });
  }
}
