/**
 * Bad input, each through `patchpanel plan`: the place, the way out, the exit code, and a cluster that was not written to.
 * Messages are quoted in full where they are short, so that a reader can judge them here.
 */

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type GitServer, startGitServer } from '../sandbox/git-server.ts';
import type { CliOptions } from './cli-process.ts';
import { CliStage, desiredFiles } from './cli-stage.ts';
import { type FileTexts, writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';
import { skipJsonnet } from './jsonnet-addon.ts';

let stage: CliStage;
let server: GitServer;
let guarded: GitServer;

before(async () => {
  stage = await CliStage.start();
  await stage.network('broken-net', '{"cniVersion": "1.0.0", "type": ');
  const root = join(stage.folder, 'git');
  const folder = await newRepository(root, 'fleet.git');
  await writeFiles(folder, desiredFiles({ 'web-0': [] }));
  await commitAll(folder, 'one VM');
  await newRepository(root, 'empty.git');
  server = await startGitServer({ root });
  guarded = await startGitServer({ root, credentials: { username: 'bot', password: 'secret' } });
});
after(async () => {
  await server.close();
  await guarded.close();
  await stage.stop();
});

interface BadInput {
  readonly what: string;
  readonly files?: FileTexts;
  /** Arguments in place of the folder with the files. */
  readonly source?: () => readonly string[];
  readonly args?: readonly string[];
  readonly exit: number;
  /** `file:line:column` of each place that must be named. */
  readonly places?: readonly string[];
  /** Code of the error, or of the blocker. */
  readonly code: string;
  readonly says: RegExp;
  readonly remedy: RegExp;
  readonly skip?: string | false;
  /** Makes another kubeconfig out of that of the cluster. */
  readonly kubeconfig?: (text: string) => string;
}

const head =
  'apiVersion: patchpanel.dev/v1alpha1\nkind: NetworkAttachments\nmetadata: { name: web-0, namespace: demo }\n';

/** A VM whose attachments are these lines. */
function vm(...attachments: readonly string[]): string {
  return `${head}spec:\n  attachments:\n${attachments.map((line) => `    ${line}\n`).join('')}`;
}

const a = '- { name: a, network: storage-net }';
const laughs = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
  .concat(
    ['b', 'c', 'd', 'e', 'f'].map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcde'[at]}`).join(', ')}]`),
  )
  .join('\n');

const cases: readonly BadInput[] = [
  {
    what: 'YAML syntax',
    files: { 'vms/web-0.yaml': `${head}spec:\n  attachments: [\n` },
    exit: 3,
    places: ['vms/web-0.yaml:6:1'],
    code: 'yaml/syntax',
    says: /flow sequence/i,
    remedy: /Mend the place/,
  },
  {
    what: 'a duplicate key',
    files: { 'web-0.yaml': vm('- name: a', '  network: storage-net', '  name: b') },
    exit: 3,
    places: ['web-0.yaml:8:7'],
    code: 'yaml/duplicate-key',
    says: /"?name"?/,
    remedy: /Remove one of the two/,
  },
  {
    what: 'an alias bomb',
    files: { 'bomb.yaml': `${laughs}\n` },
    exit: 3,
    code: 'yaml/alias-bomb',
    says: /bomb\.yaml:\d+:\d+/,
    remedy: /Write the values out, or use Jsonnet/,
  },
  {
    what: 'an unknown key',
    files: { 'web-0.yaml': vm('- { name: a, network: storage-net, vlan: 100 }') },
    exit: 3,
    places: ['web-0.yaml:6:40'],
    code: 'schema/unknown-key',
    says: /unknown key "vlan"/,
    remedy: /Known here: name, network, mac, interface, ips, binding, model, state\./,
  },
  {
    what: 'a misspelt key',
    files: { 'web-0.yaml': vm('- { name: a, netwrok: storage-net }') },
    exit: 3,
    places: ['web-0.yaml:6:18'],
    code: 'schema/unknown-key',
    says: /"netwrok".*did you mean "network"/i,
    remedy: /Write network, or remove it\.\n$/,
  },
  {
    what: 'a wrong type',
    files: { 'web-0.yaml': `${head}spec:\n  pciePorts: many\n  attachments: []\n` },
    exit: 3,
    places: ['web-0.yaml:5:14'],
    code: 'schema/invalid',
    says: /pciePorts/,
    remedy: /desired-state\.md/,
  },
  {
    what: 'two objects for one VM',
    files: { 'one.yaml': vm(a), 'two.yaml': vm(a) },
    exit: 3,
    places: ['two.yaml:3:19'],
    code: 'desired/duplicate-target',
    says: /demo\/web-0.*one\.yaml:\d+/,
    remedy: /Merge them/,
  },
  {
    what: 'a duplicate name',
    files: { 'web-0.yaml': vm(a, '- { name: a, network: backup-net }') },
    exit: 3,
    places: ['web-0.yaml:7:15'],
    code: 'desired/duplicate-name',
    says: /"a"/,
    remedy: /Rename one/,
  },
  {
    what: 'a duplicate MAC, written in two ways',
    files: {
      'web-0.yaml': vm('- { name: a, network: storage-net, mac: "02:70:70:00:0a:01" }'),
      'web-1.yaml': vm('- { name: a, network: storage-net, mac: 0270.7000.0A01 }').replace('web-0', 'web-1'),
    },
    exit: 3,
    places: ['web-1.yaml:6:45'],
    code: 'desired/duplicate-mac',
    says: /02:70:70:00:0a:01.*web-0/,
    remedy: /MAC of its own/,
  },
  {
    what: 'a bad MAC',
    files: { 'web-0.yaml': vm('- { name: a, network: storage-net, mac: "02:70:70:00:0a" }') },
    exit: 3,
    places: ['web-0.yaml:6:45'],
    code: 'schema/invalid',
    says: /is not a MAC address; write it like "02:70:70:00:0a:01"/,
    remedy: /desired-state\.md/,
  },
  {
    what: 'a multicast MAC',
    files: { 'web-0.yaml': vm('- { name: a, network: storage-net, mac: "01:00:5e:00:00:01" }') },
    exit: 3,
    places: ['web-0.yaml:6:45'],
    code: 'schema/invalid',
    says: /multicast/,
    remedy: /desired-state\.md/,
  },
  {
    what: 'an upper-case name',
    files: { 'web-0.yaml': vm('- { name: Storage, network: storage-net }') },
    exit: 3,
    places: ['web-0.yaml:6:15'],
    code: 'schema/invalid',
    says: /must be lower case/,
    remedy: /desired-state\.md/,
  },
  {
    what: 'a name too long',
    files: { 'web-0.yaml': vm(`- { name: ${'n'.repeat(64)}, network: storage-net }`) },
    exit: 3,
    places: ['web-0.yaml:6:15'],
    code: 'schema/invalid',
    says: /longer than 63 characters/,
    remedy: /desired-state\.md/,
  },
  {
    what: 'an unknown network',
    files: { 'web-0.yaml': vm('- { name: a, network: no-such-net }') },
    exit: 4,
    code: 'network-missing',
    says: /demo\/no-such-net/,
    remedy: /\n {6}\S.*no-such-net|\n {6}Create/,
  },
  {
    what: 'a network whose config is not JSON',
    files: { 'web-0.yaml': vm('- { name: a, network: broken-net }') },
    exit: 4,
    code: 'network-invalid',
    says: /demo\/broken-net.*JSON/,
    remedy: /\n {6}\S/,
  },
  {
    what: 'Jsonnet that does not parse',
    files: { 'fleet.jsonnet': "local pp = import 'patchpanel/fleet.libsonnet';\npp.fleet(['a'\n" },
    exit: 3,
    places: ['fleet.jsonnet:3:1'],
    code: 'jsonnet/syntax',
    says: /expected/i,
    remedy: /Mend the place/,
    skip: skipJsonnet,
  },
  {
    what: 'Jsonnet that fails while it runs',
    files: { 'fleet.jsonnet': "local network(name) =\n  error 'no such network: ' + name;\n[network('storage')]\n" },
    exit: 3,
    places: ['fleet.jsonnet:2:3'],
    code: 'jsonnet/runtime',
    says: /no such network: storage/,
    remedy: /Follow the trace/,
    skip: skipJsonnet,
  },
  {
    what: 'endless Jsonnet',
    files: { 'fleet.jsonnet': 'local f(n) = f(n + 1) tailstrict;\nf(0)\n' },
    args: ['--jsonnet-timeout', '1'],
    exit: 3,
    places: ['fleet.jsonnet:1:1'],
    code: 'jsonnet/timeout',
    says: /1 s/,
    remedy: /endless recursion, or raise --jsonnet-timeout/,
    skip: skipJsonnet,
  },
  {
    what: 'a Jsonnet import outside the repository',
    files: { 'fleet.jsonnet': "[\n  importstr '/etc/passwd',\n]\n" },
    exit: 3,
    places: ['fleet.jsonnet:2:13'],
    code: 'jsonnet/import',
    says: /\/etc\/passwd/,
    remedy: /Import only files of the repository/,
    skip: skipJsonnet,
  },
  {
    what: 'a Jsonnet import that climbs out of the repository',
    files: { 'fleet.jsonnet': "import '../../other/x.libsonnet'\n" },
    exit: 3,
    places: ['fleet.jsonnet:1:8'],
    code: 'jsonnet/import',
    says: /\.\.\/\.\.\/other\/x\.libsonnet/,
    remedy: /Import only files of the repository/,
    skip: skipJsonnet,
  },
  {
    what: 'an empty folder',
    files: { 'README.md': 'nothing yet' },
    exit: 3,
    code: 'source/empty',
    says: /no NetworkAttachments/,
    remedy: /--path/,
  },
  {
    what: 'an empty repository',
    source: () => [`${server.url}/empty.git`],
    exit: 3,
    code: 'source/empty',
    says: /no commit/,
    remedy: /commit/i,
  },
  {
    what: 'an unknown ref',
    source: () => [`${server.url}/fleet.git`, '--ref', 'mian'],
    exit: 3,
    code: 'git/unknown-ref',
    says: /mian/,
    remedy: /Check --ref/,
  },
  {
    what: 'an unknown repository',
    source: () => [`${server.url}/fleets.git`],
    exit: 3,
    code: 'git/not-found',
    says: /404/,
    remedy: /Check the URL/,
  },
  {
    what: 'an unreachable host',
    source: () => ['http://127.0.0.1:9/fleet.git'],
    exit: 1,
    code: 'git/unreachable',
    says: /127\.0\.0\.1:9/,
    remedy: /running again is safe/,
  },
  {
    what: 'credentials wanted',
    source: () => [`${guarded.url}/fleet.git`],
    exit: 1,
    code: 'git/unauthorized',
    says: /401/,
    remedy: /--git-token-file, or PATCHPANEL_GIT_TOKEN/,
  },
  {
    what: 'an unreachable cluster',
    files: desiredFiles({ 'web-0': [] }),
    exit: 1,
    code: 'cluster/unreachable',
    says: /127\.0\.0\.1:9/,
    remedy: /running again is safe/,
    kubeconfig: (text) => text.replace(/server: .*/, 'server: https://127.0.0.1:9'),
  },
  {
    what: 'a cluster that refuses the token',
    files: desiredFiles({ 'web-0': [] }),
    exit: 1,
    code: 'cluster/unauthorized',
    says: /refused the credentials/,
    remedy: /Renew the token/,
    kubeconfig: (text) => text.replace(/token: .*/, 'token: expired'),
  },
];

describe('bad input', { concurrency: 2 }, () => {
  for (const [number, bad] of cases.entries()) {
    test(bad.what, { skip: bad.skip ?? false }, async () => {
      const folder = join(stage.folder, `bad-${number}`);
      await mkdir(folder);
      await writeFiles(folder, bad.files ?? {});
      const source = bad.source?.() ?? [folder];
      const { code, stdout, stderr } = await stage.run(
        ['plan', ...source, ...(bad.args ?? [])],
        await environment(number, bad),
      );
      // Blockers stand in the plan; errors stand beside it.
      const text = bad.exit === 4 ? stdout : stderr;
      assert.equal(code, bad.exit, `${stdout}\n${stderr}`);
      for (const place of bad.places ?? []) assert.ok(text.includes(`error ${place}: `), `${place} is not in\n${text}`);
      assert.ok(text.includes(`(${bad.code})`), text);
      assert.match(text, bad.says);
      assert.match(text, bad.remedy);
      assert.doesNotMatch(text, /\n\s+at .*\.[jt]s:\d+/, 'a stack trace helps nobody here');
      if (process.env.SHOW_MESSAGES !== undefined) process.stdout.write(`--- ${bad.what}\n${text}\n`);
    });
  }
  test('and nothing was written to the cluster', () => {
    assert.deepEqual(stage.writes(), []);
  });
});

/** The kubeconfig of the cluster, or what the case makes of it. */
async function environment(number: number, { kubeconfig }: BadInput): Promise<CliOptions> {
  if (kubeconfig === undefined) return {};
  const name = `kubeconfig-${number}`;
  await writeFiles(stage.folder, { [name]: kubeconfig(await readFile(stage.planKubeconfig, 'utf8')) });
  return { env: { KUBECONFIG: join(stage.folder, name) } };
}
