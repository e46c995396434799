/**
 * Real CNI plugins at work: a network namespace for the nodes, whose bridges are one as if cables joined them, and one for each
 * pod. They are made in private namespaces of the sandbox, where host-local's leases lie too, and are gone when it stops.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PatchpanelError } from '../../reconcile/errors.ts';
import { type Fields, text } from '../../reconcile/systems/json-shape.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';
import type { Delegate, PodPlugins } from '../actors/multus.ts';
import type { Pod } from '../actors/objects.ts';
import { pluginConfigs, pluginFailure } from './cni-chain.ts';
import { statusOfResult } from './cni-result.ts';
import { Namespaces } from './namespaces.ts';
import type { CommandResult } from './virsh.ts';

/** Of the nodes, for macvlan and the like. Its other end takes what is sent, so that it has a carrier. */
const nodeUplink = 'eth0';

const prepare = `
mkdir -p /run/netns /var/lib/cni
mount -t tmpfs tmpfs /run/netns
mount -t tmpfs tmpfs /var/lib/cni
ip link add "$1" mtu 9000 type veth peer name cable0 mtu 9000
ip link set "$1" up
ip link set cable0 up`;

/** The pod network: what a pod's eth0 is on. */
const clusterConfig = JSON.stringify({
  cniVersion: '0.4.0',
  name: 'k8s-pod-network',
  type: 'bridge',
  bridge: 'cni0',
  isDefaultGateway: true,
  capabilities: { mac: true },
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.244.0.0/16' }]] },
});

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const timeoutMs = 30_000;

interface Attached {
  readonly delegate: Delegate;
  /** What the last plugin of the chain answered: given to each at DEL. */
  readonly result: unknown;
}

export class RealPlugins implements PodPlugins {
  readonly #namespaces: Namespaces;
  readonly #folder: string;
  /** By UID of the pod, which is the name of its network namespace too. */
  readonly #pods = new Map<string, Map<string, Attached>>();

  private constructor(namespaces: Namespaces, folder: string) {
    this.#namespaces = namespaces;
    this.#folder = folder;
  }

