/**
 * Stand-in for scheduler and kubelet: binds pods to nodes, has Multus give them their interfaces, and takes them through
 * Running, Ready and their end. A launcher pod and any other are alike to it.
 */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { pods } from '../../reconcile/kube/resources.ts';
import { fields, items, text } from '../../reconcile/systems/json-shape.ts';
import { labels } from '../../reconcile/systems/kubevirt-names.ts';
import { networkStatusAnnotation } from '../../reconcile/systems/multus-status.ts';
import { type Actor, type ActorContext, EventRecorder } from './context.ts';
import { type Informer, keyOf } from './informer.ts';
import type { Multus } from './multus.ts';
import { newPodAddress } from './node-state.ts';
import { type Condition, type Pod, readAs, timestamp, withCondition } from './objects.ts';
import { sleep } from './sleep.ts';
import { WorkQueue } from './work-queue.ts';

/** Milliseconds on a real cluster. */
const delays = { sandbox: 200, ready: 300, end: 250, retry: 10_000 };

export const nodeNames = ['node01', 'node02'] as const;
export const nodeAddresses: Readonly<Record<string, string>> = { node01: '192.168.66.101', node02: '192.168.66.102' };

interface Clients {
  readonly scheduler: Cluster;
  readonly kubelet: Cluster;
}

export function kubelet(
  clients: Clients,
  context: ActorContext,
  multus: Multus,
): Actor & { hold(held: boolean): void } {
  return new Kubelet(clients, context, multus);
}

class Kubelet {
  readonly #scheduler: Cluster;
  readonly #cluster: Cluster;
  readonly #pods: Informer;
  readonly #context: ActorContext;
  readonly #multus: Multus;
  readonly #queue: WorkQueue;
  readonly #abort = new AbortController();
  readonly #schedulerEvents: EventRecorder;
  readonly #kubeletEvents: EventRecorder;
  readonly #multusEvents: EventRecorder;
  /** Pods that wait for a network attachment definition. */
  readonly #stuck = new Set<string>();
  #nextNode = 0;
  #held = false;

  constructor(clients: Clients, context: ActorContext, multus: Multus) {
    const { pods: informer, nads } = context.caches;
    this.#scheduler = clients.scheduler;
    this.#cluster = clients.kubelet;
    this.#pods = informer;
    this.#context = context;
    this.#multus = multus;
    this.#schedulerEvents = new EventRecorder(clients.scheduler, 'default-scheduler');
    this.#kubeletEvents = new EventRecorder(clients.kubelet, 'kubelet');
    this.#multusEvents = new EventRecorder(clients.kubelet, 'multus');
    this.#queue = new WorkQueue((key) => this.#sync(key));
    informer.onChange((change, object) => {
      if (change === 'deleted') void multus.forget(readAs<Pod>(object)).catch(() => undefined);
      else this.#queue.add(keyOf(object));
    });
    nads.onChange((change) => {
      if (change === 'deleted') return;
      for (const key of this.#stuck) this.#queue.add(key);
    });
    context.node.onChange((uid) => {
      for (const object of informer.values()) if (object.metadata.uid === uid) this.#queue.add(keyOf(object));
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#queue.close();
    const recorders = [this.#schedulerEvents, this.#kubeletEvents, this.#multusEvents];
    await Promise.all(recorders.map((recorder) => recorder.flush()));
  }

  /** While held, pods that are not running yet stay as they are. */
  hold(held: boolean): void {
    this.#held = held;
    if (!held) for (const object of this.#pods.values()) this.#queue.add(keyOf(object));
  }

  async #sync(key: string): Promise<void> {
    const pod = this.#pod(key);
    if (pod === undefined) return;
    if (pod.metadata.deletionTimestamp !== undefined) await this.#end(key);
    else if (pod.spec.nodeName === undefined) await this.#schedule(pod);
    else if (pod.status?.phase === undefined || pod.status.phase === 'Pending') {
      if (!this.#held) await this.#run(key);
    } else if (pod.status.phase === 'Running') await this.#running(pod, key);
  }

  #pod(key: string): Pod | undefined {
    const stored = this.#pods.byKey(key);
    return stored === undefined ? undefined : readAs<Pod>(stored);
  }

  async #wait(milliseconds: number): Promise<boolean> {
    await sleep(milliseconds / this.#context.speed, this.#abort.signal);
    return !this.#abort.signal.aborted;
  }

  async #schedule(pod: Pod): Promise<void> {
    const { namespace, name } = pod.metadata;
    const node = this.#nodeFor(pod);
    await this.#scheduler.create(
      pods,
      {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      },
      { subresource: 'binding' },
    );
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    this.#schedulerEvents.emit(pod, 'Normal', 'Scheduled', message);
  }

  /** A migration target goes to another node than its source. */
  #nodeFor(pod: Pod): string {
    const source =
      pod.metadata.labels?.[labels.migrationJobUid] === undefined ? undefined : pod.metadata.labels[labels.nodeName];
    const fitting = nodeNames.filter((node) => node !== source);
    this.#nextNode += 1;
    return fitting[this.#nextNode % fitting.length] ?? nodeNames[0];
  }

  /** Builds the pod sandbox, which needs every network, and starts the containers. */
  async #run(key: string): Promise<void> {
    if (!(await this.#wait(delays.sandbox))) return;
    const pod = this.#pod(key);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return;
    const address = await this.#address(pod, key);
    if (address === undefined) return;
    const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }], startTime: timestamp() };
    await this.#writeStatus(pod, { ...status, hostIP: nodeAddresses[pod.spec.nodeName ?? ''] ?? '' }, 'False');
  }

