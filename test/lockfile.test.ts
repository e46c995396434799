/** The lockfile serves every platform, also those of contributors on other machines than the one that wrote it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly hasInstallScript?: boolean;
}

const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(
  readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'),
);
const names = Object.keys(lock.packages);

test('each optional dependency of a package is locked, or npm ci refuses the lockfile', () => {
  const missing = Object.entries(lock.packages).flatMap(([owner, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !names.some((path) => path.endsWith(`node_modules/${name}`)))
      .map((name) => `${owner} wants ${name}`),
  );
  assert.deepEqual(missing, []);
});

test('only the packages that docs/dependencies.md names run install scripts', () => {
  const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  assert.deepEqual(scripted.map(([path]) => path).sort(), ['node_modules/@hanazuki/node-jsonnet', 'node_modules/node']);
});
