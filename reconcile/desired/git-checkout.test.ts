/** Another commit of the repository around a folder, on clones that git made. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { git } from '../../sandbox/git-server.ts';
import { faultsOf, repository, vmYaml, writeFiles } from '../../test/desired-state.ts';
import { commitAll, names, newRepository } from '../../test/git-repositories.ts';
import { loadDesired } from './load.ts';
import { revision } from './revision.ts';

interface Clone {
  readonly root: string;
  readonly folder: string;
  readonly first: string;
  readonly second: string;
  /** On `main` alone, after `feature` left it. */
  readonly third: string;
}

/** `main`: a, then b, then c; `feature` is checked out, left after b and has d. */
async function clone(context: TestContext): Promise<Clone> {
  const root = await repository(context);
  const folder = await newRepository(root, 'fleet');
  await writeFiles(folder, { 'vms/a.yaml': vmYaml('a') });
  const first = await commitAll(folder, 'one');
  await git(folder, 'tag', '--annotate', 'v1', '--message', 'first');
  await writeFiles(folder, { 'vms/b.yaml': vmYaml('b') });
  const second = await commitAll(folder, 'two');
  await git(folder, 'checkout', '--quiet', '-b', 'feature/x');
  await writeFiles(folder, { 'vms/d.yaml': vmYaml('d') });
  await commitAll(folder, 'four');
  await git(folder, 'checkout', '--quiet', 'main');
  await writeFiles(folder, { 'vms/c.yaml': vmYaml('c') });
  const third = await commitAll(folder, 'three');
  await git(folder, 'update-ref', 'refs/remotes/origin/main', third);
  await git(folder, 'checkout', '--quiet', 'feature/x');
  // The work tree is not what is read.
  await writeFiles(folder, { 'vms/a.yaml': 'kind: [', 'vms/e.yaml': 'a: [' });
  return { root, folder, first, second, third };
}

async function vmsAt(folder: string, ref: string): Promise<string> {
  return names(await loadDesired({ kind: 'checkout', path: join(folder, 'vms'), ref }));
}

async function faultAt(folder: string, ref: string): Promise<{ readonly code: string; readonly remedy: string }> {
  const [fault] = await faultsOf(loadDesired({ kind: 'checkout', path: folder, ref }));
  assert.ok(fault, `${ref} is refused`);
  return fault;
}

test('a commit by every name that git has for it', async (t) => {
  const { folder, first, second, third } = await clone(t);
  const rows: readonly (readonly [ref: string, vms: string])[] = [
    ['main', 'a,b,c'],
    ['origin/main', 'a,b,c'],
    ['refs/remotes/origin/main', 'a,b,c'],
    ['feature/x', 'a,b,d'],
    ['HEAD', 'a,b,d'],
    ['HEAD~1', 'a,b'],
    ['HEAD^', 'a,b'],
    ['HEAD~2', 'a'],
    ['main~1^1', 'a'],
    ['v1', 'a'],
    [third, 'a,b,c'],
    [second.slice(0, 8), 'a,b'],
    [first.toUpperCase(), 'a'],
    ['main...', 'a,b'],
  ];
  for (const [ref, vms] of rows) assert.equal(await vmsAt(folder, ref), vms, ref);
  await git(folder, 'pack-refs', '--all');
  await git(folder, 'gc', '--quiet', '--aggressive');
  for (const [ref, vms] of rows) assert.equal(await vmsAt(folder, ref), vms, `${ref}, packed`);
  const state = await loadDesired({ kind: 'checkout', path: join(folder, 'vms'), ref: 'main' });
  assert.equal(revision(state.source), `main@sha1:${third}`);
  assert.equal(state.targets[0]?.position.file, 'vms/a.yaml', 'positions are those of the repository');
});

test('a linked work tree and a clone of CI have what they have, and say what they lack', async (t) => {
  const { root, folder, first, third } = await clone(t);
  const linked = join(root, 'linked');
  await git(folder, 'worktree', 'add', '--quiet', linked, 'main');
  assert.equal(await vmsAt(linked, 'HEAD~1'), 'a,b', 'HEAD is that of the linked work tree');
  assert.equal(await vmsAt(linked, 'feature/x'), 'a,b,d');

  const shallow = join(root, 'shallow');
  await git(root, 'clone', '--quiet', '--depth=1', '--branch=main', `file://${folder}`, shallow);
  assert.equal(await vmsAt(shallow, 'HEAD'), 'a,b,c');
  for (const ref of [first, 'HEAD~1', 'feature/x', 'origin/feature/x', 'feature/x...']) {
    const { code, remedy } = await faultAt(shallow, ref);
    assert.equal(code, 'git/incomplete', ref);
    assert.match(remedy, /fetch-depth: 0/);
  }
  await git(shallow, 'fetch', '--quiet', '--depth=1', 'origin', first);
  assert.equal(await vmsAt(shallow, first), 'a');
  await git(shallow, 'fetch', '--quiet', 'origin', '+refs/heads/feature/x:refs/remotes/origin/feature/x');
  assert.equal(await vmsAt(shallow, 'origin/feature/x'), 'a,b,d');

  const partial = join(root, 'partial');
  await git(folder, 'config', 'uploadpack.allowFilter', 'true');
  await git(root, 'clone', '--quiet', '--filter=blob:none', '--no-checkout', `file://${folder}`, partial);
  assert.equal((await faultAt(partial, third)).code, 'git/incomplete', 'the files are missing');
});

test('what is no commit, no name or no repository is refused', async (t) => {
  const { root, folder } = await clone(t);
  for (const ref of ['nope', 'deadbeef', 'HEAD~99', 'HEAD^7', '../../../etc/hostname', '--all', 'a b', 'main..x', '']) {
    assert.equal((await faultAt(folder, ref)).code, 'git/unknown-ref', JSON.stringify(ref));
  }
  assert.match((await faultAt(folder, 'origin/nope')).remedy, /git fetch origin nope/);
  const tree = (await git(folder, 'rev-parse', 'HEAD^{tree}')).trim();
  assert.equal((await faultAt(folder, tree)).code, 'git/unknown-ref', 'a tree is no commit');
  assert.equal((await faultAt(root, 'main')).code, 'git/no-repository');
  await rm(join(folder, '.git'), { recursive: true });
  await writeFiles(folder, { '.git': 'nonsense' });
  assert.equal((await faultAt(folder, 'main')).code, 'git/no-repository');
});
