/**
 * The declared number of PCIe root ports. It is fixed when a VM starts, so a VM that has too few gets what will give it
 * more into its template: outright where it is stopped, staged where it runs and the settings allow that. Nothing here
 * restarts a VM, and nothing lowers what somebody set higher.
 */
import { activeVmi, runningVmi } from '../diff/layers.ts';
import type { ClusterFacts, LiveVm, LiveVmi, SpecNic } from '../live/model.ts';
import {
  type BootNic,
  type BusLayout,
  bootBuses,
  bootNics,
  deviceWords,
  liveBuses,
} from '../systems/kubevirt-layout.ts';
import { annotations, portFieldPath, sidecarGate } from '../systems/kubevirt-names.ts';
import {
  birthSchemes,
  type PortFacts,
  type PortScheme,
  parseSlotCount,
  portSchemes,
  rootPortsAtBoot,
  runsHookScripts,
  samePortKnobs,
  slotCountFor,
  supportsPcieHotplug,
} from '../systems/kubevirt-ports.ts';
import { countPorts } from '../systems/libvirt-ports.ts';
import type { Blocker, Note, PlanPortCount } from './model.ts';
import type { SetPorts } from './order.ts';
import { blocker, counted, type Step, type VmContext } from './steps.ts';

export interface PortCountOutcome {
  readonly write?: SetPorts;
  readonly blockers: readonly Blocker[];
  readonly notes: readonly Note[];
  readonly portCount: PlanPortCount;
  /** The template has, or gets, something for it that the instance does not have: a restart brings it. */
  readonly byRestart: boolean;
}

/** What a start would find: the template, and how the launcher of that start may spread ports. */
interface NextStart {
  readonly hardware: PortFacts;
  readonly nics: readonly BootNic[];
  readonly schemes: readonly PortScheme[];
}

/**
 * What is to be done about the declared number of ports; undefined where none is declared, or the VM has as many.
 * @param steps of the VM's attachments: the next start finds the NICs that they leave
 */
export function portCountOutcome(context: VmContext, steps: readonly Step[]): PortCountOutcome | undefined {
  const { diff, vm, cluster } = context;
  const declared = diff.desired.pciePorts;
  if (declared === undefined) return undefined;
  const now = portsNow(context);
  const isOff = context.runState === 'stopped';
  if (!isOff && now.count >= declared) return undefined;
  const start: NextStart = {
    hardware: vm.hardware,
    nics: nicsAfter(vm, steps),
    schemes: portSchemes(cluster.kubevirtVersion ?? activeVmi(vm)?.launcherVersion),
  };
  const told = (written?: SetPorts): PlanPortCount => {
    const then = { ...start, hardware: withKnob(vm.hardware, written) };
    return { declared, ...nowWords(now), afterRestart: portsAt(then), moves: movesOf(vm, now.buses, then) };
  };
  const unwritten = told();
  if (isOff && unwritten.afterRestart >= declared) return undefined;
  const found = `${vm.name} has ${now.count === 0 ? 'no PCIe ports' : counted(now.count, 'PCIe port')}${now.basis === 'forecast' ? ' by forecast' : ''}`;
  const message = `${found}, ${counted(declared, 'port')} ${declared === 1 ? 'is' : 'are'} declared; ports are fixed when a VM starts`;
  const held = (remedy: string): PortCountOutcome => ({
    blockers: [blocker('port-count', undefined, message, remedy)],
    notes: [],
    portCount: unwritten,
    byRestart: false,
  });
  // A value that is no number keeps the domain from starting; whoever wrote it must say what was meant.
  if (parseSlotCount(vm.hardware.slotCount) === 'invalid') {
    return held(
      `${vm.name} does not start with ${annotations.pciSlotCount}: "${vm.hardware.slotCount}" in its template: make it a number, or remove it.`,
    );
  }
  if (unwritten.afterRestart >= declared) return arriving(context, unwritten, held);
  const knob = findKnob(cluster, start, declared);
  if (typeof knob === 'string') return held(sentence(knob, vm));
  const write: SetPorts = { ...knob, staged: !isOff };
  const setting = settingWords(write);
  if (!isOff && context.restart === 'never') {
    return held(
      `Set restart: stage in the Settings object, apply, and restart ${vm.name}; or stop it and apply. That sets ${setting} in its template.`,
    );
  }
  const portCount = told(write);
  const staged: Note = {
    code: 'staged',
    message: `${counted(declared, 'PCIe port')}: ${setting} is written to the template of ${vm.name} and takes effect at its next restart; KubeVirt itself does not say that a restart is due`,
  };
  const notes = [...(isOff ? [] : [staged]), ...diskNotes(vm, portCount)];
  return { write, blockers: [], notes, portCount, byRestart: write.staged };
}

