import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveVm, type Seen } from '../../test/live-vm.ts';
import type { Action } from '../plan/model.ts';
import { podInterfaceName } from '../systems/kubevirt-names.ts';
import { type Goal, goalsOf } from './layers.ts';
import type { RunEvent } from './model.ts';
import type { Occurrence } from './reasons.ts';
import { type Asked, type Sight, type Wait, type WaitPace, waitFor } from './wait.ts';

const target = { namespace: 'prod', name: 'db-0' };
const action: Action = {
  kind: 'plug',
  id: 'prod/db-0/1',
  after: [],
  delivery: 'in-place',
  attachments: [{ name: 'blue', network: { namespace: 'prod', name: 'vlan10' }, binding: 'bridge', state: 'up' }],
};
const goals: readonly Goal[] = goalsOf(action, liveVm({}));
const written = { vm: {}, vmi: {}, annotation: 'vlan10' } as const;
const inPod = { ...written, networkStatus: 'vlan10', sources: ['multus-status'] } as const;
const done = { ...inPod, sources: ['domain', 'multus-status'] } as const;
const at = Date.parse('2026-01-01T00:00:00Z');

const pace: WaitPace = { askAfterMs: 5, failureGraceMs: 10, lostGraceMs: 10 };

/** A cluster that goes through states, one at each look that follows a change. */
class Script implements Sight {
  readonly #states: readonly (Seen | undefined)[];
  #index = 0;
  #listener: (() => void) | undefined;

  constructor(...states: readonly (Seen | undefined)[]) {
    this.#states = states;
  }

