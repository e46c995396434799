/** Watches a worker that fuzzes: a hang, or memory that runs out, ends the worker and is a failure like any other. */
import { Worker } from 'node:worker_threads';
import { readInput, sharedInput } from './shared-input.ts';

export interface Job {
  readonly name: string;
  readonly inputs: number;
  readonly seed: number;
  /** Where in the run of this seed a failure was, to see it again. */
  readonly path?: string;
}

interface Failure {
  readonly seed: number;
  /** Empty where the failure could not be made smaller: the worker was ended. */
  readonly path: string;
  readonly input: string;
  readonly error: string;
}

export interface Report {
  readonly name: string;
  readonly inputs: number;
  readonly seconds: number;
  /** How often each came: `ok`, or the code of a refusal. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly heapGrowthBytes: number;
  readonly failure?: Failure;
}

export interface SessionOptions {
  /** One input may take so long; far beyond what any takes, so that a slow machine does not fail. */
  readonly hangMs?: number;
  readonly memoryMb?: number;
}

/** A report, or why the harness itself failed. */
type Answer = Report | { readonly broken: string };

/** Growth beyond this over a run is no cache. */
const mostGrowthBytes = 96 * 2 ** 20;

export class FuzzSession {
  readonly #module: string;
  readonly #hangMs: number;
  readonly #memoryMb: number;
  readonly #memory = sharedInput();
  #worker: Worker | undefined;
  #onAnswer: (answer: Answer) => void = () => {};
  #onEnd: (error: Error) => void = () => {};

  /** @param module exports `targets` */
  constructor(module: URL, { hangMs = 30_000, memoryMb = 1024 }: SessionOptions = {}) {
    this.#module = module.href;
    this.#hangMs = hangMs;
    this.#memoryMb = memoryMb;
  }

  async run(job: Job): Promise<Report> {
    const report = await this.#watched(job);
    if (report.failure !== undefined || report.heapGrowthBytes < mostGrowthBytes) return report;
    const grown = `the heap grew by ${Math.round(report.heapGrowthBytes / 2 ** 20)} MiB over ${report.inputs} inputs`;
    return { ...report, failure: { seed: job.seed, path: '', input: '', error: grown } };
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    const worker = new Worker(new URL('worker.ts', import.meta.url), {
      workerData: { module: this.#module, memory: this.#memory },
      resourceLimits: { maxOldGenerationSizeMb: this.#memoryMb },
    });
    worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    worker.on('error', (error: Error) => this.#onEnd(error));
    return worker;
  }

  async #watched(job: Job): Promise<Report> {
    const worker = this.#worker ?? this.#start();
    this.#worker = worker;
    const started = performance.now();
    const first = readInput(this.#memory).count;
    const ended = (error: string): Report => {
      const { count, input } = readInput(this.#memory);
      return {
        name: job.name,
        inputs: count - first,
        seconds: (performance.now() - started) / 1000,
        refusals: {},
        slowestMs: this.#hangMs,
        heapGrowthBytes: 0,
        failure: { seed: job.seed, path: '', input: input(), error },
      };
    };
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Report>((resolve, reject) => {
        let last = first;
        let since = performance.now();
        timer = setInterval(() => {
          const { count } = readInput(this.#memory);
          if (count !== last) [last, since] = [count, performance.now()];
          else if (performance.now() - since > this.#hangMs)
            resolve(ended(`one input took more than ${this.#hangMs} ms`));
        }, 50);
        this.#onAnswer = (answer) => ('broken' in answer ? reject(new Error(answer.broken)) : resolve(answer));
        this.#onEnd = (error) => resolve(ended(error.message));
        worker.postMessage(job);
      }).then(async (report) => {
        // A worker that hangs, or died, is none for the next target.
        if (report.failure?.path === '') await this.close();
        return report;
      });
    } finally {
      clearInterval(timer);
    }
  }
}
