/**
 * A repository whose commits and tags are signed in every way, by real git, gpg and ssh-keygen with keys made for it.
 * `node test/signed-history.ts > reconcile/desired/fixtures/signatures.json` makes the fixture anew.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { git } from '../sandbox/git-server.ts';

const run = promisify(execFile);

export interface SignedHistory {
  /** Armored, in several blocks. */
  readonly openpgpKeys: string;
  readonly allowedSigners: string;
  readonly objects: Readonly<
    Record<string, { readonly type: 'commit' | 'tag'; readonly oid: string; readonly text: string }>
  >;
}

/** Who signs with SSH, and what stands in front of the key in the list; undefined: it is not listed. */
const sshSigners = {
  'ssh-ed25519': ['ed25519', [], 'alice@example.com'],
  'ssh-ecdsa-256': ['ecdsa', ['-b', '256'], 'alice@example.com'],
  'ssh-ecdsa-384': ['ecdsa', ['-b', '384'], 'alice@example.com namespaces="git,file"'],
  'ssh-ecdsa-521': ['ecdsa', ['-b', '521'], '"alice@example.com,bob@example.com"'],
  'ssh-rsa': ['rsa', ['-b', '2048'], 'bob@example.com'],
  'ssh-in-time': ['ed25519', [], 'bob@example.com valid-after="20251231Z",valid-before="20260102Z"'],
  'ssh-expired': ['ed25519', [], 'carol@example.com valid-before="20251231Z"'],
  'ssh-not-yet': ['ed25519', [], 'carol@example.com valid-after="20260601Z"'],
  'ssh-not-for-git': ['ed25519', [], 'carol@example.com namespaces="file"'],
  'ssh-unknown': ['ed25519', [], undefined],
} as const;

/** Who signs with OpenPGP: the kind of key, and what befalls it after it has signed. */
const openpgpSigners = {
  'openpgp-ed25519': ['ed25519', 'nothing'],
  'openpgp-rsa': ['rsa2048', 'nothing'],
  'openpgp-subkey': ['ed25519', 'nothing'],
  'openpgp-expired': ['ed25519', '20250601T000000'],
  'openpgp-expired-since': ['ed25519', '20260301T000000'],
  'openpgp-revoked': ['ed25519', 'revoked'],
  'openpgp-unknown': ['ed25519', 'unlisted'],
} as const;

/** The time of git's commits in tests, as gpg has it. */
const signedAt = '20260101T000000';

