/** Runs of one repository and the lock that keeps them apart, through the command line. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { leases } from '../reconcile/kube/resources.ts';
import { guarded } from '../reconcile/runs/guarded.ts';
import { fields } from '../reconcile/systems/json-shape.ts';
import type { CliRun } from './cli-process.ts';
import { CliStage } from './cli-stage.ts';
import { planOf } from './plan-cases.ts';

let stage: CliStage;
before(async () => {
  stage = await CliStage.start();
});
after(() => stage.stop());
afterEach(heal);

const json = ['--log-format', 'json'];

async function heal(): Promise<void> {
  await stage.cluster.misbehave();
}

async function lease(name: string) {
  const found = await stage.cluster.admin.get(leases, 'demo', name);
  stage.requests();
  return fields(found?.spec);
}

/** A run that can't end before the guests are healed. */
async function stuckRun(folder: string, record: string, ...more: readonly string[]): Promise<CliRun> {
  await stage.cluster.misbehave({ name: 'no-plug', value: 'mgmt' });
  const run = stage.begin(['apply', folder, '--record', `demo/${record}`, ...json, ...more]);
  await run.saw('"layer":"domain"');
  return run;
}

test('the second of two runs is refused, and told by whom; one that may wait goes on from what the first did', async () => {
  const folder = await stage.desired('two', { 'web-0': ['mgmt'] });
  const args = ['apply', folder, '--record', 'demo/two'];
  const first = await stuckRun(folder, 'two');
  const { holderIdentity } = await lease('two');
  const refused = await stage.expect(6, args);
  assert.match(refused.stderr, /run\/locked/);
  assert.match(refused.stderr, new RegExp(`held by ${holderIdentity}, for \\d+ s \\(renewed \\d+ s ago\\)`));
  assert.match(refused.stderr, /--lock-timeout/);
  assert.deepEqual(stage.writes(), []);
  const waiting = stage.begin([...args, '--lock-timeout', '60']);
  await waiting.saw('waiting for it');
  await heal();
  assert.equal((await first.result).code, 0);
  const second = await waiting.result;
  assert.equal(second.code, 0, second.stderr);
  // Planned before the first had ended, and again after it: then nothing was left.
  assert.match(second.stdout, /plug mgmt|wait: mgmt/);
  assert.match(second.stdout, /0 VMs converged, 1 unchanged; 0 writes/);
  assert.equal((await lease('two')).holderIdentity, '');
});

test('without the lock, time stands still: what waited for a window still waits when it opens', async () => {
  const times: Date[] = [];
  const lock = {
    place: { namespace: 'demo', name: 'still' },
    holder: 'host/1',
    durationSeconds: 60,
    patienceMs: 0,
    signal: new AbortController().signal,
  };
  const plan = async () => planOf([], []);
  const steps = {
    plan,
    again: plan,
    hasWork: (_plan: unknown, now: Date) => times.push(now) === 0,
    work: async (_plan: unknown, _signal: AbortSignal, at?: Date) => at,
  };
  const { result } = await guarded(stage.cluster.admin, lock, lock.signal, steps, () => {});
  assert.deepEqual([result], times);
  const worked = await guarded(stage.cluster.admin, lock, lock.signal, { ...steps, hasWork: () => true }, () => {});
  assert.equal(worked.result, undefined);
});

test('a run that has nothing to do takes no lock, and asks for none', async () => {
  const folder = await stage.desired('nothing', { 'db-0': [] });
  const holder = { metadata: { namespace: 'demo', name: 'nothing' }, spec: { holderIdentity: 'other/1' } };
  await stage.cluster.admin.create(leases, holder);
  stage.requests();
  await stage.expect(0, ['apply', folder, '--record', 'demo/nothing']);
  // The record is new, the lock is not touched.
  assert.deepEqual(
    stage.writes().map((write) => write.split(' ', 2).join(' ')),
    ['POST configmaps'],
  );
  await stage.expect(0, ['apply', folder, '--record', 'demo/nothing']);
  assert.deepEqual(stage.writes(), []);
});

