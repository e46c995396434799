/** Commands in a plain pod whose network namespace is real: they run on this machine, in that namespace alone. */
import type { Multus } from '../actors/multus.ts';
import { type Pod, readAs } from '../actors/objects.ts';
import type { ExecHandler } from '../api/contract.ts';
import { commandNotFound } from './virsh.ts';

/**
 * An exec handler for tests alone: whoever may exec in the sandbox is root on this machine then. Undefined for launchers of
 * the sandbox's VMs, and for pods that do not run or have no network of their own.
 */
export function podExec(multus: Multus): ExecHandler {
  return async ({ pod: object, command, stdin }) => {
    const pod = readAs<Pod>(object);
    if (pod.status?.phase !== 'Running') return undefined;
    const plugins = await multus.plugins(pod);
    if (plugins === undefined) return undefined;
    const [program = ''] = command;
    const found = await plugins.exec(pod.metadata.uid, ['which', program]);
    if (found.exitCode !== 0) return commandNotFound(program);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stdin) chunks.push(chunk);
    return await plugins.exec(pod.metadata.uid, command, Buffer.concat(chunks));
  };
}
