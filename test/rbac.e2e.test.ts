/** The roles of examples/deploy against what the command line really asks of a cluster: nothing more, nothing less. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { AuditEntry } from '../sandbox/api/contract.ts';
import { CliStage } from './cli-stage.ts';
import { readManifests, rightsOf } from './deploy-manifests.ts';
import { permissions } from './generators/permissions.ts';
import { clusterRoles } from './generators/rbac-manifests.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start();
});
after(() => stage.stop());

const base = readManifests('base/rbac.yaml');
const record = readManifests('base/record.yaml');
const withExec = [...base, ...readManifests('overlays/with-exec/rbac.yaml')];
const clusterRole = base.filter(({ metadata }) => metadata.name === 'patchpanel-cluster');
const oneNamespace = [...clusterRole, ...readManifests('overlays/single-namespace/rbac.yaml')];

/** `list core pods`, `get core pods/exec`: what RBAC decides on. */
function asked(entries: readonly AuditEntry[]): readonly string[] {
  const requests = entries.map(
    ({ verb, resource, subresource, path }) =>
      `${verb} ${groupOf(path)} ${resource}${subresource === undefined ? '' : `/${subresource}`}`,
  );
  return [...new Set(requests)].sort();
}

function groupOf(path: string): string {
  return /^\/apis\/([^/]+)/.exec(path)?.[1] ?? 'core';
}

function granted(account: string, manifests = base): readonly string[] {
  const all = rightsOf(account, manifests).map(({ verb, group, resource }) => `${verb} ${group} ${resource}`);
  assert.equal(new Set(all).size, all.length, 'a right is given twice');
  return all.sort();
}

/** Whether the cluster as a whole was asked, by resource. */
function clusterWide(entries: readonly AuditEntry[]): readonly string[] {
  return [
    ...new Set(entries.filter(({ path }) => !path.includes('/namespaces/')).map(({ resource }) => resource)),
  ].sort();
}

test('plan asks for what is granted to it, and for exec only where that is wanted', async () => {
  const folder = await stage.desired('plan', { 'web-0': ['storage'] });
  await stage.expect(2, ['plan', folder, '--domain-xml', 'never']);
  assert.deepEqual(asked(stage.requests()), granted('patchpanel-plan'));
  await stage.expect(2, ['plan', folder]);
  const requests = stage.requests();
  assert.deepEqual(asked(requests), [...granted('patchpanel-plan'), 'get core pods/exec'].sort());
  const everywhere = rightsOf('patchpanel-plan', oneNamespace).filter(({ namespace }) => namespace === undefined);
  assert.deepEqual(clusterWide(requests), everywhere.map(({ resource }) => resource).sort());
});

test('adopt asks for what plan may; --take for a little of what apply may', async () => {
  await stage.expect(0, ['adopt', '-n', 'demo', '--domain-xml', 'never']);
  assert.deepEqual(asked(stage.requests()), granted('patchpanel-plan'));
  await stage.expect(0, ['adopt', 'demo/web-1', '--take', '--yes', '--domain-xml', 'never']);
  const extra = ['get kubevirt.io virtualmachines', 'patch kubevirt.io virtualmachines'];
  assert.deepEqual(asked(stage.requests()), [...granted('patchpanel-plan'), ...extra].sort());
});

type Rule = Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>;

