/** A declared number of PCIe ports, by the command line: written, restarted for, and there. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../reconcile/kube/cluster.ts';
import { configMaps, virtualMachineInstances, virtualMachines } from '../reconcile/kube/resources.ts';
import { fields } from '../reconcile/systems/json-shape.ts';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { countPorts } from '../reconcile/systems/libvirt-ports.ts';
import { vmiSpecSchema } from '../sandbox/kubevirt/vmi-schema.ts';
import { CliStage } from './cli-stage.ts';
import { leavable } from './left-out.ts';
import type { VmsPlan } from './plan-cases.ts';

const slotCount = 'kubevirt.io/pci-interface-slot-count';
const hookSidecars = 'hooks.kubevirt.io/hookSidecars';
const settings = 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec:\n  restart: stage\n';

async function declare(
  stage: CliStage,
  folder: string,
  vm: string,
  staging = true,
  attachments: readonly object[] = [],
): Promise<string> {
  const path = await stage.desired(folder, {});
  const head = `apiVersion: patchpanel.dev/v1alpha1\nkind: NetworkAttachments\nmetadata: {name: ${vm}, namespace: demo}\n`;
  await writeFile(
    join(path, `${vm}.yaml`),
    `${head}spec:\n  pciePorts: 24\n  attachments: ${JSON.stringify(attachments)}\n`,
  );
  if (staging) await writeFile(join(path, 'settings.yaml'), settings);
  return path;
}

async function planOf(stage: CliStage, path: string, code: number): Promise<VmsPlan> {
  const { stdout } = await stage.expect(code, ['plan', path, '-o', 'json']);
  return JSON.parse(stdout) as VmsPlan;
}

async function template(stage: CliStage, name: string): Promise<{ annotations: object; devices: object }> {
  const vm = await stage.cluster.admin.get(virtualMachines, 'demo', name);
  const { metadata, spec } = fields(fields(vm?.spec).template);
  stage.requests();
  return { annotations: fields(fields(metadata).annotations), devices: fields(fields(fields(spec).domain).devices) };
}

async function instance(stage: CliStage, name: string): Promise<KubeObject | undefined> {
  return await stage.cluster.admin.get(virtualMachineInstances, 'demo', name);
}

/** Asks for a restart as virtctl does, and waits for the new instance to run. */
async function restart(stage: CliStage, name: string): Promise<void> {
  const before = (await instance(stage, name))?.metadata.uid;
  const { server, ca, adminToken } = stage.cluster;
  const path = `/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachines/${name}/restart`;
  const asked = request(new URL(path, server), {
    method: 'PUT',
    ca,
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
  });
  asked.end('{}');
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  assert.equal(answer.statusCode, 202);
  for (let attempt = 0; attempt < 800; attempt += 1) {
    const vmi = await instance(stage, name);
    const status = fields(vmi?.status);
    if (vmi?.metadata.uid !== before && status.phase === 'Running' && status.interfaces !== undefined) return;
    await sleep(25);
  }
  assert.fail(`${name} did not restart`);
}

async function rootPorts(stage: CliStage, name: string): Promise<number> {
  return countPorts(parseDomain(await stage.domainXml(name))).ports.length;
}

