/** Loaded before a measured program: writes into the file that BENCH_GAUGE names what the program took. */
import { writeFileSync } from 'node:fs';

const { parse } = JSON;
let parseMs = 0;

/** Below, a text is no page of a list, and taking the time would cost more than it tells. */
const worthTiming = 10_000;

JSON.parse = (text: string, reviver?: Parameters<typeof parse>[1]): unknown => {
  if (text.length < worthTiming) return parse(text, reviver);
  const started = performance.now();
  const value: unknown = parse(text, reviver);
  parseMs += performance.now() - started;
  return value;
};

process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const stages: Record<string, number> = { parse: parseMs };
  for (const { name, duration } of performance.getEntriesByType('measure')) {
    stages[name] = (stages[name] ?? 0) + duration;
  }
  const file = process.env.BENCH_GAUGE;
  if (file === undefined) return;
  writeFileSync(file, JSON.stringify({ rssKiB: maxRSS, cpuMs: (userCPUTime + systemCPUTime) / 1000, stages }));
});
