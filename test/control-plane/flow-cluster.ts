/** KubeVirt's own controllers as a stage for recordings: who wrote what is in the audit log of the API server. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, KubeObject, Resource, Selection } from '../../reconcile/kube/cluster.ts';
import { kubevirts, networkAttachmentDefinitions, virtualMachines } from '../../reconcile/kube/resources.ts';
import { Caches } from '../../sandbox/actors/caches.ts';
import { Faults } from '../../sandbox/actors/context.ts';
import { Recorder } from '../../sandbox/actors/flow-observe.ts';
import type { FlowStage, Pace } from '../../sandbox/actors/flow-stage.ts';
import type { Informer } from '../../sandbox/actors/informer.ts';
import { nodeNames } from '../../sandbox/actors/kubelet.ts';
import { baseObjects, namespace } from '../../sandbox/base-objects.ts';
import { type ActorName, actorPrograms, actorUsers, startCast } from '../../sandbox/cast.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installDefinitions } from './definitions.ts';
import { furnish } from './furnish.ts';
import { kubevirtUsers, nodeUsers, openVirtHandler, startKubeVirt } from './kubevirt.ts';

/** The node acts faster than a real one; KubeVirt's own waits are as they are. */
const nodeSpeed = 4;

const pace: Pace = { speed: 3, quietMs: 1500, waitMs: 60_000, refuteMs: 3000 };

/** What KubeVirt's components and the actors are called in the recordings. */
const writers = new Map<string, { readonly writer: string; readonly fake: boolean }>([
  [kubevirtUsers.controller.name, { writer: 'virt-controller', fake: false }],
  [kubevirtUsers.api.name, { writer: 'virt-api', fake: false }],
  [actorUsers.virtHandler, { writer: 'virt-handler', fake: true }],
  [actorUsers.scheduler, { writer: 'kube-scheduler', fake: true }],
  [actorUsers.kubelet, { writer: 'kubelet', fake: true }],
  [actorUsers.dynamicNetworks, { writer: 'dynamic-networks', fake: true }],
]);

export interface FlowCluster {
  /** Of KubeVirt and of the API server. */
  readonly versions: readonly string[];
  /** A stage for one recording, in its namespace: nodes, with switches of their own. */
  stage(namespace: string): Promise<FlowStage>;
  stop(): Promise<void>;
}

/** Starts all of it; several recordings go side by side on it. */
export async function startFlowCluster(): Promise<FlowCluster> {
  const plane = await startControlPlane({ users: [...nodeUsers, ...Object.values(kubevirtUsers)], auditBodies: true });
  const ends: (() => Promise<void>)[] = [() => plane.stop()];
  const stop = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
  };
  try {
    const { admin } = plane;
    for (const placed of baseObjects(true)) if (placed.group !== 'kubevirt.io') await furnish(admin, placed);
    await installDefinitions(admin, { groups: [networkAttachmentDefinitions.group] });
    const kubevirt = await startKubeVirt(plane);
    ends.push(() => kubevirt.stop());
    const handler = await openVirtHandler(plane, nodeNames);
    const informers = await plane.open(plane.adminToken, 'informers');
    const client = async (name: ActorName): Promise<Cluster> =>
      name === 'virtHandler' ? handler : await plane.open(plane.tokenOf(actorUsers[name]), actorPrograms[name]);
    return {
      versions: [`KubeVirt ${kubevirt.version}`, `kube-apiserver ${plane.versions.kubernetes}`],
      stage: (name) => stageIn(name, plane, within(informers, name), client),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function stageIn(
  name: string,
  plane: ControlPlane,
  reader: Cluster,
  client: (name: ActorName) => Promise<Cluster>,
): Promise<FlowStage> {
  const { admin } = plane;
  const faults = new Faults([]);
  const caches = new Caches(reader);
  await caches.start();
  const cast = await startCast({
    client,
    reader,
    speed: nodeSpeed,
    faults,
    dynamicNetworks: true,
    virtController: false,
  });
  return {
    pace,
    url: plane.url,
    certificate: plane.tls.certificate,
    admin,
    adminToken: plane.adminToken,
    list: ({ plural }) => [...(informersOf(caches)[plural]?.values() ?? [])],
    setDynamicNetworks: cast.setDynamicNetworks,
    setHeld: cast.setHeld,
    misbehave(list) {
      faults.set(list);
      cast.wake();
    },
    async prepare(_namespace, networks) {
      await furnish(admin, { group: '', plural: 'namespaces', object: namespace(name) });
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: name, name: 'default' } };
      await furnish(admin, { group: '', plural: 'serviceaccounts', object: account });
      for (const object of networks) {
        const { resourceVersion: _, ...metadata } = object.metadata;
        await admin.create(networkAttachmentDefinitions, { ...object, metadata });
      }
    },
    recorder: () => recorded(plane.auditLog),
    async stop() {
      await clear(admin, caches, name);
      await cast.stop();
      await caches.stop();
    },
  };
}

/** The same client, which reads in one namespace alone; the installation of KubeVirt is still seen. */
function within(cluster: Cluster, namespace: string): Cluster {
  const narrowed = <S extends Selection>(resource: Resource, selection: S): S =>
    resource === kubevirts ? selection : { ...selection, namespace };
  return new Proxy(cluster, {
    get(target, property) {
      if (property === 'list') {
        return (...[resource, selection, ...rest]: Parameters<Cluster['list']>) =>
          target.list(resource, narrowed(resource, selection), ...rest);
      }
      if (property === 'watch') {
        return (...[resource, selection, signal]: Parameters<Cluster['watch']>) =>
          target.watch(resource, narrowed(resource, selection), signal);
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Takes the VMs away while there still are nodes that let them end; what doesn't end stays. */
async function clear(admin: Cluster, caches: Caches, name: string): Promise<void> {
  for (const { metadata } of caches.vms.values()) await admin.delete(virtualMachines, name, metadata.name);
  const deadline = performance.now() + 5000;
  while ([...caches.vms.values()].length > 0 && performance.now() < deadline) await sleep(100);
}

function informersOf({ vms, vmis, pods, migrations }: Caches): Readonly<Record<string, Informer>> {
  return {
    virtualmachines: vms,
    virtualmachineinstances: vmis,
    virtualmachineinstancemigrations: migrations,
    pods,
  };
}

/** An Event of audit.k8s.io/v1, as far as it is read. */
interface Audited {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly namespace?: string; readonly name?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
  readonly requestObject?: unknown;
  readonly responseObject?: KubeObject;
}

function recorded(file: string): Recorder {
  const recorder = new Recorder();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const who = writers.get(/"username":"([^"]+)"/.exec(line)?.[1] ?? '');
    if (who === undefined || !line.endsWith('}')) continue;
    const { verb, objectRef, responseStatus, requestObject, responseObject } = JSON.parse(line) as Audited;
    if (responseObject?.metadata === undefined || (responseStatus?.code ?? 500) >= 300) continue;
    const { kind, metadata } = responseObject;
    if (verb === 'delete') {
      const key = `${kind} ${objectRef?.namespace}/${objectRef?.name}`;
      if (!recorder.deletions.has(key)) recorder.deletions.set(key, who.writer);
    }
    const { subresource } = objectRef ?? {};
    const key = `${kind} ${metadata.resourceVersion}`;
    // A write that changes nothing is answered with the version that is there.
    if (recorder.writes.has(key)) continue;
    recorder.writes.set(key, {
      ...who,
      verb,
      ...(subresource !== undefined && { subresource }),
      ...(Array.isArray(requestObject) && { patch: requestObject }),
    });
  }
  return recorder;
}
