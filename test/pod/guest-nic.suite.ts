/** NICs of a real guest on interfaces of a network namespace that stands for its pod: wired, cut off anywhere, and taken back. */
import assert from 'node:assert/strict';
import {
  attachNic,
  detachNic,
  type GuestNic,
  type GuestResult,
  linkNic,
  type Patience,
} from '../../reconcile/apply/guest-nic.ts';
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { Container } from '../../reconcile/live/container.ts';
import { wiringOf } from '../../reconcile/systems/guest-wiring.ts';
import { parseLinks } from '../../reconcile/systems/ip-links.ts';
import { podInterfaceName } from '../../reconcile/systems/kubevirt-names.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { sourceXml } from '../libvirt/domain-source.ts';
import type { Lab } from '../libvirt/lab.ts';
import { withLab } from '../libvirt/stage.ts';

const test = withLab();

const mac = '02:00:00:00:0d:01';

function nic(name: string, extra: Partial<GuestNic> = {}): GuestNic {
  const wiring = wiringOf(podInterfaceName(name), 'uid');
  return { name, wiring, model: 'virtio', state: 'up', before: { addresses: [] }, ...extra };
}

function patience(milliseconds = 60_000): Patience {
  return { deadline: performance.now() + milliseconds, pollMs: 50, unplugAgainMs: 10_000 };
}

/** Exec as the cluster's, with a limit on how many commands are run before the process that asks is as good as dead. */
function containerOf(lab: Lab, domain: string, limit = Number.POSITIVE_INFINITY) {
  let commands = 0;
  const cluster: Pick<Cluster, 'exec'> = {
    async exec(_target, command, options = {}) {
      commands += 1;
      if (commands > limit) throw new Killed();
      const [program = '', ...args] = command;
      // The lab's libvirt listens elsewhere; what is tested is what is asked of it.
      return await lab.exec(program === 'virsh' ? ['virsh', '-c', lab.uri, ...args.slice(2)] : command, options.stdin);
    },
  };
  const target = { namespace: 'lab', pod: 'pod', container: 'vm' };
  return { container: new Container(cluster, target, { name: domain, uri: lab.uri }), ran: () => commands };
}

class Killed extends Error {}

async function must(lab: Lab, ...command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await lab.exec(command);
  assert.equal(exitCode, 0, `${command.join(' ')}: ${stderr}`);
  return stdout;
}

/** An interface as CNI leaves one, with a peer that stands for the network. */
async function plugInterface(lab: Lab, { podInterface }: GuestNic['wiring'], address = mac): Promise<void> {
  await must(
    lab,
    'ip',
    'link',
    'add',
    'dev',
    podInterface,
    'mtu',
    '1480',
    'address',
    address,
    'type',
    'veth',
    'peer',
    'name',
    'net0',
  );
  await must(lab, 'ip', 'link', 'set', 'dev', 'net0', 'up');
  await must(lab, 'ip', 'address', 'add', '10.77.0.2/24', 'dev', podInterface);
  await must(lab, 'ip', 'link', 'set', 'dev', podInterface, 'up');
}

/** All that the namespace shows of its interfaces, what the kernel counts and makes up apart. */
async function shown(lab: Lab): Promise<readonly object[]> {
  const links = parseLinks(await must(lab, 'ip', '-j', '-d', 'address', 'show')) ?? [];
  return links
    .filter(({ name }) => name !== 'net0')
    .map((link) => ({ ...link, carrier: true, addresses: link.addresses.filter((each) => !each.startsWith('fe80')) }));
}

async function withDomain(
  lab: Lab,
  name: string,
  ports: number,
  options: { readonly linux?: boolean; readonly machine?: string; readonly paused?: boolean },
  body: () => Promise<void>,
): Promise<void> {
  const devices: readonly Device[] = [
    ...Array.from({ length: ports }, (_, at): Device => ({ kind: 'pci', index: at + 1, model: 'pcie-root-port' })),
    { kind: 'controller', type: 'usb', index: 0, model: 'none' },
    { kind: 'memballoon', model: 'none' },
  ];
  await lab.define(sourceXml({ name, devices, serialFile: lab.serialFile(name), ...options }));
  try {
    await lab.start(name, options);
    await body();
  } finally {
    await lab.remove(name);
    await lab.exec(['ip', 'link', 'delete', 'dev', 'net0']);
  }
}

