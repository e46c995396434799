/**
 * What is read of a VM, kept small, since it lives as long as the run. VMs of a fleet are alike: conditions, hardware and NICs
 * say the same of thousands, and one copy serves them all.
 */
import type { LiveVmi } from './model.ts';
import type { LauncherPod, VmPart } from './project.ts';

/** Where nothing is alike, a table of all values would only be one more copy of them. */
const maxShared = 2000;

export class Compact {
  readonly #shared = new Map<string, unknown>();

  vm(part: VmPart): VmPart {
    const { nics, owned, otherManagers, conditions, hardware, labels } = part;
    return {
      ...part,
      nics: this.#of(nics),
      owned: this.#of(owned),
      otherManagers: this.#of(otherManagers),
      conditions: this.#of(conditions),
      hardware: this.#of(hardware),
      ...(labels === undefined ? {} : { labels: this.#of(labels) }),
    };
  }

  vmi(vmi: LiveVmi): LiveVmi {
    const { nics, status, conditions, hardware } = vmi;
    return {
      ...vmi,
      nics: this.#of(nics),
      status: status.map((nic) => ({ ...nic, sources: this.#of(nic.sources) })),
      conditions: this.#of(conditions),
      hardware: this.#of(hardware),
    };
  }

  pod(pod: LauncherPod): LauncherPod {
    return { ...pod, networks: this.#of(pod.networks), status: this.#of(pod.status) };
  }

  /**
   * An equal value, which may serve others too. It is made anew of its JSON: strings that were cut out of a longer one, as those
   * of annotations are, would keep the whole of it.
   */
  #of<T>(value: T): T {
    const text = JSON.stringify(value);
    const known = this.#shared.get(text);
    if (known !== undefined) return known as T;
    // A number that JSON can't write.
    if (text.includes(':null')) return value;
    const copy = JSON.parse(text) as T;
    if (this.#shared.size < maxShared) this.#shared.set(text, copy);
    return copy;
  }
}
