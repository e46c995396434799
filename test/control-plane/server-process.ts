/** A program of a test that listens on loopback until the test is over. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Generous: the machine may be busy with other things. */
const deadlineMs = 60_000;

/** A process, with what it says in a file. */
export class ServerProcess {
  readonly #name: string;
  readonly #log: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(
    name: string,
    program: string,
    flags: readonly string[],
    folder: string,
    env: Readonly<Record<string, string>> = {},
  ) {
    this.#name = name;
    this.#log = join(folder, `${name}.log`);
    // The kernel ends it with this process, should that be killed.
    const words = ['--pdeathsig', 'KILL', '--', program, ...flags];
    const search = { PATH: '/usr/bin:/bin', ...env };
    this.#child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, env: search });
    const file = createWriteStream(this.#log);
    this.#child.stdout?.pipe(file, { end: false });
    this.#child.stderr?.pipe(file, { end: false });
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', resolve);
      this.#child.once('error', resolve);
    }).finally(() => file.end());
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    let reason = '';
    for (;;) {
      try {
        if (await holds()) return;
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      const over = this.#child.exitCode !== null || performance.now() > deadline;
      if (over || this.#child.pid === undefined)
        throw new Error(`${this.#name} never ${what}: ${reason}\n${await this.#lastWords()}`);
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#ended;
    clearTimeout(patience);
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    return text.split('\n').slice(-15).join('\n');
  }
}

/** Ports of loopback that nobody listens on; all are held until the last is found. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => {
    const address = listener.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return ports;
}
