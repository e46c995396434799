import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, serve } from '../../test/list-server.ts';
import type { KubeObject } from '../kube/cluster.ts';
import { networksAnnotation } from '../systems/multus-networks.ts';
import { networkStatusAnnotation } from '../systems/multus-status.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import type { LiveTargetPod } from './pod-model.ts';
import { readOwnedInterfaces, readPods } from './pods.ts';

const now = () => Date.parse('2026-03-01T12:00:00Z');

interface PodParts {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
}

function object({ name = 'p', labels = {}, annotations = {}, metadata = {}, spec = {}, status = {} }: PodParts) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'prod', name, uid: `uid-${name}`, labels, annotations, ...metadata },
    spec: { nodeName: 'node01', ...spec },
    status: { phase: 'Running', containerStatuses: [{ state: { running: {} } }], ...status },
  } as KubeObject;
}

const wish = { key: 'k', namespace: 'prod' };

async function readAll(pods: readonly KubeObject[], more: Readonly<Record<string, Answer>> = {}) {
  const { cluster, asked } = await serve({ pods, ...more });
  const found = await readPods(cluster, [wish], { exec: false, now });
  return { pods: found?.byQuery.get('k') ?? [], asked };
}

async function read(parts: PodParts, more: Readonly<Record<string, Answer>> = {}): Promise<LiveTargetPod> {
  const [pod] = (await readAll([object(parts)], more)).pods;
  assert.ok(pod !== undefined);
  return pod;
}

test('without a wish nothing is asked', async () => {
  const { cluster, asked } = await serve({});
  assert.equal(await readPods(cluster, [], { exec: true, now }), undefined);
  assert.deepEqual(asked, []);
});

