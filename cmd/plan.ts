/** `patchpanel plan`: what an apply would do, and what stands in its way. */
import type { Command } from 'commander';
import { type ExitCode, exitCodes } from '../reconcile/errors.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { planToJson } from '../reconcile/plan/plan-json.ts';
import { planMarkdown } from '../reconcile/report/plan-markdown.ts';
import { planText } from '../reconcile/report/plan-text.ts';
import { load, plan } from '../reconcile/run.ts';
import { addClusterOptions, type ClusterFlags, openCluster } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print } from './terminal.ts';

interface PlanFlags extends SourceFlags, ClusterFlags, LogFlags {
  readonly output: 'text' | 'json' | 'markdown';
}

export function addPlan(program: Command, exit: Exit): void {
  const command = program
    .command('plan')
    .summary('show what an apply would do')
    .description(
      'Compares the desired state with the cluster, layer by layer, and prints the ordered actions. Writes nothing.',
    )
    .argument('[source]', sourceHelp, '.');
  addLogFormat(addOutput(addClusterOptions(addSourceOptions(command)), ['text', 'json', 'markdown']))
    .addHelpText(
      'after',
      `
Exit code 0: nothing to do; 2: changes are pending; 4: something is blocked; 1, 3: see patchpanel --help.

Examples:
  patchpanel plan examples/desired-state --kubeconfig /tmp/sandbox.kubeconfig
  patchpanel plan https://git.example.com/net/vms.git --ref main -o json > plan.json
  patchpanel plan . --context prod -o markdown
`,
    )
    .action(async (source: string, flags: PlanFlags) => {
      const made = await makePlanFrom(source, flags);
      await print(formatPlan(made, flags.output));
      exit.code = planExitCode(made);
    });
}

/** Renders, reads and plans, with progress on standard error. */
async function makePlanFrom(source: string, flags: PlanFlags): Promise<Plan> {
  const progress = makeProgress(flags.logFormat);
  const desired = await load(desiredSource(source, flags), loadOptions(flags), progress.onEvent);
  const cluster = await openCluster(flags);
  try {
    return await plan(desired, cluster, flags.domainXml, progress.onEvent);
  } finally {
    progress.close();
    await cluster.close();
  }
}

function formatPlan(made: Plan, output: PlanFlags['output']): string {
  switch (output) {
    case 'json':
      return planToJson(made);
    case 'markdown':
      return planMarkdown(made);
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
