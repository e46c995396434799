/** Columns that kube-apiserver prints for its own resources. */
import type { ResourceDefinition } from './contract.ts';
import { at, isObject, type JsonObject, list, text } from './json.ts';
import { age } from './time.ts';

export type Cell = string | number | boolean | null;

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  readonly cell: (object: JsonObject) => Cell;
}

const none = '<none>';

function column(name: string, description: string, cell: (object: JsonObject) => Cell, priority = 0): TableColumn {
  return { name, type: 'string', format: name === 'Name' ? 'name' : '', description, priority, cell };
}

const nameColumn = column('Name', 'Name of the object, unique in its namespace.', (object) =>
  string(object, 'metadata', 'name'),
);
const ageColumn = column('Age', 'Time since the object was created.', (object) =>
  age(text(at(object, 'metadata', 'creationTimestamp'))),
);

function string(object: unknown, ...path: readonly string[]): string {
  const value = at(object, ...path);
  return value === undefined || value === null ? '' : String(value);
}

function orNone(value: string): string {
  return value === '' ? none : value;
}

const columns: Readonly<Record<string, readonly TableColumn[]>> = {
  pods: [
    nameColumn,
    column('Ready', 'Containers that are ready, of all.', podReady),
    column('Status', 'What the containers of the pod are doing.', podStatus),
    column('Restarts', 'How often the containers were restarted.', podRestarts),
    ageColumn,
    column('IP', 'Address of the pod in the cluster.', (pod) => orNone(string(pod, 'status', 'podIP')), 1),
    column('Node', 'Node on which the pod runs.', (pod) => orNone(string(pod, 'spec', 'nodeName')), 1),
    column(
      'Nominated Node',
      'Node that is being cleared for the pod.',
      (pod) => orNone(string(pod, 'status', 'nominatedNodeName')),
      1,
    ),
    column('Readiness Gates', 'Readiness gates that are open, of all.', readinessGates, 1),
  ],
  events: [
    column('Last Seen', 'When it happened last.', (event) => seen(event, 'lastTimestamp')),
    column('Type', 'Normal or Warning.', (event) => string(event, 'type')),
    column('Reason', 'Why, in one word.', (event) => string(event, 'reason')),
    column('Object', 'What it is about.', (event) =>
      [string(event, 'involvedObject', 'kind').toLowerCase(), string(event, 'involvedObject', 'name')].join('/'),
    ),
    column('Subobject', 'The part of the object.', (event) => string(event, 'involvedObject', 'fieldPath'), 1),
    column('Source', 'Who reported it.', eventSource, 1),
    column('Message', 'What happened.', (event) => string(event, 'message').trim()),
    column('First Seen', 'When it happened first.', (event) => seen(event, 'firstTimestamp'), 1),
    column('Count', 'How often it happened.', (event) => eventCount(event), 1),
    { ...nameColumn, priority: 1 },
  ],
  namespaces: [
    nameColumn,
    column('Status', 'Phase of the namespace.', (object) => string(object, 'status', 'phase')),
    ageColumn,
  ],
  nodes: [
    nameColumn,
    column('Status', 'Whether the node is ready.', nodeStatus),
    column('Roles', 'Roles of the node.', nodeRoles),
    ageColumn,
    column('Version', 'Version of the kubelet.', (node) => string(node, 'status', 'nodeInfo', 'kubeletVersion')),
  ],
  configmaps: [nameColumn, column('Data', 'Number of entries.', (object) => dataCount(object)), ageColumn],
  secrets: [
    nameColumn,
    column('Type', 'Type of the secret.', (object) => string(object, 'type')),
    column('Data', 'Number of entries.', (object) => dataCount(object)),
    ageColumn,
  ],
  leases: [
    nameColumn,
    column('Holder', 'Who holds the lease.', (lease) => string(lease, 'spec', 'holderIdentity')),
    ageColumn,
  ],
  daemonsets: [
    nameColumn,
    column('Desired', 'Nodes that should run it.', (set) => string(set, 'status', 'desiredNumberScheduled') || '0'),
    column('Current', 'Nodes that run it.', (set) => string(set, 'status', 'currentNumberScheduled') || '0'),
    column('Ready', 'Nodes on which it is ready.', (set) => string(set, 'status', 'numberReady') || '0'),
    column(
      'Up-to-date',
      'Nodes with the newest template.',
      (set) => string(set, 'status', 'updatedNumberScheduled') || '0',
    ),
    column('Available', 'Nodes on which it is available.', (set) => string(set, 'status', 'numberAvailable') || '0'),
    column('Node Selector', 'Labels of the nodes.', () => none),
    ageColumn,
  ],
  services: [
    nameColumn,
    column('Type', 'Type of the service.', (service) => string(service, 'spec', 'type')),
    column('Cluster-IP', 'Address in the cluster.', (service) => orNone(string(service, 'spec', 'clusterIP'))),
    column('External-IP', 'Address from outside.', () => none),
    column('Port(s)', 'Ports and protocols.', servicePorts),
    ageColumn,
  ],
  serviceaccounts: [
    nameColumn,
    column('Secrets', 'Secrets of the account.', (account) => list(account.secrets).length),
    ageColumn,
  ],
};

