import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { armoredSshSignature, signedByToken, sshStrings, toSign } from '../../test/ssh-signatures.ts';
import { PatchpanelError } from '../errors.ts';
import { parseAllowedSigners } from './allowed-signers.ts';
import { type SignatureDemand, type SignatureMode, verifySignatures } from './signatures.ts';
import { MalformedObject, readSignedCommit } from './signed-object.ts';
import { verifySshSignature } from './ssh-signature.ts';

/** Made by test/signed-history.ts: what git, gpg and ssh-keygen signed. */
interface Fixture {
  readonly openpgpKeys: string;
  readonly allowedSigners: string;
  readonly objects: Readonly<Record<string, { readonly type: string; readonly oid: string; readonly text: string }>>;
}
const fixture: Fixture = JSON.parse(readFileSync(new URL('fixtures/signatures.json', import.meta.url), 'utf8'));
const { openpgpKeys, allowedSigners } = fixture;
const now = new Date('2026-11-24T00:00:00Z');

function textOf(name: string): string {
  return fixture.objects[name]?.text ?? assert.fail(`no object ${name}`);
}

/** Who signed, or the code of the refusal. */
async function verdict(text: string, kind: 'commit' | 'tag', demand: Partial<SignatureDemand> = {}): Promise<string> {
  const both = { allowedSigners, openpgpKeys, by: 'the options', mode: kind === 'tag' ? 'tag' : 'head' } as const;
  const content = Buffer.from(text);
  const oid = createHash('sha1').update(`${kind} ${content.length}\0`).update(content).digest('hex');
  const [, tagged = ''] = /^object (\S*)/.exec(text) ?? [];
  const [, name = ''] = /^tag (\S*)/m.exec(text) ?? [];
  const fetched =
    kind === 'commit'
      ? { commit: { oid, content }, ref: 'refs/heads/main' }
      : { commit: { oid: tagged, content: Buffer.alloc(0) }, ref: `refs/tags/${name}`, tag: { oid, content } };
  return await verdictOf(fetched, { ...both, ...demand });
}

