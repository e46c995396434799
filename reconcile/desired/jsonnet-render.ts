/** A `.jsonnet` file of a repository to the objects that it yields. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { PatchpanelError, type Position } from '../errors.ts';
import { collectImports, type ImportSet, refuseImports } from './jsonnet-imports.ts';
import { lexJsonnet } from './jsonnet-lexer.ts';
import { jsonnetLibrary } from './jsonnet-library.ts';
import { JsonnetRunner } from './jsonnet-runner.ts';
import type { SourceTree } from './source-tree.ts';
import {
  decodeText,
  maxFaults,
  quote,
  type SourceDocument,
  type SourceText,
  type ValuePath,
} from './yaml-documents.ts';

export interface JsonnetOptions {
  /** External variables, read with `std.extVar`: as text, and as Jsonnet code. */
  readonly extStr?: Readonly<Record<string, string>>;
  readonly extCode?: Readonly<Record<string, string>>;
  /** Arguments of files that are functions: as text, and as Jsonnet code. */
  readonly tlaStr?: Readonly<Record<string, string>>;
  readonly tlaCode?: Readonly<Record<string, string>>;
  /** Milliseconds for one file, 30,000 by default. */
  readonly timeoutMs?: number;
  /** Resident bytes of the evaluating process, 512 MiB by default. */
  readonly memoryBytes?: number;
}

const defaultTimeoutMs = 30_000;
const defaultMemoryBytes = 512 * 2 ** 20;
/** Characters of a rendered file. */
const maxOutput = 32 * 2 ** 20;

/** Renders the files of one load; the child process and the temporary folder last as long. */
export class JsonnetRenderer {
  readonly #tree: SourceTree;
  readonly #options: JsonnetOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #laidOut = new Set<string>();
  #workspace: Promise<{ readonly folder: string; readonly root: string; readonly runner: JsonnetRunner }> | undefined;

  constructor(tree: SourceTree, options: JsonnetOptions, signal?: AbortSignal) {
    this.#tree = tree;
    this.#options = options;
    this.#signal = signal;
  }

