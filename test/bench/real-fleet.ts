/** The same fleet on a real kube-apiserver with etcd, on which nobody acts. */
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import type { Json } from '../../reconcile/vocabulary.ts';
import type { AuditEntry } from '../../sandbox/api/contract.ts';
import type { Placed } from '../../sandbox/base-objects.ts';
import { AuditLog } from '../control-plane/audit.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { installDefinitions } from '../control-plane/definitions.ts';
import { furnish, keepServiceAccounts } from '../control-plane/furnish.ts';
import type { ClusterReady } from './contract.ts';
import { fleetObjects } from './fleet.ts';

/** Creates in flight. */
const concurrency = 32;

export async function startRealFleet(count: number): Promise<{
  readonly ready: Omit<ClusterReady, 'bytesPerVm'>;
  requests(): readonly AuditEntry[];
  stop(): Promise<void>;
}> {
  const plane = await startControlPlane();
  try {
    await installDefinitions(plane.admin);
    const accounts = await keepServiceAccounts(plane.admin);
    // Each under the name of its writer, as managedFields will have it.
    const controller = await plane.open(plane.adminToken, 'virt-controller');
    await create(controller, fleetObjects(count));
    await accounts.stop();
    const log = new AuditLog(plane.auditLog);
    log.take();
    return {
      ready: {
        server: plane.url,
        ca: plane.tls.certificate,
        token: plane.adminToken,
        name: `kube-apiserver ${plane.versions.kubernetes}`,
      },
      requests: () => log.take(),
      stop: () => plane.stop(),
    };
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

/** Three objects that follow each other are those of one VM. */
async function create(cluster: Cluster, objects: Generator<Placed>): Promise<void> {
  async function work(): Promise<void> {
    for (const placed of objects) {
      const { plural } = placed;
      if (plural !== 'virtualmachines') {
        await furnish(cluster, bare(placed));
        if (plural === 'namespaces') await untilAccount(cluster, placed.object.metadata.name);
        continue;
      }
      const vmi = objects.next();
      const pod = objects.next();
      await furnish(cluster, bare(placed));
      if (vmi.done === true || pod.done === true) return;
      await createInstance(cluster, vmi.value, pod.value);
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
}

/** The server gives the VMI its UID, by which the launcher pod names it. */
async function createInstance(cluster: Cluster, vmi: Placed, pod: Placed): Promise<void> {
  const { metadata } = await cluster.create(resourceOf(vmi), bare(vmi).object);
  const was = vmi.object.metadata.uid ?? '';
  const own = JSON.parse(JSON.stringify(bare(pod).object).replaceAll(was, metadata.uid ?? '')) as KubeObject;
  await furnish(cluster, { ...pod, object: own });
}

async function untilAccount(cluster: Cluster, namespace: string): Promise<void> {
  const accounts: Resource = { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount' };
  while ((await cluster.get(accounts, namespace, 'default')) === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function resourceOf({ group, plural, object }: Placed): Resource {
  return { group, version: object.apiVersion?.split('/').at(-1) ?? 'v1', plural, kind: object.kind ?? '' };
}

/** Without what the server gives itself. */
function bare(placed: Placed): Placed {
  const {
    uid: _uid,
    creationTimestamp: _born,
    managedFields: _managers,
    generation: _generation,
    ...metadata
  } = placed.object.metadata as KubeObject['metadata'] & {
    readonly generation?: Json;
    readonly creationTimestamp?: Json;
  };
  return { ...placed, object: { ...placed.object, metadata } };
}
