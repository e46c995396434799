/**
 * What a plan was made from: of each VM exactly the fields that the rules look at, no more. Resource versions and
 * generations are not among them, since every status write moves them.
 */
import deepDiff from 'deep-diff';
import { activeVmi, runningVmi } from '../diff/layers.ts';
import type { LiveState, LiveVm, LiveVmi, SpecNic, StatusNic } from '../live/model.ts';
import { conditionTypes } from '../systems/kubevirt-names.ts';
import type { PortFacts } from '../systems/kubevirt-ports.ts';
import { type Json, type ObjectName, objectKey } from '../vocabulary.ts';
import { digestOf, sortKeys } from './canonical-json.ts';
import { runStateOf } from './eligibility.ts';
import { type MacHolders, macHolders } from './macs.ts';
import { isPodPlan, type Plan, type TargetPlan, type VmPlan } from './model.ts';
import { type PodReadScope, readPodFields } from './pod-fingerprint.ts';
import { protectionField } from './protection.ts';

/** What a plan of one VM looked at besides the VM itself. */
export interface ReadScope {
  /** Networks by `namespace/name`. */
  readonly networks: readonly string[];
  readonly macs: readonly string[];
  /** The domain XML was read. */
  readonly domain: boolean;
  /** Ports were forecast, or their number is declared. */
  readonly hardware: boolean;
  /** The number of ports is declared, and how to get them matters. */
  readonly portKnobs: boolean;
  /** It is to be restarted, or would be. */
  readonly restart: boolean;
}

/** The fields, with sorted keys, and their digest. */
export function readFields(
  target: ObjectName,
  live: LiveState,
  scope: ReadScope,
  holders: MacHolders = macHolders(live),
): VmPlan['read'] {
  const vm = live.vms.get(objectKey(target));
  const fields = sortKeys({
    cluster: {
      delivery: live.cluster.delivery,
      liveMigrate: live.cluster.liveMigrateEnabled ?? null,
      kubevirtVersion: scope.hardware ? (live.cluster.kubevirtVersion ?? null) : null,
    },
    vm: vm === undefined ? null : vmFields(vm),
    vmi: vm === undefined ? null : vmiFields(vm),
    pod: vm === undefined ? null : podFields(vm),
    domain: vm === undefined || !scope.domain ? null : domainFields(vm),
    hardware: vm === undefined || !scope.hardware ? null : hardwareFields(vm),
    ...(scope.portKnobs ? { portKnobs: portKnobFields(live) } : {}),
    ...(scope.restart ? { restart: restartFields(live, vm) } : {}),
    networks: Object.fromEntries(scope.networks.map((key) => [key, networkFields(live, key)])),
    macs: Object.fromEntries(
      scope.macs.map((mac) => [mac, (holders.get(mac) ?? []).map(({ vm: holder, nic }) => `${holder}/${nic}`)]),
    ),
  });
  return { digest: digestOf(fields), fields };
}

/** Whether the plan of this VM rests on its domain XML, so that checking it needs the XML too. */
export function restsOnDomainXml(target: TargetPlan): boolean {
  return scopeOf(target.read.fields).domain;
}

/** Whether the plan of this VM rests on how the cluster lets a VM have more ports. */
export function restsOnPortKnobs(target: TargetPlan): boolean {
  return scopeOf(target.read.fields).portKnobs;
}

/** The networks that the plan of a VM rests on, from its fields. */
export function readNetworks(fields: Json): readonly ObjectName[] {
  return scopeOf(fields).networks.map((key) => {
    const slash = key.indexOf('/');
    return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
  });
}

/** One field that is no longer as the plan found it; `null`: not there. */
interface Moved {
  readonly field: string;
  readonly was: Json;
  readonly is: Json;
}

export interface StaleTarget {
  readonly target: TargetPlan['target'];
  readonly moved: readonly Moved[];
}

/**
 * Which VMs and pods of the plan are no longer as the plan found them, and in what. Empty: the plan can be carried out.
 * Give a live state with the domain XML of the VMs for which {@link restsOnDomainXml} holds.
 */
export function checkStale(plan: Plan, live: LiveState): readonly StaleTarget[] {
  const holders = macHolders(live);
  return plan.targets.flatMap((target): StaleTarget[] => {
    const now = isPodPlan(target)
      ? readPodFields(target.target, live, podScopeOf(target.read.fields))
      : readFields(target.target, live, scopeOf(target.read.fields), holders);
    if (now.digest === target.read.digest) return [];
    return [{ target: target.target, moved: movedFields(target.read.fields, now.fields) }];
  });
}

function podScopeOf(fields: Json): PodReadScope {
  return { networks: scopeOf(fields).networks, domain: isObject(fields) && 'domain' in fields };
}

function movedFields(was: Json, is: Json): readonly Moved[] {
  return (deepDiff.diff(was, is) ?? []).map((change): Moved => {
    const path = (change.path ?? []).map(String).join('.');
    if (change.kind === 'A') {
      const { item, index } = change;
      return {
        field: `${path}.${index}`,
        was: item.kind === 'D' || item.kind === 'E' ? (item.lhs ?? null) : null,
        is: item.kind === 'N' || item.kind === 'E' ? (item.rhs ?? null) : null,
      };
    }
    return {
      field: path,
      was: change.kind === 'N' ? null : (change.lhs ?? null),
      is: change.kind === 'D' ? null : (change.rhs ?? null),
    };
  });
}

