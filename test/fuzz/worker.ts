/** Tries inputs on one target after another, where a parser that never ends or takes all memory harms nobody. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import * as fc from 'fast-check';
import { inputsOf } from './inputs.ts';
import type { Job, Report } from './session.ts';
import { writeInput } from './shared-input.ts';
import { outcomeOf, type Target } from './target.ts';

const { module, memory } = workerData as { readonly module: string; readonly memory: SharedArrayBuffer };
const { targets } = (await import(module)) as { readonly targets: readonly Target[] };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

async function work({ name, inputs, seed, path }: Job): Promise<Report> {
  const target = targets.find((each) => each.name === name);
  if (target === undefined) throw new Error(`there is no target ${name}`);
  for (const sample of target.samples) {
    const outcome = await outcomeOf(target, sample);
    // Edits of what is refused to begin with reach nothing.
    if (outcome !== 'ok') throw new Error(`${name}: a sample is refused (${outcome}): ${sample}`);
  }
  const refusals = new Map<string, number>();
  let tried = 0;
  let slowestMs = 0;
  let baseline = 0;
  // What is loaded and compiled at the first inputs is no growth.
  const warm = Math.floor(inputs / 10);
  const started = performance.now();
  const result = await fc.check(
    fc.asyncProperty(inputsOf(target), async (input) => {
      if (tried === warm) {
        await setImmediate();
        baseline = heapBytes();
      }
      tried += 1;
      // What libraries put off until the work at hand is done, such as closing a stream that failed, gets its turn.
      if (tried % 500 === 0) await setImmediate();
      writeInput(memory, input);
      const start = performance.now();
      const outcome = await outcomeOf(target, input);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      refusals.set(outcome, (refusals.get(outcome) ?? 0) + 1);
    }),
    { numRuns: inputs, seed, ...(path === undefined ? {} : { path }) },
  );
  const seconds = (performance.now() - started) / 1000;
  await setImmediate();
  const [input] = result.counterexample ?? [];
  const { errorInstance: error } = result;
  return {
    name,
    inputs: tried,
    seconds,
    refusals: Object.fromEntries([...refusals].sort(([, a], [, b]) => b - a)),
    slowestMs,
    heapGrowthBytes: heapBytes() - baseline,
    ...(input === undefined
      ? {}
      : {
          failure: {
            seed,
            path: result.counterexamplePath ?? '',
            input,
            error: error instanceof Error ? (error.stack ?? error.message) : String(error),
          },
        }),
  };
}

parentPort?.on('message', (job: Job) => {
  work(job).then(
    (report) => parentPort?.postMessage(report),
    (error: unknown) =>
      parentPort?.postMessage({ name: job.name, broken: error instanceof Error ? error.stack : String(error) }),
  );
});
