/** The command line as a whole: its verbs, its help, and how failures become messages and exit codes. */
import { Command, CommanderError } from 'commander';
import { exitCodeOf, exitCodes, isExpected, PatchpanelError, type PatchpanelErrors } from '../reconcile/errors.ts';
import { errorLines, errorText } from '../reconcile/report/error-text.ts';
import { takeSecrets } from './read-text.ts';
import { runFields } from './run-id.ts';
import { messageStyle } from './terminal.ts';

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

type Add = (program: Command, exit: Exit, version: string) => void;

/** The verbs in the order of the help. Each is loaded where it is asked for. */
const verbs: Readonly<Record<string, () => Promise<Add>>> = {
  render: async () => (await import('./render.ts')).addRender,
  validate: async () => (await import('./validate.ts')).addValidate,
  plan: async () => (await import('./plan.ts')).addPlan,
  apply: async () => (await import('./apply.ts')).addApply,
  trace: async () => (await import('./trace.ts')).addTrace,
  adopt: async () => (await import('./adopt.ts')).addAdopt,
  status: async () => (await import('./status.ts')).addStatus,
  inspect: async () => (await import('./inspect-verbs.ts')).addInspect,
  sandbox: async () => (await import('./sandbox.ts')).addSandbox,
  demo: async () => {
    const { addDemo } = await import('./demo.ts');
    return (program, exit, version) => addDemo(program, exit, (argv) => main(argv, version));
  },
  completion: async () => (await import('./completion.ts')).addCompletion,
};

/** Verbs that stand alone; completion is written from the whole tree. */
function isAlone(verb: string | undefined): verb is string {
  return verb !== undefined && verb !== 'completion' && Object.hasOwn(verbs, verb);
}

/**
 * The command tree; also read by the completion scripts and the reference page.
 * @param verb the only verb to be there, where it stands alone; else all are
 */
export async function buildProgram(version: string, exit: Exit, verb?: string): Promise<Command> {
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
  const wanted = isAlone(verb) ? [verbs[verb]] : Object.values(verbs);
  for (const load of wanted) (await load?.())?.(program, exit, version);
  return program;
}

/** Runs one command line; returns the exit code of the process. */
export async function main(argv: readonly string[], version: string): Promise<number> {
  takeSecrets();
  const exit: Exit = { code: exitCodes.ok };
  try {
    const program = await buildProgram(version, exit, argv[0]);
    await program.parseAsync([...argv], { from: 'user' });
    return exit.code;
  } catch (error) {
    return await report(error, argv);
  }
}

/** Where a machine reads the log, it gets failures as JSON too. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.some((word, at) => word === '--log-format=json' || (word === '--log-format' && argv[at + 1] === 'json'));
}

async function report(error: unknown, argv: readonly string[]): Promise<number> {
  if (error instanceof CommanderError && isHelp(error)) {
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput;
  }
  const known = await knownError(error, argv);
  process.stderr.write(wantsJson(argv) ? errorLines(known, new Date(), runFields()) : errorText(known, messageStyle()));
  return exitCodeOf(known);
}

/** Commander has printed the help or the version; with a failure where a verb is missing. */
function isHelp({ code }: CommanderError): boolean {
  return ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(code);
}

async function knownError(error: unknown, argv: readonly string[]): Promise<PatchpanelError | PatchpanelErrors> {
  if (isExpected(error)) return error;
  return error instanceof CommanderError ? await usageError(error, argv) : unexpected(error);
}

/** `error: unknown option '--kubconfig'\n(Did you mean --kubeconfig?)` becomes message and remedy. */
async function usageError({ message }: CommanderError, argv: readonly string[]): Promise<PatchpanelError> {
  const [first = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const command = await verbOf(argv);
  const help = `See \`${['patchpanel', ...command, '--help'].join(' ')}\`.`;
  const remedy = suggestion === undefined ? help : `${suggestion.replace(/^\((.*)\)$/, '$1')} ${help}`;
  return new PatchpanelError('cli/usage', first, { remedy });
}

/** The longest run of words that names a verb. */
async function verbOf(argv: readonly string[]): Promise<readonly string[]> {
  let command: Command | undefined = await buildProgram('', { code: 0 }, argv[0]);
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
