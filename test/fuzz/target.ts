/** What is fuzzed: a parser, inputs that it takes, and what it may answer. */
import { PatchpanelError, PatchpanelErrors } from '../../reconcile/errors.ts';

/** How inputs are made of the samples: bytes (one character each), text, or JSON whose shape is changed too. */
export type InputKind = 'bytes' | 'text' | 'json';

export interface Target {
  readonly name: string;
  readonly kind: InputKind;
  readonly samples: readonly string[];
  /** Pieces that mean something to the parser. */
  readonly pieces?: readonly string[];
  /**
   * Hands the input to the parser. What comes back is its value; a parser that answers a failure as a value
   * answers {@link Refused}.
   */
  readonly run: (input: string) => unknown;
  /** The parser's own failure, where it is no PatchpanelError: what to count it as. */
  readonly refusal?: (error: Error) => string | undefined;
}

/** A failure that a parser answers as a value. */
export class Refused {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** What an input came to: `ok`, or the code of a refusal. @throws Error where the parser broke the rules */
export async function outcomeOf(target: Target, input: string): Promise<string> {
  let value: unknown;
  try {
    value = await target.run(input);
  } catch (error) {
    const code = refusalOf(target, error);
    if (code === undefined) throw error;
    value = new Refused(code);
  }
  refusePollution(value);
  return value instanceof Refused ? value.why : 'ok';
}

function refusalOf({ refusal }: Target, error: unknown): string | undefined {
  if (error instanceof PatchpanelErrors) return error.errors[0]?.code ?? 'no code';
  // What its own code rules out is a bug, however it is called.
  if (error instanceof PatchpanelError) return error.code === 'internal' ? undefined : error.code;
  return error instanceof Error ? refusal?.(error) : undefined;
}

const shared = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Map.prototype];
const before = shared.map((prototype) => Reflect.ownKeys(prototype).length);
/** So many parts of a value are looked at. */
const mostParts = 2000;

/** No prototype that all share has changed, and no value has a prototype that came out of an input. */
function refusePollution(value: unknown): void {
  for (const [index, prototype] of shared.entries()) {
    if (Reflect.ownKeys(prototype).length !== before[index]) throw new Error('a prototype of the language was changed');
  }
  const pending = [value];
  for (let count = 0; pending.length > 0 && count < mostParts; count += 1) {
    const part = pending.pop();
    if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) continue;
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== null && !isOfClass(prototype))
      throw new Error('a value has a prototype that came with the input');
    for (const key of Object.keys(part).slice(0, mostParts)) pending.push(Reflect.get(part, key));
  }
}

function isOfClass(prototype: unknown): boolean {
  if (typeof prototype !== 'object' || prototype === null || !Object.hasOwn(prototype, 'constructor')) return false;
  return typeof Reflect.get(prototype, 'constructor') === 'function';
}
