/** The custom resources of KubeVirt and Multus on a real API server: the CRDs as released where they are at hand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { fields, items, text } from '../../reconcile/systems/json-shape.ts';
import type { ResourceDefinition } from '../../sandbox/api/contract.ts';
import { kubevirtResources } from '../../sandbox/kubevirt/resources.ts';

const definitions: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
};

interface DefinitionOptions {
  readonly released?: boolean;
  readonly more?: readonly KubeObject[];
  readonly groups?: readonly string[];
}

/**
 * Creates the definitions and waits until they are served. Those of the folder `crds` of PATCHPANEL_CASES are the
 * released ones; what is not there is made of the sandbox's own, trimmed schemas.
 * @param options `released: false`: the sandbox's own alone; `more`: definitions of a test's own; `groups`: those of these API
 * groups alone
 */
export async function installDefinitions(
  admin: Cluster,
  { released: wanted = true, more = [], groups }: DefinitionOptions = {},
): Promise<void> {
  const released = wanted ? releasedDefinitions() : new Map<string, KubeObject>();
  const own = kubevirtResources
    .filter(({ group }) => groups?.includes(group) !== false)
    .map((definition) => released.get(nameOf(definition)) ?? definitionOf(definition));
  const all = [...own, ...more];
  for (const object of all) await admin.create(definitions, object);
  for (const { metadata } of all) await untilServed(admin, metadata.name);
}

/** Waits until a definition is served. */
export async function untilServed(admin: Cluster, name: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const found = await admin.get(definitions, undefined, name);
    const conditions = items(fields(found?.status).conditions).map(fields);
    if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) {
      if (await answers(admin, found)) return;
    }
    await sleep(50);
  }
  throw new Error(`${name} is not served`);
}

/** Established comes a little before the server lists the resource. */
async function answers(admin: Cluster, definition: KubeObject | undefined): Promise<boolean> {
  const spec = fields(definition?.spec);
  const version = text(fields(items(spec.versions).at(-1)).name) ?? '';
  try {
    await admin.raw(`/apis/${text(spec.group) ?? ''}/${version}/${text(fields(spec.names).plural) ?? ''}?limit=1`);
    return true;
  } catch {
    return false;
  }
}

function nameOf({ group, plural }: ResourceDefinition): string {
  return `${plural}.${group}`;
}

function releasedDefinitions(): ReadonlyMap<string, KubeObject> {
  const folder = join(process.env.PATCHPANEL_CASES ?? '', 'crds');
  if (process.env.PATCHPANEL_CASES === undefined || !existsSync(folder)) return new Map();
  const objects = readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => parseAllDocuments(readFileSync(join(folder, name), 'utf8')))
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object?.kind === definitions.kind);
  return new Map(objects.flatMap((object) => (object === null ? [] : [[object.metadata.name, object]])));
}

/** A CustomResourceDefinition that serves what the sandbox serves. */
export function definitionOf(definition: ResourceDefinition): KubeObject {
  const { group, kind, plural, singular, shortNames, categories } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: nameOf(definition) },
    spec: {
      group,
      scope: definition.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        ...(shortNames !== undefined && { shortNames }),
        ...(categories !== undefined && { categories }),
      },
      versions: definition.versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        schema: {
          openAPIV3Schema: definition.schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        },
        ...(definition.statusSubresource && { subresources: { status: {} } }),
        ...(definition.columns !== undefined && { additionalPrinterColumns: definition.columns }),
        ...(definition.selectableFields !== undefined && {
          selectableFields: definition.selectableFields.map((path) => ({ jsonPath: `.${path}` })),
        }),
      })),
    },
  };
}
