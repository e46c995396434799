/** virt-handler with virt-launcher behind it: starts domains, plugs and unplugs NICs, migrates, and reports. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { virtualMachineInstances } from '../../reconcile/kube/resources.ts';
import {
  annotations,
  conditionTypes,
  eventReasons,
  labels,
  synchronizeFailedReason,
} from '../../reconcile/systems/kubevirt-names.ts';
import type { Domain } from '../node/libvirt-model.ts';
import { type Actor, type ActorContext, EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import { nodeAddresses } from './kubelet.ts';
import { memoryOverhead } from './launcher-pod.ts';
import { statusFromDomain, syncNics, toAttach, withHostDevices } from './launcher-sync.ts';
import {
  type Condition,
  equalJson,
  findCondition,
  isConditionTrue,
  type MigrationState,
  type Pod,
  readAs,
  timestamp,
  type Vmi,
  type VmiStatus,
  withCondition,
  withoutCondition,
  writable,
} from './objects.ts';
import { infoSources, splitNad } from './pod-networks.ts';
import { nicLists } from './vm-networks.ts';
import { PodIndex } from './vmi-controller.ts';
import { withPhase } from './vmi-status.ts';
import { WorkQueue } from './work-queue.ts';

/** Milliseconds on a real cluster. */
const delays = {
  start: 50,
  sync: 250,
  release: 500,
  migrationStep: 300,
  shutdown: 100,
  retry: 1000,
  longestRetry: 60_000,
};

export function virtHandler(cluster: Cluster, context: ActorContext): Actor & { wake(): void } {
  return new VirtHandler(cluster, context);
}

class VirtHandler {
  readonly #cluster: Cluster;
  readonly #vmis: Informer;
  readonly #index: PodIndex;
  readonly #context: ActorContext;
  readonly #events: EventRecorder;
  readonly #queue: WorkQueue;
  /** Failed syncs in a row, by UID of the VMI. */
  readonly #failures = new Map<string, number>();

