/** The fleet that is measured: objects as large as real ones, and the repository that declares them as they are. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { builtinResources } from '../../sandbox/api/builtin-resources.ts';
import type { ResourceDefinition } from '../../sandbox/api/contract.ts';
import { cloneJson, type JsonObject } from '../../sandbox/api/json.ts';
import { trackUpdate } from '../../sandbox/api/managed-fields.ts';
import { baseObjects, type Placed } from '../../sandbox/base-objects.ts';
import { fleetNamespace, fleetSeeds } from '../../sandbox/kubevirt/fleet.ts';
import { kubevirtResources } from '../../sandbox/kubevirt/resources.ts';

/** Attachments of each VM, beside its NIC on the pod network. */
export const attachmentsPerVm = 3;

const created = '2026-01-05T08:00:00Z';

/** Who writes the status of what. */
const statusWriters: Readonly<Record<string, { readonly manager: string; readonly subresource?: string }>> = {
  virtualmachines: { manager: 'virt-controller', subresource: 'status' },
  virtualmachineinstances: { manager: 'virt-handler' },
  pods: { manager: 'kubelet', subresource: 'status' },
};

/** What a cluster has before its VMs, then namespace, networks and settled VMs, one after another. */
export function* fleetObjects(count: number): Generator<Placed> {
  yield* baseObjects(true);
  for (const seed of fleetSeeds({ count, nics: attachmentsPerVm, created })) {
    const writer = statusWriters[seed.plural];
    yield writer === undefined ? seed : { ...seed, object: withManagers(seed, writer) };
  }
}

/** With managedFields as a server keeps them, which are a third of a real object. */
function withManagers(
  { group, plural, object }: Placed,
  writer: { readonly manager: string; readonly subresource?: string },
): KubeObject {
  const definition = definitionOf(group, plural);
  const { managedFields: _own, ...metadata } = object.metadata;
  const { status, ...rest } = object;
  const apiVersion = object.apiVersion ?? 'v1';
  const born = plain({ ...rest, metadata });
  trackUpdate(definition, undefined, born, 'virt-controller', apiVersion, undefined);
  const settled = plain({ ...born, status });
  trackUpdate(definition, born, settled, writer.manager, apiVersion, writer.subresource);
  return settled as unknown as KubeObject;
}

function plain(object: object): JsonObject {
  return cloneJson(object as JsonObject);
}

function definitionOf(group: string, plural: string): ResourceDefinition {
  const found = [...builtinResources, ...kubevirtResources].find(
    (each) => each.group === group && each.plural === plural,
  );
  if (found === undefined) throw new Error(`no resource ${plural}.${group}`);
  return found;
}

/** Objects a file of the repository: what a team or a rack has. */
const perFile = 100;

/** Writes the repository that declares the fleet as it is. */
export function writeRepository(folder: string, count: number): void {
  const documents: string[] = [];
  for (const { plural, object } of fleetSeeds({ count, nics: attachmentsPerVm, created })) {
    if (plural === 'virtualmachines') documents.push(stringify(declared(object.metadata.name)));
  }
  for (let from = 0; from < documents.length; from += perFile) {
    const name = `vms-${String(from / perFile).padStart(3, '0')}.yaml`;
    writeFileSync(join(folder, name), documents.slice(from, from + perFile).join('---\n'));
  }
}

function declared(name: string): object {
  return {
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name, namespace: fleetNamespace },
    spec: {
      attachments: Array.from({ length: attachmentsPerVm }, (_, index) => ({
        name: `net-${index + 1}`,
        network: `vlan${100 + index}`,
      })),
    },
  };
}
