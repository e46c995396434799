/**
 * What the browser suites need from Debian: `node test/browser/install.ts` installs Chromium where it is missing. Needs root and apt;
 * with everything there it does nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

/** Chromium: that of Debian, or the one that PATCHPANEL_CHROMIUM names. */
export const chromiumPath = process.env.PATCHPANEL_CHROMIUM ?? '/usr/bin/chromium';

/** Why no page can be opened here; empty where it can. */
export function whatIsMissing(): readonly string[] {
  const { status } = spawnSync(chromiumPath, ['--version']);
  return status === 0 ? [] : [`Chromium as ${chromiumPath}`];
}

/** Installs what is missing. @throws Error where apt fails */
function install(): void {
  if (whatIsMissing().length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'inherit' });
  const packages = ['chromium', 'fonts-dejavu-core'];
  execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', ...packages], { env, stdio: 'inherit' });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  install();
  const missing = whatIsMissing();
  if (missing.length > 0) throw new Error(`still missing: ${missing.join(', ')}`);
  console.log(`${chromiumPath} is there`);
}
