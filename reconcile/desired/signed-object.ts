/**
 * What of a commit or tag object is signed, and by which signature, as git itself splits them (its commit.c, tag.c and
 * gpg-interface.c). Stricter than git where that leaves room for two readings: what is verified here is also what is read.
 */

/** An object whose form is known. Text is Latin-1: one character a byte. */
interface SignedObject {
  /** The bytes that the signature is over. */
  readonly payload: Buffer;
  /** Armored; undefined where there is none. */
  readonly signature: string | undefined;
  /** When it was made, by the word of whoever made it. */
  readonly made: Date;
}

export interface SignedCommit extends SignedObject {
  readonly tree: string;
}

export interface SignedTag extends SignedObject {
  /** Id of what is tagged, and its type. */
  readonly object: string;
  readonly type: string;
  readonly name: string;
}

/** The object is not as git writes it. The message says how, in words that go after "the commit" or "the tag". */
export class MalformedObject extends Error {}

interface Header {
  readonly name: string;
  /** Without the space in front of further lines. */
  readonly value: string;
  /** Bytes of the object from `start` up to `end`, the line end included. */
  readonly start: number;
  readonly end: number;
}

/** Headers that stand at the beginning, in this order, and nowhere else. */
const reserved = new Set(['tree', 'parent', 'author', 'committer', 'object', 'type', 'tag', 'tagger']);

/** @throws MalformedObject */
export function readSignedCommit(content: Uint8Array): SignedCommit {
  const text = latin1(content);
  const { headers } = split(text);
  const tree = headers[0]?.name === 'tree' ? headers[0].value : '';
  const at = headers.findIndex(({ name }, index) => index > 0 && name !== 'parent');
  const [author, committer, ...others] = at < 0 ? [] : headers.slice(at);
  const parents = headers.slice(1, Math.max(at, 1));
  if (
    author?.name !== 'author' ||
    committer?.name !== 'committer' ||
    ![tree, ...parents.map(({ value }) => value)].every(isId) ||
    others.some(({ name }) => reserved.has(name)) ||
    others.filter(({ name }) => name === 'encoding').length > 1
  ) {
    throw new MalformedObject('does not begin with tree, parents, author and committer as git writes them');
  }
  const signatures = others.filter(({ name }) => /^gpgsig/i.test(name));
  const [signature] = signatures;
  if (signatures.length > 1) throw new MalformedObject('has more than one signature');
  if (signature !== undefined && signature.name !== 'gpgsig') {
    throw new MalformedObject(`is signed in a header ${signature.name}, which is not for a repository of SHA-1`);
  }
  const made = timeOf(committer.value);
  if (signature === undefined) return { payload: bytes(text), signature: undefined, made, tree };
  const payload = bytes(text.slice(0, signature.start) + text.slice(signature.end));
  return { payload, signature: signature.value, made, tree };
}

const signatureLine = /^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----/gm;

/** @throws MalformedObject */
export function readSignedTag(content: Uint8Array): SignedTag {
  const text = latin1(content);
  const { headers, body } = split(text);
  const [object, type, tag, tagger] = headers;
  if (
    headers.map(({ name }) => name).join() !== 'object,type,tag,tagger' ||
    object === undefined ||
    type === undefined ||
    tag === undefined ||
    tagger === undefined ||
    !isId(object.value)
  ) {
    throw new MalformedObject('does not begin with object, type, tag and tagger, and nothing else');
  }
  const starts = [...text.slice(body).matchAll(signatureLine)].map(({ index }) => body + index);
  if (starts.length > 1) throw new MalformedObject('has more than one signature');
  const [start = text.length] = starts;
  return {
    payload: bytes(text.slice(0, start)),
    signature: start === text.length ? undefined : text.slice(start),
    made: timeOf(tagger.value),
    object: object.value,
    type: type.value,
    name: Buffer.from(tag.value, 'latin1').toString('utf8'),
  };
}

function split(text: string): { readonly headers: readonly Header[]; readonly body: number } {
  const end = text.indexOf('\n\n');
  if (end < 0) throw new MalformedObject('has no end of its headers');
  if (text.slice(0, end).includes('\0')) throw new MalformedObject('has a NUL byte in its headers');
  const headers: Header[] = [];
  let start = 0;
  for (const line of text.slice(0, end).split('\n')) {
    const next = start + line.length + 1;
    const last = headers.at(-1);
    const space = line.indexOf(' ');
    if (line.startsWith(' ') && last !== undefined) {
      headers.splice(-1, 1, { ...last, value: `${last.value}\n${line.slice(1)}`, end: next });
    } else {
      if (space <= 0) throw new MalformedObject('has a header without a value');
      headers.push({ name: line.slice(0, space), value: line.slice(space + 1), start, end: next });
    }
    start = next;
  }
  return { headers, body: end + 2 };
}

function timeOf(person: string): Date {
  const [, seconds] = /^[^<>\n]*<[^<>\n]*> (\d{1,11}) [+-]\d{4}$/.exec(person) ?? [];
  if (seconds === undefined) throw new MalformedObject('does not say when it was made');
  return new Date(Number(seconds) * 1000);
}

function isId(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

function latin1(content: Uint8Array): string {
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
