/** Says where a replay differs from its recording. */
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { type Behaviour, behaviourOf, Normaliser, type Recording, type TimelineEntry } from './flow-recording.ts';
import type { Replay } from './flow-replay.ts';
import { infoSources, readPodNetworkStatus } from './pod-networks.ts';

/**
 * One line a difference; empty where recording and replay agree.
 * @param options `order: false`: not how writes on several objects follow on one another, which is up to who is quicker
 */
export function differences(
  recording: Recording,
  replay: Replay,
  { order = true }: { readonly order?: boolean } = {},
): readonly string[] {
  const recorded = behaviourOf(recording.timeline, recording.namespace);
  const played = behaviourOf(replay.timeline, recording.namespace);
  return [
    ...answerDifferences(recording, replay),
    ...replay.unmet.map((text) => `waited in vain: ${text}`),
    ...behaviourDifferences(recorded, played, order),
    ...finalDifferences(recording, replay),
  ];
}

/** Status and, for refusals, message and causes of our own requests. */
export function answerDifferences(recording: Recording, replay: Replay): readonly string[] {
  const asked = recording.steps.filter((step) => step.request !== undefined);
  return asked.flatMap((step, index) => {
    const answer = replay.answers[index];
    const expected = step.response;
    if (answer === undefined || expected === undefined) return [`request "${step.name}" was not made`];
    if (answer.status !== expected.status) {
      return [`"${step.name}" answered ${answer.status} instead of ${expected.status}: ${JSON.stringify(answer.body)}`];
    }
    if (expected.status < 400) return [];
    const normaliser = new Normaliser(recording.namespace);
    const [left, right] = [refusal(answer.body), refusal(expected.body)].map((body) => normaliser.value(body));
    return isDeepStrictEqual(left, right)
      ? []
      : [`"${step.name}": ${JSON.stringify(left)} instead of ${JSON.stringify(right)}`];
  });
}

/** A refusal that prints the whole object counts from there on. */
function withoutObject(text: unknown): unknown {
  if (typeof text !== 'string' || !text.includes('managedFields') || text.length < 1000) return text;
  return text.slice(text.lastIndexOf('}') + 1);
}

/** A server tells the faults that it found by a schema in any order. */
function inOrder(message: unknown): unknown {
  if (typeof message !== 'string') return message;
  const faults = /^(.* is invalid: )\[(.*)\]$/s.exec(message);
  return faults === null ? message : `${faults[1]}${faults[2]?.split(', ').sort().join(', ')}`;
}

function refusal(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body;
  const { message, reason, details } = body as {
    readonly message?: unknown;
    readonly reason?: unknown;
    readonly details?: { readonly causes?: unknown };
  };
  const causes = (details?.causes as readonly { readonly message?: unknown }[] | undefined)
    ?.map((cause) => JSON.stringify({ ...cause, message: withoutObject(cause.message) }))
    .sort();
  return { message: inOrder(withoutObject(message)), reason, causes };
}

function behaviourDifferences(recorded: Behaviour, played: Behaviour, order: boolean): readonly string[] {
  return [
    ...mapDifferences('writes', recorded.writes, played.writes),
    ...mapDifferences('states', recorded.states, withoutRacy(played.states, recorded.states)),
    ...mapDifferences('events', sorted(recorded.events), sorted(played.events)),
    ...(order ? listDifference('chain', recorded.chain, played.chain) : []),
  ];
}

/**
 * During an unplug MigrationRequired is False for a moment where the guest lets go before the pod does. That is up to
 * the node, so it is dropped where the recording has none of it.
 */
function withoutRacy(
  played: ReadonlyMap<string, readonly string[]>,
  recorded: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  const states = new Map<string, readonly string[]>();
  for (const [key, list] of played) {
    const isRace =
      key.endsWith('MigrationRequired') && !(recorded.get(key) ?? []).some((one) => one.startsWith('False'));
    const kept = isRace ? list.filter((one) => !one.startsWith('False')) : list;
    const settled = kept.every((one) => one === 'none') ? [] : kept;
    if (settled.length > 0) states.set(key, settled);
  }
  return states;
}

