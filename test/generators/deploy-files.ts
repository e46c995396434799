/** Files of examples/deploy that are made from others there, comments included. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const base = join(import.meta.dirname, '../../examples/deploy/base');

function text(file: string): string {
  return readFileSync(join(base, file), 'utf8');
}

/** The base in one file, for those without kustomize: the base needs no more of it than its list of files. */
export function plainManifest(): string {
  const { resources }: { resources: readonly string[] } = parse(text('kustomization.yaml'));
  return ['# Made of base/ by `npm run generate`; do not edit.\n', ...resources.map(text)].join('---\n');
}

/** The Job of the CronJob, for a push: its lines, four columns to the left. */
export function pushJob(): string {
  const [, spec = ''] = text('cron-job.yaml').split(/^ {4}spec:\n/m);
  const lines = spec.replaceAll(/^ {4}/gm, '');
  return `# Made of base/cron-job.yaml by \`npm run generate\`; do not edit.
# The Job of the CronJob, once, for one commit. Not for kustomize, which wants a name:
#   kubectl set env --local --filename push-job.yaml REF=$COMMIT --output yaml | kubectl create --filename -
apiVersion: batch/v1
kind: Job
metadata:
  generateName: patchpanel-push-
  namespace: patchpanel
  labels:
    app.kubernetes.io/name: patchpanel
    app.kubernetes.io/component: apply
spec:
  # Nobody tidies up after a Job that no CronJob owns.
  ttlSecondsAfterFinished: 86400
${lines.replace(/^( +)- name: REF\n.*$/m, '$1- name: REF\n$1  value: HEAD')}`;
}
