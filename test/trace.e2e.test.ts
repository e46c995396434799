/** `patchpanel trace`: for each thing that goes wrong, the first layer that lags, the cause and the way out. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { daemonSets, kubevirts, networkAttachmentDefinitions, virtualMachines } from '../reconcile/kube/resources.ts';
import { fields, items } from '../reconcile/systems/json-shape.ts';
import type { Lag, NicTrace, Trace } from '../reconcile/trace/model.ts';
import { CliStage } from './cli-stage.ts';

let stage: CliStage;
/** Without the dynamic-networks controller; its migrations never end. */
let bare: CliStage;
before(async () => {
  [stage, bare] = await Promise.all([
    CliStage.start(),
    CliStage.start({ dynamicNetworks: false, faults: [{ name: 'migration-hangs', value: '*' }] }),
  ]);
});
after(() => Promise.all([stage.stop(), bare.stop()]));

const networksPath = '/spec/template/spec/networks';
const interfacesPath = '/spec/template/spec/domain/devices/interfaces';

/** A NIC written to the VM by hand. */
async function plug(
  cluster: Cluster,
  vm: string,
  name: string,
  networkName: string,
  nic: object = { bridge: {} },
): Promise<void> {
  await cluster.jsonPatch(virtualMachines, 'demo', vm, [
    { op: 'add', path: `${networksPath}/-`, value: { name, multus: { networkName } } },
    { op: 'add', path: `${interfacesPath}/-`, value: { name, ...nic } },
  ]);
}

/** Its place in the list of the VM. */
async function placeOf(cluster: Cluster, vm: string, name: string): Promise<number> {
  const object = await cluster.get(virtualMachines, 'demo', vm);
  const spec = fields(fields(fields(object?.spec).template).spec);
  return items(fields(fields(spec.domain).devices).interfaces).findIndex((nic) => fields(nic).name === name);
}

async function unplug(cluster: Cluster, vm: string, name: string): Promise<void> {
  const path = `${interfacesPath}/${await placeOf(cluster, vm, name)}/state`;
  await cluster.jsonPatch(virtualMachines, 'demo', vm, [{ op: 'add', path, value: 'absent' }]);
}

async function createVm(cluster: Cluster, name: string, networkName: string, runStrategy = 'Always'): Promise<void> {
  const interfaces = [
    { name: 'default', masquerade: {} },
    { name: 'cold', bridge: {} },
  ];
  const networks = [
    { name: 'default', pod: {} },
    { name: 'cold', multus: { networkName } },
  ];
  const domain = { devices: { interfaces }, machine: { type: 'q35' }, memory: { guest: '1Gi' } };
  await cluster.create(virtualMachines, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { namespace: 'demo', name },
    spec: { runStrategy, template: { spec: { domain, networks } } },
  });
}

function nicOf(trace: Trace, name: string): NicTrace {
  const nic = trace.nics.find((each) => each.name === name);
  assert.ok(nic !== undefined, JSON.stringify(trace));
  return nic;
}

/** Traces until the NIC lags for this cause; then it is what exit code and layer say. */
async function lagging(
  on: CliStage,
  args: readonly string[],
  name: string,
  layer: string,
  cause: string,
): Promise<Lag> {
  let last: string | undefined;
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const { code, stdout, stderr } = await on.run(['trace', ...args, '-o', 'json']);
    last = stdout || stderr;
    if (code !== 2) continue;
    const trace: Trace = JSON.parse(stdout);
    const { lag } = nicOf(trace, name);
    if (lag?.cause !== cause || lag.layer !== layer) continue;
    assert.equal(trace.agrees, false);
    assert.ok(lag.remedy.length > 10 && lag.summary.length > 10);
    return lag;
  }
  assert.fail(`${name} never lagged at ${layer} for ${cause}: ${last}`);
}

function said(lag: Lag, words: RegExp): void {
  assert.ok(
    lag.reasons.some(({ text }) => words.test(text)),
    JSON.stringify(lag, undefined, 2),
  );
}

