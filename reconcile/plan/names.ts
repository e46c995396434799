/** Names of NICs that can't live side by side in one VM. */
import { activeVmi } from '../diff/layers.ts';
import type { LiveVm } from '../live/model.ts';
import { networkHash } from '../systems/kubevirt-names.ts';
import type { Blocker } from './model.ts';
import { blocker } from './steps.ts';

/**
 * Whether the name clashes with a NIC that the VM has: by the hash in pod interface and tap, which KubeVirt does not
 * check, or by case, which libvirt's aliases lose when KubeVirt plugs a NIC.
 * @param hashOf given only by tests
 */
export function nameBlockers(
  vm: LiveVm,
  name: string,
  hashOf: (networkName: string) => string = networkHash,
): readonly Blocker[] {
  const present = new Set([...vm.nics, ...(activeVmi(vm)?.nics ?? [])].map((nic) => nic.name));
  const hash = hashOf(name);
  for (const other of [...present].sort()) {
    if (other === name) continue;
    const what =
      hashOf(other) === hash
        ? `one pod interface, pod${hash}`
        : other.toLowerCase() === name.toLowerCase()
          ? 'one alias in libvirt'
          : undefined;
    if (what === undefined) continue;
    const message = `its name and that of the NIC "${other}" of ${vm.name} lead to ${what}`;
    return [blocker('name-collision', name, message, 'Give the attachment another name.')];
  }
  return [];
}