test('a saved plan is checked again under the lock; a run that is refused gives it back', async () => {
  await stage.expect(0, ['apply', await stage.desired('none', { 'web-1': [] })]);
  const planned = await stage.expect(2, ['plan', await stage.desired('saved', { 'web-1': ['green'] }), '-o', 'json']);
  const file = join(stage.folder, 'plan.json');
  await writeFile(file, planned.stdout);
  const { admin } = stage.cluster;
  const renewTime = '2100-01-01T00:00:00.000000Z';
  const spec = { holderIdentity: 'other/run', leaseDurationSeconds: 60, acquireTime: renewTime, renewTime };
  await admin.create(leases, { metadata: { namespace: 'demo', name: 'saved' }, spec });
  const run = stage.begin(['apply', file, '--record', 'demo/saved', '--lock-timeout', '60']);
  await run.saw('waiting for it');
  await stage.expect(0, ['apply', await stage.desired('meanwhile', { 'web-1': ['backup'] })]);
  await admin.mergePatch(leases, 'demo', 'saved', { spec: { holderIdentity: '' } });
  const { code, stderr } = await run.result;
  assert.equal(code, 7, stderr);
  assert.match(stderr, /plan\/stale/);
  const after = await lease('saved');
  assert.deepEqual([after.holderIdentity, after.leaseTransitions], ['', 1]);
});

test('the lock of a run that was killed is free when its time is up', async () => {
  const folder = await stage.desired('killed', { 'web-1': ['mgmt', 'blue'] });
  const killed = await stuckRun(folder, 'killed', '--lease-duration', '3');
  const { holderIdentity: dead } = await lease('killed');
  killed.kill('SIGKILL');
  await killed.result;
  await heal();
  const next = await stage.expect(0, ['apply', folder, '--record', 'demo/killed', '--lock-timeout', '60', ...json]);
  assert.match(next.stderr, /"state":"taken"/);
  const { holderIdentity, leaseTransitions } = await lease('killed');
  assert.equal(holderIdentity, '');
  assert.equal(leaseTransitions, 1);
  assert.ok(dead !== undefined && dead !== '');
});

test('a run that loses its lock starts nothing new, finishes what is in flight, and leaves the lock alone', async () => {
  const folder = await stage.desired('lost', { 'db-0': ['mgmt', 'red'] });
  const run = await stuckRun(folder, 'lost', '--lease-duration', '3');
  await stage.cluster.admin.mergePatch(leases, 'demo', 'lost', { spec: { holderIdentity: 'other/run' } });
  await run.saw('was lost: it was taken by other/run');
  await heal();
  const { code, stdout } = await run.result;
  assert.equal(code, 8, stdout);
  assert.match(stdout, /done +plug mgmt/);
  assert.match(stdout, /not started plug red .*: the lock demo\/lost was lost: it was taken by other\/run/);
  assert.equal((await lease('lost')).holderIdentity, 'other/run');
});

test('a lock that can not be renewed is given up before others may take it', async () => {
  const folder = await stage.desired('cut', { 'web-0': ['mgmt', 'green'] });
  await stage.expect(0, ['apply', await stage.desired('clean', { 'web-0': [] })]);
  const run = await stuckRun(folder, 'cut', '--lease-duration', '3');
  await stage.cluster.admin.delete(leases, 'demo', 'cut');
  await run.saw('was lost: the Lease was deleted');
  await heal();
  assert.equal((await run.result).code, 8);
});

test('a record that is no NAMESPACE/NAME is a usage error', async () => {
  const results = await Promise.all(
    ['demo', 'demo/a/b'].map((record) => stage.expect(3, ['apply', '.', '--record', record])),
  );
  for (const { stderr } of results) assert.match(stderr, /--record is NAMESPACE\/NAME/);
});
