/** The CronJob of examples/deploy at work: its container, its service account, a git host and a cluster on loopback. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { configMaps, virtualMachines } from '../reconcile/kube/resources.ts';
import { sourceAnnotation } from '../reconcile/systems/patchpanel.ts';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import { desiredFiles } from './cli-stage.ts';
import { type ClusterUnderTest, startCluster } from './cluster-under-test.ts';
import { deployFolder, jobOf, kubectlIsMissing, kustomize, type Manifest, readManifests } from './deploy-manifests.ts';
import { writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';
import { type PodSpec, runPod } from './pod.ts';

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const skip = !isRoot || kubectlIsMissing() ? 'needs root on Linux, and kubectl' : false;
const password = 'not-a-real-password';

let base: readonly Manifest[];
let root: string;
let server: GitServer;
let cluster: ClusterUnderTest;
/** The git host takes requests and answers none. */
let hangs = false;
let gitRequests = 0;

before(async () => {
  if (skip) return;
  base = readManifests('patchpanel.yaml');
  root = await mkdtemp(join(tmpdir(), 'patchpanel-deploy-'));
  await newRepository(root, 'vms.git');
  await push({ 'web-0': ['storage'], 'web-1': ['storage'] });
  server = await startGitServer({ root, credentials: { username: 'bot', password }, intercept });
  cluster = await startCluster({ speed: 10 });
  const policy = base.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'patchpanel-policy');
  assert.ok(policy !== undefined);
  await cluster.admin.create(configMaps, policy);
});
after(async () => {
  await cluster?.stop();
  await server?.close();
  if (!skip) await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  cluster?.requests();
});

function intercept(): boolean {
  gitRequests += 1;
  return hangs;
}

/** A commit that gives VMs these NICs. */
async function push(vms: Parameters<typeof desiredFiles>[0]): Promise<void> {
  const folder = join(root, 'vms.git');
  await writeFiles(join(folder, 'prod'), desiredFiles(vms));
  await commitAll(folder, 'NICs');
}

/** The repository is read from another ref or folder: it must be told that it is the same. */
async function handOver(): Promise<void> {
  for (const name of ['web-0', 'web-1']) {
    const annotations = { [sourceAnnotation]: null };
    await cluster.admin.mergePatch(virtualMachines, 'demo', name, { metadata: { annotations } });
  }
  cluster.requests();
}

function user(use: string): string {
  return `system:serviceaccount:patchpanel:patchpanel-${use}`;
}

/** What a platform owner brings along: where the repository is, and how to get at it. */
function ours(objects: readonly Manifest[], recheckAfter = '1h'): readonly Manifest[] {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'patchpanel-git' },
    stringData: { username: 'bot', password },
  };
  const configured = objects.map((object) =>
    object.kind === 'ConfigMap' && object.metadata.name === 'patchpanel'
      ? {
          ...object,
          data: { ...(object.data as object), repository: `${server.url}/vms.git`, 'recheck-after': recheckAfter },
        }
      : object,
  );
  return [...configured, secret];
}

/** Runs the pod of the Job among these objects, with the rights that they give. */
async function run(objects: readonly Manifest[], change: Partial<PodSpec> = {}, stopAt?: string) {
  await cluster.enforce(objects);
  const spec = { ...jobOf(objects).template.spec, ...change };
  const use = spec.serviceAccountName.replace('patchpanel-', '');
  const result = await runPod(spec, {
    server: cluster.server,
    ca: cluster.ca,
    token: use === 'plan' ? cluster.tokens.plan : cluster.tokens.apply,
    objects,
    ...(stopAt === undefined ? {} : { stopAt }),
  });
  const asked = cluster.requests().filter((entry) => entry.user === user(use));
  const all = asked
    .filter(({ method, subresource }) => method !== 'GET' && subresource !== 'exec')
    .map(({ verb, path }) => `${verb} ${path.split('?')[0]}`);
  const isVm = (write: string): boolean => write.includes('/virtualmachines/');
  return { ...result, asked, writes: all.filter(isVm), left: all.filter((write) => !isVm(write)) };
}

const vm = '/apis/kubevirt.io/v1/namespaces/demo/virtualmachines';

test('plan-only tells of changes by its exit code and can write nothing', { skip }, async () => {
  const objects = ours(await kustomize('overlays/plan-only'));
  const planned = await run(objects);
  assert.equal(planned.code, 2, planned.stderr);
  assert.match(planned.stdout, /plug storage into storage-net/);
  assert.ok(planned.asked.length > 0);
  assert.deepEqual(planned.writes, []);
  // The same account in the pod that applies: the cluster refuses.
  const refused = await run(ours(base), { serviceAccountName: 'patchpanel-plan' });
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(refused.stderr, /no permission to get configmaps/);
  assert.ok(refused.asked.every(({ verb, status }) => verb === 'get' || status === 403));
});

