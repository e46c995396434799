import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type FileTexts, faultsOf, placeAndCode, repository, vmYaml } from '../../test/desired-state.ts';
import { skipJsonnet } from '../../test/jsonnet-addon.ts';
import type { PatchpanelError } from '../errors.ts';
import type { JsonnetOptions } from './jsonnet-render.ts';
import { loadDesired } from './load.ts';
import type { DesiredState } from './model.ts';

async function load(t: TestContext, files: FileTexts, jsonnet: JsonnetOptions = {}): Promise<DesiredState> {
  return loadDesired({ kind: 'folder', path: await repository(t, files) }, { jsonnet });
}

async function faults(t: TestContext, files: FileTexts, jsonnet: JsonnetOptions = {}): Promise<PatchpanelError[]> {
  const found = [...(await faultsOf(load(t, files, jsonnet)))];
  for (const each of found) assert.notEqual(each.sourceLine, undefined, each.message);
  return found;
}

function names({ targets }: DesiredState): string {
  return targets.map(({ target }) => `${target.namespace}/${target.name}`).join();
}

const library = "local pp = import 'patchpanel/fleet.libsonnet';\n";

test('the result may be an object, a list, a List, a map, and these in each other', {
  skip: skipJsonnet,
}, async (t) => {
  const results = {
    "pp.vm('a')": 'default/a',
    "[pp.vm('a'), null, [pp.vm('b')]]": 'default/a,default/b',
    "{ apiVersion: 'v1', kind: 'List', items: [pp.vm('a')] }": 'default/a',
    "{ items: [pp.vm('a')] }": 'default/a',
    "{ web: { one: pp.vm('b'), two: [pp.vm('a')] }, off: null }": 'default/a,default/b',
  };
  for (const [code, expected] of Object.entries(results)) {
    assert.equal(names(await load(t, { 'a.jsonnet': library + code })), expected, code);
  }
});

test('variables and arguments come as text and as code', { skip: skipJsonnet }, async (t) => {
  const code = `${library}function(name, count) pp.fleet(pp.names(name, count), namespace=std.extVar('ns'), pciePorts=std.extVar('ports'))`;
  const state = await load(
    t,
    { 'a.jsonnet': code },
    { extStr: { ns: 'prod' }, extCode: { ports: '4 * 6' }, tlaStr: { name: 'w-' }, tlaCode: { count: '2' } },
  );
  assert.equal(names(state), 'prod/w-0,prod/w-1');
  assert.deepEqual(
    state.targets.map(({ pciePorts }) => pciePorts),
    [24, 24],
  );
});

test('imports reach the whole repository, and what is imported counts into files and digest', {
  skip: skipJsonnet,
}, async (t) => {
  const files = {
    'vms/a.jsonnet':
      "local names = import '../lib/names.libsonnet'; [(import 'patchpanel/fleet.libsonnet').vm(n) for n in names]",
    'lib/names.libsonnet': "std.split(std.rstripChars(importstr 'names.txt', '\\n'), '\\n') + (import 'more.json')",
    'lib/names.txt': 'a\nb\n',
    'lib/more.json': '["c"]',
    'patchpanel/own.libsonnet': 'error "not read"',
  };
  // more.json is a file to render as well, were it not below another folder than the one that is loaded.
  const root = await repository(t, { ...files, '.git/HEAD': '' });
  const state = await loadDesired({ kind: 'folder', path: join(root, 'vms') });
  assert.equal(names(state), 'default/a,default/b,default/c');
  assert.equal(state.files, 4);
  const other = await repository(t, { ...files, '.git/HEAD': '', 'lib/names.txt': 'a\nb' });
  const { source } = await loadDesired({ kind: 'folder', path: join(other, 'vms') });
  assert.notDeepEqual(source, { ...state.source, path: join(other, 'vms') });
});