  /** Address of the pod once its networks are set up; undefined where one of them fails, to be tried again. */
  async #address(pod: Pod, key: string): Promise<string | undefined> {
    // Multus is not asked for a pod in the network of its host.
    if (pod.spec.hostNetwork === true) return nodeAddresses[pod.spec.nodeName ?? ''];
    let entries: Awaited<ReturnType<Multus['setUp']>>;
    try {
      entries = await this.#multus.setUp(pod);
    } catch (error) {
      this.#stuck.add(key);
      const reason = error instanceof Error ? error.message : String(error);
      const message = `Failed to create pod sandbox: plugin type="multus" failed (add): ${reason}`;
      this.#kubeletEvents.emit(pod, 'Warning', 'FailedCreatePodSandBox', message);
      this.#queue.addAfter(key, delays.retry / this.#context.speed);
      return undefined;
    }
    this.#stuck.delete(key);
    const { namespace, name } = pod.metadata;
    await this.#cluster.mergePatch(pods, namespace, name, {
      metadata: { annotations: { [networkStatusAnnotation]: JSON.stringify(entries) } },
    });
    for (const entry of entries) {
      const message = `Add ${entry.interface} [${(entry.ips ?? []).map((ip) => `${ip}/24`).join(' ')}] from ${entry.name}`;
      this.#multusEvents.emit(pod, 'Normal', 'AddedInterface', message);
    }
    return entries[0]?.ips?.[0] ?? newPodAddress();
  }

  async #running(pod: Pod, key: string): Promise<void> {
    const { uid } = pod.metadata;
    if (this.#context.node.isFinished(uid)) {
      await this.#writeStatus(pod, { phase: 'Succeeded' }, 'False');
      return;
    }
    const isTarget = pod.metadata.labels?.[labels.migrationJobUid] !== undefined;
    if (isReady(pod) || (isTarget && !this.#context.node.isReady(uid))) return;
    if (!(await this.#wait(delays.ready))) return;
    const current = this.#pod(key);
    if (current?.metadata.uid !== uid || current.metadata.deletionTimestamp !== undefined || isReady(current)) return;
    await this.#writeStatus(current, { phase: 'Running' }, 'True');
  }

  async #writeStatus(pod: Pod, values: Readonly<Record<string, unknown>>, ready: 'True' | 'False'): Promise<void> {
    const { namespace, name } = pod.metadata;
    const now = timestamp();
    const make = (type: string, status: string): Condition => ({
      type,
      status,
      lastProbeTime: null,
      lastTransitionTime: now,
    });
    let conditions = pod.status?.conditions ?? [];
    const gates = items(pod.spec.readinessGates).flatMap((gate) => text(fields(gate).conditionType) ?? []);
    for (const type of [...gates, 'PodScheduled', 'Initialized']) {
      if (!conditions.some((condition) => condition.type === type))
        conditions = withCondition(conditions, make(type, 'True'));
    }
    for (const type of ['ContainersReady', 'Ready']) conditions = withCondition(conditions, make(type, ready));
    const containers = items(pod.spec.containers).map(fields);
    const ended = values.phase === 'Succeeded';
    const containerStatuses = containers.map(({ name: container, image }) => ({
      name: container,
      image,
      imageID: image,
      restartCount: 0,
      ready: !ended,
      ...(ended
        ? { state: { terminated: { exitCode: 0, reason: 'Completed' } } }
        : { started: true, state: { running: { startedAt: now } } }),
    }));
    const asks = containers.some(({ resources }) => Object.keys(fields(resources)).length > 0);
    const patch = { status: { ...values, conditions, containerStatuses, qosClass: asks ? 'Burstable' : 'BestEffort' } };
    const stored = await this.#cluster.mergePatch(pods, namespace, name, patch as never, { subresource: 'status' });
    this.#pods.observe(stored);
  }

  /** The containers have ended: the object goes. */
  async #end(key: string): Promise<void> {
    if (!(await this.#wait(delays.end))) return;
    const pod = this.#pod(key);
    if (pod?.metadata.deletionTimestamp === undefined) return;
    const { namespace, name } = pod.metadata;
    this.#stuck.delete(key);
    try {
      await this.#cluster.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }
}

function isReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true
  );
}
