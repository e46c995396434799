/** What whoever writes the repository, or the policy, controls; and what patchpanel itself wrote earlier. */
import { readFileSync } from 'node:fs';
import { checkDocument } from '../../reconcile/desired/check-document.ts';
import { Combination } from '../../reconcile/desired/cross-checks.ts';
import { collectImports, refuseImports } from '../../reconcile/desired/jsonnet-imports.ts';
import { lexJsonnet } from '../../reconcile/desired/jsonnet-lexer.ts';
import { defaultLimits } from '../../reconcile/desired/limits.ts';
import { parsePolicy } from '../../reconcile/desired/policy.ts';
import { SourceTree } from '../../reconcile/desired/source-tree.ts';
import { decodeText, parseYaml } from '../../reconcile/desired/yaml-documents.ts';
import { PatchpanelError, PatchpanelErrors } from '../../reconcile/errors.ts';
import { digestOf } from '../../reconcile/plan/canonical-json.ts';
import { parsePlan, planToJson } from '../../reconcile/plan/plan-json.ts';
import { errorLines, errorText } from '../../reconcile/report/error-text.ts';
import { samplePlan, samplePlug } from '../../reconcile/report/fixtures/sample-plan.ts';
import { samplePod } from '../../reconcile/report/fixtures/sample-pod-plan.ts';
import { makeStyle } from '../../reconcile/report/style.ts';
import { parseRecord, recordText } from '../../reconcile/runs/record.ts';
import { fields } from '../../reconcile/systems/json-shape.ts';
import { Refused, type Target } from './target.ts';

function file(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** A file as a load reads it; its faults are told too, as a person sees them. */
function readDesired(text: string): unknown {
  const errors: PatchpanelError[] = [];
  const combination = new Combination('', 'default', errors);
  for (const document of parseYaml(decodeText('settings.yaml', Buffer.from(text)), errors)) {
    const checked = checkDocument(document, errors);
    if (checked !== undefined) combination.add(checked);
  }
  const state = combination.state();
  if (errors.length === 0) return state;
  const told = new PatchpanelErrors(errors);
  errorText(told, makeStyle(false));
  for (const line of errorLines(told, new Date(0), { run: 'x' }).trimEnd().split('\n')) JSON.parse(line);
  throw told;
}

const library = new Map([['patchpanel/fleet.libsonnet', '{}']]);

/** A repository of three files in memory, of which the input is the first. */
async function readImports(text: string): Promise<unknown> {
  const contents = new Map([
    ['fleet.jsonnet', text],
    ['lib/a.libsonnet', "import '../b.json'"],
    ['b.json', '{}'],
  ]);
  const tree = new SourceTree(
    {
      readDirectory: async (path) =>
        path === ''
          ? [
              { name: 'fleet.jsonnet', kind: 'file' },
              { name: 'lib', kind: 'directory' },
              { name: 'b.json', kind: 'file' },
              { name: 'link.libsonnet', kind: 'link' },
            ]
          : [{ name: 'a.libsonnet', kind: 'file' }],
      readFile: async (path) => {
        const found = contents.get(path);
        if (found === undefined) throw new Error(`${path} was read, which is outside of the repository`);
        return Buffer.from(found);
      },
    },
    '',
    defaultLimits,
  );
  lexJsonnet(text);
  const set = await collectImports(tree, 'fleet.jsonnet', library);
  refuseImports('--ext-code', text.replaceAll('import', ''));
  return set;
}

const settings = `apiVersion: patchpanel.dev/v1alpha1
kind: Settings
spec:
  prune: true
  maxInFlight: 4
  maxRemovals: 5%
  restart: allowed
  restartWindows:
    - {start: "0 2 * * 6", duration: 2h, timeZone: Europe/Zurich}
`;

const policy = `apiVersion: patchpanel.dev/v1alpha1
kind: Policy
spec:
  maxInFlight: 4
  prune: false
  denyWindows:
    - { start: "0 8 * * 1-5", duration: 10h, timeZone: Europe/Zurich }
  repositories:
    - url: https://git.example.com/net/*
      namespaces: [prod, "team-*"]
`;

const yamlPieces = [
  '&a ',
  '*a',
  '<<: *a',
  '<<: [*a, *a]',
  '!!binary ',
  '!!js/function ',
  '!x ',
  '!!str ',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '%TAG ! tag:x,2000:\n',
  '? ',
  ': ',
  '- ',
  '|\n',
  '>-\n',
  '[',
  ']',
  '{',
  '}',
  '__proto__: {a: 1}\n',
  'constructor: 1\n',
  '"__proto__": 1\n',
  'apiVersion: patchpanel.dev/v1alpha1\n',
  'kind: Settings\n',
  'metadata:\n',
  'spec:\n',
  'attachments:\n',
  'a: &a [*a]\n',
  '0x1F',
  '0o17',
  '1_000',
  '.inf',
  '.nan',
  '2026-11-24',
  'yes',
  '~',
  "'",
  '"',
  '\\x',
  '\\N',
  '#',
  '\t',
] as const;

const read = { fields: {}, digest: digestOf({}) };
const network = { namespace: 'prod', name: 'storage-net' };
const declared = ['mgmt', 'storage', 'web'].map((name) => ({ name, network, binding: 'bridge', state: 'up' }) as const);
const vm = { ...samplePlug, declared, read, actions: samplePlug.actions.map((action) => ({ ...action, after: [] })) };
const element = { network, interface: 'net1' };
const pod = {
  ...samplePod,
  declared: ['storage', 'web', 'mgmt', 'backup'].map((name) => ({ name, ...element })),
  read,
  actions: samplePod.actions.map((action) => ({ ...action, after: [] })),
};
const plans = [[vm], [vm, pod]].map((made) => planToJson(samplePlan(made)));

/** The plan as it stands, and as if whoever edited it had known how to make its digest. */
function readPlan(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return parsePlan(text);
  }
  const { digest: _, ...rest } = fields(value);
  const signed = JSON.stringify({ ...rest, digest: digestOf(JSON.parse(JSON.stringify(rest))) });
  const made = planToJson(parsePlan(signed));
  try {
    parsePlan(text);
  } catch (error) {
    if (!(error instanceof PatchpanelError)) throw error;
  }
  return made;
}

