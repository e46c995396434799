/** What a git host sends: packs, commits and tags, signatures; and the lists of who may sign. Bytes are Latin-1. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseAllowedSigners } from '../../reconcile/desired/allowed-signers.ts';
import { inspectPack } from '../../reconcile/desired/git-pack.ts';
import { parseGitUrl } from '../../reconcile/desired/git-url.ts';
import { readOpenpgpKeys } from '../../reconcile/desired/openpgp-signature.ts';
import { verifySignatures } from '../../reconcile/desired/signatures.ts';
import { MalformedObject, readSignedCommit, readSignedTag } from '../../reconcile/desired/signed-object.ts';
import { parseSshKey } from '../../reconcile/desired/ssh-key.ts';
import { verifySshSignature } from '../../reconcile/desired/ssh-signature.ts';
import { gitObject, gitPack } from '../git-packs.ts';
import type { Target } from './target.ts';

interface Fixture {
  readonly openpgpKeys: string;
  readonly allowedSigners: string;
  readonly objects: Readonly<Record<string, { readonly type: string; readonly oid: string; readonly text: string }>>;
}

const { openpgpKeys, allowedSigners, objects }: Fixture = JSON.parse(
  readFileSync(new URL('../../reconcile/desired/fixtures/signatures.json', import.meta.url), 'utf8'),
);
const all = Object.values(objects);

function textsOf(type: string): readonly string[] {
  return all.filter((object) => object.type === type).map(({ text }) => Buffer.from(text).toString('latin1'));
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A signature, with what was signed in front of it. */
const signed = textsOf('commit').flatMap((text) => {
  const { signature } = readSignedCommit(bytes(text));
  return signature === undefined ? [] : [{ signature, text }];
});
const armoredSsh = signed.filter(({ signature }) => signature.includes('SSH')).map(({ signature }) => signature);

/** What the functions of a list of keys, or of a signature, say is wrong with it. An error of the program is none. */
function plainError(error: Error): string | undefined {
  return error.constructor === Error && !/undefined|is not a function/.test(error.message) ? 'unreadable' : undefined;
}

function malformed(error: Error): string | undefined {
  return error instanceof MalformedObject ? 'malformed' : undefined;
}

const moment = new Date('2026-11-24T00:00:00Z');

async function verifyCommit(text: string): Promise<unknown> {
  const content = bytes(text);
  const oid = createHash('sha1').update(`commit ${content.length}\0`).update(content).digest('hex');
  const demand = { allowedSigners, openpgpKeys, by: 'the options', mode: 'head' } as const;
  return await verifySignatures({ commit: { oid, content }, ref: 'refs/heads/main' }, [demand], moment);
}

const blob = 3;
const base = gitObject(blob, Buffer.from('some content that others are made of'));
const delta = Buffer.from([37, 30, 0x90, 30]);
const packs = [
  gitPack(gitObject(blob, Buffer.from('some content')), gitObject(1, Buffer.from('tree '.repeat(40)))),
  gitPack(
    gitObject(7, delta, { base: Buffer.alloc(20, 7) }),
    base,
    gitObject(6, delta, { base: Buffer.from([base.length]) }),
  ),
].map((pack) => pack.toString('latin1'));

const objectPieces = [
  'tree ',
  'parent ',
  'author ',
  'committer ',
  'gpgsig ',
  'gpgsig-sha256 ',
  'encoding x\n',
  'mergetag ',
  '\n\n',
  '\n ',
  '-----BEGIN SSH SIGNATURE-----\n',
  '-----END SSH SIGNATURE-----\n',
  '-----BEGIN PGP SIGNATURE-----\n',
  ' <a@b> 1 +0000',
  '99999999999',
];

export const gitTargets: readonly Target[] = [
  {
    name: 'git-pack',
    kind: 'bytes',
    samples: packs,
    pieces: [
      'PACK',
      '\x78\x9c',
      '\x00\x00\x00\x02',
      '\x7f\xff\xff\xff',
      '\xb0\xff\xff\xff\xff\x7f',
      '\x78\x9c\x03\x00\x00\x00\x00\x01',
    ],
    run: (text) => inspectPack(bytes(text), { maxObjects: 1000, maxUnpackedBytes: 1 << 20 }),
  },
  {
    name: 'git-commit',
    kind: 'bytes',
    samples: textsOf('commit'),
    pieces: objectPieces,
    run: (text) => readSignedCommit(bytes(text)),
    refusal: malformed,
  },
  {
    name: 'git-tag',
    kind: 'bytes',
    samples: textsOf('tag'),
    pieces: [...objectPieces, 'object ', 'type ', 'tag ', 'tagger '],
    run: (text) => readSignedTag(bytes(text)),
    refusal: malformed,
  },
  {
    name: 'signed-commit',
    kind: 'bytes',
    samples: textsOf('commit'),
    pieces: objectPieces,
    run: async (text) => {
      try {
        return await verifyCommit(text);
      } catch (error) {
        // Among the samples are some that are refused.
        if (samplesOfCommits.has(text)) return undefined;
        throw error;
      }
    },
  },
  {
    name: 'ssh-signature',
    kind: 'text',
    samples: armoredSsh,
    pieces: ['AAAA', '////', '=', '==', '\r\n', 'U1NIU0lH'],
    run: (text) => {
      try {
        return verifySshSignature(Buffer.from('not what was signed'), text);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('it is over other content')) return undefined;
        throw error;
      }
    },
    refusal: plainError,
  },
  {
    name: 'ssh-key',
    kind: 'bytes',
    samples: parseAllowedSigners(allowedSigners).map(({ key }) => key.blob.toString('latin1')),
    pieces: [
      '\x00\x00\x00\x0bssh-ed25519',
      '\x00\x00\x00\x07ssh-rsa',
      '\x00\x00\x00\x00',
      '\xff\xff\xff\xff',
      'nistp256',
      '\x00\x00\x00\x20',
      '\x04',
    ],
    run: (text) => parseSshKey(bytes(text)),
    refusal: plainError,
  },
  {
    name: 'allowed-signers',
    kind: 'text',
    samples: [allowedSigners],
    pieces: [
      'namespaces="git"',
      'valid-before="20270101Z"',
      'valid-after="99999999999999"',
      'cert-authority',
      '"',
      '\\"',
      'ssh-ed25519 ',
      'AAAA',
      '#',
      '*@x ',
    ],
    run: (text) => parseAllowedSigners(text),
    refusal: plainError,
  },
  {
    name: 'git-url',
    kind: 'text',
    samples: [
      'https://git.example.com/net/vms.git',
      'http://user:pass@127.0.0.1:8080/a/b',
      'git@github.com:acme/vms.git',
    ].slice(0, 2),
    pieces: [
      'ssh://',
      'file://',
      'ext::',
      '--upload-pack=',
      '@',
      ':',
      '/',
      '#',
      '?',
      '%2e%2e',
      '%0a',
      '[::1]',
      '-oProxyCommand',
    ],
    run: parseGitUrl,
  },
  {
    name: 'openpgp-keys',
    kind: 'text',
    samples: [openpgpKeys],
    pieces: [
      '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n',
      '-----END PGP PUBLIC KEY BLOCK-----\n',
      '=',
      'AAAA',
      '////',
      'Comment: x\n',
    ],
    run: readOpenpgpKeys,
    // The library has errors of its own, for a caller that catches all of them.
    refusal: () => 'unreadable',
  },
];

const samplesOfCommits = new Set(textsOf('commit'));
