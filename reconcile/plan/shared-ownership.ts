/** What to write where another tool keeps the template of a VM, so that it leaves the NICs alone. */
import type { ClusterFacts, OtherManager } from '../live/model.ts';
import { annotations, portFieldPath } from '../systems/kubevirt-names.ts';
import { sharedOwnershipAnnotation } from '../systems/patchpanel.ts';
import type { ObjectName } from '../vocabulary.ts';
import type { Blocker } from './model.ts';
import { blocker, type VmContext } from './steps.ts';

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

export function sharedOwnership({ vm, diff, cluster }: VmContext): Blocker {
  const managers = vm.otherManagers.toSorted((a, b) => (a.tool < b.tool ? -1 : 1));
  const who = managers.map(({ tool, evidence }) => `${tool} (${evidence})`).join(', ');
  const paths = [networksPath, interfacesPath, topologyPath];
  if (diff.desired.pciePorts !== undefined) paths.push(...portPaths(cluster));
  const listed = `${paths.slice(0, -1).join(', ')} and ${paths.at(-1)}`;
  const ways = [...new Set(managers.map((manager) => wayOut(manager, listed)))].join(' ');
  const pastes = managers.flatMap((manager) => paste(manager, vm, paths) ?? []);
  return {
    ...blocker(
      'shared-ownership',
      undefined,
      `the NICs of ${vm.name} are also written by ${who}`,
      `${ways} Then annotate the VM: kubectl -n ${vm.namespace} annotate vm ${vm.name} ${sharedOwnershipAnnotation}=acknowledged`,
    ),
    ...(pastes.length === 0 ? {} : { paste: pastes.join('\n') }),
  };
}

function isHelmRelease({ tool, evidence, owner }: OtherManager): boolean {
  return tool === 'Flux' && (owner?.kind === 'HelmRelease' || evidence.includes('helm'));
}

/** ` prod/vms`, ` vms`, or nothing. */
function named({ owner }: OtherManager): string {
  if (owner === undefined) return '';
  return owner.namespace === undefined ? ` ${owner.name}` : ` ${owner.namespace}/${owner.name}`;
}

function wayOut(manager: OtherManager, paths: string): string {
  const { tool } = manager;
  const whose = named(manager);
  if (tool === 'Argo CD') {
    return `In the Argo CD Application${whose}, list ${paths} under ignoreDifferences[].jsonPointers (group kubevirt.io, kind VirtualMachine) and add the sync option RespectIgnoreDifferences=true.`;
  }
  if (isHelmRelease(manager)) {
    return `In the Flux HelmRelease${whose}, list ${paths} under spec.driftDetection.ignore[].paths with a target of kind VirtualMachine; an upgrade of the release still writes what its chart declares, so take both lists out of the chart first.`;
  }
  if (tool === 'Flux') {
    return `In the Flux Kustomization${whose}, list ${paths} under spec.ignore[].paths with a target of kind VirtualMachine (Flux 2.9 and later); before that, annotate the manifest of the VM with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent.`;
  }
  if (tool === 'Helm') {
    return `Take ${networksPath} and ${interfacesPath} out of the VM in the chart of the release${whose}, or never upgrade it.`;
  }
  if (tool === 'Terraform') {
    return `Make Terraform leave ${networksPath} and ${interfacesPath} alone: lifecycle.ignore_changes of the resource, or computed_fields of a kubernetes_manifest.`;
  }
  return `Make ${tool} leave ${networksPath} and ${interfacesPath} alone.`;
}

/** What can be put as it is into the object that owns the VM; undefined where there is no such place. */
function paste(manager: OtherManager, vm: ObjectName, paths: readonly string[]): string | undefined {
  const whose = named(manager);
  if (manager.tool === 'Argo CD') {
    return `# Argo CD Application${whose}
spec:
  ignoreDifferences:
    - group: kubevirt.io
      kind: VirtualMachine
      namespace: ${vm.namespace}
      name: ${vm.name}
      jsonPointers:
${list(paths, 8)}
  syncPolicy:
    syncOptions:
      - RespectIgnoreDifferences=true`;
  }
  if (isHelmRelease(manager)) {
    return `# Flux HelmRelease${whose}
spec:
  driftDetection:
    ignore:
${ignoreRule(vm, paths, 6)}`;
  }
  if (manager.tool !== 'Flux') return undefined;
  return `# Flux Kustomization${whose}, Flux 2.9 or later
spec:
  ignore:
${ignoreRule(vm, paths, 4)}`;
}

function ignoreRule(vm: ObjectName, paths: readonly string[], indent: number): string {
  const lines = [
    '- target:',
    '    group: kubevirt.io',
    '    version: v1',
    '    kind: VirtualMachine',
    `    namespace: ${vm.namespace}`,
    `    name: ${vm.name}`,
    '  paths:',
  ];
  return `${lines.map((line) => ' '.repeat(indent) + line).join('\n')}\n${list(paths, indent + 4)}`;
}

function list(items: readonly string[], indent: number): string {
  return items.map((item) => `${' '.repeat(indent)}- ${item}`).join('\n');
}
