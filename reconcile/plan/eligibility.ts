/** Whether a VM may be written at all, and whether now. */
import { activeVmi } from '../diff/layers.ts';
import type { ClusterFacts, LiveVm, OtherManager } from '../live/model.ts';
import { annotations, conditionTypes, portFieldPath } from '../systems/kubevirt-names.ts';
import { sharedOwnershipAnnotation } from '../systems/patchpanel.ts';
import { heldBlocker } from './held.ts';
import type { Blocker, RunState } from './model.ts';
import { blocker, type VmContext } from './steps.ts';

/** Decided by the VMI, never by the run strategy: Manual, Once and RerunOnFailure say nothing of the moment. */
export function runStateOf(live: LiveVm | undefined): RunState {
  if (live === undefined) return 'missing';
  const vmi = activeVmi(live);
  if (vmi === undefined) return 'stopped';
  if (vmi.deleting) return 'stopping';
  if (vmi.phase !== 'Running') return 'starting';
  if (vmi.migrating) return 'migrating';
  const paused = vmi.conditions.some(({ type, status }) => type === conditionTypes.paused && status === 'True');
  return paused ? 'paused' : 'running';
}

/** Why nothing may be written to this VM, now or ever. What is on its way may still be followed. */
export function vmBlockers(context: VmContext): readonly Blocker[] {
  const { vm } = context;
  const found: Blocker[] = [];
  if (vm.deleting) {
    found.push(
      blocker('vm-deleting', undefined, `${vm.name} is being deleted`, `Remove ${vm.name} from the repository.`),
    );
  }
  if (vm.pool !== undefined) {
    found.push(
      blocker(
        'vm-pool',
        undefined,
        `${vm.name} belongs to the VirtualMachinePool ${vm.pool}, which overwrites its template`,
        `Declare the NICs in spec.virtualMachineTemplate of the pool (its VMs restart with it), or detach ${vm.name} from the pool.`,
      ),
    );
  }
  if (vm.otherManagers.length > 0 && !vm.sharedOwnershipAcknowledged) found.push(sharedOwnership(context));
  const held = heldBlocker(context);
  if (held !== undefined) found.push(held);
  const momentary = notNow(context);
  if (momentary !== undefined) found.push(momentary);
  return found;
}

function notNow({ vm, runState }: VmContext): Blocker | undefined {
  switch (runState) {
    case 'starting':
      return blocker(
        'vm-starting',
        undefined,
        `${vm.name} is starting (its VMI is ${vm.vmi?.phase ?? 'not there'})`,
        `Run again when ${vm.name} runs. If it never does, look at the events of its launcher pod, or stop it.`,
      );
    case 'stopping':
      return blocker(
        'vm-not-ready',
        undefined,
        `${vm.name} is stopping`,
        'Run again when its VMI is gone, or runs anew.',
      );
    case 'migrating':
      return blocker('vm-migrating', undefined, `${vm.name} is migrating`, 'Run again when the migration is over.');
    case 'running':
    case 'paused': {
      const { pod } = vm;
      if (pod?.ready && !pod.deleting) return undefined;
      const what = pod === undefined ? 'has no launcher pod' : `has a launcher pod, ${pod.name}, that is not ready`;
      return blocker(
        'vm-not-ready',
        undefined,
        `${vm.name} ${what}: KubeVirt plugs nothing into it`,
        'Look at the containers of the pod; run again when it is ready.',
      );
    }
    case 'stopped':
    case 'missing':
      return undefined;
    default:
      return runState satisfies never;
  }
}

const networksPath = '/spec/template/spec/networks';
const interfacesPath = '/spec/template/spec/domain/devices/interfaces';
/** Written by KubeVirt into the template of a running VM, so another owner of the template sees drift there too. */
const topologyPath = '/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version';
const portFieldPointer = `/spec/template/spec/${portFieldPath.replaceAll('.', '/')}`;
const slotCountPath = '/spec/template/metadata/annotations/kubevirt.io~1pci-interface-slot-count';
const hookPath = `/spec/template/metadata/annotations/${annotations.hookSidecars.replaceAll('/', '~1')}`;

/** What may be written where a number of ports is declared. */
function portPaths({ portField, sidecarGate }: ClusterFacts): readonly string[] {
  if (portField === true) return [portFieldPointer];
  return sidecarGate === true ? [slotCountPath, hookPath] : [slotCountPath];
}

function sharedOwnership({ vm, diff, cluster }: VmContext): Blocker {
  const managers = vm.otherManagers.toSorted((a, b) => (a.tool < b.tool ? -1 : 1));
  const who = managers.map(({ tool, evidence }) => `${tool} (${evidence})`).join(', ');
  const paths = [networksPath, interfacesPath, topologyPath];
  if (diff.desired.pciePorts !== undefined) paths.push(...portPaths(cluster));
  const listed = `${paths.slice(0, -1).join(', ')} and ${paths.at(-1)}`;
  const ways = [...new Set(managers.map((manager) => wayOut(manager, listed)))].join(' ');
  return blocker(
    'shared-ownership',
    undefined,
    `the NICs of ${vm.name} are also written by ${who}`,
    `${ways} Then annotate the VM: kubectl -n ${vm.namespace} annotate vm ${vm.name} ${sharedOwnershipAnnotation}=acknowledged`,
  );
}

function wayOut({ tool, evidence }: OtherManager, paths: string): string {
  if (tool === 'Argo CD') {
    return `In the Argo CD Application, list ${paths} under ignoreDifferences[].jsonPointers (group kubevirt.io, kind VirtualMachine) and add the sync option RespectIgnoreDifferences=true.`;
  }
  if (tool === 'Flux' && evidence.includes('helm')) {
    return `In the Flux HelmRelease, list ${paths} under spec.driftDetection.ignore[].paths with a target of kind VirtualMachine.`;
  }
  if (tool === 'Flux') {
    return `In the Flux Kustomization, list ${paths} under spec.ignore[].paths with a target of kind VirtualMachine, or annotate the manifest of the VM with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent.`;
  }
  if (tool === 'Helm') return `Take ${networksPath} and ${interfacesPath} out of the chart's VM, or never upgrade it.`;
  return `Make ${tool} leave ${networksPath} and ${interfacesPath} alone.`;
}
