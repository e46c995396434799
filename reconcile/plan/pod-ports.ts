/** PCIe ports of a domain inside a pod: its live XML tells them all, so each NIC's port can be told beforehand. */
import type { PodDiff } from '../diff/pods.ts';
import type { LiveDomain } from '../systems/libvirt-domain.ts';
import { countPorts, portPool } from '../systems/libvirt-ports.ts';
import type { Blocker, PlanPorts } from './model.ts';
import type { PodStep } from './pods.ts';
import { soleOnRootPort } from './ports.ts';
import { blocker, counted } from './steps.ts';

export type PodPorts = PlanPorts;
type Port = NonNullable<PlanPorts['strip']>[number];

export interface PodPortPlan {
  readonly ports: PlanPorts;
  /** With the port of each NIC. */
  readonly steps: readonly PodStep[];
  readonly shortage?: Blocker;
}

/** Plays the steps on the ports of the domain; undefined where none of them concerns a port. */
export function portPlanOf({ pod, desired, attachments }: PodDiff, steps: readonly PodStep[]): PodPortPlan | undefined {
  if (pod.domain?.kind !== 'read' || desired.domain === undefined) return undefined;
  const { domain } = pod.domain;
  const count = countPorts(domain);
  if (count.pool === 'none') return undefined;
  const busOf = (name: string) => attachments.find((one) => one.name === name)?.nic?.address?.bus;
  const now = new Map(
    count.ports.map(({ index, state, device }): [number, Port] => [
      index,
      { index, state, ...(device === undefined ? {} : { device }) },
    ]),
  );
  let [needed, freed, slots, short] = [0, 0, countPorts(domain, 'conventional').free, 0];
  const played = steps.map((step): PodStep => {
    if (step.kind === 'domain-detach') {
      const port = now.get(busOf(step.attachment) ?? -1);
      if (port?.state === 'used' && soleOnRootPort(domain, port.index)) {
        freed += 1;
        now.set(port.index, { ...port, state: 'freed' });
      } else if (isBridged(domain, attachments.find((one) => one.name === step.attachment)?.nic?.model)) slots += 1;
      return step;
    }
    if (step.kind !== 'domain-attach') return step;
    if (isBridged(domain, step.model)) {
      slots -= 1;
      if (slots < 0) short += 1;
      return step;
    }
    needed += 1;
    const port = [...now.values()].find(({ state }) => state === 'free' || state === 'freed');
    if (port === undefined) {
      short += 1;
      return step;
    }
    now.set(port.index, { index: port.index, state: 'taken', device: step.attachment });
    return count.pool === 'pcie' ? { ...step, port: port.index } : step;
  });
  if (needed === 0 && freed === 0 && short === 0) return undefined;
  const strip = count.pool === 'pcie' ? { strip: [...now.values()] } : {};
  const ports: PlanPorts = { basis: 'xml', free: count.free, freeAtMost: count.free, needed, freed, ...strip };
  if (short === 0) return { ports, steps: played };
  const message = `${desired.domain.name} in ${pod.name} has ${counted(count.free, 'free PCIe port')}${freed > 0 ? ` and gets ${freed} back` : ''}, ${needed} needed`;
  const remedy = `Remove ${counted(short, 'attachment')} from the declaration, or start the domain with more PCIe root ports.`;
  return { ports, steps: played, shortage: blocker('no-ports', undefined, message, remedy) };
}

/** Models of conventional PCI sit behind a bridge, where the machine has PCIe. */
function isBridged(domain: LiveDomain, model: string | undefined): boolean {
  return model !== undefined && portPool(model) === 'conventional' && countPorts(domain).pool === 'pcie';
}
