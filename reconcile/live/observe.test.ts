import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Answer, serve } from '../../test/list-server.ts';
import type { KubeObject } from '../kube/cluster.ts';
import { hasPortField, readClusterFacts } from './cluster-facts.ts';
import { observe } from './observe.ts';

interface Objects {
  readonly vm: KubeObject;
  readonly vmi: KubeObject;
  readonly pods: readonly KubeObject[];
}
const settled = JSON.parse(readFileSync(new URL('fixtures/settled-vms.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Objects>
>;

function nad(
  namespace: string,
  name: string,
  config = '{"cniVersion":"0.3.1","name":"x","type":"bridge"}',
): KubeObject {
  return { metadata: { namespace, name, uid: `${namespace}-${name}` }, spec: { config } };
}

const recorded = Object.values(settled);
const objects = {
  virtualmachines: recorded.map(({ vm }) => vm),
  virtualmachineinstances: recorded.map(({ vmi }) => vmi),
  pods: recorded.flatMap(({ pods }) => pods),
  'network-attachment-definitions': [nad('flow-08', 'vlan20'), nad('flow-08', 'broken', '{'), nad('infra', 'storage')],
};
const swapped = { namespace: 'flow-08', name: 'web01' };

test('the wanted VMs come joined with what runs them, over several pages', async () => {
  const { cluster, asked } = await serve(objects);
  const { vms, networks } = await observe(
    cluster,
    {
      targets: [swapped, { namespace: 'flow-08', name: 'missing' }],
      networks: [{ namespace: 'infra', name: 'storage' }],
    },
    { domainXml: 'auto' },
  );
  assert.deepEqual([...vms.keys()], ['flow-08/web01']);
  const live = vms.get('flow-08/web01');
  assert.equal(live?.vmi?.phase, 'Running');
  assert.equal(live?.pod?.name, 'virt-launcher-web01-c66bm');
  assert.deepEqual([...networks.keys()], ['flow-08/broken', 'flow-08/vlan20', 'infra/storage']);
  assert.equal(networks.get('flow-08/vlan20')?.problem, undefined);
  assert.equal(networks.get('flow-08/vlan20')?.pluginType, 'bridge');
  assert.ok(networks.get('flow-08/broken')?.problem);
  assert.ok(asked.every((path) => !path.endsWith('/namespaces/flow-08/secrets')));
  assert.deepEqual(
    asked.filter((path) => path.includes('/pods')),
    ['/api/v1/namespaces/flow-08/pods'],
  );
});

test('many namespaces are read by one list of the cluster, where that is permitted', async () => {
  const targets = Array.from({ length: 20 }, (_, i) => ({
    namespace: `flow-${String(i).padStart(2, '0')}`,
    name: 'web01',
  }));
  const wide = await serve(objects);
  const narrow = await serve(objects, false);
  const [one, other] = await Promise.all([
    observe(wide.cluster, { targets }, { domainXml: 'auto' }),
    observe(narrow.cluster, { targets }, { domainXml: 'auto' }),
  ]);
  assert.deepEqual(one.vms, other.vms);
  assert.ok(one.vms.size >= 3);
  // One list, and the hints of where VMs that are not there may be: at most ten.
  const missing = targets.length - one.vms.size;
  const lists = wide.asked.filter((path) => path === '/apis/kubevirt.io/v1/virtualmachines');
  assert.equal(lists.length, 1 + Math.min(10, missing));
  assert.equal(wide.asked.filter((path) => path.startsWith('/apis/kubevirt.io/v1/namespaces/')).length, 0);
  assert.ok(wide.asked.includes('/apis/kubevirt.io/v1/virtualmachines next'));
});

test('MACs of all VMs of the namespace are known; of two holders the foreign one is told', async () => {
  const iface = (macAddress: string) => ({ name: 'blue', bridge: {}, macAddress });
  const vm = (name: string, ...macs: string[]): KubeObject => ({
    metadata: { name, namespace: 'prod' },
    spec: { template: { spec: { domain: { devices: { interfaces: macs.map(iface) } } } } },
  });
  const { cluster } = await serve({
    virtualmachines: [vm('a', '02:00:00:00:00:01'), vm('b', '02-00-00-00-00-01', '02:00:00:00:00:02'), vm('c')],
  });
  const { macs, vms } = await observe(cluster, { targets: [{ namespace: 'prod', name: 'a' }] }, { domainXml: 'auto' });
  assert.deepEqual([...vms.keys()], ['prod/a']);
  assert.deepEqual(
    [...macs],
    [
      ['02:00:00:00:00:01', 'prod/b/blue'],
      ['02:00:00:00:00:02', 'prod/b/blue'],
    ],
  );
});

test('VMs that nobody asked for are told of where they have NICs that patchpanel plugged', async () => {
  const vm = (name: string, owned?: string): KubeObject => ({
    metadata: {
      name,
      namespace: 'prod',
      annotations: owned === undefined ? {} : { 'patchpanel.dev/owned-attachments': owned },
    },
    spec: {
      template: {
        spec: {
          networks: ['blue', 'red'].map((nic) => ({ name: nic, multus: { networkName: nic } })),
          domain: { devices: { interfaces: ['blue', 'red'].map((nic) => ({ name: nic, bridge: {} })) } },
        },
      },
    },
  });
  const { cluster } = await serve({
    virtualmachines: [
      vm('a', '["blue"]'),
      vm('d', '["blue","gone"]'),
      vm('b'),
      vm('c', '["red","blue"]'),
      vm('e', '[]'),
    ],
  });
  const { undeclared } = await observe(cluster, { targets: [{ namespace: 'prod', name: 'a' }] }, { domainXml: 'auto' });
  assert.deepEqual(undeclared, [
    { namespace: 'prod', name: 'c', owned: ['blue', 'red'] },
    { namespace: 'prod', name: 'd', owned: ['blue'] },
  ]);
});

test('no kubevirt.io in the cluster', async () => {
  const { cluster } = await serve({ virtualmachines: 404 });
  await assert.rejects(observe(cluster, { targets: [swapped] }, { domainXml: 'auto' }), {
    code: 'cluster/no-kubevirt',
  });
});

test('no right to list VMs', async () => {
  const { cluster } = await serve({ virtualmachines: 403 });
  await assert.rejects(observe(cluster, { targets: [swapped] }, { domainXml: 'auto' }), {
    code: 'cluster/forbidden',
    message: /no permission to list virtualmachines in namespace flow-08/,
  });
});

test('a cluster without NADs', async () => {
  const { cluster } = await serve({ ...objects, 'network-attachment-definitions': 404 });
  const { networks } = await observe(cluster, { targets: [swapped] }, { domainXml: 'auto' });
  assert.equal(networks.size, 0);
});

const controller = (name: string, labels: Record<string, string>, numberReady: number): KubeObject => ({
  metadata: { namespace: 'kube-system', name, labels },
  status: { numberReady, desiredNumberScheduled: 3 },
});
const deliveries: readonly { name: string; daemonsets: Answer; delivery: string; evidence: string }[] = [
  {
    name: 'by label',
    daemonsets: [controller('dnc', { app: 'multus-dynamic-networks-controller' }, 3)],
    delivery: 'in-place',
    evidence: 'DaemonSet kube-system/dnc',
  },
  {
    name: 'by name',
    daemonsets: [controller('dynamic-networks-controller-ds', {}, 2)],
    delivery: 'in-place',
    evidence: 'DaemonSet kube-system/dynamic-networks-controller-ds, ready on 2 of 3 nodes',
  },
  {
    name: 'ready nowhere',
    daemonsets: [controller('dnc', { app: 'dynamic-networks-controller' }, 0)],
    delivery: 'migration',
    evidence: 'DaemonSet kube-system/dnc, ready on 0 of 3 nodes',
  },
  {
    name: 'not there',
    daemonsets: [controller('kube-multus-ds', { app: 'multus' }, 3)],
    delivery: 'migration',
    evidence: 'no DaemonSet of the dynamic-networks controller',
  },
  {
    name: 'hidden',
    daemonsets: 403,
    delivery: 'in-place',
    evidence: 'assumed: no permission to list daemonsets',
  },
];
for (const { name, daemonsets, delivery, evidence } of deliveries) {
  test(`the dynamic-networks controller: ${name}`, async () => {
    const facts = await readClusterFacts((await serve({ daemonsets })).cluster);
    assert.deepEqual([facts.delivery, facts.deliveryEvidence], [delivery, evidence]);
  });
}

test("KubeVirt's configuration, or nothing where it is hidden", async () => {
  const kubevirt = {
    metadata: { name: 'kubevirt', namespace: 'kubevirt' },
    spec: {
      workloadUpdateStrategy: { workloadUpdateMethods: ['LiveMigrate'] },
      configuration: {
        network: { binding: { passt: {}, macvtap: {} } },
        developerConfiguration: { featureGates: ['Sidecar', 'Other'] },
      },
    },
    status: { observedKubeVirtVersion: 'v1.9.0' },
  };
  const {
    server: _,
    delivery: _d,
    deliveryEvidence: _e,
    ...facts
  } = await readClusterFacts((await serve({ kubevirts: [kubevirt] })).cluster);
  assert.deepEqual(facts, {
    kubevirtVersion: 'v1.9.0',
    liveMigrateEnabled: true,
    sidecarGate: true,
    bindingPlugins: ['macvtap', 'passt'],
  });
  const hidden = await readClusterFacts((await serve({ kubevirts: 403 })).cluster);
  assert.deepEqual(
    [hidden.kubevirtVersion, hidden.liveMigrateEnabled, hidden.bindingPlugins, hidden.sidecarGate],
    Array(4).fill(undefined),
  );
});

test('a feature gate that is listed as disabled is off', async () => {
  for (const [gates, on] of [
    [{}, false],
    [{ featureGates: ['Sidecar'], disabledFeatureGates: ['Sidecar'] }, false],
    [{ featureGates: ['Sidecar'] }, true],
  ] as const) {
    const kubevirt = { metadata: { name: 'kubevirt' }, spec: { configuration: { developerConfiguration: gates } } };
    assert.equal((await readClusterFacts((await serve({ kubevirts: [kubevirt] })).cluster)).sidecarGate, on);
  }
});

test('the OpenAPI document is read where a number of ports is declared, and only there', async () => {
  const { cluster, asked } = await serve({ virtualmachines: 403 });
  const openApi = () => asked.filter((path) => path.startsWith('/openapi'));
  assert.equal((await readClusterFacts(cluster)).portField, undefined);
  assert.deepEqual(openApi(), []);
  assert.equal((await readClusterFacts(cluster, { portField: true })).portField, false);
  assert.deepEqual(openApi(), ['/openapi/v3/apis/kubevirt.io/v1']);
  for (const status of [403, 404] as const) {
    const hidden = (await serve({ v1: status })).cluster;
    assert.equal((await readClusterFacts(hidden, { portField: true })).portField, false);
  }
});

function machine(devices: object): object {
  const nested = ['devices', 'domain', 'spec', 'template', 'spec'].reduce<object>(
    (inner, key) => ({ type: 'object', properties: { [key]: inner } }),
    devices,
  );
  return {
    ...nested,
    'x-kubernetes-group-version-kind': [{ group: 'kubevirt.io', kind: 'VirtualMachine', version: 'v1' }],
  };
}

test('the field is found in the schema of a VirtualMachine, inline or by reference', () => {
  const field = { properties: { numberPciPorts: { type: 'integer' } } };
  const other = { ...machine(field), 'x-kubernetes-group-version-kind': [{ kind: 'VirtualMachineInstance' }] };
  const reference = { $ref: '#/components/schemas/io.kubevirt.Devices' };
  for (const [schemas, has] of [
    [{ vm: machine(field) }, true],
    [{ vm: machine({ properties: { interfaces: {} } }) }, false],
    [{ vm: machine({}), vmi: other }, false],
    [{ vm: machine(reference), 'io.kubevirt.Devices': field }, true],
    [{ vm: machine({ allOf: [reference], default: {} }), 'io.kubevirt.Devices': field }, true],
    [{}, false],
  ] as const) {
    assert.equal(hasPortField({ components: { schemas } }), has, JSON.stringify(schemas));
  }
  assert.equal(hasPortField('not found'), false);
});

test('a VM that is not there is looked for in other namespaces, where that is permitted', async () => {
  const targets = [{ namespace: 'flow-99', name: 'web01' }];
  const wide = await serve(objects);
  const { namesakes } = await observe(wide.cluster, { targets }, { domainXml: 'auto' });
  const found = namesakes?.get('flow-99/web01')?.map(({ namespace }) => namespace) ?? [];
  assert.ok(found.includes('flow-08'), found.join());
  const narrow = await serve(objects, false);
  const none = await observe(narrow.cluster, { targets }, { domainXml: 'auto' });
  assert.equal(none.namesakes, undefined);
});
