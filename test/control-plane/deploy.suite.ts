/** The manifests of examples/deploy on a real API server: taken as they are, pods within the restricted profile, accounts at work. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { startGitServer } from '../../sandbox/git-server.ts';
import { desiredFiles } from '../cli-stage.ts';
import { deployFolder, jobOf, kustomize, type Manifest, readManifests } from '../deploy-manifests.ts';
import { writeFiles } from '../desired-state.ts';
import { commitAll, newRepository } from '../git-repositories.ts';
import { type PodSpec, runPod } from '../pod.ts';
import { AuditLog } from './audit.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installDefinitions } from './definitions.ts';

const run = promisify(execFile);
const account = (use: string): string => `system:serviceaccount:patchpanel:patchpanel-${use}`;

let plane: ControlPlane;
let kubeconfig: string;
before(async () => {
  plane = await startControlPlane();
  kubeconfig = join(plane.folder, 'kubeconfig');
  await writeFile(kubeconfig, plane.kubeconfig, { mode: 0o600 });
  await installDefinitions(plane.admin);
  // That of the VMs, in the overlay for one namespace.
  await kubectl('create', 'namespace', 'prod');
});
after(() => plane?.stop());

async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('kubectl', ['--kubeconfig', kubeconfig, ...args]);
  assert.equal(stderr, '', 'the server warned');
  return stdout;
}

test('the plain manifest is taken, field by field, and a second time changes nothing', async () => {
  const args = ['apply', '--filename', join(deployFolder, 'patchpanel.yaml'), '--validate=strict'];
  const first = (await kubectl(...args)).trim().split('\n');
  assert.equal(first.length, readManifests('patchpanel.yaml').length);
  for (const line of first) assert.match(line, / created$/);
  for (const line of (await kubectl(...args)).trim().split('\n')) assert.match(line, / unchanged$/);
});

for (const name of readdirSync(join(deployFolder, 'overlays'))) {
  test(`the overlay ${name} is taken`, async () => {
    await kubectl(
      'apply',
      '--kustomize',
      join(deployFolder, 'overlays', name),
      '--validate=strict',
      '--dry-run=server',
    );
  });
}

test('a Job for a push gets a name of its own', async () => {
  const create = ['create', '--filename', join(deployFolder, 'push-job.yaml'), '--validate=strict', '--output=name'];
  const names = [await kubectl(...create), await kubectl(...create)];
  for (const name of names) assert.match(name, /^job\.batch\/patchpanel-push-\w+\n$/);
  assert.notEqual(names[0], names[1]);
});

const pods: Resource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' };

/** What the Job controller would do, to be looked at only. */
function admit(admin: Cluster, spec: PodSpec): Promise<KubeObject> {
  const metadata = { name: 'try', namespace: 'patchpanel' };
  return admin.create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject, { dryRun: true });
}

test('the namespace admits the pods, and none with more rights', async () => {
  const all: readonly (readonly Manifest[])[] = [
    readManifests('patchpanel.yaml'),
    readManifests('push-job.yaml'),
    await kustomize('overlays/plan-only'),
  ];
  for (const manifests of all) {
    const { spec } = jobOf(manifests).template;
    const pod = (await admit(plane.admin, spec)) as KubeObject & { readonly spec: PodSpec };
    assert.ok(pod.spec.volumes.some(({ name }) => name.startsWith('kube-api-access-')));
    await assert.rejects(admit(plane.admin, { ...spec, securityContext: {} }), /violates PodSecurity "restricted/);
  }
});

test('each account has what the manifests give it, and no more', async () => {
  const may = async (use: string, verb: string, resource: string): Promise<boolean> => {
    const asked = run('kubectl', ['--kubeconfig', kubeconfig, 'auth', 'can-i', verb, resource, '--as', account(use)]);
    return (await asked.catch((error: { readonly stdout: string }) => error)).stdout.trim() === 'yes';
  };
  assert.equal(await may('plan', 'list', 'pods'), true);
  assert.equal(await may('plan', 'watch', 'pods'), false);
  assert.equal(await may('apply', 'watch', 'pods'), true);
  assert.equal(await may('apply', 'create', 'pods/exec'), false);
  assert.equal(await may('apply', 'get', 'secrets'), false);
});

for (const [use, overlay] of [
  ['plan', 'overlays/plan-only'],
  ['apply', 'base'],
] as const) {
  test(`the pod of ${use} logs in with the token of its account, and is refused nothing`, async (t) => {
    const root = join(plane.folder, 'repositories');
    const folder = await newRepository(root, `${use}.git`);
    await writeFiles(folder, desiredFiles({ 'not-there': ['storage'] }));
    await commitAll(folder, 'a VM that nobody made');
    const server = await startGitServer({ root });
    t.after(() => server.close());
    const objects = (await kustomize(overlay)).map((object) =>
      object.kind === 'ConfigMap'
        ? { ...object, data: { ...(object.data as object), repository: `${server.url}/${use}.git` } }
        : object,
    );
    const token = (await kubectl('create', 'token', `patchpanel-${use}`, '--namespace', 'patchpanel')).trim();
    const log = new AuditLog(plane.auditLog);
    log.take();
    const surroundings = { server: plane.url, ca: plane.tls.certificate, token, objects };
    const { code, stdout, stderr } = await runPod(jobOf(objects).template.spec, surroundings);
    assert.equal(code, 4, stderr);
    assert.match(stdout, /not-there/);
    const asked = log.take().filter(({ user }) => user === account(use));
    assert.ok(asked.length > 0);
    assert.deepEqual(
      // The record and the lock are not there yet.
      asked.filter(({ status, verb }) => status >= 400 && !(verb === 'get' && status === 404)),
      [],
    );
  });
}
