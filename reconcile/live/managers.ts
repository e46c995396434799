/**
 * Who else writes the network lists of a VM. Both lists are atomic under server-side apply, so another tool that holds
 * them in its own source would revert every NIC, and patchpanel would plug it again: neither would ever come to rest.
 */
import type { KubeObject } from '../kube/cluster.ts';
import { type Fields, fields, items, text } from '../systems/json-shape.ts';
import { fieldManager as ownManager } from '../systems/patchpanel.ts';
import type { OtherManager } from './model.ts';

/**
 * Finds tools that reconcile the VM, by two kinds of evidence:
 *
 * - marks that they leave on what they manage. They stay when virt-controller's removal of a NIC has taken over the
 *   ownership of both lists in managedFields, so they count on their own.
 * - managedFields that name the lists. An `Apply` entry is a standing claim by whoever made it. An `Update` entry only
 *   says who wrote last or created the VM, so it counts only for tools that are known to come back. People at kubectl or
 *   a console and KubeVirt's own components never count.
 */
export function otherManagers(object: KubeObject): readonly OtherManager[] {
  const found: OtherManager[] = [...markedBy(object)];
  for (const entry of items(object.metadata.managedFields).map(fields)) {
    const manager = text(entry.manager);
    if (manager === undefined || entry.subresource !== undefined || isOurs(manager) || isPerson(manager)) continue;
    const lists = ownedLists(entry.fieldsV1);
    if (lists.length === 0) continue;
    const known = knownTools.find(({ pattern }) => pattern.test(manager))?.tool;
    if (entry.operation !== 'Apply' && known === undefined) continue;
    const tool = known ?? manager;
    if (found.some((other) => other.tool === tool)) continue;
    found.push({ tool, evidence: `field manager ${manager} owns ${lists.join(' and ')}` });
  }
  return found;
}

const argoTracking = 'argocd.argoproj.io/tracking-id';
const argoInstance = 'argocd.argoproj.io/instance';
const kustomizeToolkit = 'kustomize.toolkit.fluxcd.io';
const helmToolkit = 'helm.toolkit.fluxcd.io';
const helmRelease = 'meta.helm.sh';

function markedBy({ metadata }: KubeObject): readonly OtherManager[] {
  const { labels = {}, annotations = {} } = metadata;
  const found: OtherManager[] = [];
  const argo = mark('annotation', annotations, argoTracking) ?? mark('label', labels, argoInstance);
  if (argo !== undefined) {
    // `APP:GROUP/KIND:NAMESPACE/NAME`, where APP is `NAMESPACE_APP` of one outside of Argo CD's own namespace.
    const app = annotations[argoTracking]?.split(':')[0] ?? labels[argoInstance] ?? '';
    const [namespace, name] = app.includes('_') ? app.split('_') : [undefined, app];
    found.push({ tool: 'Argo CD', evidence: argo, ...owner('Application', name, namespace) });
  }
  const kustomization = mark('label', labels, `${kustomizeToolkit}/name`);
  const fluxRelease = mark('label', labels, `${helmToolkit}/name`);
  if (kustomization !== undefined && !fluxLooksAway(annotations)) {
    const of = owner('Kustomization', labels[`${kustomizeToolkit}/name`], labels[`${kustomizeToolkit}/namespace`]);
    found.push({ tool: 'Flux', evidence: kustomization, ...of });
  } else if (fluxRelease !== undefined) {
    const of = owner('HelmRelease', labels[`${helmToolkit}/name`], labels[`${helmToolkit}/namespace`]);
    found.push({ tool: 'Flux', evidence: fluxRelease, ...of });
  }
  const release = mark('annotation', annotations, `${helmRelease}/release-name`);
  if (release !== undefined && fluxRelease === undefined && labels['app.kubernetes.io/managed-by'] === 'Helm') {
    const of = owner(
      'release',
      annotations[`${helmRelease}/release-name`],
      annotations[`${helmRelease}/release-namespace`],
    );
    found.push({ tool: 'Helm', evidence: release, ...of });
  }
  return found;
}

/** Names of objects only: marks are text that anybody with the VM can write, and this is shown to be pasted. */
function owner(
  kind: NonNullable<OtherManager['owner']>['kind'],
  name: string | undefined,
  namespace: string | undefined,
): Pick<OtherManager, 'owner'> {
  if (name === undefined || !isName(name)) return {};
  return { owner: { kind, name, ...(namespace !== undefined && isName(namespace) ? { namespace } : {}) } };
}

function isName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);
}

function mark(kind: string, of: Readonly<Record<string, string>>, key: string): string | undefined {
  return of[key] === undefined ? undefined : `${kind} ${key}=${of[key]}`;
}

/** Flux's own ways to leave an object alone after it was created. */
function fluxLooksAway(annotations: Readonly<Record<string, string>>): boolean {
  const reconcile = annotations['kustomize.toolkit.fluxcd.io/reconcile']?.toLowerCase();
  const apply = annotations['kustomize.toolkit.fluxcd.io/ssa']?.toLowerCase();
  return reconcile === 'disabled' || apply === 'ignore' || apply === 'ifnotpresent';
}

/** Field managers of tools that write again and again, whatever the operation. */
const knownTools: readonly { readonly pattern: RegExp; readonly tool: string }[] = [
  { pattern: /^argocd/i, tool: 'Argo CD' },
  { pattern: /^(kustomize-controller|helm-controller|flux)/i, tool: 'Flux' },
  { pattern: /^helm$/i, tool: 'Helm' },
  { pattern: /^(terraform|hashicorp|opentofu)/i, tool: 'Terraform' },
  { pattern: /^pulumi/i, tool: 'Pulumi' },
  { pattern: /^(crossplane|apiextensions\.crossplane\.io|provider-kubernetes)/i, tool: 'Crossplane' },
  { pattern: /^fleetagent/i, tool: 'Fleet' },
  { pattern: /^kapp/i, tool: 'kapp' },
];

/** KubeVirt's components write both lists on everybody's behalf; kubemacpool fills in MAC addresses. */
function isOurs(manager: string): boolean {
  return manager === ownManager || /^(virt-(controller|api|handler|operator)|kubemacpool)/.test(manager);
}

/** Edits by hand are drift, not ownership: patchpanel shows and mends them. */
function isPerson(manager: string): boolean {
  return /^(kubectl|oc|virtctl|k9s|Mozilla|Lens|freelens|headlamp|curl|before-first-apply)\b/i.test(manager);
}

function ownedLists(fieldsV1: unknown): readonly string[] {
  const spec = at(fieldsV1, 'f:spec', 'f:template', 'f:spec');
  const lists: string[] = [];
  if (spec['f:networks'] !== undefined) lists.push('networks');
  if (at(spec, 'f:domain', 'f:devices')['f:interfaces'] !== undefined) lists.push('interfaces');
  return lists;
}

function at(value: unknown, ...path: readonly string[]): Fields {
  return path.reduce<Fields>((parent, key) => fields(parent[key]), fields(value));
}
