/** The container of a pod that libvirt runs in: commands in it by exec, as argument arrays and never through a shell. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, ExecResult, ExecTarget } from '../kube/cluster.ts';
import { showLinks, type WiringStep } from '../systems/guest-wiring.ts';
import { type Link, parseLinks } from '../systems/ip-links.ts';
import { type LiveDomain, parseDomain } from '../systems/libvirt-domain.ts';
import { type ReadFailure, readVirshFailure } from '../systems/libvirt-failures.ts';

/** A domain as virsh in the container finds it. */
export interface DomainPlace {
  readonly name: string;
  readonly uri: string;
}

export type DomainSight =
  | { readonly kind: 'seen'; readonly domain: LiveDomain }
  | ({ readonly kind: 'failed' } & ReadFailure);

/** Folders that a container can write to, most likely first: the shared memory of a pod is there even where its root is read-only. */
const scratchFolders = ['/dev/shm', '/tmp'] as const;

export class Container {
  readonly #cluster: Pick<Cluster, 'exec'>;
  readonly #target: ExecTarget;
  readonly #domain: DomainPlace;

  constructor(cluster: Pick<Cluster, 'exec'>, target: ExecTarget, domain: DomainPlace) {
    this.#cluster = cluster;
    this.#target = target;
    this.#domain = domain;
  }

  /** @throws PatchpanelError `cluster/exec` where the container has no iproute2, `cluster/*` else */
  async links(): Promise<readonly Link[]> {
    const result = await this.#run(showLinks);
    const links = result.exitCode === 0 ? parseLinks(result.stdout) : undefined;
    if (links === undefined) throw this.#failure('ip', result);
    return links;
  }

  /** Undefined where it succeeded, or does not matter; else what the command said. */
  async step({ command, optional = false }: WiringStep): Promise<string | undefined> {
    const result = await this.#run(command);
    if (result.exitCode === 0 || optional) return undefined;
    return `${command.join(' ')}: ${firstLine(result.stderr) || `exit code ${result.exitCode}`}`;
  }

  /** The live XML; that of a domain that does not run is what it would start with. */
  async domain(): Promise<DomainSight> {
    const result = await this.#virsh('dumpxml', this.#domain.name);
    if (result.exitCode !== 0) return { kind: 'failed', ...readVirshFailure(result.stderr) };
    return { kind: 'seen', domain: parseDomain(result.stdout) };
  }

  /** Undefined where virsh says that it is done. What it is given stays until {@link tidy}. */
  async attach(xml: string, tap: string): Promise<ReadFailure | undefined> {
    const file = await this.#put(scratchFile(tap), xml);
    // Not for the next start: the tap does not outlive the pod, and without it the domain would not start.
    return readResult(await this.#virsh('attach-device', this.#domain.name, file, '--live'));
  }

  /** Removes what this run, or one that was killed, wrote to attach the NIC on a tap. */
  async tidy(tap: string): Promise<void> {
    await this.#run(['rm', '-f', ...scratchFolders.map((folder) => `${folder}/${scratchFile(tap)}`)]);
  }

  /** Asks the guest to let go; undefined where the request was sent, which proves nothing. */
  async detach(alias: string): Promise<ReadFailure | undefined> {
    return readResult(await this.#virsh('detach-device-alias', this.#domain.name, alias, '--live'));
  }

  /** Sets the link of the NIC on a tap. */
  async setLink(tap: string, state: 'up' | 'down'): Promise<ReadFailure | undefined> {
    return readResult(await this.#virsh('domif-setlink', this.#domain.name, tap, state));
  }

  /**
   * Writes a file. dd stops after so many bytes, since API servers before Kubernetes 1.30 can't close standard input; and
   * virsh can't be told to read it itself where it is a socket.
   */
  async #put(name: string, content: string): Promise<string> {
    let last: ExecResult = { stdout: '', stderr: '', exitCode: 1 };
    for (const folder of scratchFolders) {
      const file = `${folder}/${name}`;
      last = await this.#run(['dd', `of=${file}`, 'bs=1', `count=${Buffer.byteLength(content)}`], content);
      if (last.exitCode === 0) return file;
    }
    throw this.#failure('dd', last);
  }

  async #virsh(...args: readonly string[]): Promise<ExecResult> {
    return await this.#run(['virsh', '-c', this.#domain.uri, ...args]);
  }

  async #run(command: readonly string[], stdin?: string): Promise<ExecResult> {
    return await this.#cluster.exec(this.#target, command, stdin === undefined ? {} : { stdin });
  }

  #failure(program: string, { exitCode, stderr }: ExecResult): PatchpanelError {
    const { namespace, pod, container } = this.#target;
    const words = firstLine(stderr) || `exit code ${exitCode}`;
    return new PatchpanelError('cluster/exec', `${namespace}/${pod}, container ${container}: ${program}: ${words}`);
  }
}

function scratchFile(tap: string): string {
  return `patchpanel-${tap}.xml`;
}

function readResult({ exitCode, stderr }: ExecResult): ReadFailure | undefined {
  return exitCode === 0 ? undefined : readVirshFailure(stderr);
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? '';
}
