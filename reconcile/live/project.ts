/** Raw API objects reduced to what planning needs; also used on watch events while changes are applied. */
import type { Cells, KubeObject } from '../kube/cluster.ts';
import { type Fields, fields, items, present, text } from '../systems/json-shape.ts';
import { hardwareFacts } from '../systems/kubevirt-hardware.ts';
import { computeContainer, istioContainer, labels, launcherAppLabel } from '../systems/kubevirt-names.ts';
import {
  heldAnnotation,
  ownedAnnotation,
  protectAnnotation,
  sharedOwnershipAnnotation,
  sourceAnnotation,
} from '../systems/patchpanel.ts';
import { readHeld } from './held.ts';
import { otherManagers } from './managers.ts';
import type { Condition, DomainReading, LivePod, LiveVm, LiveVmi } from './model.ts';
import { specNics, statusNics } from './nics.ts';
import { networkStatusOf, networksOf } from './pod-annotations.ts';
import { readProtection } from './protection.ts';
import { readSuspension } from './suspension.ts';

/** The part of a {@link LiveVm} that the VirtualMachine object itself holds. */
export type VmPart = Omit<LiveVm, 'vmi' | 'pod' | 'domain'>;

/** A launcher pod, with what decides which of several is the one that runs the VMI. */
export interface LauncherPod extends LivePod {
  /** UID of the VMI that controls it. */
  readonly vmiUid: string;
  readonly createdAt: string;
}

const maxConditionMessage = 2000;

export function projectVm(object: KubeObject): VmPart {
  const { metadata } = object;
  const { running, runStrategy, template: vmTemplate } = fields(object.spec);
  const template = fields(vmTemplate);
  const namespace = metadata.namespace ?? '';
  const held = readHeld(metadata.annotations?.[heldAnnotation]);
  const pool = metadata.ownerReferences?.find((owner) => owner.kind === 'VirtualMachinePool')?.name;
  const source = metadata.annotations?.[sourceAnnotation];
  const suspension = readSuspension(object);
  const protection = readProtection(metadata.annotations?.[protectAnnotation]);
  return {
    namespace,
    name: metadata.name,
    uid: metadata.uid ?? '',
    runStrategy: text(runStrategy) ?? (running === true ? 'Always' : 'Halted'),
    resourceVersion: metadata.resourceVersion ?? '',
    deleting: metadata.deletionTimestamp !== undefined,
    nics: specNics(template.spec, namespace),
    ...(hasAutomaticNetwork(template.spec) ? { automaticNetwork: true } : {}),
    owned: readOwned(metadata.annotations?.[ownedAnnotation]),
    sharedOwnershipAcknowledged: metadata.annotations?.[sharedOwnershipAnnotation] === 'acknowledged',
    otherManagers: otherManagers(object),
    ...(held === undefined ? {} : { held }),
    ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
    ...(source === undefined ? {} : { source }),
    ...(protection === undefined ? {} : { protection }),
    ...(suspension === undefined ? {} : { suspension }),
    ...(pool === undefined ? {} : { pool }),
    conditions: conditionsOf(object.status),
    hardware: hardwareFacts(template.spec, fields(template.metadata).annotations),
  };
}

export function projectVmi(object: KubeObject): LiveVmi {
  const { metadata } = object;
  const status = fields(object.status);
  const nodeName = text(status.nodeName);
  const launcherVersion = imageVersion(text(status.launcherContainerImageVersion));
  return {
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    phase: text(status.phase) ?? 'Pending',
    deleting: metadata.deletionTimestamp !== undefined,
    ...(nodeName === undefined ? {} : { nodeName }),
    nics: specNics(object.spec, metadata.namespace ?? ''),
    status: statusNics(status),
    conditions: conditionsOf(status),
    migrating: isMigrating(status.migrationState),
    ...(present(status.migrationState) ? { hasMigrated: true } : {}),
    hardware: hardwareFacts(object.spec, metadata.annotations),
    ...(launcherVersion === undefined ? {} : { launcherVersion }),
  };
}

/** Undefined for a pod that is no launcher, such as the pods that attach volumes beside it. */
export function projectPod(object: KubeObject): LauncherPod | undefined {
  const status = fields(object.status);
  const phase = text(status.phase) ?? 'Pending';
  return launcherPod(object, {
    phase,
    ready: phase === 'Running' && items(status.containerStatuses).every(isReadyContainer),
    nodeName: text(fields(object.spec).nodeName),
  });
}

/**
 * The same of a row of the server's table, which is half as large as the pod: the annotations are in its metadata, and the
 * cells tell the rest. Where all containers are ready and the pod is Running there is but one way to read them. Elsewhere the
 * row is vague: only the object tells whether the pod is ready, and in which phase.
 */
export function projectPodRow(
  object: KubeObject,
  cell: Cells,
): { readonly pod: LauncherPod; readonly vague: boolean } | undefined {
  const [node, ready, status] = [cell('Node'), cell('Ready'), cell('Status')];
  const settled = status === 'Running' && typeof ready === 'string' && /^([1-9]\d*)\/\1$/.test(ready);
  const pod = launcherPod(object, {
    phase: settled ? 'Running' : 'Pending',
    ready: settled,
    nodeName: node === '<none>' ? undefined : text(node),
  });
  return pod === undefined ? undefined : { pod, vague: !settled || typeof node !== 'string' };
}

