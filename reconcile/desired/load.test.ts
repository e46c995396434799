import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileTexts, faultsOf, repository, vmYaml, writeFiles } from '../../test/desired-state.ts';
import { type LoadEvent, loadDesired } from './load.ts';
import { defaultSettings } from './model.ts';

test('a folder gives targets in order, with defaults, positions and a digest', async (t) => {
  const folder = await repository(t, {
    'settings.yaml': 'apiVersion: patchpanel.dev/v1alpha1\nkind: Settings\nspec: { maxInFlight: 7, restart: stage }\n',
    'vms/two.yml': `${vmYaml('web-1')}---\n# nothing here\n---\n${vmYaml('db-0', 'pciePorts: 24')}`.replace(
      'pciePorts: 24',
      [
        'pciePorts: 24',
        '  attachments:',
        '    - name: storage',
        '      network: other/storage-net',
        '      mac: "02-70-70-00-0A-01"',
        '    - { name: mgmt, network: mgmt, mac: 0270.7000.0a02, model: e1000e, state: down }',
        '    - { name: fast, network: fast, binding: sriov }',
      ].join('\n'),
    ),
    'vms/json.json': JSON.stringify({
      apiVersion: 'patchpanel.dev/v1alpha1',
      kind: 'NetworkAttachments',
      metadata: { name: 'any' },
      spec: { target: { name: 'json-0' }, attachments: [] },
    }),
    '.hidden/x.yaml': 'broken: [',
    '.hidden.yaml': 'broken: [',
    'vms/node_modules/some/package.json': '{}',
    'README.md': 'not read',
  });
  const state = await loadDesired({ kind: 'folder', path: folder }, { defaultNamespace: 'fallback' });
  assert.deepEqual(state.settings, { ...defaultSettings, maxInFlight: 7, restart: 'stage' });
  assert.equal(state.files, 3);
  assert.deepEqual(
    state.targets.map(({ target }) => `${target.namespace}/${target.name}`),
    ['fallback/json-0', 'prod/db-0', 'prod/web-1'],
  );
  assert.deepEqual(state.targets[1], {
    target: { kind: 'VirtualMachine', namespace: 'prod', name: 'db-0' },
    pciePorts: 24,
    position: { file: 'vms/two.yml', line: 9, column: 1 },
    attachments: [
      {
        name: 'storage',
        network: { namespace: 'other', name: 'storage-net' },
        mac: '02:70:70:00:0a:01',
        binding: 'bridge',
        state: 'up',
        position: { file: 'vms/two.yml', line: 15, column: 7 },
      },
      {
        name: 'mgmt',
        network: { namespace: 'prod', name: 'mgmt' },
        mac: '02:70:70:00:0a:02',
        binding: 'bridge',
        model: 'e1000e',
        state: 'down',
        position: { file: 'vms/two.yml', line: 18, column: 7 },
      },
      {
        name: 'fast',
        network: { namespace: 'prod', name: 'fast' },
        binding: 'sriov',
        state: 'up',
        position: { file: 'vms/two.yml', line: 19, column: 7 },
      },
    ],
  });
});

test('the digest follows content and names, not the place of the folder', async (t) => {
  const files = { 'a.yaml': vmYaml('a'), 'b.yaml': vmYaml('b') };
  const digest = async (texts: FileTexts) => {
    const path = await repository(t, texts);
    const { source } = await loadDesired({ kind: 'folder', path });
    return source.kind === 'folder' ? source.digest : '';
  };
  const first = await digest(files);
  assert.match(first, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await digest(files), first);
  assert.notEqual(await digest({ ...files, 'b.yaml': `${vmYaml('b')}# changed\n` }), first);
  assert.notEqual(await digest({ 'a.yaml': vmYaml('a'), 'c.yaml': vmYaml('b') }), first);
});

test('in a checkout, files are named from its root, as in a git source', async (t) => {
  const root = await repository(t, { 'clusters/prod/a.yaml': vmYaml('a'), '.git/HEAD': '' });
  const { targets } = await loadDesired({ kind: 'folder', path: join(root, 'clusters/prod') });
  assert.equal(targets[0]?.position.file, 'clusters/prod/a.yaml');
});

