/** Live state to desired state: what runs now, in the words of a repository, and what these words can't say. Pure. */
import type { DesiredAttachment, DesiredState, DesiredTarget } from '../desired/model.ts';
import { networkAttachmentsSchema } from '../desired/schema.ts';
import { apiVersion } from '../desired/schema-fields.ts';
import { activeVmi } from '../diff/layers.ts';
import type { Position } from '../errors.ts';
import type { LiveState, LiveVm, SpecNic } from '../live/model.ts';
import { annotations, portFieldPath } from '../systems/kubevirt-names.ts';
import { compareText, nicModels, type ObjectName, objectKey } from '../vocabulary.ts';

/** A NIC of the VM that stays out of its declaration, or a field of one that does. */
export interface LeftOut {
  readonly name: string;
  readonly why: string;
  /** Applying the declaration would take this NIC away: it is on patchpanel's record. */
  readonly unplugged: boolean;
}

export interface AdoptedVm {
  readonly target: DesiredTarget;
  /** NICs that are declared, without the field that is told of. */
  readonly without: readonly LeftOut[];
  /** NICs that are not declared, in the order of the VM. */
  readonly leftOut: readonly LeftOut[];
  /** What else the reader should know. */
  readonly remarks: readonly string[];
}

/** The schema's limit on attachments. */
const maxAttachments = 255;

/** What each VM would have to be declared as, in the order of namespaces and names; those being deleted are passed over. */
export function adoptVms({ vms, macs }: Pick<LiveState, 'vms' | 'macs'>): readonly AdoptedVm[] {
  const staying = [...vms.values()]
    .filter(({ deleting }) => !deleting)
    .sort((a, b) => compareText(objectKey(a), objectKey(b)));
  const holders = macHolders(staying, macs);
  return staying.map((vm) => adoptVm(vm, holders));
}

/** As a repository of these declarations alone would say it. */
export function adoptedState(adopted: readonly AdoptedVm[], settings: DesiredState['settings']): DesiredState {
  const targets = adopted.map(({ target }) => target);
  return { source: { kind: 'folder', path: '', digest: '' }, settings, targets, files: targets.length };
}

function adoptVm(vm: LiveVm, holders: ReadonlyMap<string, readonly string[]>): AdoptedVm {
  const attachments: DesiredAttachment[] = [];
  const without: LeftOut[] = [];
  const leftOut: LeftOut[] = [];
  for (const nic of vm.nics) {
    const found = attachments.length < maxAttachments ? adoptNic(vm, nic, holders) : tooMany;
    if ('why' in found) {
      // An unplug that is on its way is followed to its end, whatever is declared.
      const unplugged = vm.owned.includes(nic.name) && !nic.isDefault && nic.state !== 'absent';
      leftOut.push({ name: nic.name, why: found.why, unplugged });
      continue;
    }
    attachments.push(found.attachment);
    without.push(...found.without.map((why) => ({ name: nic.name, why, unplugged: false })));
  }
  const { namespace, name } = vm;
  const target: DesiredTarget = { target: { kind: 'VirtualMachine', namespace, name }, attachments, position: nowhere };
  return { target, without, leftOut, remarks: remarksOn(vm) };
}

type AdoptedNic =
  | { readonly attachment: DesiredAttachment; readonly without: readonly string[] }
  | { readonly why: string };

const tooMany = { why: `a VM declares at most ${maxAttachments} attachments` } as const;
const nowhere: Position = { file: '', line: 1, column: 1 };

