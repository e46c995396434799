import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, serve } from '../../test/list-server.ts';
import type { KubeObject } from '../kube/cluster.ts';
import { readControllerPresence } from './pod-controller.ts';

function daemonSet(name: string, ready: number, wanted: number, app = name, containers: readonly object[] = []) {
  return {
    metadata: { namespace: 'kube-system', name, labels: { app } },
    spec: { selector: { matchLabels: { app } }, template: { spec: { containers } } },
    status: { numberReady: ready, desiredNumberScheduled: wanted },
  } as KubeObject;
}

function controllerPod(node: string, ready: boolean): KubeObject {
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  const metadata = { namespace: 'kube-system', name: `c-${node}`, labels: { app: 'dynamic-networks-controller' } };
  return { metadata, spec: { nodeName: node }, status: { conditions } } as KubeObject;
}

async function presence(daemonsets: Answer, pods: Answer = []) {
  const { cluster } = await serve({ daemonsets, pods });
  return await readControllerPresence(cluster);
}

const label = 'dynamic-networks-controller';

test('none, or none that is ready: missing, with what was found', async () => {
  const none = await presence([]);
  assert.deepEqual(none.controller, {
    kind: 'missing',
    evidence: 'no DaemonSet of the dynamic-networks controller',
  });
  const broken = await presence([daemonSet(label, 0, 3)]);
  assert.deepEqual(broken.controller, {
    kind: 'missing',
    evidence: `DaemonSet kube-system/${label}, ready on 0 of 3 nodes`,
  });
});

test('on the nodes where a pod of it is ready', async () => {
  const found = await presence(
    [daemonSet(label, 2, 3)],
    [controllerPod('n1', true), controllerPod('n2', false), controllerPod('n3', true)],
  );
  assert.ok(found.controller.kind === 'nodes');
  assert.deepEqual([...found.controller.ready], ['n1', 'n3']);
});

test('its pods out of sight: the count tells, where it is whole', async () => {
  assert.equal((await presence([daemonSet(label, 3, 3)], 403)).controller.kind, 'everywhere');
  assert.equal((await presence([daemonSet(label, 3, 3)])).controller.kind, 'everywhere');
  assert.equal((await presence([daemonSet(label, 2, 3)], 403)).controller.kind, 'unknown');
});

test('known by its name where it has other labels', async () => {
  const found = await presence([daemonSet('dynamic-networks-controller-ds', 1, 1, 'relabelled')]);
  assert.equal(found.controller.kind, 'everywhere');
});

test('DaemonSets that may not be listed: unknown, and no word on Multus', async () => {
  assert.deepEqual(await presence(403), { controller: { kind: 'unknown' }, thin: false });
});

test('a Multus without a daemon is thin', async () => {
  const multus = (container: object) => presence([daemonSet('kube-multus-ds', 3, 3, 'multus', [container])]);
  assert.equal((await multus({ image: 'ghcr.io/x/multus-cni:v4.3.0', command: ['/thin_entrypoint'] })).thin, true);
  assert.equal((await multus({ image: 'x', command: ['/usr/src/multus-cni/bin/multus-daemon'] })).thin, false);
  assert.equal((await multus({ image: 'ghcr.io/x/multus-cni:v4.3.0-thick' })).thin, false);
  assert.equal((await presence([])).thin, false);
});