test('the example repository is as it should be', async () => {
  const path = join(import.meta.dirname, '../../examples/desired-state');
  const { targets, pods = [], settings } = await loadDesired({ kind: 'folder', path });
  assert.equal(settings.maxInFlight, 2);
  assert.deepEqual(
    pods.map(({ query, attachments }) => [query, attachments.map((nic) => `${nic.network.name} as ${nic.interface}`)]),
    [[{ namespace: 'demo', name: 'router-0' }, ['storage-net as storage0']]],
  );
  assert.deepEqual(
    targets.map(({ target, attachments }) => [
      `${target.namespace}/${target.name}`,
      ...attachments.map(({ name, network, mac }) => `${name} ${network.name} ${mac}`),
    ]),
    [
      ['demo/db-0', 'storage storage-net 02:70:70:00:0a:01', 'backup backup-net 02:70:70:00:0a:02'],
      ['demo/web-0', 'storage storage-net 02:70:70:00:00:00', 'mgmt mgmt-net 02:70:70:00:00:01'],
      ['demo/web-1', 'storage storage-net 02:70:70:00:01:00', 'mgmt mgmt-net 02:70:70:00:01:01'],
    ],
  );
});

test('links are refused where a file is meant, and told of where not', async (t) => {
  const path = await repository(t, { 'a.yaml': vmYaml('a'), 'sub/b.yaml': vmYaml('b') });
  await symlink('sub', join(path, 'elsewhere'));
  const events: LoadEvent[] = [];
  const { targets } = await loadDesired({ kind: 'folder', path }, {}, (event) => events.push(event));
  assert.equal(targets.length, 2);
  assert.deepEqual(events, [{ kind: 'warning', message: 'elsewhere is a symbolic link and is not followed' }]);
  await symlink('/etc/hostname', join(path, 'sub/host.yaml'));
  const found = await faultsOf(loadDesired({ kind: 'folder', path }));
  assert.deepEqual(
    found.map(({ code, message }) => `${code}: ${message}`),
    ['source/unsafe-path: sub/host.yaml is a symbolic link'],
  );
});

test('a folder that is missing, or is a file, is named', async (t) => {
  const path = await repository(t, { file: '' });
  for (const wrong of ['missing', 'file']) {
    const [found] = await faultsOf(loadDesired({ kind: 'folder', path: join(path, wrong) }));
    assert.equal(found?.code, 'source/not-found');
    assert.ok(found?.message.includes(join(path, wrong)));
  }
});

test('faults of all files come in one pass, sorted by file and line', async (t) => {
  const path = await repository(t, { 'z.yaml': 'a: [\n', 'b.yaml': vmYaml('x', 'attachments: 1\nz: 1') });
  await writeFiles(path, { 'a.yaml': vmYaml('x', 'b: 1\nattachments: 1') });
  await writeFile(join(path, 'c.yaml'), vmYaml('y'));
  const found = await faultsOf(loadDesired({ kind: 'folder', path }));
  assert.deepEqual(
    found.map(({ position }) => `${position?.file}:${position?.line}`),
    ['a.yaml:5', 'a.yaml:6', 'b.yaml:5', 'b.yaml:6', 'z.yaml:2'],
  );
});

test('a run that was told to stop reads no further', async (t) => {
  const path = await repository(t, { 'a.yaml': vmYaml('a') });
  const load = loadDesired({ kind: 'folder', path }, { signal: AbortSignal.abort(new Error('told to stop')) });
  await assert.rejects(load, /told to stop/);
});

test('a file in the place of the folder is said to be one, with the folder to give', async (t) => {
  const folder = await repository(t, { 'a.yaml': vmYaml('a') });
  const [found] = await faultsOf(loadDesired({ kind: 'folder', path: join(folder, 'a.yaml') }));
  assert.equal(found?.code, 'source/not-found');
  assert.match(found?.message ?? '', /a\.yaml is a file/);
  assert.ok(found?.remedy.endsWith(folder), found?.remedy);
});
