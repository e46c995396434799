/** Our verdict on a signature, held against that of git, gpg and ssh-keygen themselves. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadDesired } from '../reconcile/desired/load.ts';
import { verifySshSignature } from '../reconcile/desired/ssh-signature.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { repository } from './desired-state.ts';
import { serve } from './git-repositories.ts';
import { makeSignedHistory } from './signed-history.ts';
import { signedByToken } from './ssh-signatures.ts';

const missing = ['git', 'gpg', 'ssh-keygen'].filter((tool) => spawnSync(tool, ['--help']).error !== undefined);
const skip = missing.length > 0 && `${missing.join(', ')} not installed`;

/** Where we decide otherwise than git on purpose. */
const otherwise: Readonly<Record<string, string>> = {
  'openpgp-expired-since':
    'a commit stays good when the key of its signer expires later; git looks at the key of today',
};

test('of every commit and tag we think as git does', { skip }, async (t) => {
  const root = await repository(t);
  const folder = join(root, 'fleet');
  const { openpgpKeys, allowedSigners, objects } = await makeSignedHistory(folder);
  const home = join(root, 'verifier');
  await mkdir(home, { mode: 0o700 });
  const program = join(root, 'gpg');
  await writeFile(program, `#!/bin/sh\nexec gpg --homedir '${home}' --no-autostart "$@"\n`);
  await chmod(program, 0o755);
  execFileSync(program, ['--batch', '--import'], { input: openpgpKeys, stdio: ['pipe', 'ignore', 'ignore'] });
  const signersFile = join(root, 'signers');
  await writeFile(signersFile, allowedSigners);
  const config = ['-c', `gpg.program=${program}`, '-c', `gpg.ssh.allowedSignersFile=${signersFile}`];
  const server = await serve(t, { root });

  const verdicts: Record<string, { readonly git: boolean; readonly ours: boolean }> = {};
  for (const [name, { type, oid }] of Object.entries(objects)) {
    const git = spawnSync('git', [...config, '-C', folder, `verify-${type}`, oid]).status === 0;
    const demand = { mode: type === 'tag' ? 'tag' : 'head', allowedSigners, openpgpKeys, by: 'the options' } as const;
    const ref = type === 'tag' ? name : oid;
    const source = { kind: 'git', url: `${server.url}/fleet/.git`, ref } as const;
    const error: unknown = await loadDesired(source, { signatures: [demand] }).catch((cause: unknown) => cause);
    assert.ok(error instanceof PatchpanelError, name);
    // The commits are empty: where the signature is good, that is what is found next.
    verdicts[name] = { git, ours: error.code === 'source/empty' };
    assert.ok(error.code === 'source/empty' || error.code.startsWith('trust/'), `${name}: ${error.code}`);
  }
  const names = Object.keys(verdicts);
  assert.ok(names.length > 30);
  const differ = names.filter((name) => verdicts[name]?.git !== verdicts[name]?.ours);
  assert.deepEqual([...new Set(differ.map((name) => name.replace(/^tag-/, '')))], Object.keys(otherwise));
  assert.equal(names.filter((name) => verdicts[name]?.ours).length, 20);
});

test('of a signature by a security token we think as ssh-keygen does', { skip }, async (t) => {
  const root = await repository(t);
  const payload = Buffer.from('tree\n');
  for (const type of ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const) {
    const { armored, publicKey } = signedByToken(type, payload, 0x01);
    await writeFile(join(root, 'signers'), `alice ${publicKey}\n`);
    await writeFile(join(root, 'signature'), armored);
    const args = ['-Y', 'verify', '-f', 'signers', '-I', 'alice', '-n', 'git', '-s', 'signature'];
    const status = (input: Buffer) => spawnSync('ssh-keygen', args, { cwd: root, input }).status;
    assert.equal(status(payload), 0);
    assert.equal(verifySshSignature(payload, armored).type, type);
    assert.notEqual(status(Buffer.from('other')), 0);
    assert.throws(() => verifySshSignature(Buffer.from('other'), armored));
  }
});
