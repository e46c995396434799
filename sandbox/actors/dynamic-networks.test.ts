/** The dynamic-networks controller and kubelet through the API, on pods that are no launchers of VMs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster, KubeObject } from '../../reconcile/kube/cluster.ts';
import { events, networkAttachmentDefinitions, pods } from '../../reconcile/kube/resources.ts';
import { networksAnnotation } from '../../reconcile/systems/multus-networks.ts';
import {
  type NetworkStatus,
  networkStatusAnnotation,
  parseNetworkStatus,
} from '../../reconcile/systems/multus-status.ts';
import { recordings } from '../../test/recordings.ts';
import { namespace as namespaceObject } from '../base-objects.ts';
import { namespaces } from '../load.ts';
import { plainPod } from '../plain-pods.ts';
import { type AssembledSandbox, assembleSandbox } from '../sandbox.ts';
import { casePod, type DynamicCase, nadsOf, outcomeOf, readDynamicCases, statusFails } from './dynamic-cases.ts';
import { sleep } from './sleep.ts';

const collected = recordings('dynamic-controller-cases.json');

function entriesOf(pod: KubeObject | undefined): readonly NetworkStatus[] {
  const parsed = parseNetworkStatus(pod?.metadata.annotations?.[networkStatusAnnotation] ?? '[]');
  return parsed.ok ? parsed.entries : [];
}

/** Network and interface of each entry; the controller leaves them in any order. */
function keysOf(status: readonly NetworkStatus[]): readonly string[] {
  return status.map(({ name, interface: nic = '' }) => `${name}/${nic}`).sort();
}

/** Events about a pod of one source, repeated ones as often as they were counted. */
async function eventsOf(cluster: Cluster, pod: KubeObject, source: string): Promise<readonly string[]> {
  const { items } = await cluster.list(events, { namespace: pod.metadata.namespace ?? '' }, (event) => event);
  return items
    .filter(({ involvedObject, source: from }) => {
      const { uid } = involvedObject as { readonly uid: string };
      return uid === pod.metadata.uid && (from as { readonly component: string }).component === source;
    })
    .flatMap(({ type, reason, message, count }) => Array(Number(count)).fill(`${type} ${reason} ${message}`))
    .sort();
}

async function createNad(cluster: Cluster, key: string, config: object = { type: 'bridge' }): Promise<void> {
  const [namespace = '', name = ''] = key.split('/');
  if ((await cluster.get(namespaces, undefined, namespace)) === undefined) {
    await cluster.create(namespaces, namespaceObject(namespace));
  }
  if ((await cluster.get(networkAttachmentDefinitions, namespace, name)) !== undefined) return;
  await cluster.create(networkAttachmentDefinitions, {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace },
    spec: { config: JSON.stringify({ cniVersion: '0.4.0', name, ...config }) },
  });
}

/** Asks until it is as it should be, and fails with the difference where it never is. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await sleep(10);
    }
  }
}

function textOf(networks: DynamicCase['networksAfter']): string {
  return typeof networks === 'string' ? networks : JSON.stringify(networks ?? []);
}

test('each case comes out on a plain pod of the sandbox as by the rules of the controller', async (context) => {
  let broken = false;
  const sandbox = await assembleSandbox({
    speed: 1000,
    wrap: (actor, cluster) => {
      if (actor !== 'dynamicNetworks') return cluster;
      const mergePatch: Cluster['mergePatch'] = (resource, ...rest) =>
        broken && resource.plural === 'pods'
          ? Promise.reject(new Error('conflict'))
          : cluster.mergePatch(resource, ...rest);
      return new Proxy(cluster, { get: (target, key) => (key === 'mergePatch' ? mergePatch : bound(target, key)) });
    },
  });
  context.after(() => sandbox.stop());
  const cases = readDynamicCases(collected.skip === false ? collected.path : undefined).filter(
    (entry) => entry.function === undefined,
  );
  for (const entry of cases) {
    broken = statusFails(entry);
    await context.test(entry.id, () => runCase(sandbox, entry));
  }
  console.log(`dynamic-networks controller: ${cases.length} cases on plain pods`);
});

/** An annotation that such a status may come from. */
function elementsIn(status: readonly NetworkStatus[]) {
  return status.flatMap(({ name: key, interface: nic = '', default: isDefault }) => {
    const [namespace = '', name] = key.split('/');
    return isDefault === true || name === undefined ? [] : [{ name, namespace, interface: nic }];
  });
}

