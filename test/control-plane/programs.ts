/**
 * Go programs that tests run: built from a module of this repository, which pins them, into a cache that outlives a run.
 * The folder that KUBEBUILDER_ASSETS names comes first, as in the tests of other projects.
 */
import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

interface GoProgram {
  /** Name of the file. */
  readonly name: string;
  /** Import path of its main package. */
  readonly path: string;
  /** Values of string variables that are set at the link, by import path and name. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Where the programs of a module are, and how they came there. */
export interface Built {
  readonly folder: string;
  /** Seconds that it took; 0 where all were there. */
  readonly seconds: number;
}

/**
 * Builds those programs that are not in the cache yet. The cache is keyed by all files of the module, so that a changed
 * pin builds anew.
 * @param module folder with go.mod, go.sum and what else there is
 * @throws Error where Go is missing, with its output where a build fails
 */
function buildPrograms(module: string, programs: readonly GoProgram[]): Built {
  const digest = createHash('sha256').update(JSON.stringify(programs));
  for (const name of readdirSync(module, { encoding: 'utf8', recursive: true }).sort()) {
    if (/(^|\/)go\.(mod|sum)$|\.go$/.test(name)) digest.update(`${name}\n`).update(readFileSync(join(module, name)));
  }
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'patchpanel', 'programs', digest.digest('hex').slice(0, 16));
  const missing = programs.filter(({ name }) => !existsSync(join(folder, name)));
  if (missing.length === 0) return { folder, seconds: 0 };
  mkdirSync(folder, { recursive: true });
  const began = performance.now();
  for (const { name, path, variables = {} } of missing) {
    // Whoever is killed in the middle leaves no half of a program.
    const partial = join(folder, `.${name}-${randomUUID()}`);
    const flags = ['-s', '-w', ...Object.entries(variables).flatMap(([key, value]) => ['-X', `${key}=${value}`])];
    try {
      go(['build', '-trimpath', '-ldflags', flags.join(' '), '-o', partial, path], { cwd: module, stdio: 'inherit' });
      renameSync(partial, join(folder, name));
    } finally {
      rmSync(partial, { force: true });
    }
  }
  return { folder, seconds: Math.round((performance.now() - began) / 1000) };
}

/** Runs Go, behind whatever else the machine does. */
function go(args: readonly string[], options: ExecFileSyncOptions): void {
  const path = [process.env.PATH ?? '', '/usr/local/go/bin'].join(delimiter);
  const env = { ...process.env, PATH: path, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
  execFileSync('nice', ['go', ...args], { ...options, env });
}

/** The version of a module that go.mod asks for, such as `v1.36.3`. @throws Error where it asks for none */
function pinnedVersion(module: string, path: string): string {
  const text = readFileSync(join(module, 'go.mod'), 'utf8');
  const version = text.split('\n').find((line) => line.trim().startsWith(`${path} v`));
  if (version === undefined) throw new Error(`${join(module, 'go.mod')} does not require ${path}`);
  return version.trim().split(' ')[1] ?? '';
}

const kubernetes = join(import.meta.dirname, 'kubernetes');
const kubevirt = join(import.meta.dirname, 'kubevirt');

/** The release of KubeVirt that is built, such as `v1.9.0`. */
export function kubevirtVersion(): string {
  return pinnedVersion(kubevirt, 'kubevirt.io/kubevirt');
}

/** The folder with `kube-apiserver` and `etcd`: that of KUBEBUILDER_ASSETS, or the cache. @throws Error where a build fails */
export function controlPlanePrograms(): Built {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== '') return { folder: assets, seconds: 0 };
  const version = pinnedVersion(kubernetes, 'k8s.io/kubernetes');
  const [major = '', minor = ''] = version.slice(1).split('.');
  const where = 'k8s.io/component-base/version';
  return buildPrograms(kubernetes, [
    { name: 'etcd', path: 'go.etcd.io/etcd/server/v3' },
    {
      name: 'kube-apiserver',
      path: 'k8s.io/kubernetes/cmd/kube-apiserver',
      variables: { [`${where}.gitVersion`]: version, [`${where}.gitMajor`]: major, [`${where}.gitMinor`]: minor },
    },
  ]);
}

/** The folder with `virt-controller`, `virt-api` and `manifests`, which prints what their operator would install. @throws as above */
export function kubevirtPrograms(): Built {
  const version = kubevirtVersion();
  const variables = { 'kubevirt.io/client-go/version.gitVersion': version };
  return buildPrograms(kubevirt, [
    { name: 'virt-api', path: './virt-api', variables },
    { name: 'virt-controller', path: './virt-controller', variables },
    { name: 'manifests', path: './manifests' },
  ]);
}
