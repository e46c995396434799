/** Runs a program as a child process and takes its time and its peak of memory. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

export interface Measurement {
  /** From the start of the process to its end. */
  readonly ms: number;
  readonly cpuMs: number;
  readonly rssMiB: number;
  /** Milliseconds by the name of the stage. */
  readonly stages: Readonly<Record<string, number>>;
  readonly code: number | null;
  readonly stdout: string;
}

interface Gauge {
  readonly rssKiB: number;
  readonly cpuMs: number;
  readonly stages: Readonly<Record<string, number>>;
}

/** A folder with programs of the benchmark as JavaScript: both sides run what is built, and none pays for types. */
export class Programs {
  readonly #folder: string;
  readonly #profile: string | undefined;

  /** @param profile folder for CPU profiles */
  constructor(folder: string, profile?: string) {
    this.#folder = join(folder, 'programs');
    this.#profile = profile;
    mkdirSync(this.#folder);
    symlinkSync(join(import.meta.dirname, '../../node_modules'), join(this.#folder, 'node_modules'));
    for (const name of ['floor', 'gauge']) {
      const source = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8');
      writeFileSync(this.path(name), stripTypeScriptTypes(source));
    }
  }

  path(name: 'floor' | 'gauge' | string): string {
    return join(this.#folder, `${name}.mjs`);
  }

  async run(script: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Measurement> {
    const gauge = join(this.#folder, 'gauge.json');
    const flags = ['--no-warnings', '--import', this.path('gauge')];
    if (this.#profile !== undefined) flags.push('--cpu-prof', `--cpu-prof-dir=${this.#profile}`);
    const began = performance.now();
    const { code, stdout, stderr } = await finished(process.execPath, [...flags, script, ...args], {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      BENCH_GAUGE: gauge,
      ...env,
    });
    const ms = performance.now() - began;
    if (code !== 0) throw new Error(`${script} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    const { rssKiB, cpuMs, stages } = JSON.parse(readFileSync(gauge, 'utf8')) as Gauge;
    return { ms, cpuMs, rssMiB: rssKiB / 1024, stages, code, stdout };
  }
}

/** Runs a program to its end. */
export function finished(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
