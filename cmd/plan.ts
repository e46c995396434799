/** `patchpanel plan`: what an apply would do, what stands in its way, and what of it a change causes. */
import type { Command } from 'commander';
import { type DryRun, dryRunPlan } from '../reconcile/apply/dry-run.ts';
import type { Change } from '../reconcile/change/model.ts';
import type { CheckoutSource } from '../reconcile/desired/git-checkout.ts';
import type { GitSource } from '../reconcile/desired/git-source.ts';
import type { DesiredSource } from '../reconcile/desired/load.ts';
import type { DesiredState } from '../reconcile/desired/model.ts';
import { type ExitCode, exitCodeOf, exitCodes, isExpected, PatchpanelError } from '../reconcile/errors.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { dryRunText } from '../reconcile/report/dry-run-text.ts';
import type { PlanGround } from '../reconcile/report/html/plan-picture.ts';
import type { Progress } from '../reconcile/report/progress.ts';
import {
  declaredChange,
  type LoadedBase,
  type LoadUnderPolicy,
  load,
  loadBase,
  planChange,
  planFrom,
} from '../reconcile/run.ts';
import { addClusterOptions, type ClusterFlags, openCluster } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import {
  markerName,
  type PlanFormat,
  type PlanOutput,
  type PlanOutputOptions,
  planFormats,
  putFaults,
  putPlan,
  writeOption,
} from './plan-output.ts';
import { addPolicy, optionsUnderPolicy, type PolicyFlags } from './policy-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print } from './terminal.ts';

interface PlanFlags extends SourceFlags, ClusterFlags, LogFlags, PolicyFlags {
  readonly base?: string;
  readonly cluster: boolean;
  readonly serverDryRun?: boolean;
  readonly output: PlanFormat;
  readonly write?: readonly PlanOutput[];
  readonly marker?: string;
}

export function addPlan(program: Command, exit: Exit): void {
  const command = program
    .command('plan')
    .summary('show what an apply would do')
    .description(
      'Compares the desired state with the cluster, layer by layer, and prints the ordered actions. Writes nothing. With --base, tells what a change causes from what was due before.',
    )
    .argument('[source]', sourceHelp, '.');
  const withOutput = addOutput(addClusterOptions(addSourceOptions(command)), planFormats);
  addPolicy(addLogFormat(withOutput))
    .option(
      '--base <ref>',
      'what the change is compared with: a branch, tag or commit of the repository around the folder, also HEAD~1, or REF... for where HEAD left REF; or one of the git URL',
    )
    .option('--no-cluster', 'compare the two commits alone; goes with --base')
    .option('--write <format=file>', 'write the result to a file too, in that format; repeatable', writeOption)
    .option('--marker <name>', 'name in the first line of the Markdown, by which a bot finds its comment', markerName)
    .option(
      '--server-dry-run',
      'send the patches of VMs to the server as a dry run, and show what it would change or refuse; text output only',
    )
    .addHelpText(
      'after',
      `
Exit code 0: nothing to do; 2: changes are pending; 4: something is blocked; 1, 3: see patchpanel --help.
With --base they are about the change alone: what was due or blocked before it does not count.

Examples:
  patchpanel plan examples/desired-state --kubeconfig /tmp/sandbox.kubeconfig
  patchpanel plan https://git.example.com/net/vms.git --ref main -o json > plan.json
  patchpanel plan . --context prod -o markdown
  patchpanel plan . --context prod -o html > plan.html
  patchpanel plan . --base origin/main... --write markdown=comment.md --write sarif=plan.sarif
  patchpanel plan . --base HEAD~1 --no-cluster
`,
    )
    .action(async (source: string, flags: PlanFlags) => {
      checkFlags(flags);
      exit.code = await planVerb(source, flags, program.version() ?? '0');
    });
}

