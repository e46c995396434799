import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hardware } from '../../test/vm-builder.ts';
import {
  birthSchemes,
  forecastFreePorts,
  type PortFacts,
  type PortScheme,
  parseSlotCount,
  portLayout,
  portSchemes,
  rootPortsAtBoot,
  slotCountFor,
  supportsPcieHotplug,
} from './kubevirt-ports.ts';

const GiB = 1024 ** 3;

/** A usual VM: two virtio disks, rng, balloon; with its one NIC KubeVirt counts 8 devices. */
const usual: PortFacts = { ...hardware, virtioDisks: 2, rng: true };

test('a NIC counts with controllers, disks, rng and balloon', () => {
  assert.equal(portLayout(usual, 1).inUse, 8);
  assert.equal(portLayout({ ...usual, disableHotplug: true }, 1).inUse, 7);
  assert.equal(portLayout({ ...usual, hostDevices: 1, gpus: 2, virtioInputs: 1, watchdog: true }, 1).inUse, 13);
});

test('placeholders and extra ports by scheme, memory and NICs', () => {
  const cases: readonly (readonly [string, Partial<PortFacts>, number, PortScheme, number, number])[] = [
    ['small', {}, 1, 'v3', 3, 0],
    ['small, bare', { virtioDisks: 0, rng: false }, 1, 'v3', 3, 0],
    ['exactly 2 GiB is small', { memoryBytes: 2 * GiB }, 1, 'v3', 3, 0],
    ['large', { memoryBytes: 8 * GiB }, 1, 'v3', 3, 5],
    ['large, full', { memoryBytes: 8 * GiB, virtioDisks: 8 }, 1, 'v3', 3, 3],
    ['four NICs', {}, 4, 'v3', 0, 3],
    ['five NICs', {}, 5, 'v3', 0, 3],
    ['no NIC', {}, 0, 'v3', 0, 3],
    ['slot count', { memoryBytes: 8 * GiB, slotCount: '12' }, 1, 'v3', 11, 0],
    ['low slot count', { memoryBytes: 8 * GiB, slotCount: '2' }, 1, 'v3', 1, 7],
    ['slot count below the NICs', { slotCount: '1' }, 3, 'v3', 0, 3],
    ['v1', { memoryBytes: 8 * GiB }, 1, 'v1', 3, 0],
    ['v1 does not read the slot count', { slotCount: '12' }, 1, 'v1', 3, 0],
    ['v2', { memoryBytes: 8 * GiB }, 1, 'v2', 8, 0],
    ['v2, small', {}, 1, 'v2', 3, 0],
    ['no controller beyond index 31', { memoryBytes: 8 * GiB, virtioDisks: 20, slotCount: '1' }, 1, 'v3', 0, 5],
  ];
  for (const [name, facts, nics, scheme, placeholders, extra] of cases) {
    const layout = portLayout({ ...usual, ...facts }, nics, scheme);
    assert.deepEqual({ name, placeholders: layout.placeholders, extra: layout.extra }, { name, placeholders, extra });
  }
});

test('free ports as found in domains of running VMs', () => {
  const v3 = 'registry.example/kubevirt/virt-launcher:v1.9.0';
  const small = forecastFreePorts(usual, { nics: 1, bootNics: 1, launcherVersion: v3 });
  assert.deepEqual(small, { min: 3, max: 4, expected: 4 });
  const large = forecastFreePorts({ ...usual, memoryBytes: 8 * GiB }, { nics: 3, bootNics: 1, launcherVersion: v3 });
  assert.deepEqual(large, { min: 6, max: 7, expected: 7 });
  const twelve = { ...usual, memoryBytes: 8 * GiB, slotCount: '12' };
  assert.equal(forecastFreePorts(twelve, { nics: 1, bootNics: 1, launcherVersion: v3 }).expected, 12);
  const old = forecastFreePorts({ ...usual, virtioDisks: 1 }, { nics: 4, bootNics: 2, launcherVersion: 'v1.4.1' });
  assert.deepEqual(old, { min: 0, max: 1, expected: 1 });
  const rooted = forecastFreePorts({ ...usual, rootComplexAnnotation: true }, { nics: 1 });
  assert.deepEqual(rooted, { min: 0, max: 0, expected: 0 });
  const i440 = forecastFreePorts({ ...usual, machineType: 'pc-i440fx-rhel7.6.0' }, { nics: 1 });
  assert.equal(i440.max, 0);
});

