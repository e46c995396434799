/** Multus of the sandbox over real CNI plugins: what network-status says is what is in the pod, and nothing stays behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pods } from '../../reconcile/kube/resources.ts';
import { assembleSandbox } from '../../sandbox/sandbox.ts';
import { pluginFolder, whatIsMissing } from './install.ts';
import { namespace, PodStage, podTest, realTest, until } from './stage.ts';

const leased = {
  type: 'bridge',
  bridge: 'br-leased',
  mtu: 1480,
  capabilities: { mac: true },
  ipam: { type: 'host-local', subnet: '10.77.0.0/24', dataDir: '/nowhere' },
};
const mac = '02:00:00:00:c1:01';

podTest('bridge with host-local: a plug into a running pod, traffic, an unplug', async (stage) => {
  await stage.network('leased', leased);
  await stage.pod('peer', [{ name: 'leased', interface: 'net1' }]);
  const [before] = (await stage.status((await stage.pod('one')).metadata.name)).slice(0, 1);
  assert.deepEqual(await stage.links('one'), ['eth0']);

  await stage.edit('one', [{ name: 'leased', interface: 'net1', mac }]);
  const entry = await stage.shows('one', 'net1');
  assert.deepEqual(entry, { name: `${namespace}/leased`, interface: 'net1', ips: ['10.77.0.3'], mac, dns: {} });
  const { address, mtu } = await stage.link('one', 'net1');
  assert.deepEqual([address, mtu], [mac, 1480]);
  await stage.answers('one', '10.77.0.2', 'net1');
  await stage.event(
    'one',
    /^AddedInterface pod \[demo\/one\]: added interface net1 to network: leased\(ips: \[\], mac/,
  );

  await stage.edit('one', []);
  await stage.showsNo('one', 'net1');
  assert.deepEqual(await stage.links('one'), ['eth0']);
  assert.deepEqual(await stage.status('one'), [before]);
  const leases = (await stage.plugins.onNode('ls', '/var/lib/cni/networks/leased')).stdout;
  assert.match(leases, /10\.77\.0\.2/);
  assert.doesNotMatch(leases, /10\.77\.0\.3/);
});

podTest('bridge without addresses, twice in one pod, and macvlan', async (stage) => {
  await stage.network('plain', { type: 'bridge', bridge: 'br-plain', ipam: {} });
  await stage.network('direct', { type: 'macvlan', master: 'eth0', mode: 'bridge' });
  for (const name of ['one', 'two']) {
    await stage.pod(name, [
      { name: 'plain', interface: 'net1' },
      { name: 'plain', interface: 'net2' },
    ]);
    await stage.edit(name, [
      { name: 'plain', interface: 'net1' },
      { name: 'plain', interface: 'net2' },
      { name: 'direct', interface: 'direct0' },
    ]);
    assert.equal((await stage.shows(name, 'direct0')).mac, (await stage.link(name, 'direct0')).address);
    assert.deepEqual((await stage.links(name)).toSorted(), ['direct0', 'eth0', 'net1', 'net2']);
  }
  for (const [index, name] of ['one', 'two'].entries()) {
    for (const [net, nic] of ['net1', 'direct0'].entries()) {
      await stage.exec(name, 'ip', 'addr', 'add', `10.88.${net}.${index + 1}/24`, 'dev', nic);
    }
  }
  await stage.answers('one', '10.88.0.2', 'net1');
  await stage.answers('one', '10.88.1.2', 'direct0');
});

podTest('a chain of plugins: the result of one goes to the next', async (stage) => {
  const tuned = '02:00:00:00:c1:02';
  await stage.network('chain', {
    plugins: [
      { type: 'bridge', bridge: 'br-chain', ipam: {} },
      { type: 'tuning', capabilities: { mac: true } },
    ],
  });
  await stage.pod('one');
  await stage.edit('one', [{ name: 'chain', interface: 'net1', mac: tuned }]);
  assert.equal((await stage.shows('one', 'net1')).mac, tuned);
  assert.equal((await stage.link('one', 'net1')).address, tuned);
  await stage.edit('one', []);
  await stage.showsNo('one', 'net1');
});

podTest('what a plugin refuses: the events of the controller, and nothing in the pod', async (stage) => {
  await stage.network('lost', { type: 'macvlan', master: 'nowhere0' });
  await stage.network('unknown', { type: 'no-such-plugin' });
  await stage.pod('one');
  for (const name of ['lost', 'unknown']) {
    await stage.edit('one', [{ name, interface: 'net1' }]);
    await stage.event('one', new RegExp(`^FailedAddingInterface .*failed adding interface net1 to network: ${name}$`));
  }
  assert.deepEqual(await stage.links('one'), ['eth0']);
  // What is there by other hands counts as well.
  await stage.exec('one', 'ip', 'link', 'add', 'net2', 'type', 'bridge');
  await stage.edit('one', [{ name: 'storage-net', interface: 'net2' }]);
  await stage.event('one', /^FailedAddingInterface .*net2 to network: storage-net/);

  await stage.sandbox.admin.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'stuck', namespace, annotations: { 'k8s.v1.cni.cncf.io/networks': 'storage-net,lost' } },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  });
  const said = await stage.event('stuck', /^FailedCreatePodSandBox/);
  assert.match(said, /\[demo\/stuck:lost\]: error adding container to network "lost": Link not found/);
});

podTest('a pod that ran before gets what its network-status shows', async (stage) => {
  const { metadata } = await stage.get('router-0');
  assert.deepEqual(await stage.links('router-0'), ['eth0', 'net1']);
  assert.equal((await stage.link('router-0', 'net1')).address, '02:70:70:00:02:00');
  const [first] = await stage.status('router-0');
  const { stdout } = await stage.exec('router-0', 'ip', '-4', 'addr', 'show', 'dev', 'eth0');
  assert.ok(stdout.includes(`inet ${first?.ips?.[0]}/16`), stdout);
  assert.equal((await stage.get('router-0')).metadata.resourceVersion, metadata.resourceVersion);
});

podTest('a pod that is deleted takes its interfaces and leases along', async (stage) => {
  await stage.network('leased', leased);
  const { metadata } = await stage.pod('one', [{ name: 'leased', interface: 'net1' }]);
  const list = async () => (await stage.plugins.onNode('ip', 'netns', 'list')).stdout;
  assert.ok((await list()).includes(metadata.uid ?? ''));
  await stage.sandbox.admin.delete(pods, namespace, 'one', {});
  await until('the namespace to be gone', async () => ((await list()).includes(metadata.uid ?? '') ? undefined : true));
  const { stdout } = await stage.plugins.onNode('find', '/var/lib/cni', '-name', '10.*');
  assert.equal(stdout, '');
  const links = (await stage.plugins.onNode('ip', '-br', 'link')).stdout;
  assert.doesNotMatch(links, /veth/);
});

podTest('another NAD on the same interface: network-status shows a NIC that is gone', async (stage) => {
  for (const name of ['first', 'second']) await stage.network(name, { type: 'bridge', bridge: `br-${name}`, ipam: {} });
  await stage.pod('one', [{ name: 'first', interface: 'net1' }]);
  await stage.edit('one', [{ name: 'second', interface: 'net1' }]);
  await until('the ghost', async () => {
    const names = (await stage.status('one')).map(({ name }) => name);
    return names.includes('demo/second') && !names.includes('demo/first') ? true : undefined;
  });
  assert.deepEqual(await stage.links('one'), ['eth0']);
  // The way out: let it go, then ask anew.
  await stage.edit('one', []);
  await stage.showsNo('one', 'net1');
  await stage.edit('one', [{ name: 'second', interface: 'net1' }]);
  await stage.shows('one', 'net1');
  assert.deepEqual(await stage.links('one'), ['eth0', 'net1']);
});

podTest('a command in a pod: its input, its answer, and what the container does not have', async (stage) => {
  await stage.pod('one');
  const target = { namespace, pod: 'one', container: 'main' };
  const { admin } = stage.sandbox;
  const stdin = 'one\ntwo\n';
  for (const file of ['-', '/dev/stdin']) {
    assert.deepEqual(await admin.exec(target, ['cat', file], { stdin }), { exitCode: 0, stdout: stdin, stderr: '' });
  }
  const missing = await admin.exec(target, ['no-such-program']);
  assert.equal(missing.exitCode, 127);
  assert.match(missing.stderr, /executable file not found in \$PATH/);
  // An argument is one, whatever is in it.
  const odd = await admin.exec(target, ['printf', '%s.', 'a b', '$(id)', '']);
  assert.equal(odd.stdout, 'a b.$(id)..');
});

realTest('a folder without plugins is refused, and nothing is left of the sandbox', whatIsMissing, async () => {
  await assert.rejects(assembleSandbox({ cniPlugins: '/nowhere' }), { code: 'cli/input' });
});

realTest('exec runs nothing on this machine unless a test allows it', whatIsMissing, async (context) => {
  const stage = await PodStage.start(context, { execInPods: false });
  await stage.pod('one');
  await assert.rejects(stage.exec('one', 'id'), /container main is not running in pod one/);
  const launchers = await stage.sandbox.admin.list(
    pods,
    { namespace, labelSelector: 'kubevirt.io=virt-launcher' },
    (pod) => pod,
  );
  assert.equal(launchers.items.length, 3);
});

podTest('a launcher of a VM that the sandbox does not play is real as well', async (stage) => {
  await stage.sandbox.admin.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'launcher', namespace, annotations: { 'kubevirt.io/domain': 'elsewhere' } },
    spec: { containers: [{ name: 'compute', image: 'none' }] },
  });
  await stage.shows('launcher', 'eth0');
  await until('it to run', async () => {
    const { phase } = (await stage.get('launcher')).status as { readonly phase?: string };
    return phase === 'Running' ? true : undefined;
  });
  assert.deepEqual(await stage.links('launcher'), ['eth0']);
});

for (const [how, end] of [
  ['is killed', (pid: number) => process.kill(pid, 'SIGKILL')],
  ['is interrupted with all that runs in its terminal', (pid: number) => process.kill(-pid, 'SIGINT')],
] as const) {
  realTest(`a sandbox that ${how} leaves no namespace, link or lease`, whatIsMissing, async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'patchpanel-killed-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const before = Object.keys(networkInterfaces());
    const files = ['--kubeconfig', join(folder, 'kubeconfig'), '--cni-plugins', pluginFolder];
    const child = spawn(process.execPath, ['cmd/patchpanel.ts', 'sandbox', ...files], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    context.after(() => child.kill('SIGKILL'));
    const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    const started = new Promise((resolve) => child.stdout.once('data', resolve));
    assert.ok((await Promise.race([ended, started])) instanceof Buffer);
    const { pid = 0 } = child;
    const inside = childOf(childOf(pid));
    end(pid);
    assert.equal(await ended, how === 'is killed' ? 'SIGKILL' : 0);
    await until('the namespaces to end', async () => (existsSync(`/proc/${inside}/root`) ? undefined : true));
    assert.deepEqual(Object.keys(networkInterfaces()), before);
  });
}

function childOf(pid: number): number {
  const [child = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  assert.match(child, /^\d+$/);
  return Number(child);
}
