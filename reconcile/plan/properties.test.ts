/** What must hold of every plan, over random fleets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofVms, type VmsPlan } from '../../test/plan-cases.ts';
import {
  byMigration,
  declared,
  desiredState,
  inPlace,
  liveState,
  type NicOptions,
  network,
  runningVm,
  specNic,
  statusNic,
  stoppedVm,
} from '../../test/vm-builder.ts';
import type { DesiredState } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import { traceNic } from '../diff/layers.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { checkStale } from './fingerprint.ts';
import type { Action, TargetPlan } from './model.ts';
import { makePlan } from './plan.ts';
import { parsePlan, planToJson } from './plan-json.ts';

interface World {
  readonly desired: DesiredState;
  readonly live: LiveState;
}

const names = ['a', 'b', 'c', 'd', 'e'] as const;
const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03', undefined] as const;

const nic = fc.record(
  {
    name: fc.constantFrom(...names),
    network: fc.constantFrom('n1', 'n2'),
    binding: fc.constantFrom('bridge' as const, 'bridge' as const, 'bridge' as const, 'sriov' as const),
    mac: fc.constantFrom(...macs),
    state: fc.constantFrom('up' as const, 'up' as const, 'down' as const),
  },
  { requiredKeys: ['name', 'network', 'binding', 'state', 'mac'] },
);

function options({ mac, ...rest }: { readonly mac: string | undefined } & Omit<NicOptions, 'mac'>): NicOptions {
  const state = rest.binding === 'sriov' ? 'up' : (rest.state ?? 'up');
  return { ...rest, state, ...(mac === undefined ? {} : { mac }) };
}

const nicSet = fc
  .uniqueArray(nic, { selector: ({ name }) => name, maxLength: 5 })
  .map((nics) => uniqueMacs(nics.map(options)));

/** As the checks of the desired state guarantee within a VM. */
function uniqueMacs(nics: readonly NicOptions[]): readonly NicOptions[] {
  const seen = new Set<string>();
  return nics.map(({ mac, ...rest }) => {
    if (mac === undefined || seen.has(mac)) return rest;
    seen.add(mac);
    return { ...rest, mac };
  });
}

/** How far a NIC of the live VM has got. */
const phase = fc.constantFrom('whole', 'whole', 'whole', 'absent', 'vmi-absent', 'pod-only', 'vm-only', 'vmi-only');

const vmInput = fc.record({
  wanted: nicSet,
  present: nicSet,
  phases: fc.array(phase, { minLength: 5, maxLength: 5 }),
  owned: fc.subarray([...names, 'default']),
  spare: fc.nat(4),
  pciePorts: fc.constantFrom(undefined, undefined, 0, 24),
  xml: fc.boolean(),
  kind: fc.constantFrom('running', 'running', 'running', 'stopped', 'paused', 'migrating', 'starting', 'pool'),
});
type VmInput = typeof vmInput extends fc.Arbitrary<infer T> ? T : never;

const worlds: fc.Arbitrary<World> = fc
  .record({
    vms: fc.array(vmInput, { minLength: 1, maxLength: 3 }),
    restart: fc.constantFrom('never' as const, 'stage' as const),
    cluster: fc.constantFrom(inPlace, byMigration),
    networks: fc.subarray(['n1', 'n2', 'n1', 'n2']),
  })
  .map(({ vms, restart, cluster, networks }) => {
    const used = new Set<string>();
    const targets = vms.map(({ wanted, pciePorts }, index) =>
      declared(
        wanted.map(({ mac, ...rest }) => {
          if (mac === undefined || used.has(mac)) return rest;
          used.add(mac);
          return { ...rest, mac };
        }),
        { name: `vm-${index}`, ...(pciePorts === undefined ? {} : { pciePorts }) },
      ),
    );
    const live = liveState(
      vms.map((input, index) => liveVm(`vm-${index}`, input)),
      { cluster, networks: [...new Set(networks)].map((name) => network(name)) },
    );
    return { desired: desiredState(targets, { restart }), live };
  });

