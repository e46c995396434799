/**
 * Signatures that `ssh-keygen -Y sign` makes, as git does with gpg.format=ssh: PROTOCOL.sshsig, and PROTOCOL.u2f for keys in
 * security tokens. Only verified here; no key is ever asked of an agent.
 */
import { createHash, verify } from 'node:crypto';
import { parseSshKey, type SshKey, SshReader, sshFingerprint } from './ssh-key.ts';

/** What git signs in. A signature for a file, or for anything else, is none for a commit. */
const gitNamespace = 'git';
const magic = Buffer.from('SSHSIG');

const armor = /^-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END SSH SIGNATURE-----\s*$/;

/** The key that signed; the signature is right. @throws Error whose message says what is wrong with the signature */
export function verifySshSignature(payload: Buffer, armored: string): SshKey {
  const [, base64] = armor.exec(armored) ?? [];
  if (base64 === undefined) throw new Error('it is not in the form that ssh-keygen writes');
  const reader = new SshReader(Buffer.from(base64, 'base64'));
  if (!reader.take(magic.length).equals(magic) || reader.uint32() !== 1) throw new Error('it is of an unknown version');
  const key = parseSshKey(reader.string());
  const namespace = reader.string();
  const reserved = reader.string();
  const hash = reader.string();
  const signature = reader.string();
  reader.end();
  if (namespace.toString('latin1') !== gitNamespace) {
    throw new Error(`it was made for ${JSON.stringify(namespace.toString('latin1').slice(0, 60))}, not for git`);
  }
  const hashName = hash.toString('latin1');
  if (hashName !== 'sha256' && hashName !== 'sha512') throw new Error('its hash is neither sha256 nor sha512');
  const digest = createHash(hashName).update(payload).digest();
  const signed = Buffer.concat([magic, ...[namespace, reserved, hash, digest].flatMap(withLength)]);
  if (!isSigned(key, signed, signature)) {
    throw new Error(`it is over other content, or not by the key ${sshFingerprint(key.blob)} that it names`);
  }
  return key;
}

function withLength(bytes: Buffer): readonly Buffer[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
}

function isSigned({ type, key, application }: SshKey, signed: Buffer, signature: Buffer): boolean {
  const reader = new SshReader(signature);
  const algorithm = reader.string().toString('latin1');
  const blob = reader.string();
  switch (type) {
    case 'ssh-ed25519':
      reader.end();
      return algorithm === type && verify(undefined, signed, key, blob);
    case 'ssh-rsa': {
      reader.end();
      if (algorithm === 'ssh-rsa') throw new Error('it rests on SHA-1 (ssh-rsa), which can be forged');
      if (algorithm !== 'rsa-sha2-256' && algorithm !== 'rsa-sha2-512') return false;
      return verify(algorithm.slice(-3) === '256' ? 'sha256' : 'sha512', signed, key, blob);
    }
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521': {
      reader.end();
      const [hash, bytes] = ecdsaSizes[type];
      return algorithm === type && verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, plainEcdsa(blob, bytes));
    }
    case 'sk-ssh-ed25519@openssh.com':
      return algorithm === type && verify(undefined, byToken(signed, application, reader), key, blob);
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const content = byToken(signed, application, reader);
      return algorithm === type && verify('sha256', content, { key, dsaEncoding: 'ieee-p1363' }, plainEcdsa(blob, 32));
    }
    default:
      return type satisfies never;
  }
}

const ecdsaSizes = {
  'ecdsa-sha2-nistp256': ['sha256', 32],
  'ecdsa-sha2-nistp384': ['sha384', 48],
  'ecdsa-sha2-nistp521': ['sha512', 66],
} as const;

/** Both numbers at full length, as Web Cryptography has them. */
function plainEcdsa(blob: Buffer, bytes: number): Buffer {
  const reader = new SshReader(blob);
  const numbers = [reader.mpint(), reader.mpint()];
  reader.end();
  return Buffer.concat(numbers.flatMap((number) => [Buffer.alloc(Math.max(bytes - number.length, 0)), number]));
}

/** Somebody touched the token. */
const userPresent = 0x01;

/** What a token signs: hashes of application and content around its flags and counter. */
function byToken(signed: Buffer, application: Buffer | undefined, reader: SshReader): Buffer {
  const state = reader.take(5);
  reader.end();
  if (((state[0] ?? 0) & userPresent) === 0) throw new Error('nobody touched the security token');
  return Buffer.concat([sha256(application ?? Buffer.alloc(0)), state, sha256(signed)]);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
