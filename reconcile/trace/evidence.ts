/** What a trace reads besides the live state: whole objects for their times, events, and the controller on the node. */
import { type Occurrence, readOccurrence } from '../apply/reasons.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject, Resource } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { events, pods, virtualMachineInstances, virtualMachines } from '../kube/resources.ts';
import { findController, isOwnedBy } from '../live/cluster-facts.ts';
import { fields, items } from '../systems/json-shape.ts';
import { labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { ControllerSight } from './model.ts';

export interface Evidence {
  readonly vm?: KubeObject;
  readonly vmi?: KubeObject;
  /** Launcher pods of the VMI, the newest first: beside the one that runs, the target of a migration. */
  readonly pods: readonly KubeObject[];
  /** About VM, VMI and pods, the newest first. */
  readonly events: readonly Occurrence[];
  readonly controller: ControllerSight;
  readonly gaps: readonly string[];
}

/** The VM itself; undefined where there is none. A list, since that is all that plan's rights allow. */
export async function readVm(cluster: Cluster, target: ObjectName): Promise<KubeObject | undefined> {
  try {
    return await readOne(cluster, virtualMachines, target);
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const { group, version } = virtualMachines;
    throw new PatchpanelError('cluster/no-kubevirt', `${cluster.server} serves no ${group}/${version}`);
  }
}

/** @throws PatchpanelError `cluster/*` for what a trace can't do without; events and the controller are gaps where refused */
export async function readEvidence(
  cluster: Cluster,
  target: ObjectName,
  vm: KubeObject | undefined,
): Promise<Evidence> {
  const gaps: string[] = [];
  const vmi = await readOne(cluster, virtualMachineInstances, target);
  const launchers = vmi === undefined ? [] : await launchersOf(cluster, target.namespace, vmi);
  const names = [target.name, ...launchers.map(({ metadata }) => metadata.name)];
  const node = fields(vmi?.status).nodeName;
  const [happened, controller] = await Promise.all([
    readEvents(cluster, target.namespace, names, gaps),
    readControllerSight(cluster, typeof node === 'string' ? node : undefined, gaps),
  ]);
  return {
    ...(vm === undefined ? {} : { vm }),
    ...(vmi === undefined ? {} : { vmi }),
    pods: launchers,
    events: happened,
    controller,
    gaps,
  };
}

/** The same of a plain pod; undefined where there is none. */
export async function readPodEvidence(cluster: Cluster, target: ObjectName): Promise<Evidence | undefined> {
  const pod = await readOne(cluster, pods, target);
  if (pod === undefined) return undefined;
  const gaps: string[] = [];
  const node = fields(pod.spec).nodeName;
  const [happened, controller] = await Promise.all([
    readEvents(cluster, target.namespace, [target.name], gaps),
    readControllerSight(cluster, typeof node === 'string' ? node : undefined, gaps),
  ]);
  const about = happened.filter((event) => event.about === `Pod ${target.name}`);
  return { pods: [pod], events: about, controller, gaps };
}

async function readOne(
  cluster: Cluster,
  resource: Resource,
  { namespace, name }: ObjectName,
): Promise<KubeObject | undefined> {
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  return (await cluster.list(resource, selection, (object) => object)).items[0];
}

async function launchersOf(cluster: Cluster, namespace: string, vmi: KubeObject): Promise<readonly KubeObject[]> {
  const labelSelector = `${labels.app}=${launcherAppLabel},${labels.createdBy}=${vmi.metadata.uid ?? ''}`;
  const { items: found } = await cluster.list(pods, { namespace, labelSelector }, (object) => object);
  return found.sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1));
}

/** Kinds of the objects that are asked for by name. */
const kinds = /^(VirtualMachine|VirtualMachineInstance|Pod) /;

async function readEvents(
  cluster: Cluster,
  namespace: string,
  names: readonly string[],
  gaps: string[],
): Promise<readonly Occurrence[]> {
  try {
    const lists = await Promise.all(
      names.map((name) =>
        cluster.list(events, { namespace, fieldSelector: `involvedObject.name=${name}` }, readOccurrence),
      ),
    );
    return lists
      .flatMap((list) => list.items)
      .filter(({ about }) => kinds.test(about))
      .sort((one, other) => other.at - one.at);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    gaps.push(`events: no permission to list them in namespace ${namespace}, so conditions alone tell reasons`);
    return [];
  }
}

/** Only where the DaemonSet is not ready everywhere is there a question for the node. */
async function readControllerSight(
  cluster: Cluster,
  node: string | undefined,
  gaps: string[],
): Promise<ControllerSight> {
  try {
    const controller = await findController(cluster);
    if (controller === undefined) return { onNode: 'missing' };
    const { ready, wanted } = controller;
    const sight = { daemonSet: objectKey(controller), ready, wanted };
    if (ready === wanted && ready > 0) return { ...sight, onNode: 'ready' };
    return { ...sight, onNode: node === undefined ? 'unknown' : await onNode(cluster, controller, node, gaps) };
  } catch (error) {
    if (!isForbidden(error)) throw error;
    gaps.push('the dynamic-networks controller: no permission to list daemonsets, so it is taken to be there');
    return { onNode: 'unknown' };
  }
}

async function onNode(
  cluster: Cluster,
  controller: ObjectName,
  node: string,
  gaps: string[],
): Promise<ControllerSight['onNode']> {
  const selection = { namespace: controller.namespace, fieldSelector: `spec.nodeName=${node}` };
  try {
    const { items: found } = await cluster.list(pods, selection, (pod) =>
      isOwnedBy(pod, controller.name) ? pod : undefined,
    );
    if (found.length === 0) return 'missing';
    return found.some(isReady) ? 'ready' : 'not-ready';
  } catch (error) {
    if (!isForbidden(error)) throw error;
    gaps.push(`the controller on ${node}: no permission to list pods in namespace ${controller.namespace}`);
    return 'unknown';
  }
}

function isReady({ status }: KubeObject): boolean {
  return items(fields(status).conditions)
    .map(fields)
    .some(({ type, status: is }) => type === 'Ready' && is === 'True');
}

function isForbidden(error: unknown): boolean {
  return error instanceof PatchpanelError && error.code === 'cluster/forbidden';
}
