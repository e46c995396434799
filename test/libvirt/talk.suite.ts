/** What the talk shows, on a Linux that really runs: it says on its serial console which NICs come and go. */
import assert from 'node:assert/strict';
import { annotations } from '../../reconcile/systems/kubevirt-names.ts';
import type { LiveDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { countPorts, nextPort } from '../../reconcile/systems/libvirt-ports.ts';
import type { NicDevice } from '../../templates/device-xml.ts';
import { noPortLeft } from './exhaust.ts';
import { launch, type VmiWish, vmiOf } from './kubevirt-launch.ts';
import type { Lab } from './lab.ts';
import { withLab } from './stage.ts';

const test = withLab();

function nic(number: number): NicDevice {
  const mac = `02:70:70:00:00:${number.toString(16).padStart(2, '0')}`;
  return { name: `vlan${100 + number}`, mac, tap: `vlan${100 + number}`, mtu: 1400 + number };
}

async function boot(lab: Lab, name: string, wish: VmiWish): Promise<LiveDomain> {
  await launch(lab, name, vmiOf(wish), { linux: true });
  await lab.booted(name);
  return await lab.domain(name);
}

/** Plugs a NIC in; the guest must see it, with its MAC and MTU, behind the port that was foretold. */
async function plug(lab: Lab, name: string, device: NicDevice): Promise<LiveDomain> {
  const expected = nextPort(await lab.domain(name));
  assert.ok(expected !== undefined);
  const { stderr } = await lab.attach(name, device);
  assert.equal(stderr.trim(), '');
  const said = await lab.guestSays(name, new RegExp(`nic add \\S+ ${device.mac} `));
  const domain = await lab.domain(name);
  assert.deepEqual(domain.nics.find(({ name: each }) => each === device.name)?.address, expected);
  // The guest numbers the buses behind the ports as libvirt does, since it finds the ports in their order.
  const bus = expected.bus.toString(16).padStart(2, '0');
  assert.match(said, new RegExp(`mtu ${device.mtu} /devices/pci0000:00/0000:00:\\S+/0000:${bus}:00.0/virtio`));
  return domain;
}

/** Plugs until every port is taken, then once more. Returns how many it took. */
async function useUp(lab: Lab, name: string): Promise<number> {
  const free = countPorts(await lab.domain(name)).free;
  for (let number = 0; number < free; number += 1) await plug(lab, name, nic(number));
  const full = await lab.domain(name);
  assert.equal(countPorts(full).free, 0);
  assert.equal(nextPort(full), undefined, 'the refusal is foretold');
  const refused = await lab.attach(name, nic(free));
  assert.equal(refused.exitCode, 1);
  assert.ok(refused.stderr.includes(noPortLeft), refused.stderr);
  return free;
}

test('web-0, as KubeVirt makes it: NICs are plugged until the ports are used up, and the refusal is foretold', async (lab, context) => {
  await boot(lab, 'web-0', { memory: '1Gi' });
  try {
    const taken = await useUp(lab, 'web-0');
    assert.equal(taken, 4);
    context.diagnostic(`${taken} NICs plugged, the next refused`);

    // The third demo goes on from here: one comes out, and its port takes another.
    const gone = nic(1);
    const bus = (await lab.domain('web-0')).nics.find(({ name }) => name === gone.name)?.address?.bus;
    await lab.detachAlias('web-0', `ua-${gone.name}`);
    const left = await lab.until('web-0', 'NIC gone', ({ nics }) => !nics.some(({ name }) => name === gone.name));
    const guestBus = (bus ?? 0).toString(16).padStart(2, '0');
    await lab.guestSays('web-0', new RegExp(`nic remove \\S+ /devices/\\S+/0000:${guestBus}:00.0/virtio`));
    assert.equal(countPorts(left).free, 1);
    assert.equal(nextPort(left)?.bus, bus);
    await plug(lab, 'web-0', nic(40));
  } finally {
    await lab.remove('web-0');
  }
});

test('db-0 with 24 ports: a NIC for every one that is free', async (lab, context) => {
  const domain = await boot(lab, 'db-0', {
    memory: '1Gi',
    disks: 1,
    annotations: { [annotations.pciSlotCount]: '18' },
  });
  try {
    assert.equal(countPorts(domain).ports.length, 24);
    const taken = await useUp(lab, 'db-0');
    context.diagnostic(`24 ports, ${taken} NICs plugged, the next refused`);
    assert.equal(lab.guestLines('db-0').filter((line) => line.startsWith('guest nic add')).length, taken);
  } finally {
    await lab.remove('db-0');
  }
});
