/**
 * Recordings of the real virt-controller and virt-api, and what of them is compared with the sandbox. Entries marked
 * `fake` came from a stand-in for the node and prove nothing.
 */
import type { KubeObject } from '../../reconcile/kube/cluster.ts';

export interface Step {
  readonly name?: string;
  readonly request?: {
    readonly method: string;
    readonly path: string;
    readonly accept?: string;
    readonly contentType?: string;
    readonly body?: unknown;
  };
  readonly response?: { readonly status: number; readonly body?: unknown };
  readonly wait?: string;
  readonly ok?: boolean;
  readonly quiescent?: boolean;
  readonly quietMs?: number;
  readonly pauseMs?: number;
  readonly switches?: Readonly<Record<string, string>>;
}

export interface TimelineEntry {
  readonly kind: string;
  readonly name: string;
  readonly eventType: string;
  readonly writer?: string;
  readonly fake?: boolean;
  readonly write?: {
    readonly verb: string;
    readonly subresource?: string;
    readonly patch?: readonly { readonly op: string; readonly path: string }[];
  };
  readonly changed: Readonly<Record<string, unknown>>;
}

export interface Recording {
  readonly scenario: string;
  readonly namespace: string;
  readonly networkAttachmentDefinitions: readonly KubeObject[];
  readonly clusterConfig?: { readonly kubevirtCRSpec?: object };
  readonly steps: readonly Step[];
  readonly timeline: readonly TimelineEntry[];
  readonly final: FinalObjects;
}

export interface FinalObjects {
  readonly vm?: KubeObject | null;
  readonly vmi?: KubeObject | null;
  readonly pods?: readonly KubeObject[];
  readonly migrations?: readonly KubeObject[];
}

/** The program that makes a test's own requests. */
export const testAgent = 'flow-test';

/** Names that the server made up, numbered as they come; whatever else differs between two runs is blanked. */
export class Normaliser {
  readonly #names = new Map<string, string>();
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  text(value: string): string {
    return value
      .replaceAll(this.#namespace, '<namespace>')
      .replaceAll('golden-recorder', testAgent)
      .replaceAll(/virt-launcher-([a-z0-9-]+?)-[a-z0-9]{5}\b/g, (name, vm: string) =>
        this.#number(name, `launcher-${vm}`),
      )
      .replaceAll(/(kubevirt-workload-update|nic)-[a-z0-9]{5}\b/g, (name, stem: string) => this.#number(name, stem))
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>')
      .replaceAll(/\b([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b/g, '<mac>')
      .replaceAll(/\b10\.\d+\.\d+\.\d+\b/g, '<ip>')
      .replaceAll(/\b192\.168\.\d+\.\d+\b/g, '<ip>')
      .replaceAll(/\bnode0\d\b/g, '<node>')
      .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)/g, '<time>');
  }

  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, item]) => [this.text(key), this.value(item)]),
    );
  }

  #number(name: string, stem: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const count = [...this.#names.values()].filter((one) => one.startsWith(`${stem}#`)).length + 1;
    this.#names.set(name, `${stem}#${count}`);
    return `${stem}#${count}`;
  }
}

const statusFacets = ['status.printableStatus', 'status.phase'];
const watchedConditions = ['MigrationRequired', 'RestartRequired', 'Synchronized'];
const kubevirtParts = new Set(['virt-controller', 'virt-api']);

export interface Behaviour {
  /** Writes of KubeVirt's parts on one object, in order. */
  readonly writes: ReadonlyMap<string, readonly string[]>;
  /** Those of them that cause one another, over all objects. */
  readonly chain: readonly string[];
  /** Values that a status went through, by object and field. */
  readonly states: ReadonlyMap<string, readonly string[]>;
  /** Messages of controllers' events, by involved object. */
  readonly events: ReadonlyMap<string, readonly string[]>;
}

/** What counts of a timeline, in a form that two runs can be compared in. */
export function behaviourOf(timeline: readonly TimelineEntry[], namespace: string): Behaviour {
  const normaliser = new Normaliser(namespace);
  const writes = new Map<string, string[]>();
  const states = new Map<string, string[]>();
  const events = new Map<string, string[]>();
  const chain: string[] = [];
  for (const entry of timeline) {
    if (entry.eventType === 'REJECTED_WRITE') continue;
    if (entry.kind === 'Event') {
      noteEvent(entry, normaliser, events);
      continue;
    }
    const object = `${entry.kind} ${normaliser.text(entry.name)}`;
    noteStates(entry, object, states);
    const line = lineOf(entry, normaliser);
    if (line === undefined) continue;
    push(writes, entry.eventType === 'MODIFIED' && isPhase(entry) ? `${object} phase` : object, line);
    if (isCausal(entry)) chain.push(`${object} ${line}`);
  }
  return { writes, chain, states, events };
}

