/** The parts of API objects that the actors read and write; copies are made with structuredClone before a change. */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import type { Json } from '../../reconcile/vocabulary.ts';

export interface Condition {
  type: string;
  status: string;
  lastProbeTime: string | null;
  lastTransitionTime: string | null;
  reason?: string;
  message?: string;
}

export interface VmInterface {
  name: string;
  state?: string;
  macAddress?: string;
  model?: string;
  bridge?: object;
  sriov?: object;
  masquerade?: object;
  binding?: { name: string };
  [key: string]: unknown;
}

export interface VmNetwork {
  name: string;
  pod?: object;
  multus?: { networkName: string; default?: boolean };
  [key: string]: unknown;
}

export interface VmiSpec {
  domain: {
    devices: { interfaces?: VmInterface[]; [key: string]: unknown };
    [key: string]: unknown;
  };
  networks?: VmNetwork[];
  [key: string]: unknown;
}

export interface Meta {
  name: string;
  namespace: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
}

export interface Vm {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec: {
    runStrategy?: string;
    running?: boolean;
    template: {
      metadata?: { annotations?: Record<string, string>; labels?: Record<string, string> };
      spec: VmiSpec;
    };
    [key: string]: unknown;
  };
  status?: VmStatus;
}

export interface VmStatus {
  conditions?: Condition[];
  created?: boolean;
  ready?: boolean;
  printableStatus?: string;
  observedGeneration?: number;
  desiredGeneration?: number;
  runStrategy?: string;
  stateChangeRequests?: { action: string; uid?: string }[];
  volumeSnapshotStatuses?: { enabled: boolean; name: string; reason: string }[];
  [key: string]: unknown;
}

export interface InterfaceStatus {
  name?: string;
  mac?: string;
  ipAddress?: string;
  ipAddresses?: string[];
  podInterfaceName?: string;
  interfaceName?: string;
  infoSource?: string;
  queueCount?: number;
  linkState?: string;
}

export interface MigrationState {
  migrationUid?: string;
  sourceNode?: string;
  sourcePod?: string;
  targetNode?: string;
  targetPod?: string;
  targetNodeAddress?: string;
  targetNodeDomainDetected?: boolean;
  startTimestamp?: string;
  endTimestamp?: string;
  completed?: boolean;
  failed?: boolean;
  abortRequested?: boolean;
  [key: string]: unknown;
}

export interface VmiStatus {
  phase?: string;
  conditions?: Condition[];
  interfaces?: InterfaceStatus[];
  nodeName?: string;
  activePods?: Record<string, string>;
  migrationState?: MigrationState;
  phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  [key: string]: unknown;
}

export interface Vmi {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec: VmiSpec;
  status?: VmiStatus;
}

export interface Pod {
  apiVersion: string;
  kind: string;
  metadata: Meta & { generateName?: string };
  spec: { nodeName?: string; hostNetwork?: boolean; [key: string]: unknown };
  status?: { phase?: string; conditions?: Condition[]; podIP?: string; [key: string]: unknown };
}

export interface Migration {
  apiVersion: string;
  kind: string;
  metadata: Meta & { generateName?: string };
  spec: { vmiName: string; priority?: string };
  status?: {
    phase?: string;
    conditions?: Condition[];
    migrationState?: MigrationState;
    phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  };
}

/** Reads an API object as one of the shapes above; the caller knows what it asked the server for. */
export function readAs<T>(object: KubeObject): T {
  return object as unknown as T;
}

/** The way back, for writing. */
export function writable(object: Vm | Vmi | Pod | Migration): KubeObject {
  return object as unknown as KubeObject;
}

/** A part of an object as the JSON value that a patch carries; null where it is missing. */
export function json(value: unknown): Json {
  return value === undefined ? null : (value as Json);
}

/** Now, to the second, as Kubernetes writes times. */
export function timestamp(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}

export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Replaces the condition of this type in place, or appends it. */
export function withCondition(conditions: readonly Condition[] | undefined, next: Condition): Condition[] {
  const list = [...(conditions ?? [])];
  const index = list.findIndex((condition) => condition.type === next.type);
  if (index === -1) list.push(next);
  else list[index] = next;
  return list;
}

export function withoutCondition(conditions: readonly Condition[] | undefined, type: string): Condition[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

export function isConditionTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

export function isFinal(vmi: Vmi): boolean {
  return vmi.status?.phase === 'Succeeded' || vmi.status?.phase === 'Failed';
}

/** Deep equality of JSON values, whatever the order of keys. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a).filter(([, value]) => value !== undefined);
  const right = new Map(Object.entries(b).filter(([, value]) => value !== undefined));
  return left.length === right.size && left.every(([key, value]) => right.has(key) && equalJson(value, right.get(key)));
}
