import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device, Nic, PciModel } from './libvirt-devices.ts';
import { placeDevices } from './pci-placement.ts';

// What libvirt 9.0 did with the same devices; test/libvirt asks it again.

function pci(index: number, model: PciModel = 'pcie-root-port'): Device {
  return { kind: 'pci', index, model };
}

function nic(model: string): Nic {
  return { kind: 'interface', type: 'user', mac: '52:54:00:00:00:01', model };
}

/** `index model at bus:slot.function` of the PCI controllers, `model at ...` of the NICs. */
function places(devices: readonly Device[]): readonly string[] {
  return placeDevices(devices).flatMap((device) => {
    if ((device.kind !== 'pci' && device.kind !== 'interface') || device.address === undefined) return [];
    const { bus, slot, function: number } = device.address;
    const what = device.kind === 'pci' ? `${device.index} ${device.model}` : device.model;
    return [`${what} at ${bus}:${slot}.${number}`];
  });
}

test('ports that fill gaps get their addresses after those that were listed', () => {
  assert.deepEqual(places([pci(1), pci(3)]), [
    '1 pcie-root-port at 0:1.0',
    '2 pcie-root-port at 0:1.2',
    '3 pcie-root-port at 0:1.1',
  ]);
});

test('a PCI bridge takes slot 0 of a DMI bridge, but slot 1 of any other', () => {
  const place = (model: PciModel): string | undefined => places([pci(1), pci(2, model), pci(3, 'pci-bridge')]).at(-1);
  assert.equal(place('dmi-to-pci-bridge'), '3 pci-bridge at 2:0.0');
  assert.equal(place('pcie-to-pci-bridge'), '3 pci-bridge at 2:1.0');
});

test('a bridge that libvirt adds brings a port and takes the lowest before any device does', () => {
  const devices = [pci(1), pci(2), pci(3), pci(4), nic('virtio'), nic('e1000')];
  assert.deepEqual(places(devices).slice(4), [
    '5 pcie-root-port at 0:1.4',
    '6 pcie-to-pci-bridge at 1:0.0',
    'virtio at 2:0.0',
    'e1000 at 6:1.0',
  ]);
  assert.deepEqual(places([nic('e1000')]), [
    '1 pcie-root-port at 0:1.0',
    '2 pcie-to-pci-bridge at 1:0.0',
    '3 pcie-root-port at 0:1.1',
    'e1000 at 2:1.0',
  ]);
});
