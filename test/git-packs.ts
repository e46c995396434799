/** Packfiles of git with whatever is wanted in them, right or wrong. Layout: git's gitformat-pack documentation. */
import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

interface ObjectParts {
  /** As the header claims; that of the content where it is not given. */
  readonly size?: number;
  /** Of a delta: the id of what it is against, or the distance back to it, as they stand in the pack. */
  readonly base?: Uint8Array;
}

/** One object: 1 commit, 2 tree, 3 blob, 4 tag, 6 delta against an offset, 7 delta against an id. */
export function gitObject(
  type: number,
  content: Uint8Array,
  { size = content.length, base }: ObjectParts = {},
): Buffer {
  const header = [(type << 4) | (size & 0x0f)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    header[header.length - 1] = (header.at(-1) ?? 0) | 0x80;
    header.push(rest & 0x7f);
  }
  return Buffer.concat([Buffer.from(header), base ?? Buffer.alloc(0), deflateSync(content)]);
}

export function gitPack(...objects: readonly Buffer[]): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(objects.length, 8);
  const body = Buffer.concat([head, ...objects]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}
