/** `patchpanel adopt` on a sandbox: what it writes is planned empty, and the record is written only where it is asked for. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { virtualMachineInstances, virtualMachines } from '../reconcile/kube/resources.ts';
import { fields } from '../reconcile/systems/json-shape.ts';
import { ownedAnnotation } from '../reconcile/systems/patchpanel.ts';
import { CliStage } from './cli-stage.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start({ vms: 40 });
});
after(() => stage.stop());

/** A VM with whatever NICs, started as a user would. */
async function create(
  name: string,
  nics: readonly { readonly name: string; readonly net?: object; readonly [key: string]: unknown }[],
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  const networks = nics.map(({ name: nic, net }) => ({ name: nic, ...net }));
  const interfaces = nics.map(({ net: _, ...nic }) => nic);
  await stage.cluster.admin.create(virtualMachines, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { namespace: 'demo', name, labels },
    spec: {
      runStrategy: 'Always',
      template: {
        spec: {
          domain: { devices: { interfaces }, machine: { type: 'q35' }, memory: { guest: '1Gi' } },
          networks,
        },
      },
    },
  });
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const vmi = await stage.cluster.admin.get(virtualMachineInstances, 'demo', name);
    const { phase, interfaces: seen } = fields(vmi?.status);
    const settled = JSON.stringify(seen ?? []).split('multus-status').length > networks.filter(isMultus).length;
    if (phase === 'Running' && settled) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  stage.requests();
}

function isMultus(network: object): boolean {
  return 'multus' in network;
}

function multus(networkName: string): object {
  return { multus: { networkName } };
}

const pod = { name: 'default', masquerade: {}, net: { pod: {} } };

async function filesOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.yaml')).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  );
}

test('a whole cluster is adopted, and planned empty; again it is the same, byte for byte', async () => {
  await create('odd', [
    pod,
    { name: 'on', bridge: {}, macAddress: '02-AA-BB-00-00-01', model: 'e1000e', net: multus('vlan100') },
    { name: '1e3', bridge: {}, state: 'down', net: multus('demo/vlan200') },
    { name: 'Legacy', bridge: {}, net: multus('vlan300') },
    { name: 'group', bridge: {}, macAddress: '03:00:00:00:00:01', net: multus('vlan300') },
    { name: 'twin', bridge: {}, macAddress: '02:70:70:00:01:00', net: multus('vlan300') },
  ]);
  const folder = join(stage.folder, 'all');
  const first = await stage.expect(0, ['adopt', '-A', '--to', folder, '--settings']);
  assert.doesNotMatch(first.stderr, /^note/m);
  assert.deepEqual(stage.writes(), []);
  const files = await filesOf(folder);
  assert.equal(Object.keys(files).length, 40 + 4 + 1);
  const planned = await stage.expect(0, ['plan', folder, '-o', 'json']);
  const { summary, targets } = JSON.parse(planned.stdout);
  assert.equal(summary.vms, 44);
  assert.equal(summary.unchanged, 44);
  assert.deepEqual(
    targets.flatMap(({ actions, blockers }: Record<string, object[]>) => [actions, blockers].flat()),
    [],
  );

  const again = await stage.expect(0, ['adopt', '-A', '--to', folder, '--settings']);
  assert.doesNotMatch(again.stdout, /^written/m);
  assert.deepEqual(await filesOf(folder), files);
  // The same bytes in a stream.
  const { stdout } = await stage.expect(0, ['adopt', 'web-0', 'demo/odd', '-n', 'demo']);
  assert.equal(stdout, `${files['demo/odd.yaml']}---\n${files['demo/web-0.yaml']}`);
  assert.equal(
    files['demo/odd.yaml'],
    `# The NICs of demo/odd, written by \`patchpanel adopt\`.
# Not declared, and left alone:
#   default: the default network (masquerade on the pod network), which is off limits
#   Legacy: its name must be lower case: KubeVirt admits upper case, but libvirt then gets the alias in lower case and the NIC is never found again
apiVersion: patchpanel.dev/v1alpha1
kind: NetworkAttachments
metadata:
  name: odd
  namespace: demo
spec:
  attachments:
    - name: "on"
      network: vlan100
      mac: "02:aa:bb:00:00:01"
      model: e1000e
    - name: "1e3"
      network: vlan200
      state: down
    # Not declared: its MAC 03:00:00:00:00:01 is a multicast address; a NIC can not have it.
    - name: group
      network: vlan300
    # Not declared: its MAC 02:70:70:00:01:00 is also that of demo/web-1/storage, and is declared for none of them.
    - name: twin
      network: vlan300
`,
  );
  // Whatever version of YAML reads it.
  for (const text of Object.values(files)) {
    const [old, now] = (['1.1', '1.2'] as const).map((version) =>
      parseAllDocuments(text, { version }).map((document) => document.toJS()),
    );
    assert.deepEqual(old, now);
  }
});