function noteEvent(entry: TimelineEntry, normaliser: Normaliser, events: Map<string, string[]>): void {
  const { reason, type, message, involvedObject, source } = entry.changed as {
    readonly [key: string]: unknown;
    readonly source?: { readonly component?: string };
    readonly involvedObject?: { readonly kind?: string; readonly name?: string };
  };
  if (source?.component?.endsWith('-controller') !== true) return;
  // A race that KubeVirt tries again, and which a migration survives.
  if (reason === 'FailedHandOver') return;
  const object = `${involvedObject?.kind} ${normaliser.text(involvedObject?.name ?? '')}`;
  const text = `${source.component} ${type} ${reason} ${normaliser.text(String(message))}`;
  if (!(events.get(object) ?? []).includes(text)) push(events, object, text);
}

function noteStates(entry: TimelineEntry, object: string, states: Map<string, string[]>): void {
  const note = (field: string, value: string): void => {
    const key = `${object} ${field}`;
    if (states.get(key)?.at(-1) !== value) push(states, key, value);
  };
  for (const facet of statusFacets) {
    const value = entry.changed[facet];
    if (entry.kind === 'Pod' || typeof value !== 'string') continue;
    const ended = entry.kind === 'VirtualMachineInstance' && (value === 'Failed' || value === 'Succeeded');
    note(facet, ended ? 'ended' : value);
  }
  const conditions = entry.changed['status.conditions'];
  if (!Array.isArray(conditions) || entry.kind === 'Pod') return;
  for (const type of watchedConditions) {
    const found = (conditions as readonly Record<string, unknown>[]).find((condition) => condition.type === type);
    const value = found === undefined ? 'none' : `${found.status} ${found.reason ?? ''} ${found.message ?? ''}`;
    if (value !== 'none' || states.has(`${object} ${type}`)) note(type, value);
  }
}

/** One write in one line; undefined where nothing of it counts. */
function lineOf(entry: TimelineEntry, normaliser: Normaliser): string | undefined {
  if (entry.eventType === 'DELETED') return 'DELETED';
  // What the API server does by itself at the end of a deletion was put down to the last known writer.
  if (entry.write === undefined && entry.eventType !== 'ADDED') return undefined;
  if (entry.fake === true || !kubevirtParts.has(entry.writer ?? '')) return undefined;
  const counted = Object.entries(entry.changed).filter(([key]) => counts(key, entry));
  if (counted.length === 0) return undefined;
  const changes = counted
    .map(([key, value]) => `${key}=${JSON.stringify(comparable(key, value, normaliser))}`)
    .sort()
    .join(' ');
  const verb = [entry.writer, entry.write?.verb, entry.write?.subresource]
    .filter((part) => part !== undefined)
    .join(' ');
  const patch = entry.write?.patch?.map(({ op, path }) => `${op} ${path}`).join(', ');
  return `${verb}${patch === undefined ? '' : ` [${patch}]`} ${changes}`;
}

function counts(key: string, entry: TimelineEntry): boolean {
  // Only some recordings tell that a pod is about to go; that it went is in all of them.
  if (key === 'metadata.deletionTimestamp') return entry.kind !== 'Pod';
  if (key.startsWith('spec') || key === 'metadata.finalizers') return true;
  if (key.startsWith('metadata.annotations[') || key.startsWith('metadata.labels[')) {
    return !key.includes('network-status') && !key.includes('memory-overhead');
  }
  if (key === 'status.phase') return entry.kind === 'VirtualMachineInstanceMigration' || !isEnd(entry.changed[key]);
  return key === 'status.migrationState' && entry.kind === 'VirtualMachineInstance';
}

/** The controller of VMIs writes phases beside what the controller of VMs writes: their order is a race. */
function isPhase(entry: TimelineEntry): boolean {
  return entry.kind === 'VirtualMachineInstance' && 'status.phase' in entry.changed;
}

/** Whether virt-controller or virt-handler notes the end of a VMI is a race. */
function isEnd(phase: unknown): boolean {
  return phase === 'Failed' || phase === 'Succeeded';
}

function comparable(key: string, value: unknown, normaliser: Normaliser): unknown {
  if (key === 'metadata.deletionTimestamp') return 'set';
  if (key === 'status.migrationState') return Object.keys(value as object).sort();
  // Elements may stand in any notation of JSON, but their order counts.
  if (key.includes('k8s.v1.cni.cncf.io/networks') && typeof value === 'string' && value !== '') {
    return normaliser.value(JSON.parse(value));
  }
  return normaliser.value(value);
}

/** Writes that cause one another: their order over all objects is no accident. */
function isCausal(entry: TimelineEntry): boolean {
  const keys = Object.keys(entry.changed);
  switch (entry.kind) {
    case 'VirtualMachine':
      return keys.some((key) => key.startsWith('spec.template.spec'));
    case 'VirtualMachineInstance':
      return keys.some((key) => key.startsWith('spec.') || key === 'status.migrationState');
    case 'Pod':
      return entry.eventType === 'ADDED' || keys.some((key) => key.includes('k8s.v1.cni.cncf.io/networks'));
    case 'VirtualMachineInstanceMigration':
      return entry.eventType === 'ADDED' || keys.includes('status.phase');
    default:
      return false;
  }
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
