/**
 * Writes the files that are made from the code, and with --check tells which are not as the code has them.
 * To have another one made, add it to the list.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { jsonSchemaOf, type Kind } from '../reconcile/desired/schema.ts';
import { cliPage } from './generators/cli-page.ts';
import { plainManifest, pushJob } from './generators/deploy-files.ts';
import { errorsPage } from './generators/errors-page.ts';
import {
  baseRbac,
  execRbac,
  namespaceRbac,
  podsRbac,
  policyRbac,
  recordRbac,
  restartRbac,
  sidecarRbac,
} from './generators/rbac-manifests.ts';
import { rbacPage } from './generators/rbac-page.ts';

interface GeneratedFile {
  /** From the root of the project. */
  readonly path: string;
  content(): string;
}

const files: readonly GeneratedFile[] = [
  { path: 'docs/reference/cli.md', content: cliPage },
  { path: 'docs/reference/errors.md', content: errorsPage },
  { path: 'docs/reference/rbac.md', content: rbacPage },
  { path: 'examples/deploy/base/rbac.yaml', content: baseRbac },
  { path: 'examples/deploy/base/record.yaml', content: recordRbac },
  { path: 'examples/deploy/base/policy-rbac.yaml', content: policyRbac },
  { path: 'examples/deploy/overlays/with-exec/rbac.yaml', content: execRbac },
  { path: 'examples/deploy/overlays/with-pods/rbac.yaml', content: podsRbac },
  { path: 'examples/deploy/overlays/with-restart/rbac.yaml', content: restartRbac },
  { path: 'examples/deploy/overlays/with-sidecar/rbac.yaml', content: sidecarRbac },
  { path: 'examples/deploy/overlays/single-namespace/rbac.yaml', content: namespaceRbac },
  // After the files that it is made of.
  { path: 'examples/deploy/patchpanel.yaml', content: plainManifest },
  { path: 'examples/deploy/push-job.yaml', content: pushJob },
  { path: 'docs/reference/network-attachments.schema.json', content: () => schemaFile('NetworkAttachments') },
  { path: 'docs/reference/settings.schema.json', content: () => schemaFile('Settings') },
  { path: 'docs/reference/policy.schema.json', content: () => schemaFile('Policy') },
];

function schemaFile(kind: Kind): string {
  return `${JSON.stringify({ title: kind, ...jsonSchemaOf(kind) }, null, 2)}\n`;
}

const root = join(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const stale: string[] = [];
for (const { path, content } of files) {
  const target = join(root, path);
  const wanted = content();
  const found = await readFile(target, 'utf8').catch(() => undefined);
  if (found === wanted) continue;
  stale.push(path);
  if (check) continue;
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, wanted);
}
if (check && stale.length > 0) {
  process.stderr.write(`Not up to date: ${stale.join(', ')}. Run npm run generate and commit the result.\n`);
  process.exitCode = 1;
} else if (!check) process.stdout.write(stale.length === 0 ? 'All up to date.\n' : `Wrote ${stale.join(', ')}.\n`);
