import assert from 'node:assert/strict';
import { test } from 'node:test';
import { projectNetwork } from './networks.ts';

const metadata = { namespace: 'prod', name: 'vlan10', uid: 'u1' };
const name = { namespace: 'prod', name: 'vlan10', uid: 'u1' };

test('a single config, and a list', () => {
  const single = '{"cniVersion":"0.3.1","type":"macvlan"}';
  const list = '{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"bridge"},{"type":"tuning"}]}';
  assert.deepEqual(projectNetwork({ metadata, spec: { config: single } }), {
    ...name,
    pluginType: 'macvlan',
    guestless: true,
  });
  const through = { metadata, spec: { config: '{"type":"macvlan","mode":"passthru"}' } };
  assert.deepEqual(projectNetwork(through), { ...name, pluginType: 'macvlan' });
  assert.deepEqual(projectNetwork({ metadata, spec: { config: list } }), { ...name, pluginType: 'bridge' });
});

test('a device-plugin resource', () => {
  const annotations = { 'k8s.v1.cni.cncf.io/resourceName': 'intel.com/sriov' };
  const network = projectNetwork({ metadata: { ...metadata, annotations }, spec: { config: '{"type":"sriov"}' } });
  assert.deepEqual(network, { ...name, pluginType: 'sriov', resourceName: 'intel.com/sriov' });
});

for (const spec of [undefined, {}, { config: 1 }, { config: '' }, { config: 'x' }, { config: '{"plugins":[]}' }]) {
  test(`a problem: ${JSON.stringify(spec)}`, () => {
    const { problem, ...rest } = projectNetwork({ metadata, spec });
    assert.ok(problem);
    assert.deepEqual(rest, name);
  });
}
