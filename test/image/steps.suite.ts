/**
 * Runs the steps of the Dockerfile where no container engine is: each stage in a mount namespace of its own, with a private
 * folder bound over /opt/patchpanel, then the result read-only, as the user of the image. Needs root on Linux.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readDockerfile, type Stage } from './dockerfile.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const home = '/opt/patchpanel';
const missing = whatIsMissing();
const scratch = mkdtempSync(join(tmpdir(), 'patchpanel-image-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Why the suite can't run here; in CI that is a failure, not a reason to skip. */
function whatIsMissing(): string | undefined {
  const reasons: string[] = [];
  if (process.platform !== 'linux' || process.getuid?.() !== 0) reasons.push('root on Linux');
  for (const tool of ['unshare', 'setpriv', 'cmake', 'g++', 'make']) {
    if (spawnSync('which', [tool]).status !== 0) reasons.push(tool);
  }
  return reasons.length === 0 ? undefined : `needs ${reasons.join(', ')}`;
}

const skip = missing !== undefined && process.env.CI === undefined ? missing : false;

/** The environment without what the npm that runs this suite has put there: its settings are for another folder. */
const outsideNpm = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name)));

/** Runs a shell command with `folder` as /opt/patchpanel. */
function inside(
  folder: string,
  command: string,
  options: { readonly readOnly?: boolean; readonly env?: NodeJS.ProcessEnv } = {},
) {
  const bind = `mount --bind "$1" ${home}${options.readOnly ? ` && mount -o remount,ro,bind ${home}` : ''}`;
  const script = `mkdir -p ${home} && ${bind} && cd ${home} && exec sh -euc "$2"`;
  return spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', folder, command], {
    encoding: 'utf8',
    env: { ...outsideNpm, ...options.env },
    maxBuffer: 64 * 1024 * 1024,
  });
}

function copy(from: string, to: string, words: readonly string[]): void {
  const target = words.at(-1) ?? '.';
  for (const source of words.slice(0, -1)) {
    const relative = source.startsWith(home) ? source.slice(home.length + 1) : source;
    const into = target === './' || target === '.' ? join(to, relative) : join(to, target);
    mkdirSync(dirname(into), { recursive: true });
    cpSync(join(from, relative), into, { recursive: true, verbatimSymlinks: true });
  }
}

/** The headers that the addon is compiled with: those of this machine in place of the base image's. */
const nodedir = execFileSync('npm', ['config', 'get', 'nodedir'], { encoding: 'utf8' }).trim();

function runStage(stage: Stage, folder: string, previous: string): void {
  const env: NodeJS.ProcessEnv = {};
  for (const { name, text, line } of stage.instructions) {
    if (name === 'ENV') {
      const [key = '', value = ''] = text.split('=');
      env[key] = key === 'npm_config_nodedir' && nodedir !== '' && nodedir !== 'undefined' ? nodedir : value;
    } else if (name === 'COPY') {
      const words = text.split(/\s+/);
      if (words[0]?.startsWith('--from=')) copy(previous, folder, words.slice(1));
      else copy(root, folder, words);
    } else if (name === 'RUN') {
      // Cleaning apt's lists would take them from the whole machine, not from a layer.
      const command = text.replace(/&& rm -rf \/var\/lib\/apt\/lists\/\*/, '');
      if (command.startsWith('apt-get') && process.env.CI === undefined) continue;
      const run = inside(folder, command, { env });
      assert.equal(run.status, 0, `Dockerfile:${line}: ${run.stdout}\n${run.stderr}`);
    }
  }
}

test('the steps of the Dockerfile make an image that works', { skip }, async (t) => {
  assert.equal(missing, undefined);
  const [build, final] = readDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
  assert.ok(build && final);
  const [buildFolder, finalFolder] = [join(scratch, 'build'), join(scratch, 'final')];
  for (const folder of [buildFolder, finalFolder]) mkdirSync(folder);
  await t.test('every step of every stage succeeds', () => {
    runStage(build, buildFolder, '');
    runStage(final, finalFolder, buildFolder);
  });
  // Files of the image are root's; the process must be able to read them, and nothing else.
  const temporary = join(scratch, 'tmp');
  mkdirSync(temporary, { mode: 0o777 });
  execFileSync('chmod', ['0777', temporary]);
  execFileSync('chmod', ['0755', scratch]);
  const stagedNode = join(scratch, 'node');
  copyFileSync(process.execPath, stagedNode);
  const desired = join(scratch, 'desired');
  cpSync(join(root, 'examples', 'desired-state'), desired, { recursive: true });
  function run(words: string): ReturnType<typeof inside> {
    const user = 'setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs';
    return inside(finalFolder, `exec ${user} ${stagedNode} ${home}/dist/cmd/patchpanel.js ${words}`, {
      readOnly: true,
      env: { TMPDIR: temporary, HOME: '/nonexistent' },
    });
  }
  await t.test('it tells its version', () => {
    const version = run('--version');
    assert.equal(version.status, 0, version.stderr);
    assert.match(version.stdout, /^\d+\.\d+\.\d+/);
  });
  await t.test('it renders YAML and Jsonnet, the addon included, as a user without rights on a read-only root', () => {
    const rendered = run(`render ${desired} -o json`);
    assert.equal(rendered.status, 0, rendered.stderr);
    const fleet = run(`validate ${desired}`);
    assert.equal(fleet.status, 0, fleet.stderr);
  });
  await t.test('it holds no compiler, no sources and no development tools', () => {
    const modules = join(finalFolder, 'node_modules');
    for (const name of ['typescript', '@biomejs/biome', 'knip', 'node']) {
      assert.ok(!existsSync(join(modules, name, 'package.json')), name);
    }
    assert.ok(!readdirSync(finalFolder).includes('cmd'));
  });
});
