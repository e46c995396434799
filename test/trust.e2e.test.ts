/** Whose word counts, through the command line: signatures, tokens of a GitHub App, and who else writes a VM. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { configMaps, virtualMachines } from '../reconcile/kube/resources.ts';
import { fields, text } from '../reconcile/systems/json-shape.ts';
import { type GitServer, git, startGitServer } from '../sandbox/git-server.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { writeFiles } from './desired-state.ts';
import { newRepository } from './git-repositories.ts';
import { appIds, type GithubStandIn, startGithub, tokenFor } from './github-stand-in.ts';

const skip = spawnSync('ssh-keygen', ['--help']).error !== undefined && 'ssh-keygen is not installed';

let stage: CliStage;
let open: GitServer;

before(async () => {
  stage = await CliStage.start();
  open = await startGitServer({ root: stage.folder });
});
after(async () => {
  await stage.stop();
  await open.close();
});

/** A key of SSH; returns its file, and its line in a list of signers. */
function sshKey(name: string): { readonly file: string; readonly line: string } {
  const file = join(stage.folder, name);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file]);
  return { file, line: `${name}@example.com ${readFileSync(`${file}.pub`, 'utf8')}` };
}

/** Commits the NICs, signed where there is a key. */
async function push(name: string, vms: Parameters<typeof desiredFiles>[0], key?: string): Promise<string> {
  const folder = join(stage.folder, name);
  await newRepository(stage.folder, name);
  await writeFiles(folder, desiredFiles(vms));
  await git(folder, 'add', '--all');
  const config = key === undefined ? [] : ['-c', 'gpg.format=ssh', '-c', `user.signingkey=${key}`];
  const sign = key === undefined ? [] : ['--gpg-sign'];
  await git(folder, ...config, 'commit', '--quiet', '--allow-empty', '--message', 'NICs', ...sign);
  return await git(folder, 'rev-parse', 'HEAD');
}

test('a commit that nobody signed, or not the right one, is refused before anything is read', { skip }, async () => {
  const alice = sshKey('alice');
  const mallory = sshKey('mallory');
  const signers = join(stage.folder, 'signers');
  await writeFile(signers, alice.line);
  const url = `${open.url}/signed.git`;
  const demand = ['--verify-signatures', 'head', '--allowed-signers', signers];
  const apply = ['apply', url, '--record', 'demo/signed', '--if-changed', ...demand];

  const unsigned = await push('signed.git', { 'web-0': ['storage'] });
  stage.requests();
  const refused = await stage.expect(3, apply);
  assert.match(refused.stderr, new RegExp(`the commit ${unsigned} is not signed, which is demanded by the options`));
  assert.match(refused.stderr, /trust\/unsigned/);
  assert.match(refused.stderr, /Sign it: git commit --amend --no-edit --gpg-sign/);
  assert.deepEqual(
    stage.writes().filter((write) => write.includes('virtualmachines')),
    [],
  );
  const record = await stage.cluster.admin.get(configMaps, 'demo', 'signed');
  assert.equal(JSON.parse(text(fields(record?.data)['record.json']) ?? '{}').error.code, 'trust/unsigned');

  await push('signed.git', { 'web-0': ['storage'] }, mallory.file);
  for (const verb of ['plan', 'apply', 'render', 'validate']) {
    const unknown = await stage.expect(3, [verb, url, ...demand]);
    assert.match(
      unknown.stderr,
      /is signed by an SSH key, SHA256:\S+: that key is not among the allowed signers/,
      verb,
    );
  }

  await push('signed.git', { 'web-0': ['storage'] }, alice.file);
  const applied = await stage.expect(0, apply);
  assert.match(applied.stderr, /verified commit [0-9a-f]{40}, signed by alice@example\.com \(ssh-ed25519 SHA256:/);
  assert.match(applied.stdout, /1 VM converged/);
  assert.match((await stage.expect(0, apply)).stdout, /^unchanged/);
  // The record vouches for what was verified with the same keys, and for nothing else.
  await writeFile(signers, mallory.line);
  assert.match((await stage.expect(3, apply)).stderr, /trust\/unknown-signer/);
  const without = await stage.expect(0, ['apply', url, '--record', 'demo/signed', '--if-changed']);
  assert.match(without.stdout, /1 unchanged/, 'a full run');

  const saved = join(stage.folder, 'plan.json');
  await writeFile(saved, (await stage.run(['plan', url, '-o', 'json'])).stdout);
  const ends = await Promise.all(
    [
      ['apply', saved, ...demand],
      ['validate', join(stage.folder, 'signed.git'), ...demand],
      ['validate', url, '--allowed-signers', signers],
    ].map((args) => stage.expect(3, args)),
  );
  const [plan, folder, half] = ends.map(({ stderr }) => stderr);
  assert.match(plan ?? '', /is a saved plan, which has no signature/);
  assert.match(folder ?? '', /is a folder, which has no signature/);
  assert.match(half ?? '', /keys are given, and nothing says what must be signed/);
});

async function putPolicy(name: string, spec: object): Promise<void> {
  const policy = stringify({ apiVersion: 'patchpanel.dev/v1alpha1', kind: 'Policy', spec });
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'demo', name } };
  const { admin } = stage.cluster;
  const found = await admin.get(configMaps, 'demo', name);
  if (found === undefined) await admin.create(configMaps, { ...object, data: { 'policy.yaml': policy } });
  else await admin.mergePatch(configMaps, 'demo', name, { data: { 'policy.yaml': policy } });
}