/** Up to this machine version QEMU lets go at once where no guest runs. */
const prompt = { machine: 'pc-q35-6.0', paused: true } as const;

test('attached with MAC and MTU of the pod interface, detached, and all as it was', async (lab) => {
  await withDomain(lab, 'whole', 2, { linux: true }, async () => {
    await lab.booted('whole');
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    const before = await shown(lab);
    const { container } = containerOf(lab, 'whole');
    assert.deepEqual(await attachNic(container, blue, patience(), () => {}), { kind: 'done' });
    await lab.guestSays('whole', /nic add \S+ 02:00:00:00:0d:01 mtu 1480/);
    const [found] = (await lab.domain('whole')).nics;
    assert.deepEqual(
      { alias: found?.alias, target: found?.target, mtu: found?.mtu },
      { alias: 'ua-blue', target: blue.wiring.tap, mtu: 1480 },
    );
    const again = containerOf(lab, 'whole');
    const there = { kind: 'done', untouched: true };
    assert.deepEqual(await attachNic(again.container, blue, patience(), () => {}), there);
    assert.equal(again.ran(), 3, 'a second time it looks and tidies');
    for (const state of ['down', 'up'] as const) {
      assert.deepEqual(await linkNic(container, { name: 'blue', state }, patience(), () => {}), { kind: 'done' });
      assert.deepEqual(await linkNic(container, { name: 'blue', state }, patience(), () => {}), there);
      assert.equal((await lab.domain('whole')).nics[0]?.linkState, state);
    }
    assert.deepEqual(await detachNic(container, blue, patience(), () => {}), { kind: 'done' });
    assert.deepEqual(await shown(lab), before);
    assert.deepEqual(await detachNic(container, blue, patience(), () => {}), there);
    const gone = await linkNic(container, { name: 'blue', state: 'up' }, patience(), () => {});
    assert.ok(gone.kind === 'failed' && gone.code === 'apply/not-attached');
  });
});

test('killed after any command, a second run attaches, or takes all of it back', async (lab) => {
  await withDomain(lab, 'cut', 2, prompt, async () => {
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    const before = await shown(lab);
    let limit = 0;
    for (let whole = false; !whole; limit += 1) {
      const cut = containerOf(lab, 'cut', limit);
      whole = await endsBy(cut.container, blue, attachNic);
      const { container } = containerOf(lab, 'cut');
      if (limit % 2 === 0) assertDone(await attachNic(container, blue, patience(), () => {}), `cut after ${limit}`);
      if (whole) break;
      assertDone(await detachNic(container, blue, patience(), () => {}), `cut after ${limit}`);
      assert.deepEqual(await shown(lab), before, `cut after ${limit} commands`);
      assert.deepEqual((await lab.domain('cut')).nics, []);
    }
    assert.ok(limit > 15, `${limit} commands`);
    for (let at = 0, whole = false; !whole; at += 1) {
      const cut = containerOf(lab, 'cut', at);
      whole = await endsBy(cut.container, blue, detachNic);
      const { container } = containerOf(lab, 'cut');
      if (!whole && at % 2 === 0) {
        assertDone(await attachNic(container, blue, patience(), () => {}), `cut after ${at}`);
        continue;
      }
      assertDone(await detachNic(container, blue, patience(), () => {}), `cut after ${at}`);
      assert.deepEqual(await shown(lab), before, `cut after ${at} commands`);
      if (!whole) await attachNic(container, blue, patience(), () => {});
    }
  });
});

/** Whatever was there of it before. */
function assertDone(result: GuestResult, when: string): void {
  assert.equal(result.kind, 'done', `${when}: ${JSON.stringify(result)}`);
}

async function endsBy(
  container: Container,
  blue: GuestNic,
  work: typeof attachNic | typeof detachNic,
): Promise<boolean> {
  try {
    assertDone(await work(container, blue, patience(), () => {}), 'uncut');
    return true;
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
    return false;
  }
}

test('no port left: refused, and all as it was', async (lab) => {
  await withDomain(lab, 'full', 1, prompt, async () => {
    await lab.attach('full', { name: 'red', mac: '02:00:00:00:0d:09', tap: 'tap9' });
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    const before = await shown(lab);
    const result = await attachNic(containerOf(lab, 'full').container, blue, patience(), () => {});
    assert.ok(result.kind === 'failed' && result.undone === true);
    assert.equal(result.code, 'apply/not-attached');
    assert.match(result.reason, /No more available PCI slots/);
    assert.deepEqual(await shown(lab), before);
    await must(lab, 'ip', 'link', 'delete', 'dev', 'tap9');
  });
});