/** @throws PatchpanelError cli/usage for options that do not go together */
function checkFlags({ base, cluster, serverDryRun = false, output, write = [], policyConfigmap }: PlanFlags): void {
  const fault = (message: string) => new PatchpanelError('cli/usage', message);
  if (serverDryRun && (output !== 'text' || write.length > 0)) throw fault('--server-dry-run goes with -o text alone');
  if (serverDryRun && base !== undefined) throw fault('--server-dry-run does not go with --base');
  if (!cluster && [output, ...write.map(({ format }) => format)].includes('html')) {
    throw fault('-o html shows what a cluster has, and does not go with --no-cluster');
  }
  if (!cluster && policyConfigmap !== undefined) throw fault('--policy-configmap is read from a cluster');
  if (!cluster && base === undefined) throw fault('--no-cluster compares two commits, and needs --base for the other');
}

async function planVerb(source: string, flags: PlanFlags, version: string): Promise<ExitCode> {
  const { output, write = [], marker } = flags;
  const options = { outputs: [{ format: output }, ...write], version, ...(marker === undefined ? {} : { marker }) };
  const progress = makeProgress(flags.logFormat);
  try {
    const loading = flags.cluster ? await optionsUnderPolicy(flags) : loadOptions(flags);
    const desired = await loadHead(desiredSource(source, flags), loading, options, progress);
    if (flags.base !== undefined) {
      const from = await loadBase(baseSource(desiredSource(source, flags), flags.base), loading, progress.onEvent);
      const { change, ground } = await changeOf(desired, from, flags, progress);
      progress.close();
      await putPlan(change, ground, options);
      return changeExitCode(change);
    }
    const { made, ground, runs } = await planned(desired, flags, progress);
    progress.close();
    await putPlan(made, ground, options);
    if (runs !== undefined) await print(dryRunText(runs, outputStyle()));
    return runs?.some((run) => run.refused !== undefined) ? exitCodes.blocked : planExitCode(made);
  } finally {
    progress.close();
  }
}

/** Faults of the input are a result too where the output has a form for them. */
async function loadHead(
  source: DesiredSource,
  loading: LoadUnderPolicy,
  options: PlanOutputOptions,
  progress: Progress,
): Promise<DesiredState> {
  try {
    return await load(source, loading, progress.onEvent);
  } catch (error) {
    if (isExpected(error) && exitCodeOf(error) === exitCodes.badInput) await putFaults(error, options);
    throw error;
  }
}

/** Of a folder, a commit of the repository that it lies in; of a URL, another ref of the same repository. */
function baseSource(source: DesiredSource, ref: string): CheckoutSource | GitSource {
  return source.kind === 'folder' ? { kind: 'checkout', path: source.path, ref } : { ...source, ref };
}

async function changeOf(
  head: DesiredState,
  from: LoadedBase,
  flags: PlanFlags,
  progress: Progress,
): Promise<{ readonly change: Change; readonly ground?: PlanGround }> {
  if (!flags.cluster) return { change: declaredChange(head, from) };
  const cluster = await openCluster(flags);
  try {
    return await planChange(head, from, cluster, flags.domainXml, progress.onEvent);
  } finally {
    await cluster.close();
  }
}

interface Planned {
  readonly made: Plan;
  readonly ground: PlanGround;
  /** Of a server dry run. */
  readonly runs?: readonly DryRun[];
}

async function planned(desired: DesiredState, flags: PlanFlags, progress: Progress): Promise<Planned> {
  const cluster = await openCluster(flags);
  try {
    const { plan: made, ground } = await planFrom(desired, cluster, flags.domainXml, progress.onEvent);
    return flags.serverDryRun === true ? { made, ground, runs: await dryRunPlan(made, cluster) } : { made, ground };
  } finally {
    await cluster.close();
  }
}

/** The worst over the fleet: blocked, then changes, then nothing. */
function planExitCode({ summary }: { readonly summary: Pick<Plan['summary'], 'blocked' | 'changed'> }): ExitCode {
  if (summary.blocked > 0) return exitCodes.blocked;
  return summary.changed > 0 ? exitCodes.changesPending : exitCodes.ok;
}

/** The same of the change alone: a pull request does not fail for what was there before it. */
function changeExitCode({ cluster, declared }: Change): ExitCode {
  if (cluster !== undefined) return planExitCode(cluster);
  const nothing = declared.objects.length === 0 && declared.settings.length === 0;
  return nothing ? exitCodes.ok : exitCodes.changesPending;
}
