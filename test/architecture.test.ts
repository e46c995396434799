/** The house rules that a type checker can't see: which room may import which, and what files look like. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Rooms from left to right; a room may import those before it, and itself. */
const rooms = [
  'reconcile/windows',
  'reconcile/systems',
  'reconcile/kube',
  'templates',
  'reconcile/desired',
  'reconcile/live',
  'reconcile/diff',
  'reconcile/plan',
  'reconcile/change',
  'reconcile/adopt',
  'reconcile/apply',
  'reconcile/trace',
  'reconcile/runs',
  'reconcile/report',
] as const;

/** Files beside the rooms that every room may import. */
const vocabulary = ['reconcile/vocabulary.ts', 'reconcile/errors.ts'];

const sources = globSync('{cmd,reconcile,templates,sandbox}/**/*.ts', { cwd: root }).filter(
  (file) => !file.endsWith('.test.ts'),
);

function importsOf(file: string): { readonly specifier: string; readonly typeOnly: boolean }[] {
  const text = readFileSync(join(root, file), 'utf8');
  const statements = text.matchAll(
    /^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm,
  );
  return [...statements].map((match) => ({
    specifier: match[2] ?? match[3] ?? match[4] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

function resolved(file: string, specifier: string): string {
  return normalize(join(dirname(file), specifier))
    .split(sep)
    .join('/');
}

function roomOf(file: string): (typeof rooms)[number] | undefined {
  return rooms.find((room) => file.startsWith(`${room}/`));
}

/** Why `from` must not import `to`; undefined where it may. */
function objection(from: string, to: string): string | undefined {
  if (vocabulary.includes(to)) return undefined;
  if (vocabulary.includes(from)) return 'the vocabulary imports nothing';
  if (from.startsWith('cmd/')) return undefined;
  if (to.startsWith('cmd/')) return 'only cmd imports cmd';
  if (from.startsWith('sandbox/')) {
    const ground = ['sandbox/', 'reconcile/systems/', 'reconcile/kube/'];
    return ground.some((prefix) => to.startsWith(prefix)) ? undefined : 'the sandbox stands on the ground floor alone';
  }
  if (to.startsWith('sandbox/')) return 'the engine does not know the sandbox';
  if (from === 'reconcile/run.ts' || from === 'reconcile/run-trace.ts') return undefined;
  const [mine, theirs] = [roomOf(from), roomOf(to)];
  if (mine === undefined || theirs === undefined) return 'it lies in no room';
  if (rooms.indexOf(theirs) > rooms.indexOf(mine)) return `${theirs} lies to the right of ${mine}`;
  // The two parts of the ground floor that reach outside, and the templates, are for those that say so here.
  if (
    theirs === 'reconcile/kube' &&
    ['templates', 'reconcile/desired', 'reconcile/diff', 'reconcile/plan', 'reconcile/change'].includes(mine)
  ) {
    return `${mine} has no business with a cluster`;
  }
  return undefined;
}

test('imports go one way', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    for (const { specifier } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue;
      const reason = objection(file, resolved(file, specifier));
      if (reason !== undefined) wrong.push(`${file} imports ${specifier}: ${reason}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the rule itself refuses what it should', () => {
  assert.ok(objection('reconcile/diff/diff.ts', 'reconcile/plan/plan.ts'));
  assert.ok(objection('reconcile/systems/cni-config.ts', 'reconcile/live/model.ts'));
  assert.ok(objection('sandbox/actors/multus.ts', 'reconcile/live/observe.ts'));
  assert.ok(objection('reconcile/plan/plan.ts', 'reconcile/kube/connect.ts'));
  assert.ok(objection('reconcile/live/observe.ts', 'cmd/plan.ts'));
  assert.equal(objection('reconcile/apply/apply.ts', 'reconcile/plan/model.ts'), undefined);
});

test('windows, systems, diff, plan and change are pure', () => {
  const pure = ['reconcile/windows/', 'reconcile/systems/', 'reconcile/diff/', 'reconcile/plan/', 'reconcile/change/'];
  const allowed = new Set(['node:crypto', 'croner', 'deep-diff', 'saxes', 'zod']);
  const wrong: string[] = [];
  for (const file of sources.filter((name) => pure.some((prefix) => name.startsWith(prefix)))) {
    for (const { specifier } of importsOf(file)) {
      if (!specifier.startsWith('.') && !allowed.has(specifier)) wrong.push(`${file} imports ${specifier}`);
    }
    const text = readFileSync(join(root, file), 'utf8');
    if (/\bDate\.now\(|new Date\(\)|performance\.now|Math\.random|process\.(?!argv)/.test(text)) {
      wrong.push(`${file} reads a clock, chance or the process`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('files are named and sized as agreed', () => {
  const wrong: string[] = [];
  for (const file of globSync('{cmd,reconcile,templates,sandbox,test}/**/*.ts', { cwd: root })) {
    const name = relative(dirname(file), file).replace(/(\.e2e)?(\.test|\.suite)?\.ts$/, '');
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) wrong.push(`${file} is not in kebab-case`);
    if (/(^|-)(utils?|helpers?)$/.test(name)) wrong.push(`${file} has a name that says nothing`);
    const text = readFileSync(join(root, file), 'utf8');
    const lines = text.split('\n').length - 1;
    if (lines > 400 && !/Longer than 400 lines because/.test(text))
      wrong.push(`${file} has ${lines} lines and no reason`);
  }
  assert.deepEqual(wrong, []);
});
