/** What the benchmark prints: one table for people. */
import { type Measurement, median } from './measure.ts';

export interface SizeResult {
  readonly vms: number;
  /** Name and version of the cluster. */
  readonly cluster: string;
  /** Bytes of JSON of one VM, its VMI and its launcher pod. */
  readonly bytesPerVm: number;
  /** Round by round. */
  readonly floors: readonly Measurement[];
  readonly plans: readonly Measurement[];
  /** Of one plan. */
  readonly requests: number;
  readonly writes: number;
  /** Milliseconds a VM, or why they could not be had. */
  readonly kubectl: number | string;
}

type Column = readonly [title: string, cell: (result: SizeResult) => string];

const ms = (of: (result: SizeResult) => readonly number[]) => (result: SizeResult) => median(of(result)).toFixed(0);

function stage(...names: readonly string[]): (result: SizeResult) => readonly number[] {
  return ({ plans }) => plans.map(({ stages }) => names.reduce((sum, name) => sum + (stages[name] ?? 0), 0));
}

const columns: readonly Column[] = [
  ['VMs', ({ vms }) => String(vms)],
  ['floor ms', ms(({ floors }) => floors.map((each) => each.ms))],
  ['plan ms', ms(({ plans }) => plans.map((each) => each.ms))],
  [
    'ratio',
    ({ floors, plans }) => median(plans.map((each, round) => each.ms / (floors[round]?.ms ?? each.ms))).toFixed(2),
  ],
  [
    'CPU ratio',
    ({ floors, plans }) =>
      median(plans.map((each, round) => each.cpuMs / (floors[round]?.cpuMs ?? each.cpuMs))).toFixed(2),
  ],
  ['render', ms(stage('render'))],
  ['list', ({ plans }) => median(plans.map(({ stages }) => (stages.observe ?? 0) - (stages.parse ?? 0))).toFixed(0)],
  ['parse', ms(stage('parse'))],
  ['diff', ms(stage('diff'))],
  ['plan', ms(stage('plan'))],
  ['RSS MiB', ({ plans }) => median(plans.map(({ rssMiB }) => rssMiB)).toFixed(0)],
  ['floor RSS', ({ floors }) => median(floors.map(({ rssMiB }) => rssMiB)).toFixed(0)],
  ['requests', ({ requests }) => String(requests)],
  ['writes', ({ writes }) => String(writes)],
  ['kubectl diff ms/VM', ({ kubectl }) => (typeof kubectl === 'number' ? kubectl.toFixed(1) : '-')],
];

/** The table, what each further VM costs, and what could not be measured. */
export function table(results: readonly SizeResult[]): string {
  const rows = [columns.map(([title]) => title), ...results.map((result) => columns.map(([, cell]) => cell(result)))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, index) => cell.padStart(widths[index] ?? 0)).join('  '));
  const [first] = results;
  const about =
    first === undefined ? [] : [`${first.cluster}, ${(first.bytesPerVm / 1024).toFixed(1)} KiB of JSON a VM`];
  const missing = new Set(
    results.flatMap(({ kubectl }) => (typeof kubectl === 'string' ? [`kubectl diff: ${kubectl}`] : [])),
  );
  return `${[...about, '', ...lines, '', ...marginals(results), ...missing].join('\n')}\n`;
}

/** From one size to the next: what a plan takes for each VM more. */
function marginals(results: readonly SizeResult[]): readonly string[] {
  return results.slice(1).flatMap((after, index) => {
    const before = results[index];
    if (before === undefined) return [];
    const more = after.vms - before.vms;
    const grown = (of: (each: Measurement) => number): number =>
      (median(after.plans.map(of)) - median(before.plans.map(of))) / more;
    const time = grown((each) => each.ms).toFixed(3);
    const cpu = grown((each) => each.cpuMs).toFixed(3);
    const memory = (grown((each) => each.rssMiB) * 1024).toFixed(1);
    return [`from ${before.vms} to ${after.vms}: ${time} ms, ${cpu} ms of CPU, ${memory} KiB more a VM`];
  });
}
