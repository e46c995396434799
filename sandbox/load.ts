/** Creates the manifests of a folder, through the API as a user would. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { PatchpanelError } from '../reconcile/errors.ts';
import type { Cluster, KubeObject, Resource } from '../reconcile/kube/cluster.ts';
import type { ResourceDefinition } from './api/contract.ts';
import { namespace } from './base-objects.ts';

export const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' };

/**
 * Creates every object of the folder's YAML and JSON files, and namespaces that are missing. Definitions of networks
 * go before VMs. Returns one line an object.
 * @throws PatchpanelError for a file that can't be read, an unknown kind, or an object that the server refuses
 */
export async function loadManifests(
  cluster: Cluster,
  folder: string,
  definitions: readonly ResourceDefinition[],
): Promise<readonly string[]> {
  const objects = (await readManifests(folder)).map((entry) => ({
    ...entry,
    definition: definitionOf(entry, definitions),
  }));
  const vmsLast = objects.sort((a, b) => weight(a.definition) - weight(b.definition));
  const created: string[] = [];
  for (const { object, definition } of vmsLast) {
    const inNamespace = definition.namespaced ? (object.metadata.namespace ?? 'default') : undefined;
    if (inNamespace !== undefined && (await cluster.get(namespaces, undefined, inNamespace)) === undefined) {
      await cluster.create(namespaces, namespace(inNamespace));
    }
    const metadata = { ...object.metadata, ...(inNamespace !== undefined && { namespace: inNamespace }) };
    if (definition.kind === 'Namespace' && (await cluster.get(namespaces, undefined, metadata.name)) !== undefined)
      continue;
    const resource = { ...definition, version: object.apiVersion?.split('/').at(-1) ?? '' };
    await cluster.create(resource, { ...object, metadata });
    created.push(`${definition.kind} ${inNamespace === undefined ? '' : `${inNamespace}/`}${metadata.name}`);
  }
  return created;
}

function weight(definition: ResourceDefinition): number {
  if (definition.kind === 'Namespace') return 0;
  return definition.group === 'kubevirt.io' ? 2 : 1;
}

interface Entry {
  readonly file: string;
  readonly object: KubeObject;
}

async function readManifests(folder: string): Promise<readonly Entry[]> {
  let names: readonly string[];
  try {
    names = (await readdir(folder, { recursive: true })).filter((name) => /\.(ya?ml|json)$/.test(name)).sort();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PatchpanelError('cli/input', `--load ${folder}: ${reason}`);
  }
  const entries: Entry[] = [];
  for (const name of names) {
    const file = join(folder, name);
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) {
      const [error] = document.errors;
      if (error !== undefined) throw new PatchpanelError('cli/input', `--load ${file}: ${error.message}`);
      const value: unknown = document.toJS();
      if (value === null) continue;
      const { items } = value as { readonly items?: readonly KubeObject[] };
      for (const object of items ?? [value as KubeObject]) entries.push({ file, object });
    }
  }
  return entries;
}

function definitionOf({ file, object }: Entry, definitions: readonly ResourceDefinition[]): ResourceDefinition {
  const [version = '', group = ''] = (object.apiVersion ?? '').split('/').reverse();
  const found = definitions.find(
    (one) => one.group === group && one.kind === object.kind && one.versions.includes(version),
  );
  if (found !== undefined && typeof object.metadata?.name === 'string') return found;
  const what = `${object.apiVersion ?? ''} ${object.kind ?? ''}`.trim();
  throw new PatchpanelError(
    'cli/input',
    `--load ${file}: the sandbox serves no ${what === '' ? 'object without kind' : what}`,
  );
}
