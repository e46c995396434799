/** Compares an answer with a recorded one whose variable parts are placeholders such as `<rv>` or `<uid>`. */

const patterns: Readonly<Record<string, string>> = {
  '<rv>': '\\d+',
  '<rv-oldest>': '\\d+',
  '<uid>': '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  '<time>': '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ',
  '<microtime>': '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z',
  '<rand5>': '[a-z0-9]{5}',
  '<continue>': '[A-Za-z0-9_-]+',
  '<sha512>': '[0-9A-F]{128}',
  '<254 x a>': 'a{254}',
  '<go layout 6 decimals>': '2006-01-02T15:04:05.000000Z07:00',
};
const placeholder = new RegExp(Object.keys(patterns).join('|'), 'g');

/** Whether a recorded body was shortened: then more may stand in the answer than in the record. */
export interface MatchOptions {
  readonly trimmed: boolean;
}

/** The first difference, or undefined. */
export function difference(expected: unknown, actual: unknown, options: MatchOptions, path = '$'): string | undefined {
  if (typeof expected === 'string') return stringDifference(expected, actual, path);
  if (Array.isArray(expected)) return listDifference(expected, actual, options, path);
  if (typeof expected === 'object' && expected !== null) {
    return objectDifference(expected as Record<string, unknown>, actual, options, path);
  }
  return expected === actual ? undefined : told(path, expected, actual);
}

function told(path: string, expected: unknown, actual: unknown): string {
  return `${path}: recorded ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`;
}

function stringDifference(expected: string, actual: unknown, path: string): string | undefined {
  if (expected === '<...>' || expected === '<as above>') return undefined;
  if (/^<(commit|date|go|token)>$/.test(expected) && typeof actual === 'string') return undefined;
  if (typeof actual !== 'string') return told(path, expected, actual);
  if (expected === actual) return undefined;
  // Ages of objects, and hashes, are what they are.
  if (/^(\d+[smhdy])+$/.test(expected) && /^(\d+[smhdy])+$/.test(actual)) return undefined;
  if (path.endsWith('.storageVersionHash') || path.endsWith('.serverAddress')) return undefined;
  const pattern = expected
    .split(placeholder)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .reduce((joined, part, index) => {
      const names = expected.match(placeholder) ?? [];
      return index === 0 ? part : `${joined}${patterns[names[index - 1] ?? ''] ?? ''}${part}`;
    }, '');
  return new RegExp(`^${pattern}$`, 's').test(actual) ? undefined : told(path, expected, actual);
}

function listDifference(
  expected: readonly unknown[],
  actual: unknown,
  options: MatchOptions,
  path: string,
): string | undefined {
  if (!Array.isArray(actual)) return told(path, expected, actual);
  // Causes of a validation come in any order, and lists of what is served hold more here or there.
  const anyOrder = /\.(causes|groups|resources|subresources|versions|verbs)$/.test(path);
  if (anyOrder || (options.trimmed && path.endsWith('.discovery.items'))) {
    for (const item of expected) {
      if (!actual.some((other) => difference(item, other, options) === undefined)) {
        return told(
          `${path}[]`,
          item,
          actual.map((other) => nameOf(other)),
        );
      }
    }
    return options.trimmed || path.endsWith('.versions') || expected.length === actual.length
      ? undefined
      : told(`${path}.length`, expected.length, actual.length);
  }
  if (expected.length !== actual.length) return told(`${path}.length`, expected.length, actual);
  for (const [index, item] of expected.entries()) {
    const found = difference(item, actual[index], options, `${path}[${index}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nameOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { name, resource } = value as { readonly name?: unknown; readonly resource?: unknown };
  return name ?? resource ?? value;
}

/** Recorded with some fields left out. */
function isExcerpt(expected: Record<string, unknown>, options: MatchOptions): boolean {
  return options.trimmed || expected['...'] !== undefined;
}

function objectDifference(
  expected: Record<string, unknown>,
  actual: unknown,
  options: MatchOptions,
  path: string,
): string | undefined {
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) return told(path, expected, actual);
  const found = actual as Record<string, unknown>;
  const excerpt = isExcerpt(expected, options);
  for (const [key, value] of Object.entries(expected)) {
    if (key === '...' || (key === 'description' && /columnDefinitions\[\d+\]$/.test(path))) continue;
    const inner = key === 'metadata' && excerpt ? { trimmed: true } : options;
    const different = difference(value, found[key], inner, `${path}.${key}`);
    if (different !== undefined) return different;
  }
  if (excerpt) return undefined;
  const extra = Object.keys(found).find((key) => !(key in expected) && !ignorable(key) && found[key] !== undefined);
  return extra === undefined ? undefined : `${path}.${extra}: not recorded, got ${JSON.stringify(found[extra])}`;
}

/** managedFields were taken out of most records. */
function ignorable(key: string): boolean {
  return key === 'managedFields';
}

/** Rebuilds, from a whole answer, the excerpt that a shortened record holds. */
export function excerptOf(expected: Record<string, unknown>, actual: unknown): unknown {
  if (typeof actual !== 'object' || actual === null) return actual;
  const body = actual as Record<string, unknown>;
  const result: Record<string, unknown> = { ...body };
  for (const key of Object.keys(expected)) {
    const make = excerpts[key];
    if (make !== undefined && (key in body === false || typeof expected[key] === 'number')) result[key] = make(body);
  }
  return result;
}

type Body = Readonly<Record<string, unknown>>;

function at(value: unknown, ...keys: readonly string[]): unknown {
  let current = value;
  for (const key of keys) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Body)[key];
  }
  return current;
}

function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const excerpts: Readonly<Record<string, (body: Body) => unknown>> = {
  names: (body) => items(body.items).map((item) => at(item, 'metadata', 'name')),
  n: (body) => items(body.items).length,
  rows: (body) => items(body.rows).length,
  grace: (body) => at(body, 'metadata', 'deletionGracePeriodSeconds'),
  deletionTimestamp: (body) => at(body, 'metadata', 'deletionTimestamp'),
  labels: (body) => at(body, 'metadata', 'labels'),
  annotations: (body) => at(body, 'metadata', 'annotations'),
  generation: (body) => at(body, 'metadata', 'generation'),
  extra: (body) => at(body, 'spec', 'extra'),
  phase: (body) => at(body, 'status', 'phase'),
  conditions: (body) => at(body, 'status', 'conditions'),
  containers: (body) =>
    items(at(body, 'spec', 'containers')).map((container) => ({
      name: at(container, 'name'),
      image: at(container, 'image'),
    })),
  tolerations: (body) => items(at(body, 'spec', 'tolerations')).map((toleration) => at(toleration, 'key')),
  networks: (body) => at(body, 'spec', 'template', 'spec', 'networks'),
  interfaces: (body) => at(body, 'spec', 'template', 'spec', 'domain', 'devices', 'interfaces'),
  keys: (body) => Object.keys(body),
};
