/** YAML and JSON files: documents with the place of every key and value in them, or all faults of the file. */
import {
  Composer,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  visit,
  type YAMLMap,
} from 'yaml';
import { type ErrorCode, PatchpanelError, type Position } from '../errors.ts';

/** Steps from the root of a document: keys and indexes. */
export type ValuePath = readonly (string | number)[];

/** One value that should be an object of patchpanel, and how to find its parts in the file again. */
export interface SourceDocument {
  readonly file: string;
  readonly value: unknown;
  /** What to put before a message when the place alone does not say which object is meant. */
  readonly origin: string;
  /** Position of the value at a path, or of its key; where the path does not exist, of the nearest that does. */
  locate(path: ValuePath, part: 'key' | 'value'): Position;
  lineAt(position: Position): string | undefined;
}

/** Aliases may expand a document to so many times the nodes that it is written with, as the `yaml` package counts. */
const maxAliasCount = 100;
/** Aliases in a document: the `yaml` package looks for each among all of them. */
const maxAliases = 1000;
/**
 * Characters of a file that may begin or end a value. The `yaml` package makes a few hundred bytes of each: the limit
 * keeps a file of the largest size from taking more memory than Node has.
 */
const maxMarks = 2_000_000;
/** Nobody reads on after so many faults, and each takes memory. */
export const maxFaults = 1000;
const nestedTooDeeply = 'the file is nested too deeply';

/** The text of a file by line, with positions that count from 1. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #counter = new LineCounter();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    this.#counter.addNewLine(0);
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.#counter.addNewLine(at + 1);
  }

  positionAt(offset: number): Position {
    const { line, col } = this.#counter.linePos(Math.min(offset, this.text.length));
    return { file: this.file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  line(line: number): string | undefined {
    const start = this.#counter.lineStarts[line - 1];
    if (start === undefined) return undefined;
    const end = this.text.indexOf('\n', start);
    return this.text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '');
  }

  error(code: ErrorCode, message: string, offset: number, remedy?: string): PatchpanelError {
    const position = this.positionAt(offset);
    const sourceLine = this.line(position.line);
    return new PatchpanelError(code, message, {
      position,
      ...(sourceLine === undefined ? {} : { sourceLine }),
      ...(remedy === undefined ? {} : { remedy }),
    });
  }
}

/** Text of a file; a byte order mark is dropped. @throws PatchpanelError yaml/syntax where it is not UTF-8 */
export function decodeText(file: string, bytes: Uint8Array): SourceText {
  try {
    return new SourceText(file, new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PatchpanelError('yaml/syntax', 'the file is not UTF-8 text', {
      position: { file, line: 1, column: 1 },
      remedy: 'Save it as UTF-8.',
      cause,
    });
  }
}

/**
 * The documents of a file one by one, so that no two need be held as nodes; empty ones are left out. Faults are added to
 * `errors`, and a faulty document is left out.
 * @throws PatchpanelError source/too-large
 */
export function* parseYaml(source: SourceText, errors: PatchpanelError[]): Generator<SourceDocument, void> {
  refuseTooMany(source);
  const documents = composed(source.text);
  for (;;) {
    if (errors.length >= maxFaults) return;
    let found: readonly SourceDocument[] = [];
    try {
      const next = withoutTraces(() => documents.next());
      if (next.done === true) return;
      found = parseDocument(source, next.value, errors);
    } catch (cause) {
      errors.push(cause instanceof PatchpanelError ? cause : tooDeep(source, cause));
    }
    yield* found;
  }
}

/** YAML 1.2 whatever a `%YAML` directive says: in 1.1, `y` would be true, and a MAC a number. */
function composed(text: string): Generator<Document.Parsed, void> {
  const composer = new Composer({
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: false,
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
  });
  return composer.compose(new Parser().parse(text));
}

/** A file can hold millions of mistakes, and the trace of each would take more memory than the mistake. */
function withoutTraces<T>(work: () => T): T {
  const traceLimit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 0;
    return work();
  } finally {
    Error.stackTraceLimit = traceLimit;
  }
}

const marks: ReadonlySet<string> = new Set(['\n', ',', ':', '[', ']', '{', '}']);

function refuseTooMany({ file, text }: SourceText): void {
  if (text.length <= maxMarks) return;
  let count = 0;
  for (const character of text) if (marks.has(character)) count += 1;
  if (count <= maxMarks) return;
  throw new PatchpanelError('source/too-large', `${file} has more than ${maxMarks} lines and values`, {
    remedy: 'Split it into several files.',
  });
}

