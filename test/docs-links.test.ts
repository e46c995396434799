/** Links between the pages of the project lead somewhere. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = globSync('{*.md,docs/**/*.md,examples/**/*.md}', { cwd: root });

test('every relative link of a page names a file that is there', () => {
  assert.ok(pages.length > 10);
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8');
    const targets = [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, target = '']) => target);
    return targets
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page} -> ${target}`);
  });
  assert.deepEqual(broken, []);
});

test('pages that the code names are there', () => {
  const sources = globSync('{cmd,reconcile,sandbox}/**/*.ts', { cwd: root });
  const broken = sources.flatMap((source) => {
    const text = readFileSync(join(root, source), 'utf8');
    return [...text.matchAll(/\bdocs\/[\w/-]+\.md\b/g)]
      .filter(([page]) => !existsSync(join(root, page)))
      .map(([page]) => `${source} -> ${page}`);
  });
  assert.deepEqual(broken, []);
});