const record = {
  version: 'patchpanel.dev/record/v1alpha1',
  source: 'https://git.example.com/net/vms.git',
  commit: 'main@sha1:aa',
  inputs: 'sha256:00',
  lastFullCheck: '2026-11-24T12:00:05.000Z',
  outcome: 'blocked',
  counts: { targets: 2, inSync: 1, staged: 0, blocked: 1, failed: 0, interrupted: 0, waiting: 0, notStarted: 0 },
  targets: { 'prod/db-0': { state: 'blocked', since: '2026-11-24T12:00:05.000Z', reason: 'no ports' } },
  runs: [
    {
      id: 'run-1',
      by: 'pod',
      at: '2026-11-24T12:00:00.000Z',
      seconds: 5,
      commit: 'main@sha1:aa',
      outcome: 'blocked',
      changed: 1,
      failed: 0,
      blocked: 1,
      writes: 2,
    },
  ],
};

export const desiredTargets: readonly Target[] = [
  {
    name: 'desired-yaml',
    kind: 'text',
    samples: [
      file('examples/desired-state/vms/db-0.yaml'),
      file('examples/desired-state/pods/router-0.yaml'),
      settings,
    ],
    pieces: yamlPieces,
    run: readDesired,
  },
  {
    name: 'desired-json',
    kind: 'json',
    samples: [
      '{"apiVersion":"patchpanel.dev/v1alpha1","kind":"NetworkAttachments","metadata":{"name":"db-0","namespace":"prod"},"spec":{"pciePorts":24,"attachments":[{"name":"storage","network":"storage-net","mac":"02:00:00:00:0a:01","binding":"bridge","model":"virtio","state":"up"}]}}',
      '{"apiVersion":"patchpanel.dev/v1alpha1","kind":"Settings","spec":{"prune":true,"maxInFlight":4,"waves":[{"name":"first","selector":{"a":"b"}}]}}',
    ].filter((sample) => sample.includes('NetworkAttachments')),
    pieces: ['name', 'network', 'mac', 'spec', 'kind', 'attachments', 'Settings', 'Pod', 'target'],
    run: readDesired,
  },
  {
    name: 'policy',
    kind: 'text',
    samples: [policy],
    pieces: [...yamlPieces, 'repositories:\n', 'allowedSigners: |\n', 'url: ', 'maxInFlight: '],
    run: (text) => parsePolicy('policy.yaml', text),
  },
  {
    name: 'jsonnet-imports',
    kind: 'text',
    samples: [
      "local fleet = import 'patchpanel/fleet.libsonnet';\nlocal a = importstr \"lib/a.libsonnet\";\n{ x: |||\n  text\n||| + @'a''b' }\n",
      "// imports\n/* c */ # d\nlocal b = import 'b.json'; import 'lib/a.libsonnet'\n",
    ],
    pieces: [
      "import '",
      'import "',
      'importstr',
      'importbin',
      '|||',
      '|||-\n',
      '@"',
      "@'",
      '\\u002e',
      '../',
      '/etc/passwd',
      'link.libsonnet',
      '/*',
      '*/',
      '//',
      '#',
      '\\',
      "lib/../../x'",
      'lib',
    ],
    run: readImports,
  },
  {
    name: 'plan-json',
    kind: 'json',
    samples: plans,
    pieces: ['actions', 'targets', 'kind', 'unplug', 'attachments', 'uid', 'after', 'version'],
    run: readPlan,
  },
  {
    name: 'record-json',
    kind: 'json',
    samples: [JSON.stringify(record)],
    pieces: ['targets', 'runs', 'state', 'outcome', 'version'],
    run: (text) => {
      const read = parseRecord(text);
      return read === undefined ? new Refused('no record') : [read, recordText(read)];
    },
  },
];