test('a tap that another NIC holds: refused, and it stays', async (lab) => {
  await withDomain(lab, 'busy', 2, prompt, async () => {
    const blue = nic('blue');
    await lab.attach('busy', { name: 'red', mac: '02:00:00:00:0d:09', tap: blue.wiring.tap });
    await plugInterface(lab, blue.wiring);
    const before = await shown(lab);
    const result = await attachNic(containerOf(lab, 'busy').container, blue, patience(), () => {});
    assert.ok(result.kind === 'failed' && result.undone === true);
    assert.match(result.reason, /belongs to the NIC ua-red/);
    assert.deepEqual(await shown(lab), before);
    await must(lab, 'ip', 'link', 'delete', 'dev', blue.wiring.tap);
  });
});

test('a tap that another domain holds: refused, and it stays', async (lab) => {
  const blue = nic('blue');
  await withDomain(lab, 'holder', 1, prompt, async () => {
    await lab.attach('holder', { name: 'red', mac: '02:00:00:00:0d:09', tap: blue.wiring.tap });
    await withDomain(lab, 'second', 1, prompt, async () => {
      await plugInterface(lab, blue.wiring);
      for (const state of ['up', 'down']) {
        // Whether it is held shows only while it is up; then libvirt says so.
        await must(lab, 'ip', 'link', 'set', 'dev', blue.wiring.tap, state);
        const before = await shown(lab);
        const result = await attachNic(containerOf(lab, 'second').container, blue, patience(), () => {});
        assert.ok(result.kind === 'failed' && result.undone === true);
        assert.match(result.reason, state === 'up' ? /held by another program/ : /Device or resource busy/);
        // One that is down looks free, so that its MTU was set by then.
        const kept = (links: readonly object[]): object[] => links.map((link) => ({ ...link, up: true, mtu: 0 }));
        assert.deepEqual(kept(await shown(lab)), kept(before));
      }
    });
    await must(lab, 'ip', 'link', 'delete', 'dev', blue.wiring.tap);
  });
});

test('a guest that does not let go: time runs out, nothing is taken away; asked again it lets go', async (lab) => {
  await withDomain(lab, 'deaf', 2, { linux: true }, async () => {
    await lab.booted('deaf');
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    const before = await shown(lab);
    const { container } = containerOf(lab, 'deaf');
    await attachNic(container, blue, patience(), () => {});
    await lab.guestSays('deaf', /nic add/);
    const wired = await shown(lab);
    await lab.must('suspend', 'deaf');
    const result = await detachNic(container, blue, patience(1000), () => {});
    assert.ok(result.kind === 'failed');
    assert.equal(result.code, 'apply/timeout');
    assert.match(result.reason, /has not let "blue" go, after 1 request/);
    assert.deepEqual(await shown(lab), wired);
    await lab.must('resume', 'deaf');
    assert.deepEqual(await detachNic(container, blue, patience(), () => {}), { kind: 'done' });
    assert.deepEqual(await shown(lab), before);
  });
});

test('an unplug that gets lost while the guest boots is asked for again', async (lab) => {
  await withDomain(lab, 'boots', 2, { linux: true, paused: true }, async () => {
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    const { container } = containerOf(lab, 'boots');
    await attachNic(container, blue, patience(), () => {});
    await lab.must('resume', 'boots');
    const often = { ...patience(), unplugAgainMs: 500 };
    assert.deepEqual(await detachNic(container, blue, often, () => {}), { kind: 'done' });
    assert.deepEqual((await lab.domain('boots')).nics, []);
  });
});

test('libvirtd away for a while is waited for', async (lab) => {
  await withDomain(lab, 'away', 2, prompt, async () => {
    const blue = nic('blue');
    await plugInterface(lab, blue.wiring);
    await lab.killDaemon();
    const told = Promise.withResolvers<string>();
    const attached = attachNic(containerOf(lab, 'away').container, blue, patience(), told.resolve);
    assert.match(await told.promise, /failed to connect/);
    await lab.startDaemon();
    assert.deepEqual(await attached, { kind: 'done' });
  });
});
