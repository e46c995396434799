/** The manifests of examples/deploy: what Kubernetes takes, restricted, and in keeping with the exit codes and time limits. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildProgram } from '../cmd/program.ts';
import { errorTable, exitCodes } from '../reconcile/errors.ts';
import {
  deployFolder,
  jobOf,
  kubectlIsMissing,
  kustomize,
  type Manifest,
  parseManifests,
  readManifests,
  rightsOf,
} from './deploy-manifests.ts';
import { schemaFaults } from './kube-schema.ts';
import { argumentsOf, environmentOf } from './pod.ts';

const root = join(import.meta.dirname, '..');
const skip = kubectlIsMissing() ? 'needs kubectl' : false;

const overlays = readdirSync(join(deployFolder, 'overlays'));
const plain = readManifests('patchpanel.yaml');
const push = readManifests('push-job.yaml');

async function everything(): Promise<Readonly<Record<string, readonly Manifest[]>>> {
  const built = await Promise.all(overlays.map(async (name) => [name, await kustomize(`overlays/${name}`)] as const));
  return { plain, push, ...Object.fromEntries(built) };
}

function sorted(manifests: readonly Manifest[]): readonly Manifest[] {
  const key = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace} ${metadata.name}`;
  return manifests.toSorted((a, b) => key(a).localeCompare(key(b)));
}

test('the plain manifest is the base, and needs no kustomize', { skip }, async () => {
  assert.deepEqual(sorted(plain), sorted(await kustomize('base')));
});

test('overlays that add a role combine, in a folder beside the checkout', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'patchpanel-overlay-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(deployFolder, join(folder, 'patchpanel/examples/deploy'), { recursive: true });
  const readme = readFileSync(join(deployFolder, 'README.md'), 'utf8');
  const [resources] = /^resources:\n(?: {2}- .*\n)+/m.exec(readme.slice(readme.indexOf('To combine'))) ?? [];
  assert.ok(resources !== undefined);
  writeFileSync(join(folder, 'kustomization.yaml'), resources);
  const rights = rightsOf('patchpanel-apply', await kustomize(folder));
  const resourcesOf = rights.map(({ resource }) => resource);
  for (const resource of ['virtualmachines', 'pods/exec', 'virtualmachines/restart']) {
    assert.ok(resourcesOf.includes(resource), resource);
  }
});

test('every object has only fields that Kubernetes knows, of their types', { skip }, async () => {
  for (const [name, manifests] of Object.entries(await everything())) {
    assert.ok(manifests.length > 0, name);
    assert.deepEqual(manifests.flatMap(schemaFaults), [], name);
    for (const { kind, metadata } of manifests) {
      assert.equal((metadata.labels as Record<string, string>)['app.kubernetes.io/name'], 'patchpanel', kind);
    }
  }
});

test('nothing is empty: a server drops it, and whoever compares sees a difference for ever', { skip }, async () => {
  const isEmpty = (value: unknown): boolean =>
    value === null || (typeof value === 'object' && (Object.keys(value).length === 0 || hasEmpty(value)));
  const hasEmpty = (value: object): boolean => Object.values(value).some(isEmpty);
  for (const manifests of Object.values(await everything())) {
    assert.deepEqual(
      manifests.filter(isEmpty).map(({ kind }) => kind),
      [],
    );
  }
});

test('the check of fields finds what is wrong', () => {
  const [job] = push;
  assert.ok(job !== undefined);
  const spec = { ...jobOf(push), backOffLimit: 1, backoffLimit: '2' };
  assert.deepEqual(schemaFaults({ ...job, spec }), [
    'Job.spec.backoffLimit is not of type number',
    'Job.spec.backOffLimit is not known',
  ]);
  assert.deepEqual(schemaFaults({ ...job, kind: 'Jop' }), ['batch/v1 Jop is not known']);
});

test('pods keep to the restricted profile, and write to /tmp alone', { skip }, async () => {
  const [namespace] = plain.filter(({ kind }) => kind === 'Namespace');
  const labels = namespace?.metadata.labels as Readonly<Record<string, string>>;
  assert.equal(labels['pod-security.kubernetes.io/enforce'], 'restricted');
  for (const [name, manifests] of Object.entries(await everything())) {
    const { spec } = jobOf(manifests).template;
    assert.deepEqual(
      spec.securityContext,
      { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      name,
    );
    assert.equal(spec.restartPolicy, 'Never');
    assert.equal(spec.containers.length, 1);
    for (const { securityContext, volumeMounts, resources } of spec.containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      assert.deepEqual(volumeMounts, [{ name: 'tmp', mountPath: '/tmp' }]);
      for (const { cpu, memory } of [resources.requests, resources.limits]) assert.ok(cpu && memory);
    }
    assert.ok(spec.volumes.every(({ emptyDir }) => emptyDir !== undefined));
  }
});

test('the user is that of the image, and the image that of this version', () => {
  const [container] = jobOf(plain).template.spec.containers;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.equal(container?.image.split(':').at(-1), version);
  assert.match(readFileSync(join(root, 'Dockerfile'), 'utf8'), /^USER 65532:65532$/m);
});

test('a token is mounted by the pod that needs it, of an account that exists', { skip }, async () => {
  for (const [name, manifests] of Object.entries(await everything())) {
    const { serviceAccountName, automountServiceAccountToken } = jobOf(manifests).template.spec;
    assert.equal(automountServiceAccountToken, true);
    assert.equal(serviceAccountName, name === 'plan-only' ? 'patchpanel-plan' : 'patchpanel-apply');
    const accounts = (name === 'push' ? plain : manifests).filter(({ kind }) => kind === 'ServiceAccount');
    assert.ok(accounts.some(({ metadata }) => metadata.name === serviceAccountName));
    assert.ok(accounts.every((account) => account.automountServiceAccountToken === false));
  }
});

test('a Job ends at once where no error of the exit code is mended by trying again', { skip }, async () => {
  const rows = Object.values(errorTable);
  const codes = [...new Set(rows.map(({ exit }) => exit))].sort();
  const hopeless = codes.filter((code) => !rows.some(({ exit, retryable }) => exit === code && retryable));
  const harmless = codes.filter((code) => rows.every(({ exit, retryable }) => exit !== code || retryable));
  assert.deepEqual(hopeless, [exitCodes.badInput, exitCodes.blocked, exitCodes.stalePlan]);
  for (const [name, manifests] of Object.entries(await everything())) {
    const { podFailurePolicy, template } = jobOf(manifests);
    const [disruption, ...rules] = podFailurePolicy.rules;
    assert.deepEqual(disruption, {
      action: 'Ignore',
      onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }],
    });
    const fail: readonly number[] = name === 'plan-only' ? [exitCodes.changesPending, ...hopeless] : hopeless;
    const [container] = template.spec.containers;
    assert.deepEqual(
      rules,
      Object.entries({ FailJob: fail, Ignore: harmless }).map(([action, values]) => ({
        action,
        onExitCodes: { containerName: container?.name, operator: 'In', values },
      })),
    );
  }
});

test('deadlines leave a run the time that it takes', async () => {
  const verb = (await buildProgram('0.0.0', { code: 0 })).commands.find((command) => command.name() === 'apply');
  const seconds = (option: string): number => {
    const given = jobOf(plain).template.spec.containers[0]?.args.find((arg) => arg.startsWith(`--${option}=`));
    return Number(given?.split('=')[1] ?? verb?.options.find(({ long }) => long === `--${option}`)?.defaultValue);
  };
  const { activeDeadlineSeconds, template } = jobOf(plain);
  assert.ok(Number(activeDeadlineSeconds) > seconds('run-timeout') + seconds('migration-timeout'));
  assert.ok(template.spec.terminationGracePeriodSeconds > seconds('action-timeout'));
});

test('the CronJob runs one at a time, and forgets a tick that it missed', () => {
  const cronJob = plain.find(({ kind }) => kind === 'CronJob')?.spec as Readonly<Record<string, unknown>>;
  const { concurrencyPolicy, timeZone, startingDeadlineSeconds, failedJobsHistoryLimit } = cronJob;
  assert.deepEqual([concurrencyPolicy, timeZone], ['Forbid', 'Etc/UTC']);
  // Below ten seconds the CronJob controller, which looks every ten, may never start it.
  assert.ok(Number(startingDeadlineSeconds) > 10);
  assert.ok(Number(failedJobsHistoryLimit) > 0);
});

test('the network policy is about the pods of every Job', { skip }, async () => {
  for (const manifests of Object.values(await everything())) {
    const policy = plain.find(({ kind }) => kind === 'NetworkPolicy')?.spec as {
      readonly podSelector: { readonly matchLabels: Readonly<Record<string, string>> };
      readonly policyTypes: readonly string[];
    };
    const labels: Readonly<Record<string, unknown>> = { ...jobOf(manifests).template.metadata.labels };
    for (const [key, value] of Object.entries(policy.podSelector.matchLabels)) assert.equal(labels[key], value);
    assert.deepEqual(policy.policyTypes, ['Ingress', 'Egress']);
  }
});

test('the Job for a push is that of the CronJob, save that it goes away by itself', () => {
  const { ttlSecondsAfterFinished, template, ...job } = jobOf(push);
  const { template: wanted, ...rest } = jobOf(plain);
  assert.ok(Number(ttlSecondsAfterFinished) > 0);
  assert.deepEqual(job, rest);
  const withoutRef = ({ spec }: typeof template): unknown => ({
    ...spec,
    containers: spec.containers.map((each) => ({ ...each, env: each.env.filter(({ name }) => name !== 'REF') })),
  });
  assert.deepEqual(withoutRef(template), withoutRef(wanted));
});

test('a push runs the Job of the CronJob for its commit', { skip }, () => {
  const commit = '1d0c9a3f0a1f4c6b8f9e2d7c5b4a39281706f5e4';
  const flags = ['--filename', join(root, 'examples/deploy/push-job.yaml'), `REF=${commit}`, '--output', 'yaml'];
  const { stdout, stderr } = spawnSync('kubectl', ['set', 'env', '--local', ...flags], { encoding: 'utf8' });
  const [job] = parseManifests(stdout);
  assert.ok(job !== undefined, stderr);
  assert.equal(job.metadata.name, undefined);
  assert.equal(job.metadata.generateName, 'patchpanel-push-');
  const argsOf = (manifests: readonly Manifest[]): readonly string[] => {
    const [container] = jobOf(manifests).template.spec.containers;
    assert.ok(container !== undefined);
    return argumentsOf(container, environmentOf(container, plain));
  };
  const args = argsOf(plain);
  assert.ok(args.includes('--ref=HEAD'));
  assert.ok(args.every((arg) => !arg.includes('$(')));
  assert.deepEqual(
    argsOf([job]),
    args.map((arg) => (arg === '--ref=HEAD' ? `--ref=${commit}` : arg)),
  );
});
