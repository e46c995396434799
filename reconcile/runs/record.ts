/**
 * The record of the last runs of a repository: a value, versioned, that the next run and `patchpanel status` read. It
 * changes only when there is news, so that a cluster at rest sees no writes.
 */
import * as z from 'zod';
import type { Outcome, TargetOutcome, TargetResult } from '../apply/model.ts';
import type { Plan, TargetName } from '../plan/model.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { oneLine } from './one-line.ts';

const recordVersion = 'patchpanel.dev/record/v1alpha1';

const text = z.string();
const count = z.int().min(0);
const commit = text.optional();

const runOutcome = z.enum(['converged', 'staged', 'blocked', 'partly-failed', 'interrupted', 'error']);
const counts = z.object({
  targets: count,
  inSync: count,
  staged: count,
  blocked: count,
  failed: count,
  interrupted: count,
  /** For a window. */
  waiting: count.default(0),
  notStarted: count.default(0),
});
const fault = z.object({ code: text, message: text });
const targetState = z.enum(['in-sync', 'staged', 'waiting', 'blocked', 'failed', 'interrupted', 'not-started']);

const record = z.object({
  version: z.literal(recordVersion),
  /** URL and path of the repository, or the folder. */
  source: text,
  /** `main@sha1:…`; left out until a run got so far. */
  commit,
  /** Digest of what else decides what is rendered, such as variables of Jsonnet. */
  inputs: text,
  /** When a run last compared all with the cluster and found it in sync. */
  lastFullCheck: text.optional(),
  outcome: runOutcome,
  /** Where the outcome is `error`: why the run ended. */
  error: fault.optional(),
  counts,
  /** VMs as `namespace/name`, pods as `pod/namespace/name`: those that a run had to do with. */
  targets: z.record(text, z.object({ state: targetState, since: text, reason: text.optional() })),
  /** The last runs with news, newest first. */
  runs: z.array(
    z.object({
      id: text,
      /** Pod or host. */
      by: text,
      at: text,
      seconds: z.number().min(0),
      commit,
      outcome: runOutcome,
      /** VMs and pods that it brought in sync. */
      changed: count,
      failed: count,
      blocked: count,
      writes: count,
      /** Why windows were overridden. */
      overrode: text.optional(),
      error: fault.optional(),
    }),
  ),
});

export type RunRecord = z.infer<typeof record>;
export type RunOutcome = z.infer<typeof runOutcome>;
type TargetState = z.infer<typeof targetState>;

/** Who ran, when, and on what. */
export interface RunFacts {
  readonly id: string;
  readonly by: string;
  readonly started: Date;
  readonly ended: Date;
  readonly source: string;
  readonly inputs: string;
}

export interface RunEnd {
  readonly commit: string;
  readonly plan: Plan;
  readonly outcome: Outcome;
  /** Keys of all declared targets; undefined where they are not known, as with a saved plan. */
  readonly declared?: ReadonlySet<string>;
  /** Whether a check that found nothing is noted too. */
  readonly stamp: boolean;
}

const keptRuns = 5;
/** A ConfigMap holds 1 MiB, and in it JSON is text with escapes. */
const maxBytes = 900_000;
const maxReasonBytes = 300;

