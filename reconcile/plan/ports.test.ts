import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blue,
  checkRows,
  codes,
  green,
  own,
  paused,
  planOf,
  planVm,
  red,
  steps,
  templated,
} from '../../test/plan-cases.ts';
import { declared, inPlace, runningVm } from '../../test/vm-builder.ts';
import type { LiveVm, LiveVmi } from '../live/model.ts';

test('ports', () => {
  checkRows([
    {
      what: 'enough',
      wanted: [blue, red],
      vm: runningVm([], { ports: 3 }),
      actions: ['plug blue in-place', 'plug red in-place'],
    },
    {
      what: 'too few: nothing is touched',
      wanted: [blue, red],
      vm: runningVm([], { ports: 2 }),
      blockers: ['no-ports'],
    },
    {
      what: 'enough after the unplug',
      wanted: [blue],
      vm: runningVm([red], { ...own('red'), ports: 2 }),
      actions: ['unplug red in-place', 'release red', 'plug blue in-place'],
    },
    {
      what: 'an unplug that is held back frees nothing',
      wanted: [blue],
      vm: runningVm([red], { ...own('red'), ports: 2, vmi: paused }),
      blockers: ['no-ports', 'vm-paused red'],
    },
    {
      what: 'a shortage blocks the links of that VM too',
      wanted: [{ ...green, state: 'down' }, blue],
      vm: runningVm([green], { ports: 2 }),
      blockers: ['no-ports'],
    },
    {
      what: 'a NIC in flight with no port left',
      wanted: [blue],
      vm: { ...runningVm([blue]), domain: runningVm([], { ports: 1 }).domain },
      blockers: ['no-ports'],
    },
    {
      what: 'struck from the template but plugged: takes no port',
      wanted: [blue],
      vm: templated(runningVm([blue], { ports: 2 }), []),
      actions: ['plug blue in-place'],
    },
    {
      what: 'forecast: three',
      wanted: [blue, red, green],
      vm: runningVm([], { xml: false }),
      actions: ['plug blue in-place', 'plug red in-place', 'plug green in-place'],
    },
    {
      what: 'forecast: four are too many',
      wanted: [blue, red, green, { name: 'grey' }],
      vm: runningVm([], { xml: false }),
      blockers: ['no-ports'],
    },
    {
      what: 'everything on the root complex',
      wanted: [blue],
      vm: runningVm([], { xml: false, hardware: { rootComplexAnnotation: true } }),
      blockers: ['no-ports'],
    },
    {
      what: 'no PCI bus, no ports to run out of',
      wanted: [blue],
      vm: runningVm([], { xml: false, hardware: { architecture: 's390x' } }),
      actions: ['plug blue in-place'],
    },
    {
      what: 'a conventional model finds no slot',
      wanted: [{ ...blue, model: 'e1000' }],
      vm: runningVm([], { ports: 8 }),
      blockers: ['no-ports'],
    },
  ]);
});

test('the message counts, the remedy leads out', () => {
  const short = planVm([blue, red], runningVm([], { ports: 2 }));
  assert.equal(short.blockers[0]?.message, 'db-0 has 1 free PCIe port, 2 are needed');
  assert.equal(
    short.blockers[0]?.remedy,
    'Remove 1 attachment of db-0 from the declaration, or restart it: it then starts with 9 PCIe ports, which is enough.',
  );
  const after = planVm([blue, green], runningVm([red], { ...own('red'), ports: 2 }));
  assert.equal(after.blockers[0]?.message, 'db-0 has 0 free PCIe ports and gets 1 back from its unplugs, 2 are needed');
  assert.deepEqual(after.ports?.needed, 2);
});

test('the remedy promises of a restart only what that KubeVirt gives', () => {
  const options = (kubevirtVersion: string) => ({ cluster: { ...inPlace, kubevirtVersion } });
  const large = runningVm([], { ports: 8, hardware: { memoryBytes: 8 * 1024 ** 3 } });
  const nics = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((name) => ({ name }));
  const remedy = (version: string) =>
    planOf([declared(nics)], [large], options(version)).targets[0]?.blockers[0]?.remedy ?? '';
  assert.match(remedy('v1.9.0'), /or restart it: it then starts with 16 PCIe ports/);
  assert.match(remedy('v1.5.2'), /or declare pciePorts: 10 with restart: stage/);
});

