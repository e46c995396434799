/** `patchpanel apply`: plans and carries the plan out, or carries out a saved plan. */
import { readFileSync, statSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { Outcome } from '../reconcile/apply/model.ts';
import type { DesiredSource } from '../reconcile/desired/load.ts';
import { revision } from '../reconcile/desired/revision.ts';
import { type ExitCode, exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { parsePlan } from '../reconcile/plan/plan-json.ts';
import { outcomeText } from '../reconcile/report/outcome-text.ts';
import { planText } from '../reconcile/report/plan-text.ts';
import type { Progress } from '../reconcile/report/progress.ts';
import { unchangedLine } from '../reconcile/report/record-text.ts';
import { apply, applyGuarded, freshEnough, freshRecord, load, plan } from '../reconcile/run.ts';
import { type EventSource, EventWriter, targetKey } from '../reconcile/runs/events.ts';
import type { Guarded } from '../reconcile/runs/guarded.ts';
import { type RunEnd, type RunFacts, type RunRecord, recordKey } from '../reconcile/runs/record.ts';
import { Aftermath } from './aftermath.ts';
import { addClusterOptions, type ClusterFlags, openCluster, wholeNumber } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import { addPolicy, type PolicyFlags, policyUnder } from './policy-options.ts';
import type { Exit } from './program.ts';
import { runId } from './run-id.ts';
import { addRunOptions, channels, host, lockOptions, type RunFlags, recordPlace, runFacts } from './run-options.ts';
import { signatureDemands } from './signature-options.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print, stopSignal } from './terminal.ts';

interface ApplyFlags extends SourceFlags, ClusterFlags, LogFlags, RunFlags, PolicyFlags {
  readonly output: 'text' | 'json';
  readonly maxInFlight?: number;
  readonly overrideWindows?: string;
  readonly actionTimeout: number;
  readonly migrationTimeout: number;
  readonly runTimeout: number;
}

export function addApply(program: Command, exit: Exit): void {
  const command = program
    .command('apply')
    .summary('plug and unplug until every layer agrees')
    .description(
      'Plans, then plugs and unplugs NICs of running VMs in a safe order, following each change through every layer. ' +
        'Running it again converges from any half-way state.',
    )
    .argument('[source]', `${sourceHelp}; or a plan saved with \`plan -o json\``, '.');
  addPolicy(addRunOptions(addLogFormat(addOutput(addClusterOptions(addSourceOptions(command)), ['text', 'json']))))
    .option('--max-in-flight <number>', 'VMs in change at one time; default from Settings', wholeNumber(1))
    .option(
      '--override-windows <reason>',
      'act outside of the windows of the Settings; the reason is recorded',
      someText,
    )
    .option('--action-timeout <seconds>', 'limit on one action', wholeNumber(1), 120)
    .option(
      '--migration-timeout <seconds>',
      'limit on one action that needs a migration or a restart',
      wholeNumber(1),
      600,
    )
    .option('--run-timeout <seconds>', 'limit on the run', wholeNumber(1), 3600)
    .addHelpText(
      'after',
      `
Exit code 0: every layer agrees; 4: something is blocked; 5: some VMs failed; 6: another run holds the lock; 7: the saved plan is stale; 8: interrupted.

Examples:
  patchpanel apply https://git.example.com/net/vms.git --ref main
  patchpanel plan . -o json > plan.json    # exit 2: there are changes
  patchpanel apply plan.json
`,
    )
    .action(async (source: string, flags: ApplyFlags) => {
      exit.code = await applyVerb(source, flags);
    });
}

function someText(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must say why.');
  return text.trim();
}

async function applyVerb(source: string, flags: ApplyFlags): Promise<ExitCode> {
  const progress = makeProgress(flags.logFormat);
  const stop = stopSignal((signal) => progress.onEvent({ type: 'stopping', signal }));
  const job = applyJob(source, flags);
  const aftermath = new Aftermath(channels(flags), job.facts, progress.onEvent);
  const cluster = await openCluster(flags);
  try {
    if (job.given !== undefined) progress.onEvent({ type: 'plan-read', commit: revision(job.given.source) });
    const unchanged = await unchangedRecord(job, flags, cluster, stop.signal);
    if (unchanged !== undefined) {
      await aftermath.skipped(unchanged);
      await print(
        flags.output === 'json'
          ? `${JSON.stringify({ unchanged: true, commit: unchanged.commit, lastFullCheck: unchanged.lastFullCheck })}\n`
          : unchangedLine(unchanged, new Date(), flags.recheckAfter),
      );
      return exitCodes.ok;
    }
    const { plan: planned, result: outcome } = await carryOut(job, flags, cluster, progress, stop.signal);
    progress.close();
    const code = applyExitCode(outcome);
    await print(
      flags.output === 'json'
        ? `${JSON.stringify(outcome, undefined, 2)}\n`
        : outcomeText(outcome, planned, outputStyle()),
    );
    await aftermath.ended(cluster, runEnd(planned, outcome, job, flags), code);
    return code;
  } catch (error) {
    progress.close();
    await aftermath.failed(cluster, error, job.commit);
    throw error;
  } finally {
    progress.close();
    stop.dispose();
    await cluster.close();
  }
}

/** What is to be applied: a saved plan, or a source. */
interface ApplyJob {
  readonly source: string;
  readonly given?: Plan;
  readonly desired?: DesiredSource;
  readonly facts: Omit<RunFacts, 'ended'>;
  /** Keys of all declared targets, once they are known. */
  declared?: ReadonlySet<string>;
  /** What is looked at, once it is known. */
  commit?: string;
}

function applyJob(source: string, flags: ApplyFlags): ApplyJob {
  const saved = savedPlan(source);
  if (saved !== undefined) {
    const given = parsePlan(saved);
    refuseUnsigned(given, source, flags);
    return { source, given, facts: runFacts(given.source, undefined) };
  }
  const desired = desiredSource(source, flags);
  return { source, desired, facts: runFacts(desired, loadOptions(flags)) };
}

/** A plan says itself which commit it is of: nobody vouches for that. @throws PatchpanelError `trust/unverifiable` */
function refuseUnsigned({ source }: Plan, file: string, flags: ApplyFlags): void {
  const [demand] = signatureDemands(flags);
  if (demand === undefined) return;
  const commit = source.kind === 'git' ? ` at the commit ${source.commit}, if ${source.url} is where it came from` : '';
  throw new PatchpanelError(
    'trust/unverifiable',
    `${file} is a saved plan, which has no signature; one is demanded by ${demand.by}`,
    { remedy: `Apply the repository itself${commit}.` },
  );
}

/** The record of the last full check, where --if-changed finds that a run may be left out. */
async function unchangedRecord(
  { desired, facts }: ApplyJob,
  flags: ApplyFlags,
  cluster: Cluster,
  signal: AbortSignal,
): Promise<RunRecord | undefined> {
  if (flags.ifChanged === undefined) return undefined;
  const place = recordPlace(flags);
  if (place === undefined || desired?.kind !== 'git') {
    throw new PatchpanelError('cli/usage', '--if-changed needs the URL of a git repository, and --record');
  }
  return await freshRecord(desired, cluster, place, facts, flags.recheckAfter, signal);
}

async function carryOut(
  job: ApplyJob,
  flags: ApplyFlags,
  cluster: Cluster,
  progress: Progress,
  stop: AbortSignal,
): Promise<Guarded<Outcome>> {
  const make = async (): Promise<Plan> =>
    job.given === undefined
      ? await freshPlan(job, flags, cluster, progress, stop)
      : await freshEnough(job.given, await policyUnder(flags, cluster), cluster);
  const work = async (planned: Plan, signal: AbortSignal, at?: Date): Promise<Outcome> => {
    const events = flags.events === true ? new EventWriter(cluster, eventSource(planned)) : undefined;
    const outcome = await apply(
      planned,
      cluster,
      {
        maxInFlight: inFlight(flags, planned),
        actionTimeoutMs: flags.actionTimeout * 1000,
        migrationTimeoutMs: flags.migrationTimeout * 1000,
        runTimeoutMs: flags.runTimeout * 1000,
        domainXml: flags.domainXml,
        savedPlan: job.given !== undefined,
        ...(flags.overrideWindows === undefined ? {} : { overrideWindows: flags.overrideWindows }),
        ...(at === undefined ? {} : { clock: () => at }),
        signal,
      },
      (event) => {
        progress.onEvent(event);
        events?.onEvent(event);
      },
    );
    const message = await events?.settled();
    if (message !== undefined) progress.onEvent({ type: 'warning', message });
    return outcome;
  };
  return await applyGuarded(
    cluster,
    lockOptions(flags, stop),
    stop,
    { plan: make, again: make, work },
    progress.onEvent,
    flags.overrideWindows !== undefined,
  );
}

/** Under a policy, an option may only lower what holds. */
function inFlight({ maxInFlight: asked }: ApplyFlags, { settings: { maxInFlight }, policy }: Plan): number {
  if (asked === undefined) return maxInFlight;
  return policy === undefined ? asked : Math.min(asked, maxInFlight);
}

function eventSource(planned: Plan): EventSource {
  const uids = new Map(planned.targets.map(({ target, uid }) => [targetKey(target), uid]));
  return {
    run: runId,
    host,
    clock: () => new Date(),
    commit: revision(planned.source),
    uidOf: (target) => uids.get(targetKey(target)),
  };
}

function runEnd(plan: Plan, outcome: Outcome, { declared }: ApplyJob, flags: ApplyFlags): RunEnd {
  return {
    commit: revision(plan.source),
    plan,
    outcome,
    stamp: flags.ifChanged === true,
    ...(declared === undefined ? {} : { declared }),
  };
}

/** A plan of now, which is shown before it is carried out. */
async function freshPlan(
  job: ApplyJob,
  flags: ApplyFlags,
  cluster: Cluster,
  progress: Progress,
  signal: AbortSignal,
): Promise<Plan> {
  const source = job.desired ?? desiredSource(job.source, flags);
  const policy = await policyUnder(flags, cluster);
  const options = { ...loadOptions(flags, signal), ...(policy === undefined ? {} : { policy }) };
  const desired = await load(source, options, (event) => {
    if (event.type === 'fetched') job.commit = event.commit;
    progress.onEvent(event);
  });
  job.declared = new Set(desired.targets.map(({ target }) => recordKey(target)));
  const made = await plan(desired, cluster, flags.domainXml, progress.onEvent);
  progress.close();
  if (flags.output === 'text') await print(`${planText(made, outputStyle())}\n`);
  return made;
}

/** The text of a plan file; undefined where the source is a folder or a URL. */
function savedPlan(source: string): string | undefined {
  if (!statSync(source, { throwIfNoEntry: false })?.isFile()) return undefined;
  try {
    return readFileSync(source, 'utf8');
  } catch (cause) {
    throw new PatchpanelError('cli/input', `${source} can not be read`, { cause });
  }
}

/** The worst over the fleet: failures, an interruption, blocked VMs. */
function applyExitCode({ summary, interrupted }: Outcome): ExitCode {
  if (summary.failed > 0) return exitCodes.partlyFailed;
  if (interrupted) return exitCodes.interrupted;
  return summary.blocked > 0 ? exitCodes.blocked : exitCodes.ok;
}