function bound(target: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(target, key);
  return typeof value === 'function' ? value.bind(target) : value;
}

async function runCase(sandbox: AssembledSandbox, entry: DynamicCase): Promise<void> {
  const { admin, api, faults } = sandbox;
  const namespace = entry.podNamespace ?? 'default';
  for (const key of nadsOf(entry)) await createNad(admin, key);
  if ((await admin.get(namespaces, undefined, namespace)) === undefined) {
    await admin.create(namespaces, namespaceObject(namespace));
  }
  faults.set(
    (entry.cniFailures ?? []).flatMap((call) => {
      const [verb, nic = ''] = call.split(' ');
      const name = verb === 'ADD' ? 'cni-add-fails' : 'cni-del-fails';
      return [...nadsOf(entry)].map((key) => ({ name, value: `${key}@${nic}` }) as const);
    }),
  );
  const { group, plural, object } = plainPod({
    namespace,
    name: casePod,
    networks: textOf(entry.networksBefore ?? elementsIn(entry.statusBefore)),
    status: entry.statusBefore,
    hostNetwork: entry.hostNetwork === true,
  });
  // A new pod of an old name: a deleted one would be remembered by its UID.
  const uid = `${entry.id}-uid`;
  const pod = api.store.seed(group, plural, { ...object, metadata: { ...object.metadata, uid } });
  const expected = await outcomeOf(entry);
  const edit = (value: string): Promise<KubeObject> =>
    admin.mergePatch(pods, namespace, casePod, { metadata: { annotations: { [networksAnnotation]: value } } });
  await edit(textOf(entry.networksAfter));
  const wanted = expected.events.map(({ type, reason, message }) => `${type} ${reason} ${message}`).sort();
  if (wanted.length === 0) {
    // Nothing is to happen; that it did not shows when the next edit was acted on.
    await createNad(admin, `${namespace}/sentinel`);
    const elements = [...JSON.parse(textOf(entry.networksAfter)), { name: 'sentinel', namespace, interface: 'last0' }];
    await edit(JSON.stringify(elements));
    wanted.push(`Normal AddedInterface pod [${namespace}/${casePod}]: added interface last0 to network: sentinel`);
  }
  await eventually(async () => {
    assert.deepEqual(await eventsOf(admin, pod, 'pod-networks-updates'), wanted);
  });
  const after = await admin.get(pods, namespace, casePod);
  if (entry.hostNetwork !== true) {
    const shown = entriesOf(after).filter(({ interface: nic }) => nic !== 'last0');
    assert.deepEqual(keysOf(shown), keysOf(expected.status));
    const unchanged = entry.statusBefore.filter((one) => one.default === true);
    assert.deepEqual(
      shown.filter((one) => one.default === true).map(({ interface: nic }) => nic),
      unchanged.map(({ interface: nic }) => nic),
    );
  }
  await admin.delete(pods, namespace, casePod, { gracePeriodSeconds: 0 });
}

