/** The panel of a VM: its differences and its plan as ports and cables. */

import { traceNic } from '../../diff/layers.ts';
import type { AttachmentDiff, TargetDiff } from '../../diff/model.ts';
import type { LiveVm, SpecNic } from '../../live/model.ts';
import { runStateOf } from '../../plan/eligibility.ts';
import type { Action, Blocker, PlanPorts, TargetPlan, VmPlan } from '../../plan/model.ts';
import { freePorts } from '../../plan/ports.ts';
import { onlyWaits } from '../../plan/restart.ts';
import type { PortCount } from '../../systems/libvirt-ports.ts';
import { type ObjectName, objectKey } from '../../vocabulary.ts';
import { printable } from '../style.ts';
import { describeAction, networkName, runStateWords, sign } from '../words.ts';
import type { Block, Cable, CableState, Facet, Jack, Panel } from './model.ts';

/** Numbers the networks of a page as they come. */
export interface NetworkIndex {
  readonly names: string[];
  readonly of: (network: ObjectName) => number;
}

export function networkIndex(): NetworkIndex {
  const names: string[] = [];
  const numbers = new Map<string, number>();
  return {
    names,
    of(network) {
      const name = printable(objectKey(network));
      const known = numbers.get(name);
      if (known !== undefined) return known;
      numbers.set(name, names.length);
      return names.push(name) - 1;
    },
  };
}

/** @param plan undefined where the VM is as declared, or nothing is planned */
export function vmPanel(diff: TargetDiff, plan: VmPlan | undefined, networks: NetworkIndex): Panel {
  const { desired, live } = diff;
  const { position, target } = desired;
  const cables = diff.attachments.flatMap((attachment) => cableOf(attachment, live, plan, networks));
  const jacks = jacksOf(live, plan?.ports);
  const ports = portWords(live, plan?.ports, jacks);
  return {
    kind: 'VM',
    ns: printable(target.namespace),
    name: printable(target.name),
    run: [
      runStateWords[runStateOf(live)],
      ...(desired.pruned === true ? ['no longer declared'] : []),
      ...waveWords(plan),
    ].join(', '),
    is: facetsOf(plan, cables),
    ...(position.file === '' || desired.pruned === true ? {} : { at: printable(`${position.file}:${position.line}`) }),
    ...(jacks === undefined ? {} : { jacks }),
    ...(ports === undefined ? {} : { ports }),
    cables,
    ...wordsOf(plan),
  };
}

/** The stage in which a run comes to the VM. */
function waveWords(plan: VmPlan | undefined): readonly string[] {
  return plan?.wave === undefined ? [] : [`wave ${printable(plan.wave.name)}`];
}

