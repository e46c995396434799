/** Performs the steps of a recording against a sandbox and notes what its parts write. */
import http from 'node:http';
import https from 'node:https';
import { parse } from 'yaml';
import type { KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import {
  events,
  pods,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachines,
} from '../../reconcile/kube/resources.ts';
import { namespace } from '../base-objects.ts';
import type { AssembledSandbox } from '../sandbox.ts';
import { assembleSandbox } from '../sandbox.ts';
import { Recorder, type Seen, timelineOf } from './flow-observe.ts';
import { type FinalObjects, type Recording, type Step, type TimelineEntry, testAgent } from './flow-recording.ts';
import { sleep } from './sleep.ts';

/** How much faster than a real cluster; the grace period of a migration is then 0.8 s. */
export const replaySpeed = 25;
const shortestQuietMs = 120;
const longestWaitMs = 15_000;

interface Answer {
  readonly step: string;
  readonly status: number;
  readonly body: unknown;
}

export interface Replay {
  readonly answers: readonly Answer[];
  readonly timeline: readonly TimelineEntry[];
  readonly final: FinalObjects;
  /** Waits of the recording that did not come true, or did though they should not. */
  readonly unmet: readonly string[];
}

const watched: readonly Resource[] = [
  virtualMachines,
  virtualMachineInstances,
  pods,
  virtualMachineInstanceMigrations,
  events,
];

/** Replays one recording on a sandbox of its own. */
export async function replay(recording: Recording): Promise<Replay> {
  const recorder = new Recorder();
  const sandbox = await assembleSandbox({
    speed: replaySpeed,
    wrap: (actor, cluster) => recorder.wrap(actor, cluster),
  });
  const abort = new AbortController();
  const seen: Seen[] = [];
  const run = new Run(recording, sandbox, recorder);
  try {
    sandbox.api.store.seed('', 'namespaces', namespace(recording.namespace));
    for (const nad of recording.networkAttachmentDefinitions) {
      const { resourceVersion: _, ...metadata } = nad.metadata;
      sandbox.api.store.seed('k8s.cni.cncf.io', 'network-attachment-definitions', { ...nad, metadata });
    }
    const follow = watched.map((resource) =>
      watch(sandbox, resource, recording.namespace, seen, recorder, abort.signal),
    );
    await Promise.all(follow.map((one) => one.ready));
    for (const step of recording.steps) await run.perform(step);
    await run.quiet(shortestQuietMs * 2);
    return {
      answers: run.answers,
      timeline: timelineOf(seen, recorder),
      final: run.finalObjects(recording),
      unmet: run.unmet,
    };
  } finally {
    abort.abort();
    await sandbox.stop();
  }
}

function watch(
  sandbox: AssembledSandbox,
  resource: Resource,
  namespaceName: string,
  seen: Seen[],
  recorder: Recorder,
  signal: AbortSignal,
): { readonly ready: Promise<void> } {
  const ready = (async () => {
    const list = await sandbox.admin.list(resource, { namespace: namespaceName }, (object) => object);
    void (async () => {
      try {
        const selection = { namespace: namespaceName, resourceVersion: list.resourceVersion };
        for await (const event of sandbox.admin.watch(resource, selection, signal)) {
          if (event.type === 'BOOKMARK') continue;
          if (resource !== events) recorder.lastWrite = performance.now();
          seen.push({ type: event.type, object: event.object, version: Number(event.object.metadata.resourceVersion) });
        }
      } catch {
        // The watch ends with the sandbox.
      }
    })();
  })();
  return { ready };
}

interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly accept: string;
  readonly contentType?: string;
  readonly body?: string;
}