test('trace asks for what the role of the person on call has', async () => {
  await stage.expect(0, ['trace', 'demo/web-1', '--domain-xml', 'never']);
  const roles = parseAllDocuments(clusterRoles()).map((document) => document.toJS());
  const mine = roles.filter(({ metadata }) => ['patchpanel-trace', 'patchpanel-cluster'].includes(metadata.name));
  const rights = mine.flatMap(({ rules }) =>
    rules.flatMap(({ apiGroups, resources, verbs }: Rule) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${apiGroups[0] || 'core'} ${resource}`)),
    ),
  );
  assert.deepEqual(asked(stage.requests()), rights.sort());
});

test('apply asks for what is granted to it: plugs, unplugs, and failures that it must explain', async () => {
  const both = { 'web-0': ['storage'], 'web-1': ['storage', 'backup'] };
  await stage.expect(0, ['apply', await stage.desired('plug', both), '--domain-xml', 'never']);
  await stage.expect(0, ['apply', await stage.desired('unplug', { 'web-0': [] }), '--domain-xml', 'never']);
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mgmt' });
  const failing = await stage.desired('failing', { 'db-0': ['mgmt'] });
  await stage.expect(5, ['apply', failing, '--domain-xml', 'never', '--action-timeout', '2']);
  const requests = stage.requests();
  assert.deepEqual(asked(requests), granted('patchpanel-apply'));
  assert.ok(requests.every(({ status }) => status !== 403));
  const writes = requests.filter(({ method }) => method !== 'GET');
  assert.deepEqual(asked(writes), ['patch kubevirt.io virtualmachines']);
});

test('a record and Events are roles apart, for apply alone', async () => {
  const all = [...base, ...record];
  assert.deepEqual(granted('patchpanel-plan', all), granted('patchpanel-plan'));
  await stage.cluster.misbehave();
  const args = ['--domain-xml', 'never', '--record', 'patchpanel/patchpanel-record', '--events'];
  await stage.expect(0, ['apply', await stage.desired('recorded', { 'db-0': ['storage'] }), ...args]);
  await stage.expect(0, ['apply', await stage.desired('again', { 'db-0': [] }), ...args]);
  const extra = rightsOf('patchpanel-apply', record).map(({ verb, group, resource }) => `${verb} ${group} ${resource}`);
  const requests = asked(stage.requests());
  assert.deepEqual(
    requests.filter((request) => !granted('patchpanel-apply').includes(request)),
    extra.sort(),
  );
});

test('status asks for its record and its lock, and as a page for what plan may read', async () => {
  const args = ['status', '--record', 'patchpanel/patchpanel-record'];
  stage.requests();
  await stage.expect(0, args);
  const own = ['get coordination.k8s.io leases', 'get core configmaps'];
  assert.deepEqual(asked(stage.requests()), own);
  await stage.expect(0, [...args, '-o', 'html', '--domain-xml', 'never']);
  const more = asked(stage.requests()).filter((request) => !own.includes(request));
  assert.deepEqual(
    more.filter((request) => !granted('patchpanel-plan').includes(request)),
    [],
  );
  assert.ok(more.includes('list kubevirt.io virtualmachines'));
});

test('a run that has nothing to change writes no VM, VMI, pod or Event, and nothing that it asks for is refused', async () => {
  const folder = await stage.desired('unchanged', { 'web-0': [] });
  stage.requests();
  await stage.expect(0, ['plan', folder]);
  await stage.expect(0, ['apply', folder]);
  const requests = stage.requests();
  assert.ok(requests.length > 0);
  assert.deepEqual(
    requests.filter(({ status }) => status >= 400),
    [],
  );
  assert.deepEqual(
    requests.filter(({ method, subresource }) => method !== 'GET' && subresource !== 'exec'),
    [],
  );
});

test('restart is a role apart, for apply alone', async () => {
  const right = 'update subresources.kubevirt.io virtualmachines/restart';
  const withRestart = [...base, ...readManifests('overlays/with-restart/rbac.yaml')];
  assert.deepEqual(granted('patchpanel-plan', withRestart), granted('patchpanel-plan'));
  assert.deepEqual(granted('patchpanel-apply', withRestart), [...granted('patchpanel-apply'), right].sort());
  const path = await stage.desired('restart', { 'db-0': [] });
  const windows = '[{start: "* * * * *", duration: 1h}]';
  const head = (kind: string) => `apiVersion: patchpanel.dev/v1alpha1\nkind: ${kind}\n`;
  await writeFile(
    join(path, 'settings.yaml'),
    `${head('Settings')}spec: {restart: allowed, restartWindows: ${windows}}\n`,
  );
  const spec = 'spec: {restart: allowed, pciePorts: 30, attachments: []}';
  await writeFile(
    join(path, 'db-0.yaml'),
    `${head('NetworkAttachments')}metadata: {name: db-0, namespace: demo}\n${spec}\n`,
  );
  await stage.cluster.misbehave();
  stage.requests();
  await stage.expect(0, ['apply', path, '--domain-xml', 'never']);
  const writes = stage.requests().filter(({ method }) => method !== 'GET');
  assert.deepEqual(asked(writes), ['patch kubevirt.io virtualmachines', right]);
});

test('so are the ConfigMaps of hook sidecars', () => {
  const withSidecar = [...base, ...readManifests('overlays/with-sidecar/rbac.yaml')];
  const rights = ['create', 'get', 'patch'].map((verb) => `${verb} core configmaps`);
  assert.deepEqual(granted('patchpanel-plan', withSidecar), granted('patchpanel-plan'));
  assert.deepEqual(granted('patchpanel-apply', withSidecar), [...granted('patchpanel-apply'), ...rights].sort());
});

test('so are declared pods', () => {
  const withPods = [...base, ...readManifests('overlays/with-pods/rbac.yaml')];
  const rights = ['get', 'patch'].map((verb) => `${verb} core pods`);
  assert.deepEqual(granted('patchpanel-plan', withPods), granted('patchpanel-plan'));
  assert.deepEqual(granted('patchpanel-apply', withPods), [...granted('patchpanel-apply'), ...rights].sort());
});

interface Named {
  readonly resourceNames?: readonly string[];
}

test('the policy may be read by name, and written by nobody', async () => {
  const policy = readManifests('base/policy-rbac.yaml');
  for (const account of ['patchpanel-plan', 'patchpanel-apply']) {
    const rights = rightsOf(account, policy).map(({ verb, group, resource }) => `${verb} ${group} ${resource}`);
    assert.deepEqual(rights, ['get core configmaps']);
  }
  const rules = policy.flatMap(({ kind, rules: of }) => (kind === 'Role' ? (of as readonly Named[]) : []));
  assert.deepEqual(
    rules.map(({ resourceNames }) => resourceNames),
    [['patchpanel-policy']],
  );
  const folder = await stage.desired('policy', { 'web-0': [] });
  stage.requests();
  const refused = await stage.expect(1, ['plan', folder, '--policy-configmap', 'demo/other']);
  assert.match(refused.stderr, /cluster\/forbidden/);
  assert.deepEqual(asked(stage.requests()), ['get core configmaps']);
});

test('exec is a role apart, for apply alone, and the same rights hold in one namespace', () => {
  const exec = ['create core pods/exec', 'get core pods/exec'];
  const events = record.filter(({ metadata }) => metadata.name === 'patchpanel-events');
  assert.deepEqual(granted('patchpanel-plan', withExec), granted('patchpanel-plan'));
  assert.deepEqual(granted('patchpanel-apply', withExec), [...granted('patchpanel-apply'), ...exec].sort());
  for (const account of ['patchpanel-plan', 'patchpanel-apply']) {
    assert.deepEqual(granted(account, oneNamespace), granted(account, [...base, ...events]));
    for (const { resource, namespace } of rightsOf(account, oneNamespace)) {
      const scope = permissions.find((each) => each.resource === resource)?.scope;
      assert.equal(namespace, scope === 'cluster' ? undefined : 'prod', resource);
    }
  }
});

test('a permission that patchpanel can do without is told from one that it can not', () => {
  for (const { resource, verbs, without } of permissions) {
    if (verbs.exec ?? verbs.restart ?? verbs.sidecar) assert.ok(without !== undefined, resource);
    if (verbs.apply?.includes('patch')) assert.equal(without, undefined);
  }
});
