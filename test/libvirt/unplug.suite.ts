/** Unplugs that do not go as virsh says, and a libvirtd that dies: the live XML alone tells what is true. */
import assert from 'node:assert/strict';
import type { LiveDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { countPorts, nextPort } from '../../reconcile/systems/libvirt-ports.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import type { NicDevice } from '../../templates/device-xml.ts';
import { sourceXml } from './domain-source.ts';
import { noPortLeft } from './exhaust.ts';
import type { Lab } from './lab.ts';
import { withLab } from './stage.ts';

const test = withLab();

const ports = (count: number): readonly Device[] => [
  ...Array.from({ length: count }, (_, at): Device => ({ kind: 'pci', index: at + 1, model: 'pcie-root-port' })),
  { kind: 'controller', type: 'usb', index: 0, model: 'none' },
  { kind: 'memballoon', model: 'none' },
];

function nic(name: string, number: number): NicDevice {
  return { name, mac: `02:00:00:00:0c:0${number}`, tap: `tap${number}`, mtu: 1480 };
}
const [red, green, blue] = [nic('red', 1), nic('green', 2), nic('blue', 3)];

async function define(lab: Lab, name: string, count: number, options: { linux?: boolean; machine?: string } = {}) {
  await lab.define(sourceXml({ name, devices: ports(count), serialFile: lab.serialFile(name), ...options }));
}

function names({ nics }: LiveDomain): readonly string[] {
  return nics.map(({ name = '?' }) => name);
}

async function attach(lab: Lab, name: string, ...nics: readonly NicDevice[]): Promise<void> {
  for (const each of nics) assert.deepEqual((await lab.attach(name, each)).stderr.trim(), '');
}

test('a freed port is taken before higher ones', async (lab) => {
  // Up to this machine version QEMU lets go at once where no guest runs.
  await define(lab, 'freed', 4, { machine: 'pc-q35-6.0' });
  try {
    await lab.start('freed', { paused: true });
    await attach(lab, 'freed', red, green);
    await lab.detachAlias('freed', 'ua-red');
    const left = await lab.until('freed', 'red gone', (domain) => !names(domain).includes('red'));
    assert.equal(countPorts(left).free, 3);
    assert.equal(nextPort(left)?.bus, 1);
    await attach(lab, 'freed', blue);
    const buses = (await lab.domain('freed')).nics.map(({ name, address }) => [name, address?.bus]);
    assert.deepEqual(buses.toSorted(), [
      ['blue', 1],
      ['green', 2],
    ]);
  } finally {
    await lab.remove('freed');
  }
});

test('a guest that does not acknowledge: virsh says done, the XML says no, the port stays taken', async (lab) => {
  await define(lab, 'deaf', 2, { linux: true });
  try {
    await lab.start('deaf');
    await lab.booted('deaf');
    await attach(lab, 'deaf', red, green);
    await lab.guestSays('deaf', /nic add \S+ 02:00:00:00:0c:02/);
    await lab.must('suspend', 'deaf');
    const { exitCode, stdout } = await lab.detach('deaf', red);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^Device detached successfully/);
    const after = await lab.domain('deaf');
    assert.deepEqual(names(after), ['red', 'green']);
    assert.equal(countPorts(after).free, 0);
    assert.equal(nextPort(after), undefined);
    const refused = await lab.attach('deaf', blue);
    assert.ok(refused.stderr.includes(noPortLeft), refused.stderr);

    await lab.must('resume', 'deaf');
    const left = await lab.until('deaf', 'red gone', (domain) => !names(domain).includes('red'));
    assert.equal(nextPort(left)?.bus, 1);
    await attach(lab, 'deaf', blue);
    assert.deepEqual((await lab.domain('deaf')).nics.find(({ name }) => name === 'blue')?.address?.bus, 1);
  } finally {
    await lab.remove('deaf');
  }
});

test('an unplug that is asked for during boot is lost; a second one works', async (lab) => {
  await define(lab, 'booting', 2, { linux: true });
  try {
    await lab.start('booting', { paused: true });
    await attach(lab, 'booting', red);
    await lab.must('resume', 'booting');
    const { exitCode, stdout } = await lab.detachAlias('booting', 'ua-red');
    assert.equal(exitCode, 0);
    assert.match(stdout, /^Device detach request sent successfully/);
    await lab.booted('booting');
    await lab.guestSays('booting', /nic boot eth0 02:00:00:00:0c:01/);
    assert.deepEqual(names(await lab.domain('booting')), ['red']);
    await lab.detachAlias('booting', 'ua-red');
    const left = await lab.until('booting', 'red gone', (domain) => domain.nics.length === 0);
    assert.equal(countPorts(left).free, 2);
    await lab.guestSays('booting', /nic remove eth0/);
  } finally {
    await lab.remove('booting');
  }
});

test('libvirtd killed and back: the guest runs on, ports and NICs are as before', async (lab) => {
  await define(lab, 'survivor', 3, { linux: true });
  try {
    await lab.start('survivor');
    await lab.booted('survivor');
    await attach(lab, 'survivor', red, green);
    await lab.guestSays('survivor', /nic add \S+ 02:00:00:00:0c:02/);
    const before = await lab.domain('survivor');
    await lab.killDaemon();
    const dead = await lab.virsh('dumpxml', 'survivor');
    assert.equal(dead.exitCode, 1);
    assert.match(dead.stderr, /failed to connect to the hypervisor/);
    await lab.startDaemon();
    const after = await lab.domain('survivor');
    assert.deepEqual(after.nics, before.nics);
    assert.deepEqual(countPorts(after), countPorts(before));
    assert.equal(lab.guestLines('survivor').filter((line) => line.startsWith('guest ready')).length, 1);

    await lab.detachAlias('survivor', 'ua-red');
    await lab.until('survivor', 'red gone', (domain) => !names(domain).includes('red'));
    await lab.guestSays('survivor', /nic remove/);
    await attach(lab, 'survivor', blue);
    assert.equal((await lab.domain('survivor')).nics.find(({ name }) => name === 'blue')?.address?.bus, 1);
  } finally {
    await lab.remove('survivor');
  }
});
