/** Git repositories for tests, made with git and served over HTTP on loopback. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DesiredState } from '../reconcile/desired/model.ts';
import { type GitServer, type GitServerOptions, git, startGitServer } from '../sandbox/git-server.ts';
import { repository, vmYaml, writeFiles } from './desired-state.ts';

/** Commits of the repository `fleet`, oldest first; the last is on no branch. */
export interface History {
  readonly root: string;
  readonly first: string;
  readonly second: string;
  readonly main: string;
  readonly gone: string;
}

export async function commitAll(folder: string, message: string): Promise<string> {
  await git(folder, 'add', '--all');
  await git(folder, 'commit', '--quiet', '--message', message);
  return git(folder, 'rev-parse', 'HEAD');
}

export async function newRepository(root: string, name: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  await git(folder, 'init', '--quiet', '--initial-branch=main');
  return folder;
}

export async function history(t: TestContext): Promise<History> {
  const root = await repository(t);
  const folder = await newRepository(root, 'fleet');
  await writeFiles(folder, { 'prod/vms/a.yaml': vmYaml('a'), 'prod/.hidden/x.yaml': 'a: [', 'other.yaml': 'kind: X' });
  const first = await commitAll(folder, 'one');
  await git(folder, 'tag', '--annotate', 'v1', '--message', 'first');
  await git(folder, 'tag', 'light');
  await writeFiles(folder, { 'prod/vms/b.yaml': vmYaml('b') });
  const second = await commitAll(folder, 'two');
  await writeFiles(folder, { 'prod/vms/c.yaml': vmYaml('c') });
  const main = await commitAll(folder, 'three');
  await writeFiles(folder, { 'prod/vms/d.yaml': vmYaml('d') });
  const gone = await commitAll(folder, 'four');
  await git(folder, 'reset', '--quiet', '--hard', main);
  await git(folder, 'branch', 'release/1.0', second);
  return { root, first, second, main, gone };
}

export async function serve(t: TestContext, options: GitServerOptions): Promise<GitServer> {
  const server = await startGitServer(options);
  t.after(() => server.close());
  return server;
}

export function names(state: DesiredState): string {
  return state.targets.map(({ target }) => target.name).join();
}
