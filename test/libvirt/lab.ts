/**
 * Real libvirt and QEMU for tests: a libvirtd of its own in private namespaces, with its state in a temporary folder. It needs
 * root, and neither systemd nor KVM, and nothing stays behind however a test ends.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LiveDomain, parseDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { childOf, exited, Namespaces } from '../../sandbox/node/namespaces.ts';
import { type NicDevice, nicDeviceXml } from '../../templates/device-xml.ts';
import { labCache, readyLine } from './guest.ts';

export interface VirshResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Generous: the machine may be busy with other things. */
const deadlineMs = 120_000;

/** libvirt's folders are compiled in, so its own are put over them. */
const prepare = `
lab=$1 cache=$2
for file in passwd group; do mount --bind "$lab/etc/$file" "/etc/$file"; done
mount --bind "$lab/etc" /etc/libvirt
mount --bind "$lab/run" /run/libvirt
mount --bind "$lab/state" /var/lib/libvirt
mount --bind "$lab/log" /var/log/libvirt
mount --bind "$cache" /var/cache/libvirt`;

export class Lab {
  readonly folder: string;
  readonly uri: string;
  readonly #namespaces: Namespaces;
  #daemon: ChildProcess | undefined;

  private constructor(folder: string, namespaces: Namespaces) {
    this.folder = folder;
    this.uri = `qemu+unix:///system?socket=${join(folder, 'sock/libvirt-sock')}`;
    this.#namespaces = namespaces;
  }

  /**
   * @param within command whose network the lab is to be in, such as `ip netns exec NAME`; by default one of its own
   * @throws Error with libvirt's log where it does not come up
   */
  static async up({ within = [] }: { readonly within?: readonly string[] } = {}): Promise<Lab> {
    const folder = mkdtempSync(join(tmpdir(), 'patchpanel-lab-'));
    const cache = join(labCache, 'capabilities');
    for (const name of ['etc', 'run', 'state', 'log', 'sock', 'domains']) mkdirSync(join(folder, name));
    mkdirSync(cache, { recursive: true });
    // Only to be mounted over.
    for (const name of ['/etc', '/run', '/var/lib', '/var/log', '/var/cache']) {
      mkdirSync(join(name, 'libvirt'), { recursive: true });
    }
    configure(folder);
    const namespaces = await Namespaces.open({ script: prepare, args: [folder, cache], within });
    try {
      const lab = new Lab(folder, namespaces);
      await lab.startDaemon();
      return lab;
    } catch (error) {
      await namespaces.close();
      throw error;
    }
  }

  /** Ends every guest and the daemon, without ceremony: all of their state is thrown away. */
  async down(): Promise<void> {
    await this.#namespaces.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async startDaemon(): Promise<void> {
    // Its own file of its process id, in what is mounted for this lab: by default all labs would share one, and a lock on it.
    const own = ['--config', '/etc/libvirt/libvirtd.conf', '--pid-file', '/run/libvirt/libvirtd.pid'];
    const inside = this.#namespaces.inside('libvirtd', ...own);
    const daemon = spawn('nsenter', inside, { stdio: 'ignore' });
    this.#daemon = daemon;
    const end = Date.now() + deadlineMs;
    // An empty cache makes the first of these take seconds: libvirt asks QEMU for all that it can do.
    const probe = ['domcapabilities', '--virttype', 'qemu', '--machine', 'q35'];
    while ((await this.virsh(...probe)).exitCode !== 0) {
      if (daemon.exitCode !== null || Date.now() > end) {
        throw new Error(`libvirtd did not come up:\n${readFileSync(join(this.folder, 'log/libvirtd.log'), 'utf8')}`);
      }
      await sleep(50);
    }
  }

  /** The guests run on. */
  async killDaemon(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    const ended = exited(daemon);
    process.kill(childOf(daemon), 'SIGKILL');
    await ended;
    this.#daemon = undefined;
  }

