/** What the command line says without a cluster: version, help, mistakes, inspect by pipe, and completion. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { buildProgram } from '../cmd/program.ts';
import { cli } from './cli-process.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Every verb that does something, as words. */
function verbs(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => verbs(child, [...path, child.name()]));
}

const allVerbs = verbs(await buildProgram('0', { code: 0 }));

test('--version is that of package.json', async () => {
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  assert.deepEqual(await cli(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  assert.equal((await cli(['-V'])).stdout, `${version}\n`);
});

test('the help of every verb has an example; an example names options that there are', async () => {
  assert.ok(allVerbs.length >= 10);
  const helps = await Promise.all(allVerbs.map((verb) => cli([...verb, '--help'])));
  for (const [index, verb] of allVerbs.entries()) {
    const { code, stdout = '' } = helps[index] ?? {};
    assert.equal(code, 0);
    assert.match(stdout, /\nExamples?:\n {2}\S/, verb.join(' '));
    const examples = stdout.slice(stdout.indexOf('\nExample'));
    for (const [option] of examples.matchAll(/ --[a-z][a-z-]*/g)) {
      const known = (await buildProgram('0', { code: 0 })).commands
        .flatMap((command) => [command, ...command.commands])
        .some(({ options }) => options.some(({ long }) => long === option.trim()));
      assert.ok(known || examples.includes('kubectl'), `${verb.join(' ')}: ${option}`);
    }
  }
  const help = await cli(['--help']);
  assert.match(help.stdout, /Exit codes:\n {2}0 /);
  assert.deepEqual(await cli(['help']), help);
});

test('a mistake is exit 3, said in one line, with what was meant', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['plna'], /unknown command 'plna' \(cli\/usage\)\n {2}Did you mean plan\? See `patchpanel --help`\./],
    [['plan', '--kubconfig', 'x'], /Did you mean --kubeconfig\? See `patchpanel plan --help`\./],
    [['inspect', 'prots'], /Did you mean ports\? See `patchpanel inspect --help`\./],
    [['plan', '-o', 'xml'], /Allowed choices are text, json, markdown, html, junit, sarif\./],
    [['apply', '--max-in-flight', '0'], /It must be a whole number, 1 or more\./],
    [['plan', '-V', 'NOT_SET'], /There is no environment variable NOT_SET\./],
    [['plan', 'a', 'b'], /too many arguments/],
    [['plan', '--no-cluster'], /--no-cluster compares two commits, and needs --base for the other/],
    [['plan', '--base', 'main', '--server-dry-run'], /--server-dry-run does not go with --base/],
    [['plan', '--write', 'xml=x'], /It must be FORMAT=FILE/],
    [['plan', '--marker', 'a --> b'], /It must be letters, digits/],
    [['inspect', 'networks'], /required option '--namespace <name>' not specified/],
    [['sandbox'], /required option '--kubeconfig <file>' not specified/],
    [['sandbox', '--kubeconfig', '/tmp/x', '--fault', 'nope=1'], /The faults are no-plug, /],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish\./],
  ];
  const results = await Promise.all(cases.map(([args]) => cli(args)));
  for (const [index, [args, words]] of cases.entries()) {
    const { code, stdout = '', stderr = '' } = results[index] ?? {};
    assert.equal(code, 3, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, words);
    assert.match(stderr, /^error /);
  }
  const nothing = await cli([]);
  assert.equal(nothing.code, 3);
  assert.match(nothing.stderr, /^Usage: patchpanel/);
});

