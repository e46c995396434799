/** The domain layer: live XML, read by running virsh in the launcher pod. Optional, since exec is a strong right. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, ExecResult, ExecTarget } from '../kube/cluster.ts';
import { networkReason } from '../kube/failures.ts';
import { computeContainer, domainName, launcherUris } from '../systems/kubevirt-names.ts';
import { parseDomain } from '../systems/libvirt-domain.ts';
import { objectKey } from '../vocabulary.ts';
import type { DomainReading, LiveVm } from './model.ts';

/** How many virsh run at a time: each is a process in a VM's pod and a connection through the API server. */
const defaultConcurrency = 8;

export interface ReadDomainsOptions {
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  /** After each VM, for a progress line. */
  readonly onRead?: (vm: LiveVm, reading: DomainReading) => void;
}

/**
 * Reads the live XML of one VM. Never throws for what is wrong with the cluster: without XML planning falls back on
 * VMI status and the forecast of ports, and says why.
 */
export async function readDomain(cluster: Cluster, vm: LiveVm, timeoutMs?: number): Promise<DomainReading> {
  const { vmi, pod } = vm;
  if (vmi?.phase !== 'Running' || pod?.phase !== 'Running') return { kind: 'unread', why: 'not-running' };
  const target = { namespace: vm.namespace, pod: pod.name, container: computeContainer };
  try {
    const result = await dumpXml(cluster, target, domainName(vm.namespace, vm.name), timeoutMs);
    if (result.exitCode !== 0) {
      return {
        kind: 'unread',
        why: 'failed',
        message: `virsh: ${firstLine(result.stderr) || `exit code ${result.exitCode}`}`,
      };
    }
    return { kind: 'read', domain: parseDomain(result.stdout) };
  } catch (error) {
    const forbidden = error instanceof PatchpanelError && error.code === 'cluster/forbidden';
    return { kind: 'unread', why: forbidden ? 'forbidden' : 'failed', message: networkReason(error) };
  }
}

/**
 * Reads the live XML of several VMs, a few at a time. Once exec is forbidden in a namespace it is not tried again there.
 * @returns readings by `namespace/name`
 */
export async function readDomains(
  cluster: Cluster,
  vms: readonly LiveVm[],
  options: ReadDomainsOptions = {},
): Promise<ReadonlyMap<string, DomainReading>> {
  const readings = new Map<string, DomainReading>();
  const refused = new Map<string, DomainReading>();
  const queue = vms.values();
  async function work(): Promise<void> {
    for (const vm of queue) {
      const reading = refused.get(vm.namespace) ?? (await readDomain(cluster, vm, options.timeoutMs));
      if (reading.kind === 'unread' && reading.why === 'forbidden') refused.set(vm.namespace, reading);
      readings.set(objectKey(vm), reading);
      options.onRead?.(vm, reading);
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.concurrency ?? defaultConcurrency, vms.length) }, work));
  return readings;
}

/** Asks libvirt where this launcher has it: the default of virsh first, then the sockets of other versions. */
async function dumpXml(
  cluster: Cluster,
  target: ExecTarget,
  domain: string,
  timeoutMs: number | undefined,
): Promise<ExecResult> {
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  let result: ExecResult = { stdout: '', stderr: 'libvirt was not found', exitCode: 1 };
  for (const uri of launcherUris) {
    const connection = uri === undefined ? [] : ['-c', uri];
    result = await cluster.exec(target, ['virsh', ...connection, 'dumpxml', domain], options);
    if (result.exitCode === 0 || !/failed to connect/i.test(result.stderr)) break;
  }
  return result;
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? '';
}
