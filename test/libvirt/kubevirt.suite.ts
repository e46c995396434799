/**
 * Domains made by KubeVirt's rules, on real libvirt: the forecast made without XML and the sandbox's model, against what
 * libvirt then takes.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { hardwareFacts } from '../../reconcile/systems/kubevirt-hardware.ts';
import { type BootNic, bootBuses, bootNics, liveBuses } from '../../reconcile/systems/kubevirt-layout.ts';
import { annotations } from '../../reconcile/systems/kubevirt-names.ts';
import { forecastFreePorts, type PortScheme, rootPortsAtBoot } from '../../reconcile/systems/kubevirt-ports.ts';
import { rootPortHook } from '../../reconcile/systems/kubevirt-sidecar.ts';
import { countPorts } from '../../reconcile/systems/libvirt-ports.ts';
import { exhaust, exhaustModel } from './exhaust.ts';
import { launch, launchHooked, type VmiWish, vmiOf } from './kubevirt-launch.ts';
import { withLab } from './stage.ts';

const test = withLab();

interface Case extends VmiWish {
  readonly title: string;
  readonly schemes?: readonly PortScheme[];
}

const everyScheme = ['v1', 'v2', 'v3'] as const;
const slots = (count: number) => ({ [annotations.pciSlotCount]: String(count) });

function interfaces(...models: readonly string[]): object {
  const names = models.map((_, index) => (index === 0 ? 'default' : `net${index}`));
  return { interfaces: models.map((model, index) => ({ name: names[index], bridge: {}, model })) };
}

const cases: readonly Case[] = [
  { title: 'small, as it comes', schemes: everyScheme },
  { title: 'large, as it comes', memory: '4Gi', schemes: everyScheme },
  { title: 'small, 4 NICs', nics: 3, schemes: everyScheme },
  { title: 'large, 7 NICs', memory: '8Gi', nics: 6, schemes: everyScheme },
  { title: 'at the limit of small', memory: '2Gi' },
  { title: 'no rng, no balloon', devices: { rng: undefined, autoattachMemBalloon: false } },
  { title: 'five disks', disks: 5, memory: '4Gi' },
  { title: 'a watchdog, which brings a bridge', devices: { watchdog: { name: 'dog', i6300esb: { action: 'reset' } } } },
  { title: 'a virtio tablet', devices: { inputs: [{ name: 'tablet', type: 'tablet', bus: 'virtio' }] } },
  { title: 'a USB tablet, as Windows has one', devices: { inputs: [{ name: 'tablet', type: 'tablet', bus: 'usb' }] } },
  { title: 'hot-plug of disks off', devices: { disableHotplug: true } },
  { title: 'no graphics', devices: { autoattachGraphicsDevice: false } },
  { title: 'slot count for 24 ports', annotations: slots(17) },
  { title: 'a conventional NIC', devices: interfaces('virtio', 'e1000', 'virtio') },
  { title: 'conventional NICs first', devices: interfaces('e1000', 'rtl8139', 'virtio'), memory: '4Gi' },
  {
    title: 'a conventional NIC and a watchdog',
    devices: { ...interfaces('virtio', 'e1000'), watchdog: { name: 'dog' } },
  },
  { title: 'slot count 9', annotations: slots(9) },
  { title: 'slot count 18', annotations: slots(18) },
  { title: 'slot count 0, large', annotations: slots(0), memory: '4Gi' },
  { title: 'slot count beyond the last controller', annotations: slots(28), memory: '4Gi' },
  { title: 'all on the root complex', annotations: { [annotations.rootComplex]: 'true' } },
];

const launchers: Readonly<Record<PortScheme, string>> = { v1: '1.5.2', v2: '1.7.0', v3: '1.9.0' };
let agreed = 0;
const total = cases.flatMap(({ schemes = ['v3'] }) => schemes).length;

for (const [number, wish] of cases.entries()) {
  for (const scheme of wish.schemes ?? (['v3'] as const)) {
    test(`${wish.title}, ports by ${scheme}`, async (lab, context) => {
      const vmi = vmiOf(wish);
      const facts = hardwareFacts(vmi.spec, vmi.metadata.annotations);
      const boot = items(fields(fields(fields(vmi.spec).domain).devices).interfaces).map((nic): BootNic => {
        const { name, model } = fields(nic);
        return { name: String(name), sriov: false, model: String(model) };
      });
      const nics = boot.length;
      const name = `k${number}${scheme}`;
      try {
        const model = await launch(lab, name, vmi, { scheme });
        const domain = await lab.domain(name);
        const counted = countPorts(domain);
        assert.equal(counted.ports.length, rootPortsAtBoot(facts, bootNics(boot), scheme), 'ports in all');
        const buses = [...(bootBuses(facts, boot, scheme) ?? [])].filter(([key]) => !key.startsWith('placeholder'));
        assert.deepEqual([...liveBuses(domain)].sort(), buses.sort(), 'the bus of each device');
        const forecast = forecastFreePorts(facts, { nics, bootNics: nics, launcherVersion: launchers[scheme] });
        assert.equal(counted.free, forecast.expected, 'free ports, the start and the launcher known');
        assert.ok(forecast.min <= counted.free && counted.free <= forecast.max);
        const wide = forecastFreePorts(facts, { nics });
        assert.ok(wide.min <= counted.free && counted.free <= wide.max, 'within the bounds where little is known');
        const real = await exhaust(lab, name);
        assert.deepEqual(exhaustModel(model), real, 'the sandbox models it alike');
        context.diagnostic(`${counted.ports.length} ports, ${counted.free} free, forecast ${JSON.stringify(wide)}`);
        agreed += 1;
      } finally {
        await lab.remove(name);
      }
    });
  }
}

test('the hook script gives a domain its ports where KubeVirt gives four, in both of its passes', async (lab) => {
  const { script: text, key } = rootPortHook({ name: 'web' }, 24);
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-hook-'));
  try {
    const script = join(folder, key);
    await writeFile(script, text, { mode: 0o755 });
    const hook = (xml: string) => execFileSync(script, ['--vmi', '{}', '--domain', xml], { encoding: 'utf8' });
    // For a bridge, which a conventional NIC brings, libvirt adds a port of its own.
    for (const [name, expected, wish] of [
      ['hooked', 24, { nics: 1 }],
      ['bridged', 25, { devices: interfaces('virtio', 'e1000') }],
    ] as const) {
      const vmi = vmiOf(wish);
      await launchHooked(lab, name, vmi, hook);
      const domain = await lab.domain(name);
      const { ports, free } = countPorts(domain);
      assert.equal(ports.length, expected, name);
      // Devices sit where they would without it: the ports come behind.
      const boot = items(fields(fields(fields(vmi.spec).domain).devices).interfaces).map((nic): BootNic => {
        const { name: nicName, model } = fields(nic);
        return { name: String(nicName), sriov: false, model: String(model) };
      });
      const facts = { ...hardwareFacts(vmi.spec, vmi.metadata.annotations), hookPorts: 24 };
      const buses = [...(bootBuses(facts, boot, 'v1') ?? [])].filter(([each]) => !each.startsWith('placeholder'));
      assert.deepEqual([...liveBuses(domain)].sort(), buses.sort(), name);
      assert.equal((await exhaust(lab, name)).plugged.length, free, name);
      await lab.remove(name);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('forecasts', async (_lab, context) => {
  context.diagnostic(`${agreed} of ${total} starts by KubeVirt's rules were forecast port by port`);
  assert.equal(agreed, total);
});
