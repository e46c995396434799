import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { faultsOf, repository } from '../../test/desired-state.ts';
import { history, names, serve } from '../../test/git-repositories.ts';
import type { GitSource } from './git-source.ts';
import { loadDesired } from './load.ts';

const secret = 'n0t-t0-be-seen';

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

test('a proxy that is silent, refuses or is malformed has a name, and no socket to it is left', async (t) => {
  const open: Promise<unknown>[] = [];
  let answer: string | undefined;
  const proxy = createServer().on('connect', (_, socket) => {
    open.push(new Promise((resolve) => socket.once('end', resolve).once('error', resolve)));
    socket.once('end', () => socket.destroy());
    socket.resume();
    if (answer !== undefined) socket.write(answer);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const { port } = proxy.address() as AddressInfo;
  const said = async (HTTPS_PROXY: string, more: Partial<GitSource> = {}) => {
    const url = 'https://git.invalid/fleet';
    const load = loadDesired({ kind: 'git', url, connectTimeoutMs: 200, proxy: { HTTPS_PROXY }, ...more });
    const [fault] = await faultsOf(load);
    const text = `${fault?.code} ${fault?.message} ${fault?.remedy} ${fault?.stack}`;
    assert.ok(!text.includes(secret), text);
    return text;
  };
  const good = `http://user:${secret}@127.0.0.1:${port}`;
  assert.match(await said(good), /^git\/timeout no connection to git\.invalid/);
  assert.match(await said(good, { connectTimeoutMs: 10_000, timeoutMs: 200 }), /^git\/timeout .* did not finish/);
  answer = 'HTTP/1.1 200 OK\r\n\r\n';
  assert.match(await said(good), /^git\/timeout no connection/);
  assert.match(await said(good, { connectTimeoutMs: 10_000, timeoutMs: 200 }), /^git\/timeout .* did not finish/);
  answer = 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n';
  assert.match(await said(good), /^git\/unreachable the proxy wants credentials \(407\)/);
  answer = 'HTTP/1.1 403 Forbidden\r\n\r\n';
  assert.match(await said(`user:${secret}@127.0.0.1:${port}`), /the proxy answered 403 for git\.invalid/);
  for (const url of [`http://user:${secret}@bad host:1`, `socks5://user:${secret}@127.0.0.1:${port}`]) {
    assert.match(await said(url), /^git\/unreachable HTTPS_PROXY is not the URL/);
  }
  // A socket that stays keeps the process from ending.
  assert.equal(open.length, 6);
  await Promise.all(open);
});

test('TLS to a port that does not speak it is told as that', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const [fault] = await faultsOf(loadDesired({ kind: 'git', url: `https://127.0.0.1:${port}/fleet` }));
  assert.equal(fault?.code, 'git/unreachable');
  assert.match(fault?.remedy ?? '', /http:\/\//);
});
