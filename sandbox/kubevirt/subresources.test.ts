import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject, PatchOperation } from '../../reconcile/kube/cluster.ts';
import { decide, kubevirtSubresources } from './subresources.ts';

function vm(runStrategy: string, status: object = {}): KubeObject {
  return { metadata: { name: 'web01', namespace: 'demo' }, spec: { runStrategy }, status };
}

function vmi(phase = 'Running'): KubeObject {
  return { metadata: { name: 'web01', namespace: 'demo', uid: 'u1' }, status: { phase } };
}

test('what is refused, and in which words', () => {
  const cases = [
    ['start', 'Always', vmi(), 'VM is already running'],
    ['start', 'Manual', vmi(), 'VM is already running'],
    ['start', 'Always', undefined, 'Always does not support manual start requests'],
    ['stop', 'Halted', undefined, 'VM is not running'],
    ['stop', 'Manual', vmi('Succeeded'), 'VM is not running'],
    ['restart', 'Halted', undefined, 'RunStategy Halted does not support manual restart requests'],
    ['restart', 'Always', undefined, 'VM is not running'],
  ] as const;
  for (const [verb, strategy, instance, message] of cases)
    assert.deepEqual(decide(verb, vm(strategy), instance), { kind: 'conflict', message }, `${verb} ${strategy}`);
});

test('start and stop set the run strategy, or ask by status', () => {
  assert.deepEqual(decide('start', vm('Halted'), undefined), {
    kind: 'patch',
    patch: [
      { op: 'test', path: '/spec/runStrategy', value: 'Halted' },
      { op: 'replace', path: '/spec/runStrategy', value: 'Always' },
    ],
  });
  assert.deepEqual(decide('stop', vm('Always'), vmi()), {
    kind: 'patch',
    patch: [
      { op: 'test', path: '/spec/runStrategy', value: 'Always' },
      { op: 'replace', path: '/spec/runStrategy', value: 'Halted' },
    ],
  });
  assert.deepEqual(decide('stop', vm('Manual'), vmi()), {
    kind: 'patch',
    subresource: 'status',
    patch: [{ op: 'add', path: '/status/stateChangeRequests', value: [{ action: 'Stop', uid: 'u1' }] }],
  });
});

test('restart asks for a stop of this instance and a start', () => {
  const value = [{ action: 'Stop', uid: 'u1' }, { action: 'Start' }];
  const patch = [{ op: 'replace', path: '/status/stateChangeRequests', value }];
  const answered = decide('restart', vm('Always', { stateChangeRequests: [] }), vmi());
  assert.deepEqual(answered, { kind: 'patch', subresource: 'status', patch });
});

/** Handlers over two objects held in memory; keeps what was written. */
function handlers(...objects: readonly KubeObject[]) {
  const written: { readonly patch: readonly PatchOperation[]; readonly dryRun: boolean }[] = [];
  const byKind = new Map(objects.map((object) => ['phase' in (object.status as object) ? 'vmi' : 'vm', object]));
  const made = kubevirtSubresources(() => ({
    get: async (resource) => byKind.get(resource.plural === 'virtualmachines' ? 'vm' : 'vmi'),
    jsonPatch: async (_resource, _namespace, _name, patch, options) => {
      written.push({ patch, dryRun: options?.dryRun === true });
      return vm('Always');
    },
  }));
  const put = (verb: string, accept: string, body: unknown = {}) => {
    const handler = made.find(({ subresource }) => subresource === verb);
    assert.ok(handler);
    return handler.handle({ method: 'PUT', namespace: 'demo', name: 'web01', body, accept, user: 'admin' });
  };
  return { put, written };
}

test('JSON alone is not acceptable, a wildcard is', async () => {
  const { put, written } = handlers(vm('Halted'));
  assert.deepEqual(await put('start', 'application/json'), {
    status: 406,
    body: '406: Not Acceptable\n\nAvailable representations: ',
  });
  assert.equal(written.length, 0);
  assert.deepEqual(await put('start', '*/*'), { status: 202 });
  assert.deepEqual(await put('start', 'application/json, */*', undefined), { status: 202 });
  await put('start', '*/*', { paused: false, dryRun: ['All'] });
  assert.deepEqual(
    written.map(({ dryRun }) => dryRun),
    [false, false, true],
  );
});

test('refusals come as a Status', async () => {
  const missing = await handlers().put('start', '*/*');
  assert.deepEqual(missing, {
    status: 404,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'virtualmachine.kubevirt.io "web01" not found',
      reason: 'NotFound',
      details: { name: 'web01', group: 'kubevirt.io', kind: 'virtualmachine' },
      code: 404,
    },
  });
  const { body } = await handlers(vm('Always'), vmi()).put('start', '*/*');
  assert.match(
    JSON.stringify(body),
    /Operation cannot be fulfilled on virtualmachine.kubevirt.io \\"web01\\": VM is already running/,
  );
});
