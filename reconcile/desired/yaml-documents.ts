/** YAML and JSON files: documents with the place of every key and value in them, or all faults of the file. */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
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

/** All documents of a file; empty ones are left out. Faults are added to `errors`, and a faulty document is left out. */
export function parseYaml(source: SourceText, errors: PatchpanelError[]): SourceDocument[] {
  let documents: readonly Document.Parsed[];
  try {
    const parsed = parseAllDocuments(source.text, { prettyErrors: false, uniqueKeys: false, stringKeys: false });
    documents = Array.isArray(parsed) ? parsed : [];
  } catch (cause) {
    errors.push(tooDeep(source, cause));
    return [];
  }
  return documents.flatMap((document) => {
    try {
      return parseDocument(source, document, errors);
    } catch (cause) {
      if (cause instanceof PatchpanelError) errors.push(cause);
      else errors.push(tooDeep(source, cause));
      return [];
    }
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
    const message = /call stack/.test(fault.message) ? nestedTooDeeply : lowerFirst(fault.message);
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

/** Keys must be plain and unique, aliases must have an anchor. Each key is looked up once: a large map is no trap. */
function checkNodes(source: SourceText, document: Document.Parsed, errors: PatchpanelError[]): void {
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      errors.push(source.error('yaml/syntax', `the alias *${alias.source} has no anchor before it`, startOf(alias)));
    },
    Map(_, map) {
      const seen = new Map<string, number>();
      for (const pair of map.items) {
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
    },
  });
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
