/** A pod with real interfaces and a real libvirt in its network namespace, and all that a plug there could leave behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ApplyOptions } from '../../reconcile/apply/apply.ts';
import type { Outcome } from '../../reconcile/apply/model.ts';
import type { KubeObject } from '../../reconcile/kube/cluster.ts';
import type { Plan } from '../../reconcile/plan/model.ts';
import type { DomainTarget, PlannedElement } from '../../reconcile/plan/pod-model.ts';
import { parseLinks } from '../../reconcile/systems/ip-links.ts';
import { podInterfaceName } from '../../reconcile/systems/kubevirt-names.ts';
import type { LiveDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { heldAnnotation } from '../../reconcile/systems/patchpanel.ts';
import type { Device } from '../../sandbox/node/libvirt-devices.ts';
import { sourceXml } from '../libvirt/domain-source.ts';
import { whatIsMissing as missingOfLibvirt } from '../libvirt/install.ts';
import { Lab } from '../libvirt/lab.ts';
import { PodScenario, type Step } from '../pod-stage.ts';
import { whatIsMissing } from './install.ts';
import { namespace, PodStage, realTest } from './stage.ts';

export interface Guest {
  readonly ports: number;
  /** Boots Linux. */
  readonly linux?: boolean;
  readonly machine?: string;
  readonly paused?: boolean;
}

/** Up to this machine version QEMU lets go at once where no guest runs. */
export const prompt = { machine: 'pc-q35-6.0', paused: true } as const;

/** Network of most tests: what it hands out shows whether anything is left. */
const lan = {
  type: 'bridge',
  bridge: 'br-lan',
  mtu: 1480,
  capabilities: { mac: true },
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]] },
};

export const domainName = 'appliance';

interface Traces {
  readonly links: readonly object[];
  readonly ports: number;
  readonly leases: readonly string[];
  readonly networks: unknown;
  readonly status: readonly string[];
  readonly owned: readonly string[] | undefined;
  readonly nics: readonly (string | undefined)[];
  readonly files: string;
}

export class AgentStage {
  readonly pods: PodStage;
  readonly lab: Lab;
  readonly pod: KubeObject;
  readonly scenario: PodScenario;
  readonly kubeconfig: string;
  readonly domain: DomainTarget;

  private constructor(pods: PodStage, lab: Lab, pod: KubeObject, kubeconfig: string) {
    this.pods = pods;
    this.lab = lab;
    this.pod = pod;
    this.kubeconfig = kubeconfig;
    this.scenario = new PodScenario({ admin: pods.sandbox.admin, cluster: pods.sandbox.admin, namespace });
    this.domain = { name: domainName, container: 'vm', uri: lab.uri };
  }