test('where all is as it should be, every layer says so', async () => {
  const { stdout } = await stage.expect(0, ['trace', 'web-1', '-n', 'demo']);
  assert.match(stdout, /^ok {4}storage {2}demo\/storage-net {2}pod49a25f9feef {2}vm vmi pod multus domain guest$/m);
  assert.match(stdout, /^ok {4}default {2}\(default network, off limits\) {2}vm vmi domain guest$/m);
  assert.match(stdout, /^Every layer agrees\.$/m);
  const folder = await stage.desired('same', { 'web-1': ['storage'] });
  assert.match((await stage.expect(0, ['trace', 'demo/web-1', folder])).stdout, /storage {2}.*web-1\.yaml:8 {2}vm vmi/);
  assert.deepEqual(stage.writes(), []);
});

test('declared and not applied: at the VM, for which nothing tells since when', async () => {
  const folder = await stage.desired('new', { 'web-1': ['storage', 'backup'] });
  const lag = await lagging(stage, ['demo/web-1', folder], 'backup', 'vm', 'not-applied');
  assert.equal(lag.since, undefined);
  const { stdout } = await stage.expect(2, ['trace', 'demo/web-1', folder]);
  assert.match(stdout, /^ {6}vm {6}lags {2}not there {2}<- here$/m);
  assert.match(stdout, /^ {6}since {3}nothing in the cluster tells$/m);
  // What another object declares is left alone, and marked.
  const none = await stage.desired('none', { 'web-1': [] });
  assert.match((await stage.expect(0, ['trace', 'demo/web-1', none])).stdout, /^ok {4}storage .*\(unmanaged\)/m);
});

test('what the plan blocks: missing network, too few ports', async () => {
  const nowhere = await stage.desired('nowhere', { 'web-1': ['storage', { name: 'lost', network: 'no-such-net' }] });
  const missing = await lagging(stage, ['demo/web-1', nowhere], 'lost', 'vm', 'network-missing');
  assert.match(missing.remedy, /Create the NetworkAttachmentDefinition no-such-net in namespace demo/);
  const many = ['storage', 'backup', 'mgmt', 'red', 'green', 'blue'];
  const crowd = await stage.desired('crowd', { 'web-0': many });
  const short = await lagging(stage, ['demo/web-0', crowd], 'blue', 'vm', 'no-ports');
  assert.match(short.summary, /web-0 has 4 free PCIe ports, 6 are needed/);
  assert.match(short.remedy, /pciePorts/);
});

test('the guest takes no NIC: at the domain, since network-status has it', async () => {
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mute' });
  await plug(stage.cluster.admin, 'db-0', 'mute', 'mgmt-net');
  const lag = await lagging(stage, ['demo/db-0'], 'mute', 'domain', 'guest-not-taking');
  assert.match(lag.since?.by ?? '', /last wrote the network-status of the pod/);
  assert.match(lag.remedy, /virt-handler on node0\d/);
  said(lag, /^AddedInterface on Pod .*\("mute"\)/);
  said(lag, /^free PCIe ports: \d+, counted in the domain XML$/);
});

test('the guest releases no NIC: at the domain, while VM and VMI only wait', async () => {
  await stage.cluster.misbehave({ name: 'no-unplug', value: 'storage' });
  await unplug(stage.cluster.admin, 'web-1', 'storage');
  const lag = await lagging(stage, ['demo/web-1'], 'storage', 'domain', 'guest-not-releasing');
  assert.match(lag.since?.by ?? '', /last wrote the NIC lists of the VMI/);
  assert.match(lag.remedy, /pciehp/);
  const { stdout } = await stage.expect(2, ['trace', 'demo/web-1']);
  assert.match(stdout, /^ {6}vm {6}waits there, demo\/storage-net, 02:70:70:00:01:00, to be unplugged$/m);
  assert.match(stdout, /^ {6}multus {2}ok {4}not there$/m);
});

