/** Pods on the command line: declared by name or by selector, planned, applied, and planned again. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { events, networkAttachmentDefinitions, pods } from '../reconcile/kube/resources.ts';
import { networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import { networkStatusAnnotation } from '../reconcile/systems/multus-status.ts';
import { ownedAnnotation } from '../reconcile/systems/patchpanel.ts';
import { CliStage } from './cli-stage.ts';
import { PodScenario } from './pod-stage.ts';

const namespace = 'demo';
/** Pods that the sandbox starts with. */
const deploymentPod = 'probe-6c9f7d5b48-x2k8p';
const hostPod = 'node-agent-4mzqx';

let stage: CliStage;
let scene: PodScenario;
before(async () => {
  stage = await CliStage.start();
  const { admin } = stage.cluster;
  scene = new PodScenario({ admin, cluster: admin, namespace });
});
after(() => stage.stop());

let count = 0;

/** Writes a desired state of these specs, by the name of the object; returns its folder. */
async function declared(specs: Readonly<Record<string, object>>): Promise<string> {
  count += 1;
  const folder = join(stage.folder, `pods-${count}`);
  await mkdir(folder, { recursive: true });
  const objects = Object.entries(specs).map(([name, spec]) =>
    stringify({
      apiVersion: 'patchpanel.dev/v1alpha1',
      kind: 'NetworkAttachments',
      metadata: { name, namespace },
      spec: { target: { kind: 'Pod' }, ...spec },
    }),
  );
  await writeFile(join(folder, 'pods.yaml'), objects.join('---\n'));
  return folder;
}

const nic = (name: string, network: string, more: object = {}) => ({ name, network, ...more });

/** The default network and what others asked for, as annotation and network-status have them. */
async function othersOf(name: string, ours: readonly string[]): Promise<object> {
  const annotations = (await scene.read(name)).metadata.annotations ?? {};
  const parsed = (text = '[]') => JSON.parse(text) as readonly { readonly interface: string }[];
  const foreign = (text?: string) => parsed(text).filter((one) => !ours.includes(one.interface));
  const status = foreign(annotations[networkStatusAnnotation]);
  return {
    elements: foreign(annotations[networksAnnotation]),
    status: status.toSorted((a, b) => (a.interface < b.interface ? -1 : 1)),
  };
}

/** Waits until the controller has failed so often that it forgets the pod. */
async function givenUp(name: string): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const { items } = await stage.cluster.admin.list(
      events,
      { namespace },
      ({ involvedObject, reason, count: tries }) =>
        (involvedObject as { readonly name?: string }).name === name && reason === 'FailedAddingInterface'
          ? Number(tries)
          : undefined,
    );
    if ((items[0] ?? 0) >= 4) return;
    await sleep(25);
  }
  assert.fail(`the controller still tries for ${name}`);
}

test('the example of the repository is about the pods of the sandbox', async () => {
  const { stdout } = await stage.expect(2, [
    'plan',
    fileURLToPath(new URL('../examples/desired-state/pods', import.meta.url)),
  ]);
  assert.match(
    stdout,
    /^pod demo\/router-0 .*\n.*\+ plug storage into storage-net as storage0 mac 02:70:70:00:02:01$/m,
  );
});

