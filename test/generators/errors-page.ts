/** docs/reference/errors.md, from the tables of reconcile/errors.ts. */
import { errorTable, exitCodes } from '../../reconcile/errors.ts';
import { codesOf, meanings, podFailures } from './exit-codes.ts';
import { fenced, generatedNote, page, table } from './markdown.ts';

const rooms: readonly (readonly [prefix: string, title: string])[] = [
  ['cli', 'Command line'],
  ['source', 'Where the desired state comes from'],
  ['git', 'Git'],
  ['trust', 'Whose commits count'],
  ['policy', 'The policy of the platform owner'],
  ['yaml', 'YAML'],
  ['schema', 'The form of the desired state'],
  ['desired', 'What the desired state says'],
  ['jsonnet', 'Jsonnet'],
  ['cluster', 'The cluster'],
  ['multus', 'Annotations of Multus'],
  ['libvirt', 'Domain XML'],
  ['plan', 'Plans'],
  ['apply', 'Carrying out a plan'],
  ['run', 'Runs beside one another'],
  ['sandbox', 'The sandbox'],
  ['internal', 'patchpanel itself'],
];

export function errorsPage(): string {
  assertComplete();
  return page(
    generatedNote,
    '# Errors and exit codes',
    'An error is a code, a message that says what and where, and the way out. Codes and exit codes do not change; messages may.',
    fenced(
      'text',
      `error vms/db-0.yaml:7:7: unknown key "nam" of spec.attachments[0]; did you mean "name"? (schema/unknown-key)
  7 |     - nam: storage
            ^
  Write name, or remove it.`,
    ),
    'With `--log-format json` each error is one line of JSON on standard error, with `code`, `message`, `position` where there is one, `remedy`, `retryable` and `exitCode`. `validate -o json` and `inspect -o json` print errors as their result, on standard output. PATCHPANEL_DEBUG=1 adds the stack trace to `internal` errors.',
    'Blockers are no errors: they stand in the plan, and [blockers.md](blockers.md) lists them.',
    '## Exit codes',
    table(
      ['Exit', 'Meaning', 'What to do', 'Errors'],
      Object.entries(meanings).map(([name, { meaning, advice }]) => {
        const exit = exitCodes[name as keyof typeof exitCodes];
        return [String(exit), meaning, advice, errorLinks(exit)];
      }),
    ),
    'Over a fleet the worst counts: for `plan` an error, then blocked, then changes; for `apply` failed VMs, then an interruption, then blocked ones. Of several faults in the desired state, the first decides. A second SIGINT or SIGTERM ends the process at once, with 130 or 143.',
    '### In a Job',
    'A Job tells them apart by its `podFailurePolicy`, which needs `restartPolicy: Never`. Where no error of an exit code is mended by trying again, the Job ends, so that somebody looks; a lock that is held and an interruption do not count against `backoffLimit`; everything else is tried again up to the limit. [examples/deploy](../../examples/deploy/README.md) has it in a Job and a CronJob.',
    fenced('yaml', podFailurePolicy()),
    'A Job that runs `plan` fails with exit code 2 where changes are pending. Add 2 to the codes of `FailJob`: the Job is then not tried again, and its condition names the code. `apply` never ends with 2.',
    '## Errors',
    ...rooms.flatMap(([prefix, title]) => [`### ${title}`, errorRows(prefix)]),
  );
}

function errorLinks(exit: number): string {
  const prefixes = new Map<string, number>();
  for (const code of codesOf(exit)) {
    const prefix = code.split('/')[0] ?? code;
    prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1);
  }
  return [...prefixes.keys()].map((prefix) => `\`${prefix === 'internal' ? prefix : `${prefix}/*`}\``).join(' ');
}

function errorRows(prefix: string): string {
  const rows = Object.entries(errorTable).filter(([code]) => code === prefix || code.startsWith(`${prefix}/`));
  if (rows.length === 0) throw new Error(`no error begins with ${prefix}`);
  return table(
    ['Code', 'When', 'Exit', 'Retry helps', 'Way out'],
    rows.map(([code, { when, exit, retryable, remedy }]) => [
      `\`${code}\``,
      when,
      String(exit),
      retryable ? 'yes' : 'no',
      remedy,
    ]),
  );
}

/** @throws Error where an error is of no room, and so would be left out of the page */
function assertComplete(): void {
  const prefixes = new Set(rooms.map(([prefix]) => prefix));
  const left = Object.keys(errorTable).filter((code) => !prefixes.has(code.split('/')[0] ?? ''));
  if (left.length > 0) throw new Error(`no section of the page has ${left.join(', ')}`);
}

function podFailurePolicy(): string {
  const { fail, ignore } = podFailures();
  return `podFailurePolicy:
  rules:
    # The node was drained, or the pod was evicted.
    - action: Ignore
      onPodConditions: [{ type: DisruptionTarget, status: "True" }]
    - action: FailJob
      onExitCodes: { containerName: patchpanel, operator: In, values: [${fail.join(', ')}] }
    - action: Ignore
      onExitCodes: { containerName: patchpanel, operator: In, values: [${ignore.join(', ')}] }`;
}
