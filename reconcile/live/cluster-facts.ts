/** What is true of the whole cluster: KubeVirt's configuration, and how a change reaches a running pod. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { daemonSets, kubevirts, virtualMachines } from '../kube/resources.ts';
import { type Fields, fields, items, text } from '../systems/json-shape.ts';
import { hotplugGate, liveMigrateMethod, portCountField, sidecarGate } from '../systems/kubevirt-names.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import type { ClusterFacts, Delivery } from './model.ts';

/** Labels that the manifests of the dynamic-networks controller and its distributions put on the DaemonSet. */
export const controllerSelector = 'app in (dynamic-networks-controller,multus-dynamic-networks-controller)';
/** Its name in the upstream manifest, for those who relabelled it. */
export const controllerName = 'dynamic-networks-controller-ds';

/**
 * Reads all; what the credentials may not see stays undefined or is assumed, and the evidence says so.
 * @param options `portField`: look whether VMs have a field for their number of ports, which only some plans need
 */
export async function readClusterFacts(
  cluster: Cluster,
  options: { readonly portField?: boolean } = {},
): Promise<ClusterFacts> {
  const [delivery, kubevirt, portField] = await Promise.all([
    readDelivery(cluster),
    readKubevirt(cluster),
    options.portField === true ? readPortField(cluster) : undefined,
  ]);
  return { server: cluster.server, ...delivery, ...kubevirt, ...(portField === undefined ? {} : { portField }) };
}

/** The document of the group is large, so this is one request for all VMs of a run. */
const openApiPath = `/openapi/v3/apis/${virtualMachines.group}/${virtualMachines.version}`;
const devicesPath = ['spec', 'template', 'spec', 'domain', 'devices', portCountField] as const;

async function readPortField(cluster: Cluster): Promise<boolean> {
  try {
    return hasPortField(await cluster.raw(openApiPath));
  } catch (error) {
    // Without the document the field can't be relied on; the other knobs remain.
    if (isStatus(error, 403) || isStatus(error, 404)) return false;
    throw error;
  }
}

/** Whether an OpenAPI v3 document gives VirtualMachine the field. */
export function hasPortField(document: unknown): boolean {
  const schemas = fields(fields(fields(document).components).schemas);
  const machines = Object.values(schemas).filter((schema) =>
    items(fields(schema)['x-kubernetes-group-version-kind']).some((id) => fields(id).kind === virtualMachines.kind),
  );
  return machines.some((machine) => {
    let schema: unknown = machine;
    for (const key of devicesPath)
      schema = resolved(fields(fields(resolved(schema, schemas)).properties)[key], schemas);
    return schema !== undefined;
  });
}

/** The schema that a reference stands for, alone or as the one of `allOf` that carries a default beside it. */
function resolved(schema: unknown, schemas: Fields): unknown {
  const target = text(fields(schema).$ref) ?? text(fields(items(fields(schema).allOf)[0]).$ref);
  return target === undefined ? schema : schemas[target.replace('#/components/schemas/', '')];
}

type DeliveryFacts = Pick<ClusterFacts, 'delivery' | 'deliveryEvidence'>;

/**
 * With a controller that is ready on at least one node, changes reach the pod in place. Where DaemonSets can't be listed
 * this is assumed: KubeVirt then waits for 20 s and falls back to a migration by itself, so a wrong guess costs time,
 * while the other one would plug several NICs at once, in whatever order.
 */
async function readDelivery(cluster: Cluster): Promise<DeliveryFacts> {
  try {
    return judgeController(await findController(cluster));
  } catch (error) {
    if (!(error instanceof PatchpanelError) || error.code !== 'cluster/forbidden') throw error;
    return { delivery: 'in-place', deliveryEvidence: 'assumed: no permission to list daemonsets' };
  }
}

/** The DaemonSet of the dynamic-networks controller, and on how many nodes its pods are ready. */
export interface Controller extends ObjectName {
  readonly ready: number;
  readonly wanted: number;
}

/** @throws PatchpanelError `cluster/forbidden` where DaemonSets can't be listed */
export async function findController(cluster: Cluster): Promise<Controller | undefined> {
  return (
    (await findDaemonSet(cluster, { labelSelector: controllerSelector })) ??
    (await findDaemonSet(cluster, { fieldSelector: `metadata.name=${controllerName}` }))
  );
}

/** Whether a pod is one of that DaemonSet. */
export function isOwnedBy({ metadata }: KubeObject, daemonSet: string): boolean {
  return metadata.ownerReferences?.some(({ kind, name }) => kind === daemonSets.kind && name === daemonSet) ?? false;
}

async function findDaemonSet(
  cluster: Cluster,
  selection: { readonly labelSelector?: string; readonly fieldSelector?: string },
): Promise<Controller | undefined> {
  const { items } = await cluster.list(daemonSets, selection, ({ metadata, status }): Controller => {
    const { numberReady, desiredNumberScheduled } = fields(status);
    return {
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      ready: typeof numberReady === 'number' ? numberReady : 0,
      wanted: typeof desiredNumberScheduled === 'number' ? desiredNumberScheduled : 0,
    };
  });
  return items.sort((a, b) => b.ready - a.ready)[0];
}

function judgeController(controller: Controller | undefined): DeliveryFacts {
  if (controller === undefined) {
    return { delivery: 'migration', deliveryEvidence: 'no DaemonSet of the dynamic-networks controller' };
  }
  const { ready, wanted } = controller;
  const delivery: Delivery = ready > 0 ? 'in-place' : 'migration';
  const count = ready === wanted && ready > 0 ? '' : `, ready on ${ready} of ${wanted} nodes`;
  return { delivery, deliveryEvidence: `DaemonSet ${objectKey(controller)}${count}` };
}

type KubevirtFacts = Pick<
  ClusterFacts,
  'kubevirtVersion' | 'liveMigrateEnabled' | 'bindingPlugins' | 'sidecarGate' | 'hotplugGate'
>;

async function readKubevirt(cluster: Cluster): Promise<KubevirtFacts> {
  try {
    const { items } = await cluster.list(kubevirts, {}, kubevirtFacts);
    return items[0] ?? {};
  } catch (error) {
    if (error instanceof PatchpanelError && error.code === 'cluster/forbidden') return {};
    // A cluster without the CRD has no VMs either; that is said where they are listed.
    if (isStatus(error, 404)) return {};
    throw error;
  }
}

function kubevirtFacts({ spec, status }: KubeObject): KubevirtFacts {
  const { workloadUpdateStrategy, configuration } = fields(spec);
  const methods = fields(workloadUpdateStrategy).workloadUpdateMethods;
  const kubevirtVersion = text(fields(status).observedKubeVirtVersion);
  return {
    ...(kubevirtVersion === undefined ? {} : { kubevirtVersion }),
    liveMigrateEnabled: Array.isArray(methods) && methods.includes(liveMigrateMethod),
    sidecarGate: hasGate(configuration, sidecarGate),
    ...(hasGate(configuration, hotplugGate) ? { hotplugGate: true } : {}),
    bindingPlugins: Object.keys(fields(fields(fields(configuration).network).binding)).sort(),
  };
}

/** A gate is off unless it is listed, and where it is listed as disabled. */
function hasGate(configuration: unknown, gate: string): boolean {
  const { featureGates, disabledFeatureGates } = fields(fields(configuration).developerConfiguration);
  return items(featureGates).includes(gate) && !items(disabledFeatureGates).includes(gate);
}
