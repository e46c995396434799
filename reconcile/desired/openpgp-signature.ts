/**
 * Signatures of OpenPGP, by OpenPGP.js with its own defaults: no MD5, SHA-1 or RIPEMD, no DSA, no RSA below 2047 bits. A key
 * must have been valid when it signed; one that was revoked as compromised, or without a reason, counts at no time.
 */
import type { PublicKey } from 'openpgp';

export type OpenpgpKeys = readonly PublicKey[];

/** Clocks of those who sign may be ahead by so much. */
const clockSkewMs = 5 * 60_000;

/** Loaded where it is needed alone: it is large. */
async function openpgp(): Promise<typeof import('openpgp')> {
  return await import('openpgp');
}

/** Public keys, of one or several armored blocks. @throws Error whose message says what is wrong */
export async function readOpenpgpKeys(text: string): Promise<OpenpgpKeys> {
  if (text.includes('-----BEGIN PGP PRIVATE KEY BLOCK-----')) {
    throw new Error('it holds a private key; give the public ones (gpg --armor --export)');
  }
  const blocks = text.match(/-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?-----END PGP PUBLIC KEY BLOCK-----/g) ?? [];
  if (blocks.length === 0) throw new Error('it has no public key in armored form (gpg --armor --export)');
  if (blocks.length !== text.split('-----BEGIN ').length - 1)
    throw new Error('it holds something other than public keys');
  const { readKeys } = await openpgp();
  const keys: PublicKey[] = [];
  for (const armoredKeys of blocks) {
    for (const key of await readKeys({ armoredKeys })) {
      // Of two copies one may lack the revocation that the other has.
      const seen = keys.some((other) => other.getFingerprint() === key.getFingerprint());
      if (seen) throw new Error(`it has the key ${fingerprintOf(key)} twice`);
      keys.push(key);
    }
  }
  return keys;
}

/** What came of a signature that OpenPGP can read. */
export type OpenpgpVerdict =
  | { readonly kind: 'good'; readonly key: string; readonly user: string }
  | { readonly kind: 'unknown-key'; readonly key: string }
  /** The key is known, but not valid, or the signature is not right. */
  | { readonly kind: 'refused'; readonly key: string; readonly user: string; readonly reason: string };

const armor = /^-----BEGIN PGP SIGNATURE-----\r?\n[\s\S]*?\r?\n-----END PGP SIGNATURE-----\s*$/;

/** @throws Error whose message says why it is no signature that can be read */
export async function verifyOpenpgpSignature(
  payload: Buffer,
  armored: string,
  keys: OpenpgpKeys,
  now: Date,
): Promise<OpenpgpVerdict> {
  if (!armor.test(armored) || armored.split('-----BEGIN ').length !== 2) {
    throw new Error('it is not one armored signature of OpenPGP');
  }
  const { createMessage, enums, readSignature, verify } = await openpgp();
  const signature = await readSignature({ armoredSignature: armored });
  const [packet, ...more] = signature.packets;
  if (packet === undefined || more.length > 0) throw new Error('it holds more than one signature');
  if (packet.signatureType !== enums.signature.binary) throw new Error('it is not over the bytes of a document');
  const { issuerKeyID } = packet;
  const id = issuerKeyID.toHex().toUpperCase();
  const known = keys.find((key) => key.getKeys(issuerKeyID).length > 0);
  if (known === undefined) return { kind: 'unknown-key', key: id };
  const named = { key: fingerprintOf(known), user: known.getUserIDs()[0] ?? id };
  const { signatures } = await verify({
    message: await createMessage({ binary: new Uint8Array(payload) }),
    signature,
    verificationKeys: [known],
    date: new Date(now.getTime() + clockSkewMs),
    format: 'binary',
  });
  const [result] = signatures;
  if (result === undefined || signatures.length !== 1) throw new Error('it holds more than one signature');
  try {
    if ((await result.verified) === true) return { kind: 'good', ...named };
    return { kind: 'refused', ...named, reason: 'it is not right' };
  } catch (error) {
    return { kind: 'refused', ...named, reason: error instanceof Error ? error.message : String(error) };
  }
}

function fingerprintOf(key: PublicKey): string {
  return key.getFingerprint().toUpperCase();
}
