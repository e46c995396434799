/** The workflows of examples/pull-requests: what they may do, and their scripts, run on a real clone and a stand-in of the host. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { git } from '../sandbox/git-server.ts';
import { desiredFiles } from './cli-stage.ts';
import { repository, writeFiles } from './desired-state.ts';
import { commitAll, newRepository } from './git-repositories.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'examples/pull-requests');
const missing = ['curl', 'jq', 'bash'].filter((name) => spawnSync(name, ['--version']).error !== undefined);
const skip = missing.length > 0 && process.env.CI === undefined ? `needs ${missing.join(', ')}` : false;

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
}

interface Workflow {
  readonly concurrency: { readonly group: string };
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: object;
  readonly jobs: Readonly<Record<string, { readonly steps: readonly Step[]; readonly permissions: object }>>;
}

const workflows = new Map(
  globSync('github/*.yml', { cwd: folder }).map((file): [string, Workflow] => [
    file.replace(/^github\//, ''),
    parse(readFileSync(join(folder, file), 'utf8')),
  ]),
);
const gitlab: Record<string, { script?: readonly string[]; rules?: unknown }> = parse(
  readFileSync(join(folder, 'gitlab/.gitlab-ci.yml'), 'utf8'),
);

function stepsOf(file: string): readonly Step[] {
  return Object.values(workflows.get(file)?.jobs ?? {}).flatMap(({ steps }) => steps);
}

function githubScript(file: string, name: string): string {
  const found = stepsOf(file).find((step) => step.name === name)?.run;
  assert.ok(found, `${file} has a step ${name}`);
  return found;
}

function gitlabScript(job: string): string {
  const found = gitlab[job]?.script?.join('\n');
  assert.ok(found, `there is a job ${job}`);
  return found;
}

test('no workflow gives a pull request what it must not have', () => {
  assert.deepEqual([...workflows.keys()].sort(), [
    'patchpanel-comment.yml',
    'patchpanel-plan-cluster.yml',
    'patchpanel-plan.yml',
  ]);
  for (const [file, { on, permissions, jobs }] of workflows) {
    const text = readFileSync(join(folder, 'github', file), 'utf8');
    assert.deepEqual(permissions, {}, file);
    assert.ok(!('pull_request_target' in on), file);
    assert.doesNotMatch(text.replaceAll(/^\s*#.*$/gm, ''), /patchpanel apply|pull_request_target/);
    for (const { uses } of Object.values(jobs).flatMap(({ steps }) => steps)) {
      if (uses === undefined) continue;
      assert.match(uses, /^(actions\/[a-z-]+|github\/codeql-action\/upload-sarif)@[0-9a-f]{40}$/, file);
      assert.match(text, new RegExp(`uses: ${uses} # v\\d`), 'the version is told beside the commit');
    }
    // What a stranger can choose reaches a script only by the environment, the event's file or the API.
    for (const { run = '' } of stepsOf(file)) assert.doesNotMatch(run, /\$\{\{/, file);
  }
  const fork = readFileSync(join(folder, 'github/patchpanel-plan.yml'), 'utf8');
  assert.doesNotMatch(fork, /secrets\.|kubeconfig/i);
  assert.deepEqual(workflows.get('patchpanel-plan.yml')?.jobs.plan?.permissions, { contents: 'read' });
  assert.deepEqual(workflows.get('patchpanel-comment.yml')?.jobs.comment?.permissions, {
    actions: 'read',
    'pull-requests': 'write',
  });
  assert.ok(!stepsOf('patchpanel-comment.yml').some(({ uses }) => uses?.startsWith('actions/checkout')));
  // A comment that waits is dropped for a later one: never that of the other plan.
  assert.match(workflows.get('patchpanel-comment.yml')?.concurrency.group ?? '', /workflow_run\.workflow_id/);
  const plan = JSON.stringify(gitlab['patchpanel-plan']);
  assert.doesNotMatch(plan, /TOKEN|KUBECONFIG|patchpanel apply/);
  assert.match(JSON.stringify(gitlab['patchpanel-comment']?.rules), /PATCHPANEL_COMMENT_TOKEN/);
});

const scripts: readonly (readonly [title: string, shell: string, script: string])[] = [
  ...[...workflows.keys()].flatMap((file) =>
    stepsOf(file).flatMap(({ name = '', run }) =>
      run === undefined ? [] : [[`${file} ${name}`, 'bash', run] as const],
    ),
  ),
  ...Object.entries(gitlab).flatMap(([job, { script }]) =>
    script === undefined ? [] : [[job, 'sh', script.join('\n')] as const],
  ),
];

test('every script is one that its shell reads', { skip }, () => {
  assert.equal(scripts.length, 8);
  const hasShellcheck = spawnSync('shellcheck', ['--version']).error === undefined;
  assert.ok(hasShellcheck || process.env.CI === undefined, 'CI has shellcheck');
  for (const [title, shell, script] of scripts) {
    execFileSync('bash', ['-n'], { input: script });
    if (!hasShellcheck) continue;
    const { status, stdout } = spawnSync('shellcheck', [`--shell=${shell}`, '-'], { input: script, encoding: 'utf8' });
    assert.equal(status, 0, `${title}\n${stdout}`);
  }
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
}

interface Runner {
  readonly root: string;
  /** The clone in which jobs run. */
  readonly work: string;
  run(script: string, env?: Readonly<Record<string, string>>): Promise<Ended>;
}