function launcherPod(
  { metadata }: KubeObject,
  state: { readonly phase: string; readonly ready: boolean; readonly nodeName: string | undefined },
): LauncherPod | undefined {
  const vmiUid =
    metadata.ownerReferences?.find((owner) => owner.kind === 'VirtualMachineInstance' && owner.controller)?.uid ??
    metadata.labels?.[labels.createdBy];
  if (metadata.labels?.[labels.app] !== launcherAppLabel || vmiUid === undefined) return undefined;
  const { phase, ready, nodeName } = state;
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    phase,
    ready,
    ...(nodeName === undefined ? {} : { nodeName }),
    deleting: metadata.deletionTimestamp !== undefined,
    networks: networksOf(metadata.annotations ?? {}, metadata.namespace ?? ''),
    status: networkStatusOf(metadata.annotations ?? {}),
    vmiUid,
    createdAt: metadata.creationTimestamp ?? '',
  };
}

/**
 * Joins the layers of one VM. The domain is not read yet.
 * @param pods launcher pods, of whatever VMI
 */
export function joinVm(
  vm: VmPart,
  vmi: LiveVmi | undefined,
  pods: readonly LauncherPod[],
  domain: DomainReading = { kind: 'unread', why: 'not-asked' },
): LiveVm {
  const pod = vmi === undefined ? undefined : activePod(vmi, pods);
  return { ...vm, ...(vmi === undefined ? {} : { vmi }), ...(pod === undefined ? {} : { pod }), domain };
}

/**
 * The pod that KubeVirt itself takes for the current one: of those that the VMI controls, on the node that VMI status
 * names, the newest. The target of a migration is on another node until the VMI has moved; the source stays behind as
 * Succeeded, and `status.activePods` goes on naming it, so that says nothing.
 */
export function activePod(vmi: LiveVmi, pods: readonly LauncherPod[]): LivePod | undefined {
  const [current] = pods
    .filter((pod) => mayRun(vmi, pod))
    .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || Number(hasEnded(a)) - Number(hasEnded(b)));
  if (current === undefined) return undefined;
  const { vmiUid: _vmi, createdAt: _created, ...pod } = current;
  return pod;
}

/** Whether the pod is on the node of its VMI, as far as that has one. */
export function mayRun(vmi: LiveVmi, pod: LauncherPod): boolean {
  return pod.vmiUid === vmi.uid && (vmi.nodeName === undefined || pod.nodeName === vmi.nodeName);
}

/**
 * KubeVirt looks at the containers, not at the pod's condition Ready: the compute container carries the readiness probe
 * of the guest, which may well fail for want of a NIC, and a paused VM is never Ready. It only has to run, as does the
 * proxy of Istio; all others have to be ready.
 */
function isReadyContainer(container: unknown): boolean {
  const { name, ready, state } = fields(container);
  return name === computeContainer || name === istioContainer ? present(fields(state).running) : ready === true;
}

function hasEnded(pod: LivePod): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/**
 * Only once `migrationState` is there: while the target pod of a migration can't start, say for want of a NAD, changes
 * still reach the VMI, and one of them may be the remedy.
 */
function isMigrating(migrationState: unknown): boolean {
  if (typeof migrationState !== 'object' || migrationState === null) return false;
  const { completed, failed } = fields(migrationState);
  return completed !== true && failed !== true;
}

/** A template without NICs and networks is given the pod network, unless that is switched off. */
function hasAutomaticNetwork(spec: unknown): boolean {
  const { networks, domain } = fields(spec);
  const { interfaces, autoattachPodInterface } = fields(fields(domain).devices);
  return items(networks).length === 0 && items(interfaces).length === 0 && autoattachPodInterface !== false;
}

/** A record that can't be read owns nothing: then nothing of that VM is unplugged. */
export function readOwned(annotation: string | undefined): readonly string[] {
  if (annotation === undefined) return [];
  try {
    const names: unknown = JSON.parse(annotation);
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

function conditionsOf(status: unknown): readonly Condition[] {
  const conditions: Condition[] = [];
  for (const condition of items(fields(status).conditions)) conditions.push(...readCondition(fields(condition)));
  return conditions;
}

function readCondition(condition: Fields): readonly Condition[] {
  const type = text(condition.type);
  if (type === undefined) return [];
  const reason = text(condition.reason);
  const message = text(condition.message)?.slice(0, maxConditionMessage);
  return [
    {
      type,
      status: text(condition.status) ?? 'Unknown',
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    },
  ];
}

/** `v1.9.0` of `registry:5000/kubevirt/virt-launcher:v1.9.0`; an image that is named by digest tells no version. */
export function imageVersion(image: string | undefined): string | undefined {
  return /:(v?\d[^/:@]*)$/.exec(image?.split('@', 1)[0] ?? '')?.[1];
}
