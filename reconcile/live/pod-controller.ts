/** Where a change of a running pod's networks annotation is acted on. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { daemonSets, pods } from '../kube/resources.ts';
import { fields, items, numeric, text } from '../systems/json-shape.ts';
import { controllerName, controllerSelector } from './cluster-facts.ts';
import type { ControllerPresence } from './pod-model.ts';

interface Found {
  readonly name: string;
  readonly namespace: string;
  readonly ready: number;
  readonly wanted: number;
  readonly selector: string;
  readonly programs: readonly string[];
}

export async function readControllerPresence(
  cluster: Cluster,
): Promise<{ readonly controller: ControllerPresence; readonly thin: boolean }> {
  try {
    const [labelled, named, multus] = await Promise.all([
      cluster.list(daemonSets, { labelSelector: controllerSelector }, readDaemonSet),
      cluster.list(daemonSets, { fieldSelector: `metadata.name=${controllerName}` }, readDaemonSet),
      cluster.list(daemonSets, { labelSelector: 'app=multus' }, readDaemonSet),
    ]);
    const [controller] = [...labelled.items, ...named.items].sort((a, b) => b.ready - a.ready);
    const thin = multus.items.length > 0 && !multus.items.some(({ programs }) => programs.some(isDaemon));
    return { controller: await presence(cluster, controller), thin };
  } catch (error) {
    if (!(error instanceof PatchpanelError) || error.code !== 'cluster/forbidden') throw error;
    return { controller: { kind: 'unknown' }, thin: false };
  }
}

/** The thick plugin brings a daemon, in a command, or in an image of its own. */
function isDaemon(program: string): boolean {
  return /multus-daemon|-thick\b/.test(program);
}

async function presence(cluster: Cluster, found: Found | undefined): Promise<ControllerPresence> {
  if (found === undefined) {
    return { kind: 'missing', evidence: 'no DaemonSet of the dynamic-networks controller' };
  }
  const { namespace, name, ready, wanted, selector } = found;
  const evidence = `DaemonSet ${namespace}/${name}, ready on ${ready} of ${wanted} nodes`;
  if (ready === 0) return { kind: 'missing', evidence };
  try {
    const { items: nodes } = await cluster.list(pods, { namespace, labelSelector: selector }, readyNode);
    // Where its pods are out of sight, the count is all there is.
    if (nodes.length === 0 && ready === wanted) return { kind: 'everywhere', evidence };
    return { kind: 'nodes', ready: new Set(nodes), evidence };
  } catch (error) {
    if (!(error instanceof PatchpanelError) || error.code !== 'cluster/forbidden') throw error;
    return ready === wanted ? { kind: 'everywhere', evidence } : { kind: 'unknown' };
  }
}

function readyNode({ spec, status }: KubeObject): string | undefined {
  const isReady = items(fields(status).conditions)
    .map(fields)
    .some((condition) => condition.type === 'Ready' && condition.status === 'True');
  return isReady ? text(fields(spec).nodeName) : undefined;
}

function readDaemonSet({ metadata, spec, status }: KubeObject): Found {
  const { selector, template } = fields(spec);
  const { numberReady, desiredNumberScheduled } = fields(status);
  const labels = Object.entries(fields(fields(selector).matchLabels));
  const containers = items(fields(fields(template).spec).containers).map(fields);
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    ready: numeric(numberReady) ?? 0,
    wanted: numeric(desiredNumberScheduled) ?? 0,
    selector: labels.map(([key, value]) => `${key}=${String(value)}`).join(','),
    programs: containers.flatMap(({ image, command, args }) =>
      [image, ...items(command), ...items(args)].filter((word) => typeof word === 'string'),
    ),
  };
}
