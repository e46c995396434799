/** What a run leaves behind when it has ended: its record, metrics, and who is told. Nothing here changes its exit code. */
import { rename, rm, writeFile } from 'node:fs/promises';
import type { OnRunEvent } from '../reconcile/apply/model.ts';
import { exitCodeOf, exitCodes, isExpected, PatchpanelError, PatchpanelErrors } from '../reconcile/errors.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { metricsText } from '../reconcile/report/metrics.ts';
import { type Delivery, deliver } from '../reconcile/runs/deliver.ts';
import { commitStatus, type News, push, type StatusHost, webhook } from '../reconcile/runs/notify.ts';
import {
  afterError,
  afterRun,
  countsOf,
  outcomeWord,
  type RunEnd,
  type RunFacts,
  type RunRecord,
} from '../reconcile/runs/record.ts';
import { updateRecord } from '../reconcile/runs/record-store.ts';
import { type ObjectName, objectKey } from '../reconcile/vocabulary.ts';

export interface Channels {
  readonly record?: ObjectName;
  readonly metricsFile?: string;
  readonly pushgateway?: string;
  readonly notifyUrl?: string;
  readonly commitStatus?: Omit<StatusHost, 'token'> & {
    /** The token, or what makes one for the repository of this URL. */
    readonly token: string | ((repository: string) => Promise<string>);
  };
}

type Facts = Omit<RunFacts, 'ended'>;

/** How a run ended, for all channels alike. */
interface Ending extends News {
  readonly skipped: boolean;
  readonly isNews: boolean;
  readonly lastFullCheck?: Date;
}

export class Aftermath {
  readonly #channels: Channels;
  readonly #facts: Facts;
  readonly #onEvent: OnRunEvent;

  constructor(channels: Channels, facts: Facts, onEvent: OnRunEvent) {
    this.#channels = channels;
    this.#facts = facts;
    this.#onEvent = onEvent;
  }

