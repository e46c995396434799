/** What the systems say that bears on a layer that lags: conditions, events, the controller, the network, ports. Pure. */
import { type Occurrence, occurrenceText } from '../apply/reasons.ts';
import type { KubeObject } from '../kube/cluster.ts';
import type { LiveState } from '../live/model.ts';
import type { PlanPorts } from '../plan/model.ts';
import { text } from '../systems/json-shape.ts';
import { conditionTypes } from '../systems/kubevirt-names.ts';
import { type Layer, type ObjectName, objectKey } from '../vocabulary.ts';
import type { Evidence } from './evidence.ts';
import type { Reason } from './model.ts';
import { conditionOf } from './times.ts';

/** So many events are told. */
const eventsShown = 6;
/** Normal events of the dynamic-networks controller that tell of a NIC. */
const tellingReasons: ReadonlySet<string> = new Set(['AddedInterface', 'RemovedInterface']);

/** What of the target bears on what is told. */
export interface ReasonScope {
  /** Interface of the NIC in the pod. */
  readonly own: string;
  /** Interfaces of the other NICs. */
  readonly others: readonly string[];
  /** A text with the names of NICs beside those of their interfaces. */
  readonly inWords: (text: string) => string;
  readonly node: string;
  readonly network: ObjectName | undefined;
  readonly networks: LiveState['networks'];
  /** The event that is the cause. */
  readonly failure: Occurrence | undefined;
  readonly ports: PlanPorts | undefined;
}

export function reasonsFor(layer: Layer, evidence: Evidence, scope: ReasonScope): readonly Reason[] {
  const { failure, ports } = scope;
  const inPod = layer === 'pod' || layer === 'multus';
  const events = eventsFor(scope, evidence.events)
    .filter((event) => event !== failure)
    .slice(0, eventsShown);
  return [
    ...(failure === undefined ? [] : [eventReason(failure, scope)]),
    ...conditions(layer, evidence),
    ...events.map((event) => eventReason(event, scope)),
    ...(inPod ? [controllerReason(evidence, scope), ...networkReasons(scope)] : []),
    ...(layer === 'domain' && ports !== undefined ? [portReason(ports)] : []),
  ];
}

function eventReason(event: Occurrence, { inWords }: ReasonScope): Reason {
  const at = new Date(event.at).toISOString().replace('.000Z', 'Z');
  return { from: 'event', text: inWords(occurrenceText(event)), at };
}

function conditions(layer: Layer, { vm, vmi }: Evidence): readonly Reason[] {
  const { synchronized, migrationRequired, restartRequired, paused, liveMigratable } = conditionTypes;
  const found: Reason[] = [];
  const add = (object: KubeObject | undefined, type: string, ...statuses: readonly string[]): void => {
    const condition = conditionOf(object, type);
    const status = text(condition?.status) ?? '';
    if (condition === undefined || !statuses.includes(status)) return;
    const words = [text(condition.reason), text(condition.message)].filter((each) => each !== undefined).join(': ');
    const at = text(condition.lastTransitionTime);
    const line = `${object?.kind ?? 'object'} condition ${type}=${status}${words === '' ? '' : `: ${words}`}`;
    found.push({ from: 'condition', text: line.slice(0, 2000), ...(at === undefined ? {} : { at }) });
  };
  add(vm, restartRequired, 'True');
  if (layer === 'domain' || layer === 'multus' || layer === 'vmi') add(vmi, synchronized, 'False');
  if (layer !== 'vm') add(vmi, migrationRequired, 'True', 'False');
  if (layer === 'pod' || layer === 'multus') add(vmi, liveMigratable, 'False');
  if (layer === 'domain') add(vmi, paused, 'True');
  return found;
}

/** Warnings, and what tells of this NIC; nothing that is about another NIC alone. */
function eventsFor({ own, others }: ReasonScope, events: readonly Occurrence[]): readonly Occurrence[] {
  return events.filter(({ type, reason, message }) => {
    if (message.includes(own)) return type === 'Warning' || tellingReasons.has(reason);
    return type === 'Warning' && !others.some((other) => message.includes(other));
  });
}

function controllerReason({ controller }: Evidence, { node }: ReasonScope): Reason {
  const { daemonSet, ready, wanted, onNode } = controller;
  const words = {
    ready: `ready on ${node}`,
    'not-ready': `not ready on ${node}`,
    missing: `not on ${node}`,
    unknown: `whether on ${node} is not known`,
  }[onNode];
  if (daemonSet !== undefined)
    return {
      from: 'controller',
      text: `dynamic-networks controller ${daemonSet}: ready on ${ready} of ${wanted} nodes, ${words}`,
    };
  return {
    from: 'controller',
    text: `dynamic-networks controller: ${onNode === 'missing' ? 'the cluster has none' : 'not known whether there is one'}`,
  };
}

function networkReasons({ network, networks }: ReasonScope): readonly Reason[] {
  if (network === undefined) return [];
  const found = networks.get(objectKey(network));
  const words = found === undefined ? 'does not exist' : (found.problem ?? `is there, of type ${found.pluginType}`);
  return [{ from: 'network', text: `network ${objectKey(network)}: ${words}` }];
}

function portReason({ basis, free, freeAtMost }: PlanPorts): Reason {
  const range = free === freeAtMost ? `${free}` : `${free} to ${freeAtMost}`;
  const how = basis === 'xml' ? 'counted in the domain XML' : "forecast by KubeVirt's rules";
  return { from: 'ports', text: `free PCIe ports: ${range}, ${how}` };
}
