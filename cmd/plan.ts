/** `patchpanel plan`: what an apply would do, and what stands in its way. */
import type { Command } from 'commander';
import { type DryRun, dryRunPlan } from '../reconcile/apply/dry-run.ts';
import { type ExitCode, exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { planToJson } from '../reconcile/plan/plan-json.ts';
import { dryRunText } from '../reconcile/report/dry-run-text.ts';
import { picturePage } from '../reconcile/report/html/page.ts';
import { type PlanGround, planPicture } from '../reconcile/report/html/plan-picture.ts';
import { planMarkdown } from '../reconcile/report/plan-markdown.ts';
import { planText } from '../reconcile/report/plan-text.ts';
import { load, planFrom } from '../reconcile/run.ts';
import { addClusterOptions, type ClusterFlags, openCluster } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import { addPolicy, optionsUnderPolicy, type PolicyFlags } from './policy-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print } from './terminal.ts';

interface PlanFlags extends SourceFlags, ClusterFlags, LogFlags, PolicyFlags {
  readonly serverDryRun?: boolean;
  readonly output: 'text' | 'json' | 'markdown' | 'html';
}

export function addPlan(program: Command, exit: Exit): void {
  const command = program
    .command('plan')
    .summary('show what an apply would do')
    .description(
      'Compares the desired state with the cluster, layer by layer, and prints the ordered actions. Writes nothing.',
    )
    .argument('[source]', sourceHelp, '.');
  const withOutput = addOutput(addClusterOptions(addSourceOptions(command)), ['text', 'json', 'markdown', 'html']);
  addPolicy(addLogFormat(withOutput))
    .option(
      '--server-dry-run',
      'send the patches of VMs to the server as a dry run, and show what it would change or refuse; text output only',
    )
    .addHelpText(
      'after',
      `
Exit code 0: nothing to do; 2: changes are pending; 4: something is blocked; 1, 3: see patchpanel --help.

Examples:
  patchpanel plan examples/desired-state --kubeconfig /tmp/sandbox.kubeconfig
  patchpanel plan https://git.example.com/net/vms.git --ref main -o json > plan.json
  patchpanel plan . --context prod -o markdown
  patchpanel plan . --context prod -o html > plan.html
`,
    )
    .action(async (source: string, flags: PlanFlags) => {
      if (flags.serverDryRun === true && flags.output !== 'text')
        throw new PatchpanelError('cli/usage', '--server-dry-run goes with -o text alone');
      const { made, ground, runs } = await makePlanFrom(source, flags);
      await print(formatPlan(made, ground, flags.output));
      if (runs !== undefined) await print(dryRunText(runs, outputStyle()));
      const refused = runs?.some((run) => run.refused !== undefined) ?? false;
      exit.code = refused ? exitCodes.blocked : planExitCode(made);
    });
}

interface Planned {
  readonly made: Plan;
  readonly ground: PlanGround;
  /** Of a server dry run. */
  readonly runs?: readonly DryRun[];
}

/** Renders, reads and plans, with progress on standard error. */
async function makePlanFrom(source: string, flags: PlanFlags): Promise<Planned> {
  const progress = makeProgress(flags.logFormat);
  const desired = await load(desiredSource(source, flags), await optionsUnderPolicy(flags), progress.onEvent);
  const cluster = await openCluster(flags);
  try {
    const { plan: made, ground } = await planFrom(desired, cluster, flags.domainXml, progress.onEvent);
    return flags.serverDryRun === true ? { made, ground, runs: await dryRunPlan(made, cluster) } : { made, ground };
  } finally {
    progress.close();
    await cluster.close();
  }
}

function formatPlan(made: Plan, ground: PlanGround, output: PlanFlags['output']): string {
  switch (output) {
    case 'json':
      return planToJson(made);
    case 'markdown':
      return planMarkdown(made);
    case 'html':
      return picturePage(planPicture(made, ground, new Date()));
    case 'text':
      return planText(made, outputStyle());
    default:
      return output satisfies never;
  }
}

/** The worst over the fleet: blocked, then changes, then nothing. */
function planExitCode({ summary }: Plan): ExitCode {
  if (summary.blocked > 0) return exitCodes.blocked;
  return summary.changed > 0 ? exitCodes.changesPending : exitCodes.ok;
}
