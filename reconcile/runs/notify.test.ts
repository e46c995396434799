import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitStatus, type News, type StatusHost, webhook } from './notify.ts';

const news: News = {
  id: 'run-1',
  by: 'host',
  started: new Date(0),
  ended: new Date(1000),
  source: 'https://git.example.com/net/fleet/vms.git',
  commit: 'main@sha1:1d0c',
  outcome: 'partly-failed',
  exitCode: 5,
  counts: { targets: 9, inSync: 7, staged: 0, blocked: 1, failed: 1, interrupted: 0, waiting: 0, notStarted: 0 },
  changed: 2,
  writes: 3,
  troubled: [{ target: 'prod/db-0', state: 'failed' }],
};

const token = 'not-a-real-token';

function needStatus(host: StatusHost, told: News) {
  return commitStatus(host, '1d0c', told) ?? assert.fail('no status');
}

test('a folder has no commit to set a status of', () => {
  assert.equal(commitStatus({ kind: 'github', token }, '1d0c', { ...news, source: './vms' }), undefined);
});

test('GitHub and GitLab are asked where the host of the repository has them', () => {
  const cases = [
    ['github', 'https://github.com/net/vms.git', 'https://api.github.com/repos/net/vms/statuses/1d0c', 'failure'],
    [
      'github',
      'https://ghe.example.com/net/vms',
      'https://ghe.example.com/api/v3/repos/net/vms/statuses/1d0c',
      'failure',
    ],
    [
      'gitlab',
      'https://git.example.com/net/fleet/vms.git',
      'https://git.example.com/api/v4/projects/net%2Ffleet%2Fvms/statuses/1d0c',
      'failed',
    ],
  ] as const;
  for (const [kind, repository, url, state] of cases) {
    const request = needStatus({ kind, token }, { ...news, source: `${repository} prod/vms` });
    assert.equal(request.url, url);
    assert.equal(request.headers.authorization, `Bearer ${token}`);
    const body = JSON.parse(request.body);
    assert.equal(body.state, state);
    assert.equal(body.context ?? body.name, 'patchpanel/prod/vms');
    assert.equal(body.description, 'partly-failed: 2 changed, 1 blocked, 1 failed, 7 of 9 in sync');
  }
});

test('what hosts of git show is short, and in one line', () => {
  const error = { code: 'yaml/syntax', message: `line one\nline two ${'x'.repeat(500)}` };
  const { body } = needStatus({ kind: 'github', token }, { ...news, outcome: 'error', error });
  const { description, state } = JSON.parse(body);
  assert.equal(state, 'error');
  assert.ok(description.length <= 140);
  assert.match(description, /^error: line one line two x+\.\.\.$/);
});

test('the webhook tells the outcome to people and machines, and names not more than a few VMs', () => {
  const troubled = Array.from({ length: 1000 }, (_, at) => ({ target: `prod/vm-${at}`, state: 'failed' }));
  const { url, body, what } = webhook('https://hooks.example.com/SECRET', { ...news, troubled });
  assert.equal(url, 'https://hooks.example.com/SECRET');
  assert.ok(!`${what}${body}`.includes('SECRET'));
  const parsed = JSON.parse(body);
  assert.equal(parsed.version, 'patchpanel.dev/notify/v1alpha1');
  assert.match(parsed.text, /^patchpanel https:\/\/git\.example\.com\S+ main@sha1:1d0c: partly-failed: 2 changed/);
  assert.deepEqual([parsed.exitCode, parsed.counts.failed, parsed.troubled.length], [5, 1, 20]);
});
