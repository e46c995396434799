/** Runs the command line as a child process, with the Node of this process and an environment of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface CliResult {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** The script to run; `cmd/patchpanel.ts` where it is missing. */
  readonly entry?: string;
}

const sources = fileURLToPath(new URL('../cmd/patchpanel.ts', import.meta.url));
/** A run that hangs fails its test instead of hanging it too. */
const patienceMs = 120_000;

/** A command line that is running. */
export class CliRun {
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';
  readonly result: Promise<CliResult>;

  constructor(args: readonly string[], options: CliOptions = {}) {
    // Nothing of whoever runs the tests: no kubeconfig, no proxy, no token, no colours.
    const env = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...options.env };
    this.#child = spawn(process.execPath, [options.entry ?? sources, ...args], {
      env,
      timeout: patienceMs,
      killSignal: 'SIGKILL',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    // It may end without reading its input.
    this.#child.stdin.on('error', () => {});
    this.#child.stdin.end(options.stdin ?? '');
    this.result = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => resolve({ code, stdout: this.#stdout, stderr: this.#stderr }));
    });
  }

  /** Waits until standard output or error holds the text. @throws Error where the process ends without it */
  async saw(text: string): Promise<void> {
    for (;;) {
      if (`${this.#stdout}${this.#stderr}`.includes(text)) return;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`it ended without saying ${JSON.stringify(text)}:\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Runs a command line to its end. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return await new CliRun(args, options).result;
}
