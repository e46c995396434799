/** The look before the first write: a plan is only as good as the fields that it was made from. */
import deepDiff from 'deep-diff';
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { pods, virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { joinVm, projectPod, projectVm, projectVmi } from '../live/project.ts';
import { readFields } from '../plan/fingerprint.ts';
import type { Action, VmPlan } from '../plan/model.ts';
import { labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';

/** Parts of the fingerprint that the VM's own objects show; networks, MACs and ports were judged by the planner. */
const ownParts = ['vm', 'vmi', 'pod'] as const;
/** Of many fields that moved, so many are named. */
const named = 4;

/**
 * Reads a VM anew and refuses to go on where it is not as the plan found it.
 *
 * A plan that was made in this run and begins by following a change that is under way is let through: that the VM moves
 * is what it waits for, and each write still tests the lists that it replaces.
 *
 * @param saved the plan was made earlier and looked at
 * @throws PatchpanelError `plan/stale` for a saved plan, `cluster/conflict` for one of this run
 */
export async function ensureFresh(cluster: Cluster, plan: VmPlan, first: Action, saved: boolean): Promise<void> {
  if (!saved && first.kind === 'follow') return;
  const live = await readVm(cluster, plan.target);
  const moved = movedParts(plan, live);
  if (moved.length === 0) return;
  const what = [...moved.slice(0, named), ...(moved.length > named ? [`${moved.length - named} more`] : [])].join(', ');
  throw saved
    ? new PatchpanelError('plan/stale', `VM ${objectKey(plan.target)} is not as the plan found it: ${what}`)
    : new PatchpanelError('cluster/conflict', `VM ${objectKey(plan.target)} changed since it was read: ${what}`);
}

/** Which fields of the VM itself are not as the plan found them, each with what it was and is. */
function movedParts(plan: Pick<VmPlan, 'target' | 'read'>, live: LiveVm | undefined): readonly string[] {
  const was = ownFields(plan.read.fields);
  const is = ownFields(fieldsOf(plan.target, live));
  return (deepDiff.diff(was, is) ?? []).map((change) => {
    const path = (change.path ?? []).map(String).join('.');
    if (change.kind === 'A') return path;
    return `${path} (${brief('lhs' in change ? change.lhs : null)} -> ${brief('rhs' in change ? change.rhs : null)})`;
  });
}

function ownFields(fields: Json): Readonly<Record<string, Json>> {
  const all = typeof fields === 'object' && fields !== null && !Array.isArray(fields) ? Object.entries(fields) : [];
  const known = new Map<string, Json>(all);
  return Object.fromEntries(ownParts.map((part) => [part, known.get(part) ?? null]));
}

function fieldsOf(target: ObjectName, live: LiveVm | undefined): Json {
  const state: LiveState = {
    cluster: { server: '', delivery: 'in-place', deliveryEvidence: '' },
    vms: new Map(live === undefined ? [] : [[objectKey(target), live]]),
    networks: new Map(),
    macs: new Map(),
  };
  return readFields(
    target,
    state,
    { networks: [], macs: [], domain: false, hardware: false, portKnobs: false, restart: false },
    new Map(),
  ).fields;
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

async function readVm(cluster: Cluster, { namespace, name }: ObjectName): Promise<LiveVm | undefined> {
  const [vm, vmi] = await Promise.all([
    cluster.get(virtualMachines, namespace, name),
    cluster.get(virtualMachineInstances, namespace, name),
  ]);
  if (vm === undefined) return undefined;
  if (vmi === undefined) return joinVm(projectVm(vm), undefined, []);
  const labelSelector = `${labels.app}=${launcherAppLabel},${labels.createdBy}=${vmi.metadata.uid ?? ''}`;
  const launchers = await cluster.list(pods, { namespace, labelSelector }, projectPod);
  return joinVm(projectVm(vm), projectVmi(vmi), launchers.items);
}
