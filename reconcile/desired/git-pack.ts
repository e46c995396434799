/**
 * A look at a packfile before it is unpacked: objects say how large they are, and a few bytes can unfold to gigabytes.
 * Layout: git's gitformat-pack documentation.
 */
import { inflateSync } from 'node:zlib';
import { PatchpanelError } from '../errors.ts';
import type { Limits } from './limits.ts';

const headerBytes = 12;
const trailerBytes = 20;
/** Delta against an object at an offset, and against an object by id. */
const ofsDelta = 6;
const refDelta = 7;
/** Deltas upon deltas, as git itself limits them. */
const maxDepth = 4095;

interface ZlibInfo {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/**
 * @throws PatchpanelError source/too-large where objects unfold beyond the limits, git/protocol where it is no packfile, or its
 *   deltas lead nowhere
 */
export function inspectPack(
  pack: Uint8Array,
  limits: Pick<Limits, 'maxObjects' | 'maxUnpackedBytes'>,
): { readonly objects: number; readonly unpackedBytes: number } {
  const view = Buffer.from(pack.buffer, pack.byteOffset, pack.byteLength);
  if (view.length < headerBytes + trailerBytes || view.toString('latin1', 0, 4) !== 'PACK') throw broken();
  const objects = view.readUInt32BE(8);
  if (objects > limits.maxObjects) {
    throw new PatchpanelError('source/too-large', `the commit has more than ${limits.maxObjects} git objects`);
  }
  let unpackedBytes = 0;
  const add = (bytes: number): void => {
    unpackedBytes += bytes;
    if (unpackedBytes > limits.maxUnpackedBytes) {
      throw new PatchpanelError('source/too-large', `the commit unpacks to more than ${limits.maxUnpackedBytes} bytes`);
    }
  };
  let offset = headerBytes;
  /** How many deltas lead to the object that begins at an offset, as far as offsets tell. */
  const depths = new Map<number, number>();
  for (let index = 0; index < objects; index += 1) {
    const header = objectHeader(view, offset);
    depths.set(offset, depthOf(offset, header.distance, depths));
    add(header.size);
    const { buffer, consumed } = inflate(view.subarray(header.end, view.length - trailerBytes), header.size);
    if (header.type === ofsDelta || header.type === refDelta) add(resultSize(buffer));
    offset = header.end + consumed;
  }
  return { objects, unpackedBytes };
}

/**
 * A delta is against an object before it: one against itself would never be unpacked.
 * @throws PatchpanelError git/protocol
 */
function depthOf(offset: number, distance: number | undefined, depths: ReadonlyMap<number, number>): number {
  if (distance === undefined) return 0;
  const depth = depths.get(offset - distance);
  if (depth === undefined || depth >= maxDepth) throw broken();
  return depth + 1;
}

interface ObjectHeader {
  readonly type: number;
  readonly size: number;
  readonly end: number;
  /** Of a delta against an object at an offset: how far back that is. */
  readonly distance?: number;
}

function objectHeader(view: Buffer, offset: number): ObjectHeader {
  const first = byteAt(view, offset);
  const type = (first >> 4) & 0b111;
  const { value, end } = first >= 0x80 ? sizeAt(view, offset + 1) : { value: 0, end: offset + 1 };
  const size = (first & 0x0f) + value * 16;
  if (type === refDelta) return { type, size, end: end + 20 };
  if (type !== ofsDelta) return { type, size, end };
  let at = end;
  let distance = byteAt(view, at) & 0x7f;
  for (; byteAt(view, at) >= 0x80; at += 1) distance = (distance + 1) * 0x80 + (byteAt(view, at + 1) & 0x7f);
  return { type, size, end: at + 1, distance };
}

/** A number in groups of 7 bits, lowest first. */
function sizeAt(view: Buffer, offset: number): { value: number; end: number } {
  let value = 0;
  let factor = 1;
  for (let at = offset; ; at += 1) {
    const byte = byteAt(view, at);
    value += (byte & 0x7f) * factor;
    factor *= 0x80;
    if (byte < 0x80) return { value, end: at + 1 };
  }
}

function resultSize(delta: Buffer): number {
  return sizeAt(delta, sizeAt(delta, 0).end).value;
}

function inflate(data: Buffer, size: number): { buffer: Buffer; consumed: number } {
  try {
    // The typings leave out what `info` does: buffer and engine are returned, and the engine knows what it consumed.
    const result: unknown = inflateSync(data, { info: true, maxOutputLength: Math.max(size, 1) });
    if (isZlibInfo(result) && result.buffer.length === size) {
      return { buffer: result.buffer, consumed: result.engine.bytesWritten };
    }
  } catch (cause) {
    throw broken(cause);
  }
  throw broken();
}

function isZlibInfo(value: unknown): value is ZlibInfo {
  return typeof value === 'object' && value !== null && 'buffer' in value && 'engine' in value;
}

function byteAt(view: Buffer, offset: number): number {
  const byte = view[offset];
  if (byte === undefined) throw broken();
  return byte;
}

function broken(cause?: unknown): PatchpanelError {
  return new PatchpanelError('git/protocol', 'the git host sent a broken packfile', { cause });
}
