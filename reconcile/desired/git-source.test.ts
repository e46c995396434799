import assert from 'node:assert/strict';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { git } from '../../sandbox/git-server.ts';
import { faultsOf, repository, vmYaml, writeFiles } from '../../test/desired-state.ts';
import { commitAll, history, names, newRepository, serve } from '../../test/git-repositories.ts';
import { type GitSource, headOf } from './git-source.ts';
import { defaultLimits } from './limits.ts';
import { type LoadEvent, loadDesired } from './load.ts';

test('a ref is a branch, a tag of either kind, or a commit in full or in short', async (t) => {
  const { root, first, second, main } = await history(t);
  const server = await serve(t, { root });
  const cases: readonly (readonly [string | undefined, string, string])[] = [
    [undefined, main, 'a,b,c'],
    ['HEAD', main, 'a,b,c'],
    ['main', main, 'a,b,c'],
    ['refs/heads/main', main, 'a,b,c'],
    ['release/1.0', second, 'a,b'],
    ['v1', first, 'a'],
    ['light', first, 'a'],
    [main, main, 'a,b,c'],
    [main.slice(0, 7), main, 'a,b,c'],
    [second, second, 'a,b'],
    [first.slice(0, 10), first, 'a'],
    [first.toUpperCase(), first, 'a'],
  ];
  for (const [ref, commit, vms] of cases) {
    const source = {
      kind: 'git',
      url: `${server.url}/fleet/.git`,
      path: './prod/',
      ...(ref === undefined ? {} : { ref }),
    } as const;
    const state = await loadDesired(source);
    assert.equal(names(state), vms, ref);
    const mark = `${server.url}/fleet//prod?ref=${ref ?? 'HEAD'}`;
    assert.deepEqual(state.source, { kind: 'git', url: source.url, ref: ref ?? 'HEAD', commit, path: 'prod', mark });
    assert.equal(state.targets[0]?.position.file, 'prod/vms/a.yaml');
  }
});

test('a pinned commit is that commit, whatever branch or tag bears its id as a name', async (t) => {
  const { root, first, main } = await history(t);
  const folder = join(root, 'fleet');
  for (const kind of ['heads', 'tags']) {
    await mkdir(join(folder, '.git/refs', kind), { recursive: true });
    await writeFile(join(folder, '.git/refs', kind, first), `${main}\n`);
  }
  const server = await serve(t, { root });
  const source = { kind: 'git', url: `${server.url}/fleet/.git`, path: 'prod', ref: first } as const;
  const state = await loadDesired(source);
  assert.equal(names(state), 'a');
  assert.equal(await headOf(source, defaultLimits, undefined), first);
  assert.equal(names(await loadDesired({ ...source, ref: `refs/heads/${first}` })), 'a,b,c');
});

test('a commit in the middle of history is found where the host gives none by id', async (t) => {
  const { root, first, second } = await history(t);
  await git(join(root, 'fleet'), 'branch', '--delete', '--force', 'release/1.0');
  const requests: string[] = [];
  // A host that hangs up on a want that it does not advertise, as some do.
  const server = await serve(t, {
    root,
    intercept: (request, response) => {
      if (request.method !== 'POST') return false;
      requests.push(request.url ?? '');
      if (requests.length > 1) return false;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
      response.end('0034ERR upload-pack: not our ref                     \n'.slice(0, 0x34));
      return true;
    },
  });
  const state = await loadDesired({ kind: 'git', url: `${server.url}/fleet/.git`, path: 'prod', ref: second });
  assert.equal(names(state), 'a,b');
  assert.equal(requests.length, 2);
  const short = await loadDesired({
    kind: 'git',
    url: `${server.url}/fleet/.git`,
    path: 'prod',
    ref: first.slice(0, 8),
  });
  assert.equal(names(short), 'a');
});

