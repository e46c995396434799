/** One document against the schema: the typed object, or every fault with its place and, where one is near, what was meant. */
import type * as z from 'zod';
import { type ErrorCode, PatchpanelError } from '../errors.ts';
import { nearest } from './edit-distance.ts';
import { jsonSchemaOf, type Kind, kinds, type NetworkAttachmentsDocument, networkAttachmentsSchema } from './schema.ts';
import { apiVersion } from './schema-fields.ts';
import { type PolicyDocument, policySchema, type SettingsDocument, settingsSchema } from './settings-schema.ts';
import { quote, type SourceDocument, type ValuePath } from './yaml-documents.ts';

export type CheckedDocument =
  | {
      readonly kind: 'NetworkAttachments';
      readonly object: NetworkAttachmentsDocument;
      readonly source: SourceDocument;
    }
  | { readonly kind: 'Settings'; readonly object: SettingsDocument; readonly source: SourceDocument };

/** Undefined where the document is faulty; its faults are added to `errors`. */
export function checkDocument(source: SourceDocument, errors: PatchpanelError[]): CheckedDocument | undefined {
  const kind = kindOf(source, kinds, errors);
  if (kind === undefined) return undefined;
  const result =
    kind === 'Settings' ? settingsSchema.safeParse(source.value) : networkAttachmentsSchema.safeParse(source.value);
  if (!result.success) {
    errors.push(...faultsOf(source, kind, result.error));
    return undefined;
  }
  if (result.data.kind === 'Settings') return { kind: 'Settings', object: result.data, source };
  return { kind: 'NetworkAttachments', object: result.data, source };
}

/** The same for the policy of the platform owner. */
export function checkPolicy(source: SourceDocument, errors: PatchpanelError[]): PolicyDocument | undefined {
  if (kindOf(source, ['Policy'], errors) === undefined) return undefined;
  const result = policySchema.safeParse(source.value);
  if (result.success) return result.data;
  errors.push(...faultsOf(source, 'Policy', result.error));
  return undefined;
}

function faultsOf(source: SourceDocument, kind: Kind, { issues }: z.ZodError): readonly PatchpanelError[] {
  const misspelt = new Set(issues.flatMap((issue) => misspeltKeys(kind, issue)));
  return issues.flatMap((issue) => {
    // What is missing because it is misspelt is one fault, not two.
    const missing = valueAt(source.value, pathOf(issue)) === undefined;
    return missing && misspelt.has(dotted(pathOf(issue))) ? [] : issueErrors(source, kind, issue);
  });
}

/** An error at a place in a document. */
export function documentError(
  source: SourceDocument,
  code: ErrorCode,
  path: ValuePath,
  message: string,
  details: { readonly remedy?: string; readonly part?: 'key' | 'value' } = {},
): PatchpanelError {
  const position = source.locate(path, details.part ?? 'value');
  const sourceLine = source.lineAt(position);
  return new PatchpanelError(code, `${source.origin}${message}`, {
    position,
    ...(sourceLine === undefined ? {} : { sourceLine }),
    ...(details.remedy === undefined ? {} : { remedy: details.remedy }),
  });
}

function kindOf<K extends Kind>(source: SourceDocument, kinds: readonly K[], errors: PatchpanelError[]): K | undefined {
  const { value } = source;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    errors.push(documentError(source, 'schema/unknown-kind', [], `${typeName(value)} where an object was expected`));
    return undefined;
  }
  const kind: unknown = Reflect.get(value, 'kind');
  const version: unknown = Reflect.get(value, 'apiVersion');
  const known = kinds.find((each) => each === kind);
  if (known !== undefined && version === apiVersion) return known;
  const wrong = known === undefined ? 'kind' : 'apiVersion';
  const found = known === undefined ? kind : version;
  const meant = typeof found === 'string' ? nearest(found, known === undefined ? kinds : [apiVersion]) : undefined;
  const message =
    found === undefined
      ? `the object has no ${wrong}`
      : `the ${wrong} ${quote(found)} is not known${meant === undefined ? '' : `; did you mean ${quote(meant)}?`}`;
  errors.push(documentError(source, 'schema/unknown-kind', [wrong], message));
  return undefined;
}