/** A pull request as a CI clones it: the merge commit and its parents. */
async function runner(t: TestContext, change: Readonly<Record<string, string>>): Promise<Runner> {
  const top = await repository(t);
  const origin = await newRepository(top, 'origin');
  await writeFiles(join(origin, 'network'), desiredFiles({ 'web-0': ['storage'], 'web-1': ['mgmt'] }));
  await commitAll(origin, 'main');
  await git(origin, 'checkout', '--quiet', '-b', 'feature');
  await writeFiles(join(origin, 'network'), change);
  await commitAll(origin, 'change');
  await git(origin, 'checkout', '--quiet', 'main');
  await writeFiles(join(origin, 'network'), desiredFiles({ 'late-0': ['mgmt'] }));
  await commitAll(origin, 'another change of main');
  await git(origin, 'merge', '--quiet', '--no-ff', '--no-edit', 'feature');
  const work = join(top, 'work');
  await git(top, 'clone', '--quiet', '--depth=2', `file://${origin}`, work);
  const bin = join(top, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'patchpanel'), `#!/bin/sh\nexec '${process.execPath}' '${root}cmd/patchpanel.ts' "$@"\n`);
  await chmod(join(bin, 'patchpanel'), 0o755);
  const temp = join(top, 'temp');
  await mkdir(temp);
  const common = {
    PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
    HOME: '/nonexistent',
    SOURCE: 'network',
    RUNNER_TEMP: temp,
    GITHUB_STEP_SUMMARY: join(top, 'summary.md'),
    no_proxy: '*',
  };
  return {
    root: top,
    work,
    run: (script, env = {}) =>
      new Promise((resolve) => {
        const options = { cwd: work, env: { ...common, ...env } };
        execFile(
          'bash',
          ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script],
          options,
          (error, stdout, stderr) => {
            const code = error === null ? 0 : Number(error.code);
            resolve({ code, stdout: `${stdout}${stderr}` });
          },
        );
      }),
  };
}

test('a fork gets its plan: comment, summary, annotations, and no cluster', { skip }, async (t) => {
  const { root: top, run } = await runner(t, desiredFiles({ 'web-0': ['storage', 'backup'] }));
  const planned = await run(githubScript('patchpanel-plan.yml', 'Plan'));
  assert.equal(planned.code, 0, planned.stdout);
  assert.match(planned.stdout, /^::stop-commands::([0-9a-f-]{36})$[\s\S]*^::\1::$/m);
  const comment = await readFile(join(top, 'temp/plan/comment.md'), 'utf8');
  assert.match(
    comment,
    /^<!-- patchpanel plan -->\n\*\*This change: 1 object changed \(1 NIC to plug\)\. No cluster was asked\.\*\*\n/,
  );
  assert.doesNotMatch(comment, /late-0/, 'what main got meanwhile is not of this change');
  assert.equal(await readFile(join(top, 'summary.md'), 'utf8'), comment);
  const { stdout } = await run(githubScript('patchpanel-plan.yml', 'Annotate files'));
  assert.equal(
    stdout,
    '::notice file=network/web-0.yaml,line=1,col=1,title=patchpanel::demo/web-0 changed: + backup into backup-net\n',
  );
});