test('what is there is not overwritten, unless that is asked for; nothing is half written', async () => {
  const folder = join(stage.folder, 'again');
  await stage.expect(0, ['adopt', '-n', 'demo', '--to', folder]);
  await writeFile(join(folder, 'demo/web-1.yaml'), 'mine\n');
  await writeFile(join(folder, 'demo/db-0.yaml'), 'mine\n');
  const before = await filesOf(folder);
  const { stderr } = await stage.expect(3, ['adopt', '-A', '--to', folder]);
  assert.match(stderr, /\(cli\/exists\)/);
  assert.match(stderr, /demo\/db-0\.yaml, .*demo\/web-1\.yaml would be overwritten/);
  assert.deepEqual(await filesOf(folder), before);
  const { stdout } = await stage.expect(0, ['adopt', '-n', 'demo', '--to', folder, '--force']);
  assert.deepEqual(
    stdout.match(/^written .*$/gm)?.map((line) => line.split('/').at(-1)),
    ['db-0.yaml', 'web-1.yaml'],
  );
});

test('by label; a VM that is not there is said; so is a selection that is none', async () => {
  await create('labelled', [pod], { tier: 'gold' });
  const { stdout } = await stage.expect(0, ['adopt', '-A', '-l', 'tier=gold']);
  assert.deepEqual(stdout.match(/^ {2}name: .*$/gm), ['  name: labelled']);
  assert.match(stdout, /^ {2}attachments: \[\]$/m);
  const none = await stage.expect(0, ['adopt', '-n', 'demo', '-l', 'tier=brass']);
  assert.equal(none.stdout, '');
  assert.match(none.stderr, /no VM was found/);
  assert.match(
    (await stage.expect(3, ['adopt', 'web-9', '-n', 'demo'])).stderr,
    /no VirtualMachine demo\/web-9 \(cluster\/not-found\)/,
  );
  assert.match((await stage.expect(3, ['adopt'])).stderr, /no VM is named/);
  assert.match((await stage.expect(3, ['adopt', 'web-0', '-A'])).stderr, /chosen by name, or by --all-namespaces/);
});

test('--take alone records the NICs, once it is confirmed; then they go when they are no longer declared', async () => {
  const target = ['demo/web-1'];
  const refused = await stage.expect(3, ['adopt', ...target, '--take']);
  assert.match(refused.stdout, /^\+ demo\/web-1: storage$/m);
  assert.match(refused.stderr, /nobody can be asked/);
  assert.deepEqual(stage.writes(), []);
  const folder = join(stage.folder, 'taken');
  await stage.expect(0, ['adopt', ...target, '--to', folder, '--take', '--yes']);
  assert.deepEqual(stage.writes(), [
    'PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/demo/virtualmachines/web-1',
  ]);
  const vm = await stage.cluster.admin.get(virtualMachines, 'demo', 'web-1');
  assert.equal(vm?.metadata.annotations?.[ownedAnnotation], '["storage"]');
  await stage.expect(0, ['plan', folder]);
  const again = await stage.expect(0, ['adopt', ...target, '--take', '--yes']);
  assert.match(again.stdout, /on patchpanel's record already/);
  assert.deepEqual(stage.writes(), []);
  const file = join(folder, 'demo/web-1.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/attachments:.*$/s, 'attachments: []\n'));
  assert.match((await stage.expect(2, ['plan', folder])).stdout, /- unplug storage/);
});

test('a VM that another tool writes is declared, with a note, and not taken', async () => {
  await create('argo', [pod, { name: 'storage', bridge: {}, net: multus('storage-net') }], {
    'argocd.argoproj.io/instance': 'vms',
  });
  const { stdout } = await stage.expect(4, ['adopt', 'demo/argo', '--take', '--yes']);
  assert.match(stdout, /! demo\/argo: storage not taken: its NICs are also written by Argo CD/);
  assert.deepEqual(stage.writes(), []);
  const yaml = await stage.expect(0, ['adopt', 'demo/argo']);
  assert.match(yaml.stdout, /^# Note: its template is also written by Argo CD/m);
});
