/** Random fleets, adopted: the repository loads, and its plan is empty. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { repository } from '../../test/desired-state.ts';
import { liveState, type NicOptions, runningVm, stoppedVm } from '../../test/vm-builder.ts';
import { loadDesired } from '../desired/load.ts';
import { diffState } from '../diff/diff.ts';
import type { LiveVm } from '../live/model.ts';
import { makePlan } from '../plan/plan.ts';
import { adoptedFiles, adoptedYaml } from '../report/adopted-yaml.ts';
import { adoptVms } from './adopt.ts';

const nic = fc.record({
  name: fc.oneof(
    fc.constantFrom('on', 'no', 'null', '1e3', '0x10', '12', 'Upper', 'under_score', '-dash', 'y', 'ü'),
    fc.stringMatching(/^[a-z0-9]{1,8}$/),
  ),
  network: fc.constantFrom('n1', '1-2', 'true', 'Bad', 'a/b', 'x\ny', 'dotted.net'),
  mac: fc.constantFrom(
    undefined,
    '02:00:00:00:00:01',
    '02:00:00:00:00:02',
    '03:00:00:00:00:02',
    '52:54:00:11:22:33',
    'x',
  ),
  model: fc.constantFrom('virtio', 'e1000e', 'novel'),
  binding: fc.constantFrom(
    'bridge' as const,
    'bridge' as const,
    'sriov' as const,
    'masquerade' as const,
    'plugin' as const,
  ),
  state: fc.constantFrom('up' as const, 'up' as const, 'down' as const),
});

function options({ mac, state, ...rest }: typeof nic extends fc.Arbitrary<infer T> ? T : never): NicOptions {
  return { ...rest, ...(mac === undefined ? {} : { mac }), state: rest.binding === 'sriov' ? 'up' : state };
}

const fleet = fc.array(
  fc.record({
    nics: fc.uniqueArray(nic, { selector: ({ name }) => name, maxLength: 5 }),
    stopped: fc.boolean(),
    owned: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

test('whatever runs: what is written loads, plans nothing, and is the same whichever way the VMs come', async (t) => {
  await fc.assert(
    fc.asyncProperty(fleet, async (inputs) => {
      const vms = inputs.map(({ nics, stopped, owned }, index): LiveVm => {
        const wanted = nics.map(options);
        const expressible = adoptVms(liveState([runningVm(wanted)]))[0]?.target.attachments ?? [];
        const more = { name: `vm-${index}`, owned: owned ? expressible.map(({ name }) => name) : [] };
        return stopped ? stoppedVm(wanted, more) : runningVm(wanted, more);
      });
      const live = liveState(vms);
      const adopted = adoptVms(live);
      const files = Object.fromEntries(adoptedFiles(adopted).map(({ path, content }) => [path, content]));
      assert.deepEqual(adoptVms(liveState(vms.toReversed())).map(adoptedYaml), Object.values(files));
      const desired = await loadDesired({ kind: 'folder', path: await repository(t, files) });
      assert.equal(desired.targets.length, vms.length);
      const plan = makePlan(diffState(desired, live), desired, live);
      const open = plan.targets.flatMap(({ actions, blockers }) => [...actions, ...blockers]);
      assert.deepEqual(open, [], Object.values(files).join('---\n'));
    }),
    { numRuns: 150 },
  );
});

test('a NIC on the record that has no declaration is cautioned of: applying the file unplugs it', () => {
  const vm = runningVm([{ name: 'Upper' }, { name: 'blue' }], { owned: ['Upper', 'blue'] });
  const [adopted] = adoptVms(liveState([vm]));
  assert.ok(adopted !== undefined);
  assert.match(
    adoptedYaml(adopted),
    /^# CAUTION: not declared, but on patchpanel's record: .*\n# {3}Upper: its name must be lower case/m,
  );
});

test('an address of a VM beside the adopted ones is not declared; a VM that is being deleted is passed over', () => {
  const mac = '02:00:00:00:00:01';
  const vm = runningVm([{ name: 'blue', mac }]);
  const [adopted] = adoptVms(liveState([vm], { macs: { [mac]: 'prod/other/red' } }));
  assert.ok(adopted !== undefined);
  assert.match(adoptedYaml(adopted), /is also that of prod\/other\/red/);
  assert.doesNotMatch(adoptedYaml(adopted), /^ *mac:/m);
  assert.deepEqual(adoptVms(liveState([{ ...vm, deleting: true }])), []);
});

test('what the instance still has, and what gives the VM its ports, is told', () => {
  const vm = runningVm([{ name: 'blue' }], { hardware: { slotCount: '12' }, vm: { pool: 'farm' } });
  const [adopted] = adoptVms(liveState([{ ...vm, nics: vm.nics.slice(0, 1) }]));
  assert.deepEqual(adopted?.remarks, [
    'it belongs to the VirtualMachinePool farm: declare its NICs there, patchpanel changes none here',
    'its running instance still has the NIC blue, which its template lacks: it goes at the next restart',
    'its template sets kubevirt.io/pci-interface-slot-count: 12; declare spec.pciePorts to be sure that it keeps its PCIe ports',
  ]);
});