test('an unknown ref is named, with the branches that there are', async (t) => {
  const { root, gone } = await history(t);
  const server = await serve(t, { root });
  for (const ref of ['nope', 'abcdef0123', gone, 'refs/heads/nope', 'main~1', '../main', '']) {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/fleet/.git`, ref }));
    assert.equal(fault?.code, 'git/unknown-ref', ref);
    assert.match(fault?.message ?? '', /branches: main, release\/1\.0$/);
  }
});

test('a path that is missing, a file, outside or hidden is refused', async (t) => {
  const { root } = await history(t);
  const server = await serve(t, { root });
  const expected = {
    nope: 'source/not-found',
    'other.yaml': 'source/not-found',
    'prod/.hidden': 'source/not-found',
    '../prod': 'source/unsafe-path',
    'prod/../..': 'source/unsafe-path',
    '/prod': 'source/unsafe-path',
  };
  for (const [path, code] of Object.entries(expected)) {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/fleet/.git`, path }));
    assert.equal(fault?.code, code, path);
  }
});

test('a repository without commits, and one without files to read, are empty', async (t) => {
  const root = await repository(t);
  await newRepository(root, 'bare');
  const plain = await newRepository(root, 'plain');
  await writeFiles(plain, { README: 'hello' });
  await commitAll(plain, 'one');
  const server = await serve(t, { root });
  for (const name of ['bare', 'plain']) {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/${name}/.git` }));
    assert.equal(fault?.code, 'source/empty', name);
  }
});

test('links, submodules and confusable names in a tree are refused', async (t) => {
  const { root, main } = await history(t);
  const folder = join(root, 'fleet');
  const server = await serve(t, { root });
  const load = (path: string, onEvent?: (event: LoadEvent) => void) =>
    loadDesired({ kind: 'git', url: `${server.url}/fleet/.git`, path }, {}, onEvent);

  await symlink('/etc/hostname', join(folder, 'prod/host.yaml'));
  await symlink('prod', join(folder, 'alias'));
  await commitAll(folder, 'links');
  const [link] = await faultsOf(load('prod'));
  assert.equal(link?.code, 'source/unsafe-path');
  assert.match(link?.message ?? '', /^prod\/host\.yaml is a symbolic link/);
  const [through] = await faultsOf(load('alias/vms'));
  assert.equal(through?.code, 'source/unsafe-path');

  await rm(join(folder, 'prod/host.yaml'));
  await symlink('vms', join(folder, 'prod/more'));
  await commitAll(folder, 'a link to a folder');
  const events: LoadEvent[] = [];
  assert.equal(names(await load('prod', (event) => events.push(event))), 'a,b,c');
  assert.ok(
    events.some((event) => event.kind === 'warning' && event.message.startsWith('prod/more is a symbolic link')),
  );

  await git(folder, 'update-index', '--add', '--cacheinfo', `160000,${main},prod/shared`);
  await git(folder, 'commit', '--quiet', '--message', 'submodule');
  for (const path of ['prod', 'prod/shared', 'prod/shared/vms']) {
    const [submodule] = await faultsOf(load(path));
    assert.equal(submodule?.code, 'source/submodule', path);
  }

  await git(folder, 'rm', '--quiet', '--cached', 'prod/shared');
  // git makes no such tree by itself; a host can send one all the same.
  const tree = await git(folder, 'write-tree');
  const odd = join(root, 'odd-tree');
  await writeFile(odd, Buffer.concat([Buffer.from('40000 ..\0'), Buffer.from(tree, 'hex')]));
  const outside = await git(folder, 'hash-object', '-t', 'tree', '-w', '--literally', odd);
  await git(folder, 'branch', 'odd', await git(folder, 'commit-tree', outside, '-m', 'odd'));
  const [unsafe] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/fleet/.git`, ref: 'odd' }));
  assert.equal(unsafe?.code, 'source/unsafe-path');
  assert.equal(unsafe?.retryable, false);

  const blob = await git(folder, 'rev-parse', 'HEAD:prod/vms/a.yaml');
  await git(folder, 'update-index', '--add', '--cacheinfo', `100644,${blob},prod/vms/A.yaml`);
  await git(folder, 'commit', '--quiet', '--message', 'case');
  const [confusable] = await faultsOf(load('prod'));
  assert.match(confusable?.message ?? '', /A\.yaml and prod\/vms\/a\.yaml differ only in case/);
});

