/**
 * Starts a domain on real libvirt as KubeVirt's launcher does: libvirt places the devices with placeholder NICs among them,
 * then these are taken out and ports appended, and what results is what runs.
 */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { hardwareFacts } from '../../reconcile/systems/kubevirt-hardware.ts';
import { type PortScheme, portLayout } from '../../reconcile/systems/kubevirt-ports.ts';
import { buildXml, type XmlNode } from '../../reconcile/systems/xml-build.ts';
import { child, childAttribute, parseXml, type XmlElement } from '../../reconcile/systems/xml-tree.ts';
import { launchDomain } from '../../sandbox/node/kubevirt-domain.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import type { Domain } from '../../sandbox/node/libvirt-model.ts';
import { sourceXml } from './domain-source.ts';
import type { Lab } from './lab.ts';

export interface VmiWish {
  readonly memory?: string;
  /** Beside the default NIC. */
  readonly nics?: number;
  readonly disks?: number;
  readonly devices?: object;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A VMI of namespace `lab`. */
export function vmiOf({
  memory = '1Gi',
  nics = 0,
  disks = 2,
  devices = {},
  annotations: marks = {},
}: VmiWish): KubeObject {
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

export interface LaunchOptions {
  readonly scheme?: PortScheme;
  /** Boots Linux; otherwise it is started paused, with nothing to boot. */
  readonly linux?: boolean;
}

/** Starts the domain of a VMI under this name with what a hook made of its XML, as a launcher of v1.5 does: in two passes. */
export async function launchHooked(
  lab: Lab,
  name: string,
  vmi: KubeObject,
  hook: (xml: string) => string,
): Promise<void> {
  const facts = hardwareFacts(vmi.spec, vmi.metadata.annotations);
  const interfaces = items(fields(fields(fields(vmi.spec).domain).devices).interfaces);
  const { placeholders } = portLayout(facts, interfaces.length, 'v1');
  const devices = unplaced(launchDomain(vmi, { scheme: 'v1' }), placeholders);
  for (const device of devices) {
    if (device.kind === 'interface' && device.target !== undefined) lab.tap(device.target, device.mtu);
  }
  const diskFile = (target: string): string => lab.diskFile(`${name}-${target}`);
  await lab.define(hook(sourceXml({ name, devices, serialFile: lab.serialFile(name), diskFile, linux: false })));
  await lab.define(hook(withPorts(await lab.must('dumpxml', '--inactive', name), 0)));
  await lab.start(name, { paused: true });
}

/**
 * Defines and starts the domain of a VMI under this name, with the taps of its NICs.
 * @returns the sandbox's model of it
 */
export async function launch(lab: Lab, name: string, vmi: KubeObject, options: LaunchOptions = {}): Promise<Domain> {
  const { scheme = 'v3', linux = false } = options;
  const spec = fields(vmi.spec);
  const facts = hardwareFacts(spec, vmi.metadata.annotations);
  const interfaces = items(fields(fields(spec.domain).devices).interfaces);
  const { placeholders, extra } = portLayout(facts, interfaces.length, scheme);
  const domain = launchDomain(vmi, { scheme });
  const devices = facts.rootComplexAnnotation ? domain.devices : unplaced(domain, placeholders);
  for (const device of devices) {
    if (device.kind === 'interface' && device.target !== undefined) lab.tap(device.target, device.mtu);
  }
  const serialFile = lab.serialFile(name);
  const diskFile = (target: string): string => lab.diskFile(`${name}-${target}`);
  await lab.define(sourceXml({ name, devices, serialFile, diskFile, linux }));
  await lab.define(withPorts(await lab.must('dumpxml', '--inactive', name), extra));
  await lab.start(name, { paused: !linux });
  return domain;
}
