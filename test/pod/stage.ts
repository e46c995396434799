/** A sandbox with real pods for a test, or the reason why there is none. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import { events, networkAttachmentDefinitions, pods } from '../../reconcile/kube/resources.ts';
import { type NetworkSelectionElement, networksAnnotation } from '../../reconcile/systems/multus-networks.ts';
import {
  type NetworkStatus,
  networkStatusAnnotation,
  parseNetworkStatus,
} from '../../reconcile/systems/multus-status.ts';
import type { RealPlugins } from '../../sandbox/node/real-plugins.ts';
import type { CommandResult } from '../../sandbox/node/virsh.ts';
import { type AssembledSandbox, type AssembleOptions, assembleSandbox } from '../../sandbox/sandbox.ts';
import { pluginFolder, whatIsMissing } from './install.ts';

/** Generous: the machine may be busy with other things. */
const deadlineMs = 60_000;

export const namespace = 'demo';

/** A test that is skipped where something is missing, and says what; in CI it fails instead. */
export function realTest(
  title: string,
  missing: () => readonly string[],
  body: (context: TestContext) => Promise<void>,
): void {
  const reason = `needs ${missing().join(', ')}; node test/pod/install.ts and test/libvirt/install.ts bring it`;
  const lacks = missing().length > 0;
  test(title, { skip: lacks && process.env.CI === undefined ? reason : false }, async (context) => {
    if (lacks) throw new Error(reason);
    await body(context);
  });
}

/** A test with real pods. Their sandbox ends with it. */
export function podTest(title: string, body: (stage: PodStage, context: TestContext) => Promise<void>): void {
  realTest(title, whatIsMissing, async (context) => {
    await body(await PodStage.start(context), context);
  });
}

export class PodStage {
  readonly sandbox: AssembledSandbox;
  readonly plugins: RealPlugins;

  private constructor(sandbox: AssembledSandbox, plugins: RealPlugins) {
    this.sandbox = sandbox;
    this.plugins = plugins;
  }

  static async start(context: Pick<TestContext, 'after'>, options: AssembleOptions = {}): Promise<PodStage> {
    const sandbox = await assembleSandbox({ speed: 50, cniPlugins: pluginFolder, execInPods: true, ...options });
    context.after(() => sandbox.stop());
    assert.ok(sandbox.plugins !== undefined);
    return new PodStage(sandbox, sandbox.plugins);
  }

  async network(name: string, config: object): Promise<void> {
    await this.sandbox.admin.create(networkAttachmentDefinitions, {
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: { name, namespace },
      spec: { config: JSON.stringify({ cniVersion: '0.4.0', name, ...config }) },
    });
  }

  /** Creates a pod and waits until it is ready. */
  async pod(name: string, networks: readonly Element[] = [], container = 'main'): Promise<KubeObject> {
    await this.sandbox.admin.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels: { app: name }, annotations: { [networksAnnotation]: text(networks) } },
      spec: { containers: [{ name: container, image: 'none' }] },
    });
    return await until(`${name} to be ready`, async () => {
      const pod = await this.get(name);
      const { conditions = [] } = (pod.status ?? {}) as { conditions?: { type: string; status: string }[] };
      return conditions.some(({ type, status }) => type === 'Ready' && status === 'True') ? pod : undefined;
    });
  }

  async get(name: string): Promise<KubeObject> {
    const pod = await this.sandbox.admin.get(pods, namespace, name);
    assert.ok(pod !== undefined);
    return pod;
  }

  /** Writes the networks annotation of a running pod. */
  async edit(name: string, networks: readonly Element[]): Promise<void> {
    const annotations = { [networksAnnotation]: text(networks) };
    await this.sandbox.admin.mergePatch(pods, namespace, name, { metadata: { annotations } });
  }

  async status(name: string): Promise<readonly NetworkStatus[]> {
    const pod = await this.get(name);
    const parsed = parseNetworkStatus(pod.metadata.annotations?.[networkStatusAnnotation] ?? '[]');
    return parsed.ok ? parsed.entries : [];
  }

  /** Waits until network-status shows an interface. */
  async shows(name: string, nic: string): Promise<NetworkStatus> {
    return await until(`${name} to have ${nic}`, async () =>
      (await this.status(name)).find((entry) => entry.interface === nic),
    );
  }

  async showsNo(name: string, nic: string): Promise<void> {
    await until(`${name} to be without ${nic}`, async () =>
      (await this.status(name)).some((entry) => entry.interface === nic) ? undefined : true,
    );
  }

  /** Waits for an event about a pod. */
  async event(name: string, pattern: RegExp): Promise<string> {
    return await until(`an event ${pattern}`, async () => {
      const { items } = await this.sandbox.admin.list(events, { namespace }, (event) => event);
      return items
        .filter(({ involvedObject }) => (involvedObject as { readonly name: string }).name === name)
        .map(({ reason, message }) => `${reason} ${message}`)
        .find((said) => pattern.test(said));
    });
  }

  /** Runs a command in a pod through the API, as kubectl exec does. */
  async exec(name: string, ...command: readonly string[]): Promise<CommandResult> {
    const container = ((await this.get(name)).spec as { containers: { name: string }[] }).containers[0]?.name ?? '';
    return await this.sandbox.admin.exec({ namespace, pod: name, container }, command, { timeoutMs: deadlineMs });
  }

  /** Names of the links in a pod, that of the loopback left out. */
  async links(name: string): Promise<readonly string[]> {
    const { stdout } = await this.exec(name, 'ip', '-json', 'link');
    return (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => ifname).filter((nic) => nic !== 'lo');
  }

  async link(name: string, nic: string): Promise<{ readonly address: string; readonly mtu: number }> {
    const { stdout } = await this.exec(name, 'ip', '-json', 'link', 'show', 'dev', nic);
    const [link] = JSON.parse(stdout) as { address: string; mtu: number }[];
    assert.ok(link !== undefined);
    return link;
  }

  /** Waits until an address answers; neighbours and bridges take a moment. */
  async answers(name: string, address: string, nic: string): Promise<void> {
    const version = address.includes(':') ? '-6' : '-4';
    await until(`${address} to answer ${name}`, async () => {
      const ping = ['busybox', 'ping', version, '-c', '1', '-W', '1', '-I', nic, address];
      return (await this.exec(name, ...ping)).exitCode === 0 ? true : undefined;
    });
  }
}

export type Element = Partial<NetworkSelectionElement> & { readonly name: string; readonly interface: string };

function text(networks: readonly Element[]): string {
  return JSON.stringify(networks.map((element) => ({ namespace, ...element })));
}

/** Asks again and again until there is an answer. @throws Error where there is none in time */
export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(30);
  }
}