function liveVm(name: string, { present, phases, owned, spare, xml, kind }: VmInput): LiveVm {
  if (kind === 'stopped') return stoppedVm(present, { name, owned });
  const at = (index: number) => phases[index] ?? 'whole';
  const keep = (...out: readonly string[]) => present.filter((_, index) => !out.includes(at(index)));
  const inDomain = keep('pod-only', 'vm-only');
  const whole = runningVm(inDomain, { name, owned, xml, ports: inDomain.length + 1 + spare });
  const inPod = runningVm(keep('vm-only'), { name });
  const [defaultSpec] = whole.nics;
  assert.ok(defaultSpec && whole.vmi && inPod.pod);
  const spec = (absent: string, without: string) =>
    present.flatMap((item, index) =>
      at(index) === without
        ? []
        : [{ ...specNic(item), ...(at(index) === absent ? { state: 'absent' as const } : {}) }],
    );
  return {
    ...whole,
    pod: inPod.pod,
    nics: [defaultSpec, ...spec('absent', 'vmi-only')],
    ...(kind === 'pool' ? { pool: 'web' } : {}),
    vmi: {
      ...whole.vmi,
      phase: kind === 'starting' ? 'Scheduling' : 'Running',
      migrating: kind === 'migrating',
      conditions: kind === 'paused' ? [{ type: 'Paused', status: 'True' }] : whole.vmi.conditions,
      nics: [defaultSpec, ...spec('vmi-absent', 'vm-only')],
      status: [
        ...whole.vmi.status,
        ...present
          .filter((_, index) => at(index) === 'pod-only')
          .map((item) => ({ ...statusNic(item), sources: ['multus-status' as const] })),
      ],
    },
  };
}

function plan({ desired, live }: World): VmsPlan {
  return ofVms(makePlan(diffState(desired, live), desired, live));
}

function forEveryPlan(check: (plan: VmsPlan, world: World) => void): void {
  fc.assert(
    fc.property(worlds, (world) => check(plan(world), world)),
    { numRuns: 200 },
  );
}

function liveOf(world: World, target: TargetPlan): LiveVm {
  const vm = world.live.vms.get(`${target.target.namespace}/${target.target.name}`);
  assert.ok(vm);
  return vm;
}

/** Names that an action takes away from the VM. */
function removals(action: Action): readonly string[] {
  if (action.kind === 'unplug') return action.attachments;
  return action.kind === 'edit-template' ? action.remove : [];
}

/** Names that are gone once the action is done. */
function goings(action: Action): readonly string[] {
  return action.kind === 'follow' && action.until === 'gone' ? [action.attachment] : removals(action);
}

/** Names that get a port by the action. */
function comings(action: Action): readonly string[] {
  if (action.kind === 'plug') return action.attachments.map(({ name }) => name);
  return action.kind === 'follow' && action.until === 'plugged' ? [action.attachment] : [];
}

function isStaged(action: Action): boolean {
  return (action.kind === 'edit-template' || action.kind === 'set-ports') && action.staged;
}

function additions(action: Action): readonly { readonly name: string; readonly mac?: string }[] {
  if (action.kind === 'plug') return action.attachments;
  return action.kind === 'edit-template' && !action.staged ? action.put : [];
}

test('random fleets reach every kind of action', () => {
  const seen = new Set<string>();
  forEveryPlan(({ targets }) => {
    for (const { actions } of targets) for (const { kind } of actions) seen.add(kind);
  });
  assert.deepEqual([...seen].sort(), [
    'edit-template',
    'follow',
    'link',
    'plug',
    'release',
    'set-ports',
    'swap',
    'unplug',
  ]);
});

