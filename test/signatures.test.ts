/** Our verdict on a signature, held against that of git, gpg and ssh-keygen themselves. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadDesired } from '../reconcile/desired/load.ts';
import { type SignatureMode, verifySignatures } from '../reconcile/desired/signatures.ts';
import { verifySshSignature } from '../reconcile/desired/ssh-signature.ts';
import { PatchpanelError } from '../reconcile/errors.ts';
import { faultsOf, repository } from './desired-state.ts';
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

  const ours = async (name: string): Promise<boolean> => {
    const { type, oid, text } = objects[name] ?? assert.fail(name);
    const object = { oid, content: Buffer.from(text) };
    const [, tagged = ''] = /^object (\S+)/.exec(text) ?? [];
    const fetched =
      type === 'commit'
        ? { commit: object, ref: 'refs/heads/main' }
        : { commit: { oid: tagged, content: Buffer.alloc(0) }, ref: `refs/tags/${name}`, tag: object };
    const demand = { mode: type === 'tag' ? 'tag' : 'head', allowedSigners, openpgpKeys, by: 'the options' } as const;
    return await verifySignatures(fetched, [demand], new Date()).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof PatchpanelError && error.code.startsWith('trust/'), name);
        return false;
      },
    );
  };
  const verdicts: Record<string, { readonly git: boolean; readonly ours: boolean }> = {};
  for (const [name, { type, oid }] of Object.entries(objects)) {
    const git = spawnSync('git', [...config, '-C', folder, `verify-${type}`, oid]).status === 0;
    verdicts[name] = { git, ours: await ours(name) };
  }
  const names = Object.keys(verdicts);
  assert.ok(names.length > 30);
  const differ = names.filter((name) => verdicts[name]?.git !== verdicts[name]?.ours);
  assert.deepEqual([...new Set(differ.map((name) => name.replace(/^tag-/, '')))], Object.keys(otherwise));
  assert.equal(names.filter((name) => verdicts[name]?.ours).length, 20);

  // The same over HTTP. The commits are empty: where the signature is good, that is what is found next.
  const server = await serve(t, { root });
  const fetched = async (ref: string, mode: SignatureMode) => {
    const source = { kind: 'git', url: `${server.url}/fleet/.git`, ref } as const;
    const demand = { mode, allowedSigners, openpgpKeys, by: 'the options' };
    const [fault] = await faultsOf(loadDesired(source, { signatures: [demand] }));
    return fault?.code;
  };
  assert.equal(await fetched('tag-ssh-rsa', 'head-and-tag'), 'source/empty');
  assert.equal(await fetched(objects['openpgp-rsa']?.oid ?? '', 'head'), 'source/empty');
  assert.equal(await fetched(objects['openpgp-rsa']?.oid ?? '', 'tag'), 'trust/unsigned');
  assert.equal(await fetched('main', 'head'), 'trust/unsigned');
  assert.equal(await fetched('tag-unsigned', 'tag'), 'trust/unsigned');
  const [folderFault] = await faultsOf(
    loadDesired(
      { kind: 'folder', path: folder },
      { signatures: [{ mode: 'head', allowedSigners, by: 'the options' }] },
    ),
  );
  assert.equal(folderFault?.code, 'trust/unverifiable');
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