/** Blockers, steps and notes, as far as there are some. */
export function wordsOf(plan: TargetPlan | undefined): Pick<Panel, 'blocks' | 'steps' | 'notes'> {
  if (plan === undefined) return {};
  const blocks = plan.blockers.map(blockOf);
  const steps = plan.actions.map((action) => [sign(action), printable(describeAction(action, plan.target))] as const);
  const notes = plan.notes.map(({ message }) => printable(message));
  return {
    ...(blocks.length === 0 ? {} : { blocks }),
    ...(steps.length === 0 ? {} : { steps }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}

export function blockOf({ code, attachment, message, remedy, paste, position }: Blocker): Block {
  return {
    code,
    ...(attachment === undefined ? {} : { nic: printable(attachment) }),
    text: printable(message),
    remedy: printable(remedy),
    ...(paste === undefined ? {} : { paste: paste.split('\n').map(printable).join('\n') }),
    ...(position === undefined ? {} : { at: printable(`${position.file}:${position.line}`) }),
  };
}

/** What stands against one attachment: its own blocker, or one that stops the whole target. */
export function isBlocked(plan: TargetPlan | undefined, name: string): boolean {
  const blockers = plan?.blockers ?? [];
  if (blockers.some(({ attachment }) => attachment === name)) return true;
  return plan?.actions.length === 0 && blockers.some(({ attachment }) => attachment === undefined);
}

function cableOf(
  { name, state, wanted }: AttachmentDiff,
  live: LiveVm | undefined,
  plan: VmPlan | undefined,
  networks: NetworkIndex,
): readonly Cable[] {
  if (state === 'released') return [];
  const nic = live?.nics.find((each) => each.name === name);
  const action = plan?.actions.find((each) => concerns(each, name));
  const is = cableState(state, name, action, plan);
  const seen = live === undefined ? undefined : traceNic(live, name).domain?.address?.bus;
  const to = (action?.kind === 'plug' ? action.ports?.[name] : undefined) ?? seen;
  const network = wanted?.network ?? nic?.network;
  const mac = wanted?.mac ?? nic?.mac;
  const say = sayOf(state, is, nic, wanted?.state, action, plan?.target);
  return [
    {
      name: printable(name),
      is,
      ...(network === undefined || nic?.isDefault === true ? {} : { net: networks.of(network) }),
      ...(to === undefined ? {} : { to }),
      ...(mac === undefined ? {} : { mac: printable(mac) }),
      ...(say === '' ? {} : { say: printable(say) }),
    },
  ];
}

function concerns(action: Action, name: string): boolean {
  switch (action.kind) {
    case 'plug':
      return action.attachments.some((attachment) => attachment.name === name);
    case 'unplug':
      return action.attachments.includes(name);
    case 'link':
    case 'swap':
    case 'follow':
      return action.attachment === name;
    case 'edit-template':
      return action.put.some((attachment) => attachment.name === name) || action.remove.includes(name);
    case 'set-ports':
    case 'restart':
    case 'release':
      return false;
    default:
      return action satisfies never;
  }
}

function cableState(
  state: AttachmentDiff['state'],
  name: string,
  action: Action | undefined,
  plan: VmPlan | undefined,
): CableState {
  if (state === 'unmanaged') return 'foreign';
  if (action !== undefined) return stateOfAction(action, name, state);
  if (state === 'converged') return isNamed(plan, name) ? 'blocked' : 'stays';
  if (isBlocked(plan, name)) return 'blocked';
  if (state === 'arriving' || state === 'leaving') return 'flight';
  return waits(plan, name) ? 'staged' : 'stays';
}

function isNamed(plan: VmPlan | undefined, name: string): boolean {
  return plan?.blockers.some(({ attachment }) => attachment === name) ?? false;
}

function waits(plan: VmPlan | undefined, name: string): boolean {
  // Without a plan a VM is held against its own template: what an instance lacks of that comes with its restart.
  if (plan === undefined) return true;
  return (
    plan.notes.some(({ code, attachment }) => code === 'restart-pending' && attachment === name) ||
    plan.blockers.some(({ attachment }) => attachment === undefined)
  );
}

function stateOfAction(action: Action, name: string, state: AttachmentDiff['state']): CableState {
  switch (action.kind) {
    case 'plug':
      return 'plug';
    case 'unplug':
      return 'unplug';
    case 'follow':
      return 'flight';
    case 'edit-template':
      if (action.staged) return 'staged';
      if (action.remove.includes(name)) return 'unplug';
      return state === 'missing' ? 'plug' : 'change';
    case 'link':
    case 'swap':
    case 'set-ports':
    case 'restart':
    case 'release':
      return 'change';
    default:
      return action satisfies never;
  }
}

const blockedWords: Readonly<Partial<Record<AttachmentDiff['state'], string>>> = {
  missing: 'can not be plugged',
  surplus: 'can not be unplugged',
  leaving: 'its unplug does not end',
  arriving: 'its plug does not end',
  differs: 'can not be changed',
};

function sayOf(
  state: AttachmentDiff['state'],
  is: CableState,
  nic: SpecNic | undefined,
  link: 'up' | 'down' | undefined,
  action: Action | undefined,
  vm: ObjectName = { namespace: '', name: '' },
): string {
  if (action?.kind === 'swap') return `from ${networkName(action.from, vm)}`;
  if (action?.kind === 'link') return `link ${action.state}`;
  if (is === 'blocked') return blockedWords[state] ?? '';
  if (is === 'flight') {
    const until = action?.kind === 'follow' ? action.until : state === 'leaving' ? 'gone' : 'plugged';
    return { plugged: 'being plugged', gone: 'being unplugged', link: 'link is set', swapped: 'being moved' }[until];
  }
  if (is === 'staged') return { missing: 'plugged then', surplus: 'unplugged then' }[state as string] ?? 'changed then';
  const parts: string[] = [];
  if (action?.kind === 'plug' && action.delivery === 'migration') parts.push('by migration');
  if (action?.kind === 'unplug' && action.delivery === 'migration') parts.push('by migration');
  if ((link ?? nic?.state) === 'down') parts.push('link down');
  if (nic !== undefined && nic.binding !== 'bridge') parts.push(nic.binding);
  return parts.join(', ');
}

/** The plan's strip where there is one: it tells what becomes of each port. */
function jacksOf(live: LiveVm | undefined, ports: PlanPorts | undefined): readonly Jack[] | undefined {
  if (ports?.strip !== undefined) return ports.strip.map(jackOf);
  const counted = live === undefined ? undefined : freePorts(live)?.counted;
  return counted === undefined || counted.pool !== 'pcie' ? undefined : jacksOfCount(counted);
}

export function jacksOfCount({ ports }: PortCount): readonly Jack[] {
  return ports.map(jackOf);
}

function jackOf(port: {
  readonly index: number;
  readonly state: 'used' | 'freed' | 'taken' | 'free' | 'not-hotpluggable';
  readonly device?: string;
}): Jack {
  return {
    at: port.index,
    is: port.state === 'not-hotpluggable' ? 'fixed' : port.state,
    ...(port.device === undefined ? {} : { what: printable(port.device) }),
  };
}

/** What is known of the ports, in a line; undefined where a VM does not run. */
function portWords(
  live: LiveVm | undefined,
  ports: PlanPorts | undefined,
  jacks: readonly Jack[] | undefined,
): string | undefined {
  if (jacks !== undefined) return countWords(jacks);
  const offer = ports ?? (live === undefined ? undefined : freePorts(live));
  if (offer === undefined) return undefined;
  const range = offer.free === offer.freeAtMost ? `${offer.free}` : `${offer.free} to ${offer.freeAtMost}`;
  const needed = ports === undefined || ports.needed === 0 ? '' : `, ${ports.needed} needed`;
  return `${range} free by forecast${needed}; the domain XML was not read`;
}

const jackOrder = ['used', 'freed', 'taken', 'free', 'fixed'] as const;
const jackCounts = {
  used: 'used',
  freed: 'to be freed',
  taken: 'to be used',
  free: 'free',
  fixed: 'not hot-pluggable',
};

export function countWords(jacks: readonly Jack[]): string {
  const parts = jackOrder.flatMap((state) => {
    const number = jacks.filter(({ is }) => is === state).length;
    return number === 0 ? [] : [`${number} ${jackCounts[state]}`];
  });
  return `${jacks.length} ports: ${parts.join(', ')}`;
}

const facetOrder: readonly Facet[] = ['blocked', 'unplug', 'plug', 'change', 'flight', 'staged'];

/** What is said of the target as a whole: what its plan does, and what its cables show. */
export function facetsOf(plan: TargetPlan | undefined, cables: readonly Cable[]): readonly Facet[] {
  const found = new Set<string>(cables.map(({ is }) => is));
  if (plan !== undefined && plan.blockers.length > 0) found.add('blocked');
  for (const action of plan?.actions ?? []) {
    if (action.kind === 'follow' || action.kind === 'pod-follow') found.add('flight');
    else if (action.kind !== 'edit-template')
      found.add({ '+': 'plug', '-': 'unplug', '~': 'change', '.': '' }[sign(action)]);
  }
  // What no cable shows, such as a record that is tidied, is told of where there is nothing else.
  if (plan !== undefined && plan.actions.length > 0 && !facetOrder.some((facet) => found.has(facet)))
    found.add('change');
  if (plan !== undefined && onlyWaits(plan)) found.add('staged');
  const facets = facetOrder.filter((facet) => found.has(facet));
  return facets.length === 0 ? ['calm'] : facets;
}
