/** The manifests of examples/deploy, read as a cluster would, and the rights that they give to a service account. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import type { PodSpec } from './pod.ts';

export const deployFolder = join(import.meta.dirname, '../examples/deploy');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Role extends Manifest {
  readonly rules: readonly Rule[];
}

interface Binding extends Manifest {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
}

/** One verb on one resource; over the whole cluster where no namespace is named. */
export interface Right {
  readonly verb: string;
  /** `core` for the group of pods. */
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string;
  /** The one object that it is limited to. */
  readonly name?: string;
}

/** Objects of a text of many documents. @throws Error where it is no YAML */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) throw fault;
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

/** Objects of files of examples/deploy. */
export function readManifests(...files: readonly string[]): readonly Manifest[] {
  return files.flatMap((file) => parseManifests(readFileSync(join(deployFolder, file), 'utf8')));
}

/** Whether a test may go without it: in CI it may not. */
export function kubectlIsMissing(): boolean {
  return process.env.CI === undefined && spawnSync('kubectl', ['version', '--client']).error !== undefined;
}

/** The objects that kustomize makes of a folder, from examples/deploy. */
export async function kustomize(folder: string): Promise<readonly Manifest[]> {
  const { stdout } = await promisify(execFile)('kubectl', ['kustomize', resolve(deployFolder, folder)]);
  return parseManifests(stdout);
}

interface JobSpec {
  readonly template: { readonly metadata: { readonly labels: object }; readonly spec: PodSpec };
  readonly podFailurePolicy: { readonly rules: readonly FailureRule[] };
  readonly [key: string]: unknown;
}

interface FailureRule {
  readonly action: string;
  readonly onExitCodes?: {
    readonly containerName: string;
    readonly operator: string;
    readonly values: readonly number[];
  };
  readonly onPodConditions?: readonly { readonly type: string; readonly status: string }[];
}

/** The Job among these objects, or that of the CronJob. @throws Error where there is none */
export function jobOf(manifests: readonly Manifest[]): JobSpec {
  for (const { kind, spec } of manifests) {
    if (kind === 'Job') return spec as JobSpec;
    if (kind === 'CronJob') return (spec as { readonly jobTemplate: { readonly spec: JobSpec } }).jobTemplate.spec;
  }
  throw new Error('there is no Job');
}

/** What the bindings among these objects allow a service account. @throws Error where a binding names no role of them */
export function rightsOf(account: string, manifests: readonly Manifest[]): readonly Right[] {
  const bindings = manifests.filter((each): each is Binding => each.kind.endsWith('Binding'));
  return bindings
    .filter(({ subjects }) => subjects.some(({ kind, name }) => kind === 'ServiceAccount' && name === account))
    .flatMap((binding) => {
      const { namespace } = binding.metadata;
      const role = manifests.find(
        (each): each is Role =>
          each.kind === binding.roleRef.kind &&
          each.metadata.name === binding.roleRef.name &&
          (each.kind === 'ClusterRole' || each.metadata.namespace === namespace),
      );
      if (role === undefined)
        throw new Error(`${binding.kind} ${binding.metadata.name} binds a role that is not there`);
      return role.rules.flatMap((rule) => expand(rule, namespace));
    });
}

function expand({ apiGroups, resources, verbs, resourceNames }: Rule, namespace?: string): readonly Right[] {
  const names = resourceNames ?? [undefined];
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) =>
        names.map((name) => ({
          verb,
          group: group === '' ? 'core' : group,
          resource,
          ...(namespace !== undefined && { namespace }),
          ...(name !== undefined && { name }),
        })),
      ),
    ),
  );
}

/** Whether one of these rights lets a request through. */
export function permits(rights: readonly Right[], request: Right): boolean {
  return rights.some(
    ({ verb, group, resource, namespace, name }) =>
      verb === request.verb &&
      group === (request.group === '' ? 'core' : request.group) &&
      resource === request.resource &&
      (namespace === undefined || namespace === request.namespace) &&
      (name === undefined || name === request.name),
  );
}
