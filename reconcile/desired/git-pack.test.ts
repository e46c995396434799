import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { PatchpanelError } from '../errors.ts';
import { inspectPack } from './git-pack.ts';

const blob = 3;
const refDelta = 7;
const limits = { maxObjects: 10, maxUnpackedBytes: 1000 };

/** @param size as the header of the object claims */
function object(type: number, content: Uint8Array, size = content.length, base: Uint8Array = new Uint8Array()): Buffer {
  const header = [(type << 4) | (size & 0x0f)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    header[header.length - 1] = (header.at(-1) ?? 0) | 0x80;
    header.push(rest & 0x7f);
  }
  return Buffer.concat([Buffer.from(header), base, deflateSync(content)]);
}

function pack(...objects: readonly Buffer[]): Buffer {
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  head.writeUInt32BE(objects.length, 8);
  return Buffer.concat([head, ...objects, Buffer.alloc(20)]);
}

function refusal(packfile: Uint8Array): string {
  try {
    inspectPack(packfile, limits);
    return 'none';
  } catch (error) {
    assert.ok(error instanceof PatchpanelError);
    return error.code;
  }
}

test('sizes of all objects are added up', () => {
  const packfile = pack(object(blob, Buffer.from('hello')), object(blob, Buffer.alloc(300, 'x')));
  assert.deepEqual(inspectPack(packfile, limits), { objects: 2, unpackedBytes: 305 });
});

test('a few bytes that unfold to many are refused before they do', () => {
  const bomb = object(blob, Buffer.alloc(1_000_000));
  assert.ok(bomb.length < 2000);
  assert.equal(refusal(pack(bomb)), 'source/too-large');
  assert.equal(refusal(pack(...Array.from({ length: 4 }, () => object(blob, Buffer.alloc(300))))), 'source/too-large');
});

test('an object that unfolds to more than it claims is refused', () => {
  assert.equal(refusal(pack(object(blob, Buffer.alloc(1_000_000), 10))), 'git/protocol');
  assert.equal(refusal(pack(object(blob, Buffer.alloc(10), 20))), 'git/protocol');
});

test('a delta counts with what it makes', () => {
  // Base of 5 bytes, result of 200,000: copy instructions do not matter for the count.
  const delta = Buffer.from([5, 0xc0, 0x9a, 0x0c, 0x90, 5]);
  assert.equal(refusal(pack(object(refDelta, delta, delta.length, Buffer.alloc(20, 1)))), 'source/too-large');
});

test('too many objects, and what is no pack, are refused', () => {
  assert.equal(refusal(pack(...Array.from({ length: 11 }, () => object(blob, Buffer.from('x'))))), 'source/too-large');
  const good = pack(object(blob, Buffer.from('hello')));
  for (const bad of [Buffer.alloc(0), Buffer.alloc(64), good.subarray(0, 16), good.subarray(0, 25)]) {
    assert.equal(refusal(bad), 'git/protocol');
  }
});