test('disks that were plugged later hold ports, and were counted at the start or not', () => {
  const hot = { ...usual, virtioDisks: 4, hotDisks: 2 };
  const running = { nics: 1, bootNics: 1, launcherVersion: 'v1.9.0' };
  // The start with two disks gave three ports and the spare, of which two are gone; with four it would have given as many.
  assert.deepEqual(forecastFreePorts(hot, running), { min: 1, max: 4, expected: 2 });
  assert.equal(rootPortsAtBoot(hot, 1), rootPortsAtBoot(usual, 1));
  assert.equal(slotCountFor(hot, 1, 12), slotCountFor(usual, 1, 12));
});

test('ports that the field or a hook gave are free too', () => {
  const running = { nics: 1, bootNics: 1, launcherVersion: 'v1.9.0' };
  // Of 11 ports 7 hold devices.
  assert.equal(rootPortsAtBoot(usual, 1) - forecastFreePorts(usual, running).expected, 7);
  assert.equal(forecastFreePorts({ ...usual, declaredPorts: 24 }, running).expected, 24 - 7);
  assert.equal(forecastFreePorts({ ...usual, declaredPorts: 4 }, running).expected, 4);
  assert.equal(forecastFreePorts({ ...usual, hookPorts: 24 }, running).min, 24 - 7);
  // Where ports are listed libvirt adds no spare.
  assert.equal(forecastFreePorts({ ...usual, hookPorts: 4 }, running).expected, 3);
});

test('the launcher that defined a domain may be older than the one that it has migrated to', () => {
  const moved = { nics: 1, bootNics: 1, hasMigrated: true };
  const facts = { ...usual, memoryBytes: 8 * GiB };
  assert.equal(forecastFreePorts(facts, { ...moved, launcherVersion: 'v1.9.0' }).min, 3);
  assert.deepEqual(birthSchemes(facts, { hasMigrated: true, launcherVersion: 'v1.9.0' }), ['v1', 'v2', 'v3']);
  assert.deepEqual(birthSchemes(facts, { hasMigrated: true, launcherVersion: 'v1.6.2' }), ['v1', 'v2']);
  assert.deepEqual(birthSchemes(facts, { hasMigrated: true }), ['v1', 'v2', 'v3']);
  assert.deepEqual(birthSchemes(facts, { launcherVersion: 'v1.9.0' }), ['v3']);
  const told = { ...facts, topologyVersion: 'v3' };
  assert.deepEqual(birthSchemes(told, { hasMigrated: true, launcherVersion: 'v1.9.0' }), ['v3']);
});

test('what is not known widens the range', () => {
  const facts = { ...usual, memoryBytes: 8 * GiB };
  const known = forecastFreePorts(facts, { nics: 6, bootNics: 1, launcherVersion: 'v1.9.0' });
  const boot = forecastFreePorts(facts, { nics: 6, launcherVersion: 'v1.9.0' });
  const nothing = forecastFreePorts(facts, { nics: 6 });
  assert.ok(boot.min <= known.min && boot.max > known.max);
  assert.ok(nothing.min < boot.min && nothing.max >= boot.max);
});

test('root ports in all at a fresh start', () => {
  const cases: readonly (readonly [string, Partial<PortFacts>, number, number, PortScheme, number])[] = [
    ['small', {}, 1, 0, 'v3', 11],
    ['large', { memoryBytes: 8 * GiB }, 1, 0, 'v3', 16],
    ['v1 has the same, whatever the memory', { memoryBytes: 8 * GiB }, 1, 0, 'v1', 11],
    ['v2, large', { memoryBytes: 8 * GiB }, 1, 0, 'v2', 16],
    ['v2, exactly 2 GiB', { memoryBytes: 2 * GiB }, 1, 0, 'v2', 11],
    ['no memory is told', { memoryBytes: 0 }, 1, 0, 'v3', 11],
    ['slot count', { slotCount: '12' }, 1, 0, 'v3', 19],
    ['slot count of a launcher that does not read it', { slotCount: '12' }, 1, 0, 'v2', 11],
    ['slot count that is no number', { slotCount: 'x' }, 1, 0, 'v3', 11],
    ['arm64', { architecture: 'arm64', machineType: 'virt' }, 1, 0, 'v3', 11],
    ['no architecture is told', { architecture: '' }, 1, 0, 'v3', 11],
    ['host devices and GPUs', { hostDevices: 1, gpus: 1 }, 1, 0, 'v3', 13],
    ['no SCSI controller', { disableHotplug: true }, 1, 0, 'v3', 10],
    ['no balloon, no rng', { balloon: false, rng: false }, 1, 0, 'v3', 9],
    ['one conventional NIC: its bridge takes its port', {}, 1, 1, 'v3', 11],
    ['two of them share the bridge', {}, 2, 2, 'v3', 11],
    ['two others do not', {}, 2, 0, 'v3', 12],
    ['and so does the watchdog', { watchdog: true }, 1, 1, 'v3', 11],
    ['appended ports end at controller 31', { memoryBytes: 8 * GiB, virtioDisks: 20, slotCount: '1' }, 1, 0, 'v3', 31],
    ['a slot count goes beyond', { slotCount: '40' }, 1, 0, 'v3', 47],
    ['root complex', { rootComplexAnnotation: true }, 1, 0, 'v3', 0],
    ['another machine', { machineType: 'pc-i440fx-rhel7.6.0' }, 1, 0, 'v3', 0],
    ['another architecture', { architecture: 's390x' }, 1, 0, 'v3', 0],
  ];
  for (const [what, facts, count, conventional, scheme, ports] of cases) {
    assert.equal(rootPortsAtBoot({ ...usual, ...facts }, { count, conventional }, scheme), ports, what);
  }
});

