/**
 * Linux namespaces for mounts, processes and networks, held by a process of ours. That process waits for its standard input
 * to close; then all others in the namespaces end with it, and mounts, links and network namespaces made inside are gone.
 * So nothing is left on this machine, however we end. It needs root.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What belongs to a network of its own. */
const ownNetwork = `
mount -t sysfs sysfs /sys
ip link set lo up`;

/** Taps need this device, which a container need not have. */
const tunDevice = `
if ! [ -c /dev/net/tun ]; then
  mkdir -p /dev/net
  mount -t tmpfs tmpfs /dev/net
  mknod /dev/net/tun c 10 200
fi`;

export interface NamespacesOptions {
  /** Shell script that prepares the inside, as root there. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Command that the whole is run by, such as `ip netns exec NAME`; its network is kept then. */
  readonly within?: readonly string[];
}

export class Namespaces {
  readonly #holder: ChildProcess;
  /** The first process inside, as this machine counts. */
  readonly #first: number;

  private constructor(holder: ChildProcess, first: number) {
    this.#holder = holder;
    this.#first = first;
  }

  /** @throws Error where they can't be made or the script fails; what it says goes to our standard error */
  static async open({ script, args = [], within = [] }: NamespacesOptions): Promise<Namespaces> {
    const network = within.length === 0;
    const whole = [...(network ? [ownNetwork] : []), tunDevice, script, 'echo up', 'cat', ':'].join('\n');
    const [program = '', ...words] = [...within, 'unshare', '--mount', '--pid', ...(network ? ['--net'] : [])]
      .concat(['--fork', '--mount-proc', '--propagation', 'private'])
      .concat(['sh', '-euc', whole, 'sh', ...args]);
    // In a process group of its own: Ctrl-C is for us, who then close it.
    const holder = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    try {
      await firstLine(holder);
      return new Namespaces(holder, childOf(holder));
    } catch (error) {
      holder.stdin?.end();
      throw error;
    }
  }

  /** Arguments of nsenter that run a command inside. */
  inside(...command: readonly string[]): readonly string[] {
    return ['--target', String(this.#first), '--mount', '--pid', '--net', '--', ...command];
  }

  /** A prefix like {@link inside}, for what is to have processes of its own. */
  prefix(...command: readonly string[]): readonly string[] {
    return ['nsenter', '--target', String(this.#first), '--mount', '--net', '--', ...command];
  }

  async close(): Promise<void> {
    const ended = exited(this.#holder);
    this.#holder.stdin?.end();
    await ended;
  }
}

/** The only child of a process that forked into namespaces. */
export function childOf({ pid }: ChildProcess): number {
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
  if (!Number.isInteger(child) || child < 2) throw new Error(`process ${pid} has no child of its own`);
  return child;
}

export function exited(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    process.once('exit', () => resolve());
  });
}

function firstLine(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout?.once('data', () => resolve());
    process.once('error', reject);
    process.once('exit', (code) => reject(new Error(`the namespaces could not be made: exit code ${code}`)));
  });
}
