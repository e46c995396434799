/** `patchpanel apply`: plans and carries the plan out, or carries out a saved plan. */
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Outcome } from '../reconcile/apply/model.ts';
import { type ExitCode, exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { parsePlan } from '../reconcile/plan/plan-json.ts';
import { outcomeText } from '../reconcile/report/outcome-text.ts';
import { planText } from '../reconcile/report/plan-text.ts';
import type { Progress } from '../reconcile/report/progress.ts';
import { apply, applyGuarded, load, plan, refuseStale } from '../reconcile/run.ts';
import { addClusterOptions, type ClusterFlags, openCluster, wholeNumber } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { addRunOptions, lockOptions, type RunFlags } from './run-options.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print, stopSignal } from './terminal.ts';

interface ApplyFlags extends SourceFlags, ClusterFlags, LogFlags, RunFlags {
  readonly output: 'text' | 'json';
  readonly maxInFlight?: number;
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
  addRunOptions(addLogFormat(addOutput(addClusterOptions(addSourceOptions(command)), ['text', 'json'])))
    .option('--max-in-flight <number>', 'VMs in change at one time; default from Settings', wholeNumber(1))
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

async function applyVerb(source: string, flags: ApplyFlags): Promise<ExitCode> {
  const progress = makeProgress(flags.logFormat);
  const stop = stopSignal((signal) => progress.onEvent({ type: 'stopping', signal }));
  const cluster = await openCluster(flags);
  try {
    const lock = lockOptions(flags, stop.signal);
    const saved = savedPlan(source);
    const given = saved === undefined ? undefined : parsePlan(saved);
    const make = async (): Promise<Plan> =>
      given === undefined
        ? await freshPlan(source, flags, cluster, progress, stop.signal)
        : await freshEnough(given, cluster);
    const work = async (planned: Plan, signal: AbortSignal): Promise<Outcome> =>
      await apply(
        planned,
        cluster,
        {
          maxInFlight: flags.maxInFlight ?? planned.settings.maxInFlight,
          actionTimeoutMs: flags.actionTimeout * 1000,
          migrationTimeoutMs: flags.migrationTimeout * 1000,
          runTimeoutMs: flags.runTimeout * 1000,
          domainXml: flags.domainXml,
          savedPlan: given !== undefined,
          signal,
        },
        progress.onEvent,
      );
    const { plan: planned, result: outcome } = await applyGuarded(
      cluster,
      lock,
      stop.signal,
      { plan: make, again: make, work },
      progress.onEvent,
    );
    progress.close();
    await print(
      flags.output === 'json'
        ? `${JSON.stringify(outcome, undefined, 2)}\n`
        : outcomeText(outcome, planned, outputStyle()),
    );
    return applyExitCode(outcome);
  } finally {
    progress.close();
    stop.dispose();
    await cluster.close();
  }
}

/** A saved plan as it is, unless what it was made from has moved. */
async function freshEnough(saved: Plan, cluster: Cluster): Promise<Plan> {
  await refuseStale(saved, cluster);
  return saved;
}

/** A plan of now, which is shown before it is carried out. */
async function freshPlan(
  source: string,
  flags: ApplyFlags,
  cluster: Cluster,
  progress: Progress,
  signal: AbortSignal,
): Promise<Plan> {
  const desired = await load(desiredSource(source, flags), loadOptions(flags, signal), progress.onEvent);
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
