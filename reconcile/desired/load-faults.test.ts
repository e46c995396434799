/** Every fault of an input that a single object or file can have, each with its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FileTexts, faultsOf, placeAndCode, repository, vmYaml } from '../../test/desired-state.ts';
import { type LoadOptions, loadDesired } from './load.ts';

interface BadInput {
  readonly what: string;
  readonly files: FileTexts;
  /** `file:line:column code`, in order. */
  readonly faults: readonly string[];
  /** In the messages, one after the other. */
  readonly says?: readonly RegExp[];
  readonly options?: LoadOptions;
}

function attachment(...fields: readonly string[]): FileTexts {
  return { 'a.yaml': vmYaml('a', `attachments:\n  - ${fields.join('\n    ')}`) };
}

const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
  .concat(['b', 'c', 'd', 'e'].map((key, index) => `${key}: &${key} [${`*${'abcd'[index]}, `.repeat(10)}]`))
  .join('\n');

const badInputs: readonly BadInput[] = [
  { what: 'YAML syntax', files: { 'a.yaml': 'a: [1\nb: 2\n' }, faults: ['a.yaml:2:1 yaml/syntax'] },
  { what: 'a tab', files: { 'a.yaml': '\ta: 1\n' }, faults: ['a.yaml:1:1 yaml/syntax'] },
  { what: 'JSON syntax', files: { 'a.json': '{"a": [1,}' }, faults: ['a.json:1:10 yaml/syntax'] },
  { what: 'an unknown tag', files: { 'a.yaml': 'a: !secret x\n' }, faults: ['a.yaml:1:4 yaml/syntax'] },
  { what: 'an alias without anchor', files: { 'a.yaml': 'a: *x\n' }, faults: ['a.yaml:1:4 yaml/syntax'] },
  {
    what: 'an alias in what it means',
    files: { 'a.yaml': 'a: 1\nkind: &x [*x]\n' },
    faults: ['a.yaml:2:11 yaml/alias-bomb'],
  },
  {
    what: 'aliases without end',
    files: { 'a.yaml': `a: &a x\nb: [${'*a, '.repeat(100_000)}]\n` },
    faults: ['a.yaml:2:4005 yaml/alias-bomb'],
    says: [/more than 1000 aliases/],
  },
  {
    what: 'types of YAML 1.1',
    files: {
      'a.yaml': `%YAML 1.1\n---\n${vmYaml('a', 'attachments: [{name: x, network: y, mac: 01:23:45:00:00:5x, state: on}]')}`,
    },
    faults: ['a.yaml:7:44 schema/invalid', 'a.yaml:7:70 schema/invalid'],
    says: [/"01:23:45:00:00:5x" is not a MAC/, /one of up, down, not "on"/],
  },
  { what: 'a known tag', files: { 'a.yaml': 'spec: !!binary aGVsbG8=\n' }, faults: ['a.yaml:1:7 yaml/syntax'] },
  { what: 'a mapping as a key', files: { 'a.yaml': '? [1, 2]\n: 3\n' }, faults: ['a.yaml:1:3 yaml/syntax'] },
  {
    what: 'other bytes than UTF-8',
    files: { 'a.yaml': new Uint8Array([0xff, 0xfe]) },
    faults: ['a.yaml:1:1 yaml/syntax'],
  },
  {
    what: 'endless nesting',
    files: { 'a.json': '['.repeat(100_000) },
    faults: ['a.json:1:'],
    says: [/nested too deeply/],
  },
  {
    what: 'endless nesting over lines',
    files: { 'a.yaml': '[\n'.repeat(100_000) },
    faults: ['a.yaml:'],
    says: [/nested too deeply/],
  },
  {
    what: 'unknown keys without end',
    files: { 'a.yaml': vmYaml('a') + Array.from({ length: 50_000 }, (_, index) => `k${index}: 1\n`).join('') },
    faults: [
      'a.yaml:1:1 schema/unknown-key',
      ...Array.from({ length: 20 }, (_, index) => `a.yaml:${index + 6}:1 schema/unknown-key`),
    ],
    says: [/^49980 more unknown keys$/],
  },
  {
    what: 'more values than fit in memory',
    files: { 'a.json': `[${'1,'.repeat(2_000_001)}1]` },
    faults: ['source/too-large'],
    says: [/a\.json has more than 2000000 lines and values/],
  },
  {
    what: 'duplicate keys',
    files: { 'a.yaml': 'a: 1\nb: {c: 1, c: 2}\na: 2\n' },
    faults: ['a.yaml:2:11 yaml/duplicate-key', 'a.yaml:3:1 yaml/duplicate-key'],
    says: [/"c" is already in line 2/, /"a" is already in line 1/],
  },
  { what: 'an alias bomb', files: { 'a.yaml': bomb }, faults: ['a.yaml:2:8 yaml/alias-bomb'] },
  {
    what: 'an unknown key',
    files: attachment('name: x', 'network: y', 'vlan: 7'),
    faults: ['a.yaml:8:7 schema/unknown-key'],
    says: [/^unknown key "vlan" of spec\.attachments\[0\]$/],
  },
  {
    what: 'misspelt keys at every level',
    files: {
      'a.yaml':
        'apiVersion: patchpanel.dev/v1alpha1\nkind: NetworkAttachments\nmetdata: {}\nmetadata: {name: a, namspace: b}\nspec:\n  pcieports: 4\n  attachments:\n    - {name: x, netwrok: y, network: y}\n',
    },
    faults: [
      'a.yaml:3:1 schema/unknown-key',
      'a.yaml:4:21 schema/unknown-key',
      'a.yaml:6:3 schema/unknown-key',
      'a.yaml:8:17 schema/unknown-key',
    ],
    says: [/did you mean "metadata"\?/, /"namespace"\?/, /"pciePorts"\?/, /"network"\?/],
  },
  {
    what: 'wrong types',
    files: { 'a.yaml': vmYaml('a', 'pciePorts: many\nattachments: {name: x}'), 'b.yaml': vmYaml('7', 'attachments:') },
    faults: [
      'a.yaml:5:14 schema/invalid',
      'a.yaml:6:16 schema/invalid',
      'b.yaml:3:19 schema/invalid',
      'b.yaml:5:3 schema/invalid',
    ],
    says: [/a whole number, not the text "many"/, /a list, not a mapping/, /put it in quotes/, /a list, not empty/],
  },
  {
    what: 'a missing field',
    files: attachment('name: x'),
    faults: ['a.yaml:6:7 schema/invalid'],
    says: [/network is missing/],
  },
  {
    what: 'too many ports',
    files: { 'a.yaml': vmYaml('a', 'attachments: []\npciePorts: 233') },
    faults: ['a.yaml:6:14 schema/invalid'],
    says: [/at most 232/],
  },
  {
    what: 'an unknown kind',
    files: {
      'a.yaml':
        'apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: patchpanel.dev/v1alpha1\nkind: NetworkAttachment\n',
    },
    faults: ['a.yaml:2:7 schema/unknown-kind', 'a.yaml:5:7 schema/unknown-kind'],
    says: [/"Deployment" is not known$/, /did you mean "NetworkAttachments"/],
  },
  {
    what: 'another version',
    files: { 'a.yaml': 'apiVersion: patchpanel.dev/v1\nkind: Settings\n' },
    faults: ['a.yaml:1:13 schema/unknown-kind'],
  },
  {
    what: 'no object',
    files: { 'a.yaml': '- 1\n---\nhello\n' },
    faults: ['a.yaml:1:1 schema/unknown-kind', 'a.yaml:3:1 schema/unknown-kind'],
  },
  {
    what: 'keys of a VM for a pod, and of a pod for a VM',
    files: {
      'a.yaml': vmYaml(
        'a',
        'target: {kind: Pod}\npciePorts: 24\nattachments:\n  - {name: x, network: y, model: e1000, binding: bridge}',
      ),
      'b.yaml': vmYaml('b', 'repair: true\nattachments:\n  - {name: x, network: y, ips: [192.0.2.1]}'),
    },
    faults: [
      'a.yaml:6:14 schema/invalid',
      'a.yaml:8:36 schema/invalid',
      'a.yaml:8:52 schema/invalid',
      'b.yaml:5:11 schema/invalid',
      'b.yaml:7:34 schema/invalid',
    ],
    says: [
      /spec\.pciePorts is only for a VirtualMachine/,
      /model needs target\.domain/,
      /binding is only for a VirtualMachine/,
      /spec\.repair is only for a Pod/,
      /ips is only for a Pod/,
    ],
  },
  {
    what: 'an upper-case name',
    files: attachment('name: Storage', 'network: y'),
    faults: ['a.yaml:6:13 schema/invalid'],
    says: [/must be lower case/],
  },
  {
    what: 'names that are too long',
    files: attachment(`name: ${'n'.repeat(64)}`, `network: ${'y'.repeat(2_000_000)}`),
    faults: ['a.yaml:6:13 schema/invalid', 'a.yaml:7:16 schema/invalid'],
    says: [/is longer than 63 characters/, /is too long/],
  },
  {
    what: 'a network with two slashes',
    files: attachment('name: x', 'network: a/b/c'),
    faults: ['a.yaml:7:16 schema/invalid'],
  },
  ...['zz:00:00:00:00:01', '02:00:00:00:01', '02:70-70:00:00:01'].map(
    (mac): BadInput => ({
      what: `the MAC ${mac}`,
      files: attachment('name: x', 'network: y', `mac: "${mac}"`),
      faults: ['a.yaml:8:12 schema/invalid'],
      says: [/is not a MAC address/],
    }),
  ),
  ...Object.entries({
    '01:00:5e:00:00:01': /multicast/,
    '00-00-00-00-00-00': /zero/,
    'ffff.ffff.ffff': /broadcast/,
    '02:00:00:00:00:00': /reserved/,
  }).map(
    ([mac, says]): BadInput => ({
      what: `the MAC ${mac}`,
      files: attachment('name: x', 'network: y', `mac: "${mac}"`),
      faults: ['a.yaml:8:12 schema/invalid'],
      says: [says],
    }),
  ),
  {
    what: 'an attachment declared absent',
    files: attachment('name: x', 'network: y', 'state: absent'),
    faults: ['a.yaml:8:14 schema/invalid'],
    says: [/remove the attachment from the list/],
  },
  {
    what: 'words that are not known',
    files: attachment('name: x', 'network: y', 'binding: masquerade', 'model: virtoi'),
    faults: ['a.yaml:8:16 schema/invalid', 'a.yaml:9:14 schema/invalid'],
    says: [/one of bridge, sriov/, /did you mean "virtio"/],
  },
  {
    what: 'an SR-IOV NIC that is down and has a model',
    files: attachment('name: x', 'network: y', 'binding: sriov', 'state: down', 'model: virtio'),
    faults: ['a.yaml:9:14 schema/invalid', 'a.yaml:10:14 schema/invalid'],
  },
  {
    what: 'two objects for one VM',
    files: { 'a.yaml': vmYaml('db-0'), 'b.yaml': vmYaml('any', 'target: {name: db-0}\nattachments: []') },
    faults: ['b.yaml:5:18 desired/duplicate-target'],
    says: [/prod\/db-0 is declared twice; it is also declared at a\.yaml:3:19/],
  },
  {
    what: 'one MAC twice in the fleet, written in two ways',
    files: {
      'a.yaml': vmYaml('a', 'attachments: [{name: x, network: y, mac: "02:70:70:00:00:0a"}]'),
      'b.yaml': vmYaml('b', 'attachments: [{name: x, network: y, mac: 0270.7000.000A}]'),
    },
    faults: ['b.yaml:5:44 desired/duplicate-mac'],
    says: [/02:70:70:00:00:0a is already that of "x" of prod\/a, at a\.yaml:5:44/],
  },
  {
    what: 'restarts without a window',
    files: {
      'a.yaml': vmYaml('a'),
      's.yaml': 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec:\n  restart: allowed\n',
    },
    faults: ['s.yaml:4:12 schema/invalid'],
    says: [/^spec\.restart "allowed" needs restartWindows beside it: without a window no VM is ever restarted$/],
  },
  {
    what: 'windows that are none',
    files: {
      'a.yaml': vmYaml('a'),
      's.yaml':
        'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec:\n  restart: allowed\n  restartWindows:\n    - {start: "0 0 2 * * 6", duration: 2h}\n    - {start: "0 2 * * 6", duration: 2 hours, timezone: UTC}\n    - {start: "0 2 30 2 *", duration: 8000m, timeZone: Mars}\n',
    },
    faults: [
      's.yaml:6:15 schema/invalid',
      's.yaml:7:38 schema/invalid',
      's.yaml:7:47 schema/unknown-key',
      's.yaml:8:15 schema/invalid',
      's.yaml:8:56 schema/invalid',
    ],
    says: [
      /five fields; write it like "0 2 \* \* 6"/,
      /90m, 2h or 1h30m/,
      /did you mean "timeZone"/,
      /never comes/,
      /Europe\/Zurich/,
    ],
  },
  {
    what: 'no windows at all',
    files: {
      'a.yaml': vmYaml('a'),
      's.yaml': 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {restart: allowed, restartWindows: []}\n',
    },
    faults: ['s.yaml:3:42 schema/invalid'],
    says: [/must have at least one entry: without a window no VM is ever restarted/],
  },
  {
    what: 'Settings twice, and not at the root',
    files: {
      'a.yaml': vmYaml('a'),
      'b.yaml':
        'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n---\napiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n',
      'sub/c.yaml': 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n',
    },
    faults: ['b.yaml:6:7 desired/duplicate-settings', 'sub/c.yaml:2:7 desired/duplicate-settings'],
  },
  { what: 'an empty repository', files: {}, faults: ['source/empty'] },
  {
    what: 'a repository of nothing but settings',
    files: { 'a.yaml': 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: {}\n' },
    faults: ['source/empty'],
  },
  {
    what: 'names that differ in case',
    files: { 'a.yaml': vmYaml('a'), 'A.yaml': vmYaml('b') },
    faults: ['source/unsafe-path'],
  },
  {
    what: 'a file over the limit',
    files: { 'a.yaml': vmYaml('a') },
    options: { limits: { maxFileBytes: 10 } },
    faults: ['source/too-large'],
    says: [/a\.yaml is larger than 10 bytes/],
  },
  {
    what: 'more files than the limit',
    files: { 'a.yaml': vmYaml('a'), 'b.yaml': vmYaml('b') },
    options: { limits: { maxFiles: 1 } },
    faults: ['source/too-large'],
  },
  {
    what: 'more bytes than the limit',
    files: { 'a.yaml': vmYaml('a'), 'b.yaml': vmYaml('b') },
    options: { limits: { maxTotalBytes: 200 } },
    faults: ['source/too-large'],
  },
];

for (const { what, files, faults, says = [], options } of badInputs) {
  test(`refused: ${what}`, async (t) => {
    const path = await repository(t, files);
    const found = await faultsOf(loadDesired({ kind: 'folder', path }, options));
    const places = found.map(placeAndCode);
    if (faults[0]?.endsWith(':')) assert.ok(places[0]?.startsWith(faults[0]), places.join());
    else assert.deepEqual(places, faults, found.map(({ message }) => message).join('\n'));
    for (const [index, pattern] of says.entries()) assert.match(found[index]?.message ?? '', pattern);
    for (const each of found) {
      assert.notEqual(each.remedy, '');
      assert.equal(each.exitCode, 3);
      if (each.position !== undefined && each.message !== 'the file is not UTF-8 text') {
        assert.notEqual(each.sourceLine, undefined, 'the line is shown');
      }
    }
  });
}

test('faults without end are told in part, however many documents there are', async (t) => {
  const path = await repository(t, { 'a.yaml': '1\n---\n'.repeat(200_000) });
  const found = await faultsOf(loadDesired({ kind: 'folder', path }));
  assert.equal(found.length, 1000);
});

test('refused: two attachments with one name', async (t) => {
  const path = await repository(t, {
    'a.yaml': vmYaml('a', 'attachments:\n  - {name: x, network: y}\n  - {name: x, network: z}'),
  });
  const found = await faultsOf(loadDesired({ kind: 'folder', path }));
  assert.deepEqual(found.map(placeAndCode), ['a.yaml:7:14 desired/duplicate-name']);
  assert.equal(found[0]?.sourceLine, '    - {name: x, network: z}');
});
