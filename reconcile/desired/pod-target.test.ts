import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOf, repository, vmYaml } from '../../test/desired-state.ts';
import { podInterfaceName } from '../systems/kubevirt-names.ts';
import { loadDesired } from './load.ts';
import type { DesiredPods, DesiredState } from './model.ts';

function load(path: string): Promise<DesiredState> {
  return loadDesired({ kind: 'folder', path });
}

const head = 'target: {kind: Pod}\nattachments:\n';

test('a pod by name, by selector, and with a domain', async (t) => {
  const folder = await repository(t, {
    'a.yaml': vmYaml(
      'edge',
      'target: {kind: Pod}\nrepair: true\nattachments:\n  - {name: mgmt, network: other/mgmt, ips: [192.0.2.7/24], mac: 02-00-00-00-00-0A}\n  - {name: much-too-long-for-linux, network: n, interface: lan}',
    ),
    'b.yaml': vmYaml(
      'b',
      'target:\n  kind: Pod\n  selector:\n    matchLabels: {tier: web, app: x}\n    matchExpressions:\n      - {key: zone, operator: In, values: [b, a]}\n      - {key: old, operator: DoesNotExist}\nattachments: []',
    ),
    'c.yaml': vmYaml(
      'vm',
      'target: {kind: Pod, domain: {name: d, container: vm}}\nattachments:\n  - {name: a-long-attachment-name, network: n, model: e1000e, state: down}',
    ),
  });
  const { pods = [], targets } = await load(folder);
  assert.deepEqual(targets, []);
  const [selected, edge, vm] = pods.map(({ position, attachments, ...rest }: DesiredPods) => ({
    ...rest,
    attachments: attachments.map(({ position: _at, ...one }) => one),
  }));
  assert.deepEqual(selected?.query, {
    namespace: 'prod',
    selector: '!old,app=x,tier=web,zone in (a,b)',
  });
  assert.deepEqual(edge, {
    query: { namespace: 'prod', name: 'edge' },
    name: 'edge',
    repair: true,
    attachments: [
      {
        name: 'mgmt',
        network: { namespace: 'other', name: 'mgmt' },
        interface: 'mgmt',
        mac: '02:00:00:00:00:0a',
        ips: ['192.0.2.7/24'],
        state: 'up',
      },
      { name: 'much-too-long-for-linux', network: { namespace: 'prod', name: 'n' }, interface: 'lan', state: 'up' },
    ],
  });
  assert.deepEqual(vm?.domain, { name: 'd', container: 'vm', uri: 'qemu:///system' });
  assert.deepEqual(vm.attachments[0], {
    name: 'a-long-attachment-name',
    network: { namespace: 'prod', name: 'n' },
    interface: podInterfaceName('a-long-attachment-name'),
    model: 'e1000e',
    state: 'down',
  });
});

interface Row {
  readonly what: string;
  readonly spec: string;
  readonly says: RegExp;
}

const rows: readonly Row[] = [
  {
    what: 'a name that is no interface',
    spec: `${head}  - {name: this-is-a-long-name, network: n}`,
    says: /desired\/interface .*too long/,
  },
  {
    what: 'the first interface of the pod',
    spec: `${head}  - {name: a, network: n, interface: eth0}`,
    says: /desired\/interface .*by itself/,
  },
  {
    what: 'a name that Multus gives',
    spec: `${head}  - {name: net1, network: n}`,
    says: /desired\/interface .*by itself/,
  },
  {
    what: 'one interface twice',
    spec: `${head}  - {name: a, network: n}\n  - {name: b, network: n, interface: a}`,
    says: /desired\/interface .*"a" and "b" have one interface/,
  },
  {
    what: 'one MAC twice',
    spec: `${head}  - {name: a, network: n, mac: "02:00:00:00:00:01"}\n  - {name: b, network: n, mac: "02:00:00:00:00:01"}`,
    says: /duplicate-mac/,
  },
  {
    what: 'an address that is none',
    spec: `${head}  - {name: a, network: n, ips: [10.0.0.300]}`,
    says: /is not an IP address/,
  },
  {
    what: 'a selector that matches all',
    spec: 'target: {kind: Pod, selector: {}}\nattachments: []',
    says: /matches every pod/,
  },
  {
    what: 'a name and a selector',
    spec: 'target: {kind: Pod, name: a, selector: {matchLabels: {a: b}}}\nattachments: []',
    says: /exclude each other/,
  },
  {
    what: 'a selector of VMs',
    spec: 'target: {selector: {matchLabels: {a: b}}}\nattachments: []',
    says: /only for a Pod/,
  },
  {
    what: 'an operator without values',
    spec: 'target: {kind: Pod, selector: {matchExpressions: [{key: a, operator: In, values: []}]}}\nattachments: []',
    says: /must have an entry for In/,
  },
  {
    what: 'an option in place of a domain',
    spec: 'target: {kind: Pod, domain: {name: --all, container: c}}\nattachments: []',
    says: /must not start with a dash/,
  },
];

for (const { what, spec, says } of rows) {
  test(what, async (t) => {
    const faults = await faultsOf(load(await repository(t, { 'a.yaml': vmYaml('a', spec) })));
    assert.match(faults.map(({ code, message }) => `${code} ${message}`).join('\n'), says);
  });
}

test('an interface may be asked for that Multus would give', async (t) => {
  const folder = await repository(t, { 'a.yaml': vmYaml('a', `${head}  - {name: a, network: n, interface: net1}`) });
  const { pods } = await load(folder);
  assert.equal(pods?.[0]?.attachments[0]?.interface, 'net1');
});

test('one pod by two objects is refused', async (t) => {
  const faults = await faultsOf(
    load(
      await repository(t, {
        'a.yaml': vmYaml('a', 'target: {kind: Pod}\nattachments: []'),
        'b.yaml': vmYaml('b', 'target: {kind: Pod, name: a}\nattachments: []'),
        // A VM may have the name of a pod.
        'c.yaml': vmYaml('a', 'attachments: []'),
      }),
    ),
  );
  assert.deepEqual(
    faults.map(({ code }) => code),
    ['desired/duplicate-target'],
  );
});