function parseDocument(source: SourceText, document: Document.Parsed, errors: PatchpanelError[]): SourceDocument[] {
  const before = errors.length;
  // One mistake often makes several errors at one place: the first says what is wrong.
  const shown = new Set<number>();
  for (const fault of [...document.errors, ...document.warnings]) {
    const { line } = source.positionAt(fault.pos[0]);
    if (shown.has(line)) continue;
    shown.add(line);
    if (errors.length >= maxFaults) break;
    // The `yaml` package reports what V8 says of its recursion, and of its regular expressions.
    const message = /call stack|stack overflow/i.test(fault.message) ? nestedTooDeeply : lowerFirst(fault.message);
    errors.push(source.error('yaml/syntax', message, fault.pos[0]));
  }
  if (errors.length > before) return [];
  checkNodes(source, document, errors);
  if (errors.length > before) return [];
  const value = toValue(source, document);
  if (value === null || value === undefined) return [];
  const root = document.contents;
  return [
    {
      file: source.file,
      value,
      origin: '',
      locate: (path, part) => source.positionAt(offsetOf(document, root, path, part)),
      lineAt: (position) => source.line(position.line),
    },
  ];
}

/**
 * Keys must be plain and unique; aliases must have an anchor, and not be part of what they mean. Each key and alias is
 * looked up once: a large document is no trap.
 */
function checkNodes(source: SourceText, document: Document.Parsed, errors: PatchpanelError[]): void {
  const anchors = new Map<string, Node>();
  let aliases = 0;
  visit(document, (_, node, ancestors) => {
    if (errors.length >= maxFaults) return visit.BREAK;
    if (isAlias(node)) {
      aliases += 1;
      const fault = aliasFault(node.source, anchors.get(node.source), ancestors, aliases);
      if (fault !== undefined) errors.push(source.error(fault.code, fault.message, startOf(node)));
      return aliases > maxAliases ? visit.BREAK : undefined;
    }
    if (isMap(node)) checkKeys(source, node, errors);
    if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
    return undefined;
  });
}

function aliasFault(
  name: string,
  meant: Node | undefined,
  ancestors: readonly unknown[],
  count: number,
): { readonly code: ErrorCode; readonly message: string } | undefined {
  if (count > maxAliases) return { code: 'yaml/alias-bomb', message: `there are more than ${maxAliases} aliases` };
  if (meant === undefined) return { code: 'yaml/syntax', message: `the alias *${name} has no anchor before it` };
  if (!ancestors.includes(meant)) return undefined;
  return { code: 'yaml/alias-bomb', message: `the alias *${name} is part of what it means` };
}

function checkKeys(source: SourceText, map: YAMLMap, errors: PatchpanelError[]): void {
  const seen = new Map<string, number>();
  for (const pair of map.items) {
    if (errors.length >= maxFaults) return;
    const key: unknown = pair.key;
    const offset = isNode(key) ? startOf(key) : startOf(map);
    if (!isScalar(key) || (typeof key.value === 'object' && key.value !== null)) {
      errors.push(source.error('yaml/syntax', 'a key must be plain text', offset));
      continue;
    }
    const name = String(key.value);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, offset);
    else {
      const { line } = source.positionAt(first);
      errors.push(source.error('yaml/duplicate-key', `the key ${quote(name)} is already in line ${line}`, offset));
    }
  }
}

function toValue(source: SourceText, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    let offset = 0;
    visit(document, {
      Alias(_, alias) {
        offset = startOf(alias);
        return visit.BREAK;
      },
    });
    throw source.error('yaml/alias-bomb', 'the aliases expand beyond the limit', offset);
  }
}

function tooDeep(source: SourceText, cause: unknown): PatchpanelError {
  if (!(cause instanceof RangeError)) throw cause;
  return source.error('yaml/syntax', nestedTooDeeply, 0);
}

function offsetOf(document: Document.Parsed, root: Node | null, path: ValuePath, part: 'key' | 'value'): number {
  let node: unknown = root;
  let offset = isNode(root) ? startOf(root) : 0;
  for (const [index, step] of path.entries()) {
    const container: unknown = isAlias(node) ? node.resolve(document) : node;
    if (isSeq(container) && typeof step === 'number') node = container.items[step];
    else if (isMap(container)) {
      const pair = pairOf(container.items, String(step));
      if (pair === undefined) return offset;
      if (index === path.length - 1 && part === 'key' && isNode(pair.key)) return startOf(pair.key);
      // A key without a value has its place, where the value is missing.
      if (isNode(pair.key)) offset = startOf(pair.key);
      node = pair.value;
    } else return offset;
    if (isNode(node) && !(isScalar(node) && node.source === '')) offset = startOf(node);
  }
  return offset;
}

function pairOf(items: readonly Pair[], key: string): Pair | undefined {
  return items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);
}

function startOf(node: { readonly range?: readonly number[] | null | undefined }): number {
  return node.range?.[0] ?? 0;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** A name as it stands in messages, cut where it is absurdly long. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 90
    ? `${text.slice(0, 80)}...${text.endsWith('"') ? '"' : ''} (${text.length} characters)`
    : text;
}