async function verdictOf(
  fetched: Parameters<typeof verifySignatures>[0],
  ...demands: SignatureDemand[]
): Promise<string> {
  try {
    return (await verifySignatures(fetched, demands, now)).map(({ signer }) => signer.split(' ')[0]).join();
  } catch (error) {
    if (error instanceof PatchpanelError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

const expected: Readonly<Record<string, RegExp>> = {
  unsigned: /^trust\/unsigned: the (commit|tag) .* is not signed, which is demanded by the options$/,
  'ssh-ed25519': /^alice@example\.com$/,
  'ssh-ecdsa-256': /^alice@example\.com$/,
  'ssh-ecdsa-384': /^alice@example\.com$/,
  'ssh-ecdsa-521': /^alice@example\.com,bob@example\.com$/,
  'ssh-rsa': /^bob@example\.com$/,
  'ssh-in-time': /^bob@example\.com$/,
  'ssh-expired': /^trust\/unknown-signer: .*carol@example\.com.* not valid on 2026-01-01T00:00:00/,
  'ssh-not-yet': /^trust\/unknown-signer: .*carol@example\.com.* not valid on 2026-01-01T00:00:00/,
  'ssh-not-for-git': /^trust\/unknown-signer: .* may not sign for git/,
  'ssh-unknown': /^trust\/unknown-signer: .*an SSH key, SHA256:\S+: that key is not among the allowed signers$/,
  'openpgp-ed25519': /^openpgp-ed25519$/,
  'openpgp-rsa': /^openpgp-rsa$/,
  'openpgp-subkey': /^openpgp-subkey$/,
  'openpgp-expired': /^trust\/unknown-signer: .*expired/,
  'openpgp-expired-since': /^openpgp-expired-since$/,
  'openpgp-revoked': /^trust\/unknown-signer: .*revoked/,
  'openpgp-unknown': /^trust\/unknown-signer: .*OpenPGP key [0-9A-F]{16}: that key is not among the OpenPGP keys$/,
};
for (const [name, outcome] of Object.entries(expected)) {
  test(`what git signed, ${name}`, async () => {
    assert.match(await verdict(textOf(name), 'commit'), outcome);
    assert.match(await verdict(textOf(`tag-${name}`), 'tag'), outcome);
  });
}

test('the signature of a merged tag is not that of the merge', async () => {
  assert.match(await verdict(textOf('merge-of-signed-tag'), 'commit'), /^trust\/unsigned/);
});

/** Each is refused, whatever is signed below. */
const tampered: readonly (readonly [string, (text: string) => string, RegExp])[] = [
  ['another message', (text) => text.replace('grüße', 'gruesse'), /over other content|not right/],
  ['another tree', (text) => text.replace(/^tree ..../, 'tree 0000'), /over other content|not right/],
  ['another author', (text) => text.replace(/^author patch/m, 'author Patch'), /over other content|not right/],
  ['one more line end', (text) => `${text}\n`, /over other content|not right/],
  [
    'another time',
    (text) => text.replace(/^(committer .*) 1767225600/m, '$1 1767225601'),
    /over other content|not right/,
  ],
  ['another header', (text) => text.replace(/^gpgsig/m, 'extra header\ngpgsig'), /over other content|not right/],
  ['a second tree', (text) => text.replace(/^gpgsig/m, `tree ${'0'.repeat(40)}\ngpgsig`), /does not begin with tree/],
  [
    'a parent further down',
    (text) => text.replace(/^gpgsig/m, `parent ${'0'.repeat(40)}\ngpgsig`),
    /does not begin with/,
  ],
  [
    'headers in another order',
    (text) => text.replace(/^(author .*\n)(committer .*\n)/m, '$2$1'),
    /does not begin with/,
  ],
  ['a second signature', (text) => text.replace(/^(gpgsig (?:.*\n)(?: .*\n)*)/m, '$1$1'), /more than one signature/],
  ['a signature for SHA-256', (text) => text.replace(/^gpgsig/m, 'gpgsig-sha256'), /in a header gpgsig-sha256/],
  [
    'one for SHA-256 beside it',
    (text) => text.replace(/^gpgsig/m, 'gpgsig-sha256 x\ngpgsig'),
    /more than one signature/,
  ],
  ['a NUL byte', (text) => text.replace(/^gpgsig/m, 'extra \0\ngpgsig'), /NUL byte/],
  ['X.509', (text) => text.replaceAll(/(BEGIN|END) (SSH|PGP) SIGNATURE/g, '$1 SIGNED MESSAGE'), /X\.509 \(gpgsm\)/],
  [
    'a message in place of a signature',
    (text) => text.replaceAll(/(SSH|PGP) SIGNATURE/g, 'PGP MESSAGE'),
    /neither of SSH/,
  ],
  ['something after the signature', (text) => text.replace(/^( -----END .*)$/m, '$1\n more'), /form|armored/],
  ['a signature cut short', (text) => text.replace(/(?:^ .*\n){2}(?= -----END)/m, ''), /./],
  ['no signature left', (text) => text.replace(/^gpgsig (?:.*\n)(?: .*\n)*/m, ''), /is not signed/],
];
for (const [name, change, reason] of tampered) {
  test(`refused: ${name}`, async () => {
    for (const signed of ['ssh-ed25519', 'openpgp-rsa']) {
      const text = change(textOf(signed));
      assert.notEqual(text, textOf(signed));
      const found = await verdict(text, 'commit');
      assert.match(found, /^trust\/(bad-signature|unsigned): the (commit|signature of the commit) [0-9a-f]{40}/);
      assert.match(found, reason);
    }
  });
}

test('a tag is refused where anything of it was changed', async () => {
  for (const signed of ['tag-ssh-ed25519', 'tag-openpgp-rsa']) {
    const text = textOf(signed);
    const changes: readonly (readonly [string, RegExp])[] = [
      [text.replace(/^object ..../, 'object 0000'), /over other content|not right/],
      [text.replace(/^tag tag-/m, 'tag gat-'), /over other content|not right/],
      [text.replace('a tag', 'another'), /over other content|not right/],
      [text.replace(/^type commit/m, 'type tree'), /it is of the tree/],
      [text.replace(/^tagger .*\n/m, ''), /does not begin with object, type, tag and tagger/],
      [text.replace(/^tagger/m, 'gpgsig-sha256 x\ntagger'), /does not begin with/],
      [text.replace(/^(-----BEGIN [\s\S]*)$/m, '$1$1'), /more than one signature/],
      [`${text}more\n`, /form|armored/],
    ];
    for (const [changed, reason] of changes) {
      const found = await verdict(changed, 'tag');
      assert.match(found, /^trust\/bad-signature/);
      assert.match(found, reason);
    }
  }
});

test('a tag vouches for its own name and for its own commit', async () => {
  const { text, oid } = fixture.objects['tag-ssh-ed25519'] ?? assert.fail();
  const commit = fixture.objects['ssh-ed25519'] ?? assert.fail();
  const demand = { mode: 'tag', allowedSigners, by: 'the options' } as const;
  const fetched = {
    commit: { oid: commit.oid, content: Buffer.from(commit.text) },
    ref: 'refs/tags/tag-ssh-ed25519',
    tag: { oid, content: Buffer.from(text) },
  };
  assert.equal(await verdictOf(fetched, demand), 'alice@example.com');
  assert.match(
    await verdictOf({ ...fetched, ref: 'refs/tags/v2' }, demand),
    /calls itself "tag-ssh-ed25519", not "v2"/,
  );
  const other = { ...fetched.commit, oid: '0'.repeat(40) };
  assert.match(await verdictOf({ ...fetched, commit: other }, demand), /not of the commit 0{40} itself/);
  const { tag: _, ...light } = fetched;
  assert.match(await verdictOf(light, demand), /^trust\/unsigned: .* is a lightweight tag/);
  assert.match(await verdictOf({ ...light, ref: 'refs/heads/main' }, demand), /^trust\/unsigned: .*main is no tag$/);
  assert.match(await verdictOf({ ...light, ref: undefined }, demand), /^trust\/unsigned: .*a commit given by its id/);
});

test('every demand must be met, and both the tag and the commit where both are demanded', async () => {
  const commit = fixture.objects['ssh-ed25519'] ?? assert.fail();
  const tag = fixture.objects['tag-ssh-ed25519'] ?? assert.fail();
  const of = (mode: SignatureMode, list = allowedSigners): SignatureDemand => ({ mode, allowedSigners: list, by: 'X' });
  const fetched = {
    commit: { oid: commit.oid, content: Buffer.from(commit.text) },
    ref: 'refs/tags/tag-ssh-ed25519',
    tag: { oid: tag.oid, content: Buffer.from(tag.text) },
  };
  assert.equal(await verdictOf(fetched, of('head-and-tag')), 'alice@example.com,alice@example.com');
  const bobs = allowedSigners
    .split('\n')
    .filter((line) => line.startsWith('bob'))
    .join('\n');
  assert.match(await verdictOf(fetched, of('head'), of('head', bobs)), /^trust\/unknown-signer/);
  const plain = { oid: commit.oid, content: Buffer.from(textOf('unsigned')) };
  assert.match(await verdictOf({ ...fetched, commit: plain }, of('head-and-tag')), /^trust\/unsigned: the commit/);
});

test('a list of signers that is not understood allows nobody', async () => {
  const key = allowedSigners.split('\n')[1]?.split(' ').slice(1).join(' ') ?? assert.fail();
  const lines: readonly (readonly [string, RegExp])[] = [
    ['', /names no signer/],
    ['# nobody\n', /names no signer/],
    [`a cert-authority ${key}`, /line 1: certificate authorities are not supported/],
    [`# one\na Cert-Authority,namespaces="git" ${key}`, /line 2: certificate authorities/],
    [`a no-touch-required ${key}`, /the option "no-touch-required" is unknown/],
    [`a namespace="git" ${key}`, /the option "namespace" is unknown/],
    [`a valid-before="20200101Z",Valid-Before="20990101Z" ${key}`, /the option "valid-before" is there twice/],
    [`a valid-before="tomorrow" ${key}`, /"tomorrow" is no time/],
    [`a valid-before="20261331" ${key}`, /is no time/],
    [`a namespaces="git ${key}`, /quotation mark is not closed/],
    [key, /must be: principals/],
    [`a ${key.replace('ssh-ed25519', 'ssh-rsa')}`, /the key is of type ssh-ed25519, not ssh-rsa/],
    [`a ${key.slice(0, 60)}`, /ends too early/],
    [`a ssh-dss ${Buffer.from('\0\0\0\x07ssh-dss').toString('base64')}`, /keys of type "ssh-dss" are not taken/],
  ];
  for (const [list, reason] of lines) {
    const found = await verdict(textOf('ssh-ed25519'), 'commit', { allowedSigners: list });
    assert.match(found, /^trust\/keys: the allowed signers of the options can not be read: /);
    assert.match(found, reason);
  }
});

test('OpenPGP keys that are not understood, private, or there twice are refused', async () => {
  const [block = ''] = openpgpKeys.match(/-----BEGIN[\s\S]*?-----END PGP PUBLIC KEY BLOCK-----\n/) ?? [];
  const lists: readonly (readonly [string, RegExp])[] = [
    ['', /no public key/],
    [block.replaceAll('PUBLIC', 'PRIVATE'), /holds a private key/],
    [block + block, /has the key [0-9A-F]{40} twice/],
    [block.replace(/^.{64}$/m, 'x'), /./],
    [`${block}-----BEGIN CERTIFICATE-----\n`, /something other than public keys/],
  ];
  for (const [list, reason] of lists) {
    const found = await verdict(textOf('openpgp-ed25519'), 'commit', { openpgpKeys: list });
    assert.match(found, /^trust\/keys: the OpenPGP keys of the options can not be read: /);
    assert.match(found, reason);
  }
  const nobody: SignatureDemand = { mode: 'head', by: 'the options' };
  assert.match(await verdictOf({ commit: { oid: '', content: Buffer.alloc(0) }, ref: 'HEAD' }, nobody), /^trust\/keys/);
});

test('one kind of key alone lets nobody in by the other', async () => {
  const commit = (name: string) => ({ commit: { oid: 'x', content: Buffer.from(textOf(name)) }, ref: 'HEAD' });
  assert.match(
    await verdictOf(commit('openpgp-rsa'), { mode: 'head', allowedSigners, by: 'the options' }),
    /^trust\/unknown-signer: .*no OpenPGP keys are named by the options$/,
  );
  assert.match(
    await verdictOf(commit('ssh-rsa'), { mode: 'head', openpgpKeys, by: 'the options' }),
    /^trust\/unknown-signer: .*no SSH signers are named by the options$/,
  );
});

test('options of a signer are read as ssh-keygen reads them', () => {
  const key = allowedSigners.split('\n')[1]?.split(' ').slice(1).join(' ') ?? assert.fail();
  const forGit = (options: string) => parseAllowedSigners(`a ${options} ${key}`)[0]?.forGit;
  assert.equal(forGit('namespaces="git"'), true);
  assert.equal(forGit('namespaces="file,g?t"'), true);
  assert.equal(forGit('namespaces="*,!git"'), false);
  assert.equal(forGit('namespaces="gitx"'), false);
  assert.equal(forGit('namespaces="g.t"'), false);
  const [timed] = parseAllowedSigners(`a valid-after="20260102",valid-before="202601020304Z" ${key}`);
  assert.equal(timed?.validAfter?.getTime(), new Date(2026, 0, 2).getTime());
  assert.equal(timed?.validBefore?.toISOString(), '2026-01-02T03:04:00.000Z');
});

test('keys in security tokens count where somebody touched the token', () => {
  const payload = Buffer.from('tree\n');
  for (const type of ['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const) {
    const made = (flags: number) => signedByToken(type, payload, flags).armored;
    assert.equal(verifySshSignature(payload, made(0x05)).type, type);
    assert.throws(() => verifySshSignature(payload, made(0x04)), /nobody touched/);
    assert.throws(() => verifySshSignature(Buffer.from('other'), made(0x01)), /over other content/);
  }
});

test('weak and foreign SSH signatures are refused', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const payload = Buffer.from('tree\n');
  const made = (key: typeof privateKey, algorithm: string, digest: string, namespace = 'git', hash = 'sha512') => {
    const { e, n } = createPublicKey(key).export({ format: 'jwk' });
    const number = Buffer.concat([Buffer.alloc(1), Buffer.from(String(n), 'base64url')]);
    const blob = sshStrings('ssh-rsa', Buffer.from(String(e), 'base64url'), number);
    const signature = sshStrings(algorithm, sign(digest, toSign(payload, namespace, hash), key));
    return armoredSshSignature(blob, namespace, hash, signature);
  };
  const verify = (text: string) => () => verifySshSignature(payload, text);
  assert.equal(verify(made(privateKey, 'rsa-sha2-256', 'sha256'))().type, 'ssh-rsa');
  assert.equal(verify(made(privateKey, 'rsa-sha2-512', 'sha512', 'git', 'sha256'))().type, 'ssh-rsa');
  assert.throws(verify(made(privateKey, 'ssh-rsa', 'sha1')), /SHA-1/);
  assert.throws(verify(made(privateKey, 'rsa-sha2-512', 'sha256')), /over other content/);
  assert.throws(verify(made(privateKey, 'rsa-sha2-512', 'sha512', 'file')), /made for "file", not for git/);
  assert.throws(verify(made(privateKey, 'rsa-sha2-512', 'sha512', 'git', 'sha1')), /neither sha256 nor sha512/);
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  assert.throws(verify(made(short, 'rsa-sha2-512', 'sha512')), /1024 bits is too short; 2048 is the least/);
});

test('only what git would read as a commit is one', () => {
  const odd = ['', 'tree\n\n', '\n\n', ` tree ${'0'.repeat(40)}\n\n`, textOf('unsigned').split('\n\n')[0] ?? ''];
  for (const text of odd) assert.throws(() => readSignedCommit(Buffer.from(text)), MalformedObject);
  const latin = Buffer.from(textOf('unsigned').replace('unsigned', 'gr\xfc\xdfe'), 'latin1');
  assert.deepEqual(readSignedCommit(latin).payload, latin);
});

test('an SSH key whose numbers make no key is refused in words', async () => {
  const [line = ''] = allowedSigners.split('\n').filter((each) => each.includes('ecdsa-sha2-nistp256'));
  const [, key = ''] = /ecdsa-sha2-nistp256 (\S+)/.exec(line) ?? [];
  const blob = Buffer.from(key, 'base64');
  blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1;
  const off = `x ecdsa-sha2-nistp256 ${blob.toString('base64')}`;
  assert.match(
    await verdict(textOf('ssh-ed25519'), 'commit', { allowedSigners: off }),
    /^trust\/keys: .*line 1: its numbers make no key$/,
  );
});
