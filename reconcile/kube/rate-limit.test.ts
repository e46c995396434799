import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots, TokenBucket } from './rate-limit.ts';

test('the burst is free, then one request each 1/qps', () => {
  let now = 0;
  const bucket = new TokenBucket(10, 3, () => now);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => bucket.reserve()),
    [0, 0, 0, 100, 200],
  );
  now = 200;
  assert.equal(bucket.reserve(), 100);
  now = 1_000_000;
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.reserve()),
    [0, 0, 0, 100],
  );
});

test('Infinity never waits', () => {
  const bucket = new TokenBucket(Infinity, 1, () => 0);
  assert.deepEqual(
    [1, 2, 3].map(() => bucket.reserve()),
    [0, 0, 0],
  );
});

test('slots bound what runs at a time, and are given back after a failure', async () => {
  const slots = new Slots(2);
  let running = 0;
  let most = 0;
  const work = Array.from({ length: 9 }, (_, i) =>
    slots.run(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (i % 3 === 0) throw new Error('failed');
    }),
  );
  const results = await Promise.allSettled(work);
  assert.equal(most, 2);
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 3);
});