test('imports that leave the repository are refused before anything is evaluated', { skip: skipJsonnet }, async (t) => {
  const lines = [
    'importstr "/etc/hostname"',
    'import "/etc/hostname"',
    'importbin "/etc/hostname"',
    'importstr "\\u002fetc/hostname"',
    'importstr @"/etc/hostname"',
    "importstr'../../etc/hostname'",
    'import /* a */ // b\n "sub/../../x"',
    'import |||\n  /etc/hostname\n|||',
    'import "a\\u0000b"',
    'import ""',
    'local x = "#"; import "/etc/hostname"',
    // From the folder of a library, were there one to search, this would be a longer way up.
    'importstr "patchpanel/../../etc/hostname"',
    // Where this lexer and the evaluator might read differently, both readings must be harmless.
    '"import \\"" + import "/etc/hostname"',
    '// import "/etc/hostname"\n{}',
  ];
  for (const line of lines) {
    const found = await faults(t, { 'a.jsonnet': line });
    assert.equal(found[0]?.code, 'jsonnet/import', line);
    assert.equal(found[0]?.position?.file, 'a.jsonnet');
  }
  // The repository has a file by the path, so that the import looks well; no other file is ever opened in its place.
  const [climbing] = await faults(t, {
    'a/b/c/d/e/x.jsonnet': 'error importstr "patchpanel/../../../../etc/hostname"',
    'a/b/etc/hostname': 'harmless',
  });
  assert.match(climbing?.message ?? '', /^(?:harmless|couldn't open import)/);
  const deep = await faults(t, {
    'a.jsonnet': "import 'lib/x.libsonnet'",
    'lib/x.libsonnet': '{\n  x: importstr "/etc/hostname",\n}',
  });
  assert.deepEqual(deep.map(placeAndCode), ['lib/x.libsonnet:2:16 jsonnet/import']);
});

test('imports of what is missing, hidden, a folder or a link are refused', { skip: skipJsonnet }, async (t) => {
  const files = { 'lib/x.libsonnet': '{}', '.secret/y.libsonnet': '{}', '.git/config': 'password' };
  const root = await repository(t, files);
  const expected: Readonly<Record<string, RegExp>> = {
    'import "nope.libsonnet"': /does not exist/,
    'import "lib"': /is a directory/,
    'import ".secret/y.libsonnet"': /is hidden/,
    'importstr ".git/config"': /is hidden/,
    'importstr "link/hostname"': /behind, a symbolic link/,
    'import "patchpanel/nope.libsonnet"': /does not exist/,
  };
  await symlink('/etc', join(root, 'link'));
  for (const [code, message] of Object.entries(expected)) {
    const path = await repository(t, { ...files, 'a.jsonnet': code });
    await symlink('/etc', join(path, 'link'));
    const found = await faultsOf(loadDesired({ kind: 'folder', path }));
    assert.deepEqual(
      found.map(({ code: each }) => each),
      ['jsonnet/import'],
      code,
    );
    assert.match(found[0]?.message ?? '', message);
  }
});

test('code of options imports nothing', { skip: skipJsonnet }, async (t) => {
  const [found] = await faultsOf(
    load(t, { 'a.jsonnet': "std.extVar('x')" }, { extCode: { x: 'importstr "/etc/hostname"' } }),
  );
  assert.equal(found?.code, 'jsonnet/import');
  const [top] = await faultsOf(load(t, { 'a.jsonnet': 'function(x) x' }, { tlaCode: { x: 'import "a.jsonnet"' } }));
  assert.equal(top?.code, 'jsonnet/import');
});

test('syntax and run-time errors have their place, also in what is imported', { skip: skipJsonnet }, async (t) => {
  const lib = 'local f(x) =\n  error "boom " + x;\n{ f: f }\n';
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['{\n  a: 1\n  b: 2\n}', 'a.jsonnet:3:3 jsonnet/syntax', /^expected a comma/],
    ['{ a: "open }', 'a.jsonnet:1:6 jsonnet/syntax', /^unterminated string/i],
    ['{ a: nope }', 'a.jsonnet:1:6 jsonnet/syntax', /Unknown variable: nope/],
    ['{\n  a: [1,\n    null.x],\n}', 'a.jsonnet:3:5 jsonnet/runtime', /got null/],
    ['(import "lib/l.libsonnet").f("x")', 'lib/l.libsonnet:2:3 jsonnet/runtime', /^boom x\n.*l\.libsonnet:2:3-/],
    [`${library}pp.mac(70000, 0)`, 'a.jsonnet:2:1 jsonnet/runtime', /^mac: the number of the VM/],
    ['local f(x) = f(x + 1) + 1;\nf(0)', 'a.jsonnet:1:14 jsonnet/runtime', /max stack frames exceeded/],
    ['{ a: "ääß", b: nope }', 'a.jsonnet:1:16 jsonnet/syntax', /Unknown variable/],
    ['std.extVar("nope")', 'a.jsonnet:1:1 jsonnet/runtime', /undefined external variable: nope/],
    ['function(x) x', 'a.jsonnet:1:1 jsonnet/runtime', /x not bound/],
  ];
  for (const [code, place, message] of cases) {
    const found = await faults(t, { 'a.jsonnet': code, 'lib/l.libsonnet': lib });
    assert.deepEqual(found.map(placeAndCode), [place], found[0]?.message);
    assert.match(found[0]?.message ?? '', message);
    assert.ok(!found[0]?.message.includes('patchpanel-jsonnet-'), 'no temporary paths');
  }
});

test('a path with .. is shown from the root, and a byte order mark is no fault', { skip: skipJsonnet }, async (t) => {
  const files = {
    'vms/a.jsonnet': '\ufeff(import "../lib/l.libsonnet").f',
    'lib/l.libsonnet': '\ufeff{\n  f: null.x,\n}',
  };
  const root = await repository(t, { ...files, '.git/HEAD': '' });
  const [fault] = await faultsOf(loadDesired({ kind: 'folder', path: join(root, 'vms') }));
  assert.ok(fault);
  assert.equal(placeAndCode(fault), 'lib/l.libsonnet:2:6 jsonnet/runtime');
  assert.match(fault.message, /\n {2}lib\/l\.libsonnet:2:6-/);
});

test('endless evaluation is ended by time, and the files after it are still rendered', {
  skip: skipJsonnet,
}, async (t) => {
  const files = {
    'a.jsonnet': 'local f(x) = f(x + 1) tailstrict;\nf(0)',
    'b.jsonnet': '{ kind: "Nope" }',
  };
  const found = await faults(t, files, { timeoutMs: 300 });
  assert.deepEqual(
    found.map(({ code }) => code),
    ['jsonnet/timeout', 'schema/unknown-kind'],
  );
});

test('greedy evaluation is ended by memory', { skip: skipJsonnet || process.platform !== 'linux' }, async (t) => {
  const found = await faults(
    t,
    { 'a.jsonnet': 'local f(s) = f(s + s) tailstrict;\nstd.length(f("aaaaaaaa"))' },
    { memoryBytes: 150 * 2 ** 20 },
  );
  assert.deepEqual(
    found.map(({ code }) => code),
    ['jsonnet/memory'],
  );
});

test('a stop from outside ends the evaluation', { skip: skipJsonnet }, async (t) => {
  const path = await repository(t, { 'a.jsonnet': 'local f(x) = f(x + 1) tailstrict;\nf(0)' });
  const stop = new AbortController();
  const load = loadDesired({ kind: 'folder', path }, { signal: stop.signal }, ({ kind }) => {
    if (kind === 'rendering') setTimeout(() => stop.abort(new Error('told to stop')), 300);
  });
  await assert.rejects(load, /told to stop/);
});

test('the environment is not to be seen, nor the disk beside the repository', { skip: skipJsonnet }, async (t) => {
  process.env.PATCHPANEL_TEST_SECRET = 'seen';
  t.after(() => delete process.env.PATCHPANEL_TEST_SECRET);
  const [found] = await faults(t, { 'a.jsonnet': "std.native('getenv')('PATCHPANEL_TEST_SECRET')" });
  assert.equal(found?.code, 'jsonnet/runtime');
});

test('faults of rendered objects name the object, and the place where the value stands once', {
  skip: skipJsonnet,
}, async (t) => {
  const code = [
    library,
    'local bad = "03:00:00:00:00:01";',
    "[pp.vm('a', 'prod', [pp.bridge('s', 'net', mac=bad)]),",
    " pp.vm('b', 'prod', [{ nmae: 's', network: 'net' }]),",
    " 7, { kind: 'Foo' }]",
  ].join('\n');
  const found = await faults(t, { 'a.jsonnet': code });
  const said = found.map((each) => `${placeAndCode(each)} ${each.message}`);
  assert.equal(said.length, 4, said.join('\n'));
  assert.ok(said.some((each) => each.startsWith('a.jsonnet:3:13 schema/invalid in "a": spec.attachments[0].mac')));
  assert.ok(said.some((each) => each.startsWith('a.jsonnet:5:24 schema/unknown-key in "b": unknown key "nmae"')));
  assert.ok(said.some((each) => /the result at 2 is 7, where an object was expected/.test(each)));
  assert.ok(said.some((each) => /unknown-kind in the object at 3: the kind "Foo" is not known/.test(each)));
});

test('a MAC that YAML and Jsonnet both use is found', { skip: skipJsonnet }, async (t) => {
  const found = await faults(t, {
    'a.yaml': vmYaml('a', 'attachments: [{name: x, network: y, mac: "02:70:70:00:00:00"}]'),
    'b.jsonnet': `${library}pp.vm('b', attachments=[pp.bridge('x', 'y', pp.mac(0, 0))])`,
  });
  assert.equal(found[0]?.code, 'desired/duplicate-mac');
  assert.match(found[0]?.message ?? '', /at a\.yaml:5:44$/);
});

test('a result of nothing but faults is told in part', { skip: skipJsonnet }, async (t) => {
  const found = await faults(t, { 'a.jsonnet': 'std.makeArray(20000, function(i) 7)' });
  assert.equal(found.length, 1000);
});

test('a large fleet renders', { skip: skipJsonnet }, async (t) => {
  const code = `${library}pp.fleet(pp.names('vm-', 2000), attachments=function(vm, index) [pp.bridge('n', 'net', mac=pp.mac(index, 0))])`;
  const { targets } = await load(t, { 'a.jsonnet': code });
  assert.equal(targets.length, 2000);
  assert.equal(new Set(targets.map(({ attachments }) => attachments[0]?.mac)).size, 2000);
});

test('without the addon a .jsonnet file gets an error that names the cure, and the rest is read', async (t) => {
  const project = join(import.meta.dirname, '../..');
  const copy = await repository(t, {
    'package.json': '{ "type": "module" }',
    'state/a.jsonnet': '{ kind: "Nope" }',
    'state/b.yaml': 'a: [',
    'run.ts': [
      "import { loadDesired } from './reconcile/desired/load.ts';",
      "const faults = await loadDesired({ kind: 'folder', path: 'state' }).catch((error) => error.errors);",
      'console.log(JSON.stringify(faults.map(({ code, position, remedy }) => [code, position.file, remedy])));',
    ].join('\n'),
  });
  await cp(join(project, 'reconcile'), join(copy, 'reconcile'), { recursive: true });
  await cp(join(project, 'templates'), join(copy, 'templates'), { recursive: true });
  await mkdir(join(copy, 'node_modules'));
  for (const name of ['yaml', 'zod', 'isomorphic-git', 'croner']) {
    await symlink(join(project, 'node_modules', name), join(copy, 'node_modules', name));
  }
  const output = execFileSync(process.execPath, ['run.ts'], { cwd: copy, encoding: 'utf8', env: {} });
  const [first, second] = JSON.parse(output) as readonly (readonly string[])[];
  assert.deepEqual(first?.slice(0, 2), ['jsonnet/unavailable', 'a.jsonnet']);
  assert.match(first?.[2] ?? '', /npm install @hanazuki\/node-jsonnet/);
  assert.deepEqual(second?.slice(0, 2), ['yaml/syntax', 'b.yaml']);
});
