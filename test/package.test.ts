/** What `npm pack` ships: built JavaScript that runs under node_modules, where Node strips no types. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import vm from 'node:vm';
import { cli } from './cli-process.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
/** Not in a fresh checkout, or far too much. */
const left = new Set(['node_modules', 'dist', 'coverage', '.git']);

let folder: string;
/** Files of the package, from its root. */
let files: readonly string[];
/** The package as it is installed. */
let installed: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchpanel-package-'));
  const checkout = join(folder, 'checkout');
  await cp(root, checkout, { recursive: true, filter: (path) => !left.has(relative(root, path)) });
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'));
  // Builds by `prepare`, as a publication and an installation from git do.
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: checkout });
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  files = packed.files.map(({ path }: { path: string }) => path);
  const modules = join(folder, 'project', 'node_modules');
  await mkdir(modules, { recursive: true });
  await run('tar', ['xzf', join(folder, packed.filename), '-C', modules]);
  installed = join(modules, 'patchpanel');
  await rename(join(modules, 'package'), installed);
  const { dependencies, optionalDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    if (await exists(join(root, 'node_modules', name))) {
      await symlink(join(root, 'node_modules', name), join(modules, name));
    }
  }
});
after(() => rm(folder, { recursive: true, force: true }));

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

test('the package holds what it needs, and nothing else', () => {
  for (const wanted of [
    'package.json',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'dist/cmd/patchpanel.js',
    'dist/reconcile/desired/jsonnet-child.js',
    'templates/patchpanel/fleet.libsonnet',
    'docs/reference/cli.md',
    'docs/reference/errors.md',
    'docs/reference/network-attachments.schema.json',
  ]) {
    assert.ok(files.includes(wanted), wanted);
  }
  const strangers = files.filter(
    (file) =>
      !/^(package\.json|LICENSE|README\.md|CHANGELOG\.md|dist\/.*\.js|templates\/.*\.libsonnet|docs\/reference\/.*\.(md|json))$/.test(
        file,
      ) || /\.test\.|fixtures|\/image\//.test(file),
  );
  assert.deepEqual(strangers, []);
});

test('the installed command tells its version, renders YAML and Jsonnet, and reads its own library', async () => {
  const { bin, version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const entry = join(installed, bin.patchpanel);
  assert.deepEqual(await cli(['--version'], { entry }), { code: 0, stdout: `${version}\n`, stderr: '' });
  const valid = await cli(['validate', join(root, 'examples/desired-state')], { entry, cwd: join(folder, 'project') });
  assert.equal(valid.code, 0, valid.stderr);
  assert.match(valid.stdout, /^Valid: 3 VMs/);
  const rendered = await cli(['render', join(root, 'examples/desired-state')], { entry });
  assert.equal(rendered.stdout, (await cli(['render', join(root, 'examples/desired-state')])).stdout);
});

test('the installed command holds the script of its pages, as a browser can read it', async () => {
  const { pageScript } = await import(join(installed, 'dist/reconcile/report/html/script.js'));
  assert.doesNotThrow(() => new vm.Script(pageScript()));
  assert.match(pageScript(), /function drawBody\(panel, networks, width\) \{/);
});

test('the installed command has the sandbox: the demo runs', async () => {
  const entry = join(installed, 'dist/cmd/patchpanel.js');
  const { code, stdout, stderr } = await cli(['demo'], { entry });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /That was the main job/);
});

test('in a checkout, npx finds the command', async () => {
  const { stdout } = await run('npx', ['--no', '--', 'patchpanel', '--version'], { cwd: join(folder, 'checkout') });
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  assert.equal(stdout, `${version}\n`);
});

test('the entry can be run as a program', async () => {
  const text = await readFile(join(installed, 'dist/cmd/patchpanel.js'), 'utf8');
  assert.ok(text.startsWith('#!/usr/bin/env node\n'));
});
