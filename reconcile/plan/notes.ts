/** What the reader of a plan should know, though it stops nothing. */
import { isOfAnother } from '../desired/source-mark.ts';
import { activeVmi, podInterfacesOf, runningVmi } from '../diff/layers.ts';
import type { LiveVm } from '../live/model.ts';
import { conditionTypes, isOrdinalPodInterfaceName, podInterfaceName } from '../systems/kubevirt-names.ts';
import { objectKey } from '../vocabulary.ts';
import type { Note } from './model.ts';
import { protectedVm, protectionNotes } from './protection.ts';
import type { VmContext } from './steps.ts';

/** Notes on the VM as it is, sorted by what they are about. */
export function vmNotes(context: VmContext, forecastUsed: boolean): readonly Note[] {
  return [
    ...missingNetworks(context),
    ...unmanagedNics(context),
    ...foundNics(context),
    ...declaredElsewhere(context),
    ...protectionNotes(protectedVm(context)),
    ...prunedVm(context),
    ...restartRequired(context.vm),
    ...staleElements(context.vm),
    ...unreadableAnnotations(context.vm),
    ...(forecastUsed ? unreadDomain(context.vm) : []),
  ];
}

/** A NIC that is plugged outlives its network, but no pod can be started with it again. */
function missingNetworks({ diff, vm, networks }: VmContext): readonly Note[] {
  return diff.attachments.flatMap(({ name, wanted, state }): Note[] => {
    if (wanted === undefined || state === 'missing' || networks.has(objectKey(wanted.network))) return [];
    if (state === 'differs' || state === 'arriving' || state === 'leaving') return [];
    const message = `its network ${objectKey(wanted.network)} does not exist: ${vm.name} can not be started anew, nor migrate, until it does`;
    return [{ code: 'network-missing', attachment: name, message }];
  });
}

/** NICs that are neither declared nor owned, sorted; the default network goes without saying. */
export function unmanagedNames({ diff, vm }: Pick<VmContext, 'diff' | 'vm'>): readonly string[] {
  const defaults = new Set(vm.nics.filter((nic) => nic.isDefault).map((nic) => nic.name));
  return diff.attachments
    .filter(({ name, state }) => state === 'unmanaged' && !defaults.has(name))
    .map(({ name }) => name)
    .sort();
}

/** The note on NICs that are none of patchpanel's business. */
export const foreignNics = 'unmanaged-nics';

function unmanagedNics(context: VmContext): readonly Note[] {
  const names = unmanagedNames(context);
  if (names.length === 0) return [];
  const message = `neither declared nor plugged by patchpanel, so left alone: ${names.join(', ')}`;
  return [{ code: foreignNics, message }];
}

/** The note on NICs that were there before they were declared: no reason to list a VM that is as declared. */
export const notOwnedNote = 'not-owned';

/** Declared NICs that somebody else plugged: they count as declared, and nobody takes them over. */
function foundNics({ diff, vm }: VmContext): readonly Note[] {
  const owned = new Set(vm.owned);
  const names = diff.attachments
    .filter(({ name, wanted, state }) => wanted !== undefined && state !== 'leaving' && !owned.has(name))
    .map(({ name }) => name)
    .filter((name) => vm.nics.some((nic) => nic.name === name && !nic.isDefault));
  if (names.length === 0) return [];
  const message = `there before patchpanel, so not unplugged when removed from the repository: ${names.join(', ')}`;
  return [{ code: notOwnedNote, message }];
}

/** Two repositories that say the same of a VM have no quarrel yet. */
function declaredElsewhere({ vm, source }: VmContext): readonly Note[] {
  if (vm.source === undefined) return [];
  if (isOfAnother(vm.source, source)) {
    return [{ code: 'other-source', message: `${vm.name} is declared by another repository too: ${vm.source}` }];
  }
  return [];
}

/** Why NICs go that no line of the repository speaks of. */
function prunedVm({ diff, vm }: VmContext): readonly Note[] {
  if (diff.desired.pruned !== true) return [];
  return [
    { code: 'pruned', message: `${vm.name} has no object in the repository any more: what patchpanel plugged goes` },
  ];
}

function restartRequired(vm: LiveVm): readonly Note[] {
  const condition = vm.conditions.find(
    ({ type, status }) => type === conditionTypes.restartRequired && status === 'True',
  );
  if (condition === undefined) return [];
  const why = condition.message === undefined ? '' : ` (${condition.message})`;
  const message = `${vm.name} waits for a restart${why}; NICs can be plugged all the same`;
  return [{ code: 'restart-required', message }];
}

/** Elements that KubeVirt left behind for NICs that never reached the pod; its next plug or unplug clears them. */
function staleElements(vm: LiveVm): readonly Note[] {
  const networks = vm.pod?.networks;
  const vmi = runningVmi(vm);
  if (vmi === undefined || networks === undefined || 'problem' in networks) return [];
  const known = new Set(
    [...vm.nics, ...vmi.nics].flatMap(({ name }) => [
      podInterfaceName(name),
      ...podInterfacesOf(
        name,
        vmi.status.find((nic) => nic.name === name),
      ),
    ]),
  );
  for (const { podInterfaceName: told } of vmi.status) if (told !== undefined) known.add(told);
  const inPod = vm.pod?.status;
  if (inPod !== undefined && !('problem' in inPod)) {
    for (const entry of inPod) if (entry.interface !== undefined) known.add(entry.interface);
  }
  return networks
    .flatMap((element) => (element.interface === undefined ? [] : [{ element, name: element.interface }]))
    .filter(({ name }) => isKubevirtName(name) && !known.has(name))
    .map(({ element, name }) => `${element.namespace}/${element.name} as ${name}`)
    .sort()
    .map((what) => ({
      code: 'stale-element',
      message: `the pod annotation still asks for ${what}, which no NIC of ${vm.name} has; KubeVirt clears it with the next plug or unplug`,
    }));
}

function isKubevirtName(podInterface: string): boolean {
  return /^pod[0-9a-f]{11}$/.test(podInterface) || isOrdinalPodInterfaceName(podInterface);
}

function unreadableAnnotations(vm: LiveVm): readonly Note[] {
  if (activeVmi(vm) === undefined || vm.pod === undefined) return [];
  const { networks, status } = vm.pod;
  const notes: Note[] = [];
  if ('problem' in networks) {
    notes.push({ code: 'annotation-unreadable', message: `the networks annotation of its pod: ${networks.problem}` });
  }
  if ('problem' in status) {
    notes.push({ code: 'annotation-unreadable', message: `the network-status of its pod: ${status.problem}` });
  }
  return notes;
}

function unreadDomain({ domain, namespace }: LiveVm): readonly Note[] {
  if (domain.kind === 'read') return [];
  const words = {
    'not-asked': 'the domain XML was not read',
    'not-running': 'the domain XML can not be read while the pod does not run',
    forbidden: `reading the domain XML is forbidden: it needs pods/exec in namespace ${namespace}`,
    failed: 'the domain XML could not be read',
  } as const;
  const told = domain.why === 'failed' && domain.message !== undefined ? `: ${domain.message}` : '';
  const why = `${words[domain.why]}${told}`;
  return [{ code: 'ports-forecast', message: `${why}; ports are forecast by KubeVirt's rules` }];
}