function adoptNic(vm: LiveVm, nic: SpecNic, holders: ReadonlyMap<string, readonly string[]>): AdoptedNic {
  const { name, binding, network, state } = nic;
  if (nic.isDefault) return { why: `the default network (${bindingWords(nic)}), which is off limits` };
  if (network === undefined) return { why: `it is on no Multus network (${bindingWords(nic)})` };
  if (binding !== 'bridge' && binding !== 'sriov')
    return { why: `its binding is ${bindingWords(nic)}; bridge and sriov can be declared` };
  if (state === 'absent') return { why: 'it is being unplugged' };
  const without: string[] = [];
  const draft: { mac?: string; model?: string } = {};
  if (nic.mac !== undefined) draft.mac = nic.mac;
  if (nic.model !== undefined) draft.model = nic.model;
  const others = (holders.get(nic.mac ?? '') ?? []).filter((holder) => holder !== `${objectKey(vm)}/${name}`);
  if (others.length > 0) {
    without.push(`its MAC ${nic.mac} is also that of ${others.join(', ')}, and is declared for none of them`);
    delete draft.mac;
  }
  if (binding === 'sriov') delete draft.model;
  for (;;) {
    const fault = schemaFault(vm, { name, network: objectKey(network), binding, state, ...draft });
    if (fault === undefined) break;
    const { field, message } = fault;
    if (field === 'mac' && draft.mac !== undefined) {
      without.push(`its MAC ${draft.mac} ${message}`);
      delete draft.mac;
    } else if (field === 'model' && draft.model !== undefined) {
      without.push(`its model ${draft.model} is none that can be declared`);
      delete draft.model;
    } else return { why: `its ${field} ${message}` };
  }
  const model = nicModels.find((known) => known === draft.model);
  return {
    attachment: {
      name,
      network,
      ...(draft.mac === undefined ? {} : { mac: draft.mac }),
      binding,
      ...(model === undefined ? {} : { model }),
      state,
      position: nowhere,
    },
    without,
  };
}

/** What the schema of a repository has against an attachment, so that the rules stand in one place. */
function schemaFault(
  { namespace, name }: ObjectName,
  attachment: object,
): { readonly field: string; readonly message: string } | undefined {
  const spec = { attachments: [attachment] };
  const document = { apiVersion, kind: 'NetworkAttachments', metadata: { name, namespace }, spec };
  const issue = networkAttachmentsSchema.safeParse(document).error?.issues[0];
  return issue === undefined ? undefined : { field: String(issue.path.at(-1)), message: issue.message };
}

function bindingWords({ binding, plugin, network, isDefault }: SpecNic): string {
  const how = binding === 'plugin' ? `plugin ${plugin}` : binding === 'other' ? 'unknown to patchpanel' : binding;
  if (!isDefault) return how;
  return network === undefined ? `${how} on the pod network` : `${how} on ${objectKey(network)}`;
}

/**
 * Labels, `namespace/name/nic`, of the NICs that have each address in a template, those of VMs beside the adopted ones
 * included: a repository may declare them already.
 */
function macHolders(vms: readonly LiveVm[], macs: LiveState['macs']): ReadonlyMap<string, readonly string[]> {
  const holders = new Map<string, string[]>([...macs].map(([mac, label]) => [mac, [label]]));
  for (const vm of vms) {
    for (const { name, mac, state, isDefault } of vm.nics) {
      if (mac === undefined || state === 'absent' || isDefault) continue;
      holders.set(mac, [...new Set([...(holders.get(mac) ?? []), `${objectKey(vm)}/${name}`])].sort());
    }
  }
  return holders;
}

function remarksOn(vm: LiveVm): readonly string[] {
  const remarks: string[] = [];
  if (vm.pool !== undefined) {
    remarks.push(
      `it belongs to the VirtualMachinePool ${vm.pool}: declare its NICs there, patchpanel changes none here`,
    );
  }
  if (vm.otherManagers.length > 0 && !vm.sharedOwnershipAcknowledged) {
    const tools = [...new Set(vm.otherManagers.map(({ tool }) => tool))].sort().join(', ');
    remarks.push(`its template is also written by ${tools}, which blocks changes until that is settled`);
  }
  const names = new Set(vm.nics.map(({ name }) => name));
  for (const { name, isDefault } of activeVmi(vm)?.nics ?? []) {
    if (isDefault || names.has(name)) continue;
    remarks.push(
      `its running instance still has the NIC ${name}, which its template lacks: it goes at the next restart`,
    );
  }
  remarks.push(...knobRemarks(vm));
  return remarks;
}

function knobRemarks({ hardware }: LiveVm): readonly string[] {
  const { slotCount, declaredPorts, hookPorts } = hardware;
  const found = [
    ...(slotCount === undefined ? [] : [`${annotations.pciSlotCount}: ${slotCount}`]),
    ...(declaredPorts === undefined ? [] : [`${portFieldPath}: ${declaredPorts}`]),
    ...(hookPorts === undefined ? [] : [`a hook sidecar for ${hookPorts} ports`]),
  ];
  if (found.length === 0) return [];
  return [`its template sets ${found.join(' and ')}; declare spec.pciePorts to be sure that it keeps its PCIe ports`];
}
