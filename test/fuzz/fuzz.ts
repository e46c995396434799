/**
 * `npm run fuzz`: many inputs for each parser.
 *
 * Options: --inputs N (100,000), --seed S, --only NAME[,NAME], --path P (of a failure, with --only and --seed).
 */
import { parseArgs } from 'node:util';
import { linesOf } from './report.ts';
import { FuzzSession } from './session.ts';
import { targets } from './targets.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    only: { type: 'string' },
    path: { type: 'string' },
  },
});

const inputs = Number(values.inputs);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed))
  throw new Error('--inputs and --seed are whole numbers');
const names = values.only?.split(',') ?? targets.map(({ name }) => name);
const session = new FuzzSession(new URL('targets.ts', import.meta.url));
process.stdout.write(`seed ${seed}, ${inputs} inputs a parser\n`);
let failed = 0;
try {
  for (const name of names) {
    const report = await session.run({
      name,
      inputs,
      seed,
      ...(values.path === undefined ? {} : { path: values.path }),
    });
    if (report.failure !== undefined) failed += 1;
    process.stdout.write(linesOf(report));
  }
} finally {
  await session.close();
}
process.stdout.write(`${names.length} parsers, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
