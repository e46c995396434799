/** Which Events an API server takes, of both APIs: what a writer of Events must fill in. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubeObject, Resource } from '../reconcile/kube/cluster.ts';
import { apiFailure } from '../reconcile/kube/failures.ts';
import { events } from '../reconcile/kube/resources.ts';
import { type ClusterUnderTest, startCluster } from './cluster-under-test.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startCluster({ actors: false });
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'events' } };
  await cluster.admin.create({ group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' }, namespace);
});
after(() => cluster.stop());

const newEvents: Resource = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event' };
const vm = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', namespace: 'events', name: 'x' };
const seconds = '2026-01-05T08:00:00Z';
const micro = '2026-01-05T08:00:00.000000Z';
const legacy = { firstTimestamp: seconds, lastTimestamp: seconds, count: 1 };
const reporter = { reportingInstance: 'host', action: 'Plug' };
const core = { ...reporter, eventTime: micro, reportingComponent: 'example.dev/tool' };
const newer = { ...reporter, eventTime: micro, reportingController: 'example.dev/tool' };

/** Fields, and what is wrong with them. */
const cases: readonly (readonly [string, 'core' | 'newer', object, RegExp | undefined])[] = [
  ['as client-go of old', 'core', { ...legacy, source: { component: 'tool' } }, undefined],
  ['a reporting component without a time', 'core', { ...legacy, reportingComponent: 'tool' }, undefined],
  ['a time, with all that goes with it', 'core', core, undefined],
  ['a time without an action', 'core', { ...core, action: '' }, /^Event "e\d+" is invalid: action: Required value$/],
  [
    'a time without a reporter',
    'core',
    { eventTime: micro, action: 'Plug' },
    /reportingComponent: Required value.*reportingInstance: Required value/,
  ],
  [
    'of another namespace',
    'core',
    { involvedObject: { ...vm, namespace: 'other' } },
    /involvedObject\.namespace: .*does not match event\.namespace/,
  ],
  ['the newer API', 'newer', newer, undefined],
  ['the newer API without a time', 'newer', { ...newer, eventTime: null }, /eventTime: Required value/],
  [
    'the newer API with fields of the older one',
    'newer',
    { ...newer, deprecatedCount: 1, deprecatedSource: { component: 'tool' } },
    /\[count: Invalid value: "": needs to be unset, source: Invalid value: "": needs to be unset\]/,
  ],
];

for (const [index, [what, api, fields, refused]] of cases.entries()) {
  test(what, async () => {
    const metadata = { namespace: 'events', name: `e${index}` };
    const common = { kind: 'Event', metadata, type: 'Normal', reason: 'Plugged' };
    const object: KubeObject =
      api === 'core'
        ? { apiVersion: 'v1', ...common, message: 'm', involvedObject: vm, ...fields }
        : { apiVersion: 'events.k8s.io/v1', ...common, note: 'm', regarding: vm, ...fields };
    const created = cluster.admin.create(api === 'core' ? events : newEvents, object);
    if (refused === undefined) await created;
    else
      await assert.rejects(created, (error) => {
        const failure = apiFailure(error);
        assert.equal(failure?.status, 422);
        assert.match(failure?.message ?? '', refused);
        return true;
      });
  });
}
