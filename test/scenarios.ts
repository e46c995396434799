/** The one list of end-to-end scenarios: each file of them runs on every cluster there is to test on. */
import { globSync } from 'node:fs';
import { join } from 'node:path';

/** End-to-end tests that need no cluster, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  'test/cli-git.e2e.test.ts': 'renders desired states out of git, and asks no cluster',
};

const root = join(import.meta.dirname, '..');

/** Paths from the root of the repository. */
export const scenarioFiles: readonly string[] = globSync('test/*.e2e.test.ts', { cwd: root })
  .filter((file) => elsewhere[file] === undefined)
  .sort();
