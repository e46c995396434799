/** Recorded cases of the dynamic-networks controller, and what the sandbox's rules make of one. Only tests use it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type NetworkSelectionElement, parseNetworks } from '../../reconcile/systems/multus-networks.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import {
  type CniCalls,
  hostNetworkEvent,
  type PodEvent,
  planAttachments,
  reconcileAttachments,
  triesBeforeSilence,
} from './dynamic-networks-core.ts';

export interface DynamicCase {
  readonly id: string;
  readonly function?: 'add entry' | 'remove entry';
  readonly argument?: unknown;
  readonly podNamespace?: string;
  readonly hostNetwork?: boolean;
  readonly networksBefore?: readonly NetworkSelectionElement[] | string;
  readonly networksAfter?: readonly NetworkSelectionElement[] | string;
  readonly statusBefore: readonly NetworkStatus[];
  readonly expectedAdds?: readonly NetworkSelectionElement[];
  readonly expectedRemoves?: readonly NetworkSelectionElement[];
  readonly expectedEvents?: readonly PodEvent[];
  readonly expectedStatusAfter?: readonly NetworkStatus[];
  /** `ADD net1`: calls that the plugin answers with an error. */
  readonly cniFailures?: readonly string[];
}

export const casePod = 'tiny-winy-pod';

/** @param file by default the few that go with the sources */
export function readDynamicCases(
  file = join(import.meta.dirname, 'fixtures', 'dynamic-controller.json'),
): readonly DynamicCase[] {
  const parsed: { readonly cases: readonly DynamicCase[] } = JSON.parse(readFileSync(file, 'utf8'));
  return parsed.cases;
}

export function elementsOf(
  networks: readonly NetworkSelectionElement[] | string | undefined,
  namespace: string,
): readonly NetworkSelectionElement[] {
  if (typeof networks !== 'string') return networks ?? [];
  const parsed = networks === '' ? undefined : parseNetworks(networks, namespace, 'dynamic-controller');
  return parsed?.ok === true ? parsed.elements : [];
}

export interface Outcome {
  readonly events: readonly PodEvent[];
  readonly status: readonly NetworkStatus[];
  /** Interfaces that the pod really has. */
  readonly present: ReadonlySet<string>;
}

/** Writing network-status fails in this one. */
export function statusFails(entry: DynamicCase): boolean {
  return entry.id === 'status-update-fails';
}

/** All that happens after the change of the annotation, retries included. */
export async function outcomeOf(entry: DynamicCase): Promise<Outcome> {
  const namespace = entry.podNamespace ?? '';
  const pod = { namespace, name: casePod };
  const events: PodEvent[] = [];
  const present = new Set(entry.statusBefore.map((one) => one.interface ?? ''));
  let status = entry.statusBefore;
  if (entry.hostNetwork === true) return { events: [hostNetworkEvent(pod)], status, present };
  const elements = elementsOf(entry.networksAfter, namespace);
  for (let tries = 0; tries < triesBeforeSilence; tries++) {
    const plan = planAttachments(elements, status);
    if (plan.adds.length === 0 && plan.removes.length === 0) break;
    const round = await reconcileAttachments(
      pod,
      plan,
      status,
      pluginsOf(entry, present),
      (event) => events.push(event),
      () => {
        if (statusFails(entry)) throw new Error('conflict');
      },
    );
    status = round.status;
    if (!round.failed) break;
  }
  return { events, status, present };
}

/** NADs that there are in a case, by `namespace/name`. */
export function nadsOf(entry: DynamicCase): ReadonlySet<string> {
  const elements = [entry.networksBefore, entry.networksAfter].flatMap((list) =>
    elementsOf(list, entry.podNamespace ?? ''),
  );
  const shown = entry.statusBefore.map((one) => one.name).filter((name) => name.includes('/'));
  return new Set([...elements.map((element) => `${element.namespace}/${element.name}`), ...shown]);
}

const pluginMac = '02:03:04:05:06:07';

function pluginsOf(entry: DynamicCase, present: Set<string>): CniCalls {
  const nads = nadsOf(entry);
  const call = (verb: string, { namespace, name, interface: nic = '' }: NetworkSelectionElement): void => {
    if (!nads.has(`${namespace}/${name}`)) throw new Error('not found');
    if (entry.cniFailures?.includes(`${verb} ${nic}`) === true) throw new Error(verb);
  };
  return {
    add(element) {
      const { namespace, name, interface: nic = '', mac } = element;
      if (nic === '') throw new Error('interface name is empty');
      if (present.has(nic)) throw new Error('exists');
      call('ADD', element);
      present.add(nic);
      return [{ name: `${namespace}/${name}`, interface: nic, mac: mac ?? pluginMac }];
    },
    del(element) {
      call('DEL', element);
      present.delete(element.interface ?? '');
    },
  };
}