  static async start(test: TestContext, guest: Guest): Promise<AgentStage> {
    // What was started last ends first: libvirt lives in the network of the pod.
    const ends: (() => unknown)[] = [];
    test.after(async () => {
      for (const end of ends.reverse()) await end();
    });
    const context = { after: (end: () => unknown) => ends.push(end) };
    const pods = await PodStage.start({ after: (end) => ends.push(end as () => unknown) });
    await pods.network('lan', lan);
    await pods.pod('peer', [{ name: 'lan', interface: 'net1' }]);
    const pod = await pods.pod('vm', [], 'vm');
    const lab = await Lab.up({ within: pods.plugins.prefixOf(pod.metadata.uid ?? '') });
    context.after(() => lab.down());
    // The memory that the containers of a pod share is this machine's here.
    await lab.exec(['find', '/dev/shm', '/tmp', '-maxdepth', '1', '-name', 'patchpanel-tap*', '-delete']);
    const folder = mkdtempSync(join(tmpdir(), 'patchpanel-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const kubeconfig = join(folder, 'kubeconfig');
    writeFileSync(kubeconfig, pods.sandbox.kubeconfig);
    const devices: readonly Device[] = [
      ...Array.from(
        { length: guest.ports },
        (_, at): Device => ({ kind: 'pci', index: at + 1, model: 'pcie-root-port' }),
      ),
      { kind: 'controller', type: 'usb', index: 0, model: 'none' },
      { kind: 'memballoon', model: 'none' },
    ];
    await lab.define(sourceXml({ name: domainName, devices, serialFile: lab.serialFile(domainName), ...guest }));
    await lab.start(domainName, guest);
    if (guest.linux === true) await lab.booted(domainName);
    return new AgentStage(pods, lab, pod, kubeconfig);
  }

  element(name: string, extra: Partial<PlannedElement> = {}): PlannedElement {
    return { name, network: { namespace, name: 'lan' }, interface: podInterfaceName(name), ...extra };
  }

  plan(steps: readonly Step[], declared: readonly PlannedElement[]): Plan {
    return this.scenario.plan(this.pod, steps, declared, { domain: this.domain });
  }

  /** What plugs attachments in, into the pod and then into the domain. */
  plugs(...elements: readonly PlannedElement[]): Plan {
    return this.plan(
      elements.flatMap((element): Step[] => [
        { kind: 'pod-plug', element },
        {
          kind: 'domain-attach',
          attachment: element.name,
          interface: element.interface,
          model: 'virtio',
          state: 'up',
          ...(element.mac === undefined ? {} : { mac: element.mac }),
        },
      ]),
      elements,
    );
  }

  /** What takes them out again, in reverse. */
  unplugs(...elements: readonly PlannedElement[]): Plan {
    const detach = elements.map(
      (element): Step => ({ kind: 'domain-detach', attachment: element.name, interface: element.interface }),
    );
    return this.plan(
      [
        ...detach,
        { kind: 'pod-unplug', elements, ghost: false },
        { kind: 'pod-release', attachments: elements.map(({ name }) => name) },
      ],
      [],
    );
  }

  /** Patient: other things may run on the machine. */
  async apply(plan: Plan, options: Partial<ApplyOptions> = {}): Promise<Outcome> {
    const patient = { actionTimeoutMs: 60_000, runTimeoutMs: 120_000, ...options };
    return (await this.scenario.apply(plan, patient)).outcome;
  }

  async live(): Promise<LiveDomain> {
    return await this.lab.domain(domainName);
  }

  /** All traces of NICs: links of pod and node with their addresses, leases, annotations, the domain. */
  async traces(): Promise<Traces> {
    const { annotations = {} } = (await this.scenario.read('vm')).metadata;
    const { stdout: leases } = await this.pods.plugins.onNode('ls', '/var/lib/cni/networks/lan');
    const { stdout: ports } = await this.pods.plugins.onNode('ls', '/sys/class/net/br-lan/brif');
    return {
      links: await this.links(),
      ports: ports.split('\n').length,
      // The last address that was reserved is remembered, and no lease.
      leases: leases.split('\n').filter((name) => /^\d/.test(name)),
      networks: JSON.parse(annotations['k8s.v1.cni.cncf.io/networks'] || '[]'),
      status: await this.scenario.interfaces('vm'),
      owned: await this.scenario.owned('vm'),
      nics: (await this.live()).nics.map(({ alias }) => alias),
      files: (await this.lab.exec(['find', '/dev/shm', '/tmp', '-maxdepth', '1', '-name', 'patchpanel-tap*'])).stdout,
    };
  }

  /** Interfaces of the pod, but for what the kernel makes up. */
  async links(): Promise<readonly object[]> {
    const { stdout } = await this.pods.exec('vm', 'ip', '-j', '-d', 'address', 'show');
    return (parseLinks(stdout) ?? []).map((link) => ({
      ...link,
      addresses: link.addresses.filter((address) => !address.startsWith('fe80')),
    }));
  }

  /** Applies in a process of its own, and kills it outright after so many writes and commands; true if it ended before. */
  async killedAfter(plan: Plan, steps: number): Promise<boolean> {
    const child = spawn(process.execPath, [new URL('apply-child.ts', import.meta.url).pathname], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify({ plan, kubeconfig: this.kubeconfig, steps }));
    let told = '';
    child.stdout.on('data', (text) => {
      told += text;
      if (told.includes('stuck')) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    assert.match(told, /stuck|ended/);
    // Death is no verdict on the change: the next run plans on.
    assert.equal((await this.scenario.read('vm')).metadata.annotations?.[heldAnnotation], undefined);
    return told.includes('ended');
  }
}

/** A test with a domain in a pod; all of it ends with the test. */
export function agentTest(title: string, guest: Guest, body: (stage: AgentStage) => Promise<void>): void {
  const missing = () => [...new Set([...whatIsMissing(), ...missingOfLibvirt()])];
  realTest(title, missing, async (context) => await body(await AgentStage.start(context, guest)));
}

/** The address that Linux gives itself on a link. */
export function linkLocal(mac: string): string {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const [first = 0, ...rest] = bytes;
  const words = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)].map((byte) =>
    byte.toString(16).padStart(2, '0'),
  );
  return `fe80::${words.join('').replace(/(....)(?=.)/g, '$1:')}`;
}