suite('by the slot count', () => {
  let stage: CliStage;
  before(async () => {
    stage = await CliStage.start();
  });
  after(() => stage.stop());

  test('too few ports for its NICs: what gives it more is written all the same', async () => {
    const attachments = Array.from({ length: 14 }, (_, index) => ({ name: `n${index}`, network: 'storage-net' }));
    const path = await declare(stage, 'short', 'web-1', true, attachments);
    const made = await planOf(stage, path, 4);
    const [target] = made.targets;
    assert.deepEqual(
      [target?.blockers.map(({ code }) => code), target?.actions.map(({ kind }) => kind)],
      [['no-ports'], ['set-ports']],
    );
    const applied = await stage.expect(4, ['apply', path]);
    assert.match(applied.stdout, /blocked/);
    assert.match(String(fields((await template(stage, 'web-1')).annotations)[slotCount]), /^\d+$/);
    assert.deepEqual((await planOf(stage, path, 4)).targets[0]?.actions, []);
  });

  test('a running VM: staged, restarted by its owner, and then there', async () => {
    const path = await declare(stage, 'running', 'web-0');
    const text = (await stage.expect(2, ['plan', path])).stdout;
    assert.match(
      text,
      /~ set kubevirt\.io\/pci-interface-slot-count to \d+ in the template \(takes effect at the next re/,
    );
    assert.match(text, /port count 24 declared, \d+ now, 24 after the next start \(forecast\)/);
    assert.match(text, /PCI bus after the next start \(forecast\): scsi controller 5 -> \d+/);
    assert.match(text, /note: the next start moves disk vda .* Windows/);
    const made = await planOf(stage, path, 2);
    assert.deepEqual(
      made.targets[0]?.actions.map(({ kind }) => kind),
      ['set-ports'],
    );
    const before = (await instance(stage, 'web-0'))?.metadata.uid;
    stage.requests();

    const saved = join(stage.folder, 'staged.plan.json');
    await writeFile(saved, `${(await stage.expect(2, ['plan', path, '-o', 'json'])).stdout}`);
    const applied = await stage.expect(0, ['apply', saved]);
    assert.match(applied.stdout, /staged/);
    assert.deepEqual(stage.writes(), [
      'PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/demo/virtualmachines/web-0',
    ]);
    const { annotations } = await template(stage, 'web-0');
    assert.match(String(fields(annotations)[slotCount]), /^\d+$/);
    assert.equal(fields(annotations)['kubevirt.io/pci-topology-version'], 'v2');
    assert.equal((await instance(stage, 'web-0'))?.metadata.uid, before, 'nothing restarts it');
    assert.ok((await rootPorts(stage, 'web-0')) < 24);

    const waiting = await planOf(stage, path, 0);
    assert.deepEqual(
      waiting.targets[0]?.notes.map(({ code }) => code),
      ['restart-pending', 'disks-move'],
    );
    assert.deepEqual(waiting.targets[0]?.actions, []);
    await stage.expect(0, ['apply', path]);
    assert.deepEqual(stage.writes(), []);
    const refused = await planOf(stage, await declare(stage, 'unstaged', 'web-0', false), 4);
    assert.match(refused.targets[0]?.blockers[0]?.remedy ?? '', /^Restart web-0/);

    const foretold = made.targets[0]?.portCount?.moves ?? [];
    await restart(stage, 'web-0');
    assert.equal(await rootPorts(stage, 'web-0'), 24);
    const { devices } = parseDomain(await stage.domainXml('web-0'));
    const disk = foretold.find(({ device }) => device === 'disk vda');
    assert.equal(devices.find(({ label }) => label === 'disk vda')?.address.bus, disk?.to);
    assert.deepEqual((await planOf(stage, path, 0)).targets, []);
  });
});

suite('by a hook sidecar', () => {
  let stage: CliStage;
  before(async () => {
    stage = await CliStage.start();
    const path = { group: 'kubevirt.io', version: 'v1', plural: 'kubevirts', kind: 'KubeVirt' };
    const [kubevirt] = (await stage.cluster.admin.list(path, {}, (object) => object)).items;
    const { namespace, name = '' } = kubevirt?.metadata ?? {};
    const configuration = { developerConfiguration: { featureGates: ['Sidecar'] } };
    await stage.cluster.admin.mergePatch(path, namespace, name, { spec: { configuration } });
    const status = { observedKubeVirtVersion: 'v1.5.2' };
    await stage.cluster.admin.mergePatch(path, namespace, name, { status }, { subresource: 'status' });
    stage.requests();
  });
  after(() => stage.stop());

  const configMap = () => stage.cluster.admin.get(configMaps, 'demo', 'web-0-root-ports');

  test('a ConfigMap of the VM, a script that works, and the sidecars of others', async () => {
    const smbios = { image: 'registry.example.com/smbios:1', args: ['--version', 'v1alpha2'] };
    const path = await declare(stage, 'hook', 'web-0');
    const mark = { template: { metadata: { annotations: { [hookSidecars]: JSON.stringify([smbios]) } } } };
    await stage.cluster.admin.mergePatch(virtualMachines, 'demo', 'web-0', { spec: mark });
    const text = (await stage.expect(2, ['plan', path])).stdout;
    assert.match(
      text,
      /~ set hooks\.kubevirt\.io\/hookSidecars to a script for 24 ports in the template \(takes effect at the next re/,
    );
    stage.requests();
    await stage.expect(0, ['apply', path]);
    const asked = stage.requests();
    const verbs = asked.filter(({ resource }) => resource === 'configmaps').map(({ verb }) => verb);
    assert.deepEqual(verbs, ['get', 'create'], 'the rights of the role for sidecars');
    const writes = asked.filter(({ method, subresource }) => method !== 'GET' && subresource !== 'exec');
    assert.deepEqual(
      writes.map(({ method, resource, path: to }) => `${method} ${resource} ${to}`),
      [
        'POST configmaps /api/v1/namespaces/demo/configmaps',
        'PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/demo/virtualmachines/web-0',
      ],
    );
    const vm = await stage.cluster.admin.get(virtualMachines, 'demo', 'web-0');
    const written = await configMap();
    assert.deepEqual(written?.metadata.ownerReferences, [
      { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'web-0', uid: vm?.metadata.uid },
    ]);
    assert.equal(written?.metadata.labels?.['app.kubernetes.io/managed-by'], 'patchpanel');
    const sidecars = JSON.parse(String(fields((await template(stage, 'web-0')).annotations)[hookSidecars]));
    assert.deepEqual(sidecars[0], smbios);
    const { name, key, hookPath } = fields(fields(sidecars[1]).configMap);
    assert.deepEqual([name, hookPath, sidecars.length], ['web-0-root-ports', '/usr/bin/onDefineDomain', 2]);
    const script = join(stage.folder, 'onDefineDomain');
    await writeFile(script, String(fields(written?.data)[String(key)]), { mode: 0o755 });
    const xml = await stage.domainXml('web-0');
    const hooked = execFileSync(script, ['--vmi', '{}', '--domain', xml], { encoding: 'utf8' });
    assert.equal(countPorts(parseDomain(hooked)).ports.length, 24);

    const waiting = await planOf(stage, path, 0);
    assert.deepEqual(waiting.targets[0]?.actions, []);
    await restart(stage, 'web-0');
    assert.equal(await rootPorts(stage, 'web-0'), 24);
    assert.deepEqual((await planOf(stage, path, 0)).targets, []);
  });

  test('the ConfigMap of somebody else is left alone, one of ours is mended and keeps its keys', async () => {
    const path = await declare(stage, 'foreign', 'web-1');
    const name = 'web-1-root-ports';
    const metadata = { name, namespace: 'demo' };
    await stage.cluster.admin.create(configMaps, { metadata, data: { mine: 'x' } });
    const refused = (await stage.expect(5, ['apply', path])).stdout;
    assert.match(refused, /the ConfigMap demo\/web-1-root-ports does not belong to this VM/);
    assert.equal(fields((await template(stage, 'web-1')).annotations)[hookSidecars], undefined);
    const vm = await stage.cluster.admin.get(virtualMachines, 'demo', 'web-1');
    const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'web-1', uid: vm?.metadata.uid ?? '' };
    await stage.cluster.admin.mergePatch(configMaps, 'demo', name, { metadata: { ownerReferences: [owner] } });
    await stage.expect(0, ['apply', path]);
    const found = await stage.cluster.admin.get(configMaps, 'demo', name);
    assert.deepEqual(Object.keys(fields(found?.data)).sort(), ['mine', 'root-ports-24.sh']);
  });

  test('an annotation that is no list is not written over', async () => {
    const path = await declare(stage, 'odd', 'db-0', true);
    await writeFile(join(path, 'db-0.yaml'), (await readFile(join(path, 'db-0.yaml'), 'utf8')).replace('24', '60'));
    const mark = { template: { metadata: { annotations: { [hookSidecars]: '{}' } } } };
    await stage.cluster.admin.mergePatch(virtualMachines, 'demo', 'db-0', { spec: mark });
    const refused = (await stage.expect(5, ['apply', path])).stdout;
    assert.match(refused, /hooks\.kubevirt\.io\/hookSidecars is no list of sidecars/);
  });
});

suite('by a field', () => {
  let stage: CliStage;
  const devices = fields(fields(fields(vmiSpecSchema.properties?.domain).properties).devices).properties;
  before(async () => {
    // As a KubeVirt with the field would have it, in the webhooks and in what it serves.
    Object.assign(fields(devices), { numberPciPorts: { type: 'integer' } });
    stage = await CliStage.start({ definitions: 'trimmed' });
  });
  after(async () => {
    Reflect.deleteProperty(fields(devices), 'numberPciPorts');
    await stage.stop();
  });

  test(
    'the field is written where the cluster has one',
    leavable('the field is written where the cluster has one'),
    async () => {
      const path = await declare(stage, 'field', 'web-1');
      assert.deepEqual(
        (await planOf(stage, path, 2)).targets[0]?.actions.map((action) => action.kind === 'set-ports' && action.knob),
        ['field'],
      );
      await stage.expect(0, ['apply', path]);
      const { annotations, devices: written } = await template(stage, 'web-1');
      assert.equal(fields(written).numberPciPorts, 24);
      assert.equal(fields(annotations)[slotCount], undefined);
      await planOf(stage, path, 0);
    },
  );
});
