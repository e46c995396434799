/** multus-dynamic-networks-controller: follows the networks annotation of running pods, by its own rules. */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { pods } from '../../reconcile/kube/resources.ts';
import { networksAnnotation, parseNetworks } from '../../reconcile/systems/multus-networks.ts';
import {
  type NetworkStatus,
  networkStatusAnnotation,
  parseNetworkStatus,
} from '../../reconcile/systems/multus-status.ts';
import { type Actor, type ActorContext, EventRecorder } from './context.ts';
import {
  type AttachmentPlan,
  type CniCalls,
  hostNetworkEvent,
  planAttachments,
  reconcileAttachments,
  triesBeforeSilence,
} from './dynamic-networks-core.ts';
import { keyOf } from './informer.ts';
import type { Multus } from './multus.ts';
import { type Pod, readAs } from './objects.ts';
import { sleep } from './sleep.ts';

/** Milliseconds on a real cluster for one CNI call through Multus. */
const cniCallMs = 120;
const firstRetryMs = 5;

export function dynamicNetworksController(
  cluster: Cluster,
  context: ActorContext,
  multus: Multus,
): Actor & { enabled: boolean; start(): void } {
  const { pods: informer } = context.caches;
  const events = new EventRecorder(cluster, 'pod-networks-updates');
  const abort = new AbortController();
  /** Work on each pod, one after the other. */
  const work = new Map<string, Promise<void>>();
  let started = false;

  const actor = {
    enabled: true,
    /** Call it once the caches are filled. */
    start(): void {
      started = true;
      if (!actor.enabled) return;
      // Latent differences are acted on at its start.
      for (const object of informer.values()) {
        const pod = readAs<Pod>(object);
        if (pod.status?.phase === 'Running' && pod.spec.hostNetwork === true) reject(pod);
        else if (differs(pod)) enqueue(keyOf(object));
      }
    },
    async stop(): Promise<void> {
      abort.abort();
      await Promise.all(work.values());
      await events.flush();
    },
  };

  informer.onChange((change, object, old) => {
    // A pod that only now is Running enters its view anew, and what changed before goes unseen.
    if (!started || !actor.enabled || change !== 'modified' || old === undefined) return;
    const pod = readAs<Pod>(object);
    const before = readAs<Pod>(old);
    if (pod.status?.phase !== 'Running' || before.status?.phase !== 'Running') return;
    if (pod.metadata.uid !== before.metadata.uid) return;
    if (pod.spec.hostNetwork === true) {
      reject(pod);
      return;
    }
    if (pod.metadata.annotations?.[networksAnnotation] !== before.metadata.annotations?.[networksAnnotation]) {
      enqueue(keyOf(object));
    }
  });

  function reject(pod: Pod): void {
    if (pod.metadata.annotations?.[networksAnnotation] === undefined) return;
    const event = hostNetworkEvent(pod.metadata);
    events.emit(pod, event.type, event.reason, event.message);
  }

  function enqueue(key: string): void {
    const next = (work.get(key) ?? Promise.resolve()).then(() => reconcile(key)).catch(() => {});
    work.set(key, next);
    void next.then(() => {
      if (work.get(key) === next) work.delete(key);
    });
  }

  async function reconcile(key: string): Promise<void> {
    for (let tries = 0; tries < triesBeforeSilence && !abort.signal.aborted; tries++) {
      const stored = informer.byKey(key);
      if (stored === undefined || !(await attempt(readAs<Pod>(stored)))) return;
      await sleep(firstRetryMs * 2 ** tries, abort.signal);
    }
  }

  /** Returns whether it failed and shall be tried again. */
  async function attempt(pod: Pod): Promise<boolean> {
    const state = readState(pod);
    if (state === undefined) return true;
    const { plan, status } = state;
    if (plan.adds.length === 0 && plan.removes.length === 0) return false;
    const round = await reconcileAttachments(
      pod.metadata,
      plan,
      status,
      cniOf(pod),
      (event) => events.emit(pod, event.type, event.reason, event.message),
      async (next) => {
        const { namespace, name } = pod.metadata;
        const value = JSON.stringify(shuffled(next));
        informer.observe(
          await cluster.mergePatch(
            pods,
            namespace,
            name,
            { metadata: { annotations: { [networkStatusAnnotation]: value } } },
            { subresource: 'status' },
          ),
        );
      },
    );
    return round.failed;
  }

  function cniOf(pod: Pod): CniCalls {
    const delay = (): Promise<void> => sleep(cniCallMs / context.speed, abort.signal);
    return {
      async add(element) {
        await delay();
        return await multus.add(pod, element);
      },
      async del(element) {
        await delay();
        await multus.del(pod, element);
      },
    };
  }

  return actor;
}

function differs(pod: Pod): boolean {
  if (pod.status?.phase !== 'Running' || pod.spec.hostNetwork === true) return false;
  const state = readState(pod);
  return state === undefined || state.plan.adds.length > 0 || state.plan.removes.length > 0;
}

/** Both annotations as the controller reads them; undefined where it can't, and gives the pod up without an event. */
function readState(pod: Pod): { readonly plan: AttachmentPlan; readonly status: readonly NetworkStatus[] } | undefined {
  const { annotations = {}, namespace } = pod.metadata;
  const value = annotations[networksAnnotation] ?? '';
  const networks = value === '' ? undefined : parseNetworks(value, namespace, 'dynamic-controller');
  const status = parseNetworkStatus(annotations[networkStatusAnnotation] ?? '[]');
  if (networks?.ok === false || !status.ok) return undefined;
  return { plan: planAttachments(networks?.elements ?? [], status.entries), status: status.entries };
}

/** The controller rebuilds the list from a Go map, so its order is anything. */
function shuffled<T>(list: readonly T[]): T[] {
  const result = [...list];
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    const kept = result[index] as T;
    result[index] = result[other] as T;
    result[other] = kept;
  }
  return result;
}
