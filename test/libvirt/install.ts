/**
 * What the lab needs from Debian: `node test/libvirt/install.ts` installs packages that are missing and makes the guest.
 * Needs root and apt; with everything there it does nothing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { guestFiles, haveGuest, makeGuest } from './guest.ts';

/** A program, and the package that brings it. The monolithic daemon alone: its system package wants systemd. */
const programs = [
  ['libvirtd', 'libvirt-daemon'],
  ['virsh', 'libvirt-clients'],
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['busybox', 'busybox-static'],
  ['cpio', 'cpio'],
  ['ip', 'iproute2'],
  ['unshare', 'util-linux'],
  ['nsenter', 'util-linux'],
] as const;

/** libvirt's part for QEMU is a library. */
const driver = {
  file: '/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so',
  package: 'libvirt-daemon-driver-qemu',
};

/** Why the lab can't run here; empty where it can. */
export function whatIsMissing(): readonly string[] {
  if (process.platform !== 'linux' || process.arch !== 'x64' || process.getuid?.() !== 0)
    return ['root on x86_64 Linux'];
  const missing: string[] = programs.filter(([program]) => !found(program)).map(([program]) => program);
  const namespaces = spawnSync('unshare', ['--mount', '--pid', '--net', '--fork', 'true']);
  if (namespaces.status !== 0) missing.push('the right to make namespaces');
  if (!existsSync(driver.file)) missing.push(driver.package);
  if (!haveGuest()) missing.push(`the guest's kernel in ${guestFiles().folder}`);
  return missing;
}

function found(program: string): boolean {
  return spawnSync('which', [program]).status === 0;
}

/** Installs what is missing. @throws Error where apt fails */
function install(): void {
  const packages = new Set<string>(programs.filter(([program]) => !found(program)).map(([, name]) => name));
  if (!existsSync(driver.file)) packages.add(driver.package);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  if (packages.size > 0 || !haveGuest()) execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'inherit' });
  if (packages.size > 0) {
    const words = ['install', '--yes', '--no-install-recommends', ...packages];
    execFileSync('apt-get', words, { env, stdio: 'inherit' });
  }
  if (!haveGuest()) makeGuest();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  install();
  const missing = whatIsMissing();
  if (missing.length > 0) throw new Error(`still missing: ${missing.join(', ')}`);
  console.log(`libvirt, QEMU and the guest in ${guestFiles().folder} are there`);
}
