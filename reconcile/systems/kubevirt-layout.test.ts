import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hardware } from '../../test/vm-builder.ts';
import { type BootNic, bootBuses, bootNics, deviceWords, liveBuses } from './kubevirt-layout.ts';
import type { PortFacts, PortScheme } from './kubevirt-ports.ts';
import { parseDomain } from './libvirt-domain.ts';

/** Two virtio disks, rng, balloon, 1 GiB. */
const usual: PortFacts = { ...hardware, virtioDisks: 2, rng: true };
const large = { memoryBytes: 8 * 1024 ** 3 };

function nics(count: number): readonly BootNic[] {
  return Array.from({ length: count }, (_, index) => ({ name: `n${index}`, sriov: false, model: 'virtio' }));
}

test('the first disk behind NICs, placeholders and controllers, by version and number of NICs', () => {
  const cases: readonly (readonly [string, Partial<PortFacts>, number, PortScheme, number])[] = [
    ['one NIC', {}, 1, 'v3', 7],
    ['four NICs take the places that were kept', {}, 4, 'v3', 7],
    ['a fifth moves the disks', {}, 5, 'v3', 8],
    ['more memory appends ports behind all devices', large, 1, 'v3', 7],
    ['v1 is as v3', large, 1, 'v1', 7],
    ['v2 kept all places before the disks', large, 1, 'v2', 12],
    ['v2, small', {}, 1, 'v2', 7],
    ['a slot count keeps so many places', { ...large, slotCount: '12' }, 1, 'v3', 15],
    ['v2 does not read it', { ...large, slotCount: '20' }, 1, 'v2', 12],
    ['no NIC, no places', {}, 0, 'v3', 3],
    ['without a SCSI controller', { disableHotplug: true }, 1, 'v3', 6],
  ];
  for (const [what, facts, count, scheme, bus] of cases) {
    assert.equal(bootBuses({ ...usual, ...facts }, nics(count), scheme)?.get('disk 0'), bus, what);
  }
});

test('the order of kinds; SR-IOV NICs come with the host devices', () => {
  const facts = { ...usual, hostDevices: 1, gpus: 1, virtioInputs: 1, slotCount: '1' };
  const mixed = [
    { name: 'default', sriov: false },
    { name: 'fast', sriov: true },
  ];
  assert.deepEqual(
    [...(bootBuses(facts, mixed) ?? [])].map(([key]) => key),
    [
      'nic default',
      'scsi',
      'virtio-serial',
      'disk 0',
      'disk 1',
      'hostdev 0',
      'hostdev 1',
      'nic fast',
      'memballoon',
      'rng',
      'input 0',
    ],
  );
});

test('conventional NICs share a bridge, which comes first and takes a number of its own', () => {
  const mixed = [...nics(1), { name: 'old', sriov: false, model: 'e1000' }];
  assert.deepEqual(bootNics(mixed), { count: 2, conventional: 1 });
  const buses = bootBuses(usual, mixed);
  assert.deepEqual([buses?.get('bridge'), buses?.get('nic n0'), buses?.get('nic old')], [1, 2, undefined]);
  // Number 3 is the bridge itself.
  assert.deepEqual([buses?.get('placeholder 0'), buses?.get('placeholder 1'), buses?.get('scsi')], [4, 5, 6]);
});

test('where there are no root ports nothing is forecast', () => {
  for (const facts of [{ machineType: 'pc' }, { architecture: 's390x' }, { rootComplexAnnotation: true }]) {
    assert.equal(bootBuses({ ...usual, ...facts }, nics(1)), undefined);
  }
});

test('a live domain by the same keys', () => {
  const domain = parseDomain(readFileSync(new URL('fixtures/domain-kubevirt.xml', import.meta.url), 'utf8'));
  const live = liveBuses(domain);
  for (const { label, address } of domain.devices) {
    const nic = /^interface ua-(.*)$/.exec(label)?.[1];
    if (nic !== undefined) assert.equal(live.get(`nic ${nic}`), address.bus);
    if (label === 'disk vda') assert.equal(live.get('disk 0'), address.bus);
  }
  assert.ok([...live.values()].every((bus) => bus > 0));
  assert.ok(live.has('memballoon'));
});

test('devices in words', () => {
  assert.deepEqual(
    ['nic blue red', 'disk 2', 'hostdev 0', 'input 1', 'scsi', 'virtio-serial', 'memballoon', 'rng'].map(deviceWords),
    [
      'NIC blue red',
      'disk vdc',
      'hostdev 0',
      'input 1',
      'scsi controller',
      'virtio-serial controller',
      'balloon',
      'rng',
    ],
  );
  assert.deepEqual(['placeholder 0', 'bridge', ''].map(deviceWords), [undefined, undefined, undefined]);
});