  look(): ReturnType<Sight['look']> {
    const seen = this.#states[this.#index];
    if (this.#index < this.#states.length - 1) {
      this.#index += 1;
      setImmediate(() => this.#listener?.());
    }
    return seen === undefined ? undefined : liveVm(seen);
  }

  podNames(): readonly string[] {
    return ['virt-launcher-db-0-abcde'];
  }

  onChange(_target: unknown, listener: () => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }

  get watched(): boolean {
    return this.#listener !== undefined;
  }
}

function asked(...warnings: readonly Occurrence[]): Asked {
  return { warnings: async () => warnings, lost: undefined };
}

function warning(reason: string, message: string, when: number): Occurrence {
  return { type: 'Warning', reason, message, about: 'Pod virt-launcher-db-0-abcde', at: when };
}

function wait(patienceMs: number, more: Partial<Wait> = {}): Wait {
  return {
    target,
    action,
    goals,
    deadline: performance.now() + patienceMs,
    pace,
    ...more,
  };
}

async function run(script: Script, reasons: Asked, what: Wait) {
  const events: RunEvent[] = [];
  const result = await waitFor(what, script, reasons, (event) => events.push(event));
  assert.equal(script.watched, false, 'the listener is left behind');
  return { result, events };
}

test('each layer is told of when it agrees, and the wait ends when all agree', async () => {
  const script = new Script({}, { vm: {} }, { vm: {}, vmi: {} }, written, inPod, done);
  const { result, events } = await run(script, asked(), wait(60_000));
  assert.equal(result.kind, 'reached');
  const layers = events.flatMap((event) => (event.type === 'layer-reached' ? [event.layer] : []));
  assert.deepEqual(layers, ['vm', 'vmi', 'pod', 'multus', 'domain']);
});

test('a layer that is lost again is waited for again, and told of again', async () => {
  const ghost = { ...written, sources: ['domain', 'multus-status'] } as const;
  const { result, events } = await run(new Script(inPod, ghost, done), asked(), wait(60_000));
  assert.equal(result.kind, 'reached');
  const layers = events.flatMap((event) => (event.type === 'layer-reached' ? [event.layer] : []));
  assert.deepEqual(layers, ['vm', 'vmi', 'pod', 'multus', 'domain', 'multus']);
});

test('at the deadline the layer that lags is named, with the last reason', async () => {
  const event = warning('SyncFailed', 'internal error: No more available PCI slots', at);
  const { result, events } = await run(new Script(inPod), asked(event), wait(30));
  assert.equal(result.kind, 'failed');
  if (result.kind !== 'failed') return;
  assert.equal(result.code, 'apply/timeout');
  assert.equal(result.layer, 'domain');
  assert.match(result.reason, /no NIC "blue".*SyncFailed.*No more available PCI slots/);
  assert.ok(events.some((seen) => seen.type === 'waiting' && seen.reason?.includes('PCI slots')));
});

test('without events a condition gives the reason', async () => {
  const conditions = [
    {
      type: 'Synchronized',
      status: 'False',
      reason: 'Synchronizing with the Domain failed.',
      message: 'no room',
    },
  ];
  const { result } = await run(new Script({ ...inPod, conditions }), asked(), wait(30));
  assert.match(result.kind === 'failed' ? result.reason : '', /Synchronizing with the Domain failed\. no room/);
});

test('a controller that gave up ends the wait early', async () => {
  const report = warning(
    'FailedAddingInterface',
    `pod [prod/x]: failed adding interface ${podInterfaceName('blue')} to network: vlan10`,
    at,
  );
  const { result } = await run(new Script(written), asked(report), wait(60_000, { writtenAt: at + 400 }));
  assert.equal(result.kind, 'failed');
  if (result.kind !== 'failed') return;
  assert.equal(result.code, 'apply/not-plugged');
  assert.equal(result.layer, 'multus');
  assert.match(result.reason, /failed adding interface pod[0-9a-f]{11} \("blue"\) to network: vlan10/);
});

test('a report that is older, of another NIC, or followed by success does not', async () => {
  const mine = `failed adding interface ${podInterfaceName('blue')} to network: vlan10`;
  const others = [
    warning('FailedAddingInterface', mine, at - 60_000),
    warning('FailedAddingInterface', `failed adding interface ${podInterfaceName('red')} to network: vlan20`, at),
    warning('SyncFailed', mine, at),
  ];
  const { result } = await run(new Script(written), asked(...others), wait(60, { writtenAt: at }));
  assert.equal(result.kind === 'failed' && result.code, 'apply/timeout');
  const healed = await run(
    new Script(written, inPod, done),
    asked(warning('FailedAddingInterface', mine, at)),
    wait(60_000, { writtenAt: at, pace: { ...pace, askAfterMs: 0, failureGraceMs: 60_000 } }),
  );
  assert.equal(healed.result.kind, 'reached');
});

test('while the VM migrates the wait is as patient as for a migration', async () => {
  const script = new Script(...Array.from({ length: 20 }, () => ({ ...written, migrating: true })), done);
  const what = wait(0, { migrationDeadline: performance.now() + 60_000 });
  assert.equal((await run(script, asked(), what)).result.kind, 'reached');
  const settled = await run(new Script(written), asked(), wait(0, { migrationDeadline: performance.now() + 60_000 }));
  assert.equal(settled.result.kind === 'failed' && settled.result.code, 'apply/timeout');
});

test('a VM whose objects never rest does not put the deadline off', async () => {
  let looks = 0;
  let listener = () => {};
  const restless: Sight = {
    look() {
      looks += 1;
      assert.ok(looks < 100, 'the wait goes on past its deadline');
      return liveVm(written);
    },
    podNames: () => [],
    onChange(_target, heard) {
      listener = heard;
      return () => {};
    },
  };
  const reasons: Asked = {
    lost: undefined,
    async warnings() {
      listener();
      return [];
    },
  };
  const result = await waitFor(wait(0), restless, reasons, () => {});
  assert.equal(result.kind === 'failed' && result.code, 'apply/timeout');
});

/** An API server that no longer answers. */
function silent(): Asked {
  return { warnings: async () => [], lost: { message: 'nobody answers', since: performance.now() } };
}

test('a server that is lost is named, while the wait goes on and at its end', async () => {
  const { result, events } = await run(new Script(inPod), silent(), wait(30));
  assert.equal(result.kind === 'failed' && result.code, 'cluster/unreachable');
  assert.match(result.kind === 'failed' ? result.reason : '', /^nobody answers, for 0 s; seen last: .*no NIC "blue"/);
  assert.ok(events.some((seen) => seen.type === 'waiting' && seen.reason === 'nobody answers'));
});

test('after a stop a server that is lost is not waited for to the deadline; one that answers is', async () => {
  const stop = AbortSignal.abort('SIGTERM');
  const { result } = await run(new Script(inPod), silent(), wait(60_000, { stop }));
  assert.equal(result.kind === 'failed' && result.code, 'cluster/unreachable');
  const patient = await run(new Script(inPod, inPod, inPod, done), asked(), wait(60_000, { stop }));
  assert.equal(patient.result.kind, 'reached');
});

test('a VM that is deleted ends the wait', async () => {
  const { result } = await run(new Script(written, undefined), asked(), wait(60_000));
  assert.equal(result.kind === 'failed' && result.code, 'plan/stale');
});

test('what is done already needs no waiting, even when the time is up', async () => {
  const { result } = await run(new Script(done), asked(), wait(-1));
  assert.equal(result.kind, 'reached');
});