test('a VM that has migrated may have its ports from an older launcher', () => {
  const hardware = { memoryBytes: 8 * 1024 ** 3 };
  const wanted = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ name }));
  const plan = (vmi: Partial<LiveVmi>) =>
    codes(planVm(wanted, runningVm([], { xml: false, hardware, vmi: { launcherVersion: 'v1.9.0', ...vmi } })));
  assert.deepEqual(plan({}), []);
  assert.deepEqual(plan({ hasMigrated: true }), ['no-ports']);
});

test('another VM of the fleet is not held up', () => {
  const plan = planOf(
    [declared([blue], { name: 'full' }), declared([{ name: 'blue' }], { name: 'roomy' })],
    [runningVm([], { name: 'full', ports: 1 }), runningVm([], { name: 'roomy' })],
  );
  assert.deepEqual(plan.targets.map(codes), [['no-ports'], []]);
  assert.deepEqual(plan.targets.map(steps), [[], ['plug blue in-place']]);
});

test('each plug gets the lowest free port, the strip shows all', () => {
  const target = planVm([blue, red], runningVm([green], { ...own('green'), ports: 4 }));
  const ports = target.actions.map((action) => (action.kind === 'plug' ? action.ports : undefined));
  assert.deepEqual(ports, [undefined, undefined, { blue: 2 }, { red: 3 }]);
  assert.deepEqual(
    target.ports?.strip?.map(({ index, state }) => `${index} ${state}`),
    ['1 used', '2 taken', '3 taken', '4 free'],
  );
  const gone = planVm([], runningVm([green], { ...own('green'), ports: 3 }));
  assert.deepEqual(
    gone.ports?.strip?.map(({ state }) => state),
    ['used', 'freed', 'free'],
  );
});

test('a NIC in flight that goes behind a bridge takes no root port', () => {
  const e1000 = { ...red, model: 'e1000' };
  const vm = runningVm([], { ports: 4 });
  assert.ok(vm.domain.kind === 'read');
  const { domain } = vm.domain;
  const bridge = { index: 5, model: 'pcie-to-pci-bridge', hotplug: true };
  const pciControllers = [...domain.pciControllers, bridge];
  const arriving = { ...runningVm([e1000]), domain: { kind: 'read', domain: { ...domain, pciControllers } } as const };
  const target = planVm([e1000, blue], arriving);
  assert.deepEqual(steps(target), ['follow red plugged', 'plug blue in-place']);
  assert.deepEqual(
    target.ports?.strip?.map(({ index, state }) => `${index} ${state}`),
    ['1 used', '2 taken', '3 free', '4 free'],
  );
});

test('a declared port count that waits for a restart stops nothing else', () => {
  const plan = (pciePorts: number, vm: LiveVm) => planOf([declared([blue], { pciePorts })], [vm]).targets[0];
  const short = plan(24, runningVm([], { ports: 8 }));
  assert.ok(short);
  assert.deepEqual(codes(short), ['port-count']);
  assert.deepEqual(steps(short), ['plug blue in-place']);
  assert.equal(
    short.blockers[0]?.message,
    'db-0 has 8 PCIe ports, 24 ports are declared; ports are fixed when a VM starts',
  );
});

test('a machine without PCIe has one pool, and no strip', () => {
  const vm = runningVm([red], own('red'));
  assert.ok(vm.domain.kind === 'read');
  const pciControllers = [{ index: 0, model: 'pci-root', hotplug: true }];
  const target = planVm([{ ...blue, model: 'e1000' }], {
    ...vm,
    domain: { kind: 'read', domain: { ...vm.domain.domain, pciControllers } },
  });
  assert.deepEqual(steps(target), ['unplug red in-place', 'release red', 'plug blue in-place']);
  assert.ok((target.ports?.free ?? 0) > 20);
  assert.deepEqual([target.ports?.needed, target.ports?.freed, target.ports?.strip], [1, 1, undefined]);
});

test('a port that can not be plugged is no use when it is freed', () => {
  const vm = runningVm([red], { ...own('red'), ports: 2 });
  assert.ok(vm.domain.kind === 'read');
  const { domain } = vm.domain;
  const pciControllers = domain.pciControllers.map((port) => ({ ...port, hotplug: port.index !== 2 }));
  const target = planVm([blue], { ...vm, domain: { kind: 'read', domain: { ...domain, pciControllers } } });
  assert.deepEqual(codes(target), ['no-ports']);
  assert.equal(target.blockers[0]?.message, 'db-0 has 0 free PCIe ports, 1 is needed');
});
