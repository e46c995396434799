import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blue, codes, green, type PlanCase, paused, planOf, red, steps } from '../../test/plan-cases.ts';
import { declared, inPlace, type NicOptions, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import type { ClusterFacts, LiveVm } from '../live/model.ts';
import type { VmPlan } from './model.ts';

const slotCount = 'kubevirt.io/pci-interface-slot-count';
const old: ClusterFacts = { ...inPlace, kubevirtVersion: 'v1.5.2', sidecarGate: false };
const { kubevirtVersion: _, ...versionless } = inPlace;
const stage: PlanCase = { restart: 'stage' };
/** Slots that give the machine of the builder, with its one NIC, 24 ports: 4 other devices and libvirt's spare. */
const slots = 19;

function plan(
  pciePorts: number,
  vm: LiveVm,
  options: PlanCase = {},
  nics: readonly NicOptions[] = [],
): VmPlan | undefined {
  return planOf([declared(nics, { pciePorts })], [vm], options).targets[0];
}

interface Row {
  readonly what: string;
  readonly vm: LiveVm;
  readonly ports?: number;
  readonly nics?: readonly NicOptions[];
  readonly options?: PlanCase;
  readonly actions?: readonly string[];
  readonly blockers?: readonly string[];
  readonly notes?: readonly string[];
  readonly remedy?: RegExp;
}

const withSlots = (count: string, vm: LiveVm): LiveVm => ({ ...vm, hardware: { ...vm.hardware, slotCount: count } });
const v2 = (vm: LiveVm): LiveVm => ({ ...vm, ...(vm.vmi && { vmi: { ...vm.vmi, launcherVersion: 'v1.6.2' } }) });

const rows: readonly Row[] = [
  { what: 'the domain has as many', vm: runningVm([], { ports: 24 }) },
  { what: 'the next start of a stopped VM gives as many', vm: stoppedVm(), ports: 9 },
  {
    what: 'stopped: written outright',
    vm: stoppedVm(),
    actions: [`set-ports slot-count ${slots}`],
    notes: ['disks-move'],
  },
  { what: 'stopped, and there already', vm: withSlots(String(slots), stoppedVm()) },
  { what: 'somebody wants more', vm: withSlots('40', stoppedVm()) },
  {
    what: 'somebody wanted less',
    vm: withSlots('12', stoppedVm()),
    actions: [`set-ports slot-count ${slots}`],
    notes: ['disks-move'],
  },
  { what: 'a value below the default takes nothing away', vm: withSlots('1', stoppedVm()), ports: 9 },
  {
    what: 'a value that is no number',
    vm: withSlots('many', stoppedVm()),
    blockers: ['port-count'],
    remedy: /does not start with kubevirt\.io\/pci-interface-slot-count: "many"/,
  },
  {
    what: 'running, no restart allowed',
    vm: runningVm(),
    blockers: ['port-count'],
    remedy: /^Set restart: stage .* restart db-0; or stop it and apply\. That sets .*slot-count: 19/,
  },
  {
    what: 'running, staged',
    vm: runningVm(),
    options: stage,
    actions: [`set-ports slot-count ${slots} staged`],
    notes: ['staged'],
  },
  {
    what: 'paused, staged',
    vm: runningVm([], { vmi: paused }),
    options: stage,
    actions: [`set-ports slot-count ${slots} staged`],
    notes: ['staged'],
  },
  {
    what: 'in the template, waiting for a restart',
    vm: withSlots(String(slots), runningVm()),
    options: stage,
    notes: ['restart-pending'],
  },
  {
    what: 'in the template, and nobody may count on a restart',
    vm: withSlots(String(slots), runningVm()),
    blockers: ['port-count'],
    remedy: /^Restart db-0: its template gives it 24\.$/,
  },
  {
    what: 'after the other changes',
    vm: runningVm([red], { owned: ['red'] }),
    options: stage,
    nics: [blue],
    actions: ['unplug red in-place', 'release red', 'plug blue in-place', `set-ports slot-count ${slots} staged`],
    notes: ['staged'],
  },
  {
    what: 'ports for a stopped VM come before its NICs',
    vm: stoppedVm(),
    nics: [blue],
    actions: [`set-ports slot-count ${slots}`, 'edit +blue'],
    notes: ['disks-move'],
  },
  {
    what: 'a shortage lets it pass, since it is the way out',
    vm: runningVm([], { ports: 2 }),
    options: stage,
    nics: [blue, green],
    actions: [`set-ports slot-count ${slots} staged`],
    blockers: ['no-ports'],
    notes: ['staged'],
  },
  {
    what: 'migrating: nothing is written now',
    vm: runningVm([], { vmi: { migrating: true } }),
    options: stage,
    blockers: ['vm-migrating'],
  },
  {
    what: 'the field goes before the annotation, and takes the number itself',
    vm: stoppedVm(),
    options: { cluster: { ...inPlace, portField: true } },
    actions: ['set-ports field 24'],
  },
  {
    what: 'the field has as many',
    vm: stoppedVm([], { hardware: { declaredPorts: 30 } }),
    options: { cluster: { ...inPlace, portField: true } },
  },
  {
    what: 'a version that reads no annotation',
    vm: stoppedVm(),
    options: { cluster: old },
    blockers: ['port-count'],
    remedy:
      /has no domain\.devices\.numberPciPorts, does not read .*slot-count \(1\.6\.4, .*feature gate Sidecar, 1\.3 and later/,
  },
  {
    what: 'such a version with hook sidecars',
    vm: stoppedVm(),
    options: { cluster: { ...old, sidecarGate: true } },
    actions: ['set-ports sidecar 24'],
  },
  {
    what: 'such a version, running',
    vm: runningVm(),
    options: { ...stage, cluster: { ...old, sidecarGate: true } },
    actions: ['set-ports sidecar 24 staged'],
    notes: ['staged'],
  },
  {
    what: 'such a version, running, no restart allowed',
    vm: runningVm(),
    options: { cluster: { ...old, sidecarGate: true } },
    blockers: ['port-count'],
    remedy: /That sets a hook sidecar for 24 ports in hooks\.kubevirt\.io\/hookSidecars in its template\.$/,
  },
  {
    what: 'the hook is there',
    vm: stoppedVm([], { hardware: { hookPorts: 24 } }),
    options: { cluster: { ...old, sidecarGate: true } },
  },
  {
    what: 'a hook for fewer ports',
    vm: stoppedVm([], { hardware: { hookPorts: 12 } }),
    options: { cluster: { ...old, sidecarGate: true } },
    actions: ['set-ports sidecar 24'],
  },
  {
    what: 'hook sidecars of a version that has no image for scripts',
    vm: stoppedVm(),
    options: { cluster: { ...old, kubevirtVersion: 'v1.2.0', sidecarGate: true } },
    blockers: ['port-count'],
    remedy: /runs no hook sidecars for it \(feature gate Sidecar, 1\.3 and later\)/,
  },
  {
    what: 'a version that reads the annotation needs no hook',
    vm: stoppedVm(),
    options: { cluster: { ...inPlace, sidecarGate: true } },
    actions: [`set-ports slot-count ${slots}`],
    notes: ['disks-move'],
  },
  {
    what: 'a launcher of before the update: the next one reads it',
    vm: v2(runningVm()),
    options: stage,
    actions: [`set-ports slot-count ${slots} staged`],
    notes: ['staged'],
  },
  {
    what: 'no version is known',
    vm: stoppedVm(),
    options: { cluster: versionless },
    blockers: ['port-count'],
    remedy: /let patchpanel list kubevirts/,
  },
  {
    what: 'the version of the launcher stands in for that of the cluster',
    vm: runningVm(),
    options: { cluster: versionless, restart: 'stage' },
    actions: [`set-ports slot-count ${slots} staged`],
    notes: ['staged'],
  },
  {
    what: 'another machine',
    vm: stoppedVm([], { hardware: { machineType: 'pc-i440fx-rhel7.6.0' } }),
    blockers: ['port-count'],
    remedy: /q35 and virt machines/,
  },
  {
    what: 'another architecture',
    vm: stoppedVm([], { hardware: { architecture: 's390x', machineType: 's390-ccw-virtio' } }),
    blockers: ['port-count'],
    remedy: /q35 and virt machines/,
  },
  {
    what: 'everything on the root complex',
    vm: stoppedVm([], { hardware: { rootComplexAnnotation: true } }),
    blockers: ['port-count'],
    remedy: /placePCIDevicesOnRootComplex/,
  },
];

for (const { what, vm, ports = 24, nics = [], options, actions = [], blockers = [], notes = [], remedy } of rows) {
  test(`declared ports: ${what}`, () => {
    const target = plan(ports, vm, options, nics);
    assert.deepEqual(target === undefined ? [] : steps(target), actions);
    assert.deepEqual(target === undefined ? [] : codes(target), blockers);
    const told = (target?.notes ?? []).map(({ code }) => code).filter((code) => code !== 'ports-forecast');
    assert.deepEqual(told.sort(), notes);
    if (remedy !== undefined) assert.match(target?.blockers[0]?.remedy ?? '', remedy);
  });
}

test('the plan has the ports now, those after a restart, and what moves', () => {
  const vm = runningVm([], { ports: 9 });
  assert.ok(vm.domain.kind === 'read');
  const { domain } = vm.domain;
  const at = (label: string, bus: number) => ({ label, address: { domain: 0, bus, slot: 0, function: 0 } });
  const devices = [
    ...domain.devices,
    at('controller scsi 0', 5),
    at('controller virtio-serial 0', 6),
    at('disk vda', 7),
    at('memballoon balloon0', 8),
    at('disk vdb', 9),
  ];
  const target = plan(24, { ...vm, domain: { kind: 'read', domain: { ...domain, devices } } }, stage);
  assert.deepEqual(target?.portCount, {
    declared: 24,
    basis: 'xml',
    now: 9,
    afterRestart: 24,
    // The second disk is not of the template: it was plugged.
    moves: [
      { device: 'scsi controller', from: 5, to: 20 },
      { device: 'virtio-serial controller', from: 6, to: 21 },
      { device: 'disk vda', from: 7, to: 22 },
      { device: 'balloon', from: 8, to: 23 },
    ],
  });
  const disks = target?.notes.find(({ code }) => code === 'disks-move');
  assert.match(disks?.message ?? '', /moves disk vda of db-0 to another PCI address, by forecast: Windows/);
  const staged = target?.notes.find(({ code }) => code === 'staged');
  assert.match(staged?.message ?? '', new RegExp(`^24 PCIe ports: ${slotCount.replaceAll('.', '\\.')}: 19 is written`));
});

test('without XML the ports now are a forecast, its lower bound', () => {
  const running = plan(24, runningVm([blue, red], { xml: false }), stage);
  assert.deepEqual([running?.portCount?.basis, running?.portCount?.now], ['forecast', 9]);
  // Five NICs give one port more than four at a start; they may have been plugged after it.
  const five = ['a', 'b', 'c', 'd'].map((name) => ({ name }));
  assert.equal(plan(24, runningVm(five, { xml: false }), stage)?.portCount?.now, 9);
  assert.equal(plan(24, stoppedVm(), {})?.portCount?.now, 9);
});

test('a NIC that is unplugged takes no part in the next start', () => {
  const target = plan(24, runningVm([red], { owned: ['red'], xml: false }), stage);
  assert.deepEqual(
    target?.portCount?.moves.map(({ device, to }) => `${device} ${to}`),
    ['scsi controller 20', 'virtio-serial controller 21', 'disk vda 22', 'balloon 23'],
  );
});

test('where another tool writes the template, the annotation is named with the rest', () => {
  const vm = runningVm([], { vm: { otherManagers: [{ tool: 'Argo CD', evidence: 'label' }] } });
  const target = plan(24, vm, stage);
  assert.deepEqual(target && codes(target), ['shared-ownership']);
  assert.match(
    target?.blockers[0]?.remedy ?? '',
    /topology-version and .*kubevirt\.io~1pci-interface-slot-count under/,
  );
});