test('pods of several pages by name, each with annotation, network-status and record', async () => {
  const network = { namespace: 'prod', name: 'lan' };
  const annotations = {
    [networksAnnotation]: 'lan@red',
    [networkStatusAnnotation]: '[{"name":"prod/lan","interface":"red","dns":{}}]',
    [ownedAnnotation]: JSON.stringify([{ name: 'red', network, interface: 'red' }, { name: 'odd' }, 7]),
  };
  const names = ['c', 'a', 'b'];
  const { pods } = await readAll(names.map((name) => object({ name, annotations })));
  assert.deepEqual(
    pods.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  const [pod] = pods;
  assert.ok(
    pod !== undefined && !('problem' in pod.networks) && pod.status !== undefined && !('problem' in pod.status),
  );
  assert.deepEqual(
    pod.networks.map(({ name, interface: iface }) => [name, iface]),
    [['lan', 'red']],
  );
  assert.deepEqual(
    pod.status.map(({ interface: iface }) => iface),
    ['red'],
  );
  assert.deepEqual(pod.owned, [{ name: 'red', network, interface: 'red' }]);
});

test('annotations that can not be read say so, and a record that can not owns nothing', async () => {
  const pod = await read({
    annotations: { [networksAnnotation]: '[null]', [networkStatusAnnotation]: '{', [ownedAnnotation]: '{' },
  });
  assert.ok('problem' in pod.networks);
  assert.ok(pod.status !== undefined && 'problem' in pod.status);
  assert.deepEqual(pod.owned, []);
  assert.equal((await read({})).status, undefined);
});

test('events of the controller in their order, by UID of the pod; none that others wrote', async () => {
  const event = (at: string, version: string, reason: string, message: string, uid = 'uid-p') =>
    ({
      metadata: { namespace: 'prod', name: `e${version}`, resourceVersion: version },
      reason,
      message,
      involvedObject: { uid },
      lastTimestamp: at,
    }) as KubeObject;
  const [first, later] = ['2026-03-01T11:00:00Z', '2026-03-01T11:00:01Z'];
  const added = 'pod [prod/p]: added interface red to network: lan(ips: [], mac: 02:00:00:00:00:01, cni-args: <nil>)';
  const events = [
    event(later, '5', 'RemovedInterface', 'pod [prod/p]: removed interface red from network: lan'),
    event(first, '9', 'FailedAddingInterface', 'pod [prod/p]: failed adding interface red to network: lan'),
    event(first, '4', 'AddedInterface', added),
    event(first, '6', 'AddedInterface', 'Add eth0 [10.0.0.1/24] from cbr0'),
    event(first, '7', 'AddedInterface', added, 'another'),
    event(first, '8', 'Pulled', 'image'),
  ];
  const annotations = { [networksAnnotation]: '' };
  const pod = await read({ annotations }, { events });
  const of = { interface: 'red', network: 'lan' };
  assert.deepEqual(pod.events, [
    { reason: 'AddedInterface', ...of },
    { reason: 'FailedAddingInterface', ...of },
    { reason: 'RemovedInterface', ...of },
  ]);
  assert.equal((await read({ annotations }, { events: 403 })).events, undefined);
  const { pods, asked } = await readAll([object({})], { events });
  assert.deepEqual(pods[0]?.events, []);
  assert.ok(!asked.some((path) => path.endsWith('/events')), 'nobody reported on a pod that never had the annotation');
});

test('what a pod is, and whose', async () => {
  assert.deepEqual((await read({})).owners, []);
  const owner = (kind: string, name: string) => ({ ownerReferences: [{ kind, name, controller: true }] });
  const hashed = { labels: { 'pod-template-hash': '6c9f' }, metadata: owner('ReplicaSet', 'web-6c9f') };
  assert.deepEqual((await read(hashed)).owners, [
    { kind: 'ReplicaSet', name: 'web-6c9f' },
    { kind: 'Deployment', name: 'web' },
  ]);
  assert.deepEqual((await read({ metadata: owner('ReplicaSet', 'bare') })).owners, [
    { kind: 'ReplicaSet', name: 'bare' },
  ]);
  assert.deepEqual((await read({ metadata: owner('StatefulSet', 'db') })).owners, [
    { kind: 'StatefulSet', name: 'db' },
  ]);
  assert.equal((await read({ annotations: { 'kubernetes.io/config.mirror': 'x' } })).mirror, true);
  assert.equal((await read({ spec: { hostNetwork: true } })).hostNetwork, true);
  assert.equal((await read({ metadata: { deletionTimestamp: '2026-03-01T11:00:00Z' } })).deleting, true);
  assert.equal((await read({ status: { containerStatuses: [{ state: { waiting: {} } }] } })).running, false);
});

test('a launcher, with the release of its image', async () => {
  const compute = (image: string) => ({ containers: [{ name: 'compute', image }] });
  const labels = { 'kubevirt.io': 'virt-launcher' };
  const annotations = { 'kubevirt.io/domain': 'db' };
  const tagged = await read({ labels, annotations, spec: compute('quay.io/kubevirt/virt-launcher:v0.59.2') });
  assert.deepEqual(tagged.launcher, { vmi: 'db', version: 'v0.59.2' });
  const digest = await read({ labels, annotations, spec: compute('quay.io/kubevirt/virt-launcher@sha256:00') });
  assert.deepEqual(digest.launcher, { vmi: 'db' });
  assert.equal((await read({})).launcher, undefined);
});

test('a primary network of OVN-Kubernetes, by network-status or by its own annotation', async () => {
  const status = '[{"name":"ovn-kubernetes","interface":"ovn-udn1","default":true,"dns":{}}]';
  assert.equal((await read({ annotations: { [networkStatusAnnotation]: status } })).primaryUdn, true);
  const networks = (role: string) => ({ 'k8s.ovn.org/pod-networks': `{"default":{},"prod/udn":{"role":"${role}"}}` });
  assert.equal((await read({ annotations: networks('primary') })).primaryUdn, true);
  assert.equal((await read({ annotations: networks('secondary') })).primaryUdn, false);
  assert.equal((await read({ annotations: { 'k8s.ovn.org/pod-networks': '{' } })).primaryUdn, false);
});

test('a change may be on its way for half a minute after the annotation was written', async () => {
  const written = (time: string, name = networksAnnotation) => ({
    metadata: { managedFields: [{ time, fieldsV1: { 'f:metadata': { 'f:annotations': { [`f:${name}`]: {} } } } }] },
  });
  assert.equal((await read(written('2026-03-01T11:59:40Z'))).settling, true);
  assert.equal((await read(written('2026-03-01T11:59:00Z'))).settling, false);
  assert.equal((await read(written('2026-03-01T11:59:40Z', 'other'))).settling, false);
});

test('the record of a pod, and those that can not be read', () => {
  const kept = [{ name: 'red', network: { namespace: 'prod', name: 'red-net' }, interface: 'red', domain: 'guest' }];
  assert.deepEqual(readOwnedInterfaces(JSON.stringify(kept)), kept);
  for (const raw of [undefined, '', '{', '{}', '["red"]', '[{"name":"red"}]'])
    assert.deepEqual(readOwnedInterfaces(raw), []);
});