test('the owner says which repository may declare what, and who must sign there', { skip }, async () => {
  const carol = sshKey('carol');
  const url = `${open.url}/owned.git`;
  const other = `${open.url}/stray.git`;
  const policy = ['--policy-configmap', 'demo/owner'];
  const owned = { url: `${open.url}/owned`, namespaces: ['demo'] };
  const verify = { mode: 'head', allowedSigners: carol.line };
  await putPolicy('owner', { repositories: [{ ...owned, verify }] });
  await push('owned.git', { 'db-0': ['storage'] });
  await push('stray.git', { 'db-0': ['storage'] }, carol.file);
  const apply = ['apply', url, ...policy, '--record', 'demo/owned', '--if-changed'];

  const saved = join(stage.folder, 'owned.json');
  await writeFile(saved, (await stage.run(['plan', url, '-o', 'json'])).stdout);
  const anybody = join(stage.folder, 'anybody');
  await writeFile(anybody, sshKey('anybody').line);
  const ends = await Promise.all(
    [
      ['apply', url, ...policy],
      ['plan', other, ...policy],
      ['plan', join(stage.folder, 'stray.git'), ...policy],
      ['apply', saved, ...policy],
      ['plan', url, ...policy, '--verify-signatures', 'head', '--allowed-signers', anybody],
    ].map((args) => stage.expect(3, args, { env: { KUBECONFIG: stage.kubeconfig } })),
  );
  const [unsigned, stray, folder, plan, options] = ends.map(({ stderr }) => stderr);
  const from = 'ConfigMap demo/owner, policy\\.yaml';
  assert.match(unsigned ?? '', new RegExp(`is not signed, which is demanded by the policy \\(${from}\\)`));
  assert.match(stray ?? '', new RegExp(`/stray is not among the repositories in ${from}`));
  assert.match(folder ?? '', new RegExp(`is a folder, and only the repositories in ${from} are allowed`));
  assert.match(plan ?? '', /a saved plan proves nothing of where it is from/);
  assert.match(options ?? '', /is not signed/);

  // What is signed is applied; a rule that changed counts from the next full check on.
  await push('owned.git', { 'db-0': ['storage'] }, carol.file);
  stage.requests();
  assert.match((await stage.expect(0, apply)).stdout, /1 VM converged/);
  assert.match((await stage.expect(0, apply)).stdout, /^unchanged/);
  await putPolicy('owner', { repositories: [{ ...owned, namespaces: ['prod'] }] });
  const outside = await stage.expect(3, [...apply, '--recheck-after', '0s']);
  assert.match(
    outside.stderr,
    /db-0\.yaml:\d+:\d+: the VM db-0 is in the namespace demo, which is not among those of this/,
  );
  assert.match(outside.stderr, /the network storage-net is in the namespace demo/);
  assert.match(outside.stderr, /trust\/namespace/);
  assert.deepEqual(stage.writes().filter((write) => write.startsWith('PATCH virtualmachines')).length, 1);
});

function appFlags(github: GithubStandIn, key: string): readonly string[] {
  return [
    ...['--github-app-id', appIds.app, '--github-app-installation-id', appIds.installation],
    ...['--github-app-key-file', key, '--github-api-url', github.url],
  ];
}

