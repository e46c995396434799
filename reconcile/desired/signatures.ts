/** Whether the commit that is read, or the tag that named it, was signed by somebody who may. Fails closed. */
import { PatchpanelError } from '../errors.ts';
import { type AllowedSigner, parseAllowedSigners } from './allowed-signers.ts';
import { type OpenpgpKeys, readOpenpgpKeys, verifyOpenpgpSignature } from './openpgp-signature.ts';
import {
  MalformedObject,
  readSignedCommit,
  readSignedTag,
  type SignedCommit,
  type SignedTag,
} from './signed-object.ts';
import { sshFingerprint } from './ssh-key.ts';
import { verifySshSignature } from './ssh-signature.ts';

/** `head`: the commit that is read. `tag`: the annotated tag that the ref names. */
export const signatureModes = ['head', 'tag', 'head-and-tag'] as const;
export type SignatureMode = (typeof signatureModes)[number];

/** What must be signed, and by whom. */
export interface SignatureDemand {
  readonly mode: SignatureMode;
  /** Text of a file of allowed signers, as `ssh-keygen -Y` reads it. */
  readonly allowedSigners?: string;
  /** Armored public keys of OpenPGP. */
  readonly openpgpKeys?: string;
  /** Who demands it, for messages: `the options`, `the policies`. */
  readonly by: string;
}

/** A signature that was verified, for the log. */
export interface VerifiedSignature {
  /** `commit 1d0c…` or `tag v1`. */
  readonly what: string;
  readonly signer: string;
}

/** An object as the repository has it, its id checked. */
export interface RawObject {
  readonly oid: string;
  readonly content: Uint8Array;
}

/** What a fetch came to. */
export interface FetchedRef {
  readonly commit: RawObject;
  /** The name of the ref that was found; undefined for one given by its id. */
  readonly ref: string | undefined;
  /** The annotated tag that this ref is. */
  readonly tag?: RawObject;
}

/**
 * Holds a fetched ref against every demand: each must be met.
 * @throws PatchpanelError trust/*
 */
export async function verifySignatures(
  { commit, ref, tag }: FetchedRef,
  demands: readonly SignatureDemand[],
  now: Date,
): Promise<readonly VerifiedSignature[]> {
  const verified: VerifiedSignature[] = [];
  for (const demand of demands) {
    const signers = await readSigners(demand);
    if (demand.mode !== 'head') {
      if (tag === undefined || ref === undefined) throw noTag(ref, demand);
      verified.push(await verifyTag(tag, ref, commit, demand, signers, now));
    }
    if (demand.mode !== 'tag') {
      const what = `commit ${commit.oid}`;
      const object = parsed(what, () => readSignedCommit(commit.content));
      verified.push({ what, signer: await verifyObject(what, object, demand, signers, now) });
    }
  }
  return verified;
}