test('a CNI plugin fails: at multus, since the event, in the words of the controller', async () => {
  await stage.cluster.misbehave({ name: 'cni-add-fails', value: 'demo/backup-net' });
  await plug(stage.cluster.admin, 'web-0', 'broken', 'backup-net');
  const lag = await lagging(stage, ['demo/web-0'], 'broken', 'multus', 'cni-failed');
  assert.match(lag.since?.by ?? '', /^FailedAddingInterface on Pod/);
  assert.equal(lag.since?.orEarlier, false);
  assert.match(lag.reasons[0]?.text ?? '', /failed adding interface pod\w{11} \("broken"\) to network: backup-net/);
  said(lag, /network demo\/backup-net: is there, of type bridge/);
  said(lag, /dynamic-networks-controller-ds: ready on 2 of 2 nodes/);
  assert.match(
    lag.remedy,
    /logs of the dynamic-networks controller \(DaemonSet kube-system\/dynamic-networks-controller-ds\)/,
  );
});

test('plugged by hand beyond the ports: at the domain, with the words of libvirt', async () => {
  await createVm(stage.cluster.admin, 'crowded', 'vlan100');
  await lagless(stage, 'demo/crowded');
  for (const name of ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'])
    await plug(stage.cluster.admin, 'crowded', name, 'vlan200');
  let trace: Trace | undefined;
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const { stdout } = await stage.run(['trace', 'demo/crowded', '-o', 'json']);
    trace = JSON.parse(stdout);
    const open = trace?.nics.filter(({ lag }) => lag !== undefined) ?? [];
    if (open.length > 0 && open.every(({ lag }) => lag?.layer === 'domain')) break;
  }
  const lags = trace?.nics.flatMap(({ lag }) => (lag === undefined ? [] : [lag])) ?? [];
  assert.ok(lags.length > 0);
  for (const lag of lags) {
    assert.equal(lag.cause, 'no-ports');
    said(lag, /VirtualMachineInstance condition Synchronized=False: .*No more available PCI slots/);
    assert.match(lag.since?.by ?? '', /Synchronized/);
    assert.match(lag.remedy, /restart it/);
  }
});

/** Waits for a VM that was just made. */
async function lagless(on: CliStage, vm: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { code, stdout } = await on.run(['trace', vm]);
    if (code === 0 && stdout.includes('  running')) return;
  }
  assert.fail(`${vm} never came to agree`);
}

test('plugged by hand into a network that is not there, and started with one', async () => {
  await createVm(stage.cluster.admin, 'lost', 'vlan100');
  await createVm(stage.cluster.admin, 'stuck', 'not-there');
  await lagless(stage, 'demo/lost');
  await plug(stage.cluster.admin, 'lost', 'hot', 'not-there');
  const hot = await lagging(stage, ['demo/lost'], 'hot', 'multus', 'network-missing');
  said(hot, /network demo\/not-there: does not exist/);
  const cold = await lagging(stage, ['demo/stuck'], 'cold', 'pod', 'network-missing');
  assert.match(cold.remedy, /Create the NetworkAttachmentDefinition not-there/);
  said(cold, /^Failed.* on Pod virt-launcher-stuck/);
  assert.match(cold.since?.by ?? '', /virt-launcher-stuck|NIC lists/);
});

test('struck from the template: the instance has it, until a restart', async () => {
  await createVm(stage.cluster.admin, 'struck', 'vlan100');
  await lagless(stage, 'demo/struck');
  await stage.cluster.admin.jsonPatch(virtualMachines, 'demo', 'struck', [
    { op: 'remove', path: `${networksPath}/1` },
    { op: 'remove', path: `${interfacesPath}/1` },
  ]);
  const lag = await lagging(stage, ['demo/struck'], 'cold', 'vmi', 'needs-restart');
  assert.match(lag.since?.by ?? '', /RestartRequired/);
  said(lag, /VirtualMachine condition RestartRequired=True: .*non-live-updatable/);
  assert.match(lag.remedy, /Restart struck/);
});

test('a stopped VM has no other layer; one that is not there is said', async () => {
  await createVm(stage.cluster.admin, 'off', 'vlan100', 'Halted');
  const { stdout } = await stage.expect(0, ['trace', 'demo/off']);
  assert.match(stdout, /^demo\/off {2}stopped$/m);
  assert.match(stdout, /^ok {4}cold {2}demo\/vlan100 {2}vm$/m);
  assert.match(
    (await stage.expect(3, ['trace', 'demo/nope'])).stderr,
    /no VirtualMachine demo\/nope \(cluster\/not-found\)/,
  );
});

