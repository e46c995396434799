/**
 * A self-signed certificate for loopback, made afresh at each start: kubectl sends its token only over TLS, and Node can
 * use certificates but not make them. RFC 5280, as far as a server on 127.0.0.1 needs it.
 */
import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto';

export interface ServerCertificate {
  /** PEM. */
  readonly key: string;
  /** PEM; also the authority that clients are to trust, and good for a client that shows it. */
  readonly certificate: string;
}

const objectIds = {
  commonName: '550403',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
  extendedKeyUsage: '551d25',
  ecdsaWithSha256: '2a8648ce3d040302',
} as const;

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element of DER: tag, length, content. */
function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

function sequence(...content: readonly Uint8Array[]): Buffer {
  return der(tags.sequence, ...content);
}

function objectId(name: keyof typeof objectIds): Buffer {
  return der(tags.objectId, Buffer.from(objectIds[name], 'hex'));
}

function extension(name: keyof typeof objectIds, value: Buffer, critical = false): Buffer {
  const flag = critical ? [der(tags.boolean, Buffer.from([0xff]))] : [];
  return sequence(objectId(name), ...flag, der(tags.octetString, value));
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(tags.utcTime, Buffer.from(`${digits}Z`));
}

function pem(label: string, body: Buffer): string {
  const lines = body.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** A key and a certificate for 127.0.0.1 and localhost, valid for a year from `now`. */
export function selfSigned(now: Date): ServerCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(
    der(tags.set, sequence(objectId('commonName'), der(tags.utf8String, Buffer.from('patchpanel sandbox')))),
  );
  const algorithm = sequence(objectId('ecdsaWithSha256'));
  const day = 86_400_000;
  const validity = sequence(utcTime(new Date(now.getTime() - day)), utcTime(new Date(now.getTime() + 365 * day)));
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  const extensions = sequence(
    extension('subjectAltName', names),
    extension('basicConstraints', sequence(der(tags.boolean, Buffer.from([0xff]))), true),
    // digitalSignature and keyCertSign
    extension('keyUsage', der(tags.bitString, Buffer.from([2, 0x84])), true),
    extension('extendedKeyUsage', sequence(objectId('serverAuth'), objectId('clientAuth'))),
  );
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const toSign = sequence(
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const signature = createSign('sha256').update(toSign).sign(privateKey);
  const certificate = sequence(toSign, algorithm, der(tags.bitString, Buffer.from([0]), signature));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: pem('CERTIFICATE', certificate),
  };
}
