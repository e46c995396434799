/** The patches of a plan as the server would take them: sent as a dry run, which admission sees and nothing stores. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, PatchOperation } from '../kube/cluster.ts';
import { virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import { isPodPlan, type Plan, type VmPlan } from '../plan/model.ts';
import type { ObjectName } from '../vocabulary.ts';
import { editFor, type WrittenAction } from './patches.ts';
import { refusal } from './write.ts';

export interface DryRun {
  readonly target: ObjectName;
  /** Actions that the server was asked about, in their order. */
  readonly asked: readonly WrittenAction[];
  /** All their operations in one patch: what was sent. */
  readonly patch: readonly PatchOperation[];
  /** The VM as it is, and as the server would store it; missing where it refuses. */
  readonly before?: KubeObject;
  readonly after?: KubeObject;
  /** The server's words. */
  readonly refused?: { readonly action: WrittenAction; readonly reason: string };
  /** An action that can't be tried before an earlier one has taken effect, and why. */
  readonly later?: { readonly action: WrittenAction; readonly reason: string };
}

/**
 * Asks the server about each VM of a plan: each action on top of those before it. Restarts are not asked for, nor the
 * ConfigMap of a hook sidecar, nor pods.
 *
 * @throws PatchpanelError `cluster/*` where it can't be asked; `cluster/forbidden` without the right to patch VMs
 */
export async function dryRunPlan(plan: Plan, cluster: Cluster): Promise<readonly DryRun[]> {
  const runs: DryRun[] = [];
  for (const target of plan.targets) {
    if (!isPodPlan(target) && target.actions.length > 0) runs.push(await dryRunVm(target, cluster));
  }
  return runs;
}

async function dryRunVm({ target, actions }: VmPlan, cluster: Cluster): Promise<DryRun> {
  const { namespace, name } = target;
  const before = await cluster.get(virtualMachines, namespace, name);
  const vmi = await cluster.get(virtualMachineInstances, namespace, name);
  let run: DryRun = { target: { namespace, name }, asked: [], patch: [], ...(before !== undefined && { before }) };
  if (before === undefined) return run;
  let after = before;
  for (const action of actions) {
    if (action.kind === 'restart') continue;
    const edit = editFor(action, after, vmi);
    if (edit.kind === 'refused') return { ...run, later: { action, reason: edit.reason } };
    if (edit.kind === 'done') continue;
    const patch = [...run.patch, ...edit.operations];
    run = { ...run, asked: [...run.asked, action], patch };
    try {
      after = await cluster.jsonPatch(virtualMachines, namespace, name, patch, { dryRun: true });
    } catch (error) {
      const reason = refusal(error);
      if (!(reason instanceof PatchpanelError) || reason.code !== 'apply/refused') throw error;
      const { after: _after, ...rest } = run;
      return { ...rest, refused: { action, reason: reason.message } };
    }
    run = { ...run, after };
  }
  return run;
}
