/** Public keys of SSH as they stand in signatures and in lists of signers: RFC 4253, RFC 5656, RFC 8709, PROTOCOL.u2f. */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

/** A key that signatures may be made with. */
export interface SshKey {
  readonly type: SshKeyType;
  /** As it stands in files and signatures: two keys are one where these bytes are. */
  readonly blob: Buffer;
  readonly key: KeyObject;
  /** Of a key in a security token. */
  readonly application?: Buffer;
}

type SshKeyType =
  | 'ssh-ed25519'
  | 'ssh-rsa'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'sk-ssh-ed25519@openssh.com'
  | 'sk-ecdsa-sha2-nistp256@openssh.com';

/** Bits below which an RSA key is not taken. */
const leastRsaBits = 2048;

/** Bytes in the form of SSH: lengths of 32 bits in front of what follows. @throws Error where they end too early */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new Error('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  /** A positive number, without the zero in front that keeps it positive. */
  mpint(): Buffer {
    const bytes = this.string();
    const first = bytes.findIndex((byte) => byte !== 0);
    return first < 0 ? Buffer.alloc(0) : bytes.subarray(first);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error('something follows its end');
  }
}

const curves: Readonly<Record<string, { readonly crv: string; readonly bytes: number }>> = {
  nistp256: { crv: 'P-256', bytes: 32 },
  nistp384: { crv: 'P-384', bytes: 48 },
  nistp521: { crv: 'P-521', bytes: 66 },
};

/** @throws Error whose message says what is wrong with the key */
export function parseSshKey(blob: Buffer): SshKey {
  const reader = new SshReader(blob);
  const type = reader.string().toString('latin1');
  switch (type) {
    case 'ssh-ed25519':
      return whole(reader, { type, blob, key: ed25519(reader.string()) });
    case 'sk-ssh-ed25519@openssh.com': {
      const key = ed25519(reader.string());
      return whole(reader, { type, blob, key, application: reader.string() });
    }
    case 'ssh-rsa':
      return whole(reader, { type, blob, key: rsa(reader.mpint(), reader.mpint()) });
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return whole(reader, { type, blob, key: ecdsa(type.slice('ecdsa-sha2-'.length), reader) });
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const key = ecdsa('nistp256', reader);
      return whole(reader, { type, blob, key, application: reader.string() });
    }
    default:
      throw new Error(`keys of type ${JSON.stringify(type.slice(0, 60))} are not taken`);
  }
}

function whole(reader: SshReader, key: SshKey): SshKey {
  reader.end();
  return key;
}

function ed25519(x: Buffer): KeyObject {
  if (x.length !== 32) throw new Error('an Ed25519 key has 32 bytes');
  return jwk({ kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') });
}

function rsa(e: Buffer, n: Buffer): KeyObject {
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < leastRsaBits) throw new Error(`an RSA key of ${bits} bits is too short; ${leastRsaBits} is the least`);
  return jwk({ kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') });
}

function ecdsa(name: string, reader: SshReader): KeyObject {
  const curve = curves[name];
  if (curve === undefined || reader.string().toString('latin1') !== name) throw new Error('its curve is another');
  const point = reader.string();
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.bytes) throw new Error('its point is not written out in full');
  const x = point.subarray(1, 1 + curve.bytes).toString('base64url');
  const y = point.subarray(1 + curve.bytes).toString('base64url');
  return jwk({ kty: 'EC', crv: curve.crv, x, y });
}

function jwk(key: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    // A point that is not on its curve, or a number that no key has.
    throw new Error('its numbers make no key');
  }
}

/** `SHA256:…`, as ssh-keygen -l shows it. */
export function sshFingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
