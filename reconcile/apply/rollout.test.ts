import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blue, planOf as emptyPlan, planVm } from '../../test/plan-cases.ts';
import { runningVm } from '../../test/vm-builder.ts';
import { defaultSettings, type Settings } from '../desired/model.ts';
import type { Action, Blocker, Plan, VmPlan } from '../plan/model.ts';
import { withWaves } from '../plan/waves.ts';
import { stagesOf } from './gate.ts';
import { type Entrant, type Limits, Rollout } from './rollout.ts';

const same = (keys: readonly string[]): readonly Entrant[] => keys.map((key) => ({ key, stage: 1 }));

function told(rollout: Rollout): readonly string[] {
  return rollout.next().map((ruling) => (ruling.kind === 'enter' ? ruling.key : `${ruling.key}: ${ruling.reason}`));
}

test('so many go at a time, in the order in which they asked', () => {
  const rollout = new Rollout(same(['a', 'b', 'c']), { maxInFlight: 2 });
  for (const key of ['c', 'a', 'b']) rollout.ask(key);
  assert.deepEqual(told(rollout), ['c', 'a']);
  assert.deepEqual(told(rollout), []);
  rollout.leave('c');
  assert.deepEqual(told(rollout), ['b']);
  // One that waits no more for another asks again.
  rollout.ask('c');
  rollout.end('a', false);
  assert.deepEqual(told(rollout), ['c']);
});

test('so many of one node; those of other nodes pass them by', () => {
  const rollout = new Rollout(same(['a', 'b', 'c', 'd']), { maxInFlight: 4, maxInFlightPerNode: 1 });
  rollout.ask('a', 'node-1');
  rollout.ask('b', 'node-1');
  rollout.ask('c', 'node-2');
  // Nobody knows where it runs, or it does not.
  rollout.ask('d');
  assert.deepEqual(told(rollout), ['a', 'c', 'd']);
  rollout.end('a', true);
  assert.deepEqual(told(rollout), ['b']);
});

test('a stage opens when the one before has ended, and never where that failed', () => {
  const entrants = [
    { key: 'canary', stage: 0 },
    { key: 'a', stage: 1 },
    { key: 'b', stage: 2 },
  ];
  const rollout = new Rollout(entrants, { maxInFlight: 9 }, ['the canaries', 'the wave "early"', 'the wave "late"']);
  for (const { key } of entrants) rollout.ask(key);
  assert.deepEqual(told(rollout), ['canary']);
  rollout.end('canary', false);
  assert.deepEqual(told(rollout), ['a']);
  assert.equal(rollout.holdsBack, false);
  rollout.end('a', true);
  assert.deepEqual(told(rollout), ['b: a of the wave "early" failed']);
  assert.equal(rollout.holdsBack, true);
});

test('after so many failures nothing is begun, and what was begun goes on', () => {
  const rollout = new Rollout(same(['a', 'b', 'c', 'd']), { maxInFlight: 3, maxFailures: 2 });
  for (const key of ['a', 'b', 'c', 'd']) rollout.ask(key);
  assert.deepEqual(told(rollout), ['a', 'b', 'c']);
  rollout.leave('c');
  rollout.end('a', true);
  assert.deepEqual(told(rollout), ['d']);
  rollout.end('d', true);
  rollout.ask('c');
  assert.deepEqual(told(rollout), ['c']);
  const late = new Rollout(same(['a', 'b']), { maxInFlight: 1, maxFailures: 1 });
  late.ask('a');
  late.ask('b');
  told(late);
  late.end('a', true);
  assert.deepEqual(told(late), ['b: 1 failed, and maxFailures is 1']);
});

test('a failure counts at once, though its target is in change until it was taken back', () => {
  const rollout = new Rollout(same(['a', 'b', 'c']), { maxInFlight: 2, maxFailures: 1 });
  for (const key of ['a', 'b', 'c']) rollout.ask(key);
  assert.deepEqual(told(rollout), ['a', 'b']);
  rollout.fail('a');
  rollout.end('b', false);
  assert.deepEqual(told(rollout), ['c: 1 failed, and maxFailures is 1']);
  // Told twice, it is one failure.
  const twice = new Rollout(same(['a', 'b', 'c']), { maxInFlight: 1, maxFailures: 2 });
  for (const key of ['a', 'b']) twice.ask(key);
  told(twice);
  twice.fail('a');
  twice.end('a', true);
  assert.deepEqual(told(twice), ['b']);
});