test('by name and by selector: planned, applied, nothing left to do, and taken out again', async () => {
  const edges = ['edge-a', 'edge-b'];
  for (const name of edges) {
    await scene.pod(name);
    await stage.cluster.admin.mergePatch(pods, namespace, name, { metadata: { labels: { app: 'edge' } } });
  }
  const others = await othersOf('router-0', ['storage']);
  const selector = { target: { kind: 'Pod', selector: { matchLabels: { app: 'edge' } } } };
  const folder = await declared({
    'router-0': { attachments: [nic('storage', 'storage-net', { mac: '02:00:00:00:0e:01' })] },
    edges: { ...selector, attachments: [nic('uplink', 'backup-net'), nic('probe', 'mgmt-net', { interface: 'net7' })] },
  });

  const text = await stage.expect(2, ['plan', folder]);
  assert.match(text.stdout, /\+ plug storage into storage-net as storage mac 02:00:00:00:0e:01/);
  assert.match(text.stdout, /\+ plug probe into mgmt-net as net7/);
  assert.match(text.stdout, /left alone: net1/);
  const markdown = await stage.expect(2, ['plan', folder, '-o', 'markdown']);
  assert.match(markdown.stdout, /\+ plug uplink into backup-net as uplink/);
  const json = JSON.parse((await stage.expect(2, ['plan', folder, '-o', 'json'])).stdout);
  assert.deepEqual(
    json.targets.map(({ target, actions }: { target: { name: string }; actions: object[] }) => [
      target.name,
      actions.length,
    ]),
    [
      ['edge-a', 2],
      ['edge-b', 2],
      ['router-0', 1],
    ],
  );
  assert.deepEqual(stage.writes(), [], 'a plan writes nothing');

  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(
    new Set(stage.writes().map((write) => write.replace(/ \S+\/namespaces/, ''))),
    new Set(['PATCH pods/demo/pods/edge-a', 'PATCH pods/demo/pods/edge-b', 'PATCH pods/demo/pods/router-0']),
  );
  for (const name of edges) {
    assert.deepEqual(await scene.interfaces(name), [
      'eth0 k8s-pod-network',
      'net7 demo/mgmt-net',
      'uplink demo/backup-net',
    ]);
  }
  assert.deepEqual(await othersOf('router-0', ['storage']), others);
  const second = await stage.expect(0, ['plan', folder]);
  assert.match(second.stdout, /^Nothing to do: 3 pods as declared\.$/m);
  stage.requests();
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(stage.writes(), [], 'a second run writes nothing');

  const without = await declared({ 'router-0': { attachments: [] }, edges: { ...selector, attachments: [] } });
  await stage.expect(0, ['apply', without]);
  for (const name of edges) {
    assert.deepEqual(await scene.interfaces(name), ['eth0 k8s-pod-network']);
    assert.equal(await scene.owned(name), undefined);
  }
  assert.deepEqual(await othersOf('router-0', []), others);
  await stage.expect(0, ['plan', without]);
});

test('another network under the same interface: out, gone, and in again', async () => {
  await scene.pod('changing');
  const spec = (network: string) => ({ changing: { attachments: [nic('lan', network)] } });
  await stage.expect(0, ['apply', await declared(spec('vlan100'))]);
  stage.requests();
  const folder = await declared(spec('vlan200'));
  const { stdout } = await stage.expect(2, ['plan', folder]);
  assert.match(stdout, /- unplug lan \(vlan100 as lan\)\n.*\+ plug lan into vlan200 as lan/);
  await stage.expect(0, ['apply', folder]);
  assert.equal(stage.writes().length, 2, 'one write takes it out, one puts it in');
  assert.deepEqual(await scene.interfaces('changing'), ['eth0 k8s-pod-network', 'lan demo/vlan200']);
  await stage.expect(0, ['plan', folder]);
});

test('blocked with the way out: the network of the host, no such pod, an element without interface', async () => {
  const nameless = '[{"name":"mgmt-net"}]';
  await scene.pod('nameless', nameless);
  const wanted = { attachments: [nic('lan', 'vlan100')] };
  const folder = await declared({ [hostPod]: wanted, nobody: wanted, nameless: wanted });
  const { stdout } = await stage.expect(4, ['plan', folder]);
  assert.match(stdout, /is in the network of its host[\s\S]*Create the pod without hostNetwork/);
  assert.match(stdout, /the cluster has no pod demo\/nobody/);
  assert.match(stdout, /without an interface[\s\S]*Declare repair: true/);
  await stage.expect(4, ['apply', folder]);
  assert.deepEqual(stage.writes(), []);
  assert.equal(await scene.networks('nameless'), nameless);

  const repairing = await declared({ nameless: { ...wanted, repair: true } });
  await stage.expect(0, ['apply', repairing]);
  assert.deepEqual(await scene.interfaces('nameless'), [
    'eth0 k8s-pod-network',
    'lan demo/vlan100',
    'net1 demo/mgmt-net',
  ]);
  const [first] = JSON.parse((await scene.networks('nameless')) ?? '');
  assert.deepEqual(first, { name: 'mgmt-net', interface: 'net1' });
  assert.deepEqual(await scene.owned('nameless'), ['lan']);
  await stage.expect(0, ['plan', repairing]);
});

test('a pod of a Deployment: plugged, and how to keep that beyond the pod', async () => {
  const folder = await declared({ [deploymentPod]: { attachments: [nic('lan', 'vlan100')] } });
  const { stdout } = await stage.expect(2, ['plan', folder]);
  assert.match(stdout, /lost when the Deployment probe makes the pod anew/);
  assert.match(stdout, /spec\.template\.metadata\.annotations\[k8s\.v1\.cni\.cncf\.io\/networks\]/);
  await stage.expect(0, ['apply', folder]);
  assert.ok((await scene.interfaces(deploymentPod)).includes('lan demo/vlan100'));
});

