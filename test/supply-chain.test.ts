/** What is built is what was locked and reviewed: npm ci, pinned actions, a bill of materials. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));

function read(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8');
}

/** Where packages are installed: the image, CI, and the workflows that others take over. */
const recipes = ['Dockerfile', '.ci/run', ...globSync(['.github/workflows/*.yml', 'examples/**/*.yml'], { cwd: root })];

test('packages come from the lockfile alone', () => {
  // The examples install patchpanel itself, from where its users have it.
  const own = recipes.filter((path) => !path.startsWith('examples/'));
  const installs = own.flatMap((path) =>
    [...read(path).matchAll(/\b(?:npm|npx|yarn|pnpm)\s+(?:ci|i|install|add|update|exec|--yes|-y)\b[^\n]*/g)].map(
      ([command]) => `${path}: ${command}`,
    ),
  );
  assert.ok(installs.length >= 4, 'the pattern finds installs');
  for (const install of installs) assert.match(install, /: npm ci\b/);
  assert.match(read('Dockerfile'), /npm ci --ignore-scripts/);
});

test('every action is pinned by its commit, with the version beside it', () => {
  const workflows = recipes.filter((path) => path.endsWith('.yml'));
  const uses = workflows.flatMap((path) =>
    read(path)
      .split('\n')
      .filter((line) => /^\s*(?:- )?uses:/.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
  assert.ok(uses.length >= 10);
  for (const line of uses) assert.match(line, /uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

test('images have a version, which Renovate pins by digest', () => {
  const froms = [...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image ?? '');
  assert.equal(froms.length, 2);
  for (const image of froms)
    assert.match(image, /:(?!latest)[\w.-]+(@sha256:[0-9a-f]{64})?$|nodejs\d+-debian\d+:nonroot/);
  // It has docker:pinDigests and helpers:pinGitHubActionDigests.
  assert.ok(JSON.parse(read('renovate.json')).extends.includes('config:best-practices'));
});

interface Workflow {
  readonly permissions: object;
  readonly jobs: Readonly<
    Record<string, { readonly steps: readonly { readonly uses?: string; readonly run?: string }[] }>
  >;
}

test('a pull request has its new dependencies reviewed, and a build its bill of materials', () => {
  const workflow: Workflow = parse(read('.github/workflows/ci.yml'));
  assert.deepEqual(workflow.permissions, {});
  const review = workflow.jobs['dependency-review']?.steps ?? [];
  assert.ok(review.some(({ uses }) => uses?.startsWith('actions/dependency-review-action@')));
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
  assert.ok(steps.some(({ run }) => run?.includes('npm run --silent sbom')));
});

interface Bill {
  readonly bomFormat: string;
  readonly components: readonly {
    readonly group?: string;
    readonly name: string;
    readonly version: string;
    readonly properties?: readonly { readonly name: string }[];
  }[];
}

test('the bill of materials has every package of the product, and marks those of checks', () => {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 } as const;
  const bill: Bill = JSON.parse(execFileSync('npm', ['run', '--silent', 'sbom'], options));
  assert.equal(bill.bomFormat, 'CycloneDX');
  const lock: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>> = JSON.parse(
    read('package-lock.json'),
  ).packages;
  const locked = Object.entries(lock)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`);
  const listed = bill.components
    .filter(({ properties = [] }) => !properties.some(({ name }) => name === 'cdx:npm:package:development'))
    .map(({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name}@${version}`);
  assert.deepEqual([...new Set(listed)].sort(), [...new Set(locked)].sort());
});