test('no canary is who only follows, or is blocked', () => {
  const plan = emptyPlan([], []);
  const given = (name: string, kinds: readonly Action['kind'][], blocked?: Blocker['code']): VmPlan => ({
    ...planVm([blue], runningVm()),
    target: { kind: 'VirtualMachine', namespace: 'prod', name },
    actions: kinds.map((kind, index) => ({ kind, id: `${name}/${index}`, after: [] }) as unknown as Action),
    blockers: blocked === undefined ? [] : [{ code: blocked, message: '', remedy: '' }],
  });
  const targets = [
    given('a', ['follow']),
    given('b', ['release']),
    given('c', ['plug'], 'suspended'),
    given('d', ['follow', 'plug']),
    given('e', ['plug']),
  ];
  const settings = { ...plan.settings, canary: { count: 1 } };
  const canaries = (of: readonly VmPlan[]): readonly string[] =>
    stagesOf({ targets: of, settings }).entrants.flatMap(({ key, stage }) => (stage === 0 ? [key] : []));
  assert.deepEqual(canaries(targets), ['prod/d']);
  // One that is held was a canary that failed: there is no other until that is settled.
  const held = [...targets, given('f', [], 'held')];
  assert.deepEqual(canaries(held), ['prod/f']);
  const { entrants, names } = stagesOf({ targets: held, settings });
  const rollout = new Rollout(entrants, { maxInFlight: 4 }, names);
  rollout.ask('prod/d');
  assert.deepEqual(rollout.next(), [{ key: 'prod/d', kind: 'refused', reason: 'prod/f of the canaries is held' }]);
});

test('a fleet that asks at once costs no more than its size', () => {
  const keys = Array.from({ length: 20_000 }, (_, index) => `vm-${index}`);
  let looks = 0;
  // A walk over all who ask, at each of their questions, would take millions of looks at the limits.
  const limits: Limits = {
    get maxInFlight() {
      looks += 1;
      return 2;
    },
  };
  const entrants = keys.map((key, index) => ({ key, stage: index % 4 }));
  const rollout = new Rollout(entrants, limits);
  const entered = keys.flatMap((key) => {
    rollout.ask(key);
    return told(rollout);
  });
  assert.deepEqual(entered, ['vm-0', 'vm-4']);
  assert.ok(looks < 10 * keys.length, `${looks} looks`);
});

// --- any plan ends, and no limit is ever broken on the way

interface Fleet {
  /** Actions of each target; each names the actions, by target and index, that come before it elsewhere. */
  readonly targets: readonly (readonly (readonly (readonly [number, number])[])[])[];
  readonly waves: readonly number[];
  readonly nodes: readonly number[];
  readonly fails: readonly boolean[];
  readonly settings: Settings;
}

/** Dependencies go from later to earlier places of one order that all actions have, as those of moving addresses do. */
const fleets: fc.Arbitrary<Fleet> = fc
  .record({
    order: fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 18 }),
    links: fc.array(fc.tuple(fc.nat({ max: 17 }), fc.nat({ max: 17 })), { maxLength: 12 }),
    waves: fc.array(fc.nat({ max: 2 }), { minLength: 7, maxLength: 7 }),
    nodes: fc.array(fc.nat({ max: 2 }), { minLength: 7, maxLength: 7 }),
    fails: fc.array(fc.boolean(), { minLength: 18, maxLength: 18 }),
    quiet: fc.boolean(),
    maxInFlight: fc.integer({ min: 1, max: 3 }),
    perNode: fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined }),
    maxFailures: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    canary: fc.option(
      fc.oneof(
        fc.record({ count: fc.integer({ min: 1, max: 3 }) }),
        fc.record({ percent: fc.integer({ min: 1, max: 60 }) }),
      ),
      { nil: undefined },
    ),
  })
  .map(({ order, links, waves, nodes, fails, quiet, maxInFlight, perNode, maxFailures, canary }) => {
    const targets: [number, number][][][] = Array.from({ length: 7 }, () => []);
    const places: [number, number][] = [];
    for (const target of order) {
      places.push([target, targets[target]?.length ?? 0]);
      targets[target]?.push([]);
    }
    for (const [one, other] of links) {
      const later = places[Math.max(one, other)];
      const earlier = places[Math.min(one, other)];
      if (later === undefined || earlier === undefined || later[0] === earlier[0]) continue;
      targets[later[0]]?.[later[1]]?.push(earlier);
    }
    const settings: Settings = {
      ...defaultSettings,
      maxInFlight,
      waves: [
        [0, 1].map((wave) => ({
          name: `w${wave}`,
          vms: waves.flatMap((each, index) => (each === wave ? [`vm-${index}`] : [])),
        })),
      ],
      ...(perNode === undefined ? {} : { maxInFlightPerNode: perNode }),
      ...(maxFailures === undefined ? {} : { maxFailures }),
      ...(canary === undefined ? {} : { canary }),
    };
    return { targets, waves, nodes, fails: quiet ? [] : fails, settings };
  });

const sample = planVm([blue], runningVm());

function planOf({ targets, settings }: Fleet): Plan {
  const plans = targets.map((actions, index): VmPlan => {
    const name = `vm-${index}`;
    return {
      ...sample,
      target: { kind: 'VirtualMachine', namespace: 'prod', name },
      blockers: [],
      notes: [],
      actions: actions.map(
        (after, place): Action => ({
          kind: 'link',
          attachment: 'a',
          state: 'up',
          id: `${index}/${place}`,
          after: after.map(([other, at]) => `${other}/${at}`),
        }),
      ),
    };
  });
  return { ...emptyPlan([], []), targets: withWaves(plans, settings.waves, () => ({})), settings };
}

