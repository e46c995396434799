/** The domain that libvirt runs inside a pod: whether the container can plug NICs into it, and what it has. */
import type { Cluster, ExecTarget } from '../kube/cluster.ts';
import { networkReason } from '../kube/failures.ts';
import type { DomainTarget } from '../vocabulary.ts';
import { Container } from './container.ts';
import type { AgentReading, LiveTargetPod } from './pod-model.ts';

/** Linux's number of the capability to change interfaces. */
const netAdmin = 12n;

/** Programs that a change needs, each with a call that does nothing. */
const programs = {
  dd: ['dd', 'if=/dev/null', 'of=/dev/null', 'count=0'],
  virsh: ['virsh', '--version'],
  ip: ['ip', '-j', 'link', 'show', 'dev', 'lo'],
  rm: ['rm', '-f', '/dev/shm/patchpanel-none'],
} as const;

const tunDevice = '/dev/net/tun';

/** Never throws for what is wrong with the pod: the plan then says what. */
export async function readAgent(
  cluster: Pick<Cluster, 'exec'>,
  pod: LiveTargetPod,
  domain: DomainTarget,
): Promise<AgentReading> {
  if (pod.phase !== 'Running' || pod.deleting) return { kind: 'unread', why: 'the pod does not run' };
  const target = { namespace: pod.namespace, pod: pod.name, container: domain.container };
  try {
    const missing = await missingParts(cluster, target);
    if (missing.length > 0) return { kind: 'unfit', missing };
    const container = new Container(cluster, target, domain);
    const [seen, links] = await Promise.all([container.domain(), container.links()]);
    if (seen.kind === 'failed') return { kind: 'unread', why: `virsh: ${seen.message}` };
    return { kind: 'read', domain: seen.domain, links };
  } catch (error) {
    return { kind: 'unread', why: networkReason(error) };
  }
}

async function missingParts(cluster: Pick<Cluster, 'exec'>, target: ExecTarget): Promise<readonly string[]> {
  const runs = async (command: readonly string[]): Promise<string | undefined> => {
    const { exitCode, stdout } = await execOrMissing(cluster, target, command);
    return exitCode === 0 ? stdout : undefined;
  };
  const found = await Promise.all(
    Object.entries(programs).map(async ([name, command]) => [name, (await runs(command)) !== undefined] as const),
  );
  const missing = found.filter(([, there]) => !there).map(([name]): string => name);
  // dd reads what else is to be known.
  if (missing.includes('dd')) return missing;
  const [tun, status] = await Promise.all([
    runs(['dd', `if=${tunDevice}`, 'of=/dev/null', 'count=0']),
    runs(['dd', 'if=/proc/self/status']),
  ]);
  if (tun === undefined) missing.push(tunDevice);
  const effective = /^CapEff:\s*([0-9a-f]{1,32})$/m.exec(status ?? '')?.[1];
  if (effective !== undefined && ((BigInt(`0x${effective}`) >> netAdmin) & 1n) === 0n) missing.push('NET_ADMIN');
  return missing;
}

/** A program that is not there ends the exec with an error of the container runtime, or with 126 or 127. */
async function execOrMissing(
  cluster: Pick<Cluster, 'exec'>,
  target: ExecTarget,
  command: readonly string[],
): Promise<{ readonly exitCode: number; readonly stdout: string }> {
  try {
    return await cluster.exec(target, command, {});
  } catch (error) {
    if (/executable file not found|no such file or directory/i.test(networkReason(error))) {
      return { exitCode: 127, stdout: '' };
    }
    throw error;
  }
}
