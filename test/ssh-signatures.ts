/** Signatures of SSH with whatever is wanted in them, right or wrong, such as ssh-keygen makes only with a token in hand. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';

/** Each with its length in front. */
export function sshStrings(...parts: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      const bytes = Buffer.from(part);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

export function armoredSshSignature(publicKey: Buffer, namespace: string, hash: string, signature: Buffer): string {
  const body = Buffer.concat([Buffer.from('SSHSIG\0\0\0\x01'), sshStrings(publicKey, namespace, '', hash, signature)]);
  return `-----BEGIN SSH SIGNATURE-----\n${body.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
}

export function toSign(payload: Buffer, namespace: string, hash: string): Buffer {
  return Buffer.concat([
    Buffer.from('SSHSIG'),
    sshStrings(namespace, '', hash, createHash(hash).update(payload).digest()),
  ]);
}

type TokenKey = 'sk-ssh-ed25519@openssh.com' | 'sk-ecdsa-sha2-nistp256@openssh.com';

/** A signature in git's namespace as a security token makes it: 1 in its flags says that somebody touched it. */
export function signedByToken(
  type: TokenKey,
  payload: Buffer,
  flags: number,
): { readonly armored: string; readonly publicKey: string } {
  const isEd25519 = type === 'sk-ssh-ed25519@openssh.com';
  const { privateKey, publicKey } = isEd25519
    ? generateKeyPairSync('ed25519')
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const bytes = (text: unknown): Buffer => Buffer.from(String(text), 'base64url');
  const blob = isEd25519
    ? sshStrings(type, bytes(x), 'ssh:')
    : sshStrings(type, 'nistp256', Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)]), 'ssh:');
  const state = Buffer.from([flags, 0, 0, 0, 7]);
  const content = Buffer.concat([sha256('ssh:'), state, sha256(toSign(payload, 'git', 'sha512'))]);
  const plain = isEd25519
    ? sign(undefined, content, privateKey)
    : twoNumbers(sign('sha256', content, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
  const signature = Buffer.concat([sshStrings(type, plain), state]);
  return {
    armored: armoredSshSignature(blob, 'git', 'sha512', signature),
    publicKey: `${type} ${blob.toString('base64')}`,
  };
}

function twoNumbers(signature: Buffer): Buffer {
  const half = signature.length / 2;
  return sshStrings(...[signature.subarray(0, half), signature.subarray(half)].map(mpint));
}

/** Without needless zeros in front, and with the one that keeps it positive. */
function mpint(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const short = bytes.subarray(first);
  return (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), short]) : short;
}

function sha256(data: Buffer | string): Buffer {
  return createHash('sha256').update(data).digest();
}
