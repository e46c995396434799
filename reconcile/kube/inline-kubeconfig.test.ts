import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { readInlineKubeconfig } from './inline-kubeconfig.ts';

const folder = mkdtempSync(join(tmpdir(), 'patchpanel-inline-'));
after(() => rmSync(folder, { recursive: true }));

function write(cluster: string, user: string, more = ''): string {
  const file = join(folder, 'kubeconfig');
  writeFileSync(
    file,
    `apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: other, user: {exec: {command: x}}}, {name: u, user: ${user}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: demo}}, {name: two, context: {cluster: c, user: other}}]
${more}`,
  );
  return file;
}

const [ca, certificate, key] = ['an authority', 'a certificate', 'a key'].map((text) => btoa(text));
const plain = '{server: "https://example.test:6443/"}';

for (const [name, cluster, user] of [
  ['a token', plain, '{token: " t1 "}'],
  ['an authority', `{server: "https://example.test", certificate-authority-data: ${ca}}`, '{token: t1}'],
  ['a client certificate', plain, `{client-certificate-data: ${certificate}, client-key-data: ${key}}`],
  ['no verification', '{server: "https://example.test", insecure-skip-tls-verify: true}', '{token: t1}'],
  ['another server name', '{server: "https://example.test", tls-server-name: api, extensions: []}', '{token: t1}'],
] as const) {
  test(`${name}: as client-node reads it`, async () => {
    const file = write(cluster, user);
    const inline = await readInlineKubeconfig(file, undefined);
    const config = new KubeConfig();
    config.loadFromFile(file);
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const { agent: _agent, headers, ...tls } = options;
    const authorization = Object.entries(headers ?? {}).map(([header, value]) => [header, fold(String(value))]);
    assert.deepEqual(inline, {
      server: config.getCurrentCluster()?.server,
      tls,
      headers: Object.fromEntries(authorization),
    });
  });
}

/** Blanks around a token are none of its own. */
function fold(value: string): string {
  return value.trim().replaceAll(/ +/g, ' ');
}

for (const [name, cluster, user, context] of [
  ['a credential plugin', plain, '{token: t}', 'two'],
  ['a proxy', '{server: "https://x", proxy-url: "http://y"}', '{token: t}'],
  ['an authority in a file', '{server: "https://x", certificate-authority: ca.crt}', '{token: t}'],
  ['a token in a file', plain, '{tokenFile: t}'],
  ['a password', plain, '{username: u, password: p}'],
  ['somebody else', plain, '{token: t, as: root}'],
  ['no user', plain, '{}'],
  ['a token that is no text', plain, '{token: 12}'],
  ['no server', '{certificate-authority-data: x}', '{token: t}'],
  ['no such context', plain, '{token: t}', 'three'],
] as const) {
  test(`${name}: left to client-node`, async () => {
    assert.equal(await readInlineKubeconfig(write(cluster, user), context), undefined);
  });
}

test('what is no YAML, or not there, is left to client-node too', async () => {
  assert.equal(await readInlineKubeconfig(write(plain, '{token: t}', '{'), undefined), undefined);
  assert.equal(await readInlineKubeconfig(join(folder, 'missing'), undefined), undefined);
});
