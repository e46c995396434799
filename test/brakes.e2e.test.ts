/** Windows, policy and suspension, from the command line to the cluster. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { applyPlan } from '../reconcile/apply/apply.ts';
import type { RunEvent } from '../reconcile/apply/model.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { configMaps, virtualMachines } from '../reconcile/kube/resources.ts';
import { parsePlan } from '../reconcile/plan/plan-json.ts';
import { applyOptions } from './apply-scenario.ts';
import { CliStage, type Nic } from './cli-stage.ts';

const apiVersion = 'patchpanel.dev/v1alpha1';
const policyPlace = { namespace: 'patchpanel', name: 'patchpanel-policy' };
const underPolicy = ['--policy-configmap', 'patchpanel/patchpanel-policy'];
/** Open for a minute each four years. */
const leapDays = [{ start: '0 0 29 2 *', duration: '1m' }];

let stage: CliStage;
let cluster: Cluster;
before(async () => {
  stage = await CliStage.start();
  cluster = await connect({ kubeconfig: stage.kubeconfig });
});
after(async () => {
  await cluster.close();
  await stage.stop();
});
beforeEach(() => {
  stage.requests();
});

async function declare(
  folder: string,
  vms: Readonly<Record<string, readonly Nic[]>>,
  settings: object,
): Promise<string> {
  const path = await stage.desired(folder, vms);
  await writeFile(join(path, 'settings.yaml'), stringify({ apiVersion, kind: 'Settings', spec: settings }));
  return path;
}

async function policy(spec: object | string): Promise<void> {
  const content = typeof spec === 'string' ? spec : stringify({ apiVersion, kind: 'Policy', spec });
  const found = await stage.cluster.admin.get(configMaps, policyPlace.namespace, policyPlace.name);
  const object = { metadata: policyPlace, data: { 'policy.yaml': content } };
  if (found === undefined) await stage.cluster.admin.create(configMaps, object);
  else await stage.cluster.admin.mergePatch(configMaps, policyPlace.namespace, policyPlace.name, object);
  stage.requests();
}

test('outside of the windows: waits, says until when, and takes no lock', async () => {
  const path = await declare('closed', { 'web-0': ['storage'] }, { allowWindows: leapDays });
  const applied = await stage.expect(0, ['apply', path, '--record', 'patchpanel/windows']);
  assert.match(
    applied.stdout,
    /demo\/web-0 {2}waiting\n.*not started plug storage .*no window of the Settings for changes is open: they may be made from 20\d\d-02-29 00:00 UTC/,
  );
  assert.match(applied.stdout, /0 VMs converged, 1 waits for a window; 0 writes/);
  const writes = stage.writes();
  assert.ok(writes.length > 0 && writes.every((write) => write.includes('configmaps')), writes.join('\n'));
  const status = await stage.expect(0, ['status', '--record', 'patchpanel/windows']);
  assert.match(status.stdout, /demo\/web-0 {2}waiting since .*no window of the Settings/);
});

test('a person may act all the same: the reason is logged, recorded and shown', async () => {
  const path = join(stage.folder, 'closed');
  const override = ['--override-windows', 'INC-12: storage is down'];
  const applied = await stage.expect(0, ['apply', path, '--record', 'patchpanel/windows', ...override]);
  assert.match(applied.stdout, /demo\/web-0 {2}converged/);
  assert.match(applied.stdout, /Outside of the windows: INC-12: storage is down/);
  const status = await stage.expect(0, ['status', '--record', 'patchpanel/windows']);
  assert.match(status.stdout, /1 changed, 1 write in .*, outside of the windows: INC-12: storage is down/);
  assert.match((await stage.expect(3, ['apply', path, '--override-windows', ' '])).stderr, /It must say why/);
});

test('the windows of the policy win, over the Settings and over a person', async () => {
  await policy({ maxInFlight: 1, allowWindows: leapDays });
  const path = await declare('policy', { 'web-0': [], 'web-1': ['storage', 'mgmt'] }, { maxInFlight: 9 });
  const planned = await stage.expect(2, ['plan', path, ...underPolicy]);
  assert.match(planned.stdout, /note: maxInFlight is 1 in place of 9, by the policy in ConfigMap patchpanel/);
  const args = ['apply', path, ...underPolicy, '--override-windows', 'now'];
  const applied = await stage.expect(0, args);
  assert.match(applied.stdout, /2 wait for a window; 0 writes/);
  assert.match(applied.stdout, /the policy does not let these windows be overridden/);
  await policy({ allowWindows: leapDays, overridableWindows: true });
  assert.match((await stage.expect(0, args)).stdout, /2 VMs converged/);
});

