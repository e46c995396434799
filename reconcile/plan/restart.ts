/**
 * The restart of a VM, for what only a restart brings. It is planned where the settings and the VM's own object both
 * allow it, and carried out in a window; never for anything that a restart would not bring, nor where the VM might not
 * come back.
 */
import { activeVmi } from '../diff/layers.ts';
import type { LiveVm } from '../live/model.ts';
import { noRestartStrategies } from '../systems/kubevirt-names.ts';
import { parseSlotCount } from '../systems/kubevirt-ports.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { Action, Blocker, Note, TargetPlan } from './model.ts';
import type { PortCountOutcome } from './port-count.ts';
import { blocker, type Step, type VmContext } from './steps.ts';

/** What of a `restart` is not its place in the plan. */
export type Restart = Pick<Extract<Action, { kind: 'restart' }>, 'instance' | 'windows' | 'ports'>;

/** Whether anything of this VM waits for a restart that it may have. */
export function wantsRestart(
  context: VmContext,
  steps: readonly Step[],
  notes: readonly Note[],
  count: PortCountOutcome | undefined,
): boolean {
  if (context.restartWindows.length === 0 || activeVmi(context.vm) === undefined) return false;
  return (
    steps.some((step) => 'staged' in step && step.staged) ||
    notes.some(({ code, attachment }) => code === 'restart-pending' && attachment !== undefined) ||
    count?.byRestart === true
  );
}

/** The restart, or why there is none. */
export function restartOf(context: VmContext, steps: readonly Step[]): Restart | readonly Blocker[] {
  const blockers = [...momentBlockers(context), ...startBlockers(context, steps)];
  const instance = activeVmi(context.vm)?.uid;
  if (blockers.length > 0 || instance === undefined) return blockers;
  const ports = context.diff.desired.pciePorts;
  return { instance, windows: context.restartWindows, ...(ports === undefined ? {} : { ports }) };
}

/** Whether nothing is left to do for the VM but to restart it, which patchpanel does not do. */
export function onlyWaits({ actions, blockers, notes }: Pick<TargetPlan, 'actions' | 'blockers' | 'notes'>): boolean {
  return actions.length === 0 && blockers.length === 0 && notes.some(({ code }) => code === 'restart-pending');
}

function refused(message: string, remedy: string): Blocker {
  return blocker('restart-refused', undefined, message, remedy);
}

function momentBlockers({ vm, runState }: VmContext): readonly Blocker[] {
  const found: Blocker[] = [];
  if (runState === 'paused') {
    found.push(refused(`${vm.name} is paused, and a restart would end what it was paused for`, `Resume ${vm.name}.`));
  }
  const strategy = vm.runStrategy;
  if (strategy !== undefined && noRestartStrategies.includes(strategy)) {
    found.push(
      refused(
        `${vm.name} has the run strategy ${strategy}, and KubeVirt does not restart such a VM`,
        `Stop and start ${vm.name} by hand, or give it another run strategy.`,
      ),
    );
  }
  return found;
}

/** What would keep it from starting again: KubeVirt admits all of this, and then the VM stays down. */
function startBlockers({ vm, cluster, networks, diff }: VmContext, steps: readonly Step[]): readonly Blocker[] {
  const found: Blocker[] = [];
  const stays = `${vm.name} would not start again`;
  if (parseSlotCount(vm.hardware.slotCount) === 'invalid') {
    found.push(refused(`${stays}: the slot count in its template is no number`, 'Make it a number, or remove it.'));
  }
  for (const { network } of startNetworks(vm, steps)) {
    const key = objectKey(network);
    const known = networks.get(key);
    if (known === undefined && !isRead(network, [...networks.values()], diff.desired.attachments)) continue;
    if (known !== undefined && known.problem === undefined) continue;
    const why = known === undefined ? 'does not exist' : `can not be used: ${known.problem}`;
    found.push(refused(`${stays}: the network ${key} ${why}`, `Mend the NetworkAttachmentDefinition ${key}.`));
  }
  const plugins = cluster.bindingPlugins;
  for (const { name, plugin } of vm.nics) {
    if (plugin === undefined || plugins === undefined || plugins.includes(plugin)) continue;
    const message = `${stays}: the binding plugin ${plugin} of its NIC "${name}" is not registered`;
    found.push(refused(message, `Register ${plugin} in the KubeVirt object, or remove the NIC from the template.`));
  }
  return found;
}

/** Networks of the template once the steps are done. */
function startNetworks(vm: LiveVm, steps: readonly Step[]): readonly { readonly network: ObjectName }[] {
  const gone = new Set(
    steps.flatMap((step) =>
      step.kind === 'remove' || step.kind === 'unplug' || step.kind === 'swap' || step.kind === 'put'
        ? [step.name]
        : [],
    ),
  );
  const kept = vm.nics.filter(({ name, state }) => state !== 'absent' && !gone.has(name));
  const all = [
    ...kept.flatMap(({ network }) => network ?? []),
    ...steps.flatMap((step) => {
      if (step.kind === 'swap') return [step.to];
      return step.kind === 'put' || step.kind === 'plug' ? [step.attachment.network] : [];
    }),
  ];
  return [...new Map(all.map((network) => [objectKey(network), { network }])).values()];
}

/** Whether the networks of that namespace were read, so that one that is not known is not there. */
function isRead(
  { namespace }: ObjectName,
  known: readonly ObjectName[],
  declared: readonly { readonly network: ObjectName }[],
): boolean {
  return [...known, ...declared.map(({ network }) => network)].some((other) => other.namespace === namespace);
}
