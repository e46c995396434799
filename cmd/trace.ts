/** `patchpanel trace`: why a NIC of a VM is not where it should be. */
import type { Command } from 'commander';
import { exitCodes } from '../reconcile/errors.ts';
import { traceJson, traceText } from '../reconcile/report/trace-text.ts';
import { load } from '../reconcile/run.ts';
import { trace, tracePod } from '../reconcile/run-trace.ts';
import { addClusterOptions, type ClusterFlags, objectName, openCluster } from './cluster-options.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import { addPolicy, optionsUnderPolicy, type PolicyFlags } from './policy-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, outputStyle, print } from './terminal.ts';

interface TraceFlags extends SourceFlags, ClusterFlags, LogFlags, PolicyFlags {
  readonly output: 'text' | 'json';
}

export function addTrace(program: Command, exit: Exit): void {
  const command = program
    .command('trace')
    .summary('show where a NIC of a VM or pod hangs, and why')
    .description(
      'Shows every layer of every NIC of a VM or pod, the first that lags, since when, what the systems say about it, and the way out. ' +
        'Held against a desired state where one is given, else against what the VM or pod itself asks for. Writes nothing.',
    )
    .argument('<target>', 'VM by name, or namespace/name; a pod as pod/name, or pod/namespace/name')
    .argument('[source]', `${sourceHelp}, to hold it against`);
  addPolicy(addLogFormat(addOutput(addClusterOptions(addSourceOptions(command)), ['text', 'json'])))
    .addHelpText(
      'after',
      `
Exit code 0: every layer agrees; 2: a layer lags; 1, 3: see patchpanel --help.

Examples:
  patchpanel trace db-0 -n prod
  patchpanel trace prod/db-0 https://git.example.com/net/vms.git --ref main
  patchpanel trace prod/db-0 network/vms -o json
  patchpanel trace pod/router-0 -n prod network
`,
    )
    .action(async (name: string, source: string | undefined, flags: TraceFlags) => {
      const progress = makeProgress(flags.logFormat);
      const desired =
        source === undefined
          ? undefined
          : await load(desiredSource(source, flags), await optionsUnderPolicy(flags), progress.onEvent);
      const cluster = await openCluster(flags);
      try {
        const isPod = name.startsWith('pod/');
        const target = objectName(isPod ? name.slice('pod/'.length) : name, flags.namespace ?? 'default');
        const look = isPod ? tracePod : trace;
        const traced = await look(target, desired, cluster, flags.domainXml, progress.onEvent);
        progress.close();
        await print(flags.output === 'json' ? traceJson(traced) : traceText(traced, outputStyle()));
        exit.code = traced.agrees ? exitCodes.ok : exitCodes.changesPending;
      } finally {
        progress.close();
        await cluster.close();
      }
    });
}
