/** A run of one target in words. */
import type { Report } from './session.ts';

const shown = 4000;

export function linesOf({ name, inputs, seconds, refusals, slowestMs, heapGrowthBytes, failure }: Report): string {
  const counts = Object.entries(refusals).map(([code, count]) => `${code} ${count}`);
  const growth = Math.round(heapGrowthBytes / 2 ** 10);
  const line = `${name}: ${inputs} inputs, ${seconds.toFixed(1)} s, slowest ${slowestMs.toFixed(0)} ms, heap ${growth} KiB; ${counts.join(', ')}\n`;
  if (failure === undefined) return line;
  const { seed, path, input, error } = failure;
  const again = `npm run fuzz -- --only ${name} --seed ${seed}${path === '' ? ` --inputs ${inputs}` : ` --path ${path}`}`;
  const text = JSON.stringify(input);
  const cut = text.length > shown ? `${text.slice(0, shown)}... (${input.length} characters)` : text;
  return `${line}  FAILED: ${error.replaceAll('\n', '\n  ')}\n  input: ${cut}\n  again: ${again}\n`;
}