/** @returns undefined where the text is no record of this version */
export function parseRecord(content: string): RunRecord | undefined {
  try {
    const result = record.safeParse(JSON.parse(content));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}

/** As it stands in the ConfigMap. What is in sync is left out first where it is too long. */
export function recordText(value: RunRecord): string {
  const whole = JSON.stringify(value);
  if (Buffer.byteLength(whole) <= maxBytes) return whole;
  const entries = Object.entries(value.targets).filter(([, { state }]) => state !== 'in-sync');
  for (let kept = entries.length; ; kept = Math.floor(kept / 2)) {
    const shorter = JSON.stringify({ ...value, targets: Object.fromEntries(entries.slice(0, kept)) });
    if (kept === 0 || Buffer.byteLength(shorter) <= maxBytes) return shorter;
  }
}

/** `prod/db-0`, `pod/prod/web-0`. */
export function recordKey(target: TargetName): string {
  return target.kind === 'Pod' ? `pod/${objectKey(target)}` : objectKey(target);
}

/** The VMs and pods that a record has a word of. */
export function namedBy({ targets }: RunRecord): {
  readonly vms: readonly ObjectName[];
  readonly pods: readonly ObjectName[];
} {
  const vms: ObjectName[] = [];
  const pods: ObjectName[] = [];
  for (const key of Object.keys(targets)) {
    const [name = '', namespace = '', kind] = key.split('/').reverse();
    (kind === undefined ? vms : pods).push({ namespace, name });
  }
  return { vms, pods };
}

/** The worst over the fleet. */
export function outcomeWord({ summary, interrupted }: Outcome): Exclude<RunOutcome, 'error'> {
  if (summary.failed > 0) return 'partly-failed';
  if (interrupted) return 'interrupted';
  if (summary.blocked > 0) return 'blocked';
  return summary.staged + summary.waiting > 0 ? 'staged' : 'converged';
}

export function countsOf(plan: Plan, outcome: Outcome): RunRecord['counts'] {
  const targets = plan.summary.vms + (plan.summary.pods ?? 0);
  const { blocked, failed, staged, waiting, interrupted, notStarted } = outcome.summary;
  return {
    targets,
    inSync: Math.max(0, targets - staged - waiting - blocked - failed - interrupted - notStarted),
    staged,
    blocked,
    failed,
    interrupted,
    waiting,
    notStarted,
  };
}

/** The record after a run; undefined where there is no news. */
export function afterRun(before: RunRecord | undefined, facts: RunFacts, end: RunEnd): RunRecord | undefined {
  const { plan, outcome } = end;
  const now = facts.ended.toISOString();
  const word = outcomeWord(outcome);
  const next = {
    version: recordVersion,
    source: facts.source,
    commit: end.commit,
    inputs: facts.inputs,
    ...(word === 'interrupted' ? checkOf(before) : { lastFullCheck: now }),
    outcome: word,
    counts: countsOf(plan, outcome),
    targets: targetsAfter(before?.targets ?? {}, end, now),
  } as const;
  const isNews =
    before === undefined ||
    outcome.summary.writes > 0 ||
    stateOf(before) !== stateOf({ ...next, runs: [] }) ||
    !sameJson(remembered(before.targets, next.targets), next.targets);
  if (!isNews) return end.stamp && word === 'converged' ? { ...before, lastFullCheck: now } : undefined;
  const { converged: changed, failed, blocked, writes } = outcome.summary;
  const overrode = outcome.overrode === undefined ? {} : { overrode: oneLine(outcome.overrode, maxReasonBytes) };
  const run = { ...headOf(facts), commit: end.commit, outcome: word, changed, failed, blocked, writes, ...overrode };
  return { ...next, runs: [run, ...(before?.runs ?? [])].slice(0, keptRuns) };
}

/**
 * The record after a run that ended with an error; undefined where the one before did so too.
 * @param commit that was fetched, if so
 */
export function afterError(
  before: RunRecord | undefined,
  facts: RunFacts,
  error: { readonly code: string; readonly message: string },
  commit = before?.commit,
): RunRecord | undefined {
  const fault = { code: error.code, message: oneLine(error.message, maxReasonBytes) };
  const asBefore =
    before?.outcome === 'error' &&
    before.source === facts.source &&
    sameJson(before.error, fault) &&
    idOf(before.commit) === idOf(commit);
  if (asBefore) return undefined;
  const nothing = {
    targets: 0,
    inSync: 0,
    staged: 0,
    blocked: 0,
    failed: 0,
    interrupted: 0,
    waiting: 0,
    notStarted: 0,
  };
  const run = {
    ...headOf(facts),
    ...(commit === undefined ? {} : { commit }),
    outcome: 'error',
    changed: 0,
    failed: 0,
    blocked: 0,
    writes: 0,
    error: fault,
  } as const;
  return {
    version: recordVersion,
    source: facts.source,
    ...(commit === undefined ? {} : { commit }),
    inputs: facts.inputs,
    ...checkOf(before),
    outcome: 'error',
    error: fault,
    counts: before?.counts ?? nothing,
    targets: before?.targets ?? {},
    runs: [run, ...(before?.runs ?? [])].slice(0, keptRuns),
  };
}

/**
 * Whether a run may be left out: the same commit rendered with the same inputs was found in sync, not long ago.
 * @param head id of the commit that the ref means now
 */
export function isFresh(
  before: RunRecord,
  facts: Pick<RunFacts, 'source' | 'inputs'>,
  head: string,
  now: Date,
  recheckAfterMs: number,
): boolean {
  const age = now.getTime() - Date.parse(before.lastFullCheck ?? '');
  return (
    before.outcome === 'converged' &&
    before.source === facts.source &&
    before.inputs === facts.inputs &&
    idOf(before.commit) === head &&
    age >= 0 &&
    age < recheckAfterMs
  );
}

function checkOf(before: RunRecord | undefined): { readonly lastFullCheck?: string } {
  return before?.lastFullCheck === undefined ? {} : { lastFullCheck: before.lastFullCheck };
}

function headOf({ id, by, started, ended }: RunFacts): Pick<RunRecord['runs'][number], 'id' | 'by' | 'at' | 'seconds'> {
  return { id, by, at: started.toISOString(), seconds: Math.max(0, ended.getTime() - started.getTime()) / 1000 };
}

/** What makes news where it differs. A commit is the same by whatever name it was asked for. */
function stateOf({ source, commit, inputs, outcome, counts, error }: RunRecord): string {
  return JSON.stringify([source, idOf(commit), inputs, outcome, counts, error ?? null]);
}

function idOf(commit: string | undefined): string | undefined {
  return commit?.replace(/^.*@sha1:/, '');
}

function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** That one is forgotten which was in sync is no news. */
function remembered(before: RunRecord['targets'], next: RunRecord['targets']): RunRecord['targets'] {
  return Object.fromEntries(Object.entries(before).filter(([key, { state }]) => state !== 'in-sync' || key in next));
}

function targetsAfter(
  before: RunRecord['targets'],
  { plan, outcome, declared }: RunEnd,
  now: string,
): RunRecord['targets'] {
  const seen = new Set(outcome.targets.map(({ target }) => recordKey(target)));
  // Pods, and what is pruned, are known by what the run had to do with them alone.
  const isKnown = (key: string): boolean => seen.has(key) || (declared?.has(key) ?? true);
  const after = new Map(Object.entries(before).filter(([key]) => isKnown(key)));
  for (const target of outcome.targets) {
    const key = recordKey(target.target);
    const was = after.get(key);
    const state = stateWord[target.result];
    const changed = target.actions.some(({ result }) => result === 'done');
    // A VM that stands in the plan for a note alone.
    if (state === 'in-sync' && !changed && was === undefined) continue;
    const reason = reasonOf(target, plan);
    if (was?.state === state && !changed && was.reason === reason) continue;
    const since = was?.state === state && !changed ? was.since : now;
    after.set(key, { state, since, ...(reason === undefined ? {} : { reason }) });
  }
  for (const [key, { state }] of after) {
    if (!seen.has(key) && state !== 'in-sync') after.set(key, { state: 'in-sync', since: now });
  }
  return Object.fromEntries([...after].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const stateWord: Readonly<Record<TargetResult, TargetState>> = {
  converged: 'in-sync',
  staged: 'staged',
  waiting: 'waiting',
  blocked: 'blocked',
  failed: 'failed',
  interrupted: 'interrupted',
  'not-started': 'not-started',
};

function reasonOf({ target, result, actions, reversal }: TargetOutcome, plan: Plan): string | undefined {
  if (result === 'converged') return undefined;
  const stuck =
    actions.find((action) => action.result === 'failed') ?? actions.find(({ reason }) => reason !== undefined);
  if (result !== 'blocked' && stuck?.reason !== undefined) {
    const after = reversal?.held === true ? 'held; ' : '';
    return oneLine(`${after}${stuck.code === undefined ? '' : `${stuck.code}: `}${stuck.reason}`, maxReasonBytes);
  }
  const blocker = plan.targets.find((each) => recordKey(each.target) === recordKey(target))?.blockers[0];
  return blocker === undefined ? undefined : oneLine(`${blocker.code}: ${blocker.message}`, maxReasonBytes);
}
