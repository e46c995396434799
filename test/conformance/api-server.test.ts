import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { connect } from '../../reconcile/kube/connect.ts';
import type { AdmissionHook, ApiServer, ApiServerOptions, ResourceDefinition } from '../../sandbox/api/contract.ts';
import { startApiServer } from '../../sandbox/api/server.ts';
import { kubevirtAdmission } from '../../sandbox/kubevirt/admission.ts';
import { kubevirtResources } from '../../sandbox/kubevirt/resources.ts';
import { kubevirtSubresources } from '../../sandbox/kubevirt/subresources.ts';
import { recordings } from '../recordings.ts';
import { known } from './known-differences.ts';
import { type RecordedCase, Replay } from './replay.ts';

const fixture = new URL('../../sandbox/api/fixtures/api-conformance.json', import.meta.url);

interface CustomResourceDefinition {
  readonly spec: {
    readonly versions: readonly {
      readonly schema: { readonly openAPIV3Schema: object };
      readonly additionalPrinterColumns?: ResourceDefinition['columns'];
    }[];
  };
}

/** The Widget of the recorded CustomResourceDefinition. */
function widgets(setup: RecordedCase): ResourceDefinition {
  const [definition] = setup.request.body as readonly CustomResourceDefinition[];
  const version = definition?.spec.versions[0];
  assert.ok(version?.additionalPrinterColumns !== undefined);
  return {
    group: 'apiconf.example.dev',
    versions: ['v1', 'v1alpha1'],
    kind: 'Widget',
    singular: 'widget',
    plural: 'widgets',
    namespaced: true,
    statusSubresource: true,
    custom: true,
    shortNames: ['wd'],
    categories: ['apiconf'],
    schema: version.schema.openAPIV3Schema,
    columns: version.additionalPrinterColumns,
    selectableFields: ['spec.color'],
  };
}

/** Stands in for the CEL rules of the Widget, which the server does not evaluate: what they refuse must not be stored. */
const rules: AdmissionHook = {
  group: 'apiconf.example.dev',
  plural: 'widgets',
  validate: ({ object, oldObject }) => {
    const spec = (object?.spec ?? {}) as { readonly min?: number; readonly max?: number; readonly locked?: string };
    const old = (oldObject?.spec ?? {}) as { readonly locked?: string };
    const ordered = spec.min === undefined || spec.max === undefined || spec.min <= spec.max;
    const same = old.locked === undefined || spec.locked === undefined || spec.locked === old.locked;
    return ordered && same ? undefined : { code: 422, reason: 'Invalid', message: 'refused by a rule' };
  },
};

const reader = 'system:serviceaccount:apiconf:reader';
const tokens = { admin: 'token-admin', alice: 'token-alice', reader: 'token-reader', bad: 'no-such-token' };

/** The Role of the reader. */
function authorize(asked: Parameters<NonNullable<ApiServerOptions['authorize']>>[0]): boolean {
  if (asked.groups.includes('system:masters')) return true;
  if (asked.user !== reader || asked.namespace !== 'apiconf') return false;
  if (asked.group === '' && asked.resource === 'configmaps') return ['get', 'list', 'watch'].includes(asked.verb);
  if (asked.group === '' && asked.resource === 'pods' && asked.subresource === 'exec') return asked.verb === 'get';
  return (
    asked.group === 'apiconf.example.dev' &&
    asked.resource === 'widgets' &&
    asked.subresource === undefined &&
    asked.name === 'w1' &&
    ['get', 'patch'].includes(asked.verb)
  );
}

interface Started {
  readonly api: ApiServer;
  stop(): Promise<void>;
}

/** With KubeVirt's resources and webhooks, but none of its controllers. */
async function start(setup: RecordedCase): Promise<Started> {
  let virtApi: Cluster | undefined;
  const api = await startApiServer({
    port: 0,
    resources: [widgets(setup), ...kubevirtResources],
    admission: [rules, ...kubevirtAdmission],
    subresources: kubevirtSubresources(() => {
      if (virtApi === undefined) throw new Error('virt-api is not connected');
      return virtApi;
    }),
    exec: async () => undefined,
    tokens: new Map([
      [tokens.admin, { user: 'admin', groups: ['system:masters'] }],
      [tokens.alice, { user: 'alice', groups: [] }],
      [tokens.reader, { user: reader, groups: ['system:serviceaccounts', 'system:serviceaccounts:apiconf'] }],
    ]),
    authorize,
  });
  virtApi = await connect({ server: api.url, token: tokens.admin });
  api.store.seed('', 'namespaces', { metadata: { name: 'apiconf' }, status: { phase: 'Active' } });
  api.store.seed('', 'nodes', { metadata: { name: 'node01' } });
  api.store.seed('', 'configmaps', {
    metadata: { name: 'kube-root-ca.crt', namespace: 'apiconf' },
    data: { 'ca.crt': '' },
  });
  return {
    api,
    async stop() {
      await virtApi?.close();
      await api.close();
    },
  };
}

async function conformance(cases: readonly RecordedCase[], report: (text: string) => void): Promise<void> {
  const [setup] = cases;
  assert.ok(setup !== undefined);
  const { api, stop } = await start(setup);
  try {
    const results = await new Replay(api.url, cases, tokens).run();
    const differing = [...results].filter(([, found]) => found !== undefined);
    report(`${results.size - differing.length} of ${results.size} recorded cases agree`);
    const surprising = differing.filter(([id]) => known[id] === undefined);
    assert.deepEqual(surprising, [], 'cases that differ and are not known to');
    const agreeing = Object.keys(known).filter((id) => results.has(id) && results.get(id) === undefined);
    assert.deepEqual(agreeing, [], 'cases that are known to differ, but agree');
  } finally {
    await stop();
  }
}

function load(file: URL | string): readonly RecordedCase[] {
  return JSON.parse(readFileSync(file, 'utf8')) as readonly RecordedCase[];
}

test('answers as a real kube-apiserver did', async (context) => {
  await conformance(load(fixture), (text) => context.diagnostic(text));
});

const { path: all, skip } = recordings('api-conformance.json');

test('answers as a real kube-apiserver did, all cases', { skip }, async (context) => {
  await conformance(load(all), (text) => context.diagnostic(text));
});