/** A run of the plan, one step at a time; `pick` chooses who takes the next one. */
class Simulation {
  readonly #plan: Plan;
  readonly #fleet: Fleet;
  readonly #rollout: Rollout;
  readonly #entrants: readonly Entrant[];
  readonly #done = new Map<string, boolean>();
  readonly #places = new Map<string, number>();
  readonly #inside = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #begun = new Set<string>();
  readonly #ended = new Map<string, boolean>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#plan = planOf(fleet);
    const { entrants, names } = stagesOf(this.#plan);
    this.#entrants = entrants;
    const { maxInFlight, maxInFlightPerNode, maxFailures } = fleet.settings;
    const limits: Limits = {
      maxInFlight,
      ...(maxInFlightPerNode === undefined ? {} : { maxInFlightPerNode }),
      ...(maxFailures === undefined ? {} : { maxFailures }),
    };
    this.#rollout = new Rollout(entrants, limits, names);
  }

  run(pick: (count: number) => number): void {
    for (;;) {
      const able = this.#entrants.map(({ key }, index) => this.#step(key, index)).filter((step) => step !== undefined);
      if (able.length === 0) break;
      able[pick(able.length)]?.();
      this.#rule();
      this.#check();
    }
    assert.equal(this.#ended.size, this.#entrants.length, 'all came to an end');
  }

  /** What a target can do now; undefined where it waits, or has ended. */
  #step(key: string, index: number): (() => void) | undefined {
    if (this.#ended.has(key)) return undefined;
    const actions = this.#plan.targets[index]?.actions ?? [];
    const place = this.#places.get(key) ?? 0;
    const action = actions[place];
    if (action === undefined) return () => this.#end(key, index, false);
    const before = action.after.map((id) => this.#done.get(id));
    if (before.some((done) => done === false)) return () => this.#end(key, index, true);
    if (before.some((done) => done === undefined)) {
      if (!this.#inside.has(key)) return undefined;
      return () => {
        this.#inside.delete(key);
        this.#rollout.leave(key);
      };
    }
    if (this.#inside.has(key)) {
      return () => {
        const fails = this.#fleet.fails[index * 2 + place] === true;
        if (fails) return this.#end(key, index, true);
        this.#done.set(action.id, true);
        this.#places.set(key, place + 1);
      };
    }
    if (this.#asked.has(key)) return undefined;
    return () => {
      this.#asked.add(key);
      this.#rollout.ask(key, this.#nodeOf(index));
    };
  }

  #nodeOf(index: number): string {
    return `node-${this.#fleet.nodes[index]}`;
  }

  #end(key: string, index: number, failed: boolean): void {
    for (const { id } of this.#plan.targets[index]?.actions ?? []) if (!this.#done.has(id)) this.#done.set(id, false);
    this.#inside.delete(key);
    this.#ended.set(key, failed);
    this.#rollout.end(key, failed);
  }

  #rule(): void {
    for (let rulings = this.#rollout.next(); rulings.length > 0; rulings = this.#rollout.next()) {
      for (const { key, kind } of rulings) {
        this.#asked.delete(key);
        if (kind === 'enter') this.#enter(key);
        else
          this.#end(
            key,
            this.#entrants.findIndex((each) => each.key === key),
            false,
          );
      }
    }
  }

  #enter(key: string): void {
    this.#inside.add(key);
    if (this.#begun.has(key)) return;
    this.#begun.add(key);
    const stage = this.#stageOf(key);
    for (const { key: other, stage: before } of this.#entrants)
      if (before < stage)
        assert.equal(this.#ended.get(other), false, `${key} was begun before ${other} had ended well`);
    const failures = [...this.#ended.values()].filter(Boolean).length;
    assert.ok(failures < (this.#fleet.settings.maxFailures ?? Infinity), `${key} was begun after ${failures} failures`);
  }

  #stageOf(key: string): number {
    return this.#entrants.find((each) => each.key === key)?.stage ?? -1;
  }

  #check(): void {
    const { maxInFlight, maxInFlightPerNode = Infinity } = this.#fleet.settings;
    assert.ok(this.#inside.size <= maxInFlight);
    const nodes = [...this.#inside].map((key) => this.#nodeOf(this.#entrants.findIndex((each) => each.key === key)));
    for (const node of nodes) assert.ok(nodes.filter((other) => other === node).length <= maxInFlightPerNode);
  }
}

test('any plan with waves, canaries, limits and moving addresses comes to an end, within its limits at every step', () => {
  fc.assert(
    fc.property(fleets, fc.infiniteStream(fc.nat()), (fleet, choices) => {
      new Simulation(fleet).run((count) => (choices.next().value ?? 0) % count);
    }),
    { numRuns: 500 },
  );
});
