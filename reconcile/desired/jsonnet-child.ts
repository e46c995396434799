/**
 * Entry of the child process that evaluates Jsonnet. It has an empty environment, and is killed by its parent when it
 * takes too long or too much memory: libjsonnet can not be interrupted.
 */
export interface JsonnetJob {
  /** Path of the entry file below the working directory. */
  readonly file: string;
  readonly extStr: Readonly<Record<string, string>>;
  readonly extCode: Readonly<Record<string, string>>;
  readonly tlaStr: Readonly<Record<string, string>>;
  readonly tlaCode: Readonly<Record<string, string>>;
  /** Characters of the result. */
  readonly maxOutput: number;
}

export type JsonnetReply =
  /** The addon is loaded, and jobs are welcome. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'result'; readonly json: string }
  /** As libjsonnet words it. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'tooLarge' };

/** The part of the addon that is used; its own typings name methods that do not exist. */
interface Evaluator {
  extString(name: string, value: string): unknown;
  extCode(name: string, value: string): unknown;
  tlaString(name: string, value: string): unknown;
  tlaCode(name: string, value: string): unknown;
  setMaxTrace(lines: number): unknown;
  evaluateFile(path: string): Promise<string>;
}

const traceLines = 8;

function send(reply: JsonnetReply): void {
  process.send?.(reply);
}

async function loadAddon(path: string): Promise<new () => Evaluator> {
  const addon: unknown = await import(path);
  const inner: unknown = typeof addon === 'object' && addon !== null ? Reflect.get(addon, 'default') : undefined;
  const found: unknown = typeof inner === 'object' && inner !== null ? Reflect.get(inner, 'Jsonnet') : undefined;
  if (!isEvaluatorClass(found)) throw new Error('the addon has no Jsonnet class');
  return found;
}

function isEvaluatorClass(value: unknown): value is new () => Evaluator {
  return typeof value === 'function' && typeof value.prototype?.evaluateFile === 'function';
}

async function evaluate(Jsonnet: new () => Evaluator, job: JsonnetJob): Promise<JsonnetReply> {
  const jsonnet = new Jsonnet();
  jsonnet.setMaxTrace(traceLines);
  for (const [name, value] of Object.entries(job.extStr)) jsonnet.extString(name, value);
  for (const [name, value] of Object.entries(job.extCode)) jsonnet.extCode(name, value);
  for (const [name, value] of Object.entries(job.tlaStr)) jsonnet.tlaString(name, value);
  for (const [name, value] of Object.entries(job.tlaCode)) jsonnet.tlaCode(name, value);
  try {
    const json = await jsonnet.evaluateFile(job.file);
    return json.length > job.maxOutput ? { kind: 'tooLarge' } : { kind: 'result', json };
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

// The parent is gone, and an evaluation would keep a plain exit waiting.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

try {
  const Jsonnet = await loadAddon(process.argv[2] ?? '');
  process.on('message', (job: JsonnetJob) => {
    void evaluate(Jsonnet, job).then(send);
  });
  send({ kind: 'ready' });
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  send({ kind: 'unavailable', reason: reason.split('\n')[0] ?? '' });
}
