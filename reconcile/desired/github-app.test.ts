import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import { history, names, serve } from '../../test/git-repositories.ts';
import { appIds, type GithubStandIn, startGithub, tokenFor } from '../../test/github-stand-in.ts';
import { PatchpanelError } from '../errors.ts';
import { type AppConnection, GithubApp, type GithubAppOptions, githubApi } from './github-app.ts';
import { loadDesired } from './load.ts';

const repository = 'http://127.0.0.1:1/net/vms.git';
const contents = { contents: 'read' } as const;

function appOf(github: GithubStandIn, more: Partial<GithubAppOptions> = {}): GithubApp {
  return new GithubApp({
    appId: appIds.app,
    installationId: appIds.installation,
    key: github.key,
    api: github.url,
    ...more,
  });
}

function connection(t: TestContext): AppConnection {
  return { connectTimeoutMs: 5000, signal: t.signal };
}

/** The refusal; nothing of it may hold the key or a token. */
async function refusal(t: TestContext, app: GithubApp, url = repository): Promise<PatchpanelError> {
  const error: unknown = await app.token(url, contents, connection(t)).catch((cause: unknown) => cause);
  assert.ok(error instanceof PatchpanelError, String(error));
  const seen = `${error.stack}${JSON.stringify(error)}${String(error.cause)}`;
  assert.doesNotMatch(seen, /PRIVATE KEY|eyJ|ghs_/);
  return error;
}

test('a token is for one repository, with the rights that are needed, and is kept while it is good', async (t) => {
  const github = await startGithub(t);
  const app = appOf(github);
  const token = () => app.token(repository, contents, connection(t));
  assert.deepEqual([await token(), await token()], [tokenFor('contents', 1), tokenFor('contents', 1)]);
  assert.equal(await app.token(repository, { statuses: 'write' }, connection(t)), tokenFor('statuses', 2));
  assert.deepEqual(github.asked, ['contents:read vms', 'statuses:write vms']);
  const brief = await startGithub(t, 4 * 60_000);
  const hasty = appOf(brief);
  await hasty.token(repository, contents, connection(t));
  assert.equal(await hasty.token(repository, contents, connection(t)), tokenFor('contents', 2), 'made anew in time');
});

test('a repository is fetched with the token of an app', async (t) => {
  const { root } = await history(t);
  const github = await startGithub(t);
  const credentials = { username: 'x-access-token', password: tokenFor('contents', 1) };
  const server = await serve(t, { root, credentials });
  const source = { kind: 'git', url: `${server.url}/fleet/.git`, path: 'prod', auth: appOf(github) } as const;
  assert.equal(names(await loadDesired(source)), 'a,b,c');
  assert.equal(names(await loadDesired(source)), 'a,b,c');
  assert.equal(github.asked.length, 1);
});

test('what GitHub refuses is told with the way out', async (t) => {
  const github = await startGithub(t);
  const answer = (status: number, message: string, date?: Date) => {
    github.intercept = (_, response: ServerResponse) => {
      if (date !== undefined) response.setHeader('date', date.toUTCString());
      response.writeHead(status).end(JSON.stringify({ message }));
      return true;
    };
  };
  const cases: readonly (readonly [number, string, RegExp, Date?])[] = [
    [401, 'A JSON web token could not be decoded', /Check that the key is one of this app/],
    [
      401,
      "'Expiration time' claim ('exp') is too far",
      /clock of this machine is \d+ s ahead of/,
      new Date(Date.now() - 9e5),
    ],
    [401, "'Issued at' claim", /clock of this machine is \d+ s behind that/, new Date(Date.now() + 9e5)],
    [403, 'This installation has been suspended', /lift the suspension of the installation 678/],
    [404, 'Not Found', /Check the installation id, 678/],
    [422, 'There is at least one repository that does not exist', /Install the app on this repository/],
  ];
  for (const [status, message, remedy, date] of cases) {
    answer(status, message, date);
    const error = await refusal(t, appOf(github));
    assert.deepEqual([error.code, error.retryable], ['git/app', false]);
    assert.ok(error.message.includes(`HTTP ${status}: ${message}`), error.message);
    assert.match(error.remedy, remedy);
  }
  answer(502, 'x');
  const error = await refusal(t, appOf(github));
  assert.deepEqual([error.code, error.retryable], ['git/unreachable', true]);
});

test('the key of another app, and another installation, are refused', async (t) => {
  const github = await startGithub(t);
  const other = String(
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  );
  assert.match((await refusal(t, appOf(github, { key: other }))).message, /HTTP 401: A JSON web token could not/);
  assert.match((await refusal(t, appOf(github, { appId: '1' }))).message, /HTTP 401: Integration not found/);
  assert.match((await refusal(t, appOf(github, { installationId: '1' }))).message, /HTTP 404/);
  assert.throws(() => appOf(github, { appId: '../x' }), /is none/);
  assert.throws(() => appOf(github, { installationId: '1/..' }), /is none/);
  const ec = String(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  );
  for (const key of ['', 'text', ec]) assert.throws(() => appOf(github, { key }), /no private RSA key in PEM form/);
});

test('a token goes to no other host, and over no wire in the clear', async (t) => {
  const github = await startGithub(t);
  github.intercept = (_, response) => {
    response.writeHead(307, { location: 'https://elsewhere.example.com/' }).end();
    return true;
  };
  assert.equal((await refusal(t, appOf(github))).code, 'git/redirect');
  let asked = 0;
  github.intercept = () => {
    asked += 1;
    return false;
  };
  for (const [api, url] of [
    [github.url, 'http://git.example.com/net/vms'],
    ['http://git.example.com/api/v3', repository],
    ['http://127.0.0.1.example.com', repository],
  ] as const) {
    assert.match((await refusal(t, appOf(github, { api }), url)).message, /not sent without encryption/);
  }
  assert.equal(asked, 0);
});

test('the API is that of the host of the repository', () => {
  const of = (url: string, given?: string) => githubApi(url, given);
  assert.equal(of('https://github.com/net/vms.git'), 'https://api.github.com');
  assert.equal(of('https://acme.ghe.com/net/vms'), 'https://api.acme.ghe.com');
  assert.equal(of('https://git.example.com:8443/net/vms'), 'https://git.example.com:8443/api/v3');
  assert.equal(of('https://github.com.example.com/net/vms'), 'https://github.com.example.com/api/v3');
  assert.equal(of('https://github.com/net/vms', 'https://proxy.example.com/gh/'), 'https://proxy.example.com/gh');
});