test('equal inputs give equal bytes, whatever the order of the lists', () => {
  forEveryPlan((made, { desired, live }) => {
    const backwards = <T>(items: readonly T[]): readonly T[] => items.toReversed();
    const vms = [...live.vms].map(([key, vm]): [string, LiveVm] => {
      const pod = vm.pod && {
        ...vm.pod,
        networks: 'problem' in vm.pod.networks ? vm.pod.networks : backwards(vm.pod.networks),
        status: 'problem' in vm.pod.status ? vm.pod.status : backwards(vm.pod.status),
      };
      // The order of NICs in a spec is that of their PCI addresses, which a plan for more ports tells.
      const counts = desired.targets.some(({ target, pciePorts }) => target.name === vm.name && pciePorts === 24);
      const spec = <T>(nics: readonly T[]): readonly T[] => (counts ? nics : backwards(nics));
      const vmi = vm.vmi && { ...vm.vmi, nics: spec(vm.vmi.nics), status: backwards(vm.vmi.status) };
      const lists = { nics: spec(vm.nics), owned: backwards(vm.owned) };
      return [key, { ...vm, ...lists, ...(pod && { pod }), ...(vmi && { vmi }) }];
    });
    const turned: LiveState = {
      ...live,
      vms: new Map(backwards(vms)),
      networks: new Map(backwards([...live.networks])),
      macs: new Map(backwards([...live.macs])),
    };
    const again = makePlan(backwards(diffState(desired, turned)), desired, turned);
    assert.equal(planToJson(again), planToJson(made));
  });
});

test('only owned NICs are ever removed, and never the default network', () => {
  forEveryPlan((made, world) => {
    for (const target of made.targets) {
      const vm = liveOf(world, target);
      const touched = target.actions.flatMap((action) => [
        ...removals(action),
        ...additions(action).map(({ name }) => name),
      ]);
      assert.ok(!touched.includes('default'));
      for (const name of target.actions.flatMap(removals)) assert.ok(vm.owned.includes(name), name);
    }
  });
});

test('a record is released only once its NIC is gone or going', () => {
  forEveryPlan((made, world) => {
    for (const target of made.targets) {
      const vm = liveOf(world, target);
      let going = new Set<string>();
      for (const action of target.actions) {
        if (action.kind === 'unplug') going = new Set([...going, ...action.attachments]);
        if (action.kind === 'follow' && action.until === 'gone') going.add(action.attachment);
        if (action.kind !== 'release') continue;
        for (const name of action.attachments) {
          const traces = traceNic(vm, name);
          const left = traces.vm ?? traces.vmi ?? traces.status ?? (traces.inDomain || traces.inMultus || undefined);
          assert.ok(left === undefined || going.has(name), name);
        }
      }
    }
  });
});

test('unplugs come before plugs, and swaps after both, but for those that mend a plug which hangs', () => {
  forEveryPlan(({ targets }, { live }) => {
    for (const { target, actions } of targets) {
      const vm = live.vms.get(`${target.namespace}/${target.name}`);
      const hangs = (name: string) => {
        const traces = vm === undefined ? undefined : traceNic(vm, name);
        return traces?.inMultus === false && !traces.inDomain;
      };
      const at = (kind: Action['kind']) => actions.flatMap((action, index) => (action.kind === kind ? [index] : []));
      const firstPlug = Math.min(...at('plug'), Number.POSITIVE_INFINITY);
      const swaps = actions.flatMap((action, index) => (action.kind === 'swap' ? [{ action, index }] : []));
      const mending = swaps.filter(({ action }) => hangs(action.attachment));
      assert.ok(mending.every(({ index }, place) => index === place));
      const others = swaps.filter((swap) => !mending.includes(swap));
      const firstSwap = Math.min(...others.map(({ index }) => index), Number.POSITIVE_INFINITY);
      assert.ok(at('unplug').every((index) => index < firstPlug && index < firstSwap));
      assert.ok(at('plug').every((index) => index < firstSwap));
    }
  });
});

/** Who holds which address while the actions of a plan are played. */
class Addresses {
  readonly #held = new Map<string, Set<string>>();

  constructor(live: LiveState) {
    for (const [key, vm] of live.vms) {
      const nics = [...vm.nics, ...(vm.vmi?.nics ?? []), ...(vm.vmi?.status ?? [])];
      for (const { name, mac } of nics) this.give(mac, `${key}/${name}`);
    }
  }