  /** Nothing was to be looked at. */
  async skipped(record: RunRecord): Promise<void> {
    const facts = { ...this.#facts, ended: new Date() };
    const { counts, outcome } = record;
    await this.#tell({
      ...facts,
      ...known(record),
      outcome,
      exitCode: exitCodes.ok,
      counts,
      changed: 0,
      writes: 0,
      troubled: [],
      skipped: true,
      isNews: false,
    });
  }

  async ended(cluster: Cluster, end: RunEnd, exitCode: number): Promise<void> {
    const facts = { ...this.#facts, ended: new Date() };
    const { plan, outcome, commit } = end;
    const { converged: changed, writes } = outcome.summary;
    const word = outcomeWord(outcome);
    // Without a record nobody knows what was before: then a run that found all in sync is no news.
    const alone = writes > 0 || word !== 'converged';
    const recorded = await this.#record(cluster, (before) => afterRun(before, facts, end));
    const fresh = afterRun(undefined, facts, end);
    await this.#tell({
      ...facts,
      commit,
      outcome: word,
      exitCode,
      counts: countsOf(plan, outcome),
      changed,
      writes,
      troubled: troubled(fresh),
      skipped: false,
      isNews: recorded?.isNews ?? alone,
      ...(word === 'interrupted' ? {} : { lastFullCheck: facts.ended }),
    });
  }

  /**
   * The run ended before it had a plan, or without carrying it out. A run that another one held off, or that was stopped,
   * is no news.
   * @param commit that was fetched, if so
   */
  async failed(cluster: Cluster, error: unknown, commit: string | undefined): Promise<void> {
    if (!isExpected(error)) return;
    const facts = { ...this.#facts, ended: new Date() };
    const first = firstOf(error);
    const isQuiet = first.code === 'run/locked' || first.code === 'apply/interrupted';
    const fault = { code: first.code, message: first.message };
    // Where the cluster does not answer, asking it once more only takes time.
    const recorded =
      isQuiet || first.code === 'cluster/unreachable'
        ? undefined
        : await this.#record(cluster, (before) => afterError(before, facts, fault, commit));
    await this.#tell({
      ...facts,
      ...(commit === undefined ? {} : { commit }),
      outcome: 'error',
      exitCode: exitCodeOf(error),
      changed: 0,
      writes: 0,
      error: fault,
      troubled: [],
      skipped: false,
      isNews: !isQuiet && (recorded?.isNews ?? true),
    });
  }

  /** Undefined where there is no record, or it could not be written. */
  async #record(
    cluster: Cluster,
    change: (before: RunRecord | undefined) => RunRecord | undefined,
  ): Promise<{ readonly isNews: boolean; readonly record: RunRecord | undefined } | undefined> {
    const { record: place } = this.#channels;
    if (place === undefined) return undefined;
    try {
      const { before, after } = await updateRecord(cluster, place, change);
      if (before !== undefined && before.source !== this.#facts.source) {
        this.#warn(`the record ${objectKey(place)} was that of ${before.source}: give each repository its own`);
      }
      return { isNews: after !== undefined && after.runs[0]?.id === this.#facts.id, record: after ?? before };
    } catch (error) {
      this.#warn(`the record could not be written: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  async #tell(ending: Ending): Promise<void> {
    const { metricsFile, pushgateway, notifyUrl, commitStatus: host } = this.#channels;
    const { source, isNews, commit } = ending;
    const metrics = metricsOf(ending);
    const requests = pushgateway === undefined ? [] : [push(pushgateway, source, metrics)];
    if (isNews && notifyUrl !== undefined) requests.push(webhook(notifyUrl, ending));
    const [, sha] = /@sha1:([0-9a-f]+)$/.exec(commit ?? '') ?? [];
    if (isNews && host !== undefined && sha !== undefined) {
      const status = await this.#commitStatus(host, sha, ending);
      if (status !== undefined) requests.push(status);
    }
    const failures = await Promise.all([
      metricsFile === undefined ? undefined : writeWhole(metricsFile, metrics),
      ...requests.map(deliver),
    ]);
    for (const failure of failures) if (failure !== undefined) this.#warn(failure);
  }

  /** Undefined where there is nobody to tell, or no token to do it with. */
  async #commitStatus(
    host: NonNullable<Channels['commitStatus']>,
    sha: string,
    ending: Ending,
  ): Promise<Delivery | undefined> {
    const [repository = ''] = ending.source.split(' ');
    if (!URL.canParse(repository)) return undefined;
    try {
      const token = typeof host.token === 'string' ? host.token : await host.token(repository);
      return commitStatus({ ...host, token }, sha, ending);
    } catch (error) {
      if (!(error instanceof PatchpanelError)) throw error;
      this.#warn(`the commit status was not set: ${error.message}`);
      return undefined;
    }
  }

  #warn(message: string): void {
    this.#onEvent({ type: 'warning', message });
  }
}

function known({ commit, lastFullCheck }: RunRecord): { readonly commit?: string; readonly lastFullCheck?: Date } {
  return {
    ...(commit === undefined ? {} : { commit }),
    ...(lastFullCheck === undefined ? {} : { lastFullCheck: new Date(lastFullCheck) }),
  };
}

function troubled(record: RunRecord | undefined): News['troubled'] {
  return Object.entries(record?.targets ?? {}).flatMap(([target, { state, reason }]) =>
    state === 'in-sync' ? [] : [{ target, state, ...(reason === undefined ? {} : { reason }) }],
  );
}

function firstOf(error: PatchpanelError | PatchpanelErrors): PatchpanelError {
  const [first] = error instanceof PatchpanelErrors ? error.errors : [error];
  if (first === undefined) throw new Error('a list of errors without any');
  return first;
}

function metricsOf(ending: Ending): string {
  const { counts, troubled: notInSync, ...rest } = ending;
  return metricsText({
    ...rest,
    ...(counts === undefined ? {} : { states: statesOf(counts) }),
    troubled: notInSync.map(({ target, state }) => [target, state] as const),
  });
}

function statesOf({
  targets: _,
  inSync,
  notStarted,
  ...others
}: RunRecord['counts']): Readonly<Record<string, number>> {
  return { 'in-sync': inSync, ...others, 'not-started': notStarted };
}

/** Whoever reads the file sees the old one or the new one. @returns why it was not written, if so */
async function writeWhole(file: string, content: string): Promise<string | undefined> {
  // Collectors read names that end in .prom.
  const draft = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(draft, content, { mode: 0o644 });
    await rename(draft, file);
    return undefined;
  } catch (error) {
    await rm(draft, { force: true });
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown failure';
    return `the metrics could not be written to ${file}: ${reason}`;
  }
}