test('an annotation names the file as it is called', { skip }, async (t) => {
  const yaml = desiredFiles({ 'late-1': ['mgmt'] })['late-1.yaml'];
  assert.ok(yaml);
  const { run } = await runner(t, { 'büro 2/100%: a,b.yaml': yaml });
  const planned = await run(githubScript('patchpanel-plan.yml', 'Plan'));
  assert.equal(planned.code, 0, planned.stdout);
  const { stdout } = await run(githubScript('patchpanel-plan.yml', 'Annotate files'));
  assert.match(stdout, /^::notice file=network\/büro 2\/100%25%3A a%2Cb\.yaml,line=1,/);
});

test('a pull request with a fault fails, and shows where', { skip }, async (t) => {
  const broken = {
    'web-0.yaml':
      'apiVersion: patchpanel.dev/v1alpha1\nkind: NetworkAttachments\nmetadata: {name: a%b}\nspec: {}\nnope: 1\n',
  };
  const { root: top, run, work } = await runner(t, broken);
  const planned = await run(githubScript('patchpanel-plan.yml', 'Plan'));
  assert.equal(planned.code, 3, planned.stdout);
  const { stdout } = await run(githubScript('patchpanel-plan.yml', 'Annotate files'));
  assert.match(stdout, /^::error file=network\/web-0\.yaml,line=5,col=1,title=patchpanel::.*nope/m);
  assert.match(stdout, /a%25b/);
  assert.match(await readFile(join(top, 'temp/plan/comment.md'), 'utf8'), /^<!-- patchpanel plan -->\n\*\*Not valid: /);
  const base = await git(work, 'rev-parse', 'HEAD^1');
  const merged = await run(gitlabScript('patchpanel-plan'), { CI_MERGE_REQUEST_DIFF_BASE_SHA: base });
  assert.equal(merged.code, 3, merged.stdout);
  assert.match(
    await readFile(join(work, 'plan/junit.xml'), 'utf8'),
    /<testsuites name='patchpanel validate' tests='[2-9]'/,
  );
});

interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string };
  readonly author: { readonly id: number };
}

interface Host {
  readonly url: string;
  readonly comments: Comment[];
  /** `POST /path`, without those that only read. */
  readonly writes: string[];
}

