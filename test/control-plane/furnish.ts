/** Puts objects on a real API server: what the sandbox plants into its store, and what tests need besides. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { pods, virtualMachineInstances, virtualMachines } from '../../reconcile/kube/resources.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { networkStatusAnnotation } from '../../reconcile/systems/multus-status.ts';
import type { Json } from '../../reconcile/vocabulary.ts';
import { Informer } from '../../sandbox/actors/informer.ts';
import { infoSources } from '../../sandbox/actors/pod-networks.ts';
import type { Placed } from '../../sandbox/base-objects.ts';
import type { Manifest } from '../deploy-manifests.ts';

const namespaces: Resource = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace' };
const serviceAccounts: Resource = { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount' };

/** Plurals of the kinds that examples/deploy is made of, where they are not the kind and an s. */
const plurals: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies' };

/** Creates an object unless it is there, and then its status where that is apart. */
export async function furnish(admin: Cluster, { group, plural, object }: Placed, status = true): Promise<void> {
  const { namespace, name } = object.metadata;
  const version = object.apiVersion?.split('/').at(-1) ?? 'v1';
  const resource: Resource = { group, version, plural, kind: object.kind ?? '' };
  try {
    await admin.create(resource, object);
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
  }
  if (!status || object.status === undefined || plural === 'namespaces') return;
  const patch = { status: object.status as Json };
  await admin.mergePatch(resource, namespace, name, patch, { subresource: 'status' });
}

/** Creates the manifests of examples/deploy that give rights, as an administrator does with kubectl. */
export async function grant(admin: Cluster, manifests: readonly Manifest[]): Promise<void> {
  for (const { apiVersion, kind, ...rest } of manifests) {
    const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
    const plural = plurals[kind] ?? `${kind.toLowerCase()}s`;
    await furnish(admin, { group, plural, object: { apiVersion, kind, ...rest } as KubeObject });
  }
}

/** A token for a service account, as kubelet asks for one. */
export async function tokenFor(admin: Cluster, namespace: string, name: string): Promise<string> {
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { namespace, name },
    spec: { expirationSeconds: 3600 },
  };
  const { status } = await admin.create(serviceAccounts, request, { subresource: 'token' });
  return String(fields(status).token);
}

/** Gives each namespace its default service account, without which it takes no pod: kube-controller-manager's part. */
export async function keepServiceAccounts(admin: Cluster): Promise<{ stop(): Promise<void> }> {
  const informer = new Informer(admin, namespaces);
  const pending = new Set<Promise<void>>();
  informer.onChange((change, { metadata }) => {
    if (change !== 'added') return;
    const object: KubeObject = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { namespace: metadata.name, name: 'default' },
    };
    // A namespace that goes at once, or a server that does, is no reason to fail.
    const work = furnish(admin, { group: '', plural: 'serviceaccounts', object }).catch(() => undefined);
    pending.add(work);
    void work.finally(() => pending.delete(work));
  });
  await informer.start();
  return {
    async stop() {
      await informer.stop();
      await Promise.all(pending);
    },
  };
}

/** Creates namespaces, networks and VMs, and waits until the VMs run with all their NICs. */
export async function furnishVms(admin: Cluster, seeds: Iterable<Placed>): Promise<void> {
  const vms: KubeObject[] = [];
  for (const { group, plural, object } of seeds) {
    if (plural !== 'namespaces' && plural !== 'network-attachment-definitions' && plural !== 'virtualmachines')
      continue;
    await furnish(admin, { group, plural, object: wanted(object) });
    if (plural === virtualMachines.plural) vms.push(object);
  }
  await Promise.all(vms.map((vm) => untilRunning(admin, vm)));
}

/** Creates pods, and waits until they run. */
export async function furnishPods(admin: Cluster, seeds: readonly Placed[]): Promise<void> {
  for (const { group, plural, object } of seeds) await furnish(admin, { group, plural, object: wanted(object) });
  for (const { object } of seeds) {
    const { namespace, name } = object.metadata;
    const running = async (): Promise<boolean> =>
      fields((await admin.get(pods, namespace, name))?.status).phase === 'Running';
    for (let attempt = 0; !(await running()); attempt += 1) {
      if (attempt === 1200) throw new Error(`${namespace}/${name} does not run`);
      await sleep(50);
    }
  }
}

/** An object as its owner creates it: without what others say of it. */
function wanted({ status: _status, ...object }: KubeObject): KubeObject {
  const { namespace, name, labels, annotations, ownerReferences } = object.metadata;
  const own = Object.entries(annotations ?? {}).filter(([key]) => key !== networkStatusAnnotation);
  return {
    ...object,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(labels !== undefined && { labels }),
      ...(own.length > 0 && { annotations: Object.fromEntries(own) }),
      ...(ownerReferences !== undefined && { ownerReferences }),
    },
  };
}

async function untilRunning(admin: Cluster, vm: KubeObject): Promise<void> {
  const { namespace, name } = vm.metadata;
  const devices = fields(fields(fields(fields(fields(vm.spec).template).spec).domain).devices);
  const wanted = items(devices.interfaces).length;
  for (let attempt = 0; attempt < 1200; attempt += 1) {
    const status = fields((await admin.get(virtualMachineInstances, namespace, name))?.status);
    const plugged = items(status.interfaces).filter((nic) => infoSources(fields(nic)).includes('domain'));
    const ready = fields((await admin.get(virtualMachines, namespace, name))?.status).ready === true;
    if (status.phase === 'Running' && plugged.length === wanted && ready) return;
    await sleep(50);
  }
  throw new Error(`${namespace}/${name} does not run`);
}
