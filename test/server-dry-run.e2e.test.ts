/** `plan --server-dry-run`, and kubectl's server-side dry run of the same patches: both say what would change. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type DryRun, dryRunPlan } from '../reconcile/apply/dry-run.ts';
import type { Cluster, KubeObject } from '../reconcile/kube/cluster.ts';
import { connect } from '../reconcile/kube/connect.ts';
import { virtualMachines } from '../reconcile/kube/resources.ts';
import { isPodPlan, type Plan } from '../reconcile/plan/model.ts';
import { parsePlan } from '../reconcile/plan/plan-json.ts';
import { CliStage } from './cli-stage.ts';
import { kubectlIsMissing } from './deploy-manifests.ts';

const skip = kubectlIsMissing() ? 'kubectl is not installed' : false;

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

async function vm(name: string): Promise<KubeObject> {
  const found = await stage.cluster.admin.get(virtualMachines, 'demo', name);
  assert.ok(found !== undefined);
  return found;
}

async function planned(folder: string): Promise<Plan> {
  return parsePlan((await stage.expect(2, ['plan', folder, '-o', 'json'])).stdout);
}

/** What a dry run leaves of an object that no other run of it changes. */
function essence({ metadata, spec }: KubeObject): object {
  return { spec, annotations: metadata.annotations };
}

/** @throws an error with `stderr` where the server refuses */
async function kubectl({ target, patch }: DryRun): Promise<KubeObject> {
  const where = ['--namespace', target.namespace, '--kubeconfig', stage.kubeconfig];
  const how = ['--type=json', '--patch', JSON.stringify(patch), '--dry-run=server', '--output=json'];
  const { stdout } = await promisify(execFile)('kubectl', ['patch', 'virtualmachine', target.name, ...where, ...how]);
  return JSON.parse(stdout) as KubeObject;
}

test('says what the server would change, and writes nothing', async () => {
  const folder = await stage.desired('dry', { 'web-0': ['storage', 'backup'], 'web-1': [] });
  const versions = async (): Promise<unknown> => (await vm('web-0')).metadata.resourceVersion;
  const unchanged = await versions();
  const args = ['plan', folder, '--server-dry-run', '--kubeconfig', stage.kubeconfig];
  const { stdout } = await stage.expect(2, args);
  assert.match(stdout, /^demo\/web-0 {2}accepted {2}plug storage; plug backup$/m);
  assert.match(stdout, /^ {2}would change spec\.template\.spec\.networks$/m);
  assert.match(stdout, /^ {2}would change spec\.template\.spec\.domain\.devices\.interfaces$/m);
  assert.match(stdout, /^Server dry run: 1 VM accepted, 0 refused; nothing was written\.$/m);
  assert.equal(await versions(), unchanged);
});

test('needs the right to patch, and text', async () => {
  const folder = await stage.desired('rights', { 'web-0': ['storage'] });
  const { stderr } = await stage.expect(1, ['plan', folder, '--server-dry-run']);
  assert.match(stderr, /no permission to (get|patch) virtualmachines/);
  const usage = await stage.expect(3, ['plan', folder, '--server-dry-run', '-o', 'json']);
  assert.match(usage.stderr, /--server-dry-run goes with -o text alone/);
});

test('kubectl and patchpanel agree on what would change', { skip }, async () => {
  const folder = await stage.desired('both', {
    'web-0': ['storage'],
    'web-1': ['storage', 'backup'],
    'db-0': ['mgmt'],
  });
  const runs = await dryRunPlan(await planned(folder), cluster);
  assert.equal(runs.length, 3);
  for (const run of runs) {
    assert.ok(run.before !== undefined && run.after !== undefined);
    assert.notDeepEqual(essence(run.after), essence(run.before));
    assert.deepEqual(essence(await kubectl(run)), essence(run.after));
    assert.deepEqual(essence(await vm(run.target.name)), essence(run.before));
  }
});

test('what the server refuses is told in its words, by both', { skip }, async () => {
  const plan = await planned(await stage.desired('refused', { 'db-0': ['mgmt', 'backup'] }));
  const spoilt: Plan = {
    ...plan,
    targets: plan.targets.map((target) =>
      isPodPlan(target)
        ? target
        : {
            ...target,
            actions: target.actions.map((action) =>
              action.kind === 'plug'
                ? { ...action, attachments: action.attachments.map((one) => ({ ...one, mac: 'no-mac' })) }
                : action,
            ),
          },
    ),
  };
  const [run] = await dryRunPlan(spoilt, cluster);
  assert.ok(run?.refused !== undefined);
  assert.equal(run.after, undefined);
  // kubectl shows the causes alone.
  const cause = 'malformed MAC address (no-mac)';
  assert.match(run.refused.reason, /admission webhook .* denied the request: /);
  assert.ok(run.refused.reason.includes(cause));
  await assert.rejects(kubectl(run), (error: { readonly stderr: string }) => error.stderr.includes(cause));
});
