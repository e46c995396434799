import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceIdentity } from './model.ts';
import { isOfAnother, sourceIdPattern, sourceMark } from './source-mark.ts';

function git(url: string, path = '', ref = 'main', mark?: string): SourceIdentity {
  return { kind: 'git', url, ref, commit: 'c0ffee', path, ...(mark === undefined ? {} : { mark }) };
}
const url = 'https://git.example.com/net/vms';

test('a mark names repository, folder and ref, however they are spelled', () => {
  assert.equal(sourceMark(git(url), {}), `${url}?ref=main`);
  assert.equal(sourceMark(git(`${url}.git`), { defaultNamespace: 'default' }), `${url}?ref=main`);
  assert.equal(sourceMark(git(`${url}/`, './prod/'), {}), `${url}//prod?ref=main`);
  assert.equal(sourceMark({ kind: 'folder', path: '/vms', digest: '' }, {}), undefined);
  assert.equal(sourceMark({ kind: 'folder', path: '/vms', digest: '' }, { sourceId: 'prod' }), 'prod');
  assert.equal(sourceMark(git(url), { sourceId: 'prod' }), 'prod');
});

test('a commit of a branch leaves the mark of the branch, where that is told', () => {
  assert.equal(sourceMark(git(url, '', 'c0ffee'), { sourceRef: 'main' }), sourceMark(git(url), {}));
  assert.notEqual(sourceMark(git(url, '', 'c0ffee'), {}), sourceMark(git(url), {}));
});

test('what is rendered otherwise bears another mark, of the same repository', () => {
  const source = git(url, '', 'main', `${url}?ref=main`);
  const marks = [
    sourceMark(git(url), {}),
    sourceMark(git(url, '', 'staging'), {}),
    sourceMark(git(url), { defaultNamespace: 'team-a' }),
    sourceMark(git(url), { jsonnet: { tlaStr: { site: 'berlin' } } }),
    sourceMark(git(url), { jsonnet: { tlaStr: { site: 'oslo' } } }),
    sourceMark(git(url), { jsonnet: { extStr: { site: 'oslo' } } }),
  ];
  assert.equal(new Set(marks).size, marks.length);
  for (const mark of marks) assert.equal(isOfAnother(mark, source), false);
});

test('another repository, or another folder of one, is another owner; without a mark nobody is', () => {
  const source = git(url, 'prod', 'main', `${url}//prod?ref=main`);
  assert.equal(isOfAnother(`${url}//test?ref=main`, source), true);
  assert.equal(isOfAnother(`${url}?ref=main`, source), true);
  assert.equal(isOfAnother('somebody', source), true);
  assert.equal(isOfAnother(undefined, source), false);
  assert.equal(isOfAnother('somebody', { kind: 'folder', path: '.', digest: '' }), false);
});

test('an id that was given anew keeps what bears the mark of the repository', () => {
  const source = git(`${url}.git`, 'prod', 'main', 'prod-vms');
  assert.equal(isOfAnother(`${url}//prod?ref=main`, source), false);
  assert.equal(isOfAnother('prod-vms', source), false);
  assert.equal(isOfAnother('test-vms', source), true);
});

test('an id may be a whole mark; it breaks no command', () => {
  for (const id of ['prod', 'https://git.example.com/vms//a?ref=main&inputs=00', 'team@site'])
    assert.match(id, sourceIdPattern);
  for (const id of ['', 'a b', '?a', "a'b", '-a', `a${'b'.repeat(512)}`]) assert.doesNotMatch(id, sourceIdPattern);
});