async function verifyTag(
  tag: RawObject,
  ref: string,
  commit: RawObject,
  demand: SignatureDemand,
  signers: Signers,
  now: Date,
): Promise<VerifiedSignature> {
  const name = ref.replace(/^refs\/tags\//, '');
  const what = `tag ${name} (${tag.oid})`;
  const object = parsed(what, () => readSignedTag(tag.content));
  // Else whoever may move tags could pass an old one off as a new one.
  if (object.name !== name)
    throw bad(what, `it calls itself ${JSON.stringify(object.name)}, not ${JSON.stringify(name)}`);
  if (object.type !== 'commit' || object.object !== commit.oid) {
    throw bad(what, `it is of the ${object.type} ${object.object}, not of the commit ${commit.oid} itself`);
  }
  return { what: `tag ${name}`, signer: await verifyObject(what, object, demand, signers, now) };
}

interface Signers {
  readonly ssh: readonly AllowedSigner[] | undefined;
  readonly openpgp: OpenpgpKeys | undefined;
}

/**
 * Reads the keys of a demand.
 * @throws PatchpanelError `trust/keys`
 */
async function readSigners({ allowedSigners, openpgpKeys, by }: SignatureDemand): Promise<Signers> {
  if (allowedSigners === undefined && openpgpKeys === undefined) {
    throw new PatchpanelError('trust/keys', `signatures are demanded by ${by}, and nobody is named who may sign`);
  }
  try {
    return {
      ssh: allowedSigners === undefined ? undefined : parseAllowedSigners(allowedSigners),
      openpgp: openpgpKeys === undefined ? undefined : await readOpenpgpKeys(openpgpKeys).catch(openpgpFault),
    };
  } catch (error) {
    if (error instanceof PatchpanelError) throw error;
    throw new PatchpanelError('trust/keys', `the allowed signers of ${by} can not be read: ${messageOf(error)}`);
  }

  function openpgpFault(error: unknown): never {
    throw new PatchpanelError('trust/keys', `the OpenPGP keys of ${by} can not be read: ${messageOf(error)}`);
  }
}

/** Who signed, in words. @throws PatchpanelError trust/* */
async function verifyObject(
  what: string,
  { payload, signature, made }: SignedCommit | SignedTag,
  demand: SignatureDemand,
  { ssh, openpgp }: Signers,
  now: Date,
): Promise<string> {
  if (signature === undefined) {
    throw new PatchpanelError('trust/unsigned', `the ${what} is not signed, which is demanded by ${demand.by}`, {
      remedy: what.startsWith('tag')
        ? 'Sign it: git tag --sign --force NAME COMMIT, and push the tag; or remove the demand, if it was a mistake.'
        : 'Sign it: git commit --amend --no-edit --gpg-sign, or merge through a host that signs, and push. Where nothing may be rewritten, put a signed commit on top: git commit --allow-empty --gpg-sign. commit.gpgsign=true signs all further ones.',
    });
  }
  if (signature.startsWith('-----BEGIN SSH SIGNATURE-----')) {
    return verifySsh(what, payload, signature, made, demand, ssh);
  }
  if (signature.startsWith('-----BEGIN PGP SIGNATURE-----')) {
    return await verifyOpenpgp(what, payload, signature, demand, openpgp, now);
  }
  if (signature.startsWith('-----BEGIN SIGNED MESSAGE-----')) {
    throw bad(what, 'it is of X.509 (gpgsm), which is not supported', 'Sign with an SSH key or OpenPGP.');
  }
  throw bad(what, 'it is neither of SSH nor of OpenPGP');
}

function verifySsh(
  what: string,
  payload: Buffer,
  signature: string,
  made: Date,
  demand: SignatureDemand,
  signers: readonly AllowedSigner[] | undefined,
): string {
  let key: ReturnType<typeof verifySshSignature>;
  try {
    key = verifySshSignature(payload, signature);
  } catch (error) {
    throw bad(what, messageOf(error));
  }
  const fingerprint = sshFingerprint(key.blob);
  const lines = (signers ?? []).filter((signer) => signer.key.blob.equals(key.blob));
  const [line] = lines;
  if (line === undefined) {
    const list =
      signers === undefined ? `no SSH signers are named by ${demand.by}` : 'that key is not among the allowed signers';
    throw unknown(what, `an SSH key, ${fingerprint}`, list, demand);
  }
  const fit = lines.find(
    ({ forGit, validAfter, validBefore }) =>
      forGit && (validAfter === undefined || validAfter <= made) && (validBefore === undefined || made < validBefore),
  );
  const who = `${line.principals} (${key.type} ${fingerprint})`;
  if (fit !== undefined) return `${fit.principals} (${key.type} ${fingerprint})`;
  const reason = line.forGit
    ? `that key was not valid on ${made.toISOString()}, when this was made`
    : 'that key may not sign for git (namespaces=)';
  throw unknown(what, who, reason, demand);
}

async function verifyOpenpgp(
  what: string,
  payload: Buffer,
  signature: string,
  demand: SignatureDemand,
  keys: OpenpgpKeys | undefined,
  now: Date,
): Promise<string> {
  let verdict: Awaited<ReturnType<typeof verifyOpenpgpSignature>>;
  try {
    verdict = await verifyOpenpgpSignature(payload, signature, keys ?? [], now);
  } catch (error) {
    throw bad(what, messageOf(error));
  }
  switch (verdict.kind) {
    case 'good':
      return `${verdict.user} (OpenPGP ${verdict.key})`;
    case 'unknown-key': {
      const list =
        keys === undefined ? `no OpenPGP keys are named by ${demand.by}` : 'that key is not among the OpenPGP keys';
      throw unknown(what, `the OpenPGP key ${verdict.key}`, list, demand);
    }
    case 'refused': {
      const who = `${verdict.user} (OpenPGP ${verdict.key})`;
      const ofKey = /revoked|expired|newer than the signature|valid (?:primary|signing)|signing key/i.test(
        verdict.reason,
      );
      if (ofKey) throw unknown(what, who, `that key did not count when it signed (${verdict.reason})`, demand);
      throw bad(what, `it claims to be by ${who} and is not right (${verdict.reason})`);
    }
    default:
      return verdict satisfies never;
  }
}

function parsed<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedObject)
      throw new PatchpanelError('trust/bad-signature', `the ${what} ${error.message}`);
    throw error;
  }
}

function noTag(ref: string | undefined, { by }: SignatureDemand): PatchpanelError {
  const is = ref?.startsWith('refs/tags/') ? `${ref} is a lightweight tag, which has no signature` : undefined;
  return new PatchpanelError(
    'trust/unsigned',
    `a signed tag is demanded by ${by}, and ${is ?? `${ref ?? 'a commit given by its id'} is no tag`}`,
    { remedy: 'Give --ref refs/tags/NAME of an annotated tag, made by git tag --sign NAME.' },
  );
}

function bad(what: string, reason: string, remedy?: string): PatchpanelError {
  return new PatchpanelError(
    'trust/bad-signature',
    `the signature of the ${what} is refused: ${reason}`,
    remedy === undefined ? {} : { remedy },
  );
}

function unknown(what: string, who: string, reason: string, { by }: SignatureDemand): PatchpanelError {
  return new PatchpanelError('trust/unknown-signer', `the ${what} is signed by ${who}: ${reason}`, {
    remedy: `If that signer may change these networks, add or renew the key (the list is that of ${by}); if not, find out how this came into the repository.`,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