test('a saved plan is stale once the pod was made anew under its name', async () => {
  const pod = await scene.pod('reborn');
  const folder = await declared({ reborn: { attachments: [nic('lan', 'vlan100')] } });
  const { stdout } = await stage.expect(2, ['plan', folder, '-o', 'json']);
  const saved = join(folder, 'plan.json');
  await writeFile(saved, stdout);
  await stage.cluster.admin.delete(pods, namespace, 'reborn');
  while ((await stage.cluster.admin.get(pods, namespace, 'reborn'))?.metadata.uid === pod.metadata.uid) await sleep(25);
  await scene.pod('reborn');
  stage.requests();
  const { stderr } = await stage.expect(7, ['apply', saved]);
  assert.match(stderr, /demo\/reborn is not as the plan found it/);
  assert.deepEqual(stage.writes(), []);
  assert.equal(await scene.networks('reborn'), undefined);
});

test('CNI fails: told in its words, and taken out again', async () => {
  await scene.pod('failing', '[{"name":"mgmt-net","namespace":"demo","interface":"net1"}]');
  const others = await othersOf('failing', ['lan']);
  const folder = await declared({ failing: { attachments: [nic('lan', 'vlan300')] } });
  await stage.cluster.misbehave({ name: 'cni-add-fails', value: 'demo/vlan300' });
  try {
    const { stdout } = await stage.expect(5, ['apply', folder]);
    assert.match(stdout, /failed adding interface lan to network: vlan300/);
  } finally {
    await stage.cluster.misbehave();
  }
  assert.deepEqual(await othersOf('failing', []), others);
  assert.equal(await scene.owned('failing'), undefined);
  const held = await stage.expect(4, ['apply', folder]);
  const way = /kubectl -n demo annotate pod failing (\S+)-\n/.exec(held.stdout + held.stderr)?.[1];
  assert.ok(way !== undefined, held.stdout);
  await stage.cluster.admin.mergePatch(pods, namespace, 'failing', { metadata: { annotations: { [way]: null } } });
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(await othersOf('failing', ['lan']), others);
});

test('what a killed run left behind, and the controller gave up, is asked for again', async () => {
  await scene.pod('left');
  await stage.cluster.misbehave({ name: 'cni-add-fails', value: 'demo/vlan300' });
  try {
    const element = { name: 'vlan300', namespace, interface: 'lan' };
    const record = [{ name: 'lan', network: { namespace, name: 'vlan300' }, interface: 'lan' }];
    const annotations = { [networksAnnotation]: JSON.stringify([element]), [ownedAnnotation]: JSON.stringify(record) };
    await stage.cluster.admin.mergePatch(pods, namespace, 'left', { metadata: { annotations } });
    await givenUp('left');
  } finally {
    await stage.cluster.misbehave();
  }
  const folder = await declared({ left: { attachments: [nic('lan', 'vlan300')] } });
  // Who may not read events, as the account that plans, can not tell yet that the controller gave up.
  const { stdout: early } = await stage.expect(2, ['plan', folder]);
  assert.match(early, /wait: lan is being plugged|ask the controller again/);
  const { stdout } = await stage.expect(2, ['plan', folder], { env: { KUBECONFIG: stage.kubeconfig } });
  assert.match(stdout, /ask the controller again to plug lan/);
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(await scene.interfaces('left'), ['eth0 k8s-pod-network', 'lan demo/vlan300']);
  await stage.expect(0, ['plan', folder]);
});

test('a network whose definition is gone can not be left either, until it is back', async () => {
  await scene.pod('bound');
  const network = await stage.network('passing', '{"cniVersion":"1.0.0","type":"bridge","bridge":"br-passing"}');
  await stage.expect(0, ['apply', await declared({ bound: { attachments: [nic('lan', 'passing')] } })]);
  await stage.cluster.admin.delete(networkAttachmentDefinitions, namespace, 'passing');
  const folder = await declared({ bound: { attachments: [] } });
  const { stdout } = await stage.expect(4, ['plan', folder]);
  assert.match(stdout, /demo\/passing/);
  const { namespace: _namespace, name } = network.metadata;
  await stage.network(name, (network.spec as { readonly config: string }).config);
  await stage.expect(0, ['apply', folder]);
  assert.deepEqual(await scene.interfaces('bound'), ['eth0 k8s-pod-network']);
});
