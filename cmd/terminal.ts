/** What a verb has to do with the outside of the process: streams, environment, signals. */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { PatchpanelError } from '../reconcile/errors.ts';
import { jsonProgress, liveProgress, type Progress, plainProgress } from '../reconcile/report/progress.ts';
import { makeStyle, type Style, wantsColour } from '../reconcile/report/style.ts';
import { noteCommit, runFields } from './run-id.ts';

export type LogFormat = 'text' | 'json';

/** Style for what goes to standard output. */
export function outputStyle(): Style {
  return makeStyle(wantsColour(process.stdout, process.env));
}

/** Style for messages and progress, which go to standard error. */
export function messageStyle(): Style {
  return makeStyle(wantsColour(process.stderr, process.env));
}

/** Progress on standard error, so that standard output holds the result alone. */
export function makeProgress(format: LogFormat): Progress {
  const stream = { write: (text: string) => void process.stderr.write(text), columns: process.stderr.columns };
  if (format === 'json') return jsonProgress(stream, () => new Date(), runFields, noteCommit);
  const now = (): number => performance.now();
  return process.stderr.isTTY ? liveProgress(stream, messageStyle(), now) : plainProgress(stream, messageStyle(), now);
}

/**
 * A signal that aborts at the first SIGINT or SIGTERM; `onStop` says so. At the second the process ends at once:
 * running again converges from any state.
 */
export function stopSignal(onStop: (name: string) => void): {
  readonly signal: AbortSignal;
  readonly dispose: () => void;
} {
  const controller = new AbortController();
  function stop(name: NodeJS.Signals): void {
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    controller.abort(new PatchpanelError('apply/interrupted', `stopped by ${name}`));
    onStop(name);
  }
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}

/** Standard input as text; throws `cli/input` on a terminal, where nothing would ever come. */
export function readStandardInput(what: string): string {
  if (process.stdin.isTTY) {
    throw new PatchpanelError('cli/input', `${what} is read from standard input, which is a terminal`, {
      remedy: `Pipe it in; see --help for an example.`,
    });
  }
  try {
    return readFileSync(0, 'utf8');
  } catch (cause) {
    throw new PatchpanelError('cli/input', `standard input can not be read: ${String(cause)}`, { cause });
  }
}

/** Writes and waits until it has left the process, so that an exit does not cut a long plan in a pipe. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      // The reader of a pipe may leave early (`| head`): that is no failure of the run.
      if (error === null || error === undefined || ('code' in error && error.code === 'EPIPE')) resolve();
      else reject(error);
    });
  });
}
