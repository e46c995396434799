/** The one list of end-to-end scenarios: each file of them runs on the clusters there are to test on. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterKind } from './cluster-under-test.ts';

/** End-to-end tests that need no cluster, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  'test/cli-git.e2e.test.ts': 'renders desired states out of git, and asks no cluster',
};

const root = join(import.meta.dirname, '..');

/** Paths from the root of the repository. */
export const scenarioFiles: readonly string[] = globSync('test/*.e2e.test.ts', { cwd: root })
  .filter((file) => elsewhere[file] === undefined)
  .sort();

/** Those that go by way of KubeVirt; what the others try is the same whoever the controllers are, and each start takes a while. */
const throughKubevirt = ['apply', 'apply-shifting', 'apply-trouble', 'port-count', 'restart'].map(
  (name) => `test/${name}.e2e.test.ts`,
);

/** Whether a file of the list runs on a cluster of that kind. */
export function runsOn(kind: ClusterKind, file: string): boolean {
  return kind !== 'kubevirt' || throughKubevirt.includes(file);
}
