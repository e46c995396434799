import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { linesOf } from './report.ts';
import { FuzzSession, type Report } from './session.ts';
import { targets } from './targets.ts';

/** Known to reach much; the other one is new each time, and printed. */
const fixedSeed = 20_261_124;
const randomSeed = Math.floor(Math.random() * 2 ** 31);
const inputs = 60;

process.stdout.write(`fuzz: seeds ${fixedSeed} and ${randomSeed}\n`);

const session = new FuzzSession(new URL('targets.ts', import.meta.url));
after(() => session.close());

for (const { name } of targets) {
  test(`whatever it is given, ${name} answers with a value or a coded refusal`, async () => {
    for (const seed of [fixedSeed, randomSeed]) {
      const report = await session.run({ name, inputs, seed });
      assert.equal(report.failure, undefined, linesOf(report));
      assert.equal(report.inputs, inputs);
    }
  });
}

const faulty = new FuzzSession(new URL('faulty-targets.ts', import.meta.url), { hangMs: 2000, memoryMb: 128 });
after(() => faulty.close());

async function found(name: string): Promise<NonNullable<Report['failure']>> {
  const report = await faulty.run({ name, inputs: 3000, seed: fixedSeed });
  assert.ok(report.failure !== undefined, `${name} was not found out`);
  assert.match(linesOf(report), new RegExp(`FAILED: [\\s\\S]*--only ${name} --seed ${fixedSeed} --`));
  return report.failure;
}

test('a parser without fault has none, and its refusals are counted by code', async () => {
  const { failure, refusals } = await faulty.run({ name: 'sound', inputs: 500, seed: fixedSeed });
  assert.equal(failure, undefined);
  assert.deepEqual(Object.keys(refusals), ['ok', 'yaml/syntax']);
  assert.equal((refusals.ok ?? 0) + (refusals['yaml/syntax'] ?? 0), 500);
});

test('an error of the program is found, made small, and seen again by its seed and path', async () => {
  const { error, input, path } = await found('throws');
  assert.match(error, /TypeError: no quotes|no quotes/);
  assert.ok(input.length <= 12, JSON.stringify(input));
  const again = await faulty.run({ name: 'throws', inputs: 3000, seed: fixedSeed, path });
  assert.equal(again.failure?.input, input);
});

test('a refusal as internal, and a prototype out of an input, are faults', async () => {
  assert.match((await found('internal')).error, /ruled out/);
  assert.match((await found('pollutes')).error, /prototype that came with the input/);
});

test('a parser that never ends, or takes all memory, is ended, and the next one is tried', async () => {
  const { error, input } = await found('hangs');
  assert.match(error, /one input took more than 2000 ms/);
  assert.match(input, /"/);
  assert.match((await found('swallows-memory')).error, /memory/);
  assert.equal((await faulty.run({ name: 'sound', inputs: 10, seed: 1 })).failure, undefined);
});
