import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from './slots.ts';

test('no more are taken than there are, in order of asking', async () => {
  const slots = new Slots(2);
  const { signal } = new AbortController();
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  async function work(index: number): Promise<void> {
    assert.equal(await slots.take(signal), true);
    inside += 1;
    most = Math.max(most, inside);
    order.push(index);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    slots.give();
  }
  await Promise.all([0, 1, 2, 3, 4].map(work));
  assert.equal(most, 2);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
});

test('an abort lets those in the queue go without a slot', async () => {
  const slots = new Slots(1);
  const stop = new AbortController();
  assert.equal(await slots.take(stop.signal), true);
  const second = slots.take(stop.signal);
  stop.abort();
  assert.equal(await second, false);
  assert.equal(await slots.take(stop.signal), false);
  slots.give();
  assert.equal(await slots.take(new AbortController().signal), true);
});

test('less than one slot is one', async () => {
  assert.equal(await new Slots(0).take(new AbortController().signal), true);
});
