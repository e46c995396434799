import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatchpanelError } from '../errors.ts';
import { admit, isWithin, outsiders, type RepositoryRule } from './repositories.ts';
import { repositoriesSchema } from './repository-schema.ts';

const from = 'ConfigMap infra/policy, policy.yaml';

function rule(url: string, ...namespaces: string[]): RepositoryRule {
  return { url, namespaces };
}

/** The namespaces that a URL gets; the code of the refusal where it gets none. */
function given(url: string, ...rules: RepositoryRule[]): string {
  try {
    return admit({ kind: 'git', url }, { from, rules }).rule.namespaces.join();
  } catch (error) {
    if (error instanceof PatchpanelError) return error.code;
    throw error;
  }
}

test('a repository is known however its URL is spelled, and no other one is', () => {
  const one = rule('https://git.example.com/net/vms', 'prod');
  const same = [
    'https://git.example.com/net/vms',
    'https://GIT.example.com:443/net/vms.git',
    'https://git.example.com/net/vms/',
    'https://user:secret@git.example.com/net/vms.git/',
    'https://git.example.com/net/./x/../vms.git?a=b#c',
  ];
  for (const url of same) assert.equal(given(url, one), 'prod', url);
  for (const url of same)
    assert.equal(given('https://git.example.com/net/vms', rule(url.replace(/\?.*/, ''), 'prod')), 'prod');
  const others = [
    'http://git.example.com/net/vms',
    'https://git.example.com:8443/net/vms',
    'https://git.example.com.evil.example/net/vms',
    'https://git.example.com/net/vms2',
    'https://git.example.com/net/VMs',
    'https://git.example.com/net/vms/sub',
    'https://git.example.com/net',
    'https://git.example.com/evil/vms',
    'https://git.example.com@evil.example/net/vms',
    'https://evil.example/https://git.example.com/net/vms',
  ];
  for (const url of others) assert.equal(given(url, one), 'trust/repository', url);
});

test('all below a path, and the closest rule counts', () => {
  const rules = [
    rule('https://git.example.com/*', 'any'),
    rule('https://git.example.com/net/*', 'net'),
    rule('https://git.example.com/net/vms.git', 'prod'),
  ];
  assert.equal(given('https://git.example.com/net/vms', ...rules), 'prod');
  assert.equal(given('https://git.example.com/net/other', ...rules), 'net');
  assert.equal(given('https://git.example.com/net/deep/er', ...rules), 'net');
  assert.equal(given('https://git.example.com/network', ...rules), 'any');
  const [, below] = rules;
  const odd = [
    'net',
    'net/',
    'net/x%2f..%2f..%2fevil',
    'net/x/%2e%2e/%2e%2e/evil',
    'net//evil',
    'net/../evil',
    'net/x\\..\\..\\evil',
  ];
  for (const path of odd)
    assert.equal(given(`https://git.example.com/${path}`, below ?? assert.fail()), 'trust/repository', path);
});

test('another case of a URL, which many hosts take for the same, does not lead to a wider rule', () => {
  const rules = [
    rule('https://git.example.com/net/*', 'wide'),
    rule('https://git.example.com/net/VMs', 'prod'),
    rule('https://git.example.com/net/vms', 'test'),
    rule('https://git.example.com/net/deep/*', 'deep'),
  ];
  assert.equal(given('https://git.example.com/net/VMs', ...rules), 'prod');
  assert.equal(given('https://git.example.com/net/vms', ...rules), 'test');
  assert.equal(given('https://git.example.com/net/other', ...rules), 'wide');
  for (const path of ['net/vmS', 'NET/other', 'net/Deep/er', 'net/VMS.GIT']) {
    assert.equal(given(`https://git.example.com/${path}`, ...rules), 'trust/repository', path);
  }
  assert.throws(
    () => admit({ kind: 'git', url: 'https://git.example.com/net/vMs' }, { from, rules }),
    /is not among the repositories in .*, but for the case of https:\/\/git\.example\.com\/net\/VMs$/,
  );
});