  give(mac: string | undefined, owner: string): void {
    if (mac !== undefined) this.#held.set(mac, new Set([...this.holders(mac), owner]));
  }

  take(owner: string): void {
    for (const owners of this.#held.values()) owners.delete(owner);
  }

  holders(mac: string): readonly string[] {
    return [...(this.#held.get(mac) ?? [])];
  }
}

test('an address is free before it is given, and no two actions wait for each other', () => {
  forEveryPlan((made, { live }) => {
    const addresses = new Addresses(live);
    for (const { key, action } of order(made)) {
      if (!isStaged(action)) for (const name of goings(action)) addresses.take(`${key}/${name}`);
      const given = additions(action).flatMap(({ name, mac }) => (mac === undefined ? [] : [{ name, mac }]));
      for (const { name } of given) addresses.take(`${key}/${name}`);
      for (const { name, mac } of given) {
        assert.deepEqual(addresses.holders(mac), [], `${mac} for ${key}/${name}`);
        addresses.give(mac, `${key}/${name}`);
      }
    }
  });
});

/** The actions of all VMs in an order that honours every dependency; fails where there is none. */
function order({ targets }: VmsPlan): readonly { readonly key: string; readonly action: Action }[] {
  const queues = targets.map(({ target, actions }) => ({
    key: `${target.namespace}/${target.name}`,
    rest: [...actions],
  }));
  const done = new Set<string>();
  const result: { readonly key: string; readonly action: Action }[] = [];
  for (;;) {
    const ready = queues.find(({ rest: [next] }) => next?.after.every((id) => done.has(id)));
    if (ready === undefined) break;
    const action = ready.rest.shift();
    assert.ok(action);
    done.add(action.id);
    result.push({ key: ready.key, action });
  }
  assert.ok(
    queues.every(({ rest }) => rest.length === 0),
    'every action can be reached',
  );
  return result;
}

test('no plan takes more ports than there are', () => {
  forEveryPlan((made, world) => {
    for (const target of made.targets) {
      const vm = liveOf(world, target);
      if (target.ports === undefined || target.actions.length === 0) continue;
      let { free } = target.ports;
      const gone = new Set(target.actions.flatMap(goings));
      for (const action of target.actions) {
        free += goings(action).filter((name) => traceNic(vm, name).inDomain).length;
        free -= comings(action).filter((name) => gone.has(name) || !traceNic(vm, name).inDomain).length;
        assert.ok(free >= 0, `${action.id} finds a port`);
      }
      const given = target.actions.flatMap((action) =>
        action.kind === 'plug' ? Object.values(action.ports ?? {}) : [],
      );
      assert.equal(new Set(given).size, given.length, 'no port is given twice');
    }
  });
});

test('what is blocked as a whole is not written', () => {
  forEveryPlan(({ targets }) => {
    for (const { actions, blockers } of targets) {
      const whole = blockers.filter(({ attachment, code }) => attachment === undefined && code !== 'port-count');
      if (whole.length === 0) continue;
      // More ports are the way out of a shortage.
      const passing = whole.every(({ code }) => code === 'no-ports') ? ['set-ports'] : ['follow', 'release'];
      assert.ok(actions.every(({ kind }) => passing.includes(kind)));
    }
  });
});

test('a plan survives its file, and is not stale where nothing moved', () => {
  forEveryPlan((made, { live }) => {
    const text = planToJson(made);
    const read = parsePlan(text);
    assert.deepEqual(read, made);
    assert.equal(planToJson(read), text);
    assert.deepEqual(checkStale(read, live), []);
  });
});

test('a fleet that is as declared needs nothing', () => {
  fc.assert(
    fc.property(nicSet, fc.boolean(), (nics, xml) => {
      const present = nics.map(({ mac, ...rest }) => ({ ...rest, ...(mac === undefined ? {} : { mac }) }));
      const desired = desiredState([declared(present)]);
      const vm = runningVm(present, { owned: present.map(({ name }) => name), xml, ports: 6 });
      assert.deepEqual(plan({ desired, live: liveState([vm]) }).targets, []);
    }),
  );
});