function scopeOf(fields: Json): ReadScope {
  const part = (key: string): Json => (isObject(fields) ? (fields[key] ?? null) : null);
  const keys = (key: string): readonly string[] => {
    const value = part(key);
    return isObject(value) ? Object.keys(value) : [];
  };
  return {
    networks: keys('networks'),
    macs: keys('macs'),
    domain: part('domain') !== null,
    hardware: part('hardware') !== null,
    portKnobs: part('portKnobs') !== null,
    restart: part('restart') !== null,
  };
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function restartFields({ cluster }: LiveState, vm: LiveVm | undefined): Json {
  return {
    runStrategy: vm?.runStrategy ?? null,
    plugins: (vm?.nics ?? [])
      .flatMap(({ plugin }) => plugin ?? [])
      .filter((name) => cluster.bindingPlugins?.includes(name) === false),
  };
}

function vmFields(vm: LiveVm): Json {
  return {
    uid: vm.uid,
    deleting: vm.deleting,
    nics: specNics(vm.nics),
    automaticNetwork: vm.automaticNetwork ?? false,
    owned: [...vm.owned].sort(),
    pool: vm.pool ?? null,
    otherManagers: vm.otherManagers.map(({ tool }) => tool).sort(),
    sharedOwnershipAcknowledged: vm.sharedOwnershipAcknowledged,
    ...(vm.held === undefined ? {} : { held: { input: vm.held.input ?? null, instance: vm.held.instance ?? null } }),
    ...(vm.source === undefined ? {} : { source: vm.source }),
    ...(vm.protection === undefined ? {} : { protection: protectionField(vm.protection) }),
    ...(vm.suspension === undefined ? {} : { suspended: true }),
  };
}

function vmiFields(vm: LiveVm): Json {
  const vmi = activeVmi(vm);
  if (vmi === undefined) return null;
  const migratable = vmi.conditions.find(({ type }) => type === conditionTypes.liveMigratable);
  return {
    uid: vmi.uid,
    phase: vmi.phase,
    runState: runStateOf(vm),
    liveMigratable: migratable === undefined ? null : migratable.status,
    nics: specNics(vmi.nics),
    status: runningVmi(vm) === undefined ? null : statusNics(vmi),
  };
}

function specNics(nics: readonly SpecNic[]): Json {
  return Object.fromEntries(
    nics.map((nic) => [
      nic.name,
      {
        binding: nic.binding,
        state: nic.state,
        mac: nic.mac ?? null,
        model: nic.model ?? null,
        network: nic.network === undefined ? null : objectKey(nic.network),
        isDefault: nic.isDefault,
      },
    ]),
  );
}

function statusNics(vmi: LiveVmi): Json {
  const named = vmi.status.filter(({ name }) => name !== '');
  return Object.fromEntries(named.map((nic) => [nic.name, statusFields(nic)]));
}

/** Without what the guest agent tells, which comes and goes. */
function statusFields(nic: StatusNic): Json {
  return {
    sources: nic.sources.filter((source) => source !== 'guest-agent').sort(),
    podInterfaceName: nic.podInterfaceName ?? null,
    linkState: nic.linkState ?? null,
    mac: nic.mac ?? null,
  };
}

function podFields(vm: LiveVm): Json {
  const { pod } = vm;
  if (pod === undefined || activeVmi(vm) === undefined) return null;
  const { networks, status } = pod;
  return {
    ready: pod.ready && !pod.deleting,
    networks:
      'problem' in networks
        ? networks
        : networks
            .map((item) => `${item.interface ?? ''} ${item.namespace}/${item.name} ${item.mac ?? ''}`.trim())
            .sort(),
    status:
      'problem' in status ? status : status.map((entry) => `${entry.interface ?? ''} ${entry.name}`.trim()).sort(),
  };
}

function domainFields(vm: LiveVm): Json {
  if (vm.domain.kind === 'unread') return 'not read';
  const { nics, pciControllers, devices } = vm.domain.domain;
  return {
    nics: Object.fromEntries(
      nics.map((nic, index) => [
        nic.alias ?? `#${index}`,
        { mac: nic.mac ?? null, linkState: nic.linkState, bus: nic.address?.bus ?? null },
      ]),
    ),
    rootPorts: pciControllers.map(({ index, model, hotplug }) => `${index} ${model}${hotplug ? '' : ' hotplug=off'}`),
    usedBuses: [...new Set(devices.map(({ address }) => address.bus))].sort((a, b) => a - b),
  };
}

function hardwareFields(vm: LiveVm): Json {
  const facts = (hardware: PortFacts): Json => ({ ...hardware });
  const vmi = activeVmi(vm);
  return {
    vm: facts(vm.hardware),
    vmi: vmi === undefined ? null : facts(vmi.hardware),
    launcherVersion: vmi?.launcherVersion ?? null,
  };
}

function portKnobFields({ cluster }: LiveState): Json {
  return { field: cluster.portField ?? false, sidecar: cluster.sidecarGate ?? null };
}

function networkFields(live: LiveState, key: string): Json {
  const network = live.networks.get(key);
  if (network === undefined) return null;
  return { problem: network.problem ?? null, resourceName: network.resourceName ?? null };
}