test('a folder is no repository, and the secret of a URL is not repeated', () => {
  const rules = [rule('https://git.example.com/net/vms', 'prod')];
  assert.throws(() => admit({ kind: 'folder', path: './vms' }, { from, rules }), /only the repositories in ConfigMap/);
  assert.throws(
    () => admit({ kind: 'git', url: 'https://user:secret@git.example.com/x' }, { from, rules }),
    (error) => error instanceof PatchpanelError && !`${error.stack}`.includes('secret'),
  );
});

test('namespaces are names, or all that begin alike', () => {
  assert.equal(isWithin('team-a', ['team-a']), true);
  assert.equal(isWithin('team-a', ['team-*']), true);
  assert.equal(isWithin('team-a', ['*']), true);
  assert.equal(isWithin('team-ab', ['team-a']), false);
  assert.equal(isWithin('my-team-a', ['team-*']), false);
});

test('what is outside of the namespaces is told at its file and line', () => {
  const position = (line: number) => ({ file: 'vms/a.yaml', line, column: 3 });
  const network = (namespace: string, line: number) => ({
    name: 'nic',
    network: { namespace, name: 'blue' },
    binding: 'bridge' as const,
    state: 'up' as const,
    position: position(line),
  });
  const vm = (namespace: string, line: number, ...attachments: ReturnType<typeof network>[]) => ({
    target: { kind: 'VirtualMachine' as const, namespace, name: 'db' },
    attachments,
    position: position(line),
  });
  const admission = admit(
    { kind: 'git', url: 'https://git.example.com/net/vms' },
    { from, rules: [{ ...rule('https://git.example.com/net/vms', 'prod', 'team-*'), networkNamespaces: ['infra'] }] },
  );
  const targets = [
    vm('prod', 1, network('prod', 2), network('infra', 3)),
    vm('team-a', 4, network('kube-system', 5)),
    vm('infra', 6, network('infra', 7)),
  ];
  assert.deepEqual(
    outsiders({ targets }, admission).map(({ code, position: at, message }) => [code, at?.line, message.split(',')[0]]),
    [
      ['trust/namespace', 5, 'the network blue is in the namespace kube-system'],
      ['trust/namespace', 6, 'the VM db is in the namespace infra'],
    ],
  );
});

test('rules that say nothing, or twice the same, are faults', () => {
  const valid = { url: 'https://git.example.com/net/vms', namespaces: ['prod'] };
  const key = `ssh-ed25519 ${Buffer.concat([Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0 '), Buffer.alloc(32, 1)]).toString('base64')}`;
  const good = { ...valid, verify: { mode: 'head', allowedSigners: `a@example.com ${key}\n` } };
  assert.equal(repositoriesSchema.safeParse([valid]).success, true);
  assert.equal(repositoriesSchema.safeParse([good]).success, true);
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [[], /at least one entry/],
    [[{ ...valid, namespaces: [] }], /at least one entry/],
    [[{ ...valid, namespaces: ['a*b'] }], /must be a namespace/],
    [[{ ...valid, url: 'git@git.example.com:net/vms' }], /must be the http/],
    [[{ ...valid, url: 'https://user@git.example.com/net/vms' }], /must be the http/],
    [[{ ...valid, url: 'https://*.example.com/net/vms' }], /must be the http/],
    [[valid, { ...valid, url: 'https://git.example.com/net/vms.git' }], /in the list already/],
    [[{ ...valid, verify: { mode: 'head' } }], /needs allowedSigners, openpgpKeys, or both/],
    [[{ ...valid, verify: { mode: 'no', allowedSigners: 'x' } }], /head/],
    [[{ ...valid, verify: { mode: 'head', allowedSigners: 'a cert-authority x' } }], /is no list of signers: line 1/],
  ];
  for (const [rules, reason] of bad) {
    const result = repositoriesSchema.safeParse(rules);
    assert.match(
      result.error?.issues.map(({ message }) => message).join() ?? 'no fault',
      reason,
      JSON.stringify(rules),
    );
  }
});