/** The template has it already: nothing is left to write, and only a restart is missing. */
function arriving(
  { vm, restart }: VmContext,
  portCount: PlanPortCount,
  held: (remedy: string) => PortCountOutcome,
): PortCountOutcome {
  if (restart === 'never') return held(`Restart ${vm.name}: its template gives it ${portCount.afterRestart}.`);
  const message = `${counted(portCount.declared, 'PCIe port')}: the template of ${vm.name} gives ${portCount.afterRestart}, which takes effect at its next restart`;
  const notes = [{ code: 'restart-pending', message }, ...diskNotes(vm, portCount)];
  return { blockers: [], notes, portCount, byRestart: hasNewKnob(vm) };
}

/** An instance that was born with what the template asks for has as many ports as it gets, whatever the forecast says. */
function hasNewKnob(vm: LiveVm): boolean {
  const born = activeVmi(vm)?.hardware;
  return born !== undefined && !samePortKnobs(born, vm.hardware);
}

/** Windows takes a disk for a new one where its PCI address changed, and leaves it offline. */
function diskNotes(vm: LiveVm, { moves }: PlanPortCount): readonly Note[] {
  const disks = moves.filter(({ device }) => device.startsWith('disk ')).map(({ device }) => device.slice(5));
  if (disks.length === 0) return [];
  const what = disks.length === 1 ? `disk ${disks[0]}` : `disks ${disks.join(', ')}`;
  const message = `the next start moves ${what} of ${vm.name} to another PCI address, by forecast: Windows may take disks offline that moved, until they are set online by hand`;
  return [{ code: 'disks-move', message }];
}

interface PortsNow {
  readonly count: number;
  readonly basis: PlanPortCount['basis'];
  readonly buses: BusLayout | undefined;
}

function nowWords({ basis, count }: PortsNow): Pick<PlanPortCount, 'basis' | 'now'> {
  return { basis, now: count };
}

function portsNow({ vm, cluster }: VmContext): PortsNow {
  if (runningVmi(vm) !== undefined && vm.domain.kind === 'read') {
    const { domain } = vm.domain;
    return { basis: 'xml', count: rootPortsOf(vm), buses: liveBuses(domain) };
  }
  const vmi = activeVmi(vm);
  const nics = present((vmi ?? vm).nics);
  const hardware = vmi?.hardware ?? vm.hardware;
  const schemes = vmi === undefined ? portSchemes(cluster.kubevirtVersion) : instanceSchemes(vmi, cluster);
  // NICs may have been plugged since the start: fewer were there then, and the count may be of those.
  const boots = vmi === undefined ? [nics] : nics.map((_, index) => nics.slice(0, index + 1));
  const counts = (boots.length === 0 ? [nics] : boots).map((boot) => portsAt({ hardware, nics: boot, schemes }));
  return { basis: 'forecast', count: Math.min(...counts), buses: bootBuses(hardware, nics, schemes.at(-1)) };
}

function instanceSchemes(vmi: LiveVmi, { kubevirtVersion }: ClusterFacts): readonly PortScheme[] {
  const launcherVersion = vmi.launcherVersion ?? kubevirtVersion;
  return birthSchemes(vmi.hardware, { ...vmi, ...(launcherVersion === undefined ? {} : { launcherVersion }) });
}

/** A domain without PCIe has no root ports, however many slots it has. */
function rootPortsOf(vm: LiveVm): number {
  const { pool, ports } = countPorts(vm.domain.kind === 'read' ? vm.domain.domain : undefined);
  return pool === 'pcie' ? ports.length : 0;
}

/** The lower bound over all schemes that the launcher may follow. */
function portsAt({ hardware, nics, schemes }: NextStart): number {
  return Math.min(...schemes.map((scheme) => rootPortsAtBoot(hardware, bootNics(nics), scheme)));
}

function withKnob(hardware: PortFacts, write: SetPorts | undefined): PortFacts {
  if (write === undefined) return hardware;
  switch (write.knob) {
    case 'field':
      return { ...hardware, declaredPorts: write.value };
    case 'slot-count':
      return { ...hardware, slotCount: String(write.value) };
    case 'sidecar':
      return { ...hardware, hookPorts: write.value };
    default:
      return write.knob satisfies never;
  }
}