  /**
   * The objects of a file. Parts of the result that are no objects are added to `errors`.
   * @throws PatchpanelError jsonnet/*
   */
  async render(file: string, errors: PatchpanelError[]): Promise<SourceDocument[]> {
    const { extStr = {}, extCode = {}, tlaStr = {}, tlaCode = {} } = this.#options;
    for (const [name, code] of Object.entries(extCode)) refuseImports(`--ext-code ${name}`, code);
    for (const [name, code] of Object.entries(tlaCode)) refuseImports(`--tla-code ${name}`, code);
    const library = await jsonnetLibrary();
    const imports = await collectImports(this.#tree, file, library);
    const { files } = imports;
    this.#workspace ??= this.#open();
    const { root, runner } = await this.#workspace;
    for (const [path, bytes] of files) await this.#layOut(root, path, withoutMark(bytes));
    for (const [path, name] of imports.libraryFiles) await this.#layOut(root, path, library.get(name) ?? '');
    const job = { file, extStr, extCode, tlaStr, tlaCode, maxOutput };
    const outcome = await runner.run(job).catch((error: unknown) => {
      if (!(error instanceof PatchpanelError) || error.code !== 'jsonnet/unavailable') throw error;
      throw atTop(error.code, error.message, file, files);
    });
    switch (outcome.kind) {
      case 'result':
        return documentsOf(file, outcome.json, files, errors);
      case 'failed':
        throw evaluationError(file, outcome.message, imports);
      case 'timeout': {
        const seconds = (this.#options.timeoutMs ?? defaultTimeoutMs) / 1000;
        throw atTop('jsonnet/timeout', `the evaluation did not finish within ${seconds} s`, file, files);
      }
      case 'memory': {
        const mebibytes = Math.round((this.#options.memoryBytes ?? defaultMemoryBytes) / 2 ** 20);
        throw atTop('jsonnet/memory', `the evaluation took more than ${mebibytes} MiB of memory`, file, files);
      }
      case 'tooLarge':
        throw atTop('jsonnet/memory', `the result is longer than ${maxOutput} characters`, file, files);
      case 'unavailable':
        throw new PatchpanelError('internal', outcome.reason);
      default:
        return outcome satisfies never;
    }
  }

  async close(): Promise<void> {
    if (this.#workspace === undefined) return;
    const { folder, runner } = await this.#workspace;
    runner.close();
    await rm(folder, { recursive: true, force: true });
  }

  async #layOut(root: string, path: string, content: Uint8Array | string): Promise<void> {
    if (this.#laidOut.has(path)) return;
    this.#laidOut.add(path);
    await mkdir(join(root, dirname(path)), { recursive: true, mode: 0o700 });
    await writeFile(join(root, path), content, { mode: 0o600 });
  }

  async #open(): Promise<{ folder: string; root: string; runner: JsonnetRunner }> {
    const folder = await mkdtemp(join(tmpdir(), 'patchpanel-jsonnet-'));
    const root = join(folder, 'root');
    await mkdir(root, { mode: 0o700 });
    const limits = {
      timeoutMs: this.#options.timeoutMs ?? defaultTimeoutMs,
      memoryBytes: this.#options.memoryBytes ?? defaultMemoryBytes,
    };
    return { folder, root, runner: new JsonnetRunner(root, limits, this.#signal) };
  }
}

type Sources = ReadonlyMap<string, Uint8Array>;

/** libjsonnet does not know the byte order mark that some editors write. */
function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** The result may be one object, a `List`, an array, or a map of objects by any name, nested at will; null is left out. */
function documentsOf(file: string, json: string, sources: Sources, errors: PatchpanelError[]): SourceDocument[] {
  const documents: SourceDocument[] = [];
  const places = literalPlaces(sources);
  const collect = (value: unknown, path: ValuePath): void => {
    if (value === null || errors.length >= maxFaults) return;
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) collect(item, [...path, index]);
    } else if (typeof value !== 'object') {
      const where = path.length === 0 ? 'the result' : `the result at ${placeInResult(path)}`;
      const message = `${where} is ${quote(value)}, where an object was expected`;
      errors.push(atTop('schema/invalid', message, file, sources));
    } else if (isList(value)) collect(Reflect.get(value, 'items'), [...path, 'items']);
    else if (isObjectOfKind(value)) documents.push(renderedDocument(file, withoutNulls(value), path, places));
    else for (const [key, item] of Object.entries(value)) collect(item, [...path, key]);
  };
  collect(JSON.parse(json), []);
  return documents;
}

/** The steps to a value, the last ones where there are many. */
function placeInResult(path: ValuePath): string {
  const text = path.join('.');
  return text.length > 80 ? `...${text.slice(-80)}` : text;
}

/** In Jsonnet, what is null is not given: conditional fields and elements are written so. */
function withoutNulls(value: object): object {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(inside);
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(kept.map(([key, item]) => [key, inside(item)]));
}

function inside(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? withoutNulls(value) : value;
}

function isList(value: object): boolean {
  return Reflect.get(value, 'kind') === 'List' || Object.keys(value).join() === 'items';
}

/** Also an object that only lacks its kind, so that the message can say so. */
function isObjectOfKind(value: object): boolean {
  return ['kind', 'apiVersion', 'spec', 'metadata'].some((key) => Object.hasOwn(value, key));
}

interface LiteralPlaces {
  /** Where a word or string stands, if it stands in exactly one place of all sources. */
  unique(text: string): { readonly position: Position; readonly source: SourceText } | undefined;
  lineAt(position: Position): string | undefined;
}

/** Jsonnet tells no places of its results; a faulty value that stands once in the sources is shown there all the same. */
function literalPlaces(sources: Sources): LiteralPlaces {
  let index: Map<string, { position: Position; source: SourceText } | undefined> | undefined;
  const texts = new Map<string, SourceText>();
  const build = () => {
    const built = new Map<string, { position: Position; source: SourceText } | undefined>();
    for (const [path, bytes] of sources) {
      if (!/\.(?:jsonnet|libsonnet|json)$/.test(path)) continue;
      const source = decodeText(path, bytes);
      texts.set(path, source);
      for (const { kind, text, offset } of lexJsonnet(source.text)) {
        if (kind !== 'word' && kind !== 'string') continue;
        built.set(text, built.has(text) ? undefined : { position: source.positionAt(offset), source });
      }
    }
    return built;
  };
  return {
    unique(text) {
      index ??= build();
      return index.get(text);
    },
    lineAt(position) {
      index ??= build();
      return texts.get(position.file)?.line(position.line);
    },
  };
}

function renderedDocument(file: string, value: object, path: ValuePath, places: LiteralPlaces): SourceDocument {
  const metadata: unknown = Reflect.get(value, 'metadata');
  const name: unknown = typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'name') : undefined;
  const which =
    typeof name === 'string' ? quote(name) : path.length === 0 ? 'the object' : `the object at ${placeInResult(path)}`;
  return {
    file,
    value,
    origin: `in ${which}: `,
    locate(inner, part) {
      const last = inner.at(-1);
      const text = part === 'key' ? last : valueAt(value, inner);
      const found = typeof text === 'string' ? places.unique(text) : undefined;
      return found?.position ?? { file, line: 1, column: 1 };
    },
    lineAt: (position) => places.lineAt(position),
  };
}

function valueAt(value: unknown, path: ValuePath): unknown {
  let found = value;
  for (const step of path) {
    found =
      typeof found === 'object' && found !== null && Object.hasOwn(found, step) ? Reflect.get(found, step) : undefined;
  }
  return found;
}

type ErrorAt = ConstructorParameters<typeof PatchpanelError>[0];

function atTop(code: ErrorAt, message: string, file: string, files: Sources): PatchpanelError {
  return decodeText(file, files.get(file) ?? new Uint8Array()).error(code, message, 0);
}

/** `fleet.jsonnet:3:5-9`, `fleet.jsonnet:(3:5)-(4:2)`, `fleet.jsonnet:3:5`. */
const placePattern = /(?<file>[^\s:()]+):\(?(?<line>\d+):(?<column>\d+)/;

/** libjsonnet counts bytes; all other columns here count the characters of a JavaScript string. */
function columnOfByte(line: string, column: number): number {
  return Buffer.from(line).toString('utf8', 0, column - 1).length + 1;
}

/** Where a path stands before a place. */
const placedPath = /[^\s:()]+(?=:\(?\d+:\d+)/g;

/** libjsonnet's message with the first place that is in the repository, and the library by its import name. */
function evaluationError(file: string, raw: string, { files, libraryFiles }: ImportSet): PatchpanelError {
  // libjsonnet joins paths as they are written: `vms/../lib/x.libsonnet`.
  const text = raw.trimEnd().replaceAll(placedPath, (written) => {
    const path = posix.normalize(written);
    return libraryFiles.get(path) ?? (files.has(path) ? path : written);
  });
  const [first = '', ...trace] = text.split('\n');
  const isStatic = first.startsWith('STATIC ERROR');
  const frames = (isStatic ? [first] : trace).map((line) => placePattern.exec(line)?.groups);
  const place = frames.find((groups) => groups?.file !== undefined && files.has(groups.file));
  const summary = first
    .replace(/^(?:STATIC|RUNTIME) ERROR: /, '')
    .replace(isStatic ? /^[^\s:]+:[-\d:()]+:? / : /^/, '')
    .replace(/\.$/, '');
  const steps = trace.map((line) => line.trim().replace('\t', ' in ')).filter((line) => line !== '');
  const message =
    isStatic || steps.length === 0 ? summary : `${summary}\n${steps.map((step) => `  ${step}`).join('\n')}`;
  const code = isStatic ? 'jsonnet/syntax' : 'jsonnet/runtime';
  if (place?.file === undefined) return atTop(code, message, file, files);
  const source = decodeText(place.file, files.get(place.file) ?? new Uint8Array());
  const sourceLine = source.line(Number(place.line));
  const column = columnOfByte(sourceLine ?? '', Number(place.column));
  const position = { file: place.file, line: Number(place.line), column };
  return new PatchpanelError(code, message, { position, ...(sourceLine === undefined ? {} : { sourceLine }) });
}
