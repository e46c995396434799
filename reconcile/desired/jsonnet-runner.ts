/** Runs Jsonnet in a child process that can be killed, with nothing in its environment. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PatchpanelError } from '../errors.ts';
import type { JsonnetJob, JsonnetReply } from './jsonnet-child.ts';

export interface RunnerLimits {
  /** Milliseconds for one file. */
  readonly timeoutMs: number;
  /** Resident bytes of the child process. */
  readonly memoryBytes: number;
}

/** Milliseconds until the child must have loaded the addon. */
const startMs = 30_000;
/** Milliseconds between looks at the memory of the child. */
const memoryPollMs = 20;
const pageBytes = 4096;

type Outcome = Exclude<JsonnetReply, { kind: 'ready' }> | { readonly kind: 'timeout' } | { readonly kind: 'memory' };

export class JsonnetRunner {
  readonly #directory: string;
  readonly #limits: RunnerLimits;
  readonly #signal: AbortSignal | undefined;
  #child: ChildProcess | undefined;

  /** @param directory the working directory of the child, below which it finds all files */
  constructor(directory: string, limits: RunnerLimits, signal?: AbortSignal) {
    this.#directory = directory;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** One evaluation. The child is kept for the next, unless it had to be killed. @throws PatchpanelError jsonnet/unavailable */
  async run(job: JsonnetJob): Promise<Outcome> {
    this.#signal?.throwIfAborted();
    const child = this.#child ?? (await this.#start());
    this.#child = child;
    const outcome = await this.#guarded(child, this.#limits.timeoutMs, () => child.send(job));
    if (outcome.kind === 'timeout' || outcome.kind === 'memory' || !child.connected) this.close();
    if (outcome.kind === 'unavailable') throw unavailable(outcome.reason);
    if (outcome.kind === 'ready') throw new PatchpanelError('internal', 'the Jsonnet process answered out of turn');
    return outcome;
  }

  close(): void {
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  async #start(): Promise<ChildProcess> {
    const addon = resolveAddon();
    const entry = fileURLToPath(new URL(`./jsonnet-child${extname(import.meta.url)}`, import.meta.url));
    const child = fork(entry, [addon], {
      cwd: this.#directory,
      env: {},
      execArgv: wall(entry, addon, this.#directory),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const outcome = await this.#guarded(child, startMs, () => {});
    if (outcome.kind === 'ready') {
      await preferForOom(child);
      return child;
    }
    child.kill('SIGKILL');
    throw unavailable(outcome.kind === 'unavailable' ? outcome.reason : 'the process that loads it ended');
  }

  /** The next reply of the child, or why there is none. Sends nothing before it listens. */
  #guarded(child: ChildProcess, timeoutMs: number, begin: () => void): Promise<Outcome | { readonly kind: 'ready' }> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        clearInterval(poll);
        child.off('message', onMessage);
        child.off('exit', onExit);
        this.#signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const end = (outcome: Outcome | { readonly kind: 'ready' }) => settle(() => resolve(outcome));
      const onMessage = (reply: unknown) => {
        if (isReply(reply)) end(reply);
      };
      // Nobody here killed it: the kernel did, for want of memory, or an allocation failed.
      const onExit = () => end({ kind: 'memory' });
      const onAbort = () => {
        child.kill('SIGKILL');
        settle(() => reject(this.#signal?.reason));
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        end({ kind: 'timeout' });
      }, timeoutMs);
      const poll = setInterval(() => {
        void residentBytes(child.pid).then((bytes) => {
          if (bytes <= this.#limits.memoryBytes) return;
          child.kill('SIGKILL');
          end({ kind: 'memory' });
        });
      }, memoryPollMs);
      child.on('message', onMessage);
      child.on('exit', onExit);
      this.#signal?.addEventListener('abort', onAbort, { once: true });
      begin();
    });
  }
}

/**
 * Node's own permissions for the child. They bind JavaScript, not the addon, whose imports are checked beforehand: this
 * is a second wall, against a mistake in the first. The addon is read where it is installed.
 */
function wall(entry: string, addon: string, directory: string): string[] {
  const modules = `${sep}node_modules${sep}`;
  const installed = addon.slice(0, addon.indexOf(modules) + modules.length);
  const own = fileURLToPath(new URL('../../', import.meta.url));
  const readable = [installed, entry, own, directory].map((path) => `--allow-fs-read=${path}`);
  return ['--no-warnings', '--permission', '--allow-addons', ...readable];
}

/** @throws PatchpanelError jsonnet/unavailable */
function resolveAddon(): string {
  try {
    return createRequire(import.meta.url).resolve('@hanazuki/node-jsonnet');
  } catch {
    throw unavailable('it is not installed');
  }
}

function unavailable(reason: string): PatchpanelError {
  return new PatchpanelError('jsonnet/unavailable', `the Jsonnet addon can not be loaded: ${reason}`);
}

/** Resident memory of a process; 0 where it can not be told, as on systems without /proc: there only the time is limited. */
async function residentBytes(pid: number | undefined): Promise<number> {
  try {
    const pages = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1];
    return Number(pages) * pageBytes;
  } catch {
    return 0;
  }
}

/** In a container that runs out of memory, the kernel shall take the child and spare the parent. */
async function preferForOom(child: ChildProcess): Promise<void> {
  await writeFile(`/proc/${child.pid}/oom_score_adj`, '1000').catch(() => {});
}

const replyKinds: ReadonlySet<unknown> = new Set<JsonnetReply['kind']>([
  'ready',
  'unavailable',
  'result',
  'failed',
  'tooLarge',
]);

function isReply(value: unknown): value is JsonnetReply {
  return typeof value === 'object' && value !== null && replyKinds.has(Reflect.get(value, 'kind'));
}
