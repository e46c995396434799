/** The engine on a sandbox whose launcher pods show real guests: what it reads through exec is real XML. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { virtualMachineInstances } from '../../reconcile/kube/resources.ts';
import { observe } from '../../reconcile/live/observe.ts';
import type { Plan } from '../../reconcile/plan/model.ts';
import { countPorts } from '../../reconcile/systems/libvirt-ports.ts';
import { realVirsh } from '../../sandbox/node/real-virsh.ts';
import type { NicDevice } from '../../templates/device-xml.ts';
import { CliStage } from '../cli-stage.ts';
import { follower } from './follower.ts';
import { launch } from './kubevirt-launch.ts';
import type { Lab } from './lab.ts';
import { withLab } from './stage.ts';

const test = withLab();
/** Has a real guest. */
const namespace = 'demo';

/** A NIC that nobody planned. */
function foreign(number: number): NicDevice {
  return { name: `foreign${number}`, mac: `02:00:00:00:0d:0${number}`, tap: `foreign${number}` };
}

/** A sandbox where a VM of the demonstration runs on the lab's libvirt. Both end with the test. */
async function withGuest(lab: Lab, context: TestContext, vm: string, linux = false): Promise<CliStage> {
  const name = `${namespace}_${vm}`;
  const exec = realVirsh({ uri: lab.uri, domains: new Map([[name, name]]) });
  const { onDomain, settled } = follower(lab, name);
  const stage = await CliStage.start({ exec, onDomain });
  context.after(async () => {
    await stage.stop();
    await settled();
  });
  const vmi = await stage.cluster.admin.get(virtualMachineInstances, namespace, vm);
  assert.ok(vmi !== undefined);
  await launch(lab, name, vmi, { linux });
  context.after(() => lab.remove(name));
  stage.requests();
  return stage;
}

test('a plan counts the ports of the real guest, and libvirt then gives the ports that it names', async (lab, context) => {
  const stage = await withGuest(lab, context, 'web-0');
  // The sandbox's own model does not know of it.
  await lab.attach('demo_web-0', foreign(1));
  const four = await stage.desired('four', { 'web-0': ['storage', 'backup', 'mgmt', 'red'] });
  const blocked = await stage.expect(4, ['plan', four]);
  assert.match(blocked.stdout, /blocked \(no-ports\) web-0 has 3 free PCIe ports, 4 are needed/);

  const three = await stage.desired('three', { 'web-0': ['storage', 'backup', 'mgmt'] });
  const { targets } = JSON.parse((await stage.expect(2, ['plan', three, '-o', 'json'])).stdout) as Plan;
  const [target] = targets;
  assert.ok(target !== undefined);
  assert.equal(target.ports?.basis, 'xml');
  assert.equal(target.ports.free, 3);
  const foretold = target.actions.flatMap((action) => ('ports' in action ? Object.entries(action.ports ?? {}) : []));
  assert.deepEqual(
    foretold.map(([name]) => name),
    ['storage', 'backup', 'mgmt'],
  );
  for (const [index, [name]] of foretold.entries()) {
    const { stderr } = await lab.attach('demo_web-0', { name, mac: `02:00:00:00:0e:0${index}`, tap: `web-${name}` });
    assert.equal(stderr.trim(), '');
  }
  const real = (await lab.domain('demo_web-0')).nics.flatMap(({ name = '', address }) =>
    foretold.some(([each]) => each === name) ? [[name, address?.bus]] : [],
  );
  assert.deepEqual(Object.fromEntries(real), Object.fromEntries(foretold));
});

test('ports that someone else takes between plan and apply: nothing is touched', async (lab, context) => {
  const stage = await withGuest(lab, context, 'web-0');
  const folder = await stage.desired('late', { 'web-0': ['storage', 'backup'] });
  const saved = join(stage.folder, 'plan.json');
  await writeFile(saved, (await stage.expect(2, ['plan', folder, '-o', 'json'])).stdout);
  const { free } = countPorts(await lab.domain('demo_web-0'));
  for (let number = 0; number < free; number += 1) await lab.attach('demo_web-0', foreign(number));
  stage.requests();
  const stale = await stage.expect(7, ['apply', saved]);
  assert.match(stale.stderr, /demo\/web-0 is not as the plan found it/);
  const blocked = await stage.expect(4, ['apply', folder]);
  assert.match(blocked.stdout, /web-0 has 0 free PCIe ports, 2 are needed/);
  assert.deepEqual(stage.writes(), []);
});

test('a NIC that virsh says is detached stays one that the guest has', async (lab, context) => {
  const stage = await withGuest(lab, context, 'web-1', true);
  await lab.booted('demo_web-1');
  await lab.must('suspend', 'demo_web-1');
  const storage = (await lab.domain('demo_web-1')).nics.find(({ name }) => name === 'storage');
  assert.ok(storage?.mac !== undefined && storage.target !== undefined);
  const nic = { name: 'storage', mac: storage.mac, tap: storage.target };
  assert.match((await lab.detach('demo_web-1', nic)).stdout, /^Device detached successfully/);

  const read = async (): Promise<readonly (string | undefined)[]> => {
    const wanted = { targets: [{ namespace, name: 'web-1' }], networks: [] };
    const live = await observe(stage.cluster.admin, wanted, { domainXml: 'always' });
    const domain = live.vms.get('demo/web-1')?.domain;
    assert.equal(domain?.kind, 'read');
    return domain?.kind === 'read' ? domain.domain.nics.map(({ name }) => name) : [];
  };
  assert.deepEqual(await read(), ['default', 'storage']);
  await lab.must('resume', 'demo_web-1');
  await lab.until('demo_web-1', 'storage gone', ({ nics }) => !nics.some(({ name }) => name === 'storage'));
  assert.deepEqual(await read(), ['default']);
});

test('apply, followed by a Linux that sees the NICs come and go', async (lab, context) => {
  const name = 'demo_web-0';
  const stage = await withGuest(lab, context, 'web-0', true);
  await lab.booted(name);
  const names = async () => (await lab.domain(name)).nics.map((nic) => nic.name);

  const two = await stage.desired('two', { 'web-0': ['storage', 'backup'] });
  const plugged = await stage.expect(0, ['apply', two]);
  assert.match(plugged.stdout, /demo\/web-0 {2}converged {2}layers agree: vm, vmi, pod, multus, domain/);
  assert.deepEqual(await names(), ['default', 'storage', 'backup']);
  for (const { mac, mtu } of (await lab.domain(name)).nics.slice(1)) {
    await lab.guestSays(name, new RegExp(`nic add \\S+ ${mac} mtu ${mtu} `));
  }

  const one = await stage.desired('one', { 'web-0': ['backup'] });
  await stage.expect(0, ['apply', one]);
  assert.deepEqual(await names(), ['default', 'backup']);
  await lab.guestSays(name, /nic remove/);

  // A guest that does not let go: the layers of Kubernetes say gone, only the domain knows better.
  await lab.must('suspend', name);
  const none = await stage.desired('none', { 'web-0': [] });
  const stuck = await stage.expect(5, ['apply', none, '--action-timeout', '5']);
  assert.match(stuck.stdout + stuck.stderr, /the domain XML still has "backup"/);
  assert.deepEqual(await names(), ['default', 'backup']);
  await lab.must('resume', name);
  await lab.until(name, 'backup gone', (domain) => domain.nics.length === 1);
  await stage.expect(0, ['apply', none]);
});
