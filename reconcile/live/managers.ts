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

function markedBy({ metadata }: KubeObject): readonly OtherManager[] {
  const { labels = {}, annotations = {} } = metadata;
  const found: OtherManager[] = [];
  const argo = mark('annotation', annotations, 'argocd.argoproj.io/tracking-id');
  const argoInstance = mark('label', labels, 'argocd.argoproj.io/instance');
  if (argo ?? argoInstance) found.push({ tool: 'Argo CD', evidence: argo ?? argoInstance ?? '' });
  const kustomization = mark('label', labels, 'kustomize.toolkit.fluxcd.io/name');
  const fluxRelease = mark('label', labels, 'helm.toolkit.fluxcd.io/name');
  if (kustomization !== undefined && !fluxLooksAway(annotations)) found.push({ tool: 'Flux', evidence: kustomization });
  else if (fluxRelease !== undefined) found.push({ tool: 'Flux', evidence: fluxRelease });
  const release = mark('annotation', annotations, 'meta.helm.sh/release-name');
  if (release !== undefined && fluxRelease === undefined && labels['app.kubernetes.io/managed-by'] === 'Helm') {
    found.push({ tool: 'Helm', evidence: release });
  }
  return found;
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