  constructor(cluster: Cluster, context: ActorContext) {
    const { vmis, pods: launchers } = context.caches;
    this.#cluster = cluster;
    this.#vmis = vmis;
    this.#context = context;
    this.#events = new EventRecorder(cluster, 'virt-handler');
    this.#queue = new WorkQueue((key) => this.#sync(key));
    this.#index = new PodIndex(launchers, (key) => {
      const vmi = this.#vmi(key);
      if (vmi !== undefined) this.#schedule(key, vmi);
    });
    vmis.onChange((change, object) => {
      if (change === 'deleted') this.#failures.delete(object.metadata.uid ?? '');
      else if (change !== 'added' || !isSettled(readAs<Vmi>(object))) {
        this.#schedule(keyOf(object), readAs<Vmi>(object));
      }
    });
  }

  async stop(): Promise<void> {
    await this.#queue.close();
    await this.#events.flush();
  }

  /** Looks at every VMI again. */
  wake(): void {
    for (const object of this.#vmis.values()) this.#schedule(keyOf(object), readAs<Vmi>(object));
  }

  #vmi(key: string): Vmi | undefined {
    const stored = this.#vmis.byKey(key);
    return stored === undefined ? undefined : readAs<Vmi>(stored);
  }

  #schedule(key: string, vmi: Vmi): void {
    const phase = vmi.status?.phase;
    if (phase !== 'Scheduled' && phase !== 'Running') return;
    let delay = delays.sync;
    if (vmi.metadata.deletionTimestamp !== undefined) delay = delays.shutdown;
    else if (phase === 'Scheduled') delay = delays.start;
    else if (openMigration(vmi) !== undefined) delay = delays.migrationStep;
    else if (nicLists(vmi.spec).interfaces.some((nic) => nic.state === 'absent')) delay = delays.release;
    this.#queue.addAfter(key, delay / this.#context.speed);
  }

  async #sync(key: string): Promise<void> {
    const vmi = this.#vmi(key);
    if (vmi === undefined) return;
    const { phase } = vmi.status ?? {};
    if (phase !== 'Scheduled' && phase !== 'Running') return;
    if (vmi.metadata.deletionTimestamp !== undefined) {
      await this.#update(vmi, withPhase(vmi.status, 'Succeeded'));
      return;
    }
    const pod = this.#index.current(vmi);
    if (pod === undefined) return;
    if (phase === 'Scheduled') {
      if (isConditionTrue(pod.status?.conditions, 'Ready')) await this.#start(vmi, pod);
      return;
    }
    const migration = openMigration(vmi);
    if (migration !== undefined) {
      // From here on the source only migrates: NICs wait for the end of it.
      const prepared = migration.targetNodeAddress !== undefined;
      if ((await this.#migrate(vmi, pod, migration)) || prepared) return;
    }
    await this.#syncRunning(key, vmi, pod);
  }

  async #start(vmi: Vmi, pod: Pod): Promise<void> {
    let domain: Domain;
    try {
      domain = this.#context.node.domainOf(pod, vmi);
    } catch (error) {
      await this.#reportFailure(vmi, error instanceof Error ? error.message : String(error));
      return;
    }
    this.#context.node.markReady(pod.metadata.uid);
    const now = timestamp();
    let conditions = vmi.status?.conditions ?? [];
    for (const condition of guestConditions(vmi, now)) conditions = withCondition(conditions, condition);
    const interfaces = statusFromDomain(vmi, domain, pod.status?.podIP);
    const memory = vmi.status?.memory as Record<string, unknown> | undefined;
    await this.#update(vmi, {
      ...withPhase(vmi.status, 'Running'),
      conditions,
      interfaces,
      guestOSInfo: { id: 'fedora', name: 'Fedora Linux', version: '41' },
      machine: { type: 'q35' },
      memory: { ...memory, memoryOverhead: memoryOverhead(vmi).quantity },
      migrationMethod: 'BlockMigration',
      migrationTransport: 'Unix',
      selinuxContext: 'none',
      volumeStatus: volumeNames(vmi).map((name) => ({ name, target: '' })),
    });
  }

  /** Domain to spec, then status from domain. */
  async #syncRunning(key: string, vmi: Vmi, pod: Pod): Promise<void> {
    const domain = this.#context.node.domainOf(pod, vmi);
    const networks = this.#context.node.networksOf(pod, vmi);
    const inPod = this.#interfaceCheck(pod, vmi);
    const missing = toAttach(vmi, domain).filter((nic) => !inPod(nic.name));
    for (const nic of missing) {
      const message = `failed to configure vmi network: setup failed, err: Critical network error: Link not found: ${nic.name}`;
      this.#events.emit(vmi, 'Warning', eventReasons.nicHotplug, message);
    }
    const guest = {
      takes: (network: string) => !this.#strikes('no-plug', vmi, network),
      releases: (network: string) => !this.#strikes('no-unplug', vmi, network),
    };
    const result = syncNics(vmi, domain, networks, guest, inPod);
    this.#context.node.setDomain(pod.metadata.uid, result.domain);
    const interfaces = statusFromDomain(vmi, result.domain, pod.status?.podIP);
    let conditions = vmi.status?.conditions ?? [];
    if (result.error === undefined) conditions = withoutCondition(conditions, conditionTypes.synchronized);
    else conditions = withFirstError(conditions, result.error);
    const status = { ...vmi.status, conditions, interfaces };
    if (!equalJson(status, vmi.status)) await this.#update(vmi, status);
    if (result.error === undefined && missing.length === 0) {
      this.#failures.delete(vmi.metadata.uid);
      return;
    }
    if (result.error !== undefined) {
      this.#events.emit(vmi, 'Warning', eventReasons.syncFailed, result.error);
    }
    const failures = this.#failures.get(vmi.metadata.uid) ?? 0;
    this.#failures.set(vmi.metadata.uid, failures + 1);
    const pause = Math.min(delays.retry * 2 ** failures, delays.longestRetry);
    this.#queue.addAfter(key, pause / this.#context.speed);
  }

  async #reportFailure(vmi: Vmi, error: string): Promise<void> {
    const conditions = withFirstError(vmi.status?.conditions ?? [], error);
    this.#events.emit(vmi, 'Warning', eventReasons.syncFailed, error);
    if (!equalJson(conditions, vmi.status?.conditions)) await this.#update(vmi, { ...vmi.status, conditions });
  }

  /** Whether the pod really has the interface, whatever network-status says. */
  #interfaceCheck(pod: Pod, vmi: Vmi): (network: string) => boolean {
    const present = this.#context.node.interfacesOf(pod);
    const networks = this.#context.node.networksOf(pod, vmi);
    return (network) => present.has(networks.podInterface?.(network) ?? '');
  }

  #strikes(fault: 'no-plug' | 'no-unplug', vmi: Vmi, network: string): boolean {
    const { namespace, name } = vmi.metadata;
    const nad = vmi.spec.networks?.find((one) => one.name === network)?.multus?.networkName ?? '';
    const split = splitNad(nad, namespace);
    const vm = `${namespace}/${name}`;
    const names = [network, split.name, `${split.namespace}/${split.name}`, name, vm, `${vm}/${network}`];
    return this.#context.faults.strikes(fault, ...names);
  }

  /** One step of a migration. Returns whether a step was taken, so that nothing else is done now. */
  async #migrate(vmi: Vmi, source: Pod, state: MigrationState): Promise<boolean> {
    const { faults } = this.#context;
    const key = `${vmi.metadata.namespace}/${vmi.metadata.name}`;
    const target = this.#index.of(vmi).find((pod) => pod.metadata.name === state.targetPod);
    if (target === undefined) return false;
    if (state.targetNodeAddress === undefined) {
      await this.#writeMigration(vmi, {
        ...state,
        targetNodeAddress: nodeAddresses[state.targetNode ?? ''] ?? '',
        targetDirectMigrationNodePorts: { '40001': 0, '40002': 49152 },
      });
      return true;
    }
    if (state.startTimestamp === undefined) {
      if (faults.has('migration-hangs', 'before-start')) return false;
      await this.#writeMigration(vmi, { ...state, startTimestamp: timestamp(), mode: 'PreCopy' });
      return true;
    }
    if (faults.strikes('migration-hangs', key, vmi.metadata.name)) return false;
    if (faults.strikes('migration-fails', key, vmi.metadata.name)) {
      const failureReason = 'Live migration failed: the connection to the target was lost';
      await this.#writeMigration(vmi, {
        ...state,
        failed: true,
        completed: true,
        endTimestamp: timestamp(),
        failureReason,
      });
      this.#context.node.markFinished(target.metadata.uid);
      return true;
    }
    if (state.targetNodeDomainDetected !== true) {
      const detected = { targetNodeDomainDetected: true, targetNodeDomainReadyTimestamp: timestamp() };
      const conditions = withoutCondition(vmi.status?.conditions, conditionTypes.migrationRequired);
      await this.#update(vmi, { ...vmi.status, conditions, migrationState: { ...state, ...detected } });
      return true;
    }
    await this.#complete(vmi, source, target, state);
    return true;
  }

  async #complete(vmi: Vmi, source: Pod, target: Pod, state: MigrationState): Promise<void> {
    const { node } = this.#context;
    const domain = node.domainOf(source, vmi);
    const moved = withHostDevices(vmi, domain, node.networksOf(target, vmi), this.#interfaceCheck(target, vmi));
    const targetNode = state.targetNode ?? '';
    const metadata = { ...vmi.metadata, labels: { ...vmi.metadata.labels, [labels.nodeName]: targetNode } };
    await this.#update(
      { ...vmi, metadata },
      {
        ...vmi.status,
        nodeName: targetNode,
        migrationState: { ...state, completed: true, endTimestamp: timestamp() },
      },
    );
    node.setDomain(target.metadata.uid, moved.domain);
    node.markReady(target.metadata.uid);
    node.markFinished(source.metadata.uid);
    if (moved.error !== undefined) this.#events.emit(vmi, 'Warning', eventReasons.syncFailed, moved.error);
  }

  async #writeMigration(vmi: Vmi, migrationState: MigrationState): Promise<void> {
    await this.#update(vmi, { ...vmi.status, migrationState });
  }

  async #update(vmi: Vmi, status: VmiStatus): Promise<void> {
    this.#vmis.observe(await this.#cluster.update(virtualMachineInstances, writable({ ...vmi, status })));
  }
}