/** @param folder that is to become the repository; keys are made beside it */
export async function makeSignedHistory(folder: string): Promise<SignedHistory> {
  const keys = `${folder}-keys`;
  const home = join(keys, 'gnupg');
  await mkdir(home, { recursive: true, mode: 0o700 });
  await mkdir(folder, { recursive: true });
  await git(folder, 'init', '--quiet', '--initial-branch=main');
  const gpg = async (time: string, ...args: readonly string[]): Promise<string> => {
    const common = ['--homedir', home, '--batch', '--yes', '--pinentry-mode', 'loopback', '--passphrase', ''];
    const { stdout } = await run('gpg', [...common, '--faked-system-time', time, ...args]);
    return stdout;
  };
  const program = join(keys, 'gpg');
  await writeFile(program, `#!/bin/sh\nexec gpg --homedir '${home}' --faked-system-time ${signedAt} "$@"\n`);
  await chmod(program, 0o755);
  const objects: Record<string, SignedHistory['objects'][string]> = {};
  const keep = async (name: string, type: 'commit' | 'tag', ref: string): Promise<void> => {
    const oid = await git(folder, 'rev-parse', ref);
    const { stdout } = await run('git', ['cat-file', type, oid], { cwd: folder });
    objects[name] = { type, oid, text: stdout };
  };
  const sign = async (name: string, ...config: readonly string[]): Promise<void> => {
    const options = config.flatMap((each) => ['-c', each]);
    await git(folder, ...options, 'commit', '--quiet', '--allow-empty', '--gpg-sign', '--message', `${name}: grüße`);
    await keep(name, 'commit', 'HEAD');
    await git(folder, ...options, 'tag', '--sign', `tag-${name}`, '--message', 'a tag');
    await keep(`tag-${name}`, 'tag', `tag-${name}`);
  };
  try {
    await git(folder, 'commit', '--quiet', '--allow-empty', '--message', 'unsigned');
    await keep('unsigned', 'commit', 'HEAD');
    await git(folder, 'tag', '--annotate', 'tag-unsigned', '--message', 'a tag');
    await keep('tag-unsigned', 'tag', 'tag-unsigned');

    let allowedSigners = '# who may sign\n';
    for (const [name, [type, bits, listed]] of Object.entries(sshSigners)) {
      const file = join(keys, name);
      await run('ssh-keygen', ['-q', '-t', type, ...bits, '-N', '', '-C', name, '-f', file]);
      if (listed !== undefined) allowedSigners += `${listed} ${await readFile(`${file}.pub`, 'utf8')}`;
      await sign(name, 'gpg.format=ssh', `user.signingkey=${file}`);
    }

    const blocks: string[] = [];
    for (const [name, [type, fate]] of Object.entries(openpgpSigners)) {
      const user = `${name} <${name}@example.com>`;
      await gpg('20250101T000000', '--quick-generate-key', user, type, 'sign', 'never');
      const [, id = ''] = /^fpr:+([0-9A-F]+):/m.exec(await gpg(signedAt, '--with-colons', '--list-keys', user)) ?? [];
      if (name === 'openpgp-subkey') await gpg('20250101T000000', '--quick-add-key', id, 'ed25519', 'sign', 'never');
      await sign(name, `gpg.program=${program}`, `user.signingkey=${id}`);
      if (fate === 'revoked') {
        const file = join(home, 'openpgp-revocs.d', `${id}.rev`);
        await writeFile(file, (await readFile(file, 'utf8')).replace(':-----BEGIN', '-----BEGIN'));
        await gpg(signedAt, '--import', file);
      } else if (/^\d/.test(fate)) {
        // Said before it signs: of two statements the later one counts.
        await gpg('20251231T000000', '--quick-set-expire', id, fate);
      }
      if (fate !== 'unlisted') blocks.push(await gpg(signedAt, '--armor', '--export', id));
    }

    // A merge of a signed tag carries that tag, with its signature, in a header of the commit.
    await git(folder, 'checkout', '--quiet', '-b', 'side', 'tag-unsigned');
    await git(
      folder,
      '-c',
      'gpg.format=ssh',
      '-c',
      `user.signingkey=${join(keys, 'ssh-ed25519')}`,
      'commit',
      '--quiet',
      '--allow-empty',
      '--gpg-sign',
      '--message',
      'side',
    );
    await git(
      folder,
      '-c',
      'gpg.format=ssh',
      '-c',
      `user.signingkey=${join(keys, 'ssh-ed25519')}`,
      'tag',
      '--sign',
      'side-tag',
      '--message',
      'side',
    );
    await git(folder, 'checkout', '--quiet', 'main');
    await git(folder, 'merge', '--quiet', '--no-ff', '--message', 'merge', 'side-tag');
    await keep('merge-of-signed-tag', 'commit', 'HEAD');
    return { openpgpKeys: blocks.join('\n'), allowedSigners, objects };
  } finally {
    await run('gpgconf', ['--homedir', home, '--kill', 'gpg-agent']).catch(() => {});
  }
}

if (import.meta.main) {
  const root = await mkdtemp(join(tmpdir(), 'signed-'));
  try {
    process.stdout.write(`${JSON.stringify(await makeSignedHistory(join(root, 'fleet')), undefined, 2)}\n`);
  } finally {
    for (const each of await readdir(root)) await rm(join(root, each), { recursive: true, force: true });
    await rm(root, { recursive: true });
  }
}
