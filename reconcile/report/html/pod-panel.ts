/** The panel of a pod: the elements of its annotation, and the ports of the domain in it where there is one. */
import { elementsOf, type PodAttachmentDiff, type PodDiff } from '../../diff/pods.ts';
import type { PodPlan } from '../../plan/model.ts';
import { podRunState } from '../../plan/pod-eligibility.ts';
import type { PodAction } from '../../plan/pod-model.ts';
import { countPorts } from '../../systems/libvirt-ports.ts';
import type { ObjectName } from '../../vocabulary.ts';
import { printable } from '../style.ts';
import { runStateWords } from '../words.ts';
import type { Cable, CableState, Panel } from './model.ts';
import { countWords, facetsOf, isBlocked, jacksOfCount, type NetworkIndex, wordsOf } from './vm-panel.ts';

/** @param plan undefined where the pod is as declared */
export function podPanel(diff: PodDiff, plan: PodPlan | undefined, networks: NetworkIndex): Panel {
  const { pod, desired } = diff;
  const cables = [
    ...diff.attachments.flatMap((attachment) => cableOf(attachment, plan, networks)),
    ...foreignCables(diff, networks),
  ];
  const counted = pod.domain?.kind === 'read' ? countPorts(pod.domain.domain) : undefined;
  const jacks = counted?.pool === 'pcie' ? jacksOfCount(counted) : undefined;
  return {
    kind: 'pod',
    ns: printable(pod.namespace),
    name: printable(pod.name),
    run: runStateWords[podRunState(pod)],
    is: facetsOf(plan, cables),
    at: printable(`${desired.position.file}:${desired.position.line}`),
    ...(jacks === undefined ? {} : { jacks, ports: countWords(jacks) }),
    cables,
    ...wordsOf(plan),
  };
}

/** Of a pod that is not there, or that several objects declare: all that is known is its plan. */
export function plannedPodPanel(plan: PodPlan, networks: NetworkIndex): Panel {
  const cables = plan.declared.map(
    ({ name, network, mac }): Cable => ({
      name: printable(name),
      is: plan.blockers.length > 0 ? 'blocked' : 'stays',
      net: networks.of(network),
      ...(mac === undefined ? {} : { mac: printable(mac) }),
    }),
  );
  return {
    kind: 'pod',
    ns: printable(plan.target.namespace),
    name: printable(plan.target.name),
    run: runStateWords[plan.runState],
    is: facetsOf(plan, cables),
    ...(plan.position === undefined ? {} : { at: printable(`${plan.position.file}:${plan.position.line}`) }),
    cables,
    ...wordsOf(plan),
  };
}

function cableOf(
  { name, state, wanted, owned, nic }: PodAttachmentDiff,
  plan: PodPlan | undefined,
  networks: NetworkIndex,
): readonly Cable[] {
  if (state === 'released') return [];
  const is = cableState(state, name, plan);
  const network: ObjectName | undefined = (wanted ?? owned)?.network;
  const to = nic?.address?.bus;
  return [
    {
      name: printable(name),
      is,
      ...(network === undefined ? {} : { net: networks.of(network) }),
      ...(to === undefined ? {} : { to }),
      ...(wanted?.mac === undefined ? {} : { mac: printable(wanted.mac) }),
      say: printable((wanted ?? owned)?.interface ?? ''),
    },
  ];
}

function cableState(state: PodAttachmentDiff['state'], name: string, plan: PodPlan | undefined): CableState {
  const action = plan?.actions.find((each) => concerns(each, name));
  if (action !== undefined) return stateOfAction(action);
  if (state === 'converged') return 'stays';
  if (isBlocked(plan, name) || state === 'foreign') return 'blocked';
  return state === 'pending' || state === 'leaving' ? 'flight' : 'stays';
}

function concerns(action: PodAction, name: string): boolean {
  switch (action.kind) {
    case 'pod-plug':
      return action.element.name === name;
    case 'pod-unplug':
      return action.elements.some((element) => element.name === name);
    case 'pod-kick':
      return action.attachments.includes(name);
    case 'domain-attach':
    case 'domain-detach':
    case 'domain-link':
    case 'pod-follow':
      return action.attachment === name;
    case 'pod-repair':
    case 'pod-release':
      return false;
    default:
      return action satisfies never;
  }
}

function stateOfAction({ kind }: PodAction): CableState {
  switch (kind) {
    case 'pod-plug':
    case 'domain-attach':
      return 'plug';
    case 'pod-unplug':
    case 'domain-detach':
      return 'unplug';
    case 'pod-kick':
    case 'pod-follow':
      return 'flight';
    case 'domain-link':
    case 'pod-repair':
    case 'pod-release':
      return 'change';
    default:
      return kind satisfies never;
  }
}

/** Elements that others wrote. */
function foreignCables({ pod, attachments }: PodDiff, networks: NetworkIndex): readonly Cable[] {
  const mine = new Set(attachments.flatMap(({ wanted, owned }) => (owned ?? wanted)?.interface ?? []));
  return elementsOf(pod)
    .filter((element) => element.interface === undefined || !mine.has(element.interface))
    .map(
      (element): Cable => ({
        name: printable(element.interface ?? element.name),
        is: 'foreign',
        net: networks.of(element),
        ...(element.mac === undefined ? {} : { mac: printable(element.mac) }),
      }),
    );
}
