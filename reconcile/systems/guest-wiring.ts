/**
 * How a NIC of a guest hangs on an interface of its pod: a bridge with two ports, the pod interface and the guest's tap,
 * named as KubeVirt names them. The guest gets the MAC that the CNI plugin gave to the pod interface, which takes another
 * one and loses its addresses: else the pod itself would answer for the guest, and the bridge keep the guest's frames.
 *
 * The pod interface keeps its name, since the CNI plugin finds it by that name when it is removed. What it was like before
 * is noted with the interface itself, so that a run that was killed can be reversed by the next.
 */
import { createHash } from 'node:crypto';
import type { Link } from './ip-links.ts';
import { bridgeName, tapName } from './kubevirt-names.ts';
import { normaliseMac, parseMac } from './mac.ts';

export interface Wiring {
  readonly podInterface: string;
  readonly bridge: string;
  readonly tap: string;
  /** MAC of the pod interface while the guest has the one that CNI gave it. */
  readonly portMac: string;
}

/** An argument array to run in the container. */
export interface WiringStep {
  readonly command: readonly string[];
  /** Its failure is of no consequence, as where the container has no IPv6. */
  readonly optional?: boolean;
}

export type WiringPlan =
  | { readonly kind: 'steps'; readonly steps: readonly WiringStep[] }
  /** `busy`: the tap is held by another program. */
  | { readonly kind: 'refused'; readonly why: 'missing' | 'unfit' | 'foreign' | 'busy'; readonly reason: string };