/** Two controllers note events side by side, so only their texts count. */
function sorted(map: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, readonly string[]> {
  return new Map([...map].map(([key, list]) => [key, list.toSorted()]));
}

function mapDifferences(
  title: string,
  recorded: ReadonlyMap<string, readonly string[]>,
  played: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const keys = [...new Set([...recorded.keys(), ...played.keys()])];
  return keys.flatMap((key) => listDifference(`${title} of ${key}`, recorded.get(key) ?? [], played.get(key) ?? []));
}

function listDifference(title: string, recorded: readonly string[], played: readonly string[]): readonly string[] {
  const at = Array.from({ length: Math.max(recorded.length, played.length) }).findIndex(
    (_, index) => recorded[index] !== played[index],
  );
  if (at === -1) return [];
  return [`${title}, at ${at}: ${played[at] ?? 'nothing'}\n      instead of ${recorded[at] ?? 'nothing'}`];
}

function finalDifferences(recording: Recording, replay: Replay): readonly string[] {
  const left = primed(recording.namespace, replay.timeline);
  const right = primed(recording.namespace, recording.timeline);
  const { final } = replay;
  const compare = (title: string, played: unknown, recorded: unknown): readonly string[] =>
    deepDifferences(title, left.value(played), right.value(recorded));
  const byAge = (list: readonly KubeObject[] | undefined, names: Normaliser): readonly KubeObject[] =>
    [...(list ?? [])].sort((a, b) => names.text(a.metadata.name).localeCompare(names.text(b.metadata.name)));
  return [
    ...compare('final pods', byAge(final.pods, left).map(podFacts), byAge(recording.final.pods, right).map(podFacts)),
    ...compare(
      'final migrations',
      byAge(final.migrations, left).map(migrationFacts),
      byAge(recording.final.migrations, right).map(migrationFacts),
    ),
    ...compare('final VM', vmFacts(final.vm), vmFacts(recording.final.vm)),
    ...compare('final VMI', vmiFacts(final.vmi), vmiFacts(recording.final.vmi)),
  ];
}

/** Numbers the made-up names in the order in which they came up. */
function primed(namespace: string, timeline: readonly TimelineEntry[]): Normaliser {
  const normaliser = new Normaliser(namespace);
  for (const entry of timeline) if (entry.eventType === 'ADDED' && entry.kind !== 'Event') normaliser.text(entry.name);
  return normaliser;
}

type Fields = Readonly<Record<string, unknown>>;

function vmFacts(vm: KubeObject | null | undefined): unknown {
  if (vm === null || vm === undefined) return null;
  const { metadata, spec, status } = vm as KubeObject & { readonly spec: Fields; readonly status?: Fields };
  const { labels, annotations, finalizers, generation, name } = metadata;
  return { name, labels, annotations, finalizers, generation, spec, status: withConditionsByType(status) };
}

/** All but generation, which every status write raises, and what the recording's stand-in for a node made up. */
function vmiFacts(vmi: KubeObject | null | undefined): unknown {
  if (vmi === null || vmi === undefined) return null;
  const { metadata, spec, status } = vmi as KubeObject & { readonly spec: Fields; readonly status?: Fields };
  const { labels, annotations, finalizers, name, ownerReferences } = metadata;
  const { interfaces, activePods, phaseTransitionTimestamps, migrationState, ...rest } = status ?? {};
  return {
    name,
    labels,
    annotations,
    finalizers,
    owners: ownerReferences?.map(({ kind, name: owner }) => `${kind} ${owner}`),
    spec,
    status: {
      ...(withConditionsByType(rest) as Fields),
      interfaces: (interfaces as readonly Fields[] | undefined)?.map(nicFacts).sort(),
      activePods: Object.keys(activePods ?? {}).length,
      phases: (phaseTransitionTimestamps as readonly Fields[] | undefined)?.map(({ phase }) => phase),
      migrationState: Object.keys(migrationState ?? {}).sort(),
    },
  };
}

function nicFacts(status: Fields): string {
  const { name, podInterfaceName, infoSource } = status;
  const sources = infoSources({ infoSource: String(infoSource ?? '') });
  return `${name} ${podInterfaceName} ${sources.includes('multus-status') ? 'multus-status' : ''}`;
}

function podFacts(pod: KubeObject): unknown {
  const { labels, annotations = {}, ownerReferences } = pod.metadata;
  const kept = Object.entries(annotations).filter(([key]) => !key.includes('network-status'));
  return {
    labels,
    annotations: Object.fromEntries(kept),
    owners: ownerReferences?.map(({ kind, name }) => `${kind} ${name}`),
    phase: (pod.status as Fields | undefined)?.phase,
    interfaces: readPodNetworkStatus(annotations)
      .map((entry) => (entry.default === true ? `${entry.interface}` : `${entry.interface} ${entry.name}`))
      .sort(),
  };
}

function migrationFacts(migration: KubeObject): unknown {
  const { labels, annotations, finalizers } = migration.metadata;
  const status = migration.status as Fields | undefined;
  const phases = (status?.phaseTransitionTimestamps as readonly Fields[] | undefined)?.map(({ phase }) => phase);
  return { labels, annotations, finalizers, spec: migration.spec, phase: status?.phase, phases };
}

/** Order and times of conditions say nothing. */
function withConditionsByType(status: Fields | undefined): unknown {
  if (status === undefined) return undefined;
  const conditions = (status.conditions as readonly Fields[] | undefined) ?? [];
  return {
    ...status,
    conditions: Object.fromEntries(
      conditions.map((condition) => [
        condition.type,
        [condition.status, condition.reason, condition.message].filter((part) => part !== undefined).join(' '),
      ]),
    ),
  };
}

function deepDifferences(path: string, played: unknown, recorded: unknown): readonly string[] {
  if (isDeepStrictEqual(plain(played), plain(recorded))) return [];
  if (Array.isArray(played) && Array.isArray(recorded) && played.length === recorded.length) {
    return played.flatMap((item, index) => deepDifferences(`${path}[${index}]`, item, recorded[index]));
  }
  if (!isFields(played) || !isFields(recorded)) {
    return [`${path}: ${JSON.stringify(played)} instead of ${JSON.stringify(recorded)}`];
  }
  const keys = new Set([...Object.keys(played), ...Object.keys(recorded)]);
  return [...keys].flatMap((key) => deepDifferences(`${path}.${key}`, played[key], recorded[key]));
}

/** Without keys that hold undefined. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