/** Undefined where a resource prints as name and age. */
export function builtinColumns(resource: ResourceDefinition): readonly TableColumn[] | undefined {
  return columns[resource.plural] ?? [nameColumn, ageColumn];
}

/** Sidecars, which are init containers that are kept running, count; a container that is ready counts while it runs. */
function podReady(pod: JsonObject): string {
  const sidecars = list(at(pod, 'spec', 'initContainers')).filter((one) => at(one, 'restartPolicy') === 'Always');
  const names = new Set(sidecars.map((one) => at(one, 'name')));
  const ready = [
    ...list(at(pod, 'status', 'containerStatuses')).filter((status) => isObject(at(status, 'state', 'running'))),
    ...list(at(pod, 'status', 'initContainerStatuses')).filter((status) => names.has(at(status, 'name'))),
  ].filter((status) => at(status, 'ready') === true).length;
  return `${ready}/${list(at(pod, 'spec', 'containers')).length + sidecars.length}`;
}

function podRestarts(pod: JsonObject): string {
  let restarts = 0;
  for (const status of list(at(pod, 'status', 'containerStatuses'))) {
    const count = at(status, 'restartCount');
    if (typeof count === 'number') restarts += count;
  }
  return String(restarts);
}

function podStatus(pod: JsonObject): string {
  if (at(pod, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  for (const status of list(at(pod, 'status', 'containerStatuses'))) {
    const reason = string(status, 'state', 'waiting', 'reason') || string(status, 'state', 'terminated', 'reason');
    if (reason !== '') return reason;
  }
  return string(pod, 'status', 'reason') || string(pod, 'status', 'phase');
}

function readinessGates(pod: JsonObject): string {
  const gates = list(at(pod, 'spec', 'readinessGates'));
  if (gates.length === 0) return none;
  const conditions = list(at(pod, 'status', 'conditions'));
  const open = gates.filter((gate) =>
    conditions.some(
      (condition) => at(condition, 'type') === at(gate, 'conditionType') && at(condition, 'status') === 'True',
    ),
  );
  return `${open.length}/${gates.length}`;
}

function seen(event: JsonObject, field: 'firstTimestamp' | 'lastTimestamp'): string {
  return age(text(event[field]) ?? text(event.eventTime));
}

function eventSource(event: JsonObject): string {
  const component = string(event, 'source', 'component') || string(event, 'reportingComponent');
  const host = string(event, 'source', 'host') || string(event, 'reportingInstance');
  return host === '' ? component : `${component}, ${host}`;
}

function eventCount(event: JsonObject): number {
  const count = event.count;
  return typeof count === 'number' ? count : 1;
}

function nodeStatus(node: JsonObject): string {
  const ready = list(at(node, 'status', 'conditions')).find((condition) => at(condition, 'type') === 'Ready');
  if (ready === undefined) return 'Unknown';
  const base = at(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  return at(node, 'spec', 'unschedulable') === true ? `${base},SchedulingDisabled` : base;
}

function nodeRoles(node: JsonObject): string {
  const labels = at(node, 'metadata', 'labels');
  const prefix = 'node-role.kubernetes.io/';
  const roles = Object.keys(isObject(labels) ? labels : {}).filter((key) => key.startsWith(prefix));
  return roles.map((key) => key.slice(prefix.length)).join(',') || none;
}

function dataCount(object: JsonObject): number {
  const count = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0);
  return count(object.data) + count(object.binaryData);
}

function servicePorts(service: JsonObject): string {
  const ports = list(at(service, 'spec', 'ports')).map(
    (port) => `${string(port, 'port')}/${string(port, 'protocol') || 'TCP'}`,
  );
  return ports.join(',') || none;
}