test('the CronJob converges what was pushed; its second run is two requests', { skip }, async () => {
  const first = await run(ours(base));
  assert.equal(first.code, 0, `${first.stdout}\n${first.stderr}`);
  assert.match(first.stdout, /1 VM converged/);
  assert.deepEqual(first.writes, [`patch ${vm}/web-0`]);
  const home = '/namespaces/patchpanel';
  assert.deepEqual(first.left.toSorted(), [
    'create /api/v1/namespaces/demo/events',
    `create /api/v1${home}/configmaps`,
    `create /apis/coordination.k8s.io/v1${home}/leases`,
    `patch /apis/coordination.k8s.io/v1${home}/leases/patchpanel-record`,
  ]);
  // Nothing is refused; the record and the lock are not there yet.
  const failures = first.asked.filter(({ status }) => status >= 400);
  assert.deepEqual([...new Set(failures.map(({ verb, status }) => `${verb} ${status}`))], ['get 404']);
  gitRequests = 0;
  const second = await run(ours(base));
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /^unchanged: HEAD@sha1:\w+ was found in sync/);
  assert.deepEqual(
    second.asked.map(({ verb, path }) => `${verb} ${path}`),
    [`get /api/v1${home}/configmaps/patchpanel-record`],
  );
  assert.equal(gitRequests, 1);
  // After the time that the ConfigMap gives, all is looked at again; and but for that time nothing is written.
  const third = await run(ours(base, '0s'));
  assert.match(third.stdout, /0 VMs converged/);
  assert.deepEqual([third.writes, third.left], [[], [`patch /api/v1${home}/configmaps/patchpanel-record`]]);
});

test('the overlay of the README keeps to one namespace', { skip }, async () => {
  const readme = await readFile(join(deployFolder, 'README.md'), 'utf8');
  const example = /```yaml\n(apiVersion: kustomize[^`]*)```/.exec(readme)?.[1];
  assert.ok(example !== undefined);
  const folder = join(root, 'overlay');
  await mkdir(folder);
  const text = example.replace('patchpanel/examples/deploy', relative(folder, deployFolder));
  await writeFile(join(folder, 'kustomization.yaml'), text);
  const objects = await kustomize(folder);
  assert.match(JSON.stringify(objects), /registry\.your\.org/);
  await push({ 'web-0': ['storage', 'backup'] });
  await handOver();
  const result = await run(ours(objects));
  assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
  assert.deepEqual(result.writes, [`patch ${vm}/web-0`]);
  // Rights elsewhere give nothing here.
  const elsewhere = objects.map((object) =>
    object.metadata.namespace === 'demo' ? { ...object, metadata: { ...object.metadata, namespace: 'prod' } } : object,
  );
  const refused = await run(ours(elsewhere, '0s'));
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(refused.stderr, /cluster\/forbidden/);
});

test('with-exec lets a run look into libvirt', { skip }, async () => {
  const objects = await kustomize('overlays/with-exec');
  await push({ 'web-0': ['storage'] });
  await handOver();
  const result = await run(ours(objects));
  assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
  assert.match(result.stdout, /layers agree: vm, vmi, pod, multus, domain/);
  assert.ok(result.asked.some(({ subresource, status }) => subresource === 'exec' && status < 400));
  const without = await run(ours(base, '0s'));
  assert.match(without.stdout, /0 VMs converged/);
  assert.ok(without.asked.every(({ subresource }) => subresource !== 'exec'));
});

test('a pod that is told to end finishes what is in flight; the next run goes on', { skip }, async () => {
  await push({ 'db-0': ['storage', 'backup', 'mgmt', 'red', 'green', 'blue'] });
  const stopped = await run(ours(base), {}, '"type":"action-started"');
  assert.equal(stopped.code, 8, stopped.stderr);
  assert.match(stopped.stdout, /not started plug .*: the run was told to stop/);
  assert.ok(stopped.writes.length < 6);
  const next = await run(ours(base));
  assert.equal(next.code, 0, next.stderr);
  assert.equal(stopped.writes.length + next.writes.length, 6);
});

test('a plan has nothing to finish, and ends at once', { skip }, async () => {
  hangs = true;
  const stopped = await run(ours(await kustomize('overlays/plan-only')), {}, '"type":"rendering"');
  hangs = false;
  assert.equal(stopped.code, 143, stopped.stderr);
  assert.deepEqual(
    stopped.asked.map(({ verb, path }) => `${verb} ${path}`),
    ['get /api/v1/namespaces/patchpanel/configmaps/patchpanel-policy'],
  );
});
