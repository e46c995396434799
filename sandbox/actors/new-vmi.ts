/** The VirtualMachineInstance that virt-controller makes from a VM's template, with KubeVirt's defaults. Pure. */
import {
  annotations,
  conditionTypes,
  controllerFinalizer,
  foregroundDeleteFinalizer,
} from '../../reconcile/systems/kubevirt-names.ts';
import { parseQuantity } from '../../reconcile/systems/quantity.ts';
import { type Condition, timestamp, type Vm, type Vmi } from './objects.ts';

const topologyVersion = 'v3';
const maxGuestFactor = 4;
const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

interface Volume {
  readonly containerDisk?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** Without uid and the like, as it is sent to the server. */
export function newVmi(vm: Vm): Omit<Vmi, 'metadata'> & { readonly metadata: Partial<Vmi['metadata']> } {
  const { template } = vm.spec;
  const { domain, ...rest } = structuredClone(template.spec);
  const memory = domain.memory as { guest?: string } | undefined;
  const cpu = domain.cpu as Record<string, unknown> | undefined;
  const volumes = (rest.volumes as Volume[] | undefined)?.map((volume) =>
    volume.containerDisk === undefined
      ? volume
      : { ...volume, containerDisk: { imagePullPolicy: 'IfNotPresent', ...volume.containerDisk } },
  );
  const now = timestamp();
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: vm.metadata.name,
      namespace: vm.metadata.namespace,
      labels: { ...template.metadata?.labels },
      annotations: {
        [annotations.pciTopologyVersion]: topologyVersion,
        ...template.metadata?.annotations,
        [annotations.vmGeneration]: String(vm.metadata.generation ?? 1),
      },
      finalizers: [controllerFinalizer, foregroundDeleteFinalizer],
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachine',
          name: vm.metadata.name,
          uid: vm.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        } as { apiVersion: string; kind: string; name: string; uid: string; controller: boolean },
      ],
    },
    spec: {
      architecture: 'amd64',
      evictionStrategy: 'None',
      ...rest,
      domain: {
        features: { acpi: { enabled: true } },
        machine: { type: 'q35' },
        resources: {},
        ...domain,
        cpu: { cores: 1, model: 'host-model', ...cpu },
        ...(memory?.guest !== undefined && { memory: { maxGuest: times(memory.guest, maxGuestFactor), ...memory } }),
      },
      ...(volumes !== undefined && { volumes }),
    },
    status: {
      phase: 'Pending',
      phaseTransitionTimestamps: [{ phase: 'Pending', phaseTransitionTimestamp: now }],
      currentCPUTopology: { cores: Number(cpu?.cores ?? 1) },
      guestOSInfo: {},
      ...(memory?.guest !== undefined && {
        memory: { guestAtBoot: memory.guest, guestCurrent: memory.guest, guestRequested: memory.guest },
      }),
      runtimeUser: 107,
      virtualMachineRevisionName: `revision-start-vm-${vm.metadata.uid}-${vm.metadata.generation ?? 1}`,
    },
  };
}

function times(quantity: string, factor: number): string {
  const bytes = parseQuantity(quantity);
  if (bytes === undefined) return quantity;
  const product = bytes * factor;
  if (product % gibibyte === 0) return `${product / gibibyte}Gi`;
  return product % mebibyte === 0 ? `${product / mebibyte}Mi` : String(product);
}

/** What virt-controller says of a VMI whose pod it can not make. */
export function failedCreate(message: string): Condition {
  return {
    type: conditionTypes.synchronized,
    status: 'False',
    lastProbeTime: null,
    lastTransitionTime: timestamp(),
    reason: 'FailedCreate',
    message,
  };
}
