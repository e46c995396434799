import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitObject, gitPack } from '../../test/git-packs.ts';
import { PatchpanelError } from '../errors.ts';
import { inspectPack } from './git-pack.ts';

const blob = 3;
const refDelta = 7;
const limits = { maxObjects: 10, maxUnpackedBytes: 1000 };

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
  const packfile = gitPack(gitObject(blob, Buffer.from('hello')), gitObject(blob, Buffer.alloc(300, 'x')));
  assert.deepEqual(inspectPack(packfile, limits), { objects: 2, unpackedBytes: 305 });
});

test('a few bytes that unfold to many are refused before they do', () => {
  const bomb = gitObject(blob, Buffer.alloc(1_000_000));
  assert.ok(bomb.length < 2000);
  assert.equal(refusal(gitPack(bomb)), 'source/too-large');
  assert.equal(
    refusal(gitPack(...Array.from({ length: 4 }, () => gitObject(blob, Buffer.alloc(300))))),
    'source/too-large',
  );
});

test('an object that unfolds to more than it claims is refused', () => {
  assert.equal(refusal(gitPack(gitObject(blob, Buffer.alloc(1_000_000), { size: 10 }))), 'git/protocol');
  assert.equal(refusal(gitPack(gitObject(blob, Buffer.alloc(10), { size: 20 }))), 'git/protocol');
});

test('a delta counts with what it makes', () => {
  // Base of 5 bytes, result of 200,000: copy instructions do not matter for the count.
  const delta = Buffer.from([5, 0xc0, 0x9a, 0x0c, 0x90, 5]);
  assert.equal(refusal(gitPack(gitObject(refDelta, delta, { base: Buffer.alloc(20, 1) }))), 'source/too-large');
});

test('too many objects, and what is no pack, are refused', () => {
  assert.equal(
    refusal(gitPack(...Array.from({ length: 11 }, () => gitObject(blob, Buffer.from('x'))))),
    'source/too-large',
  );
  const good = gitPack(gitObject(blob, Buffer.from('hello')));
  for (const bad of [Buffer.alloc(0), Buffer.alloc(64), good.subarray(0, 16), good.subarray(0, 25)]) {
    assert.equal(refusal(bad), 'git/protocol');
  }
});