  /** @throws PatchpanelError where this machine or user can't, or the folder holds no plugins */
  static async open(folder: string): Promise<RealPlugins> {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      throw new PatchpanelError(
        'cli/input',
        '--cni-plugins makes network namespaces, for which it needs root on Linux',
        {
          remedy: 'Run the sandbox as root, or leave --cni-plugins out: attachments are modelled then.',
        },
      );
    }
    for (const plugin of ['bridge', 'host-local']) {
      if (!(await isProgram(join(folder, plugin)))) {
        throw new PatchpanelError('cli/input', `--cni-plugins ${folder}: there is no program ${plugin} in it`, {
          remedy:
            'Name the folder of the CNI plugins; on Debian the package containernetworking-plugins has them in /usr/lib/cni.',
        });
      }
    }
    return new RealPlugins(await Namespaces.open({ script: prepare, args: [nodeUplink] }), folder);
  }

  /** All network namespaces go, and with them what is in them. */
  async close(): Promise<void> {
    await this.#namespaces.close();
  }

  async open(pod: Pod): Promise<boolean> {
    const { uid } = pod.metadata;
    if (this.#pods.has(uid)) return false;
    this.#pods.set(uid, new Map());
    await this.#must('ip', 'netns', 'add', uid);
    await this.#must('ip', '-n', uid, 'link', 'set', 'lo', 'up');
    return true;
  }

  async has({ metadata: { uid } }: Pod, name: string): Promise<boolean> {
    return (await this.#run(['ip', '-n', uid, 'link', 'show', 'dev', name])).exitCode === 0;
  }

  async add(pod: Pod, delegate: Delegate): Promise<readonly NetworkStatus[]> {
    const configs = pluginConfigs(delegate.config ?? clusterConfig, delegate.nad, delegate.element ?? {});
    let result: unknown;
    for (const config of configs) {
      const given = result === undefined ? config : { ...config, prevResult: result };
      result = JSON.parse((await this.#plugin('ADD', pod, delegate, given)) || '{}');
    }
    this.#pods.get(pod.metadata.uid)?.set(delegate.interface, { delegate, result });
    return statusOfResult(result, delegate.name, delegate.isDefault);
  }

  async del(pod: Pod, delegate: Delegate): Promise<void> {
    const attached = this.#pods.get(pod.metadata.uid);
    const result = attached?.get(delegate.interface)?.result;
    // A request has no part in a DEL: the controller names the interface alone.
    const configs = pluginConfigs(delegate.config ?? clusterConfig, delegate.nad, {});
    for (const config of configs.toReversed()) {
      await this.#plugin('DEL', pod, delegate, result === undefined ? config : { ...config, prevResult: result });
    }
    attached?.delete(delegate.interface);
  }

  async setMac({ metadata: { uid } }: Pod, name: string, mac: string): Promise<void> {
    await this.#must('ip', '-n', uid, 'link', 'set', 'dev', name, 'address', mac);
  }

  async forget(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    const attached = this.#pods.get(uid);
    if (attached === undefined) return;
    this.#pods.delete(uid);
    for (const { delegate } of [...attached.values()].reverse()) await this.del(pod, delegate).catch(() => undefined);
    await this.#run(['ip', 'netns', 'del', uid]);
  }

  /** Words before a command that is to have processes of its own in the network of a pod. */
  prefixOf(podUid: string): readonly string[] {
    return this.#namespaces.prefix('ip', 'netns', 'exec', podUid);
  }

  /** Runs a command in the network namespace of a pod. @param stdin what it can read */
  async exec(podUid: string, command: readonly string[], stdin: Uint8Array | string = ''): Promise<CommandResult> {
    return await this.#run(['ip', 'netns', 'exec', podUid, ...command], { stdin });
  }

  /** Runs a command on the node: where the bridges are. */
  async onNode(...command: readonly string[]): Promise<CommandResult> {
    return await this.#run(command);
  }

  async #plugin(verb: 'ADD' | 'DEL', pod: Pod, delegate: Delegate, config: Fields): Promise<string> {
    const { namespace, name, uid } = pod.metadata;
    const type = text(config.type) ?? '';
    const program = join(this.#folder, type);
    if (/[/\\]/.test(type) || !(await isProgram(program))) {
      throw new Error(`failed to find plugin "${type}" in path [${this.#folder}]`);
    }
    const podArgs = {
      K8S_POD_NAMESPACE: namespace,
      K8S_POD_NAME: name,
      K8S_POD_INFRA_CONTAINER_ID: uid,
      K8S_POD_UID: uid,
    };
    const { exitCode, stdout, stderr } = await this.#run([program], {
      stdin: JSON.stringify(config),
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: uid,
        CNI_NETNS: `/run/netns/${uid}`,
        CNI_IFNAME: delegate.interface,
        CNI_ARGS: Object.entries({ IgnoreUnknown: 'true', ...podArgs })
          .map(([key, value]) => `${key}=${value}`)
          .join(';'),
        CNI_PATH: this.#folder,
      },
    });
    if (exitCode !== 0) throw new Error(pluginFailure(stdout, stderr, exitCode));
    return stdout;
  }

  async #must(...command: readonly string[]): Promise<void> {
    const { exitCode, stderr } = await this.#run(command);
    if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.trim()}`);
  }

  async #run(
    command: readonly string[],
    {
      stdin = '',
      env = {},
    }: { readonly stdin?: Uint8Array | string; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<CommandResult> {
    return await runWithInput('nsenter', this.#namespaces.inside(...command), stdin, {
      PATH: path,
      LC_ALL: 'C',
      ...env,
    });
  }
}

async function runWithInput(
  program: string,
  args: readonly string[],
  stdin: Uint8Array | string,
  env: Readonly<Record<string, string>>,
): Promise<CommandResult> {
  const input = await fileOf(stdin);
  const child = spawn(program, args, {
    env,
    stdio: [input.fd, 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({
        exitCode: code ?? 137,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
  await input.close();
  return await ended;
}

/** Input that can be opened as /dev/stdin, as that of a container: the sockets that Node gives to a child can not. */
async function fileOf(content: Uint8Array | string): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-stdin-'));
  try {
    const file = await open(join(folder, 'stdin'), 'wx+');
    await file.write(Buffer.from(content), { position: 0 });
    return file;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
