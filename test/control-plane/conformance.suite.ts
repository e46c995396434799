/** The table of requests and answers that the sandbox is held to, replayed against a real kube-apiserver. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { actorPrograms, actorUsers } from '../../sandbox/cast.ts';
import { type RecordedCase, Replay } from '../conformance/replay.ts';
import { startControlPlane } from './control-plane.ts';
import { installDefinitions } from './definitions.ts';
import { furnish, keepServiceAccounts, tokenFor } from './furnish.ts';
import { knownOfUpstream, varying } from './known-differences.ts';
import { serveVirtApi } from './virt-api.ts';

const namespace = 'apiconf';

const rbac = 'rbac.authorization.k8s.io';

/** What the recorded server held besides the Widgets. */
const surroundings: readonly KubeObject[] = [
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node01' },
    // The port is that of discard, where nobody listens.
    status: {
      addresses: [{ type: 'ExternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: 9 } },
    },
  },
  // kube-controller-manager's part.
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'kube-root-ca.crt' }, data: { 'ca.crt': '' } },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: 'reader' } },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'Role',
    metadata: { namespace, name: 'reader' },
    rules: [
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] },
      {
        apiGroups: ['apiconf.example.dev'],
        resources: ['widgets'],
        verbs: ['get', 'patch'],
        resourceNames: ['w1'],
      },
      { apiGroups: [''], resources: ['pods/exec'], verbs: ['get'] },
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { namespace, name: 'reader' },
    roleRef: { apiGroup: rbac, kind: 'Role', name: 'reader' },
    subjects: [{ kind: 'ServiceAccount', namespace, name: 'reader' }],
  },
];

function placed(group: string, plural: string, object: KubeObject) {
  return { group, plural, object };
}

async function conformance(cases: readonly RecordedCase[], report: (text: string) => void): Promise<void> {
  const [setup] = cases;
  const users = [
    { name: 'alice', groups: [] },
    { name: actorUsers.virtApi, groups: ['system:masters'] },
  ];
  const plane = await startControlPlane({ users });
  const { admin } = plane;
  const ends: (() => Promise<unknown>)[] = [() => plane.stop()];
  try {
    const objects = setup?.request.body as readonly KubeObject[];
    const widgets = objects.filter(({ kind }) => kind === 'CustomResourceDefinition').map(withOldVersion);
    await installDefinitions(admin, { more: widgets });
    const accounts = await keepServiceAccounts(admin);
    ends.push(() => accounts.stop());
    for (const name of ['kubevirt', namespace]) {
      await furnish(admin, placed('', 'namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    }
    for (const object of surroundings) await furnish(admin, placedOf(object));
    const virtApi = await serveVirtApi(
      plane.tls,
      admin,
      await plane.open(plane.tokenOf(actorUsers.virtApi), actorPrograms.virtApi),
    );
    ends.push(() => virtApi.close());
    const tokens = {
      admin: plane.adminToken,
      alice: plane.tokenOf('alice'),
      reader: await tokenFor(admin, namespace, 'reader'),
      bad: 'no-such-token',
    };
    await untilDocumented(admin);
    // Some cases go back to a revision that is long gone.
    await plane.compact();
    const results = await new Replay(plane.url, cases, tokens, plane.tls.certificate).run();
    const differing = [...results].filter(([, found]) => found !== undefined);
    report(`${results.size - differing.length} of ${results.size} recorded cases agree`);
    assert.deepEqual(
      differing.filter(([id]) => (knownOfUpstream[id] ?? varying[id]) === undefined),
      [],
      'cases that differ and are not known to',
    );
    const agreeing = Object.keys(knownOfUpstream).filter((id) => results.has(id) && results.get(id) === undefined);
    assert.deepEqual(agreeing, [], 'cases that are known to differ, but agree');
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** The documents of OpenAPI follow a definition after some seconds. */
async function untilDocumented(admin: Cluster): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { paths } = fields(await admin.raw('/openapi/v3'));
    if (fields(paths)['apis/apiconf.example.dev/v1'] !== undefined) return;
    await sleep(100);
  }
  throw new Error('the Widget is not documented');
}

/** The recorded server served the Widget in a deprecated version too, which came after the setup was noted. */
function withOldVersion(definition: KubeObject): KubeObject {
  const spec = fields(definition.spec);
  const [current] = items(spec.versions);
  const old = { ...fields(current), name: 'v1alpha1', storage: false, deprecated: true };
  return { ...definition, spec: { ...spec, versions: [current, old] } };
}

function placedOf(object: KubeObject) {
  const [version = '', group = ''] = (object.apiVersion ?? '').split('/').reverse();
  assert.ok(version !== '');
  return placed(group, `${(object.kind ?? '').toLowerCase()}s`, object);
}

function load(file: URL | string): readonly RecordedCase[] {
  return JSON.parse(readFileSync(file, 'utf8')) as readonly RecordedCase[];
}

test('kube-apiserver answers as the table says', async (context) => {
  const own = new URL('../../sandbox/api/fixtures/api-conformance.json', import.meta.url);
  await conformance(load(own), (text) => context.diagnostic(text));
});

const folder = process.env.PATCHPANEL_CASES;
const all = folder === undefined ? undefined : join(folder, 'api-conformance.json');

test('kube-apiserver answers as the table says, all cases', {
  skip: all === undefined || !existsSync(all),
}, async (context) => {
  if (all !== undefined) await conformance(load(all), (text) => context.diagnostic(text));
});