test('kubelet starts a plain pod with its networks, and says what keeps it from starting', async (context) => {
  const sandbox = await assembleSandbox({ speed: 100 });
  context.after(() => sandbox.stop());
  const { admin } = sandbox;
  const create = (name: string, networks: string, spec: object = {}): Promise<KubeObject> =>
    admin.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        namespace: 'demo',
        annotations: { [networksAnnotation]: networks },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'set', uid: 'set-uid', controller: true },
        ],
      },
      spec: {
        containers: [
          { name: 'one', image: 'one' },
          { name: 'two', image: 'two' },
        ],
        ...spec,
      },
    });
  const named = { name: 'mgmt-net', interface: 'data0', mac: '02:00:00:00:00:07' };
  const one = await create('one', JSON.stringify([named, { name: 'storage-net' }]));
  await eventually(async () => {
    const pod = await admin.get(pods, 'demo', 'one');
    const { conditions, containerStatuses, podIP } = (pod?.status ?? {}) as Record<
      string,
      { readonly [key: string]: string }[]
    >;
    assert.equal(conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
    assert.equal(
      conditions.some(({ type }) => type === 'kubevirt.io/virtual-machine-unpaused'),
      false,
    );
    assert.deepEqual(
      containerStatuses?.map(({ name }) => name),
      ['one', 'two'],
    );
    const [first, ...rest] = entriesOf(pod);
    assert.deepEqual([first?.interface, first?.default, first?.ips], ['eth0', true, [podIP]]);
    assert.deepEqual(
      rest.map(({ name, interface: nic }) => [name, nic]),
      [
        ['demo/mgmt-net', 'data0'],
        ['demo/storage-net', 'net2'],
      ],
    );
    assert.equal(rest[0]?.mac, named.mac);
    assert.equal(pod?.metadata.ownerReferences?.[0]?.kind, 'StatefulSet');
  });
  await eventually(async () => {
    assert.equal((await eventsOf(admin, one, 'multus')).length, 3);
  });

  const missing = await create('missing', 'no-such-net');
  await eventually(async () => {
    const [said = ''] = await eventsOf(admin, missing, 'kubelet');
    assert.match(said, /FailedCreatePodSandBox .*network-attachment-definition \(no-such-net\) in namespace \(demo\)/);
  });
  await createNad(admin, 'demo/no-such-net');
  const twice = await create('twice', 'mgmt-net@net1,storage-net@net1');
  await eventually(async () => {
    const status = (await admin.get(pods, 'demo', 'missing'))?.status as { readonly phase?: string } | undefined;
    assert.equal(status?.phase, 'Running');
    assert.match((await eventsOf(admin, twice, 'kubelet')).join(), /interface name net1 already exists/);
  });

  await create('host', 'mgmt-net@net1', { hostNetwork: true });
  await eventually(async () => {
    const pod = await admin.get(pods, 'demo', 'host');
    const { podIP, hostIP } = (pod?.status ?? {}) as { readonly podIP?: string; readonly hostIP?: string };
    assert.ok(podIP !== undefined && podIP === hostIP);
    assert.equal(pod?.metadata.annotations?.[networkStatusAnnotation], undefined);
  });
});

test('the demonstration has plain pods, and a NIC can be hot-plugged into one', async (context) => {
  const sandbox = await assembleSandbox({ speed: 100 });
  context.after(() => sandbox.stop());
  const { admin } = sandbox;
  const router = await admin.get(pods, 'demo', 'router-0');
  assert.deepEqual(keysOf(entriesOf(router)), ['demo/mgmt-net/net1', 'k8s-pod-network/eth0']);
  const networks = JSON.parse(router?.metadata.annotations?.[networksAnnotation] ?? '') as object[];
  const value = JSON.stringify([...networks, { name: 'storage-net', namespace: 'demo', interface: 'net2' }]);
  await admin.mergePatch(pods, 'demo', 'router-0', { metadata: { annotations: { [networksAnnotation]: value } } });
  await eventually(async () => {
    const keys = keysOf(entriesOf(await admin.get(pods, 'demo', 'router-0')));
    assert.deepEqual(keys, ['demo/mgmt-net/net1', 'demo/storage-net/net2', 'k8s-pod-network/eth0']);
  });
});
