/** Keeps a real guest in step with the sandbox's model of it. */

import { userAliasPrefix } from '../../reconcile/systems/kubevirt-names.ts';
import type { Domain } from '../../sandbox/node/libvirt-model.ts';
import { nics } from '../../sandbox/node/libvirt-model.ts';
import type { Lab } from './lab.ts';

export interface Follower {
  readonly onDomain: (domain: Domain) => void;
  /** @throws Error with what virsh said where a NIC could not be plugged */
  settled(): Promise<void>;
}

/** Lets a real domain have the NICs that the sandbox's launcher gives to the modelled one, change by change. */
export function follower(lab: Lab, name: string): Follower {
  let work: Promise<void> = Promise.resolve();
  const follow = async (model: Domain): Promise<void> => {
    const wanted = nics(model);
    const found = (await lab.domain(name)).nics;
    for (const { alias = '' } of found.filter(({ alias }) => !wanted.some((nic) => nic.alias === alias))) {
      await lab.detachAlias(name, alias);
    }
    for (const { alias = '', mac, target = '', mtu = 1500, link = 'up' } of wanted) {
      if (found.some((nic) => nic.alias === alias)) continue;
      const nic = { name: alias.slice(userAliasPrefix.length), mac, tap: target, mtu, state: link };
      const { stderr } = await lab.attach(name, nic);
      if (stderr.trim() !== '') throw new Error(stderr.trim());
    }
  };
  return {
    onDomain(domain) {
      if (domain.name !== name) return;
      work = work.then(() => follow(domain));
      // Told by settled().
      work.catch(() => {});
    },
    settled: () => work,
  };
}
