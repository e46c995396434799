/**
 * Domains made by KubeVirt's rules, on real libvirt: it places the devices with placeholder NICs among them, then they are
 * taken out and ports appended, as KubeVirt's launcher does at a start. Compared are the forecast made without XML, the
 * sandbox's model, and what libvirt then takes.
 */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { hardwareFacts } from '../../reconcile/systems/kubevirt-hardware.ts';
import { annotations } from '../../reconcile/systems/kubevirt-names.ts';
import {
  forecastFreePorts,
  type PortScheme,
  portLayout,
  rootPortsAtBoot,
} from '../../reconcile/systems/kubevirt-ports.ts';
import { countPorts } from '../../reconcile/systems/libvirt-ports.ts';
import { buildXml, type XmlNode } from '../../reconcile/systems/xml-build.ts';
import { child, childAttribute, parseXml, type XmlElement } from '../../reconcile/systems/xml-tree.ts';
import { launchDomain } from '../../sandbox/node/kubevirt-domain.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import type { Domain } from '../../sandbox/node/libvirt-model.ts';
import { sourceXml } from './domain-source.ts';
import { exhaust, exhaustModel } from './exhaust.ts';
import type { Lab } from './lab.ts';
import { withLab } from './stage.ts';

const test = withLab();

interface Case {
  readonly title: string;
  readonly memory?: string;
  /** Beside the default NIC. */
  readonly nics?: number;
  readonly disks?: number;
  readonly devices?: object;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly schemes?: readonly PortScheme[];
}

const everyScheme = ['v1', 'v2', 'v3'] as const;
const slots = (count: number) => ({ [annotations.pciSlotCount]: String(count) });

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
  { title: 'hot-plug of disks off', devices: { disableHotplug: true } },
  { title: 'no graphics', devices: { autoattachGraphicsDevice: false } },
  { title: 'slot count 9', annotations: slots(9) },
  { title: 'slot count 18', annotations: slots(18) },
  { title: 'slot count 0, large', annotations: slots(0), memory: '4Gi' },
  { title: 'slot count beyond the last controller', annotations: slots(28), memory: '4Gi' },
  { title: 'all on the root complex', annotations: { [annotations.rootComplex]: 'true' } },
];

function vmiOf({ memory = '1Gi', nics = 0, disks = 2, devices = {}, annotations: marks = {} }: Case): KubeObject {
  const names = ['default', ...Array.from({ length: nics }, (_, index) => `net${index}`)];
  return {
    metadata: { name: 'web', namespace: 'lab', uid: 'b2b5', annotations: marks },
    spec: {
      architecture: 'amd64',
      domain: {
        machine: { type: 'q35' },
        memory: { guest: memory },
        devices: {
          rng: {},
          disks: Array.from({ length: disks }, (_, index) => ({ name: `disk${index}`, disk: { bus: 'virtio' } })),
          interfaces: names.map((name) => ({ name, bridge: {}, model: 'virtio' })),
          ...devices,
        },
      },
      networks: names.map((name) => ({
        name,
        ...(name === 'default' ? { pod: {} } : { multus: { networkName: name } }),
      })),
    },
  };
}

const launchers: Readonly<Record<PortScheme, string>> = { v1: '1.5.2', v2: '1.7.0', v3: '1.9.0' };
const placeholderMac = '02:00:00:00:00:00';

/** What the launcher hands to libvirt first: no ports, no addresses, and placeholders behind the NICs. */
function unplaced(domain: Domain, placeholders: number): readonly Device[] {
  const devices = domain.devices
    .filter((device) => device.kind !== 'pci')
    .filter((device) => device.kind !== 'controller' || device.type !== 'sata')
    .map((device): Device => {
      if (!('address' in device)) return device;
      const { address: _, ...rest } = device;
      return rest;
    });
  const last = devices.findLastIndex(({ kind }) => kind === 'interface');
  const holders = Array.from(
    { length: placeholders },
    (_, index): Device => ({
      kind: 'interface',
      type: 'ethernet',
      mac: placeholderMac,
      model: 'virtio-non-transitional',
      alias: `ua-placeholder-${index}`,
    }),
  );
  return devices.toSpliced(last + 1, 0, ...holders);
}

/** What the launcher makes of the placed domain: placeholders out, ports behind all others. */
function withPorts(xml: string, extra: number): string {
  const parsed = parseXml(xml);
  assert.ok(parsed.ok);
  const { root } = parsed;
  const devices = child(root, 'devices')?.children ?? [];
  const last = Math.max(...devices.filter(isPci).map(({ attributes }) => Number(attributes.index)));
  const kept: readonly XmlNode[] = devices.filter((each) => childAttribute(each, 'mac', 'address') !== placeholderMac);
  const ports = Array.from(
    { length: extra },
    (_, index): XmlNode => ({
      name: 'controller',
      attributes: { type: 'pci', index: last + 1 + index, model: 'pcie-root-port' },
    }),
  );
  return buildXml({
    ...root,
    children: root.children.map((each) =>
      each.name === 'devices' ? { ...each, children: [...kept, ...ports] } : each,
    ),
  });
}

function isPci({ name, attributes }: XmlElement): boolean {
  return name === 'controller' && attributes.type === 'pci';
}

/** Defines and starts the domain as the launcher would. */
async function launch(lab: Lab, name: string, domain: Domain, placeholders: number, extra: number): Promise<void> {
  const onRootComplex = placeholders + extra === 0 && domain.devices.every(isOnRootBus);
  const devices = onRootComplex ? domain.devices : unplaced(domain, placeholders);
  for (const device of devices) if (device.kind === 'interface' && device.target) lab.tap(device.target, device.mtu);
  const diskFile = (target: string): string => lab.diskFile(target);
  await lab.define(sourceXml({ name, devices, serialFile: lab.serialFile(name), diskFile }));
  await lab.define(withPorts(await lab.must('dumpxml', '--inactive', name), extra));
  await lab.start(name, { paused: true });
}

function isOnRootBus(device: Device): boolean {
  return !('address' in device) || device.address === undefined || device.address.bus === 0;
}

let agreed = 0;
const total = cases.flatMap(({ schemes = ['v3'] }) => schemes).length;

for (const [number, wish] of cases.entries()) {
  for (const scheme of wish.schemes ?? (['v3'] as const)) {
    test(`${wish.title}, ports by ${scheme}`, async (lab, context) => {
      const vmi = vmiOf(wish);
      const facts = hardwareFacts(vmi.spec, vmi.metadata.annotations);
      const nics = 1 + (wish.nics ?? 0);
      const model = launchDomain(vmi, { scheme });
      const { placeholders, extra } = portLayout(facts, nics, scheme);
      const name = `k${number}${scheme}`;
      try {
        await launch(lab, name, model, placeholders, extra);
        const counted = countPorts(await lab.domain(name));
        assert.equal(counted.ports.length, rootPortsAtBoot(facts, nics, scheme), 'ports in all');
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

test('forecasts', async (_lab, context) => {
  context.diagnostic(`${agreed} of ${total} starts by KubeVirt's rules were forecast port by port`);
  assert.equal(agreed, total);
});
