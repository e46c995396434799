/** A change that failed is not tried again until what it was made from changes: the object, a network, the instance. */
import type { DesiredElement, DesiredPods, DesiredTarget } from '../desired/model.ts';
import { activeVmi } from '../diff/layers.ts';
import type { PodDiff } from '../diff/pods.ts';
import type { HeldMark, LiveNetwork, LiveVm } from '../live/model.ts';
import { heldAnnotation } from '../systems/patchpanel.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';
import { planned } from './attachments.ts';
import { digestOf } from './canonical-json.ts';
import type { Blocker } from './model.ts';
import { blocker, type VmContext } from './steps.ts';

/** Digest of what is declared for a VM, with the networks that it names as they are defined now. */
export function inputDigest(
  { attachments, pciePorts, mayRestart }: DesiredTarget,
  networks: ReadonlyMap<string, LiveNetwork>,
): string {
  return digestOf({
    attachments: attachments.map(
      (attachment): Json => ({ ...planned(attachment), network: objectKey(attachment.network) }),
    ),
    pciePorts: pciePorts ?? null,
    mayRestart: mayRestart ?? false,
    networks: Object.fromEntries(
      attachments.map(({ network }) => [objectKey(network), networkFields(network, networks)]),
    ),
  });
}

function networkFields(
  network: DesiredTarget['attachments'][number]['network'],
  networks: VmContext['networks'],
): Json {
  const found = networks.get(objectKey(network));
  if (found === undefined) return null;
  return { uid: found.uid, generation: found.generation ?? null, resourceName: found.resourceName ?? null };
}

/** The same of a pod. */
export function podInputDigest(
  { attachments, domain, repair }: DesiredPods,
  networks: ReadonlyMap<string, LiveNetwork>,
): string {
  return digestOf({
    attachments: attachments.map(elementFields),
    domain: domain === undefined ? null : { ...domain },
    repair,
    networks: Object.fromEntries(
      attachments.map(({ network }) => [objectKey(network), networkFields(network, networks)]),
    ),
  });
}

function elementFields({ name, network, interface: at, mac, ips, model, state }: DesiredElement): Json {
  return {
    name,
    network: objectKey(network),
    interface: at,
    mac: mac ?? null,
    ips: [...(ips ?? [])],
    model: model ?? null,
    state,
  };
}

/** Undefined where nothing of the pod is held. A pod that is made anew has no mark. */
export function podHeldBlocker(
  { pod, desired }: PodDiff,
  networks: ReadonlyMap<string, LiveNetwork>,
): Blocker | undefined {
  const { held } = pod;
  if (held === undefined || (held.input !== undefined && held.input !== podInputDigest(desired, networks)))
    return undefined;
  return heldWords(held, pod, 'pod');
}

/** The mark of the VM, where it speaks of what is declared now and of the instance that runs now. */
function validMark(vm: LiveVm, input: string): HeldMark | undefined {
  const { held } = vm;
  if (held?.input === undefined) return held;
  return held.input === input && held.instance === activeVmi(vm)?.uid ? held : undefined;
}

/** Whether a mark is left on a VM that is as declared by now: a later change would meet it. */
export function isLeftOver({ vm, diff, networks }: VmContext): boolean {
  // What a person put there stays.
  if (vm.held?.input === undefined) return false;
  const isDone = diff.attachments.every(({ differences }) => differences.every(({ layer }) => layer === 'guest'));
  return isDone && validMark(vm, inputDigest(diff.desired, networks)) !== undefined;
}

/** Undefined where nothing is held. */
export function heldBlocker({ vm, diff, networks }: VmContext): Blocker | undefined {
  const mark = validMark(vm, inputDigest(diff.desired, networks));
  if (mark === undefined) return undefined;
  return heldWords(mark, vm, 'vm', diff.desired.pruned === true);
}

/** What a mark says, with its way out. */
export function heldWords(
  mark: HeldMark,
  { namespace, name }: ObjectName,
  kind: 'vm' | 'pod',
  isPruned = false,
): Blocker {
  const what = isPruned ? 'Declare it again' : 'Change its object or a network that it names';
  const way = `${what}, or ${kind === 'vm' ? 'restart it' : 'make it anew'}`;
  const since = mark.at === undefined ? '' : ` since ${mark.at}`;
  const of = mark.commit === undefined ? '' : ` (commit ${mark.commit})`;
  return blocker(
    'held',
    undefined,
    `${name} is held${since}, as its change failed${of}: ${mark.reason}`,
    `${way}; to try again as it is: kubectl -n ${namespace} annotate ${kind} ${name} ${heldAnnotation}-`,
  );
}
