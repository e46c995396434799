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

test('a delta is against an object before it, and not upon too many others', () => {
  const ofsDelta = 6;
  const delta = Buffer.from([1, 1, 1, 65]);
  const base = gitObject(blob, Buffer.from('A'));
  const upon = (distance: number) => gitObject(ofsDelta, delta, { base: Buffer.from([distance]) });
  const first = upon(base.length);
  const wide = { maxObjects: 10_000, maxUnpackedBytes: 1_000_000 };
  const chain = (length: number) => gitPack(base, first, ...Array.from({ length }, () => upon(first.length)));
  assert.equal(inspectPack(chain(4000), wide).objects, 4002);
  assert.throws(() => inspectPack(chain(4200), wide), /broken packfile/);
  for (const distance of [0, 1, base.length - 1, base.length + 1]) {
    assert.equal(refusal(gitPack(base, upon(distance))), 'git/protocol', `${distance}`);
  }
  // A base that is further back than seven bits say: 300 is 1 and 44, of which the first counts from one.
  const noise = Buffer.from(Array.from({ length: 1200 }, (_, index) => (index * index * 7919) % 251));
  const filler = gitObject(blob, noise);
  const far = base.length + filler.length;
  const distance = Buffer.from([0x80 | ((far >> 7) - 1), far & 0x7f]);
  assert.equal(inspectPack(gitPack(base, filler, gitObject(ofsDelta, delta, { base: distance })), wide).objects, 3);
});
