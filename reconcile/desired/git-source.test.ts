import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { type GitServer, type GitServerOptions, git, startGitServer } from '../../sandbox/git-server.ts';
import { faultsOf, repository, vmYaml, writeFiles } from '../../test/desired-state.ts';
import type { GitSource } from './git-source.ts';
import { type LoadEvent, loadDesired } from './load.ts';

/** Commits of the repository `fleet`, oldest first; the last is on no branch. */
interface History {
  readonly root: string;
  readonly first: string;
  readonly second: string;
  readonly main: string;
  readonly gone: string;
}

async function commitAll(folder: string, message: string): Promise<string> {
  await git(folder, 'add', '--all');
  await git(folder, 'commit', '--quiet', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
}

async function newRepository(root: string, name: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  await git(folder, 'init', '--quiet', '--initial-branch=main');
  return folder;
}

async function history(t: TestContext): Promise<History> {
  const root = await repository(t);
  const folder = await newRepository(root, 'fleet');
  await writeFiles(folder, { 'prod/vms/a.yaml': vmYaml('a'), 'prod/.hidden/x.yaml': 'a: [', 'other.yaml': 'kind: X' });
  const first = await commitAll(folder, 'one');
  await git(folder, 'tag', '--annotate', 'v1', '--message', 'first');
  await git(folder, 'tag', 'light');
  await writeFiles(folder, { 'prod/vms/b.yaml': vmYaml('b') });
  const second = await commitAll(folder, 'two');
  await writeFiles(folder, { 'prod/vms/c.yaml': vmYaml('c') });
  const main = await commitAll(folder, 'three');
  await writeFiles(folder, { 'prod/vms/d.yaml': vmYaml('d') });
  const gone = await commitAll(folder, 'four');
  await git(folder, 'reset', '--quiet', '--hard', main);
  await git(folder, 'branch', 'release/1.0', second);
  return { root, first, second, main, gone };
}

async function serve(t: TestContext, options: GitServerOptions): Promise<GitServer> {
  const server = await startGitServer(options);
  t.after(() => server.close());
  return server;
}

function names(state: Awaited<ReturnType<typeof loadDesired>>): string {
  return state.targets.map(({ target }) => target.name).join();
}

before(() => {
  execFileSync('git', ['--version']);
});

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
    assert.deepEqual(state.source, { kind: 'git', url: source.url, ref: ref ?? 'HEAD', commit, path: 'prod' });
    assert.equal(state.targets[0]?.position.file, 'prod/vms/a.yaml');
  }
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