test('a GitHub App fetches, and sets the status of the commit', async (t) => {
  const github = await startGithub(t);
  const key = join(stage.folder, 'app.pem');
  await writeFile(key, github.key, { mode: 0o600 });
  const credentials = { username: 'x-access-token', password: tokenFor('contents', 1) };
  const guarded = await startGitServer({ root: stage.folder, credentials });
  t.after(() => guarded.close());
  const commit = await push('app.git', { 'web-1': ['storage', 'backup'] });
  const args = ['apply', `${guarded.url}/app.git`, ...appFlags(github, key)];
  // To the API that made the token.
  const result = await stage.expect(0, [...args, '--commit-status', 'github', '--log-format', 'json']);
  assert.deepEqual(github.asked, ['contents:read app', 'statuses:write app']);
  assert.deepEqual(github.statuses, [
    { path: `/repos/app/statuses/${commit}`, token: tokenFor('statuses', 2), state: 'success' },
  ]);
  assert.doesNotMatch(result.stdout + result.stderr, /ghs_|eyJ|PRIVATE/);

  github.intercept = (_, response) => {
    response.writeHead(403).end(JSON.stringify({ message: 'This installation has been suspended' }));
    return true;
  };
  const suspended = await stage.expect(1, args);
  assert.match(
    suspended.stderr,
    /GitHub gives the app 12345 no token \(HTTP 403: This installation has been suspended\)/,
  );
  assert.match(suspended.stderr, /lift the suspension of the installation 678/);
  const both = await stage.expect(3, args, { env: { PATCHPANEL_GIT_TOKEN: 'x' } });
  assert.match(both.stderr, /both a GitHub App and other credentials/);
});

/** Server-side apply of a VM's NICs, as a tool that keeps it does. */
async function serverSideApply(name: string, manager: string): Promise<void> {
  const vm = await stage.cluster.admin.get(virtualMachines, 'demo', name);
  const { networks, domain } = fields(fields(fields(vm?.spec).template).spec);
  const { interfaces } = fields(fields(domain).devices);
  const body = JSON.stringify({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name, namespace: 'demo' },
    spec: { template: { spec: { networks, domain: { devices: { interfaces } } } } },
  });
  const path = `/apis/kubevirt.io/v1/namespaces/demo/virtualmachines/${name}?fieldManager=${manager}&force=true`;
  const { server, ca, adminToken } = stage.cluster;
  const headers = { 'content-type': 'application/apply-patch+yaml', authorization: `Bearer ${adminToken}` };
  const status = await new Promise<number>((resolve, reject) => {
    const sent = request(`${server}${path}`, { method: 'PATCH', ca, headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject).end(body);
  });
  assert.equal(status, 200);
}

test('a VM that another tool keeps is blocked, with what to paste, until somebody says that it was', async () => {
  const { admin } = stage.cluster;
  const mark = async (name: string, labels: Record<string, string>, annotations: Record<string, string> = {}) => {
    await admin.mergePatch(virtualMachines, 'demo', name, { metadata: { labels, annotations } });
  };
  const tracking = 'teams_vms:kubevirt.io/VirtualMachine:demo/web-0';
  await mark('web-0', {}, { 'argocd.argoproj.io/tracking-id': tracking });
  await serverSideApply('web-0', 'argocd-controller');
  await mark('web-1', { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux' });
  await serverSideApply('web-1', 'kustomize-controller');
  await mark(
    'db-0',
    { 'app.kubernetes.io/managed-by': 'Helm' },
    { 'meta.helm.sh/release-name': 'db', 'meta.helm.sh/release-namespace': 'demo' },
  );
  const folder = await stage.desired('kept', {
    'web-0': ['storage', 'red'],
    'web-1': ['storage', 'red'],
    'db-0': ['red'],
  });

  const [words, json, markdown, traced] = await Promise.all([
    stage.expect(4, ['plan', folder]),
    stage.expect(4, ['plan', folder, '-o', 'json']),
    stage.expect(4, ['plan', folder, '-o', 'markdown']),
    stage.run(['trace', 'web-0', '-n', 'demo']),
  ]);
  assert.match(words.stdout, /^ {8}# Argo CD Application teams\/vms$/m);
  assert.match(words.stdout, /^ {14}name: web-0\n {14}jsonPointers:\n {16}- \/spec\/template\/spec\/networks$/m);
  assert.match(words.stdout, /^ {8}# Flux Kustomization flux\/apps, Flux 2\.9 or later$/m);
  assert.match(words.stdout, /chart of the release demo\/db/);
  const made: { targets: { blockers: { paste?: string }[] }[] } = JSON.parse(json.stdout);
  assert.deepEqual(
    made.targets.map(({ blockers }) => blockers[0]?.paste?.split('\n')[0]),
    [undefined, '# Argo CD Application teams/vms', '# Flux Kustomization flux/apps, Flux 2.9 or later'],
  );
  assert.match(markdown.stdout, /<summary>To paste<\/summary>\n\n {2}```yaml\n {2}# Argo CD Application teams\/vms/);
  assert.match(traced.stdout, /^ {6}# Argo CD Application teams\/vms$/m);

  for (const name of ['web-0', 'web-1', 'db-0']) {
    await mark(name, {}, { 'patchpanel.dev/shared-ownership': 'acknowledged' });
  }
  assert.match((await stage.expect(0, ['apply', folder])).stdout, /3 VMs converged/);
});