test('a saved plan is held against the policy of now', async () => {
  await policy({});
  const path = await declare('saved', { 'web-1': ['storage'] }, {});
  const file = join(stage.folder, 'plan.json');
  await writeFile(file, (await stage.expect(2, ['plan', path, ...underPolicy, '-o', 'json'])).stdout);
  await policy({ suspend: true });
  const stale = await stage.expect(7, ['apply', file, ...underPolicy]);
  assert.match(stale.stderr, /is stricter than the plan: suspend is true now, and was not set/);
  await policy({ maxRemovals: 0 });
  const many = await stage.expect(7, ['apply', file, ...underPolicy]);
  assert.match(many.stderr, /the plan would unplug more NICs \(1\) than the policy \(ConfigMap patchpanel/);
  await policy({ maxRemovals: 1, denyWindows: [{ start: '* * * * *', duration: '1h' }] });
  assert.match((await stage.expect(0, ['apply', file, ...underPolicy])).stdout, /the policy denies changes now/);
  // What the limit held back when the plan was made is no reason to refuse the rest of it.
  await policy({ maxRemovals: 0 });
  await writeFile(file, (await stage.expect(4, ['plan', path, ...underPolicy, '-o', 'json'])).stdout);
  assert.match((await stage.expect(4, ['apply', file, ...underPolicy])).stdout, /1 blocked/);
  assert.deepEqual(await stage.guestNics('web-1'), ['default', 'mgmt', 'storage']);
});

test('without a policy that is understood nothing is done', async () => {
  const path = join(stage.folder, 'saved');
  for (const [content, code, exit, words] of [
    [stringify({ apiVersion, kind: 'Policy', spec: { maxInFlght: 1 } }), 'schema/unknown-key', 3, /policy\.yaml:4:3/],
    ['', 'policy/missing', 3, /ConfigMap patchpanel\/patchpanel-policy, policy\.yaml is empty/],
  ] as const) {
    await policy(content);
    const refused = await stage.expect(exit, ['apply', path, ...underPolicy]);
    assert.match(refused.stderr, words);
    assert.ok(refused.stderr.includes(code));
  }
  await stage.cluster.admin.delete(configMaps, policyPlace.namespace, policyPlace.name);
  stage.requests();
  const missing = await stage.expect(3, ['apply', path], {
    env: { PATCHPANEL_POLICY: 'patchpanel/patchpanel-policy' },
  });
  assert.match(missing.stderr, /there is no ConfigMap patchpanel\/patchpanel-policy/);
  assert.deepEqual(
    stage.requests().map(({ resource }) => resource),
    ['configmaps'],
  );
  const local = join(stage.folder, 'policy.yaml');
  await writeFile(local, stringify({ apiVersion, kind: 'Policy', spec: { maxInFlight: 2 } }));
  const valid = await stage.expect(0, ['validate', path, '--policy', local]);
  assert.match(valid.stdout, /maxInFlight is 2 in place of 4, by the policy in /);
});

test('a window that closes midway: what is in flight is finished, and the next run goes on', async () => {
  const nics = ['storage', 'backup', 'mgmt'];
  const path = await declare(
    'midway',
    { 'web-0': nics },
    {
      allowWindows: [{ start: '0 2 * * *', duration: '1h' }],
    },
  );
  const plan = async () => parsePlan((await stage.expect(2, ['plan', path, '-o', 'json'])).stdout);
  const events: RunEvent[] = [];
  const done = (): number => events.filter(({ type }) => type === 'action-done').length;
  const started = (): number => events.filter(({ type }) => type === 'action-started').length;
  // It is open until the first plug has begun.
  const clock = () => new Date(started() === 0 ? '2026-11-24T02:30:00Z' : '2026-11-24T03:00:00Z');
  const first = await applyPlan(await plan(), cluster, applyOptions({ clock }), (event) => events.push(event));
  assert.deepEqual(
    first.targets.map(({ result, actions }) => [result, actions.map((action) => action.result)]),
    [['waiting', ['done', 'not-started', 'not-started']]],
  );
  assert.match(first.targets[0]?.actions[1]?.reason ?? '', /from 2026-11-25 02:00 UTC/);
  assert.deepEqual([done(), first.summary.waiting, first.summary.failed], [1, 1, 0]);
  const open = { clock: () => new Date('2026-11-25T02:30:00Z') };
  const next = await applyPlan(await plan(), cluster, applyOptions(open), () => {});
  assert.deepEqual([next.summary.converged, next.summary.writes], [1, 2]);
  assert.deepEqual(await stage.guestNics('web-0'), ['default', ...nics].sort());
});

test('what is suspended is left alone, and the plan says who wanted that', async () => {
  const path = await declare('suspended', { 'web-1': ['storage'], 'db-0': ['mgmt'] }, {});
  const annotation = { 'patchpanel.dev/suspend': 'true' };
  await stage.cluster.admin.mergePatch(virtualMachines, 'demo', 'web-1', { metadata: { annotations: annotation } });
  stage.requests();
  const applied = await stage.expect(4, ['apply', path]);
  assert.match(applied.stdout, /\(suspended\) web-1 has the annotation patchpanel\.dev\/suspend, set by \S+ at 20/);
  assert.match(applied.stdout, /kubectl -n demo annotate vm web-1 patchpanel\.dev\/suspend-/);
  assert.deepEqual(
    new Set(stage.writes()),
    new Set(['PATCH virtualmachines /apis/kubevirt.io/v1/namespaces/demo/virtualmachines/db-0']),
  );
  await stage.cluster.admin.mergePatch(virtualMachines, 'demo', 'web-1', {
    metadata: { annotations: { 'patchpanel.dev/suspend': null } },
  });
  const namespace = await declare('suspended', {}, { suspendedNamespaces: ['demo'] });
  assert.match((await stage.expect(4, ['plan', namespace])).stdout, /Remove demo from suspendedNamespaces/);
  const object = join(path, 'web-1.yaml');
  await declare('suspended', { 'web-1': ['storage'] }, {});
  const written = parse(await readFile(object, 'utf8'));
  await writeFile(object, stringify({ ...written, spec: { ...written.spec, suspend: true } }));
  stage.requests();
  assert.match((await stage.expect(4, ['apply', path])).stdout, /Remove spec\.suspend from it, at web-1\.yaml:1/);
  assert.deepEqual(stage.writes(), []);
});