/** Sends a request as it was recorded, past the client. */
function sendRaw(
  sandbox: AssembledSandbox,
  { method, path, accept, contentType, body }: RawRequest,
): Promise<{ readonly status: number; readonly body: string }> {
  const { clusters } = parse(sandbox.kubeconfig) as {
    readonly clusters: readonly { readonly cluster: { readonly 'certificate-authority-data'?: string } }[];
  };
  const ca = clusters[0]?.cluster['certificate-authority-data'];
  const headers = {
    authorization: `Bearer ${sandbox.adminToken}`,
    accept,
    'user-agent': testAgent,
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  };
  return new Promise((resolve, reject) => {
    const url = new URL(path, sandbox.api.url);
    const call = url.protocol === 'https:' ? https : http;
    const options = {
      method,
      headers,
      agent: false as const,
      ...(ca !== undefined && { ca: Buffer.from(ca, 'base64') }),
    };
    const request = call.request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** One replay under way. */
class Run {
  readonly answers: Answer[] = [];
  readonly unmet: string[] = [];
  readonly #recording: Recording;
  readonly #sandbox: AssembledSandbox;
  readonly #recorder: Recorder;

  constructor(recording: Recording, sandbox: AssembledSandbox, recorder: Recorder) {
    this.#recording = recording;
    this.#sandbox = sandbox;
    this.#recorder = recorder;
  }

  async perform(step: Step): Promise<void> {
    if (step.request !== undefined) await this.#send(step);
    else if (step.switches !== undefined) this.#switch(step.switches);
    else if (step.wait !== undefined) await this.#await(step.wait, step.ok !== false);
    else if (step.pauseMs !== undefined) await sleep(step.pauseMs / replaySpeed);
    else await this.quiet((step.quietMs ?? 0) / replaySpeed);
  }

  /** Waits until nothing was written for so long. */
  async quiet(milliseconds: number): Promise<void> {
    const quiet = Math.max(milliseconds, shortestQuietMs);
    const deadline = performance.now() + longestWaitMs;
    this.#recorder.lastWrite = performance.now();
    while (performance.now() < deadline) {
      const left = this.#recorder.lastWrite + quiet - performance.now();
      if (left <= 0) return;
      await sleep(left + 1);
    }
  }

  async #send({ name = '', request }: Step): Promise<void> {
    if (request === undefined) return;
    const { status, body } = await sendRaw(this.#sandbox, {
      method: request.method,
      path: this.#translated(request.path),
      accept: request.accept ?? 'application/json',
      ...(request.contentType !== undefined && { contentType: request.contentType }),
      ...(request.body !== undefined && { body: JSON.stringify(this.#ownBody(request.body)) }),
    });
    let parsed: unknown = body;
    try {
      parsed = JSON.parse(body);
    } catch {
      // Plain text.
    }
    this.answers.push({ step: name, status, body: parsed });
  }

  /** Names that the server made up are others here. */
  #translated(path: string): string {
    const migration = this.#list(virtualMachineInstanceMigrations).at(-1)?.metadata.name;
    const pod = this.#list(pods).at(-1)?.metadata.name;
    return path
      .replace(/kubevirt-workload-update-[a-z0-9]{5}/, (name) => migration ?? name)
      .replace(/virt-launcher-[a-z0-9-]+-[a-z0-9]{5}/, (name) => pod ?? name);
  }

  /** UIDs are others here, and the longest body is told in words only. */
  #ownBody(body: unknown): unknown {
    const count = typeof body === 'string' ? /^\[trimmed: (\d+) NICs\]$/.exec(body)?.[1] : undefined;
    if (count !== undefined) {
      return Array.from({ length: Number(count) }, (_, index) => `n${index}`).flatMap((name) => [
        { op: 'add', path: '/spec/template/spec/networks/-', value: { name, multus: { networkName: 'vlan10' } } },
        { op: 'add', path: '/spec/template/spec/domain/devices/interfaces/-', value: { name, bridge: {} } },
      ]);
    }
    const { metadata } = (body ?? {}) as { readonly metadata?: { readonly name?: string; readonly uid?: string } };
    if (metadata?.uid === undefined) return body;
    const own = this.#list(virtualMachines).find((vm) => vm.metadata.name === metadata.name)?.metadata.uid;
    return { ...(body as object), metadata: { ...metadata, uid: own ?? metadata.uid } };
  }

  #switch(switches: Readonly<Record<string, string>>): void {
    const { dynnet, hold, noPlug, noUnplug, holdMigration, failMigration } = switches;
    if (hold !== undefined) this.#sandbox.setHeld(hold === 'true');
    if (dynnet !== undefined) this.#sandbox.setDynamicNetworks(dynnet === 'true');
    this.#sandbox.faults.set([
      ...(noPlug ? [{ name: 'no-plug', value: noPlug } as const] : []),
      ...(noUnplug ? [{ name: 'no-unplug', value: noUnplug } as const] : []),
      ...(holdMigration === 'true' ? [{ name: 'migration-hangs', value: 'before-start' } as const] : []),
      ...(failMigration === 'true' ? [{ name: 'migration-fails', value: '*' } as const] : []),
    ]);
    this.#sandbox.wake();
  }

  async #await(text: string, ok: boolean): Promise<void> {
    const test = this.#condition(text);
    if (test === undefined) {
      await this.quiet(shortestQuietMs);
      return;
    }
    const deadline = performance.now() + (ok ? longestWaitMs : 500);
    while (performance.now() < deadline) {
      if (test()) {
        if (!ok) this.unmet.push(`came true: ${text}`);
        return;
      }
      await sleep(3);
    }
    if (ok) this.unmet.push(text);
  }

  #list(resource: Resource): readonly KubeObject[] {
    return this.#sandbox.api.store.list(resource.group, resource.plural, this.#recording.namespace);
  }

  #fields(object: KubeObject | undefined): Fields {
    return (object ?? {}) as unknown as Fields;
  }

  /** What a wait of the recording means; undefined where standing still is as good. */
  #condition(text: string): (() => boolean) | undefined {
    const vm = (name = 'web01'): Fields =>
      this.#fields(this.#list(virtualMachines).find((one) => one.metadata.name === name));
    const vmi = (name = 'web01'): Fields =>
      this.#fields(this.#list(virtualMachineInstances).find((one) => one.metadata.name === name));
    const sources = (name: string): string =>
      vmi().status?.interfaces?.find((status) => status.name === name)?.infoSource ?? '';
    const plugged = (name: string): boolean =>
      sources(name).includes('domain') && sources(name).includes('multus-status');
    const condition = (fields: Fields, type: string): string | undefined =>
      fields.status?.conditions?.find((one) => one.type === type)?.status;
    const running = /^VM (\S+) Running$/.exec(text)?.[1];
    if (running !== undefined) {
      return () => vm(running).status?.printableStatus === 'Running' && vm(running).status?.ready === true;
    }
    const gone = /^NIC (\S+) gone/.exec(text)?.[1];
    if (gone !== undefined) {
      return () =>
        ![...nicNames(vm().spec?.template?.spec), ...nicNames(vmi().spec)].includes(gone) && sources(gone) === '';
    }
    const nic = /^(\S+) (?:and \S+ )?plugged/.exec(text)?.[1];
    if (nic !== undefined) return () => plugged(nic);
    const link = /^(\S+) linkState (up|down)$/.exec(text);
    if (link !== null) {
      return () => vmi().status?.interfaces?.find((status) => status.name === link[1])?.linkState === link[2];
    }
    const required = /^MigrationRequired (True|False)$/.exec(text)?.[1];
    if (required !== undefined) return () => condition(vmi(), 'MigrationRequired') === required;
    switch (text) {
      case 'RestartRequired on the VM':
        return () => condition(vm(), 'RestartRequired') === 'True';
      case 'RestartRequired gone':
        return () => condition(vm(), 'RestartRequired') === undefined;
      case 'VMIM created':
        return () => this.#list(virtualMachineInstanceMigrations).length > 0;
      case 'VMI exists':
        return () => vmi().spec !== undefined;
      case 'VMI has absent':
        return () => vmi().spec?.domain?.devices?.interfaces?.some((one) => one.state === 'absent') === true;
      case 'TargetReady':
        return () =>
          this.#list(virtualMachineInstanceMigrations).some((one) => this.#fields(one).status?.phase === text);
      case 'mig1 Succeeded':
        return () =>
          this.#list(virtualMachineInstanceMigrations).some((one) => this.#fields(one).status?.phase === 'Succeeded');
      case '1 migration(s) Succeeded and VMI settled':
        return () =>
          this.#list(virtualMachineInstanceMigrations).some((one) => this.#fields(one).status?.phase === 'Succeeded') &&
          condition(vmi(), 'MigrationRequired') === undefined;
      default:
        return undefined;
    }
  }

  finalObjects(recording: Recording): FinalObjects {
    const named = (resource: Resource, like: KubeObject | null | undefined): KubeObject | null =>
      this.#list(resource).find((one) => one.metadata.name === like?.metadata.name) ?? null;
    return {
      vm: named(virtualMachines, recording.final.vm),
      vmi: named(virtualMachineInstances, recording.final.vmi ?? recording.final.vm),
      pods: this.#list(pods),
      migrations: this.#list(virtualMachineInstanceMigrations),
    };
  }
}

interface Fields {
  readonly spec?: {
    readonly template?: { readonly spec?: Fields['spec'] };
    readonly domain?: {
      readonly devices?: { readonly interfaces?: readonly { readonly name: string; readonly state?: string }[] };
    };
  };
  readonly status?: {
    readonly phase?: string;
    readonly printableStatus?: string;
    readonly ready?: boolean;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly interfaces?: readonly {
      readonly name?: string;
      readonly infoSource?: string;
      readonly linkState?: string;
    }[];
  };
}

function nicNames(spec: Fields['spec']): readonly string[] {
  return spec?.domain?.devices?.interfaces?.map((nic) => nic.name) ?? [];
}
