/** Notes what the parts of a sandbox write, in the form that the recordings have. */
import type { Cluster, KubeObject, Resource, WriteOptions } from '../../reconcile/kube/cluster.ts';
import type { ActorName } from '../cast.ts';
import type { TimelineEntry } from './flow-recording.ts';
import { keyOf } from './informer.ts';
import { equalJson } from './objects.ts';

const writers: Readonly<Record<ActorName, string>> = {
  virtController: 'virt-controller',
  virtApi: 'virt-api',
  virtHandler: 'virt-handler',
  scheduler: 'kube-scheduler',
  kubelet: 'kubelet',
  dynamicNetworks: 'dynamic-networks',
};

interface Write {
  readonly writer: string;
  readonly fake: boolean;
  readonly verb: string;
  readonly subresource?: string;
  readonly patch?: TimelineEntry['write'] extends infer W ? (W extends { patch?: infer P } ? P : never) : never;
}

/** Passes on what an actor does, and notes its writes by the resourceVersion that they made. */
export class Recorder {
  readonly writes = new Map<string, Write>();

  wrap(actor: ActorName, cluster: Cluster): Cluster {
    const writer = writers[actor];
    const fake = actor !== 'virtController' && actor !== 'virtApi';
    const note = (
      object: KubeObject,
      verb: string,
      options: WriteOptions | undefined,
      patch?: Write['patch'],
    ): KubeObject => {
      const key = `${object.kind} ${object.metadata.resourceVersion}`;
      if (!this.writes.has(key)) {
        const { subresource } = options ?? {};
        this.writes.set(key, {
          writer,
          fake,
          verb,
          ...(subresource !== undefined && { subresource }),
          ...(patch !== undefined && { patch }),
        });
      }
      return object;
    };
    const deletions = this.deletions;
    return new Proxy(cluster, {
      get(target, property) {
        switch (property) {
          case 'create':
            return async (resource: Resource, object: KubeObject, options?: WriteOptions) =>
              note(await target.create(resource, object, options), 'create', options);
          case 'update':
            return async (resource: Resource, object: KubeObject, options?: WriteOptions) =>
              note(await target.update(resource, object, options), 'update', options);
          case 'jsonPatch':
            return async (...args: Parameters<Cluster['jsonPatch']>) =>
              note(await target.jsonPatch(...args), 'patch', args[4], args[3]);
          case 'mergePatch':
            return async (...args: Parameters<Cluster['mergePatch']>) =>
              note(await target.mergePatch(...args), 'patch', args[4]);
          case 'delete':
            return (...args: Parameters<Cluster['delete']>) => {
              const key = `${args[0].kind} ${args[1]}/${args[2]}`;
              // A kubelet confirms what another has asked for.
              if (!deletions.has(key)) deletions.set(key, writer);
              return target.delete(...args);
            };
          default: {
            const value: unknown = Reflect.get(target, property, target);
            return typeof value === 'function' ? value.bind(target) : value;
          }
        }
      },
    });
  }

  /** Who asked for the deletion of an object. */
  readonly deletions = new Map<string, string>();
}

export interface Seen {
  readonly type: string;
  readonly object: KubeObject;
  readonly version: number;
}

/** Turns what the watches saw into entries such as the recordings have, in the order of the writes. */
export function timelineOf(seen: readonly Seen[], recorder: Recorder): readonly TimelineEntry[] {
  const last = new Map<string, Readonly<Record<string, unknown>>>();
  return [...seen]
    .sort((a, b) => a.version - b.version)
    .map(({ type, object }) => {
      const kind = object.kind ?? '';
      const key = `${kind} ${keyOf(object)} ${object.metadata.uid}`;
      const now = projection(object);
      const before = last.get(key) ?? {};
      last.set(key, now);
      const changed = kind === 'Event' ? { ...object } : difference(before, now);
      const write = recorder.writes.get(`${kind} ${object.metadata.resourceVersion}`);
      const deleted =
        'metadata.deletionTimestamp' in changed ? recorder.deletions.get(`${kind} ${keyOf(object)}`) : undefined;
      const entry: TimelineEntry = { kind, name: object.metadata.name, eventType: type, changed };
      if (write === undefined && deleted === undefined) return { ...entry, writer: 'us' };
      if (write === undefined) return { ...entry, writer: deleted ?? 'us', write: { verb: 'delete' } };
      const { writer, fake, ...details } = write;
      return { ...entry, writer, ...(fake && { fake }), write: details };
    });
}

const shownKeys = /^(kubevirt\.io|vm\.kubevirt\.io|vmi\.kubevirt\.io|k8s\.v1\.cni\.cncf\.io|v1\.multus-cni\.io)/;

/** The parts of an object that the recordings show, by the names they give them. */
function projection(object: KubeObject): Readonly<Record<string, unknown>> {
  const flat: Record<string, unknown> = {};
  const { kind, metadata } = object;
  const spec = object.spec as Record<string, unknown> | undefined;
  const status = object.status as Record<string, unknown> | undefined;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    if (shownKeys.test(key)) flat[`metadata.annotations[${key}]`] = value;
  }
  if (kind === 'Pod' || kind === 'VirtualMachineInstanceMigration') {
    for (const [key, value] of Object.entries(metadata.labels ?? {})) {
      if (shownKeys.test(key)) flat[`metadata.labels[${key}]`] = value;
    }
  }
  if (kind === 'VirtualMachinePool') flat['metadata.finalizers'] = metadata.finalizers;
  if (kind === 'VirtualMachine') {
    const template = spec?.template as {
      readonly metadata?: KubeObject['metadata'];
      readonly spec?: Record<string, unknown>;
    };
    flat['metadata.finalizers'] = metadata.finalizers;
    flat['spec.runStrategy'] = spec?.runStrategy;
    for (const [key, value] of Object.entries(template.metadata?.annotations ?? {})) {
      flat[`spec.template.metadata.annotations[${key}]`] = value;
    }
    flat['spec.template.spec.networks'] = template.spec?.networks;
    flat['spec.template.spec.domain.devices.interfaces'] = interfacesOf(template.spec);
  }
  if (kind === 'VirtualMachineInstance') {
    flat['spec.networks'] = spec?.networks;
    flat['spec.domain.devices.interfaces'] = interfacesOf(spec);
  }
  if (kind === 'VirtualMachineInstanceMigration') flat.spec = spec;
  flat['metadata.deletionTimestamp'] = metadata.deletionTimestamp;
  for (const key of ['phase', 'printableStatus', 'conditions', 'migrationState', 'interfaces']) {
    flat[`status.${key}`] = status?.[key];
  }
  if (kind === 'Pod') flat['spec.nodeName'] = spec?.nodeName;
  return flat;
}

function interfacesOf(spec: Readonly<Record<string, unknown>> | undefined): unknown {
  return (spec?.domain as { readonly devices?: { readonly interfaces?: unknown } } | undefined)?.devices?.interfaces;
}

function difference(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const changed: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (!equalJson(before[key], now[key])) changed[key] = now[key] ?? null;
  }
  return changed;
}
