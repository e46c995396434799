/** The custom resources of KubeVirt v1.9 and of network attachment definitions, as the sandbox serves them. */
import type { PrinterColumn, ResourceDefinition } from '../api/contract.ts';
import { boolean, integer, list, map, object, open, root, string, time } from './schema.ts';
import {
  conditionSchema,
  migrationStateSchema,
  phaseTransitionsSchema,
  vmiSpecSchema,
  vmiStatusSchema,
} from './vmi-schema.ts';

const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

function condition(name: string, type: string, priority = 0): PrinterColumn {
  return { name, type: 'string', jsonPath: `.status.conditions[?(@.type=='${type}')].status`, priority };
}

/** What the resources of KubeVirt have in common; one that differs says so. */
function kubevirtResource(kind: string, shortNames: readonly string[]): Omit<ResourceDefinition, 'schema' | 'columns'> {
  const singular = kind.toLowerCase();
  return {
    group: 'kubevirt.io',
    versions: ['v1', 'v1alpha3'],
    plural: `${singular}s`,
    singular,
    kind,
    shortNames,
    categories: ['all'],
    namespaced: true,
    statusSubresource: true,
    custom: true,
  };
}

const templateMetadata = { ...open(), nullable: true };

/** How an instancetype or preference is referred to. */
const matcher = object('', {
  name: string(),
  kind: string(),
  revisionName: string(),
  inferFromVolume: string(),
  inferFromVolumeFailurePolicy: string(),
});

const vmTemplate = object('What the VirtualMachineInstance is made from.', {
  metadata: templateMetadata,
  spec: vmiSpecSchema,
});

const vmSpec = object(
  'The machine as it shall be.',
  {
    template: vmTemplate,
    runStrategy: string('Always, Halted, Manual, RerunOnFailure, Once or WaitAsReceiver.'),
    running: boolean('Older form of runStrategy: Always or Halted.'),
    instancetype: matcher,
    preference: matcher,
    dataVolumeTemplates: list('Volumes that are made along with the VM.', open()),
    updateVolumesStrategy: string(),
  },
  ['template'],
);

export const virtualMachineDefinition: ResourceDefinition = {
  ...kubevirtResource('VirtualMachine', ['vm', 'vms']),
  columns: [
    age,
    { name: 'Status', type: 'string', jsonPath: '.status.printableStatus', description: 'Human Readable Status' },
    condition('Ready', 'Ready'),
  ],
  schema: root(
    'A virtual machine that may run or be stopped. Its template is what a VirtualMachineInstance is made from.',
    {
      spec: vmSpec,
      status: object('The machine as it is.', {
        printableStatus: { ...string('One word for its state, such as Running.'), default: 'Stopped' },
        ready: boolean('It runs and is ready.'),
        created: boolean('Its VirtualMachineInstance is there.'),
        conditions: list('', conditionSchema),
        runStrategy: string(),
        desiredGeneration: integer('Generation of the template.', 'int64'),
        observedGeneration: integer('Generation that the running instance was made from.', 'int64'),
        stateChangeRequests: list(
          'Starts and stops that were asked for.',
          object('', { action: string(), data: map('', string()), uid: string() }, ['action']),
        ),
        startFailure: { ...open(), nullable: true },
        volumeSnapshotStatuses: list('', open()),
        volumeRequests: list('', open()),
        volumeUpdateState: open(),
        memoryDumpRequest: { ...open(), nullable: true },
        changedBlockTracking: { ...open(), nullable: true },
        instancetypeRef: { ...open(), nullable: true },
        preferenceRef: { ...open(), nullable: true },
        restoreInProgress: string(),
        snapshotInProgress: string(),
      }),
    },
    ['spec'],
  ),
};

export const virtualMachineInstanceDefinition: ResourceDefinition = {
  ...kubevirtResource('VirtualMachineInstance', ['vmi', 'vmis']),
  statusSubresource: false,
  columns: [
    age,
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'IP', type: 'string', jsonPath: '.status.interfaces[0].ipAddress' },
    { name: 'NodeName', type: 'string', jsonPath: '.status.nodeName' },
    condition('Ready', 'Ready'),
    condition('Live-Migratable', 'LiveMigratable', 1),
    condition('Paused', 'Paused', 1),
  ],
  schema: root('A virtual machine that runs in a pod.', { spec: vmiSpecSchema, status: vmiStatusSchema }, ['spec']),
};

