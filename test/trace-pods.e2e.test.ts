/** `patchpanel trace pod/NAME`: annotation, network-status, and what the controller said. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { pods } from '../reconcile/kube/resources.ts';
import { networksAnnotation } from '../reconcile/systems/multus-networks.ts';
import type { Lag, Trace } from '../reconcile/trace/model.ts';
import { CliStage } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start();
});
after(() => stage.stop());

const annotationPath = `/metadata/annotations/${networksAnnotation.replaceAll('/', '~1')}`;

async function desired(
  name: string,
  attachments: readonly object[],
  target: object = { kind: 'Pod' },
): Promise<string> {
  const folder = join(stage.folder, name);
  await mkdir(folder, { recursive: true });
  const object = {
    apiVersion: 'patchpanel.dev/v1alpha1',
    kind: 'NetworkAttachments',
    metadata: { name: 'router-0', namespace: 'demo' },
    spec: { target, attachments },
  };
  await writeFiles(folder, { 'router-0.yaml': stringify(object) });
  return folder;
}

/** By hand, as the annotation is written. */
async function ask(pod: string, elements: readonly object[]): Promise<void> {
  const value = JSON.stringify(elements);
  await stage.cluster.admin.jsonPatch(pods, 'demo', pod, [{ op: 'add', path: annotationPath, value }]);
}

async function lagging(args: readonly string[], name: string, layer: string, cause: string): Promise<Lag> {
  let last: string | undefined;
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const { code, stdout, stderr } = await stage.run(['trace', ...args, '-o', 'json']);
    last = stdout || stderr;
    if (code !== 2) continue;
    const trace: Trace = JSON.parse(stdout);
    const lag = trace.nics.find((nic) => nic.name === name)?.lag;
    if (lag?.layer === layer && lag.cause === cause) return lag;
  }
  assert.fail(`${name} never lagged at ${layer} for ${cause}: ${last}`);
}

const management = { name: 'mgmt-net', namespace: 'demo', interface: 'net1', mac: '02:70:70:00:02:00' };

test('a pod that is as its annotation says; one that is not there', async () => {
  const { stdout } = await stage.expect(0, ['trace', 'pod/router-0', '-n', 'demo']);
  assert.match(stdout, /^pod demo\/router-0 {2}running on node01$/m);
  assert.match(stdout, /^ok {4}net1 {2}demo\/mgmt-net {2}net1 {2}pod multus$/m);
  assert.match((await stage.expect(3, ['trace', 'pod/demo/nope'])).stderr, /no pod demo\/nope \(cluster\/not-found\)/);
});

test('declared by name, or selected by label, and not applied', async () => {
  const nics = [{ name: 'storage', network: 'storage-net' }];
  const byName = await desired('name', nics);
  const lag = await lagging(['pod/demo/router-0', byName], 'storage', 'pod', 'not-applied');
  assert.match(lag.summary, /the annotation of the pod does not say so yet/);
  const selected = await desired('label', nics, { kind: 'Pod', selector: { matchLabels: { app: 'router' } } });
  await lagging(['pod/demo/router-0', selected], 'storage', 'pod', 'not-applied');
  const text = await stage.expect(2, ['trace', 'pod/demo/router-0', byName]);
  assert.match(text.stdout, /^ok {4}net1 {2}demo\/mgmt-net {2}net1 {2}\(unmanaged\) {2}pod multus$/m);
  const lost = await desired('lost', [{ name: 'storage', network: 'no-such-net' }]);
  await lagging(['pod/demo/router-0', lost], 'storage', 'pod', 'network-missing');
});

test('a CNI plugin fails: at multus, in the words of the controller', async () => {
  await stage.cluster.misbehave({ name: 'cni-add-fails', value: 'demo/backup-net' });
  await ask('router-0', [management, { name: 'backup-net', namespace: 'demo', interface: 'net2' }]);
  const lag = await lagging(['pod/demo/router-0'], 'net2', 'multus', 'cni-failed');
  assert.match(lag.since?.by ?? '', /^FailedAddingInterface on Pod router-0/);
  assert.match(lag.reasons[0]?.text ?? '', /failed adding interface net2 to network: backup-net/);
  assert.match(lag.remedy, /log/);
  await stage.cluster.misbehave();
});

test('an entry that the controller took back is a ghost; a pod in the network of its host is refused', async () => {
  // As the controller leaves it where a later interface of the same change fails.
  await stage.cluster.misbehave({ name: 'cni-add-fails', value: 'demo/vlan300' });
  await ask('router-0', [
    management,
    { name: 'vlan200', namespace: 'demo', interface: 'net3' },
    { name: 'vlan300', namespace: 'demo', interface: 'net4' },
  ]);
  await lagging(['pod/demo/router-0'], 'net4', 'multus', 'cni-failed');
  const ghost = await lagging(['pod/demo/router-0'], 'net3', 'multus', 'ghost');
  assert.ok(ghost.reasons.some(({ text }) => /^RemovedInterface on Pod router-0: .*interface net3 /.test(text)));
  const nics = await desired('host', [{ name: 'storage', network: 'storage-net' }], {
    kind: 'Pod',
    name: 'node-agent-4mzqx',
  });
  await lagging(['pod/demo/node-agent-4mzqx', nics], 'storage', 'pod', 'pod-host-network');
  assert.deepEqual(stage.writes(), []);
});
