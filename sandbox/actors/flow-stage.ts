/** What the steps of a recording are performed on: a sandbox of its own, or another cluster that can be had in the same way. */
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { namespace as namespaceObject } from '../base-objects.ts';
import type { Fault } from '../contract.ts';
import { assembleSandbox } from '../sandbox.ts';
import { Recorder } from './flow-observe.ts';

/** How long the steps wait, in milliseconds. */
export interface Pace {
  /** Divides the pauses of a recording. */
  readonly speed: number;
  /** Shortest time without a write that counts as quiet. */
  readonly quietMs: number;
  /** Longest time in which what is waited for has to come. */
  readonly waitMs: number;
  /** Time in which what must not come would have come. */
  readonly refuteMs: number;
}

export interface FlowStage {
  readonly pace: Pace;
  /** Of the API server. */
  readonly url: string;
  /** PEM of the authority to trust. */
  readonly certificate: string;
  readonly admin: Cluster;
  readonly adminToken: string;
  /** Objects as they are now. */
  list(resource: Resource, namespace: string): readonly KubeObject[];
  setDynamicNetworks(enabled: boolean): void;
  setHeld(held: boolean): void;
  /** From now on these faults and no others; guests look again. */
  misbehave(faults: readonly Fault[]): void;
  /** Makes the namespace of a recording, with its networks. */
  prepare(namespace: string, networks: readonly KubeObject[]): Promise<void>;
  /** Who wrote what until now. */
  recorder(): Recorder;
  stop(): Promise<void>;
}

/** How much faster than a real cluster the sandbox is; the grace period of a migration is then 0.8 s. */
export const replaySpeed = 25;

export async function sandboxStage(): Promise<FlowStage> {
  const recorder = new Recorder();
  const sandbox = await assembleSandbox({
    speed: replaySpeed,
    wrap: (actor, cluster) => recorder.wrap(actor, cluster),
  });
  return {
    pace: { speed: replaySpeed, quietMs: 120, waitMs: 15_000, refuteMs: 500 },
    url: sandbox.api.url,
    certificate: sandbox.ca,
    admin: sandbox.admin,
    adminToken: sandbox.adminToken,
    list: ({ group, plural }, namespace) => sandbox.api.store.list(group, plural, namespace),
    setDynamicNetworks: sandbox.setDynamicNetworks,
    setHeld: sandbox.setHeld,
    misbehave(faults) {
      sandbox.faults.set(faults);
      sandbox.wake();
    },
    async prepare(namespace, networks) {
      sandbox.api.store.seed('', 'namespaces', namespaceObject(namespace));
      for (const object of networks) {
        const { resourceVersion: _, ...metadata } = object.metadata;
        sandbox.api.store.seed('k8s.cni.cncf.io', 'network-attachment-definitions', { ...object, metadata });
      }
    },
    recorder: () => recorder,
    stop: () => sandbox.stop(),
  };
}