const migrationDefinition: ResourceDefinition = {
  ...kubevirtResource('VirtualMachineInstanceMigration', ['vmim', 'vmims']),
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
    { name: 'VMI', type: 'string', jsonPath: '.spec.vmiName' },
  ],
  schema: root(
    'Moves a running virtual machine into a new pod.',
    {
      spec: object('', {
        vmiName: string('Name of the VirtualMachineInstance, in the same namespace.'),
        addedNodeSelector: map('Labels that the target node must have besides.', string()),
        priority: string(),
        receive: open(),
        sendTo: open(),
      }),
      status: object('', {
        phase: string('Pending, Scheduling, Scheduled, PreparingTarget, TargetReady, Running, Succeeded or Failed.'),
        conditions: list('', conditionSchema),
        migrationState: migrationStateSchema,
        phaseTransitionTimestamps: phaseTransitionsSchema,
        synchronizationAddresses: list('', string()),
      }),
    },
    ['spec'],
  ),
};

const kubevirtDefinition: ResourceDefinition = {
  ...kubevirtResource('KubeVirt', ['kv', 'kvs']),
  columns: [age, { name: 'Phase', type: 'string', jsonPath: '.status.phase' }],
  schema: root(
    'An installation of KubeVirt.',
    {
      spec: object('', {
        configuration: open('Settings of the cluster: feature gates, network bindings, roll-out of changes.'),
        workloadUpdateStrategy: object('How running machines get what changed.', {
          workloadUpdateMethods: list('LiveMigrate, Evict.', string()),
          batchEvictionInterval: string(),
          batchEvictionSize: integer(),
        }),
        ...Object.fromEntries(
          ['certificateRotateStrategy', 'customizeComponents', 'infra', 'workloads'].map((key) => [key, open()]),
        ),
        imagePullPolicy: string(),
        imageRegistry: string(),
        imageTag: string(),
      }),
      status: object('', {
        phase: string('Deploying, Deployed, Deleting or Deleted.'),
        observedKubeVirtVersion: string(),
        operatorVersion: string(),
        targetKubeVirtVersion: string(),
        conditions: list('', { ...conditionSchema, required: [] }),
        defaultArchitecture: string(),
        observedGeneration: integer('', 'int64'),
      }),
    },
    ['spec'],
  ),
};

const networkAttachmentDefinition: ResourceDefinition = {
  group: 'k8s.cni.cncf.io',
  versions: ['v1'],
  plural: 'network-attachment-definitions',
  singular: 'network-attachment-definition',
  kind: 'NetworkAttachmentDefinition',
  shortNames: ['nad', 'net-attach-def'],
  namespaced: true,
  statusSubresource: false,
  custom: true,
  schema: root('A network that pods and virtual machines can be plugged into.', {
    spec: object('', { config: string('CNI configuration, JSON in a string.') }),
  }),
};

const poolDefinition: ResourceDefinition = {
  ...kubevirtResource('VirtualMachinePool', ['vmpool', 'vmpools']),
  group: 'pool.kubevirt.io',
  versions: ['v1beta1', 'v1alpha1'],
  columns: [
    { name: 'Desired', type: 'integer', jsonPath: '.spec.replicas' },
    { name: 'Current', type: 'integer', jsonPath: '.status.replicas' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas' },
    age,
  ],
  schema: root(
    'A set of like virtual machines.',
    {
      spec: object(
        '',
        {
          replicas: integer('', 'int32'),
          paused: boolean(),
          selector: open(),
          virtualMachineTemplate: object('', { metadata: templateMetadata, spec: vmSpec }),
          ...Object.fromEntries(
            ['nameGeneration', 'scaleInStrategy', 'updateStrategy', 'autohealing'].map((key) => [key, open()]),
          ),
          maxUnavailable: { 'x-kubernetes-int-or-string': true },
        },
        ['selector', 'virtualMachineTemplate'],
      ),
      status: object('', {
        replicas: integer('', 'int32'),
        readyReplicas: integer('', 'int32'),
        labelSelector: string(),
        conditions: list('', {
          ...conditionSchema,
          properties: { ...conditionSchema.properties, lastUpdateTime: time() },
        }),
      }),
    },
    ['spec'],
  ),
};

/** What KubeVirt and Multus add to a cluster. */
export const kubevirtResources: readonly ResourceDefinition[] = [
  virtualMachineDefinition,
  virtualMachineInstanceDefinition,
  migrationDefinition,
  kubevirtDefinition,
  networkAttachmentDefinition,
  poolDefinition,
];