test('inspect reads a pipe: ports, networks, status', async () => {
  const xml = readFileSync(`${root}/reconcile/systems/fixtures/domain-kubevirt.xml`, 'utf8');
  const ports = await cli(['inspect', 'ports', '-o', 'json'], { stdin: xml });
  assert.equal(ports.code, 0);
  const counted = JSON.parse(ports.stdout);
  assert.equal(counted.free, counted.ports.filter(({ state }: { state: string }) => state === 'free').length);
  assert.match((await cli(['inspect', 'ports'], { stdin: xml })).stdout, /PCIe ports free for virtio\./);

  const networks = await cli(['inspect', 'networks', '--namespace', 'prod', '-o', 'json'], { stdin: 'blue@net1\n' });
  assert.deepEqual(JSON.parse(networks.stdout), {
    elements: [{ name: 'blue', namespace: 'prod', interface: 'net1' }],
  });
  const differs = await cli(['inspect', 'networks', '--namespace', 'prod', '--parser', 'multus'], {
    stdin: 'a@my_if',
  });
  assert.equal(differs.code, 0);
  assert.match(differs.stderr, /^warning: Read differently/);

  const status = await cli(['inspect', 'status', '-o', 'json'], {
    stdin: '[{"name":"k8s","interface":"eth0","default":true,"dns":{}}]',
  });
  assert.equal(JSON.parse(status.stdout).defaultInterface, 'eth0');
});

test('inspect: what can not be read is exit 1, as JSON on standard output where that is asked for', async () => {
  const cases: readonly (readonly [readonly string[], string, string])[] = [
    [['ports'], 'not xml', 'libvirt/xml'],
    [['ports'], '', 'libvirt/xml'],
    [['networks', '--namespace', 'prod'], '[{', 'multus/annotation'],
    [['networks', '--namespace', 'prod'], '[null]', 'multus/annotation-crash'],
    [['status'], '[', 'multus/status'],
  ];
  async function check([args, stdin, wanted]: (typeof cases)[number]): Promise<void> {
    const json = await cli(['inspect', ...args, '-o', 'json'], { stdin });
    assert.equal(json.code, 1, wanted);
    const { code, message } = JSON.parse(json.stdout).error;
    assert.equal(code, wanted);
    assert.ok(message.length > 0);
    const text = await cli(['inspect', ...args], { stdin });
    assert.equal(text.code, 1);
    assert.equal(text.stdout, '');
    assert.ok(text.stderr.includes(`(${wanted})`), text.stderr);
  }
  await Promise.all(cases.map(check));
});

/** What bash offers for a line; the last word is the one under the cursor. */
function completions(script: string, ...words: readonly string[]): readonly string[] {
  const body = `${script}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_patchpanel
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync('bash', ['--norc', '-uc', body, 'bash', 'patchpanel', ...words], { encoding: 'utf8' });
  return output.split('\n').filter((line) => line !== '');
}

test('bash completes verbs, options and their values', async () => {
  const { code, stdout: script } = await cli(['completion', 'bash']);
  assert.equal(code, 0);
  assert.deepEqual(completions(script, 'pl'), ['plan']);
  assert.deepEqual(completions(script, ''), [
    ...(await buildProgram('0', { code: 0 })).commands.map((command) => command.name()),
  ]);
  assert.deepEqual(completions(script, '--'), ['--version', '--help']);
  assert.deepEqual(completions(script, 'inspect', 'n'), ['networks']);
  assert.deepEqual(completions(script, 'plan', '--ku'), ['--kubeconfig']);
  assert.deepEqual(completions(script, 'plan', '--output', ''), ['text', 'json', 'markdown', 'html', 'junit', 'sarif']);
  assert.deepEqual(completions(script, 'plan', '-o', 'm'), ['markdown']);
  assert.deepEqual(completions(script, 'plan', '--context', 'plan', '--domain-xml', ''), ['auto', 'always', 'never']);
  assert.deepEqual(completions(script, 'inspect', 'networks', '--parser', 'mul'), ['multus']);
  assert.deepEqual(completions(script, 'completion', ''), ['bash', 'zsh', 'fish']);
  // Folders and files are left to bash.
  assert.deepEqual(completions(script, 'plan', ''), []);
  assert.deepEqual(completions(script, 'plan', '--kubeconfig', ''), []);
});

test('the scripts are clean shell', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const { code, stdout } = await cli(['completion', shell]);
    assert.equal(code, 0);
    if (spawnSync('which', [shell]).status !== 0) {
      t.diagnostic(`${shell} is not on this machine`);
      continue;
    }
    const { status, stderr } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  }
});