test("with plan's rights, and without exec, it says what it could not see", async () => {
  await stage.cluster.misbehave({ name: 'exec-forbidden', value: '*' }, { name: 'no-plug', value: 'dumb' });
  await plug(stage.cluster.admin, 'db-0', 'dumb', 'vlan100');
  await lagging(stage, ['demo/db-0'], 'dumb', 'domain', 'guest-not-taking');
  const env = { KUBECONFIG: stage.planKubeconfig };
  const { stdout } = await stage.expect(2, ['trace', 'demo/db-0', '-o', 'json'], { env });
  const trace: Trace = JSON.parse(stdout);
  assert.deepEqual(trace.gaps, [
    'events: no permission to list them in namespace demo, so conditions alone tell reasons',
    'the domain XML: no permission for pods/exec in namespace demo; the status of the VMI speaks for the domain',
  ]);
  const { lag } = nicOf(trace, 'dumb');
  assert.deepEqual([lag?.layer, lag?.cause], ['domain', 'guest-not-taking']);
  assert.match((await stage.run(['trace', 'demo/web-0'], { env })).stdout, /^not seen {2}events: no permission/m);
  await stage.cluster.misbehave();
});

// --- without the controller

async function setMethods(methods: readonly string[]): Promise<void> {
  await bare.cluster.admin.mergePatch(kubevirts, 'kubevirt', 'kubevirt', {
    spec: { workloadUpdateStrategy: { workloadUpdateMethods: methods } },
  });
}

test('no controller, and KubeVirt migrates nothing: no-delivery', async () => {
  await setMethods([]);
  await plug(bare.cluster.admin, 'web-0', 'stay', 'mgmt-net');
  const lag = await lagging(bare, ['demo/web-0'], 'stay', 'multus', 'no-delivery');
  said(lag, /dynamic-networks controller: the cluster has none/);
  assert.match(lag.since?.by ?? '', /last wrote the networks annotation/);
});

function controllerSet(numberReady: number): KubeObject {
  const name = 'dynamic-networks-controller-ds';
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace: 'kube-system', labels: { app: 'dynamic-networks-controller' } },
    spec: {
      selector: { matchLabels: { name } },
      template: { metadata: { labels: { name } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
    status: { currentNumberScheduled: 2, desiredNumberScheduled: 2, numberMisscheduled: 0, numberReady },
  };
}

test('a controller that is not on the node, one that says nothing, and a migration that hangs', async () => {
  const { admin } = bare.cluster;
  await admin.create(daemonSets, controllerSet(1));
  await admin.mergePatch(
    daemonSets,
    'kube-system',
    'dynamic-networks-controller-ds',
    { status: controllerSet(1).status as never },
    { subresource: 'status' },
  );
  const off = await lagging(bare, ['demo/web-0'], 'stay', 'multus', 'controller-not-ready');
  said(off, /ready on 1 of 2 nodes, not on node0\d/);
  assert.match(off.remedy, /spec\.nodeName=node0\d/);
  await admin.mergePatch(
    daemonSets,
    'kube-system',
    'dynamic-networks-controller-ds',
    { status: controllerSet(2).status as never },
    { subresource: 'status' },
  );
  await lagging(bare, ['demo/web-0'], 'stay', 'multus', 'migration-due');
  await admin.delete(daemonSets, 'kube-system', 'dynamic-networks-controller-ds');
  await setMethods(['LiveMigrate']);
  const lag = await lagging(bare, ['demo/web-0'], 'stay', 'multus', 'migrating');
  said(lag, /MigrationRequired/);
  assert.deepEqual(bare.writes(), []);
});

test('a network that is deleted while it is in use, and one whose config is broken', async () => {
  const { admin } = stage.cluster;
  await stage.network('bad-net', '{"cniVersion": "1.0.0", "name": "bad-net"}');
  const folder = await stage.desired('bad', { 'db-0': [{ name: 'bad', network: 'bad-net' }] });
  const lag = await lagging(stage, ['demo/db-0', folder], 'bad', 'vm', 'network-invalid');
  assert.match(lag.summary, /can not be used: its config/);
  await admin.delete(networkAttachmentDefinitions, 'demo', 'bad-net');
});
