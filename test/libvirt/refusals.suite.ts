/** What real libvirt says when it refuses a device, against the words of the sandbox's model. */
import assert from 'node:assert/strict';
import { buildXml, leaf, parent } from '../../reconcile/systems/xml-build.ts';
import type { Device, Nic } from '../../sandbox/node/libvirt-devices.ts';
import { attachDevice, type Domain, defineDomain, LibvirtError, nics } from '../../sandbox/node/libvirt-model.ts';
import { sourceXml } from './domain-source.ts';
import { refusalText } from './exhaust.ts';
import { withLab } from './stage.ts';

const test = withLab();

const devices: readonly Device[] = [
  { kind: 'pci', index: 1, model: 'pcie-root-port' },
  { kind: 'pci', index: 2, model: 'pcie-root-port' },
  { kind: 'pci', index: 3, model: 'pcie-root-port' },
  { kind: 'pci', index: 4, model: 'pcie-root-port', hotplug: false },
  { kind: 'controller', type: 'usb', index: 0, model: 'none' },
  { kind: 'memballoon', model: 'none' },
];

const first: Nic = {
  kind: 'interface',
  type: 'ethernet',
  mac: '02:00:00:00:0f:01',
  target: 'refuse1',
  model: 'virtio-non-transitional',
  alias: 'ua-one',
};
const second: Nic = { ...first, mac: '02:00:00:00:0f:02', target: 'refuse2', alias: 'ua-two' };
const at = (bus: number, slot = 0, number = 0): Nic => ({ ...second, address: { bus, slot, function: number } });

/** Refused or not, both must agree; in order, since what is accepted stays. */
const attempts: Readonly<Record<string, Nic>> = {
  'an alias that is taken': { ...second, alias: 'ua-one' },
  'a tap that another NIC holds': { ...second, target: 'refuse1' },
  'a multicast MAC': { ...second, mac: '01:00:5e:00:00:01' },
  'a model that does not exist': { ...second, model: 'vmxnet9' },
  'a port without hot-plug': at(4),
  'the root bus': at(0, 6),
  'a bus that does not exist': at(9),
  'a slot that a port does not have': at(2, 1),
  'a function other than the first': at(2, 0, 1),
  'a port that is taken': at(1),
  'a port that is free, by address': at(3),
  'a MAC that is taken': { ...second, mac: first.mac, target: 'refuse3', alias: 'ua-three' },
  'a NIC where no port is left': { ...second, target: 'refuse4', alias: 'ua-four' },
};

function xmlOf(nic: Nic): string {
  const { address } = nic;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return buildXml(
    parent(
      'interface',
      [
        leaf('mac', { address: nic.mac }),
        leaf('target', { dev: nic.target, managed: 'no' }),
        leaf('model', { type: nic.model }),
        leaf('alias', { name: nic.alias }),
        address === undefined
          ? undefined
          : leaf('address', {
              type: 'pci',
              domain: '0x0',
              bus: hex(address.bus),
              slot: hex(address.slot),
              function: hex(address.function),
            }),
      ],
      { type: nic.type },
    ),
  );
}

test('libvirt and its model refuse the same, in the same words', async (lab) => {
  for (const number of [1, 2, 3, 4]) lab.tap(`refuse${number}`);
  await lab.define(sourceXml({ name: 'refusing', devices, serialFile: lab.serialFile('refusing') }));
  await lab.start('refusing', { paused: true });
  let model: Domain = defineDomain({ name: 'refusing', uuid: '', memoryKiB: 65536, vcpus: 1, devices });
  const tryModel = (nic: Nic): string => {
    try {
      model = attachDevice(model, nic);
      return 'accepted';
    } catch (error) {
      if (error instanceof LibvirtError) return error.message;
      throw error;
    }
  };
  const tryReal = async (nic: Nic): Promise<string> => {
    const { exitCode, stderr } = await lab.attachXml('refusing', xmlOf(nic));
    return exitCode === 0 ? 'accepted' : refusalText(stderr);
  };
  assert.equal(await tryReal(first), tryModel(first));
  const [real, modelled]: [Record<string, string>, Record<string, string>] = [{}, {}];
  for (const [what, nic] of Object.entries(attempts)) {
    real[what] = await tryReal(nic);
    modelled[what] = tryModel(nic);
  }
  assert.deepEqual(modelled, real);
  const accepted = nics(model).map(({ alias, address }) => [alias?.slice('ua-'.length), address?.bus]);
  const found = (await lab.domain('refusing')).nics.map(({ name, address }) => [name, address?.bus]);
  assert.deepEqual(accepted, found);
  await lab.remove('refusing');
});
