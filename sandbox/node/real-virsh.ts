/** Real `virsh` behind the exec endpoint: a launcher pod of the sandbox then shows the domain of a real guest. */
import { execFile } from 'node:child_process';
import { annotations, computeContainer, domainName } from '../../reconcile/systems/kubevirt-names.ts';
import type { ExecHandler } from '../api/contract.ts';
import type { CommandResult } from './virsh.ts';

export interface RealVirshOptions {
  /** Where libvirt listens, whatever the caller names: a launcher pod has a libvirt of its own. */
  readonly uri: string;
  /** Real domains by the name that KubeVirt would give them; the sandbox's model answers for all others. */
  readonly domains: ReadonlyMap<string, string>;
}

/** What only reads: the caller of an exec is not let at the rest of this machine's libvirt. */
const verbs: readonly string[] = ['dumpxml', 'domiflist', 'domstate'];
const timeoutMs = 30_000;

/** An exec handler for launcher pods; undefined where it knows no real domain or the command is another. */
export function realVirsh({ uri, domains }: RealVirshOptions): ExecHandler {
  return async ({ namespace, pod, container, command }) => {
    const [program, ...args] = command;
    const vmi = pod.metadata.annotations?.[annotations.domain];
    if (container !== computeContainer || program !== 'virsh' || vmi === undefined) return undefined;
    const name = domainName(namespace, vmi);
    const real = domains.get(name);
    const [verb = '', ...rest] = args[0] === '-c' || args[0] === '--connect' ? args.slice(2) : args;
    if (real === undefined || !verbs.includes(verb)) return undefined;
    return await run(['--connect', uri, verb, ...rest.map((word) => (word === name ? real : word))]);
  };
}

function run(args: readonly string[]): Promise<CommandResult> {
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' };
  return new Promise((resolve) => {
    execFile('virsh', args, { env, timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve({ exitCode: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, stdout, stderr });
      else resolve({ exitCode: 127, stdout: '', stderr: `virsh: ${error.message}\n` });
    });
  });
}