function pathOf(issue: z.core.$ZodIssue): ValuePath {
  return issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

/** The keys that were meant by unknown ones, as {@link dotted} paths. */
function misspeltKeys(kind: Kind, issue: z.core.$ZodIssue): readonly string[] {
  if (issue.code !== 'unrecognized_keys') return [];
  const path = pathOf(issue);
  const known = knownKeys(kind, path);
  return issue.keys.flatMap((key) => {
    const meant = nearest(key, known);
    return meant === undefined ? [] : [dotted([...path, meant])];
  });
}

/** Unknown keys of one object that are told one by one. */
const mostKeys = 20;

function issueErrors(source: SourceDocument, kind: Kind, issue: z.core.$ZodIssue): PatchpanelError[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(kind, path);
    const where = path.length === 0 ? '' : ` of ${dotted(path)}`;
    const faults = issue.keys.slice(0, mostKeys).map((key) => {
      const meant = nearest(key, known);
      const message = `unknown key ${quote(key)}${where}${meant === undefined ? '' : `; did you mean ${quote(meant)}?`}`;
      const remedy = meant === undefined ? `Known here: ${known.join(', ')}.` : `Write ${meant}, or remove it.`;
      return documentError(source, 'schema/unknown-key', [...path, key], message, { remedy, part: 'key' });
    });
    const more = issue.keys.length - faults.length;
    if (more > 0) faults.push(documentError(source, 'schema/unknown-key', path, `${more} more unknown keys${where}`));
    return faults;
  }
  const name = dotted(path);
  const found = valueAt(source.value, path);
  if (found === undefined) return [documentError(source, 'schema/invalid', path, `${name} is missing`)];
  return [documentError(source, 'schema/invalid', path, `${name} ${fault(issue, found)}`)];
}

function fault(issue: z.core.$ZodIssue, found: unknown): string {
  switch (issue.code) {
    case 'invalid_type': {
      const hint = typeof found === 'number' && issue.expected === 'string' ? '; put it in quotes' : '';
      return `must be ${article(issue.expected)}, not ${typeName(found)}${hint}`;
    }
    case 'invalid_value': {
      // A message of the schema's own begins in lower case; zod's own does not.
      if (/^[a-z]/.test(issue.message)) return `${issue.message}`;
      const values = issue.values.map(String);
      const meant = typeof found === 'string' ? nearest(found, values) : undefined;
      const list = values.length === 1 ? values[0] : `one of ${values.join(', ')}`;
      return `must be ${list}, not ${quote(found)}${meant === undefined || values.length === 1 ? '' : `; did you mean ${quote(meant)}?`}`;
    }
    case 'too_big':
    case 'too_small':
      return Array.isArray(found) ? issue.message : `${quote(found)} ${issue.message}`;
    case 'custom':
    case 'invalid_format':
    case 'invalid_union':
      return `${quote(found)} ${issue.message}`;
    default:
      return `${quote(found)} is not valid: ${issue.message}`;
  }
}

const schemas = new Map<Kind, unknown>();

/** Keys of the schema at a path, in the order of the reference page. */
function knownKeys(kind: Kind, path: ValuePath): string[] {
  let schema: unknown = schemas.get(kind) ?? jsonSchemaOf(kind);
  schemas.set(kind, schema);
  for (const step of path) {
    const inner = typeof step === 'number' ? get(schema, 'items') : get(get(schema, 'properties'), step);
    schema = inner;
  }
  const properties = get(schema, 'properties');
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

function valueAt(value: unknown, path: ValuePath): unknown {
  let found = value;
  for (const step of path) found = get(found, step);
  return found;
}

function get(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

/** `spec.attachments[0].mac`; the whole document is `the object`. */
function dotted(path: ValuePath): string {
  if (path.length === 0) return 'the object';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${step}`))
    .join('');
}

function article(expected: string): string {
  const names: Record<string, string> = {
    string: 'text',
    int: 'a whole number',
    number: 'a whole number',
    object: 'a mapping',
    record: 'a mapping',
    array: 'a list',
    boolean: 'true or false',
  };
  return names[expected] ?? expected;
}

function typeName(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return `the text ${quote(value)}`;
    case 'number':
    case 'bigint':
      return `the number ${value}`;
    case 'boolean':
      return `${value}`;
    case 'object':
      return 'a mapping';
    default:
      return typeof value;
  }
}
