/** `patchpanel validate`: every fault of a desired state, without a cluster. */

import type { Command } from 'commander';
import type { DesiredSource } from '../reconcile/desired/load.ts';
import { type DesiredState, podQueryKey } from '../reconcile/desired/model.ts';
import { type Policy, parsePolicy } from '../reconcile/desired/policy.ts';
import { revision } from '../reconcile/desired/revision.ts';
import {
  type ExitCode,
  exitCodeOf,
  exitCodes,
  isExpected,
  type PatchpanelError,
  type PatchpanelErrors,
} from '../reconcile/errors.ts';
import { policyLines } from '../reconcile/report/brake-words.ts';
import { errorJson } from '../reconcile/report/error-text.ts';
import { faultFindings } from '../reconcile/report/findings.ts';
import { faultJunit, validJunit } from '../reconcile/report/junit.ts';
import { sarifText } from '../reconcile/report/sarif.ts';
import { count, fleetWords } from '../reconcile/report/words.ts';
import { load } from '../reconcile/run.ts';
import { objectKey } from '../reconcile/vocabulary.ts';
import { addLogFormat, addOutput, type LogFlags } from './output-options.ts';
import type { Exit } from './program.ts';
import { readText } from './read-text.ts';
import { addSourceOptions, desiredSource, loadOptions, type SourceFlags, sourceHelp } from './source-options.ts';
import { makeProgress, print } from './terminal.ts';

interface ValidateFlags extends SourceFlags, LogFlags {
  readonly output: 'text' | 'json' | 'junit' | 'sarif';
  readonly policy?: string;
}

export function addValidate(program: Command, exit: Exit): void {
  const command = program
    .command('validate')
    .summary('check a desired state')
    .description('Checks a desired state and reports every fault with file, line and column. Needs no cluster.')
    .argument('[source]', sourceHelp, '.');
  addLogFormat(addOutput(addSourceOptions(command), ['text', 'json', 'junit', 'sarif']))
    .option('--policy <file>', 'policy of the platform owner, to check as well, and to hold the Settings against')
    .addHelpText(
      'after',
      `
Exit code 0: valid; 3: not valid.

Examples:
  patchpanel validate
  patchpanel validate examples/desired-state -o json
  patchpanel validate . -o sarif > faults.sarif
  patchpanel validate https://git.example.com/net/vms.git --ref my-branch --path prod
`,
    )
    .action(async (source: string, flags: ValidateFlags) => {
      exit.code = await validateVerb(source, flags, program.version() ?? '0');
    });
}

async function validateVerb(source: string, flags: ValidateFlags, version: string): Promise<ExitCode> {
  const progress = makeProgress(flags.logFormat);
  try {
    const from = desiredSource(source, flags);
    const policy = flags.policy === undefined ? {} : { policy: policyFile(flags.policy, from) };
    const desired = await load(from, { ...loadOptions(flags), ...policy }, progress.onEvent);
    await print(validAs(desired, flags.output, version));
    return exitCodes.ok;
  } catch (error) {
    if (flags.output === 'text' || !isExpected(error)) throw error;
    // The faults are the result here, and belong where the reader of the result looks.
    await print(faultsAs(error, flags.output, version));
    return exitCodeOf(error);
  }
}

function validAs(desired: DesiredState, output: ValidateFlags['output'], version: string): string {
  switch (output) {
    case 'text':
      return validText(desired);
    case 'json':
      return validJson(desired);
    case 'sarif':
      return sarifText([], version);
    case 'junit': {
      const vms = desired.targets.map(({ target, position }) => ({
        title: objectKey(target),
        namespace: target.namespace,
        position,
      }));
      const pods = (desired.pods ?? []).map(({ query, position }) => ({
        title: `pod ${podQueryKey(query)}`,
        namespace: query.namespace,
        position,
      }));
      return validJunit([...vms, ...pods]);
    }
    default:
      return output satisfies never;
  }
}

function faultsAs(
  error: PatchpanelError | PatchpanelErrors,
  output: 'json' | 'junit' | 'sarif',
  version: string,
): string {
  switch (output) {
    case 'json':
      return `${JSON.stringify({ valid: false, ...errorJson(error) }, undefined, 2)}\n`;
    case 'sarif':
      return sarifText(faultFindings(error), version);
    case 'junit':
      return faultJunit(error);
    default:
      return output satisfies never;
  }
}

function validJson(desired: DesiredState): string {
  const { targets, pods, files, source } = desired;
  const result = {
    valid: true,
    vms: targets.length,
    ...(pods === undefined ? {} : { pods: pods.length }),
    attachments: attachmentsOf(desired),
    files,
  };
  return `${JSON.stringify({ ...result, revision: revision(source) }, undefined, 2)}\n`;
}

function validText(desired: DesiredState): string {
  const { targets, pods, files } = desired;
  const attachments = count(attachmentsOf(desired), 'attachment');
  const tightened = policyLines(desired.policy)
    .map((line) => `${line}\n`)
    .join('');
  return `Valid: ${fleetWords(targets.length, pods?.length)} with ${attachments} in ${count(files, 'file')}.\n${tightened}`;
}

/** A folder is mostly a clone that is looked at before it is pushed: which repository it is of, nobody knows. */
function policyFile(file: string, source: DesiredSource): Policy {
  const { repositories, ...policy } = parsePolicy(file, readText('--policy', file));
  return source.kind === 'folder' || repositories === undefined ? policy : { ...policy, repositories };
}

function attachmentsOf({ targets, pods = [] }: DesiredState): number {
  return [...targets, ...pods].reduce((sum, { attachments }) => sum + attachments.length, 0);
}
