import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../vocabulary.ts';
import { otherManagers } from './managers.ts';

const lists = {
  'f:spec': { 'f:template': { 'f:spec': { 'f:domain': { 'f:devices': { 'f:interfaces': {} } }, 'f:networks': {} } } },
};
const networksOnly = { 'f:spec': { 'f:template': { 'f:spec': { 'f:networks': {} } } } };
const elsewhere = { 'f:spec': { 'f:runStrategy': {}, 'f:template': { 'f:metadata': { 'f:annotations': {} } } } };

function entry(manager: string, operation: string, fieldsV1: Json = lists, rest: object = {}): Json {
  return { manager, operation, apiVersion: 'kubevirt.io/v1', fieldsType: 'FieldsV1', fieldsV1, ...rest };
}

interface Case {
  readonly name: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly managedFields?: readonly Json[];
  readonly found: readonly string[];
}

const flux = { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' };
const cases: readonly Case[] = [
  { name: 'nothing', found: [] },
  {
    name: 'Argo CD by tracking id',
    annotations: { 'argocd.argoproj.io/tracking-id': 'vms:kubevirt.io/VirtualMachine:prod/db-0' },
    found: ['Argo CD: annotation argocd.argoproj.io/tracking-id=vms:kubevirt.io/VirtualMachine:prod/db-0'],
  },
  {
    name: 'Argo CD by label',
    labels: { 'argocd.argoproj.io/instance': 'vms' },
    found: ['Argo CD: label argocd.argoproj.io/instance=vms'],
  },
  { name: 'a common label of many tools', labels: { 'app.kubernetes.io/instance': 'vms' }, found: [] },
  { name: 'Flux by Kustomization', labels: flux, found: ['Flux: label kustomize.toolkit.fluxcd.io/name=apps'] },
  {
    name: 'Flux that was told to look away',
    labels: flux,
    annotations: { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' },
    found: [],
  },
  {
    name: 'Flux that only creates',
    labels: flux,
    annotations: { 'kustomize.toolkit.fluxcd.io/ssa': 'IfNotPresent' },
    found: [],
  },
  {
    name: 'Flux by HelmRelease, told once',
    labels: { 'helm.toolkit.fluxcd.io/name': 'db', 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'db' },
    managedFields: [entry('helm-controller', 'Update')],
    found: ['Flux: label helm.toolkit.fluxcd.io/name=db'],
  },
  {
    name: 'Helm',
    labels: { 'app.kubernetes.io/managed-by': 'Helm' },
    annotations: { 'meta.helm.sh/release-name': 'db' },
    found: ['Helm: annotation meta.helm.sh/release-name=db'],
  },
  {
    name: 'server-side apply by anybody',
    managedFields: [entry('gitops', 'Apply')],
    found: ['gitops: field manager gitops owns networks and interfaces'],
  },
  {
    name: 'server-side apply of one list',
    managedFields: [entry('gitops', 'Apply', networksOnly)],
    found: ['gitops: field manager gitops owns networks'],
  },
  { name: 'server-side apply of other fields', managedFields: [entry('gitops', 'Apply', elsewhere)], found: [] },
  { name: 'whoever created the VM', managedFields: [entry('forklift-controller', 'Update')], found: [] },
  {
    name: 'a tool that comes back, whatever the operation',
    managedFields: [entry('argocd-controller', 'Update'), entry('Terraform', 'Update')],
    found: [
      'Argo CD: field manager argocd-controller owns networks and interfaces',
      'Terraform: field manager Terraform owns networks and interfaces',
    ],
  },
  {
    name: 'people',
    managedFields: ['kubectl', 'kubectl-edit', 'kubectl-client-side-apply', 'oc', 'virtctl', 'Mozilla', 'k9s'].flatMap(
      (manager) => [entry(manager, 'Apply'), entry(manager, 'Update')],
    ),
    found: [],
  },
  {
    name: 'KubeVirt and patchpanel',
    managedFields: ['virt-controller', 'virt-api', 'virt-handler', 'kubemacpool-controller', 'patchpanel'].flatMap(
      (manager) => [entry(manager, 'Apply'), entry(manager, 'Update')],
    ),
    found: [],
  },
  {
    name: 'writes of status',
    managedFields: [entry('gitops', 'Apply', lists, { subresource: 'status' })],
    found: [],
  },
];
for (const { name, labels, annotations, managedFields, found } of cases) {
  test(name, () => {
    const managers = otherManagers({
      metadata: {
        name: 'db-0',
        namespace: 'prod',
        ...(labels && { labels }),
        ...(annotations && { annotations }),
        ...(managedFields && { managedFields }),
      },
    });
    assert.deepEqual(
      managers.map(({ tool, evidence }) => `${tool}: ${evidence}`),
      found,
    );
  });
}

test('marks name the object of the tool that has the VM', () => {
  const of = (labels: Record<string, string>, annotations: Record<string, string> = {}) =>
    otherManagers({ metadata: { name: 'db-0', namespace: 'prod', labels, annotations } }).map(({ owner }) => owner);
  const tracked = (app: string) =>
    of({}, { 'argocd.argoproj.io/tracking-id': `${app}:kubevirt.io/VirtualMachine:a/b` });
  assert.deepEqual(tracked('vms'), [{ kind: 'Application', name: 'vms' }]);
  assert.deepEqual(tracked('teams_vms'), [{ kind: 'Application', name: 'vms', namespace: 'teams' }]);
  assert.deepEqual(of({ 'argocd.argoproj.io/instance': 'vms' }), [{ kind: 'Application', name: 'vms' }]);
  assert.deepEqual(of(flux), [{ kind: 'Kustomization', name: 'apps', namespace: 'flux-system' }]);
  assert.deepEqual(of({ 'helm.toolkit.fluxcd.io/name': 'db', 'helm.toolkit.fluxcd.io/namespace': 'apps' }), [
    { kind: 'HelmRelease', name: 'db', namespace: 'apps' },
  ]);
  const helm = { 'meta.helm.sh/release-name': 'db', 'meta.helm.sh/release-namespace': 'prod' };
  assert.deepEqual(of({ 'app.kubernetes.io/managed-by': 'Helm' }, helm), [
    { kind: 'release', name: 'db', namespace: 'prod' },
  ]);
  // Anybody who may write the VM may write these.
  assert.deepEqual(tracked('vms\nspec: {}'), [undefined]);
});