function present(nics: readonly SpecNic[]): readonly BootNic[] {
  return nics.filter(({ state }) => state !== 'absent').map(bootNic);
}

function bootNic({ name, binding, model }: Pick<SpecNic, 'name' | 'binding' | 'model'>): BootNic {
  return { name, sriov: binding === 'sriov', ...(model === undefined ? {} : { model }) };
}

/** NICs of the template once the steps are done, in its order. */
function nicsAfter(vm: LiveVm, steps: readonly Step[]): readonly BootNic[] {
  const gone = new Set(steps.filter(({ kind }) => kind === 'unplug' || kind === 'remove').map(({ name }) => name));
  const nics = new Map(present(vm.nics.filter(({ name }) => !gone.has(name))).map((nic) => [nic.name, nic]));
  for (const step of steps) {
    if (step.kind === 'plug' || step.kind === 'put') nics.set(step.name, bootNic(step.attachment));
  }
  return [...nics.values()];
}

function movesOf(vm: LiveVm, now: BusLayout | undefined, start: NextStart): PlanPortCount['moves'] {
  const then = bootBuses(start.hardware, start.nics, start.schemes.at(-1));
  // How the field of a KubeVirt to come spreads its ports is not known.
  if (now === undefined || then === undefined || start.hardware.declaredPorts !== undefined) return [];
  const known = vm.hardware.virtioDisks;
  return [...now]
    .toSorted(([, one], [, other]) => one - other)
    .flatMap(([key, bus]) => {
      const device = deviceWords(key);
      const next = then.get(key);
      if (device === undefined || next === undefined || next === bus) return [];
      // A disk that was plugged beside those of the template is placed when it is plugged again.
      if (key.startsWith('disk ') && Number(key.slice(5)) >= known) return [];
      return [{ device, from: bus, to: next }];
    });
}

/** What the cluster has, best first; else why there is none: see {@link sentence}. */
function findKnob(
  cluster: ClusterFacts,
  start: NextStart,
  ports: number,
): Pick<SetPorts, 'knob' | 'value'> | 'machine' | 'root-complex' | 'unknown-version' | 'old-version' {
  if (!supportsPcieHotplug(start.hardware)) return 'machine';
  if (start.hardware.rootComplexAnnotation) return 'root-complex';
  if (cluster.portField === true) return { knob: 'field', value: ports };
  if (start.schemes.every((scheme) => scheme === 'v3')) {
    const value = slotCountFor(start.hardware, bootNics(start.nics), ports);
    if (value !== undefined) return { knob: 'slot-count', value };
  }
  if (cluster.sidecarGate === true && runsHookScripts(cluster.kubevirtVersion))
    return { knob: 'sidecar', value: ports };
  return start.schemes.length > 1 ? 'unknown-version' : 'old-version';
}

function settingWords({ knob, value }: SetPorts): string {
  switch (knob) {
    case 'field':
      return `${portFieldPath}: ${value}`;
    case 'slot-count':
      return `${annotations.pciSlotCount}: ${value}`;
    case 'sidecar':
      return `a hook sidecar for ${counted(value, 'port')} in ${annotations.hookSidecars}`;
    default:
      return knob satisfies never;
  }
}

function sentence(missing: Exclude<ReturnType<typeof findKnob>, object>, vm: LiveVm): string {
  const lower = 'or lower pciePorts';
  switch (missing) {
    case 'machine':
      return `KubeVirt gives PCIe ports to q35 and virt machines of amd64 and arm64 alone: change the machine of ${vm.name}, ${lower}.`;
    case 'root-complex':
      return `Its template has ${annotations.rootComplex}, which keeps every device off PCIe ports: remove that annotation and restart ${vm.name}, ${lower}.`;
    case 'unknown-version':
      return `The version of KubeVirt is not known, so neither is what gives a VM more ports: let patchpanel list kubevirts, ${lower}.`;
    case 'old-version':
      return `Its KubeVirt has no ${portFieldPath}, does not read ${annotations.pciSlotCount} (1.6.4, 1.7.2, 1.8 and later do), and runs no hook sidecars for it (feature gate ${sidecarGate}, 1.3 and later): update KubeVirt or enable the gate, ${lower} until then.`;
    default:
      return missing satisfies never;
  }
}
