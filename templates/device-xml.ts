/** The libvirt device of a NIC, as KubeVirt's launcher writes it for a bridge binding: what is attached and detached. */
import { nicAlias } from '../reconcile/systems/kubevirt-names.ts';
import { macFault, macPattern, normaliseMac } from '../reconcile/systems/mac.ts';
import { buildXml, leaf, parent } from '../reconcile/systems/xml-build.ts';

export interface NicDevice {
  /** Network name in the VM; the alias is made from it. */
  readonly name: string;
  /** Any spelling. */
  readonly mac: string;
  /** The tap device, which must exist in libvirt's network namespace; libvirt neither makes nor removes it. */
  readonly tap: string;
  /** libvirt's name of the model; by default what KubeVirt makes of `virtio`. */
  readonly model?: string;
  /** Bytes, of the tap and of the NIC that the guest sees. */
  readonly mtu?: number;
  readonly state?: 'up' | 'down';
  /** Queue pairs, where the VM has multi-queue NICs; the tap must have been made for it. */
  readonly queues?: number;
}

/** Longest name of a network interface in Linux, without its closing zero. */
const maxTapName = 15;

/**
 * The `<interface>` element for `virsh attach-device` and `virsh detach-device`. libvirt finds the device to detach by MAC
 * and alias, so the same input serves both. The alias begins with `ua-`: any other would be replaced by one of libvirt's.
 * @throws RangeError for a MAC or tap name that libvirt would refuse, or a character that XML can't carry
 */
export function nicDeviceXml(nic: NicDevice): string {
  const fault = macPattern.test(nic.mac) ? macFault(nic.mac) : 'is no MAC address';
  if (fault !== undefined) throw new RangeError(`${JSON.stringify(nic.mac)} ${fault}`);
  if (nic.tap === '' || nic.tap.length > maxTapName || /[\s/:]/.test(nic.tap)) {
    throw new RangeError(`${JSON.stringify(nic.tap)} is no name of a network interface`);
  }
  return buildXml(
    parent(
      'interface',
      [
        leaf('mac', { address: normaliseMac(nic.mac) }),
        leaf('target', { dev: nic.tap, managed: 'no' }),
        leaf('model', { type: nic.model ?? 'virtio-non-transitional' }),
        nic.queues === undefined ? undefined : leaf('driver', { name: 'vhost', queues: nic.queues }),
        // Up is the default, and KubeVirt leaves it out.
        nic.state === 'down' ? leaf('link', { state: 'down' }) : undefined,
        nic.mtu === undefined ? undefined : leaf('mtu', { size: nic.mtu }),
        leaf('alias', { name: nicAlias(nic.name) }),
        leaf('rom', { enabled: 'no' }),
      ],
      { type: 'ethernet' },
    ),
  );
}
