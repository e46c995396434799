/** VMs that no object names any more: which of them are pruned, and why the others are left alone. */
import type { DesiredState, DesiredTarget } from '../desired/model.ts';
import { isWithin } from '../desired/repositories.ts';
import { isOfAnother } from '../desired/source-mark.ts';
import type { UndeclaredVm } from '../live/model.ts';

/** Why what patchpanel plugged into a VM without an object stays. */
export type LeftWhy =
  /** Pruning is off. */
  | 'prune-off'
  /** The desired state is a folder without an id: nothing tells whose VM it is. */
  | 'no-id'
  /** The VM bears no mark: it was changed last by a run that left none. */
  | 'no-mark'
  /** It was applied from this repository, but from another branch, or with other variables. */
  | 'other-rendering';

export type PruneVerdict = 'prune' | 'another' | LeftWhy;

/** `another`: the VM is no business of this desired state. */
export function pruneVerdict(
  { source: mark, namespace }: Pick<UndeclaredVm, 'source' | 'namespace'>,
  { source, settings, scope }: Pick<DesiredState, 'source' | 'settings' | 'scope'>,
): PruneVerdict {
  // A mark is text that anybody with the VM can write, and an id that anybody with the command line can give.
  if (scope !== undefined && !isWithin(namespace, scope)) return 'another';
  if (isOfAnother(mark, source)) return 'another';
  if (!settings.prune) return 'prune-off';
  if (source.mark === undefined) return 'no-id';
  if (mark === undefined) return 'no-mark';
  return mark === source.mark ? 'prune' : 'other-rendering';
}

/** The VMs that are to be pruned: none for a desired state that declares nothing at all. */
export function pruned(
  undeclared: readonly UndeclaredVm[],
  desired: Pick<DesiredState, 'source' | 'settings' | 'scope' | 'targets' | 'pods'>,
): readonly UndeclaredVm[] {
  if (desired.targets.length === 0 && (desired.pods ?? []).length === 0) return [];
  const declared = new Set(desired.targets.map(({ target }) => `${target.namespace}/${target.name}`));
  return undeclared.filter(
    (vm) => pruneVerdict(vm, desired) === 'prune' && !declared.has(`${vm.namespace}/${vm.name}`),
  );
}

/** What is wanted of a VM that is pruned: nothing. */
export function prunedTarget({ namespace, name }: UndeclaredVm): DesiredTarget {
  return {
    target: { kind: 'VirtualMachine', namespace, name },
    pruned: true,
    attachments: [],
    position: { file: '', line: 0, column: 0 },
  };
}