  /** Runs virsh, whatever comes of it. */
  virsh(...args: readonly string[]): Promise<VirshResult> {
    const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', HOME: this.folder };
    return new Promise((resolve, reject) => {
      execFile('virsh', ['--connect', this.uri, ...args], { env: environment }, (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr });
        else reject(error);
      });
    });
  }

  /** Runs virsh where it must succeed. @throws Error with what it said */
  async must(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.virsh(...args);
    if (exitCode !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr.trim()}`);
    return stdout;
  }

  async define(xml: string): Promise<void> {
    await this.must('define', this.#write('domain.xml', xml));
  }

  /** Paused: no guest, however small, costs a processor while only its PCI tree is of interest. */
  async start(name: string, { paused = false }: { readonly paused?: boolean } = {}): Promise<void> {
    await this.must('start', name, ...(paused ? ['--paused'] : []));
  }

  /** Ends a domain and forgets it. */
  async remove(name: string): Promise<void> {
    await this.virsh('destroy', name);
    await this.must('undefine', name);
  }

  async dumpXml(name: string): Promise<string> {
    return await this.must('dumpxml', name);
  }

  async domain(name: string): Promise<LiveDomain> {
    return parseDomain(await this.dumpXml(name));
  }

  /** A tap that lasts until the lab ends, made anew where it exists. */
  tap(name: string, mtu = 1500): void {
    const ip = (...args: readonly string[]): void => {
      execFileSync('nsenter', this.#namespaces.inside('ip', ...args), { stdio: ['ignore', 'ignore', 'pipe'] });
    };
    try {
      ip('link', 'show', 'dev', name);
    } catch {
      ip('tuntap', 'add', 'dev', name, 'mode', 'tap');
    }
    ip('link', 'set', 'dev', name, 'mtu', String(mtu), 'up');
  }

  /** Runs a command in the lab's namespaces, as exec does in a container. */
  async exec(command: readonly string[], stdin = ''): Promise<VirshResult> {
    const process = spawn('nsenter', this.#namespaces.inside(...command), { stdio: ['pipe', 'pipe', 'pipe'] });
    process.stdin.on('error', () => {});
    process.stdin.end(stdin);
    const [stdout, stderr, exitCode] = await Promise.all([
      text(process.stdout),
      text(process.stderr),
      exited(process).then(() => process.exitCode ?? 1),
    ]);
    return { exitCode, stdout, stderr };
  }

  /** Plugs a NIC in, and makes its tap. */
  async attach(name: string, nic: NicDevice): Promise<VirshResult> {
    this.tap(nic.tap, nic.mtu);
    return await this.attachXml(name, nicDeviceXml(nic));
  }

  /** Plugs in whatever the XML says; its tap must be there. */
  async attachXml(name: string, xml: string): Promise<VirshResult> {
    return await this.virsh('attach-device', name, this.#write('device.xml', xml), '--live');
  }

  /** Asks for a NIC to be let go, with the same element that attached it. What virsh answers proves nothing. */
  async detach(name: string, nic: NicDevice): Promise<VirshResult> {
    return await this.virsh('detach-device', name, this.#write('device.xml', nicDeviceXml(nic)), '--live');
  }

  async detachAlias(name: string, alias: string): Promise<VirshResult> {
    return await this.virsh('detach-device-alias', name, alias, '--live');
  }

  /** Waits for the live domain to be as it should, and returns it. */
  async until(name: string, what: string, holds: (domain: LiveDomain) => boolean): Promise<LiveDomain> {
    return await until(`${name}: ${what}`, async () => {
      const domain = await this.domain(name);
      return holds(domain) ? domain : undefined;
    });
  }

  /** File that a guest's serial console goes to. */
  serialFile(name: string): string {
    return join(this.folder, 'domains', `${name}.serial`);
  }

  /** An empty disk. */
  diskFile(name: string): string {
    return this.#write(`${name}.img`, '\0'.repeat(64 * 1024));
  }

  /** What the guest said so far, a line each, its boot loader left out. */
  guestLines(name: string): readonly string[] {
    const file = this.serialFile(name);
    if (!existsSync(file)) return [];
    return [...readFileSync(file, 'latin1').matchAll(/guest (?:nic|ready).*(?=\r?\n)/g)].map(([line]) => line.trim());
  }

  /** Waits until the guest said a line; only after as many lines as are given. */
  async guestSays(name: string, pattern: RegExp, after = 0): Promise<string> {
    return await until(`${name} to say ${pattern}`, async () =>
      this.guestLines(name)
        .slice(after)
        .find((line) => pattern.test(line)),
    );
  }

  async booted(name: string): Promise<void> {
    await this.guestSays(name, new RegExp(`^${readyLine}`));
  }

  #write(name: string, text: string): string {
    const file = join(this.folder, 'domains', name);
    writeFileSync(file, text);
    return file;
  }
}

function configure(folder: string): void {
  const etc = join(folder, 'etc');
  const settings = (values: Readonly<Record<string, string | number | readonly string[]>>): string =>
    Object.entries(values)
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
      .join('');
  writeFileSync(
    join(etc, 'libvirtd.conf'),
    settings({
      unix_sock_dir: join(folder, 'sock'),
      unix_sock_group: 'root',
      unix_sock_rw_perms: '0700',
      auth_unix_ro: 'none',
      auth_unix_rw: 'none',
      log_outputs: `3:file:${join(folder, 'log/libvirtd.log')}`,
      host_uuid: randomUUID(),
    }),
  );
  writeFileSync(
    join(etc, 'qemu.conf'),
    settings({
      user: 'root',
      group: 'root',
      dynamic_ownership: 0,
      remember_owner: 0,
      security_driver: 'none',
      cgroup_controllers: [],
      namespaces: [],
      stdio_handler: 'file',
    }),
  );
  // Debian's QEMU driver wants this user to exist even where its configuration names another. It comes with a package
  // that wants systemd, so it is made up where only the lab sees it.
  const users = {
    passwd: 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin',
    group: 'libvirt-qemu:x:64055:',
  };
  for (const [file, line] of Object.entries(users)) {
    const copy = join(etc, file);
    copyFileSync(join('/etc', file), copy);
    const text = readFileSync(copy, 'utf8');
    if (!/^libvirt-qemu:/m.test(text)) writeFileSync(copy, `${text}${line}\n`);
  }
}

/** Asks again and again until there is an answer. @throws Error where there is none in time */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(50);
  }
}
