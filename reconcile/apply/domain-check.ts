/** The goals of an action held against live domain XML, where that can be read: the last word on what a guest has. */
import type { DomainNic, LiveDomain } from '../systems/libvirt-domain.ts';
import { countPorts } from '../systems/libvirt-ports.ts';
import { type Goal, isOtherMac } from './layers.ts';

/** The first thing in which the domain disagrees; undefined where it agrees with all goals. */
export function domainObjection(goals: readonly Goal[], domain: LiveDomain): string | undefined {
  for (const goal of goals) {
    const objection = objectionTo(goal, domain);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

function objectionTo(goal: Goal, domain: LiveDomain): string | undefined {
  switch (goal.kind) {
    case 'settled':
    case 'ports':
    case 'restarted':
    case 'in-template':
      return undefined;
    case 'root-ports': {
      const { pool, ports } = countPorts(domain);
      const count = pool === 'pcie' ? ports.length : 0;
      return count < goal.atLeast ? `the domain XML has ${count} root ports, not ${goal.atLeast}` : undefined;
    }
    case 'gone':
      return nicOf(goal.name, domain) === undefined ? undefined : `the domain XML still has "${goal.name}"`;
    case 'plugged':
    case 'link':
    case 'swapped':
      return nicObjection(goal, domain);
    default:
      return goal satisfies never;
  }
}

function nicObjection(
  goal: Extract<Goal, { readonly kind: 'plugged' | 'link' | 'swapped' }>,
  domain: LiveDomain,
): string | undefined {
  const nic = nicOf(goal.name, domain);
  if (nic === undefined) return `the domain XML has no NIC "${goal.name}"`;
  if (goal.kind === 'swapped') return undefined;
  // The host device of an SR-IOV NIC has no link state.
  if (nic.type !== 'hostdev' && nic.linkState !== goal.state)
    return `the link of "${goal.name}" is ${nic.linkState} in the domain XML`;
  if (goal.kind === 'plugged' && isOtherMac(nic.mac, goal.mac))
    return `"${goal.name}" has the MAC ${nic.mac} in the domain XML`;
  return undefined;
}

function nicOf(name: string, { nics }: LiveDomain): DomainNic | undefined {
  return nics.find((nic) => nic.name === name);
}
