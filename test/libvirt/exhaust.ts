/** Ports used up on real libvirt, each foretold before it is taken; and by the sandbox's model. */
import assert from 'node:assert/strict';
import { type LiveDomain, type PciAddress, parseDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { countPorts, nextPort, portPool } from '../../reconcile/systems/libvirt-ports.ts';
import { domainXml } from '../../sandbox/node/domain-xml.ts';
import { attachDevice, type Domain, LibvirtError } from '../../sandbox/node/libvirt-model.ts';
import type { NicDevice } from '../../templates/device-xml.ts';
import type { Lab } from './lab.ts';

/** As virsh prints it behind `error: `. */
export const noPortLeft = 'internal error: No more available PCI slots';
/** On a bus that libvirt chose and QEMU can't plug into, and on a machine without any. */
const otherRefusals = [/^XML error: No PCI buses available$/, /'device_add': Bus '\S+' does not support hotplugging$/];
const defaultModel = 'virtio-non-transitional';

function plugged(number: number, model = defaultModel): NicDevice {
  const mac = `02:00:00:00:0b:${number.toString(16).padStart(2, '0')}`;
  return { name: `plug${number}`, mac, tap: `plug${number}`, model };
}

function addressText(address: PciAddress | undefined): string {
  return address === undefined ? 'none' : `${address.bus}:${address.slot}.${address.function}`;
}

/** All that has an address, as both libvirts would label it. */
function placesOf({ devices }: LiveDomain): readonly string[] {
  return devices.map(({ label, address }) => `${label} at ${addressText(address)}`).toSorted();
}

export interface Exhausted {
  readonly boot: readonly string[];
  /** Addresses of what was plugged until there was a refusal. */
  readonly plugged: readonly string[];
  readonly refusal: string;
}

/** Why virsh could not attach a device, without what it says in front of it. */
export function refusalText(stderr: string): string {
  return /^error: (?!Failed to attach device)(.*)$/m.exec(stderr)?.[1] ?? stderr;
}

/** Foretells each address, plugs, and compares, until libvirt refuses. */
export async function exhaust(lab: Lab, name: string, model = defaultModel): Promise<Exhausted> {
  const pool = portPool(model);
  let domain = await lab.domain(name);
  const boot = placesOf(domain);
  const foretold = countPorts(domain, pool).free;
  const addresses: string[] = [];
  for (;;) {
    const nic = plugged(addresses.length, model);
    const expected = nextPort(domain, pool);
    const { exitCode, stderr } = await lab.attach(name, nic);
    if (exitCode !== 0) {
      const refusal = refusalText(stderr);
      assert.ok(refusal === noPortLeft || otherRefusals.some((each) => each.test(refusal)), refusal);
      assert.equal(addresses.length, foretold, `${foretold} were foretold, ${addresses.length} taken`);
      assert.equal(expected, undefined, 'no port was foretold');
      return { boot, plugged: addresses, refusal };
    }
    domain = await lab.domain(name);
    const found = domain.nics.find((each) => each.name === nic.name);
    assert.equal(addressText(found?.address), addressText(expected), `NIC ${addresses.length}`);
    addresses.push(addressText(found?.address));
    assert.ok(addresses.length < 100);
  }
}

/** The same by the sandbox's model of libvirt. */
export function exhaustModel(start: Domain, model = defaultModel): Exhausted {
  const boot = placesOf(parseDomain(domainXml(start)));
  const addresses: string[] = [];
  let domain = start;
  for (;;) {
    const { name, mac, tap } = plugged(addresses.length);
    const nic = { kind: 'interface', type: 'ethernet', mac, target: tap, model, alias: `ua-${name}` } as const;
    try {
      domain = attachDevice(domain, nic);
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      return { boot, plugged: addresses, refusal: error.message };
    }
    const found = parseDomain(domainXml(domain)).nics.find((each) => each.name === name);
    addresses.push(addressText(found?.address));
  }
}
