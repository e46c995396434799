/** The command line as a whole: its verbs, its help, and how failures become messages and exit codes. */
import { Command, CommanderError } from 'commander';
import { exitCodes, PatchpanelError, PatchpanelErrors } from '../reconcile/errors.ts';
import { errorJson, errorText } from '../reconcile/report/error-text.ts';
import { addApply } from './apply.ts';
import { addCompletion } from './completion.ts';
import { addDemo } from './demo.ts';
import { addInspect } from './inspect-verbs.ts';
import { addPlan } from './plan.ts';
import { addRender } from './render.ts';
import { addSandbox } from './sandbox.ts';
import { messageStyle } from './terminal.ts';
import { addValidate } from './validate.ts';

const footer = `
Exit codes:
  0  done, or nothing to do        5  some VMs failed
  1  error                         6  another run holds the lock
  2  plan: changes are pending     7  the plan is stale
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
    .version(version)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', footer)
    .exitOverride();
  addRender(program, exit);
  addValidate(program, exit);
  addPlan(program, exit);
  addApply(program, exit);
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
    return report(error, wantsJson(argv));
  }
}

/** Where a machine reads the log or the output, it gets failures as JSON too. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--log-format=json') || argv[argv.indexOf('--log-format') + 1] === 'json';
}

function report(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has printed its message, or the help that was asked for.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput;
  }
  const known = error instanceof PatchpanelError || error instanceof PatchpanelErrors ? error : unexpected(error);
  process.stderr.write(json ? `${JSON.stringify(errorJson(known))}\n` : errorText(known, messageStyle()));
  return known instanceof PatchpanelErrors ? (known.errors[0]?.exitCode ?? exitCodes.error) : known.exitCode;
}

/** A bug: the only case in which a stack trace helps anyone, and only where it is asked for. */
function unexpected(error: unknown): PatchpanelError {
  const text = error instanceof Error ? error.message : String(error);
  const stack = process.env.PATCHPANEL_DEBUG && error instanceof Error ? `\n${error.stack ?? ''}` : '';
  return new PatchpanelError('internal', `${text}${stack}`, { cause: error });
}
