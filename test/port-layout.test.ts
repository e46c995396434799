/** The forecast of ports and buses against domains that the sandbox's libvirt, measured on the real one, starts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hardwareFacts } from '../reconcile/systems/kubevirt-hardware.ts';
import { bootBuses, bootNics, liveBuses } from '../reconcile/systems/kubevirt-layout.ts';
import { rootPortsAtBoot } from '../reconcile/systems/kubevirt-ports.ts';
import { parseDomain } from '../reconcile/systems/libvirt-domain.ts';
import { countPorts } from '../reconcile/systems/libvirt-ports.ts';
import { domainXml } from '../sandbox/node/domain-xml.ts';
import { launchDomain } from '../sandbox/node/kubevirt-domain.ts';

const nic = fc.constantFrom(
  { bridge: {}, model: 'virtio' },
  { bridge: {}, model: 'e1000e' },
  { bridge: {}, model: 'e1000' },
  { sriov: {} },
);
const machine = fc.record({
  nics: fc.array(nic, { maxLength: 7 }),
  disks: fc.nat(4),
  hostDevices: fc.nat(2),
  inputs: fc.nat(1),
  memory: fc.constantFrom('1Gi', '8Gi'),
  rng: fc.boolean(),
  watchdog: fc.boolean(),
  balloon: fc.boolean(),
  disableHotplug: fc.boolean(),
  slots: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
  scheme: fc.constantFrom('v1', 'v2', 'v3'),
});

test('ports and buses of a fresh start are those that are forecast', () => {
  fc.assert(
    fc.property(machine, (wish) => {
      const interfaces = wish.nics.map((each, index) => ({ name: `n${index}`, ...each }));
      const vmi = {
        metadata: {
          name: 'a',
          namespace: 'b',
          uid: 'c',
          annotations: wish.slots === undefined ? {} : { 'kubevirt.io/pci-interface-slot-count': String(wish.slots) },
        },
        spec: {
          domain: {
            memory: { guest: wish.memory },
            devices: {
              ...(wish.rng ? { rng: {} } : {}),
              ...(wish.watchdog ? { watchdog: { name: 'w' } } : {}),
              autoattachMemBalloon: wish.balloon,
              disableHotplug: wish.disableHotplug,
              disks: Array.from({ length: wish.disks }, (_, index) => ({ name: `d${index}`, disk: { bus: 'virtio' } })),
              hostDevices: Array.from({ length: wish.hostDevices }, (_, index) => ({ name: `h${index}` })),
              inputs: Array.from({ length: wish.inputs }, () => ({ type: 'tablet', bus: 'virtio', name: 'i' })),
              interfaces,
            },
          },
          networks: interfaces.map(({ name }) => ({ name, multus: { networkName: name } })),
        },
      };
      const domain = parseDomain(domainXml(launchDomain(vmi, { scheme: wish.scheme })));
      const facts = hardwareFacts(vmi.spec, vmi.metadata.annotations);
      const boot = interfaces.map((each) => ({
        name: each.name,
        sriov: 'sriov' in each,
        ...('model' in each ? { model: each.model } : {}),
      }));
      const forecast = bootBuses(facts, boot, wish.scheme);
      assert.ok(forecast);
      const kept = [...forecast].filter(([key]) => !key.startsWith('placeholder'));
      assert.deepEqual([...liveBuses(domain)].sort(), kept.sort());
      assert.equal(countPorts(domain).ports.length, rootPortsAtBoot(facts, bootNics(boot), wish.scheme));
    }),
    { numRuns: 300 },
  );
});
