/**
 * What the pods of the sandbox need from Debian to be real: `node test/pod/install.ts` installs packages that are missing.
 * Needs root and apt; with everything there it does nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where Debian puts the CNI plugins. */
export const pluginFolder = '/usr/lib/cni';

const packages = [
  { name: 'containernetworking-plugins', there: () => existsSync(join(pluginFolder, 'bridge')) },
  { name: 'iproute2', there: () => found('ip') },
  { name: 'busybox-static', there: () => found('busybox') },
] as const;

/** Why pods can't be real here; empty where they can. */
export function whatIsMissing(): readonly string[] {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return ['root on Linux'];
  const missing: string[] = packages.filter(({ there }) => !there()).map(({ name }) => name);
  const namespaces = spawnSync('unshare', ['--mount', '--pid', '--net', '--fork', 'true']);
  if (namespaces.status !== 0) missing.push('the right to make namespaces');
  return missing;
}

function found(program: string): boolean {
  return spawnSync('which', [program]).status === 0;
}

/** Installs what is missing. @throws Error where apt fails */
function install(): void {
  const wanted = packages.filter(({ there }) => !there()).map(({ name }) => name);
  if (wanted.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'inherit' });
  execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', ...wanted], { env, stdio: 'inherit' });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  install();
  const missing = whatIsMissing();
  if (missing.length > 0) throw new Error(`still missing: ${missing.join(', ')}`);
  console.log(`the CNI plugins are in ${pluginFolder}`);
}
