import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { recordings } from '../../test/recordings.ts';
import { launchDomain } from '../node/kubevirt-domain.ts';
import { freePorts } from '../node/pci-placement.ts';
import { kubevirtAdmission } from './admission.ts';
import { demoDatabasePorts, demoSeeds, fleetSeeds, plant } from './fleet.ts';
import { kubevirtResources } from './resources.ts';
import type { Schema } from './schema.ts';
import { type Seed, settledVm } from './seed.ts';

const nics = [
  { name: 'blue', network: 'vlan10', mac: '02:00:00:00:0a:01' },
  { name: 'red', network: 'other/vlan20' },
];
const [vm, vmi, pod] = settledVm({ namespace: 'demo', name: 'web-0', nics }).map(({ object }) => object);

test('VM, VMI and pod belong together', () => {
  assert.equal(vmi?.metadata.ownerReferences?.[0]?.uid, vm?.metadata.uid);
  assert.equal(pod?.metadata.ownerReferences?.[0]?.uid, vmi?.metadata.uid);
  assert.equal(pod?.metadata.labels?.['kubevirt.io/created-by'], vmi?.metadata.uid);
  assert.equal(fields(pod?.spec).nodeName, fields(vmi?.status).nodeName);
  assert.deepEqual(Object.keys(fields(fields(vmi?.status).activePods)), [pod?.metadata.uid]);
  assert.deepEqual(fields(vmi?.spec).networks, fields(fields(fields(vm?.spec).template).spec).networks);
});

test('every layer shows the same NICs', () => {
  const annotations = pod?.metadata.annotations ?? {};
  assert.deepEqual(JSON.parse(annotations['k8s.v1.cni.cncf.io/networks'] ?? ''), [
    { name: 'vlan10', namespace: 'demo', mac: '02:00:00:00:0a:01', interface: 'pod16477688c0e' },
    { name: 'vlan20', namespace: 'other', interface: 'podb1f51a511f1' },
  ]);
  const status = items(JSON.parse(annotations['k8s.v1.cni.cncf.io/network-status'] ?? '[]')).map(fields);
  assert.deepEqual(
    status.map(({ name, interface: pod }) => [name, pod]),
    [
      ['k8s-pod-network', 'eth0'],
      ['demo/vlan10', 'pod16477688c0e'],
      ['other/vlan20', 'podb1f51a511f1'],
    ],
  );
  assert.equal(status[1]?.mac, '02:00:00:00:0a:01');
  const shown = items(fields(vmi?.status).interfaces).map(fields);
  assert.deepEqual(
    shown.map(({ name, podInterfaceName }) => [name, podInterfaceName]),
    [
      ['default', 'eth0'],
      ['blue', 'pod16477688c0e'],
      ['red', 'podb1f51a511f1'],
    ],
  );
});

test('the same input gives the same objects', () => {
  assert.deepEqual(
    settledVm({ namespace: 'demo', name: 'web-0', nics }).map(({ object }) => object),
    [vm, vmi, pod],
  );
});

/** Paths of fields that the schema would prune. */
function unknownFields(value: unknown, schema: Schema, at = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => unknownFields(item, schema.items ?? {}, `${at}[]`));
  const { properties } = schema;
  if (!properties) return [];
  return Object.entries(fields(value)).flatMap(([key, entry]) => {
    const inner = properties[key];
    return inner ? unknownFields(entry, inner, `${at}.${key}`) : [`${at}.${key}`];
  });
}

test('schemas know every field, and the webhooks would admit the VM', () => {
  for (const { group, plural, object } of settledVm({ namespace: 'demo', name: 'web-0', nics })) {
    const definition = kubevirtResources.find((one) => one.group === group && one.plural === plural);
    if (!definition) continue;
    const { metadata: _, ...rest } = object;
    assert.deepEqual(unknownFields(rest, definition.schema as Schema), []);
    const hook = kubevirtAdmission.find((one) => one.plural === plural);
    const request = {
      operation: 'CREATE',
      resource: definition,
      name: 'web-0',
      object,
      user: 'x',
      dryRun: false,
    } as const;
    assert.equal(hook?.refuse?.(request), undefined);
    assert.equal(hook?.validate?.(request), undefined);
  }
});

function domainOf(seeds: readonly Seed[], name: string): ReturnType<typeof launchDomain> {
  const found = seeds.find(
    ({ plural, object }) => plural === 'virtualmachineinstances' && object.metadata.name === name,
  );
  assert.ok(found, name);
  return launchDomain(found.object);
}

test('the demonstration has VMs with few and with many ports', () => {
  const seeds = demoSeeds();
  assert.equal(freePorts(domainOf(seeds, 'web-0').devices).length, 4);
  assert.equal(freePorts(domainOf(seeds, 'web-1').devices).length, 4);
  const database = domainOf(seeds, 'db-0');
  const ports = database.devices.filter((device) => device.kind === 'pci' && device.model === 'pcie-root-port');
  assert.equal(ports.length, demoDatabasePorts);
  const networks = seeds.filter(({ plural }) => plural === 'network-attachment-definitions');
  for (const { object } of networks) {
    const config = fields(JSON.parse(String(fields(object.spec).config)));
    assert.equal(config.type, 'bridge');
    assert.ok(String(config.bridge).length <= 15);
  }
  assert.ok(networks.some(({ object }) => object.metadata.name === 'storage-net'));
});

test('VMs that are seeded for a sandbox began when it did', () => {
  const created = '2026-11-24T12:00:00Z';
  const running = [...demoSeeds(created), ...fleetSeeds({ count: 2, created })].filter(
    ({ plural }) => plural === 'virtualmachines' || plural === 'virtualmachineinstances' || plural === 'pods',
  );
  assert.equal(running.length, 5 * 3);
  for (const { object } of running) assert.equal(object.metadata.creationTimestamp, created);
});

test('a fleet has as many VMs as asked for, no MAC and no name twice', () => {
  const stored: KubeObject[] = [];
  const planted = plant(
    {
      seed: (_group, _plural, object) => {
        stored.push(object);
        return object;
      },
    },
    fleetSeeds({ count: 12, nics: 3 }),
  );
  assert.equal(planted, 1 + 3 + 12 * 3);
  const names = stored.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.equal(new Set(names).size, names.length);
  const macs = stored
    .filter(({ kind }) => kind === 'VirtualMachineInstance')
    .flatMap(({ status }) => items(fields(status).interfaces).map((entry) => fields(entry).mac));
  assert.equal(macs.length, 12 * 4);
  assert.equal(new Set(macs).size, macs.length);
});

/** Paths of an object, list indexes aside. */
function paths(value: unknown, at = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => paths(item, `${at}[]`));
  const entries = Object.entries(fields(value));
  return entries.length === 0 ? [at] : entries.flatMap(([key, entry]) => paths(entry, `${at}.${key}`));
}

const { path: file, skip } = recordings('kubevirt-flow', '02-plug-one-bridge-nic.json');

test('the objects have the shape of recorded ones', { skip }, () => {
  const { final } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly final: { readonly vm: object; readonly vmi: object; readonly pods: readonly object[] };
  };
  const mine = settledVm({ namespace: 'flow-02', name: 'web01', nics: [{ name: 'blue', network: 'vlan10' }] });
  const own = /resourceVersion|managedFields|activePods|\.rng$|mountPropagation/;
  for (const [index, recorded] of [final.vm, final.vmi, final.pods[0]].entries()) {
    const shape = (object: unknown): readonly string[] =>
      [...new Set(paths(object))].filter((at) => !own.test(at)).toSorted();
    assert.deepEqual(shape(mine[index]?.object), shape(recorded));
  }
});