/** What a pod interface was like before a guest got it. */
export interface Before {
  readonly mac?: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

/** Prints all interfaces as {@link parseLinks} reads them. */
export const showLinks = ['ip', '-j', '-d', 'address', 'show'] as const;

const notePrefix = 'patchpanel ';
/** Linux keeps so many bytes with an interface. */
const longestNote = 255;

/** Names and MAC, which depend on nothing but the pod and its interface: each run arrives at the same. */
export function wiringOf(podInterface: string, podUid: string): Wiring {
  const digest = createHash('sha256').update(`${podUid}/${podInterface}`).digest();
  // Locally administered, and apart from KubeVirt's reserved 02:00:00:00:00:00.
  const portMac = ['02', ...[...digest.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
  return { podInterface, bridge: bridgeName(podInterface), tap: tapName(podInterface), portMac };
}

/**
 * What is missing between what is there and a wired NIC, in an order that may be cut anywhere.
 * @param attached the domain has the NIC already, so that its own hold on the tap is no fault
 */
export function stepsToWire(wiring: Wiring, links: readonly Link[], attached: boolean): WiringPlan {
  const { podInterface, bridge, tap, portMac } = wiring;
  const pod = find(links, podInterface);
  if (pod === undefined) return refused('missing', `the pod has no interface ${podInterface}`);
  const fault = podFault(pod, bridge) ?? bridgeFault(links, wiring) ?? tapFault(links, wiring, attached);
  if (fault !== undefined) return fault;
  const steps: WiringStep[] = [];
  const ip = (...args: readonly string[]): number => steps.push({ command: ['ip', ...args] });
  const quiet = (name: string): number =>
    steps.push({ command: ['ip', 'link', 'set', 'dev', name, 'addrgenmode', 'none'], optional: true });

  const isTaken = pod.mac === portMac || pod.master === bridge;
  if (readNote(pod) === undefined && !isTaken) ip('link', 'set', 'dev', podInterface, 'alias', noteOf(pod));

  const there = find(links, bridge);
  if (there === undefined) ip('link', 'add', 'name', bridge, 'type', 'bridge');
  if (there?.mtu !== pod.mtu) ip('link', 'set', 'dev', bridge, 'mtu', String(pod.mtu));

  const held = find(links, tap);
  if (held === undefined) ip('tuntap', 'add', 'dev', tap, 'mode', 'tap');
  if (held?.mtu !== pod.mtu) ip('link', 'set', 'dev', tap, 'mtu', String(pod.mtu));
  if (held?.master !== bridge) ip('link', 'set', 'dev', tap, 'master', bridge);

  if (pod.mac !== portMac) {
    quiet(podInterface);
    ip('link', 'set', 'dev', podInterface, 'address', portMac);
  }
  // The kernel makes up link-local ones by itself, where it can't be told not to.
  const isNew = pod.addresses.length > 0 && pod.mac !== portMac;
  if (isNew || pod.addresses.some((address) => !isLinkLocal(address))) ip('address', 'flush', 'dev', podInterface);
  if (pod.master !== bridge) ip('link', 'set', 'dev', podInterface, 'master', bridge);
  for (const link of [there ?? { name: bridge, up: false }, held ?? { name: tap, up: false }, pod]) {
    if (link.up) continue;
    // Without it each of them would get an address of its own on the network of the guest.
    if (link !== pod) quiet(link.name);
    ip('link', 'set', 'dev', link.name, 'up');
  }
  return { kind: 'steps', steps };
}

/**
 * The way back: tap, bridge, then the pod interface as it was. Never touches a tap of another bridge, nor a bridge that has
 * other ports; nor what KubeVirt or others made under these names, where another NIC or port uses it.
 *
 * @param fallback what network-status says of the interface, where no note is left
 * @param keepTap the tap is another's: it is only let go
 */
export function stepsToUnwire(
  wiring: Wiring,
  links: readonly Link[],
  fallback: Before,
  keepTap = false,
): readonly WiringStep[] {
  const { podInterface, bridge, tap, portMac } = wiring;
  const pod = find(links, podInterface);
  const note = pod === undefined ? undefined : readNote(pod);
  const free = otherPorts(links, wiring).length === 0;
  // Ours begins with the note and ends with it.
  const isOurs = pod === undefined || note !== undefined || pod.mac === portMac;
  if (!isOurs && (keepTap || !free)) return [];

  const steps: WiringStep[] = [];
  const ip = (...args: readonly string[]): number => steps.push({ command: ['ip', ...args] });
  const held = find(links, tap);
  if (held?.kind === 'tun' && (held.master === undefined || held.master === bridge)) {
    if (!keepTap) ip('link', 'delete', 'dev', tap);
    else if (held.master !== undefined) ip('link', 'set', 'dev', tap, 'nomaster');
  }
  if (pod?.master === bridge) ip('link', 'set', 'dev', podInterface, 'nomaster');
  if (find(links, bridge)?.kind === 'bridge' && free) ip('link', 'delete', 'dev', bridge);

  if (pod === undefined) return steps;
  if (!isOurs && pod.master !== bridge) return steps;
  const before = note ?? fallback;
  if (before.mac !== undefined && pod.mac !== before.mac) {
    ip('link', 'set', 'dev', podInterface, 'address', before.mac);
    steps.push({ command: ['ip', 'link', 'set', 'dev', podInterface, 'addrgenmode', 'eui64'], optional: true });
  }
  for (const address of before.addresses) {
    if (!pod.addresses.includes(address)) ip('address', 'replace', address, 'dev', podInterface);
  }
  // Last of all: as long as it is there, the way back can begin anew.
  if (note !== undefined) ip('link', 'set', 'dev', podInterface, 'alias', '');
  return steps;
}

/** MAC that CNI gave to the interface: the guest's, unless another is declared. */
export function originalMac(wiring: Wiring, links: readonly Link[], fallback: Before): string | undefined {
  const pod = find(links, wiring.podInterface);
  const note = pod === undefined ? undefined : readNote(pod);
  if (note?.mac !== undefined) return note.mac;
  if (fallback.mac !== undefined) return fallback.mac;
  return pod?.mac === wiring.portMac ? undefined : pod?.mac;
}

/** MTU of the pod interface, which bridge, tap and guest share. */
export function wiredMtu(wiring: Wiring, links: readonly Link[]): number | undefined {
  return find(links, wiring.podInterface)?.mtu;
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

function find(links: readonly Link[], name: string): Link | undefined {
  return links.find((link) => link.name === name);
}

function noteOf(pod: Link): string {
  let note = `${notePrefix}${pod.mac}`;
  for (const address of pod.addresses) {
    if (note.length + 1 + address.length <= longestNote) note += ` ${address}`;
  }
  return note;
}

function readNote({ note }: Link): Before | undefined {
  if (note === undefined || !note.startsWith(notePrefix)) return undefined;
  const [mac = '', ...addresses] = note.slice(notePrefix.length).split(' ');
  return parseMac(mac) === undefined ? undefined : { mac: normaliseMac(mac), addresses };
}

function podFault(pod: Link, bridge: string): WiringPlan | undefined {
  if (pod.master !== undefined && pod.master !== bridge)
    return refused('foreign', `${pod.name} is a port of the bridge ${pod.master}`);
  // These deliver nothing but frames to their own address; a guest behind them would hear nothing.
  if (pod.kind === 'ipvlan' || (pod.kind === 'macvlan' && pod.mode !== 'passthru'))
    return refused('unfit', `${pod.name} is a ${pod.kind}, which passes no frames to a guest behind a bridge`);
  return undefined;
}

function bridgeFault(links: readonly Link[], wiring: Wiring): WiringPlan | undefined {
  const { bridge } = wiring;
  const link = find(links, bridge);
  if (link === undefined) return undefined;
  if (link.kind !== 'bridge') return refused('foreign', `${bridge} is there and is no bridge`);
  const [other] = otherPorts(links, wiring);
  return other === undefined ? undefined : refused('foreign', `${other.name} is a port of ${bridge}, too`);
}

function otherPorts(links: readonly Link[], { podInterface, bridge, tap }: Wiring): readonly Link[] {
  return links.filter(({ name, master }) => master === bridge && name !== tap && name !== podInterface);
}

function tapFault(links: readonly Link[], { bridge, tap }: Wiring, attached: boolean): WiringPlan | undefined {
  const link = find(links, tap);
  if (link === undefined) return undefined;
  if (link.kind !== 'tun') return refused('foreign', `${tap} is there and is no tap`);
  if (link.master !== undefined && link.master !== bridge)
    return refused('foreign', `${tap} is a port of the bridge ${link.master}`);
  if (link.up && link.carrier && !attached) return refused('busy', `${tap} is held by another program`);
  return undefined;
}

function refused(why: Extract<WiringPlan, { kind: 'refused' }>['why'], reason: string): WiringPlan {
  return { kind: 'refused', why, reason };
}
