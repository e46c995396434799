import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hardwareFacts } from './kubevirt-hardware.ts';

const spec = {
  architecture: 'amd64',
  domain: {
    machine: { type: 'q35' },
    memory: { guest: '4Gi' },
    resources: { requests: { memory: '8Gi' } },
    devices: {
      disks: [
        { name: 'root', disk: { bus: 'virtio' } },
        { name: 'cd', cdrom: { bus: 'sata' } },
        { name: 'plain', disk: {} },
        { name: 'lun', lun: { bus: 'virtio' } },
      ],
      inputs: [
        { name: 'tablet', bus: 'virtio', type: 'tablet' },
        { name: 'usb', bus: 'usb', type: 'tablet' },
      ],
      gpus: [{ name: 'gpu' }],
      hostDevices: [{ name: 'a' }, { name: 'b' }],
      rng: {},
      watchdog: { name: 'dog' },
      autoattachMemBalloon: false,
      disableHotplug: true,
    },
  },
};

test('virtio disks that are plugged into the running VM are told apart', () => {
  const claim = (name: string, hotpluggable: boolean) => ({ name, persistentVolumeClaim: { hotpluggable } });
  const volumes = [claim('root', false), { name: 'lun', dataVolume: { hotpluggable: true } }, claim('plain', true)];
  const { virtioDisks, hotDisks } = hardwareFacts({ ...spec, volumes }, {});
  assert.deepEqual([virtioDisks, hotDisks], [2, 1]);
});

test('what sits on USB brings its controller', () => {
  const usb = (devices: object) => hardwareFacts({ domain: { devices } }, {}).usb;
  assert.equal(usb({}), undefined);
  assert.equal(usb({ inputs: [{ name: 'tablet', bus: 'virtio', type: 'tablet' }] }), undefined);
  assert.equal(usb({ inputs: [{ name: 'tablet', type: 'tablet' }] }), true);
  assert.equal(usb({ disks: [{ name: 'stick', disk: { bus: 'usb' } }] }), true);
  assert.equal(usb({ clientPassthrough: {} }), true);
});

test('a number of ports is read where it is one', () => {
  const devices = (numberPciPorts: unknown) => hardwareFacts({ domain: { devices: { numberPciPorts } } }, {});
  assert.equal(devices(24).declaredPorts, 24);
  for (const other of [undefined, null, '24']) assert.equal(devices(other).declaredPorts, undefined);
});

test('devices, memory and annotations are read', () => {
  const marks = {
    'kubevirt.io/pci-interface-slot-count': '12',
    'kubevirt.io/pci-topology-version': 'v2',
    'kubevirt.io/placePCIDevicesOnRootComplex': 'true',
  };
  assert.deepEqual(hardwareFacts(spec, marks), {
    virtioDisks: 2,
    hostDevices: 2,
    gpus: 1,
    virtioInputs: 1,
    watchdog: true,
    rng: true,
    balloon: false,
    disableHotplug: true,
    rootComplexAnnotation: true,
    usb: true,
    memoryBytes: 4 * 1024 ** 3,
    machineType: 'q35',
    architecture: 'amd64',
    topologyVersion: 'v2',
    slotCount: '12',
  });
});

test('what is missing takes KubeVirt defaults', () => {
  const bare = hardwareFacts({ domain: { devices: {}, resources: { requests: { memory: '1Gi' } } } }, undefined);
  assert.equal(bare.balloon, true);
  assert.equal(bare.memoryBytes, 1024 ** 3);
  assert.equal(bare.slotCount, undefined);
  assert.equal(hardwareFacts(null, null).virtioDisks, 0);
});
