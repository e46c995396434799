/** One action written to the VM: read, edit, patch; again from the reading where another writer was faster. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, Resource } from '../kube/cluster.ts';
import { apiFailure, isLost } from '../kube/failures.ts';
import { virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import { fieldManager } from '../systems/patchpanel.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { leftAlone, protectedMeanwhile } from './left-alone.ts';
import { type Edit, editFor, type WrittenAction } from './patches.ts';
import { writePortHook } from './port-hook.ts';
import { type Stamp, stamped } from './stamp.ts';

export interface Written {
  /** False where nothing was left to write. */
  readonly wrote: boolean;
  /** Time of the write by the server's clock, in milliseconds since the epoch. */
  readonly at?: number;
}

/** Attempts against other writers; virt-controller writes a VM several times for each change, so a few are routine. */
const attempts = 5;
/** What the server says of any JSON Patch that does not fit, a failed `test` among them; it does not tell which. */
const unfitPatch = 'the server rejected our request due to an error in our request';

/**
 * Writes an action to its VM in one request.
 *
 * @param uid of the VM that was planned for
 * @param kept names of NICs that are left where somebody protects them by now
 * @throws PatchpanelError `plan/stale` where that VM is gone, `cluster/conflict` where it no longer fits the action or
 *   the other writers did not rest, `apply/refused` where the server refuses the change, `cluster/*` else
 */
export async function writeAction(
  cluster: Cluster,
  target: ObjectName,
  uid: string | undefined,
  action: WrittenAction,
  stamp: Stamp,
  kept: readonly string[] = [],
): Promise<Written> {
  const { wrote, object } = await patchUntilItFits(cluster, virtualMachines, target, uid, stamp, async (vm) => {
    const reason = protectedMeanwhile(vm, kept);
    if (reason !== undefined) return { kind: 'refused', reason };
    const edit = editFor(action, vm, await instance(cluster, target, action, vm));
    const needsHook = edit.kind === 'patch' && action.kind === 'set-ports' && action.knob === 'sidecar';
    if (needsHook) await writePortHook(cluster, vm, action.value);
    return edit;
  });
  return wrote ? { wrote, at: writtenAt(object) } : { wrote };
}

/** How messages call an object of a kind. */
const nouns: Readonly<Record<string, string>> = { VirtualMachine: 'VM', Pod: 'pod' };

/**
 * Reads an object, edits it, and patches it in one request; again from the reading where another writer was faster.
 *
 * @param uid of the object that was planned for
 * @returns the object as the server answered it, or as it was read where there was nothing to write
 * @throws PatchpanelError as {@link writeAction} does
 */
export async function patchUntilItFits(
  cluster: Cluster,
  resource: Resource,
  target: ObjectName,
  uid: string | undefined,
  stamp: Stamp,
  editOf: (object: KubeObject) => Promise<Edit>,
): Promise<{ readonly wrote: boolean; readonly object: KubeObject }> {
  const who = `${nouns[resource.kind] ?? resource.kind} ${objectKey(target)}`;
  let last: unknown;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (attempt > 0) await sleep(Math.random() * 50 * 2 ** attempt);
    const object = await cluster.get(resource, target.namespace, target.name);
    if (object === undefined || (uid !== undefined && object.metadata.uid !== uid)) {
      throw new PatchpanelError('plan/stale', `${who} was deleted${object === undefined ? '' : ' and made anew'}`);
    }
    const reason = leftAlone(object, stamp);
    if (reason !== undefined) throw new PatchpanelError('cluster/conflict', `${who} changed meanwhile: ${reason}`);
    const edit = await editOf(object);
    if (edit.kind === 'done') return { wrote: false, object };
    if (edit.kind === 'refused') {
      throw new PatchpanelError('cluster/conflict', `${who} changed meanwhile: ${edit.reason}`);
    }
    try {
      const written = await cluster.jsonPatch(
        resource,
        target.namespace,
        target.name,
        stamped(edit.operations, object, stamp),
      );
      return { wrote: true, object: written };
    } catch (error) {
      last = error;
      // Whether a lost answer was a write shows in the next reading.
      if (!isRace(error) && !isLost(error)) throw refusal(error);
    }
  }
  if (!isRace(last)) throw last;
  throw new PatchpanelError('cluster/conflict', `${who}: other writers were faster ${attempts} times`, {
    cause: apiFailure(last),
  });
}

/** The instance is only needed beside a template without NICs. */
async function instance(
  cluster: Cluster,
  target: ObjectName,
  action: WrittenAction,
  vm: KubeObject,
): Promise<KubeObject | undefined> {
  if (action.kind !== 'plug' && action.kind !== 'edit-template') return undefined;
  const spec = vm.spec as { readonly template?: { readonly spec?: { readonly networks?: readonly unknown[] } } };
  if ((spec.template?.spec?.networks ?? []).length > 0) return undefined;
  return await cluster.get(virtualMachineInstances, target.namespace, target.name);
}

function isRace(error: unknown): boolean {
  const failure = apiFailure(error);
  if (failure === undefined) return false;
  return failure.status === 409 || (failure.status === 422 && failure.message === unfitPatch);
}

/** An error as apply tells it: `apply/refused` where the server refuses the change itself. */
export function refusal(error: unknown): unknown {
  const failure = apiFailure(error);
  if (failure === undefined) return error;
  // Policies refuse with any status, and KubeVirt's own webhooks with 422.
  if (![400, 422].includes(failure.status) && !failure.message.includes('admission webhook')) return error;
  return new PatchpanelError('apply/refused', failure.message, { cause: failure });
}

/** The server's time of our write: in managedFields, in whole seconds; else this machine's. */
export function writtenAt(vm: KubeObject): number {
  const times = (vm.metadata.managedFields ?? []).map((entry) => {
    const { manager, time } = (entry ?? {}) as { readonly manager?: unknown; readonly time?: unknown };
    return manager === fieldManager && typeof time === 'string' ? Date.parse(time) : Number.NaN;
  });
  const known = times.filter(Number.isFinite);
  return known.length > 0 ? Math.max(...known) : Date.now();
}
