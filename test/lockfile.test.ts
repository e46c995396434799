/**
 * The lockfile serves every platform, also those of contributors on other machines than the one that wrote it; and what it
 * locks is known by digest, runs no scripts but those that were allowed, and has a licence that was looked at.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(read('package-lock.json'));
const manifest: Manifest = JSON.parse(read('package.json'));
const names = Object.keys(lock.packages);
const installed = Object.entries(lock.packages).filter(([path]) => path !== '');
const reasons = read('docs/dependencies.md');

test('each optional dependency of a package is locked, or npm ci refuses the lockfile', () => {
  const missing = Object.entries(lock.packages).flatMap(([owner, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !names.some((path) => path.endsWith(`node_modules/${name}`)))
      .map((name) => `${owner} wants ${name}`),
  );
  assert.deepEqual(missing, []);
});

test('only the packages that package.json allows and docs/dependencies.md names run install scripts', () => {
  const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  const allowed = Object.entries(manifest.allowScripts).filter(([, isAllowed]) => isAllowed);
  const expected = allowed.map(([name]) => `node_modules/${name}`);
  assert.deepEqual(scripted.map(([path]) => path).sort(), expected.sort());
  const section = reasons.slice(reasons.indexOf('## Install scripts'));
  for (const [name] of allowed) assert.ok(section.includes(`\`${name}\``), name);
});

test('what is installed is known by its digest; only bindings of checks on other platforms have yet to be', () => {
  const unknown = installed.filter(([, { integrity = '' }]) => !integrity.startsWith('sha512-'));
  for (const [path, { dev, optional, os, cpu }] of unknown) {
    assert.ok(dev === true && optional === true, `${path} has no integrity`);
    // The glibc of CI's machines is what musl builds are beside.
    const isHere = os?.includes('linux') && cpu?.includes('x64') && !path.endsWith('-musl');
    assert.ok(os !== undefined && !isHere, `${path} has no integrity`);
  }
  // Fewer are better; more would be a lockfile that was written without them.
  assert.ok(unknown.length <= 23, `${unknown.length} have no integrity`);
});

test('nothing comes from another place than a registry', () => {
  const elsewhere = installed.filter(([, { resolved = 'https://registry.npmjs.org/' }]) => {
    return !resolved.startsWith('https://registry.npmjs.org/');
  });
  assert.deepEqual(elsewhere, []);
  for (const [name, range] of Object.entries(manifest.dependencies)) assert.match(range, /^\^\d+\.\d+\.\d+$/, name);
});

const allowedLicences: ReadonlySet<string> = new Set([
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'PSF-2.0',
  'Unlicense',
  'Zlib',
]);
/** Allowed for one package alone, with the reason in docs/dependencies.md. */
const exceptions: Readonly<Record<string, string>> = { 'node_modules/openpgp': 'LGPL-3.0+' };

/** Of an SPDX expression without nesting: all of AND, one of OR. */
function isAllowed(expression: string): boolean {
  const parts = expression.replace(/^\((.*)\)$/, '$1');
  if (parts.includes(' AND ')) return parts.split(' AND ').every(isAllowed);
  if (parts.includes(' OR ')) return parts.split(' OR ').some(isAllowed);
  return allowedLicences.has(parts);
}

test('every package of the product has a licence that was looked at', () => {
  const production = installed.filter(([, { dev }]) => dev !== true);
  assert.ok(production.length > 100);
  const others = production.filter(([, { license = 'none' }]) => !isAllowed(license));
  assert.deepEqual(Object.fromEntries(others.map(([path, { license }]) => [path, license])), exceptions);
  for (const [path, licence] of Object.entries(exceptions)) {
    const row = reasons.split('\n').find((line) => line.includes(`\`${path.replace('node_modules/', '')}\``));
    assert.ok(row?.includes(licence), `docs/dependencies.md says why ${path} is taken under ${licence}`);
  }
  // The rule itself: a licence beside an allowed one is not allowed, one to choose from is.
  assert.ok(!isAllowed('MIT AND GPL-3.0-only') && isAllowed('(MIT OR GPL-3.0-only)') && !isAllowed('UNLICENSED'));
});

test('each direct dependency has its reason in docs/dependencies.md', () => {
  for (const name of Object.keys(manifest.dependencies)) assert.ok(reasons.includes(`\`${name}\``), name);
});
