/**
 * Every end-to-end scenario on the sandbox, on a real kube-apiserver and, as far as it goes by way of KubeVirt, on KubeVirt's own
 * controllers, and a table of how they ended:
 * `node test/control-plane/run.ts`, or with the files to run. Node's runner tells of each as it goes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type ClusterKind, clusterKinds } from '../cluster-under-test.ts';
import { leftOutOn } from '../left-out.ts';
import { runsOn, scenarioFiles } from '../scenarios.ts';
import { controlPlanePrograms, kubevirtPrograms, kubevirtVersion } from './programs.ts';
import type { ScenarioResult } from './results.ts';

const root = join(import.meta.dirname, '../..');
type Column = ReadonlyMap<string, ScenarioResult>;

function runOn(kind: ClusterKind, files: readonly string[], folder: string): { column: Column; exit: number } {
  console.log(`\n== scenarios on ${kind}`);
  const log = join(folder, `${kind}.jsonl`);
  const { status } = spawnSync(
    process.execPath,
    [
      '--test',
      `--test-concurrency=2`,
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...[`--test-reporter=${join(import.meta.dirname, 'results.ts')}`, `--test-reporter-destination=${log}`],
      ...files,
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATCHPANEL_TEST_CLUSTER: kind } },
  );
  return { column: readColumn(log, files), exit: status ?? 1 };
}

/** What results.ts wrote of these files. */
function readColumn(log: string, files: readonly string[]): Column {
  const results = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ScenarioResult)
    .filter(({ file }) => files.includes(relative(root, file)));
  return new Map(results.map((result) => [`${relative(root, result.file)}: ${result.title}`, result]));
}

/** Where the same check has just tried every scenario on the sandbox, as .ci/run does by `npm test`, they are not tried again. */
function earlierRun(kind: ClusterKind, files: readonly string[]): { column: Column; exit: number } | undefined {
  const { PATCHPANEL_SANDBOX_RESULTS: log } = process.env;
  if (kind !== 'sandbox' || log === undefined || !existsSync(log)) return undefined;
  const column = readColumn(log, files);
  return { column, exit: [...column.values()].every(({ passed }) => passed) ? 0 : 1 };
}

function word(kind: ClusterKind, key: string, result: ScenarioResult | undefined): string {
  if (result === undefined) return runsOn(kind, fileOf(key)) ? 'missing' : '-';
  if (result.skipped !== undefined) return 'not here';
  return result.passed ? 'passed' : 'FAILED';
}

function fileOf(key: string): string {
  return key.slice(0, key.indexOf(': '));
}

/** What is wrong with a column: a scenario that ran on one cluster alone, or a list of exceptions that is not exact. */
function faults(kind: ClusterKind, column: Column, sandbox: Column, whole: boolean): readonly string[] {
  const left = leftOutOn(kind);
  const excused = new Set<string>();
  const wrong: string[] = [];
  for (const key of new Set([...sandbox.keys(), ...column.keys()])) {
    const result = column.get(key);
    const own = result?.title.split(' > ').at(-1) ?? '';
    if (!runsOn(kind, fileOf(key))) continue;
    if (result === undefined || !sandbox.has(key)) wrong.push(`not on ${kind}: ${key}`);
    else if (result.skipped !== undefined && left.get(own) !== result.skipped)
      wrong.push(`left out on ${kind} without a reason in the list: ${key}`);
    else if (result.skipped !== undefined) excused.add(own);
  }
  for (const title of whole ? left.keys() : []) {
    if (!excused.has(title)) wrong.push(`in the list of what is left out on ${kind}, but no such scenario: ${title}`);
  }
  return wrong;
}

const asked = process.argv.slice(2);
const files = asked.length > 0 ? asked : scenarioFiles;
const { folder: programs, seconds } = controlPlanePrograms();
for (const name of ['kube-apiserver', 'etcd']) {
  const [line] = execFileSync(join(programs, name), ['--version'], { encoding: 'utf8' }).split('\n');
  console.log(`${name}: ${line}`);
}
console.log(`kube-apiserver and etcd: ${seconds === 0 ? 'there already' : `built in ${seconds} s`}`);
const kubevirt = kubevirtPrograms();
console.log(
  `virt-controller and virt-api: ${kubevirtVersion()}, ${kubevirt.seconds === 0 ? 'there already' : `built in ${kubevirt.seconds} s`}`,
);
const folder = mkdtempSync(join(tmpdir(), 'patchpanel-scenarios-'));
const columns = new Map<ClusterKind, Column>();
let exit = 0;
try {
  for (const kind of clusterKinds) {
    const began = performance.now();
    const wanted = files.filter((file) => runsOn(kind, file));
    const run = earlierRun(kind, wanted) ?? runOn(kind, wanted, folder);
    columns.set(kind, run.column);
    if (run.exit !== 0) exit = 1;
    console.log(`${kind}: ${run.column.size} scenarios in ${Math.round((performance.now() - began) / 1000)} s`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

console.log(`\n${clusterKinds.map((kind) => kind.padEnd(16)).join('')}scenario`);
const titles = new Set([...columns.values()].flatMap((column) => [...column.keys()]));
for (const title of titles)
  console.log(
    `${clusterKinds.map((kind) => word(kind, title, columns.get(kind)?.get(title)).padEnd(16)).join('')}${title}`,
  );
for (const kind of clusterKinds) {
  const words = [...titles].map((title) => word(kind, title, columns.get(kind)?.get(title)));
  const count = (wanted: string): number => words.filter((one) => one === wanted).length;
  console.log(`${kind}: ${count('passed')} of ${titles.size} passed, ${count('not here')} can not be there`);
}
const sandbox = columns.get('sandbox') ?? new Map<string, ScenarioResult>();
const wrong = [...columns].flatMap(([kind, column]) => faults(kind, column, sandbox, asked.length === 0));
for (const line of wrong) console.log(`WRONG ${line}`);
process.exitCode = wrong.length > 0 ? 1 : exit;