/** Whether there is nothing to do for a VMI that was running before: thousands of domains need not be made up then. */
function isSettled(vmi: Vmi): boolean {
  if (vmi.status?.phase !== 'Running' || vmi.metadata.deletionTimestamp !== undefined) return false;
  if (openMigration(vmi) !== undefined) return false;
  return nicLists(vmi.spec).interfaces.every((nic) => {
    const status = vmi.status?.interfaces?.find((one) => one.name === nic.name);
    return nic.state === undefined && infoSources(status).includes('domain');
  });
}

/** A migration that was handed over and has not ended. */
function openMigration(vmi: Vmi): MigrationState | undefined {
  const state = vmi.status?.migrationState;
  return state === undefined || state.completed === true || state.failed === true ? undefined : state;
}

/** The condition keeps the first error as long as there is one; newer ones are in events only. */
function withFirstError(conditions: readonly Condition[], message: string): Condition[] {
  const type = conditionTypes.synchronized;
  if (findCondition(conditions, type)?.reason === synchronizeFailedReason) return [...conditions];
  const now = timestamp();
  return withCondition(conditions, {
    type,
    status: 'False',
    lastProbeTime: null,
    lastTransitionTime: now,
    reason: synchronizeFailedReason,
    message,
  });
}

function guestConditions(vmi: Vmi, now: string): readonly Condition[] {
  const make = (type: string): Condition => ({ type, status: 'True', lastProbeTime: now, lastTransitionTime: now });
  const migratable = make(conditionTypes.liveMigratable);
  return [
    ...(hasPodBridge(vmi)
      ? [
          {
            ...migratable,
            status: 'False',
            reason: 'InterfaceNotLiveMigratable',
            message:
              'cannot migrate VMI which does not use masquerade or a migratable plugin to connect to the pod network',
          },
        ]
      : [migratable]),
    make(conditionTypes.storageLiveMigratable),
    make(conditionTypes.agentConnected),
  ];
}

function hasPodBridge(vmi: Vmi): boolean {
  if (vmi.metadata.annotations?.[annotations.allowPodBridgeMigration] !== undefined) return false;
  const pod = vmi.spec.networks?.find((network) => network.pod !== undefined)?.name;
  return nicLists(vmi.spec).interfaces.some((nic) => nic.name === pod && nic.bridge !== undefined);
}

function volumeNames(vmi: Vmi): readonly string[] {
  const { volumes } = vmi.spec;
  return Array.isArray(volumes) ? volumes.map((volume: { readonly name: string }) => volume.name) : [];
}