test('a redirect is followed on the same host alone, and carries no credentials to another', async (t) => {
  const { root } = await history(t);
  const others: (string | undefined)[] = [];
  const other = createServer((request, response) => {
    others.push(request.headers.authorization);
    response.end();
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  let circles = 0;
  const server = await serve(t, {
    root,
    intercept: (request, response) => {
      const url = request.url ?? '';
      if (url.startsWith('/away')) response.writeHead(302, { location: `http://127.0.0.1:${port}${url}` });
      else if (url.startsWith('/moved/')) response.writeHead(301, { location: url.replace('/moved/', '/fleet/.git/') });
      else if (url.startsWith('/circle')) {
        circles += 1;
        response.writeHead(302, { location: url });
      } else return false;
      response.end();
      return true;
    },
  });
  const auth = { kind: 'token', token: secret } as const;
  const [away] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/away`, auth }));
  assert.equal(away?.code, 'git/redirect');
  assert.match(away?.message ?? '', new RegExp(`to http://127\\.0\\.0\\.1:${port},`));
  assert.deepEqual(others, []);
  assert.equal(names(await loadDesired({ kind: 'git', url: `${server.url}/moved`, path: 'prod', auth })), 'a,b,c');
  const [circle] = await faultsOf(loadDesired({ kind: 'git', url: `${server.url}/circle`, auth }));
  assert.equal(circle?.code, 'git/protocol');
  assert.equal(circles, 6);
});

test('answers that are not git, or none at all, have names', async (t) => {
  const { root } = await history(t);
  const silent = new Set<string>();
  const server = await serve(t, {
    root,
    intercept: (request, response) => {
      const kind = request.url?.split('/')[1];
      if (kind === 'fleet') return false;
      if (kind === 'page') response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello</html>');
      else if (kind === 'busy') response.writeHead(503).end();
      else if (kind === 'cut')
        response.writeHead(200, { 'content-length': '1000' }).write('001e#', () => response.destroy());
      else if (kind === 'silent') silent.add(request.url ?? '');
      else response.writeHead(404).end();
      return true;
    },
  });
  const code = async (url: string, more: Partial<GitSource> = {}) => {
    const [fault] = await faultsOf(loadDesired({ kind: 'git', url, ...more }));
    return `${fault?.code} ${fault?.retryable}`;
  };
  assert.equal(await code(`${server.url}/page`), 'git/protocol true');
  assert.equal(await code(`${server.url}/busy`), 'git/unreachable true');
  assert.equal(await code(`${server.url}/cut`), 'git/unreachable true');
  assert.equal(await code(`${server.url}/none`), 'git/not-found false');
  assert.equal(await code(`${server.url}/silent`, { timeoutMs: 200 }), 'git/timeout true');
  assert.equal(silent.size, 1);
  assert.equal(await code('http://no-such-host.invalid/x'), 'git/unreachable true');
  const { port } = new URL(server.url);
  await server.close();
  assert.equal(await code(`http://127.0.0.1:${port}/fleet/.git`), 'git/unreachable true');
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

test('https needs a trusted certificate, and --ca-file gives trust', async (t) => {
  const { root } = await history(t);
  const folder = await repository(t);
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const ca = readFileSync(cert, 'utf8');
  const server = await serve(t, { root, tls: { key: readFileSync(key, 'utf8'), cert: ca } });
  const url = `${server.url}/fleet/.git`;
  const [fault] = await faultsOf(loadDesired({ kind: 'git', url, path: 'prod' }));
  assert.equal(fault?.code, 'git/unreachable');
  assert.match(fault?.message ?? '', /certificate of 127\.0\.0\.1:\d+ is not trusted/);
  assert.match(fault?.remedy ?? '', /--ca-file/);
  assert.equal(names(await loadDesired({ kind: 'git', url, path: 'prod', ca })), 'a,b,c');

  // Through a proxy, by CONNECT, to the same server.
  const tunnels: string[] = [];
  const proxy = createServer().on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const https_proxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  assert.equal(names(await loadDesired({ kind: 'git', url, path: 'prod', ca, proxy: { https_proxy } })), 'a,b,c');
  assert.deepEqual([...new Set(tunnels)], [new URL(server.url).host]);
  tunnels.length = 0;
  const without = { HTTPS_PROXY: https_proxy, NO_PROXY: '127.0.0.1' };
  assert.equal(names(await loadDesired({ kind: 'git', url, path: 'prod', ca, proxy: without })), 'a,b,c');
  assert.deepEqual(tunnels, []);
});

test('http goes through HTTP_PROXY', async (t) => {
  const { root } = await history(t);
  const server = await serve(t, { root });
  // A forward proxy gets the whole URL in the request line; git http-backend needs the path alone.
  const asked: string[] = [];
  const proxy = await serve(t, {
    root,
    intercept: (request) => {
      asked.push(request.url ?? '');
      return false;
    },
  });
  const url = 'http://git.invalid/fleet/.git';
  assert.equal(names(await loadDesired({ kind: 'git', url, path: 'prod', proxy: { http_proxy: proxy.url } })), 'a,b,c');
  assert.ok(asked.length >= 2 && asked.every((each) => each.startsWith('http://git.invalid/')), asked.join());
  const direct = {
    kind: 'git',
    url: `${server.url}/fleet/.git`,
    path: 'prod',
    proxy: { HTTPS_PROXY: proxy.url },
  } as const;
  assert.equal(names(await loadDesired(direct)), 'a,b,c');
});
