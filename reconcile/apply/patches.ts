/**
 * One action as one JSON Patch on the VM: `test` on both NIC lists as they were read, then both lists anew, then the
 * ownership record. KubeVirt demands both lists in one request, and virt-controller writes the VM too: a patch that
 * was made from an older reading is refused as a whole, so no list is ever half written.
 */
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import type { Action, PlannedAttachment } from '../plan/model.ts';
import { normaliseMac } from '../systems/mac.ts';
import { ownedAnnotation } from '../systems/patchpanel.ts';
import type { Json, ObjectName } from '../vocabulary.ts';
import { portEdit } from './port-patch.ts';
import { liftedHold } from './stamp.ts';

/** An entry of `networks` or `interfaces`, with all its keys, known or not. */
type Entry = { readonly [key: string]: Json };

/** What became of an action: a patch, nothing left to write, or why it can't be written on what is there now. */
export type Edit =
  | { readonly kind: 'patch'; readonly operations: readonly PatchOperation[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: string };

/** What is written to the VM; a restart is asked for. */
export type WrittenAction = Exclude<Action, { kind: 'restart' }>;

/** The parts of a VM that an edit reads and writes. */
interface Template {
  readonly vm: ObjectName;
  readonly uid: string | undefined;
  /** As they stand in the object; undefined where the key is missing. */
  readonly networks: readonly Entry[] | undefined;
  readonly interfaces: readonly Entry[] | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** KubeVirt gives a template without any NIC the pod network. */
  readonly autoattach: boolean;
}

/** Lists and ownership as an action leaves them; what it does not name stays as it is, in its place. */
interface Draft {
  networks: Entry[];
  interfaces: Entry[];
  owned: Set<string>;
}

const networksPath = '/spec/template/spec/networks';
const interfacesPath = '/spec/template/spec/domain/devices/interfaces';
const annotationsPath = '/metadata/annotations';
const ownedPath = `${annotationsPath}/${ownedAnnotation.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** Bindings of an interface that `put` replaces by another. */
const bindingKeys = ['bridge', 'sriov', 'masquerade', 'slirp', 'macvtap', 'passt', 'passtBinding', 'binding'] as const;
/** KubeVirt's own default; written out, since a preference of the instance type does not reach a hotplugged NIC. */
const defaultModel = 'virtio';

/**
 * The edit of the VM template that an action stands for, made from the VM as it is now.
 *
 * Doing it twice is safe: what is there already is not written again, and an action that finds all of its work done
 * answers `done`. It answers `refused` where the lists contradict the action, such as a plug of a name that another
 * writer put there with another network.
 *
 * @param vmi the running instance: a template without any NIC stands for the automatic pod network, which the first
 *   declared NIC would take away at the next start, so what runs is written out beside it.
 */
export function editFor(action: WrittenAction, vm: KubeObject, vmi?: KubeObject): Edit {
  if (action.kind === 'set-ports') return portEdit(action, vm);
  if (action.kind === 'release' && action.attachments.length === 0) return edited(liftedHold(vm));
  const template = readTemplate(vm);
  const draft: Draft = {
    networks: [...(template.networks ?? [])],
    interfaces: [...(template.interfaces ?? [])],
    owned: new Set(readOwned(template.annotations)),
  };
  const reason = carryOut(action, template, draft, vmi);
  if (reason !== undefined) return { kind: 'refused', reason };
  return edited(operationsFor(template, draft));
}

function edited(operations: readonly PatchOperation[]): Edit {
  return operations.length === 0 ? { kind: 'done' } : { kind: 'patch', operations };
}

/** Names in a VM's ownership record; a record that is no list of strings counts as empty. */
export function ownedNames(vm: KubeObject): readonly string[] {
  return readOwned(vm.metadata.annotations);
}

function carryOut(
  action: Exclude<WrittenAction, { kind: 'set-ports' }>,
  template: Template,
  draft: Draft,
  vmi: KubeObject | undefined,
): string | undefined {
  switch (action.kind) {
    case 'plug':
      return (
        keepAutomaticNetwork(template, draft, vmi) ??
        firstReason(action.attachments, (attachment) => plug(attachment, template.vm, draft))
      );
    case 'unplug':
      return firstReason(action.attachments, (name) => unplug(name, draft));
    case 'link':
      return setLink(action.attachment, action.state, draft);
    case 'swap':
      return swap(action.attachment, action.from, action.to, template.vm, draft);
    case 'edit-template':
      return editTemplate(action, template, draft, vmi);
    case 'release':
      for (const name of action.attachments) draft.owned.delete(name);
      return undefined;
    case 'follow':
      return undefined;
    default:
      return action satisfies never;
  }
}

function firstReason<T>(items: readonly T[], step: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const reason = step(item);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function plug(attachment: PlannedAttachment, vm: ObjectName, draft: Draft): string | undefined {
  const network = named(draft.networks, attachment.name);
  const nic = named(draft.interfaces, attachment.name);
  if (network === undefined && nic === undefined) {
    draft.networks.push(networkEntry(attachment, vm));
    draft.interfaces.push(interfaceEntry(attachment));
    draft.owned.add(attachment.name);
    return undefined;
  }
  if (network === undefined || nic === undefined) return `the VM has half an entry for "${attachment.name}"`;
  if (nic.state === 'absent') return `"${attachment.name}" is being unplugged`;
  const found = multusNetwork(network, vm);
  const isOther = found === undefined || !sameName(found, attachment.network) || nic[attachment.binding] === undefined;
  if (isOther || alteredInterface(nic, { ...attachment, state: stateOf(nic) }) !== nic)
    return `the VM has another NIC of the name "${attachment.name}"`;
  // Written before, by a run that was cut short or by another hand: whoever wrote it recorded it, or did not.
  return undefined;
}

function unplug(name: string, draft: Draft): string | undefined {
  if (isDefaultNetwork(named(draft.networks, name))) return `"${name}" is the default network of the VM`;
  const nic = named(draft.interfaces, name);
  if (nic === undefined || nic.state === 'absent') return undefined;
  if (!draft.owned.has(name)) return notOwned(name);
  replaceNamed(draft.interfaces, { ...nic, state: 'absent' });
  return undefined;
}

/** The record was taken back since the plan was made: the NIC is somebody else's now. */
function notOwned(name: string): string {
  return `"${name}" is no longer on the record of what patchpanel plugged`;
}

function stateOf(nic: Entry): 'up' | 'down' {
  return nic.state === 'down' ? 'down' : 'up';
}

function setLink(name: string, state: 'up' | 'down', draft: Draft): string | undefined {
  const nic = named(draft.interfaces, name);
  if (nic === undefined) return `the VM has no NIC "${name}"`;
  if (isDefaultNetwork(named(draft.networks, name))) return `"${name}" is the default network of the VM`;
  if (nic.state === 'absent') return `"${name}" is being unplugged`;
  if (stateOf(nic) === state) return undefined;
  replaceNamed(draft.interfaces, { ...nic, state });
  return undefined;
}

function swap(name: string, from: ObjectName, to: ObjectName, vm: ObjectName, draft: Draft): string | undefined {
  const network = named(draft.networks, name);
  const found = network === undefined ? undefined : multusNetwork(network, vm);
  if (network === undefined || found === undefined) return `the VM has no Multus network "${name}"`;
  if (isDefaultNetwork(network)) return `"${name}" is the default network of the VM`;
  if (named(draft.interfaces, name)?.state === 'absent') return `"${name}" is being unplugged`;
  if (sameName(found, to)) return undefined;
  if (!sameName(found, from))
    return `"${name}" is on ${found.namespace}/${found.name}, not on ${from.namespace}/${from.name}`;
  replaceNamed(draft.networks, withNetwork(network, to, vm));
  return undefined;
}

function editTemplate(
  action: Extract<Action, { kind: 'edit-template' }>,
  template: Template,
  draft: Draft,
  vmi: KubeObject | undefined,
): string | undefined {
  for (const name of action.remove) {
    if (isDefaultNetwork(named(draft.networks, name))) return `"${name}" is the default network of the VM`;
    const isThere = named(draft.networks, name) !== undefined || named(draft.interfaces, name) !== undefined;
    if (isThere && !draft.owned.has(name)) return notOwned(name);
    draft.networks = draft.networks.filter((network) => network.name !== name);
    draft.interfaces = draft.interfaces.filter((nic) => nic.name !== name);
    // Of a VM that runs, the NIC stays plugged until the restart: the record goes when it is gone.
    if (!action.staged) draft.owned.delete(name);
  }
  const reason = action.put.length > 0 ? keepAutomaticNetwork(template, draft, vmi) : undefined;
  return reason ?? firstReason(action.put, (attachment) => put(attachment, template.vm, draft));
}

/** Adds an attachment, or brings the one of that name to it; keys that the declaration has no word for stay. */
function put(attachment: PlannedAttachment, vm: ObjectName, draft: Draft): string | undefined {
  const network = named(draft.networks, attachment.name);
  const nic = named(draft.interfaces, attachment.name);
  if (network === undefined || nic === undefined) {
    draft.networks = draft.networks.filter((entry) => entry.name !== attachment.name);
    draft.interfaces = draft.interfaces.filter((entry) => entry.name !== attachment.name);
    return plug(attachment, vm, draft);
  }
  if (isDefaultNetwork(network)) return `"${attachment.name}" is the default network of the VM`;
  const found = multusNetwork(network, vm);
  if (found === undefined) return `"${attachment.name}" is not a Multus network`;
  if (!sameName(found, attachment.network)) replaceNamed(draft.networks, withNetwork(network, attachment.network, vm));
  replaceNamed(draft.interfaces, alteredInterface(nic, attachment));
  return undefined;
}

/** The entry itself where nothing is to be altered. */
function alteredInterface(nic: Entry, attachment: PlannedAttachment): Entry {
  const altered: Record<string, Json> = { ...nic };
  if (altered[attachment.binding] === undefined) {
    for (const key of bindingKeys) delete altered[key];
    altered[attachment.binding] = {};
  }
  if (attachment.mac !== undefined && !sameMac(altered.macAddress, attachment.mac)) altered.macAddress = attachment.mac;
  if (attachment.model !== undefined && (altered.model ?? defaultModel) !== attachment.model)
    altered.model = attachment.model;
  if (stateOf(nic) !== attachment.state) altered.state = attachment.state;
  else if (altered.state === 'absent') delete altered.state;
  return sameJson(altered, nic) ? nic : altered;
}

function networkEntry(attachment: PlannedAttachment, vm: ObjectName): Entry {
  return { name: attachment.name, multus: { networkName: networkName(attachment.network, vm) } };
}

function interfaceEntry(attachment: PlannedAttachment): Entry {
  return {
    name: attachment.name,
    [attachment.binding]: {},
    ...(attachment.binding === 'bridge' || attachment.model !== undefined
      ? { model: attachment.model ?? defaultModel }
      : {}),
    ...(attachment.mac === undefined ? {} : { macAddress: attachment.mac }),
    ...(attachment.state === 'down' ? { state: 'down' } : {}),
  };
}

function withNetwork(network: Entry, to: ObjectName, vm: ObjectName): Entry {
  const multus = isEntry(network.multus) ? network.multus : {};
  return { ...network, multus: { ...multus, networkName: networkName(to, vm) } };
}

/** As `networks[].multus.networkName` spells it: without the namespace where that is the VM's own. */
function networkName(network: ObjectName, vm: ObjectName): string {
  return network.namespace === vm.namespace ? network.name : `${network.namespace}/${network.name}`;
}

/** KubeVirt splits at the first `/`. */
function multusNetwork(network: Entry, vm: ObjectName): ObjectName | undefined {
  if (!isEntry(network.multus) || typeof network.multus.networkName !== 'string') return undefined;
  const text = network.multus.networkName;
  const slash = text.indexOf('/');
  return slash < 0
    ? { namespace: vm.namespace, name: text }
    : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

function isDefaultNetwork(network: Entry | undefined): boolean {
  if (network === undefined) return false;
  return network.pod !== undefined || (isEntry(network.multus) && network.multus.default === true);
}

/**
 * See {@link editFor}: copies the default network of the instance into a template that has no NIC at all. Without an
 * instance it can't be known, and a first NIC would take it away.
 */
function keepAutomaticNetwork(template: Template, draft: Draft, vmi: KubeObject | undefined): string | undefined {
  if ((template.networks ?? []).length > 0 || (template.interfaces ?? []).length > 0) return undefined;
  if (vmi === undefined)
    return template.autoattach ? 'it stopped, and its first NIC would take its default network away' : undefined;
  const spec = entryAt(vmi, 'spec');
  const network = entriesAt(spec, 'networks')?.find(isDefaultNetwork);
  const nic = entriesAt(entryAt(entryAt(spec, 'domain'), 'devices'), 'interfaces')?.find(
    (candidate) => candidate.name === network?.name,
  );
  if (network === undefined || nic === undefined) return undefined;
  draft.networks.push(network);
  draft.interfaces.push(nic);
  return undefined;
}

function operationsFor(template: Template, draft: Draft): PatchOperation[] {
  const lists = listOperations(template, draft);
  const ownership = ownershipOperations(template.annotations, [...draft.owned].sort());
  if (lists.length === 0 && ownership.length === 0) return [];
  // A VM that was deleted and made again under its name is another VM, even where its lists are alike.
  const identity: PatchOperation[] =
    template.uid === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: template.uid }];
  return [...identity, ...lists, ...ownership];
}

function listOperations(template: Template, draft: Draft): PatchOperation[] {
  const { networks, interfaces } = template;
  if (sameJson(networks ?? [], draft.networks) && sameJson(interfaces ?? [], draft.interfaces)) return [];
  return [
    // A missing key passes `test` with null, and `add` sets a key whether it is there or not.
    { op: 'test', path: networksPath, value: networks ?? null },
    { op: 'test', path: interfacesPath, value: interfaces ?? null },
    { op: networks === undefined ? 'add' : 'replace', path: networksPath, value: draft.networks },
    { op: interfaces === undefined ? 'add' : 'replace', path: interfacesPath, value: draft.interfaces },
  ];
}

function ownershipOperations(
  annotations: Readonly<Record<string, string>> | undefined,
  owned: readonly string[],
): PatchOperation[] {
  const before = annotations?.[ownedAnnotation];
  if (sameJson([...readOwned(annotations)].sort(), owned)) return [];
  const value = JSON.stringify(owned);
  // `add` below a map that is missing is refused.
  if (annotations === undefined) {
    return [
      { op: 'test', path: annotationsPath, value: null },
      { op: 'add', path: annotationsPath, value: { [ownedAnnotation]: value } },
    ];
  }
  const test: PatchOperation = { op: 'test', path: ownedPath, value: before ?? null };
  if (owned.length === 0) return [test, { op: 'remove', path: ownedPath }];
  return [test, { op: before === undefined ? 'add' : 'replace', path: ownedPath, value }];
}

function readOwned(annotations: Readonly<Record<string, string>> | undefined): string[] {
  const text = annotations?.[ownedAnnotation];
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

function readTemplate(vm: KubeObject): Template {
  const spec = entryAt(entryAt(entryAt(vm, 'spec'), 'template'), 'spec');
  const devices = entryAt(entryAt(spec, 'domain'), 'devices');
  return {
    vm: { namespace: vm.metadata.namespace ?? '', name: vm.metadata.name },
    uid: vm.metadata.uid,
    networks: entriesAt(spec, 'networks'),
    interfaces: entriesAt(devices, 'interfaces'),
    annotations: vm.metadata.annotations,
    autoattach: devices?.autoattachPodInterface !== false,
  };
}

function entryAt(object: object | undefined, key: string): Entry | undefined {
  const value = (object as { readonly [key: string]: unknown } | undefined)?.[key];
  return isEntry(value) ? value : undefined;
}

function entriesAt(object: Entry | undefined, key: string): readonly Entry[] | undefined {
  const value = object?.[key];
  return Array.isArray(value) ? value.filter(isEntry) : undefined;
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function named(entries: readonly Entry[], name: string): Entry | undefined {
  return entries.find((entry) => entry.name === name);
}

function replaceNamed(entries: Entry[], entry: Entry): void {
  const index = entries.findIndex((candidate) => candidate.name === entry.name);
  if (index >= 0) entries[index] = entry;
}

function sameName(one: ObjectName, other: ObjectName): boolean {
  return one.namespace === other.namespace && one.name === other.name;
}

function sameMac(found: Json | undefined, wanted: string): boolean {
  return typeof found === 'string' && normaliseMac(found) === normaliseMac(wanted);
}

/** Entries are only ever copied or built here, so key order is theirs and texts compare. */
function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