test('the smallest slot count that reaches a number of ports', () => {
  const cases: readonly (readonly [string, Partial<PortFacts>, number, number | undefined])[] = [
    ['as many as it has', {}, 11, undefined],
    ['one more', {}, 12, 5],
    ['large', { memoryBytes: 8 * GiB }, 17, 10],
    ['more than a slot count that is there', { slotCount: '12' }, 24, 17],
    ['a slot count that is there reaches it', { slotCount: '40' }, 24, undefined],
    ['a low one takes nothing away', { slotCount: '1' }, 11, undefined],
    ['beyond controller 31', {}, 40, 33],
    ['another machine', { machineType: 'pc' }, 24, undefined],
  ];
  for (const [what, facts, ports, slots] of cases) {
    assert.equal(slotCountFor({ ...usual, ...facts }, 1, ports), slots, what);
  }
});

test('schemes by launcher version', () => {
  const cases: readonly (readonly [string | undefined, readonly PortScheme[]])[] = [
    ['v0.59.2', ['v1']],
    ['v1.5.3', ['v1']],
    ['v1.6.3', ['v2']],
    ['v1.6.4', ['v3']],
    ['v1.7.1', ['v2']],
    ['v1.7.2', ['v3']],
    ['v1.8.0', ['v3']],
    ['registry:5000/kubevirt/virt-launcher:v1.9.0', ['v3']],
    ['10.0.0.1:5000/virt-launcher:v1.5.0', ['v1']],
    ['v2.0.0', ['v3']],
    ['registry/virt-launcher@sha256:00ff', ['v1', 'v2', 'v3']],
    [undefined, ['v1', 'v2', 'v3']],
  ];
  for (const [version, schemes] of cases) assert.deepEqual(portSchemes(version), schemes, version);
});

test('ports are reserved for q35 and virt machines of amd64 and arm64 alone', () => {
  for (const facts of [{}, { machineType: 'pc-q35-rhel9.8.0' }, { machineType: 'virt', architecture: 'arm64' }])
    assert.equal(supportsPcieHotplug(facts), true);
  for (const facts of [
    { machineType: 'pc' },
    { architecture: 's390x' },
    { machineType: 'q35', architecture: 'ppc64le' },
  ])
    assert.equal(supportsPcieHotplug(facts), false);
});

test('a slot count is read as Go reads an integer', () => {
  for (const [text, value] of [
    ['12', 12],
    ['+3', 3],
    ['-1', -1],
    ['007', 7],
  ] as const)
    assert.equal(parseSlotCount(text), value);
  for (const text of ['', ' 1', '1.0', '0x10', '1_0', 'many']) assert.equal(parseSlotCount(text), 'invalid', text);
  assert.equal(parseSlotCount(undefined), undefined);
});

test('the slot count for a wanted number of ports gives that number', () => {
  const facts = fc.record({
    memoryBytes: fc.constantFrom(GiB, 8 * GiB),
    virtioDisks: fc.nat(6),
    rng: fc.boolean(),
    balloon: fc.boolean(),
    disableHotplug: fc.boolean(),
  });
  fc.assert(
    fc.property(facts, fc.nat(8), fc.integer({ min: 1, max: 30 }), (varied, nics, ports) => {
      const hardware = { ...usual, ...varied };
      const slots = slotCountFor(hardware, nics, ports);
      if (slots === undefined) assert.ok(rootPortsAtBoot(hardware, nics) >= ports);
      else assert.equal(rootPortsAtBoot({ ...hardware, slotCount: String(slots) }, nics), ports);
    }),
  );
  assert.equal(slotCountFor({ ...usual, rootComplexAnnotation: true }, 1, 24), undefined);
});
