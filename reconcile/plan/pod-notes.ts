/** What the reader of a pod's plan should know, though it stops nothing. */
import { editNetworks } from '../systems/multus-edit.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import type { Note } from './model.ts';
import { foreignNics } from './notes.ts';
import { type PodDraft, unmanagedInterfaces } from './pods.ts';
import { protectedPod, protectionNotes } from './protection.ts';

export function podNotes(draft: PodDraft): readonly Note[] {
  const { pod, attachments } = draft.diff;
  return [...unmanaged(draft), ...lostAtRecreation(draft), ...protectionNotes(protectedPod(pod, attachments))];
}

function unmanaged({ diff }: PodDraft): readonly Note[] {
  const names = unmanagedInterfaces(diff);
  if (names.length === 0) return [];
  const message = `neither declared nor plugged by patchpanel, so left alone: ${names.join(', ')}`;
  return [{ code: foreignNics, message }];
}

/** Kinds whose pods come from a template, by where that is. */
const templates: ReadonlyMap<string, string> = new Map([
  ['Deployment', 'spec.template.metadata.annotations'],
  ['ReplicaSet', 'spec.template.metadata.annotations'],
  ['StatefulSet', 'spec.template.metadata.annotations'],
  ['DaemonSet', 'spec.template.metadata.annotations'],
  ['Job', 'spec.template.metadata.annotations'],
]);

function lostAtRecreation(draft: PodDraft): readonly Note[] {
  const { pod } = draft.diff;
  const owner = pod.owners.at(-1);
  const path = templates.get(owner?.kind ?? '');
  if (
    owner === undefined ||
    path === undefined ||
    !draft.steps.some(({ kind }) => kind === 'pod-plug' || kind === 'pod-unplug')
  ) {
    return [];
  }
  const value = editedNetworks(draft);
  const edit =
    value === undefined || value === ''
      ? `take ${networksAnnotation} out of ${path}`
      : `set ${path}[${networksAnnotation}] to ${JSON.stringify(value)}`;
  const message = `the change is lost when the ${owner.kind} ${owner.name} makes the pod anew; to keep it, ${edit}, which replaces its pods`;
  return [{ code: 'lost-at-recreation', message }];
}

/** The networks annotation as the steps leave it; undefined where they leave none, or can't be told. */
export function editedNetworks({ diff, steps }: PodDraft): string | undefined {
  const { pod } = diff;
  let value = pod.networksText;
  for (const step of steps) {
    const edited =
      step.kind === 'pod-plug'
        ? editNetworks(value, pod.namespace, { kind: 'add', element: elementOf(step.element) })
        : step.kind === 'pod-unplug'
          ? editNetworks(value, pod.namespace, {
              kind: 'remove',
              elements: step.elements.map(({ network, interface: iface }) => ({ ...network, interface: iface })),
            })
          : step.kind === 'pod-repair'
            ? editNetworks(value, pod.namespace, { kind: 'repair', elements: step.elements })
            : undefined;
    if (edited?.ok === false) return undefined;
    if (edited !== undefined) value = edited.value;
  }
  return value;
}

type Planned = Extract<PodDraft['steps'][number], { kind: 'pod-plug' }>['element'];

function elementOf({ network, interface: iface, mac, ips }: Planned) {
  return {
    namespace: network.namespace,
    name: network.name,
    interface: iface,
    ...(mac === undefined ? {} : { mac }),
    ...(ips === undefined ? {} : { ips }),
  };
}
