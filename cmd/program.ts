/** The command line as a whole: its verbs, its help, and how failures become messages and exit codes. */
import { Command, CommanderError } from 'commander';
import { exitCodeOf, exitCodes, isExpected, PatchpanelError, type PatchpanelErrors } from '../reconcile/errors.ts';
import { errorLines, errorText } from '../reconcile/report/error-text.ts';
import { addAdopt } from './adopt.ts';
import { addApply } from './apply.ts';
import { addCompletion } from './completion.ts';
import { addDemo } from './demo.ts';
import { addInspect } from './inspect-verbs.ts';
import { addPlan } from './plan.ts';
import { addRender } from './render.ts';
import { runFields } from './run-id.ts';
import { addSandbox } from './sandbox.ts';
import { addStatus } from './status.ts';
import { messageStyle } from './terminal.ts';
import { addTrace } from './trace.ts';
import { addValidate } from './validate.ts';

const footer = `
Exit codes:
  0  done, or nothing to do        5  some VMs failed
  1  error                         6  another run holds the lock
  2  plan: changes are pending;    7  the plan is stale
     trace: a layer lags
  3  bad input                     8  interrupted before the end
  4  blocked

See docs/reference/cli.md and docs/reference/errors.md.
`;

/** The verbs hand their exit code back through this. */
export interface Exit {
  code: number;
}

/** The command tree; also read by the completion scripts and the reference page. */
export function buildProgram(version: string, exit: Exit): Command {
  const program = new Command('patchpanel')
    .description('GitOps for the NICs of KubeVirt virtual machines: render, diff, plug and unplug from a git commit.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [verb]', 'show help of a verb')
    // After a verb, -V is its own option.
    .enablePositionalOptions()
    .addHelpText('after', footer)
    // Usage errors are reported like all others, see `report`; help that was asked for is printed as it is.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  addRender(program, exit);
  addValidate(program, exit);
  addPlan(program, exit);
  addApply(program, exit);
  addTrace(program, exit);
  addAdopt(program, exit);
  addStatus(program, exit);
  addInspect(program, exit);
  addSandbox(program, exit);
  addDemo(program, exit, (argv) => main(argv, version));
  addCompletion(program);
  return program;
}

/** Runs one command line; returns the exit code of the process. */
export async function main(argv: readonly string[], version: string): Promise<number> {
  const exit: Exit = { code: exitCodes.ok };
  try {
    await buildProgram(version, exit).parseAsync([...argv], { from: 'user' });
    return exit.code;
  } catch (error) {
    return report(error, argv);
  }
}

/** Where a machine reads the log, it gets failures as JSON too. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.some((word, at) => word === '--log-format=json' || (word === '--log-format' && argv[at + 1] === 'json'));
}

function report(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError && isHelp(error)) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput;
  }
  const known = knownError(error, argv);
  process.stderr.write(wantsJson(argv) ? errorLines(known, new Date(), runFields()) : errorText(known, messageStyle()));
  return exitCodeOf(known);
}

/** Commander has printed the help or the version; with a failure where a verb is missing. */
function isHelp({ code }: CommanderError): boolean {
  return ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(code);
}

function knownError(error: unknown, argv: readonly string[]): PatchpanelError | PatchpanelErrors {
  if (isExpected(error)) return error;
  return error instanceof CommanderError ? usageError(error, argv) : unexpected(error);
}

/** `error: unknown option '--kubconfig'\n(Did you mean --kubeconfig?)` becomes message and remedy. */
function usageError({ message }: CommanderError, argv: readonly string[]): PatchpanelError {
  const [first = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const command = verbOf(argv);
  const help = `See \`${['patchpanel', ...command, '--help'].join(' ')}\`.`;
  const remedy = suggestion === undefined ? help : `${suggestion.replace(/^\((.*)\)$/, '$1')} ${help}`;
  return new PatchpanelError('cli/usage', first, { remedy });
}

/** The longest run of words that names a verb. */
function verbOf(argv: readonly string[]): readonly string[] {
  let command: Command | undefined = buildProgram('', { code: 0 });
  const path: string[] = [];
  for (const word of argv) {
    command = command.commands.find((child) => child.name() === word);
    if (command === undefined) break;
    path.push(word);
  }
  return path;
}

/** A bug: the only case in which a stack trace helps anyone, and only where it is asked for. */
function unexpected(error: unknown): PatchpanelError {
  const text = error instanceof Error ? error.message : String(error);
  const stack = process.env.PATCHPANEL_DEBUG && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  return new PatchpanelError('internal', `${text}${stack}`, { cause: error });
}
