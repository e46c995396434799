/**
 * A Linux guest of a few megabytes: Debian's cloud kernel and a busybox that says on the serial console which NICs come and
 * go. The kernel's package is unpacked, never installed, so it brings no boot loader and no services to this machine.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Survives the labs: the guest, and what libvirt found out about QEMU. */
export const labCache = process.env.PATCHPANEL_LAB_CACHE ?? '/var/tmp/patchpanel-libvirt';

/** In the order of their symbols; hot-plug of both kinds is built into the kernel. */
const modules = [
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci',
  'net/core/failover',
  'drivers/net/net_failover',
  'drivers/net/virtio_net',
];
const applets = ['sh', 'mount', 'insmod', 'cat', 'echo', 'uevent', 'ip'];

/** What the guest says once it listens for NICs. */
export const readyLine = 'guest ready';

const init = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in ${modules.map((name) => name.split('/').at(-1)).join(' ')}; do insmod /modules/$module.ko; done
for nic in /sys/class/net/eth*; do
  [ -e "$nic" ] && echo "guest nic boot \${nic##*/} $(cat "$nic/address") mtu $(cat "$nic/mtu")"
done
echo "${readyLine}"
exec uevent /bin/on-uevent
`;

/** Run for each event of the kernel. A NIC that is gone has no address any more, so it goes by its name. */
const onUevent = `#!/bin/sh
[ "$SUBSYSTEM" = net ] || exit 0
nic=/sys/class/net/$INTERFACE
case $ACTION in
  add) ip link set "$INTERFACE" up; echo "guest nic add $INTERFACE $(cat "$nic/address") mtu $(cat "$nic/mtu") $DEVPATH" ;;
  remove) echo "guest nic remove $INTERFACE $DEVPATH" ;;
esac
`;

export interface GuestFiles {
  readonly folder: string;
  readonly kernel: string;
  readonly initrd: string;
}

export function guestFiles(): GuestFiles {
  const folder = join(labCache, 'guest');
  return { folder, kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') };
}

export function haveGuest(): boolean {
  const { kernel, initrd } = guestFiles();
  return existsSync(kernel) && existsSync(initrd);
}

/** Downloads the kernel's package and builds the guest; put in place only when it is whole. */
export function makeGuest(): void {
  mkdirSync(labCache, { recursive: true });
  const work = mkdtempSync(join(labCache, 'making-'));
  try {
    const unpacked = unpackKernel(work);
    const made = join(work, 'guest');
    mkdirSync(made);
    const boot = join(unpacked, 'boot');
    copyFileSync(join(boot, only(readdirSync(boot), /^vmlinuz-/)), join(made, 'vmlinuz'));
    writeFileSync(join(made, 'initrd'), packRoot(fillRoot(work, unpacked)));
    const { folder } = guestFiles();
    rmSync(folder, { recursive: true, force: true });
    renameSync(made, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The folder with the files of the kernel's package. */
function unpackKernel(work: string): string {
  const depends = execFileSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' });
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error('apt knows no package linux-image-cloud-amd64: run apt-get update');
  // apt hands the download to a user of its own, which has to write here.
  const downloads = join(work, 'deb');
  mkdirSync(downloads);
  chmodSync(work, 0o755);
  chmodSync(downloads, 0o777);
  execFileSync('apt-get', ['download', '-qq', name], { cwd: downloads, stdio: ['ignore', 'inherit', 'pipe'] });
  const unpacked = join(work, 'kernel');
  execFileSync('dpkg', ['-x', join(downloads, only(readdirSync(downloads), /\.deb$/)), unpacked]);
  return unpacked;
}

function fillRoot(work: string, unpacked: string): string {
  const root = join(work, 'root');
  for (const folder of ['bin', 'proc', 'sys', 'dev', 'modules']) mkdirSync(join(root, folder), { recursive: true });
  const versions = join(unpacked, 'lib/modules');
  const kernel = join(versions, only(readdirSync(versions), /./), 'kernel');
  for (const name of modules)
    copyFileSync(join(kernel, `${name}.ko`), join(root, 'modules', `${name.split('/').at(-1)}.ko`));
  const busybox = execFileSync('which', ['busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'init'), init, { mode: 0o755 });
  writeFileSync(join(root, 'bin/on-uevent'), onUevent, { mode: 0o755 });
  return root;
}

/** The tree as the archive that the kernel unpacks. */
function packRoot(root: string): Buffer {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted();
  return execFileSync('cpio', ['--create', '--format=newc', '--quiet', '--owner=0:0'], {
    cwd: root,
    input: `${names.join('\n')}\n`,
    maxBuffer: 256 * 1024 * 1024,
  });
}

function only(names: readonly string[], pattern: RegExp): string {
  const found = names.filter((name) => pattern.test(name));
  const [name] = found;
  if (name === undefined || found.length > 1) throw new Error(`one ${pattern} expected, not ${found.length}`);
  return name;
}