test('only http and https are spoken, and each refusal names the way out', async () => {
  const remedies = {
    'ssh://git@host/x.git': /https URL.*clone it with git over ssh/,
    'git@github.com:org/x.git': /https URL/,
    'git+ssh://host/x': /https URL/,
    'git://host/x.git': /https URL/,
    'file:///srv/x.git': /Pass the folder/,
    'ftp://host/x': /./,
    'https://': /./,
  };
  for (const [url, remedy] of Object.entries(remedies)) {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url }));
    assert.equal(fault?.code, 'source/unsupported-transport', url);
    assert.match(fault?.remedy ?? '', remedy);
  }
});

const secret = 'n0t-t0-be-seen';

function everythingOf(error: unknown): string {
  const seen: string[] = [];
  for (let each = error; each instanceof Error; each = each.cause) seen.push(String(each.stack), JSON.stringify(each));
  return seen.join('\n');
}

test('credentials are sent as basic or bearer, and a refusal ends it at once, without repeating them', async (t) => {
  const { root } = await history(t);
  const seen: (string | undefined)[] = [];
  const watch = (request: IncomingMessage): boolean => {
    seen.push(request.headers.authorization);
    return false;
  };
  const credentials = { username: 'x-access-token', password: secret };
  const server = await serve(t, { root, credentials, intercept: watch });
  const url = `${server.url}/fleet/.git`;
  const load = (more: Partial<GitSource>) => loadDesired({ kind: 'git', url, path: 'prod', ...more });
  assert.equal(names(await load({ auth: { kind: 'token', token: secret } })), 'a,b,c');
  assert.equal(names(await load({ auth: { kind: 'basic', username: 'x-access-token', password: secret } })), 'a,b,c');
  const withUser = url.replace('//', `//x-access-token:${secret}@`);
  const state = await load({ url: withUser });
  assert.equal(state.source.kind === 'git' ? state.source.url : '', url, 'user info is not kept');

  const refused: readonly Partial<GitSource>[] = [
    {},
    { auth: { kind: 'token', token: `${secret}-wrong` } },
    { auth: { kind: 'bearer', token: `${secret}-wrong` } },
    { url: url.replace('//', `//someone:${secret}-wrong@`) },
  ];
  for (const more of refused) {
    seen.length = 0;
    const error: unknown = await load(more).catch((cause: unknown) => cause);
    const [fault] = await faultsOf(Promise.reject(error));
    assert.equal(fault?.code, 'git/unauthorized');
    assert.equal(seen.length, 1, 'one request, no loop');
    assert.ok(!everythingOf(error).includes(secret));
    assert.ok(!everythingOf(error).includes(Buffer.from(secret).toString('base64').slice(0, 8)));
  }
});

test('bytes on the wire and in files are bounded', async (t) => {
  const root = await repository(t);
  const folder = await newRepository(root, 'big');
  const noise = Array.from({ length: 4000 }, (_, index) => `# ${Math.sin(index)}`).join('\n');
  await writeFiles(folder, { 'a.yaml': vmYaml('a'), 'b.yaml': noise, 'zeros.bin': new Uint8Array(3_000_000) });
  await commitAll(folder, 'one');
  const server = await serve(t, { root });
  const message = async (limits: object) => {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/big/.git` }, { limits }));
    assert.equal(fault?.code, 'source/too-large');
    return fault?.message ?? '';
  };
  assert.match(await message({ maxWireBytes: 20_000 }), /sent more than 20000 bytes/);
  assert.match(await message({ maxUnpackedBytes: 1_000_000 }), /unpacks to more than 1000000 bytes/);
  assert.match(await message({ maxObjects: 3 }), /more than 3 git objects/);
  assert.match(await message({ maxFileBytes: 1000 }), /b\.yaml is larger than 1000 bytes/);
});
