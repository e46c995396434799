/** Performs the steps of a recording on a cluster and notes what its parts write. */
import http from 'node:http';
import https from 'node:https';
import type { KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import {
  events,
  pods,
  virtualMachineInstanceMigrations,
  virtualMachineInstances,
  virtualMachinePools,
  virtualMachines,
} from '../../reconcile/kube/resources.ts';
import { type Seen, timelineOf } from './flow-observe.ts';
import { type FinalObjects, type Recording, type Step, type TimelineEntry, testAgent } from './flow-recording.ts';
import { type FlowStage, sandboxStage } from './flow-stage.ts';
import { sleep } from './sleep.ts';

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

/** Performs one recording on a sandbox of its own. */
export async function replay(recording: Recording): Promise<Replay> {
  const stage = await sandboxStage();
  try {
    return await replayOn(stage, recording);
  } finally {
    await stage.stop();
  }
}

/** Performs one recording. */
export async function replayOn(stage: FlowStage, recording: Recording): Promise<Replay> {
  const abort = new AbortController();
  const seen: Seen[] = [];
  const run = new Run(recording, stage);
  try {
    await stage.prepare(recording.namespace, recording.networkAttachmentDefinitions);
    const kinds = new Set(recording.timeline.map(({ kind }) => kind));
    const followed = kinds.has(virtualMachinePools.kind) ? [...watched, virtualMachinePools] : watched;
    await Promise.all(followed.map((resource) => run.follow(resource, seen, abort.signal)));
    for (const step of recording.steps) await run.perform(step);
    await run.quiet(stage.pace.quietMs * 2);
    return {
      answers: run.answers,
      timeline: timelineOf(seen, stage.recorder()),
      final: run.finalObjects(recording),
      unmet: run.unmet,
    };
  } finally {
    abort.abort();
  }
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
  { url: server, certificate, adminToken }: FlowStage,
  { method, path, accept, contentType, body }: RawRequest,
): Promise<{ readonly status: number; readonly body: string }> {
  const headers = {
    authorization: `Bearer ${adminToken}`,
    accept,
    'user-agent': testAgent,
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
  };
  return new Promise((resolve, reject) => {
    const url = new URL(path, server);
    const call = url.protocol === 'https:' ? https : http;
    const options = { method, headers, agent: false as const, ca: certificate };
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
  readonly #stage: FlowStage;
  #lastWrite = performance.now();

  constructor(recording: Recording, stage: FlowStage) {
    this.#recording = recording;
    this.#stage = stage;
  }

  /** Notes what becomes of the objects of a kind, from now on and until the signal. */
  async follow(resource: Resource, seen: Seen[], signal: AbortSignal): Promise<void> {
    const { namespace } = this.#recording;
    const { admin } = this.#stage;
    let { resourceVersion } = await admin.list(resource, { namespace }, () => undefined);
    const watch = async (): Promise<void> => {
      for await (const { type, object } of admin.watch(resource, { namespace, resourceVersion }, signal)) {
        resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
        if (type === 'BOOKMARK') continue;
        if (resource !== events) this.#lastWrite = performance.now();
        seen.push({ type, object, version: Number(resourceVersion) });
      }
    };
    // A server ends a watch after some minutes; it goes on where it was. The last one ends with the run.
    const watchOn = async (): Promise<void> => {
      while (!signal.aborted) await watch();
    };
    void watchOn().catch(() => undefined);
  }

  async perform(step: Step): Promise<void> {
    if (step.request !== undefined) await this.#send(step);
    else if (step.switches !== undefined) this.#switch(step.switches);
    else if (step.wait !== undefined) await this.#await(step.wait, step.ok !== false);
    else if (step.pauseMs !== undefined) await sleep(step.pauseMs / this.#stage.pace.speed);
    else await this.quiet((step.quietMs ?? 0) / this.#stage.pace.speed);
  }

  /** Waits until nothing was written for so long. */
  async quiet(milliseconds: number): Promise<void> {
    const { quietMs, waitMs } = this.#stage.pace;
    const quiet = Math.max(milliseconds, quietMs);
    const deadline = performance.now() + waitMs;
    this.#lastWrite = performance.now();
    while (performance.now() < deadline) {
      const left = this.#lastWrite + quiet - performance.now();
      if (left <= 0) return;
      await sleep(left + 1);
    }
  }

  async #send({ name = '', request }: Step): Promise<void> {
    if (request === undefined) return;
    const { status, body } = await sendRaw(this.#stage, {
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
    if (hold !== undefined) this.#stage.setHeld(hold === 'true');
    if (dynnet !== undefined) this.#stage.setDynamicNetworks(dynnet === 'true');
    this.#stage.misbehave([
      ...(noPlug ? [{ name: 'no-plug', value: noPlug } as const] : []),
      ...(noUnplug ? [{ name: 'no-unplug', value: noUnplug } as const] : []),
      ...(holdMigration === 'true' ? [{ name: 'migration-hangs', value: 'before-start' } as const] : []),
      ...(failMigration === 'true' ? [{ name: 'migration-fails', value: '*' } as const] : []),
    ]);
  }

  async #await(text: string, ok: boolean): Promise<void> {
    const test = this.#condition(text);
    const { quietMs, waitMs, refuteMs } = this.#stage.pace;
    if (test === undefined) {
      await this.quiet(quietMs);
      return;
    }
    const deadline = performance.now() + (ok ? waitMs : refuteMs);
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
    return this.#stage.list(resource, this.#recording.namespace);
  }

  #fields(object: KubeObject | undefined): Fields {
    return (object ?? {}) as unknown as Fields;
  }

  /** What a wait of the recording means; undefined where standing still is as good. */
  #condition(text: string): (() => boolean) | undefined {
    const main = this.#recording.final.vm?.metadata.name ?? 'web01';
    const vm = (name = main): Fields =>
      this.#fields(this.#list(virtualMachines).find((one) => one.metadata.name === name));
    const vmi = (name = main): Fields =>
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