/** Comments of one pull request, as GitHub and GitLab keep them; both in one. */
async function startHost(t: TestContext, comments: Comment[], sha: string): Promise<Host> {
  const writes: string[] = [];
  const answer = async (request: IncomingMessage): Promise<unknown> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const isGitlab = request.headers['private-token'] === 'glpat-x';
    assert.ok(isGitlab || request.headers.authorization === 'Bearer ghs-x', 'the token comes along');
    if (request.method !== 'GET') {
      writes.push(`${request.method} ${pathname}`);
      let text = '';
      for await (const chunk of request.setEncoding('utf8')) text += chunk;
      const { body } = JSON.parse(text);
      const known = comments.find(({ id }) => pathname.endsWith(`/${id}`));
      if (known !== undefined) known.body = body;
      else
        comments.push({ id: 1000 + comments.length, body, user: { login: 'github-actions[bot]' }, author: { id: 5 } });
      return {};
    }
    if (pathname === '/user') return { id: 5 };
    if (pathname === '/repos/net/vms/pulls') {
      assert.equal(searchParams.get('head'), 'stranger:feature/x&y');
      return [
        { number: 6, head: { sha: 'other' } },
        { number: 7, head: { sha } },
      ];
    }
    assert.match(pathname, /^\/(repos\/net\/vms\/issues\/7\/comments|projects\/3\/merge_requests\/7\/notes)$/);
    const page = Number(searchParams.get('page'));
    return comments.slice((page - 1) * 100, page * 100);
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (value) => response.end(JSON.stringify(value)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { url: `http://127.0.0.1:${address.port}`, comments, writes };
}

/** Others have said much, one of them with our marker. */
function talk(): Comment[] {
  return Array.from({ length: 130 }, (_, id) => ({
    id,
    body: id === 3 ? '<!-- patchpanel plan -->\nnot the bot' : 'talk',
    user: { login: 'someone' },
    author: { id: 9 },
  }));
}

const sha = 'c'.repeat(40);

test('the comment of GitHub is made once, then edited, and takes the artifact for text of a stranger', {
  skip,
}, async (t) => {
  const { root: top, run } = await runner(t, desiredFiles({ 'web-0': [] }));
  const host = await startHost(t, talk(), sha);
  const event = join(top, 'event.json');
  const artifact = join(top, 'temp/untrusted/comment.md');
  await mkdir(join(top, 'temp/untrusted'));
  const script = githubScript('patchpanel-comment.yml', 'Comment');
  const comment = async (text: string, fork = true, head = sha): Promise<Ended> => {
    const workflowRun = {
      head_sha: head,
      head_branch: 'feature/x&y',
      head_repository: { full_name: fork ? 'stranger/vms' : 'net/vms', owner: { login: 'stranger' } },
    };
    await writeFile(event, JSON.stringify({ workflow_run: workflowRun }));
    await writeFile(artifact, text);
    return await run(script, {
      TOKEN: 'ghs-x',
      GITHUB_EVENT_PATH: event,
      GITHUB_API_URL: host.url,
      GITHUB_REPOSITORY: 'net/vms',
    });
  };
  const marker = '<!-- patchpanel plan -->';
  const first = await comment(`${marker}\n**one** @team "x" \\ $HOME \`id\`\n`);
  assert.equal(first.code, 0, first.stdout);
  const second = await comment(`${marker}\n**two**\n`);
  assert.equal(second.code, 0, second.stdout);
  assert.deepEqual(host.writes.splice(0), [
    'POST /repos/net/vms/issues/7/comments',
    'PATCH /repos/net/vms/issues/comments/1130',
  ]);
  assert.equal(host.comments.length, 131);
  assert.match(
    host.comments[130]?.body ?? '',
    /^<!-- patchpanel plan -->\n\*\*two\*\*\n[\s\S]*Planned from c{40} by a workflow/,
  );
  assert.equal(host.comments[3]?.body, `${marker}\nnot the bot`);

  await comment(`${marker}\n**one** @team "x" \\ $HOME \`id\`\n`);
  assert.match(
    host.comments[130]?.body ?? '',
    /\*\*one\*\* @\u200bteam "x" \\ \$HOME `id`\n/,
    'nothing in it is run, nobody is called',
  );
  host.writes.length = 0;

  const cluster = '<!-- patchpanel plan: cluster -->';
  const refused: readonly (readonly [string, Ended])[] = [
    ['no marker', await comment('hello\n')],
    ['a marker of its own', await comment('<!-- patchpanel plan: x -->\n')],
    ['a fork that speaks for the cluster', await comment(`${cluster}\nall is well\n`)],
    ['too large', await comment(`${marker}\n${'x'.repeat(200_000)}`)],
  ];
  for (const [what, { code }] of refused) assert.equal(code, 1, what);
  assert.equal((await comment(`${marker}\n`, true, 'd'.repeat(40))).code, 0, 'the pull request has moved on');
  assert.deepEqual(host.writes, []);
  const own = await comment(`${cluster}\nall is well\n`, false);
  assert.equal(own.code, 0, own.stdout);
  assert.deepEqual(host.writes, ['POST /repos/net/vms/issues/7/comments']);
});

test('a merge request of GitLab: plan, report, and one note', { skip }, async (t) => {
  const { run, work } = await runner(t, desiredFiles({ 'web-0': ['storage', 'backup'] }));
  const base = await git(work, 'rev-parse', 'HEAD^1');
  const planned = await run(gitlabScript('patchpanel-plan'), { CI_MERGE_REQUEST_DIFF_BASE_SHA: base });
  assert.equal(planned.code, 0, planned.stdout);
  assert.match(
    await readFile(join(work, 'plan/junit.xml'), 'utf8'),
    /<testcase name='demo\/web-0' classname='demo' file='network\/web-0\.yaml' line='1'>/,
  );
  const host = await startHost(t, talk(), sha);
  const env = {
    PATCHPANEL_COMMENT_TOKEN: 'glpat-x',
    CI_API_V4_URL: host.url,
    CI_PROJECT_ID: '3',
    CI_MERGE_REQUEST_IID: '7',
  };
  for (const _ of ['made', 'edited']) {
    const { code, stdout } = await run(gitlabScript('patchpanel-comment'), env);
    assert.equal(code, 0, stdout);
  }
  assert.deepEqual(host.writes, [
    'POST /projects/3/merge_requests/7/notes',
    'PUT /projects/3/merge_requests/7/notes/1130',
  ]);
  assert.match(host.comments[130]?.body ?? '', /^<!-- patchpanel plan -->\n\*\*This change: 1 object changed/);
});
