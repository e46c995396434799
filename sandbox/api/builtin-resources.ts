/** The resources of Kubernetes itself that the sandbox serves. */
import type { ResourceDefinition } from './contract.ts';

interface Shape {
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly clusterScoped?: boolean;
  readonly status?: boolean;
  readonly fields?: readonly string[];
  /** Top-level fields besides apiVersion, kind and metadata. */
  readonly schema: Readonly<Record<string, object>>;
}

const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const string = { type: 'string' };
const stringMap = { type: 'object', additionalProperties: string };

function builtin(group: string, version: string, kind: string, plural: string, shape: Shape): ResourceDefinition {
  return {
    group,
    versions: [version],
    kind,
    plural,
    singular: kind.toLowerCase(),
    namespaced: shape.clusterScoped !== true,
    statusSubresource: shape.status === true,
    custom: false,
    schema: { type: 'object', properties: shape.schema },
    ...(shape.shortNames === undefined ? {} : { shortNames: shape.shortNames }),
    ...(shape.categories === undefined ? {} : { categories: shape.categories }),
    ...(shape.fields === undefined ? {} : { selectableFields: shape.fields }),
  };
}

export const configMaps = builtin('', 'v1', 'ConfigMap', 'configmaps', {
  shortNames: ['cm'],
  schema: { data: stringMap, binaryData: stringMap, immutable: { type: 'boolean' } },
});

export const events = builtin('', 'v1', 'Event', 'events', {
  shortNames: ['ev'],
  fields: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  schema: {
    involvedObject: anything,
    reason: string,
    message: string,
    source: anything,
    firstTimestamp: string,
    lastTimestamp: string,
    count: { type: 'integer' },
    type: string,
    eventTime: string,
    series: anything,
    action: string,
    related: anything,
    reportingComponent: string,
    reportingInstance: string,
  },
});

/** The newer face of the same events. */
export const newEvents = builtin('events.k8s.io', 'v1', 'Event', 'events', {
  shortNames: ['ev'],
  fields: ['reason', 'type'],
  schema: {
    eventTime: string,
    series: anything,
    reportingController: string,
    reportingInstance: string,
    action: string,
    reason: string,
    regarding: anything,
    related: anything,
    note: string,
    type: string,
    deprecatedSource: anything,
    deprecatedFirstTimestamp: string,
    deprecatedLastTimestamp: string,
    deprecatedCount: { type: 'integer' },
  },
});

export const namespaces = builtin('', 'v1', 'Namespace', 'namespaces', {
  shortNames: ['ns'],
  clusterScoped: true,
  status: true,
  fields: ['status.phase'],
  schema: { spec: anything, status: anything },
});

const nodes = builtin('', 'v1', 'Node', 'nodes', {
  shortNames: ['no'],
  clusterScoped: true,
  status: true,
  fields: ['spec.unschedulable'],
  schema: { spec: anything, status: anything },
});

/** Lists of a pod that merge by a key; the strategic merge patch and server-side apply need them. */
const keyedBy = (...keys: readonly string[]): object => ({
  type: 'array',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': keys,
  'x-kubernetes-patch-strategy': 'merge',
  'x-kubernetes-patch-merge-key': keys[0],
  items: anything,
});

const openStruct = (properties: Readonly<Record<string, object>>): object => ({ ...anything, properties });

const container = openStruct({
  ports: keyedBy('containerPort', 'protocol'),
  env: keyedBy('name'),
  volumeMounts: keyedBy('mountPath'),
});

export const pods = builtin('', 'v1', 'Pod', 'pods', {
  shortNames: ['po'],
  categories: ['all'],
  status: true,
  fields: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  schema: {
    spec: openStruct({
      containers: { ...keyedBy('name'), items: container },
      initContainers: { ...keyedBy('name'), items: container },
      volumes: keyedBy('name'),
      readinessGates: { type: 'array', items: anything },
    }),
    status: openStruct({ conditions: keyedBy('type') }),
  },
});

const services = builtin('', 'v1', 'Service', 'services', {
  shortNames: ['svc'],
  categories: ['all'],
  status: true,
  schema: { spec: anything, status: anything },
});

const serviceAccounts = builtin('', 'v1', 'ServiceAccount', 'serviceaccounts', {
  shortNames: ['sa'],
  schema: {
    secrets: { type: 'array', items: anything },
    imagePullSecrets: { type: 'array', items: anything },
    automountServiceAccountToken: { type: 'boolean' },
  },
});

const secrets = builtin('', 'v1', 'Secret', 'secrets', {
  fields: ['type'],
  schema: { data: stringMap, stringData: stringMap, type: string, immutable: { type: 'boolean' } },
});

const daemonSets = builtin('apps', 'v1', 'DaemonSet', 'daemonsets', {
  shortNames: ['ds'],
  categories: ['all'],
  status: true,
  schema: { spec: anything, status: anything },
});

const leases = builtin('coordination.k8s.io', 'v1', 'Lease', 'leases', {
  schema: {
    spec: {
      type: 'object',
      properties: {
        holderIdentity: string,
        leaseDurationSeconds: { type: 'integer' },
        acquireTime: string,
        renewTime: string,
        leaseTransitions: { type: 'integer' },
        strategy: string,
        preferredHolder: string,
      },
    },
  },
});

const customResourceDefinitions = builtin(
  'apiextensions.k8s.io',
  'v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  {
    shortNames: ['crd', 'crds'],
    clusterScoped: true,
    status: true,
    categories: ['api-extensions'],
    schema: { spec: anything, status: anything },
  },
);

/** All of them; the server serves these whatever else it is given. */
export const builtinResources: readonly ResourceDefinition[] = [
  configMaps,
  events,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
  services,
  daemonSets,
  leases,
  newEvents,
  customResourceDefinitions,
];
