/** `patchpanel validate`: every fault of a desired state, without a cluster. */
import type { Command } from 'commander';
import { count, revision } from '../reconcile/report/words.ts';
import { load } from '../reconcile/run.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, print } from './terminal.ts';

interface ValidateFlags extends SourceFlags, LogFlags {
  readonly output: 'text' | 'json';
}

export function addValidate(program: Command, _exit: Exit): void {
  const command = program
    .command('validate')
    .summary('check a desired state')
    .description('Checks a desired state and reports every fault with file, line and column. Needs no cluster.')
    .argument('[source]', sourceHelp, '.');
  addLogFormat(addOutput(addSourceOptions(command), ['text', 'json']))
    .addHelpText('after', '\nExamples:\n  patchpanel validate\n  patchpanel validate examples/desired-state -o json\n')
    .action(async (source: string, flags: ValidateFlags) => {
      const progress = makeProgress(flags.logFormat);
      const desired = await load(desiredSource(source, flags), loadOptions(flags), progress.onEvent);
      const attachments = desired.targets.reduce((sum, target) => sum + target.attachments.length, 0);
      await print(
        flags.output === 'json'
          ? `${JSON.stringify({ valid: true, vms: desired.targets.length, attachments, files: desired.files, revision: revision(desired.source) })}\n`
          : `Valid: ${count(desired.targets.length, 'VM')} with ${count(attachments, 'attachment')} in ${count(desired.files, 'file')}.\n`,
      );
    });
}
