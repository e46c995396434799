/** The restart of a VM: asked for once, of exactly the instance that was planned for. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { apiFailure } from '../kube/failures.ts';
import { virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import { projectVmi } from '../live/project.ts';
import type { Action } from '../plan/model.ts';
import { fields, items, text } from '../systems/json-shape.ts';
import { conditionTypes } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { isOpen, nextOpening, type TimeWindow, wallClock } from '../windows/windows.ts';
import { suspendedMeanwhile } from './left-alone.ts';
import type { Written } from './write.ts';

type Restart = Extract<Action, { kind: 'restart' }>;

/** Why the restart must wait: its windows are closed, and when one opens; undefined where one is open. */
export function closedWords(windows: readonly TimeWindow[], at: Date): string | undefined {
  if (isOpen(windows, at)) return undefined;
  const next = nextOpening(windows, at);
  const opens =
    next === undefined ? 'none opens any more' : `the next opens at ${wallClock(next.at, next.window.timeZone)}`;
  return `it is restarted in a window only, and ${opens}`;
}

/**
 * Asks virt-api for a restart. It takes no precondition, so the instance is looked at just before: one that is gone or
 * going, or whose end was asked for already, is left to its way. The request is never sent twice, as a second one could
 * hit the new instance; where its answer is lost, the layers tell what came of it.
 *
 * @param uid of the VM that was planned for
 * @throws PatchpanelError `plan/stale` where that VM is gone, `cluster/conflict` where it migrates, is paused or suspended by now,
 *   `apply/refused` where KubeVirt refuses, `cluster/*` else
 */
export async function requestRestart(
  cluster: Cluster,
  target: ObjectName,
  uid: string | undefined,
  { instance }: Restart,
): Promise<Written> {
  const [vm, vmi] = await Promise.all([
    cluster.get(virtualMachines, target.namespace, target.name),
    cluster.get(virtualMachineInstances, target.namespace, target.name),
  ]);
  if (vm === undefined || (uid !== undefined && vm.metadata.uid !== uid)) {
    throw new PatchpanelError('plan/stale', `VM ${objectKey(target)} is not the one that was planned for`);
  }
  const suspended = suspendedMeanwhile(vm);
  if (suspended !== undefined) {
    throw new PatchpanelError('cluster/conflict', `VM ${objectKey(target)} changed meanwhile: ${suspended}`);
  }
  if (vmi?.metadata.uid !== instance || isEnding(vm, vmi)) return { wrote: false };
  const busy = busyWith(vmi);
  if (busy !== undefined) {
    throw new PatchpanelError('cluster/conflict', `VM ${objectKey(target)} ${busy} by now, so it is not restarted`);
  }
  const at = Date.now();
  try {
    await cluster.update(virtualMachines, { metadata: { ...target } }, { subresource: 'restart' });
  } catch (error) {
    const failure = apiFailure(error);
    if (failure?.status === 409) throw new PatchpanelError('apply/refused', failure.message, { cause: failure });
    const lost = error instanceof PatchpanelError && error.code === 'cluster/unreachable';
    if (!lost && (failure === undefined || failure.status < 500)) throw error;
  }
  return { wrote: true, at };
}

/** What may have begun since the plan was made, and a restart would end. */
function busyWith(instance: KubeObject): string | undefined {
  const { migrating, conditions } = projectVmi(instance);
  if (migrating) return 'is migrating';
  const paused = conditions.some(({ type, status }) => type === conditionTypes.paused && status === 'True');
  return paused ? 'is paused' : undefined;
}

function isEnding(vm: KubeObject, vmi: KubeObject): boolean {
  if (vmi.metadata.deletionTimestamp !== undefined) return true;
  return items(fields(vm.status).stateChangeRequests)
    .map(fields)
    .some(({ action, uid }) => action === 'Stop' && text(uid) === vmi.metadata.uid);
}
