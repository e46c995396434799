/** The goals of an action held against live domain XML, where that can be read: the last word on what a guest has. */
import type { LiveDomain } from '../systems/libvirt-domain.ts';
import { type Goal, isOtherMac } from './layers.ts';

/** The first thing in which the domain disagrees; undefined where it agrees with all goals. */
export function domainObjection(goals: readonly Goal[], domain: LiveDomain): string | undefined {
  for (const goal of goals) {
    if (goal.kind === 'settled' || goal.kind === 'ports') continue;
    const nic = domain.nics.find((candidate) => candidate.name === goal.name);
    switch (goal.kind) {
      case 'gone':
        if (nic !== undefined) return `the domain XML still has "${goal.name}"`;
        break;
      case 'plugged':
      case 'link':
        if (nic === undefined) return `the domain XML has no NIC "${goal.name}"`;
        // The host device of an SR-IOV NIC has no link state.
        if (nic.type !== 'hostdev' && nic.linkState !== goal.state)
          return `the link of "${goal.name}" is ${nic.linkState} in the domain XML`;
        if (goal.kind === 'plugged' && isOtherMac(nic.mac, goal.mac))
          return `"${goal.name}" has the MAC ${nic.mac} in the domain XML`;
        break;
      case 'swapped':
        if (nic === undefined) return `the domain XML has no NIC "${goal.name}"`;
        break;
      case 'in-template':
        break;
      default:
        return goal satisfies never;
    }
  }
  return undefined;
}
