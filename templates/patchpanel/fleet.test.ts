import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { loadDesired } from '../../reconcile/desired/load.ts';
import { type DesiredState, defaultSettings } from '../../reconcile/desired/model.ts';
import { faultsOf, repository } from '../../test/desired-state.ts';
import { skipJsonnet } from '../../test/jsonnet-addon.ts';

async function render(t: TestContext, code: string): Promise<DesiredState> {
  const path = await repository(t, { 'a.jsonnet': `local pp = import 'patchpanel/fleet.libsonnet';\n${code}` });
  return loadDesired({ kind: 'folder', path });
}

test('a VM with every kind of NIC, and with settings', { skip: skipJsonnet }, async (t) => {
  const { targets, settings } = await render(
    t,
    `[
      pp.settings(maxInFlight=9, restart='stage', brakes={ maxFailures: 2 }),
      pp.vm('obj', 'prod', target='db-0', pciePorts=24, attachments=[
        pp.bridge('a', 'net-a'),
        pp.bridge('b', 'other/net-b', mac='02-70-70-00-00-01', model='virtio', state='down'),
        pp.sriov('c', 'net-c', mac='02:70:70:00:00:02'),
        if false then pp.bridge('d', 'net-d'),
      ]),
    ]`,
  );
  assert.deepEqual(settings, { ...defaultSettings, maxInFlight: 9, maxFailures: 2, restart: 'stage' });
  const [vm] = targets;
  assert.deepEqual([vm?.target.namespace, vm?.target.name, vm?.pciePorts], ['prod', 'db-0', 24]);
  assert.deepEqual(
    vm?.attachments.map(({ position: _, ...attachment }) => attachment),
    [
      { name: 'a', network: { namespace: 'prod', name: 'net-a' }, binding: 'bridge', state: 'up' },
      {
        name: 'b',
        network: { namespace: 'other', name: 'net-b' },
        mac: '02:70:70:00:00:01',
        binding: 'bridge',
        model: 'virtio',
        state: 'down',
      },
      {
        name: 'c',
        network: { namespace: 'prod', name: 'net-c' },
        mac: '02:70:70:00:00:02',
        binding: 'sriov',
        state: 'up',
      },
    ],
  );
});

test('a fleet takes a list of NICs, or a function of the VM', { skip: skipJsonnet }, async (t) => {
  const listed = await render(t, "pp.fleet(pp.names('w', 2, first=5), attachments=[pp.bridge('n', 'net')])");
  assert.deepEqual(
    listed.targets.map(({ target, attachments }) => `${target.namespace}/${target.name} ${attachments[0]?.name}`),
    ['default/w5 n', 'default/w6 n'],
  );
  const made = await render(
    t,
    "pp.fleet(['a', 'b'], 'prod', function(vm, index) [pp.bridge(vm + '-nic', 'net', mac=pp.mac(index, 1))])",
  );
  assert.deepEqual(
    made.targets.map(({ attachments }) => `${attachments[0]?.name} ${attachments[0]?.mac}`),
    ['a-nic 02:70:70:00:00:01', 'b-nic 02:70:70:00:01:01'],
  );
  assert.deepEqual(
    (await faultsOf(render(t, 'pp.fleet([])'))).map(({ code }) => code),
    ['source/empty'],
  );
});

test('pods by name, by labels, and with a domain', { skip: skipJsonnet }, async (t) => {
  const { pods = [], targets } = await render(
    t,
    `[
      pp.pod('router', 'prod', repair=true, attachments=[
        pp.interface('up', 'net', interface='up0', mac='02:70:70:00:02:01', ips=['192.0.2.7/24']),
      ]),
      pp.pod('obj', 'prod', target='vnf', domain={ name: 'vnf', container: 'vm' }, attachments=[
        pp.interface('in', 'net', model='virtio', state='down'),
      ]),
      pp.pod('edges', 'prod', selector={ app: 'edge', tier: 'b' }, attachments=[pp.interface('up', 'net')]),
    ]`,
  );
  assert.deepEqual(targets, []);
  const found = pods.map(({ query, repair, domain, attachments: [nic] }) => ({
    query,
    repair,
    domain: domain?.name,
    nic: [nic?.interface.replace(/^pod.{11}$/, 'hash'), nic?.mac, nic?.ips, nic?.model, nic?.state],
  }));
  const router = { query: { namespace: 'prod', name: 'router' }, repair: true, domain: undefined };
  assert.deepEqual(
    found.toSorted((a, b) => (JSON.stringify(a.query) < JSON.stringify(b.query) ? -1 : 1)),
    [
      { ...router, nic: ['up0', '02:70:70:00:02:01', ['192.0.2.7/24'], undefined, 'up'] },
      {
        query: { namespace: 'prod', name: 'vnf' },
        repair: false,
        domain: 'vnf',
        nic: ['hash', undefined, undefined, 'virtio', 'down'],
      },
      {
        query: { namespace: 'prod', selector: 'app=edge,tier=b' },
        repair: false,
        domain: undefined,
        nic: ['up', undefined, undefined, undefined, 'up'],
      },
    ],
  );
});

test('MACs count through their bytes and stop at the end', { skip: skipJsonnet }, async (t) => {
  const macs = "[pp.mac(0, 0), pp.mac(255, 255), pp.mac(256, 0), pp.mac(65535, 16, prefix='06:00:01')]";
  const { targets } = await render(
    t,
    `pp.vm('a', attachments=[pp.bridge('n' + i, 'net', mac=${macs}[i]) for i in std.range(0, 3)])`,
  );
  assert.deepEqual(
    targets[0]?.attachments.map(({ mac }) => mac),
    ['02:70:70:00:00:00', '02:70:70:00:ff:ff', '02:70:70:01:00:00', '06:00:01:ff:ff:10'],
  );
  for (const outside of ['65536, 0', '-1, 0', '0, 256', '0, -1']) {
    const [fault] = await faultsOf(render(t, `pp.mac(${outside})`));
    assert.equal(fault?.code, 'jsonnet/runtime', outside);
  }
});
