/**
 * Desired against live state, NIC by NIC and layer by layer. Pure.
 *
 * deep-diff compares lists by index, which makes one removed NIC look like a change of all behind it. So each layer is
 * keyed by attachment name first; deep-diff then compares the fields. Only its comparison is used: its applyChange
 * follows `__proto__`.
 */
import deepDiff from 'deep-diff';
import type { DesiredAttachment, DesiredState, DesiredTarget } from '../desired/model.ts';
import type { LiveState, LiveVm } from '../live/model.ts';
import { type Json, type Layer, layers, objectKey } from '../vocabulary.ts';
import {
  activeVmi,
  type LayerField,
  type LayerReadings,
  type LayerView,
  layerFields,
  type NicTraces,
  readLayers,
  runningVmi,
  traceNic,
  wantedViews,
} from './layers.ts';
import type { AttachmentDiff, AttachmentState, Difference, TargetDiff } from './model.ts';
import { pruned, prunedTarget } from './prune.ts';

/** Fields that no running VM takes: KubeVirt asks for a restart when one of them differs between VM and VMI. */
export const restartFields: readonly string[] = ['binding', 'mac', 'model'];

/**
 * Compares every declared VM with the cluster. The result is in the order of the desired state, one entry a VM,
 * whatever the order of the live lists; behind them those that are to be pruned, as far as they were read.
 */
export function diffState(desired: DesiredState, live: LiveState): readonly TargetDiff[] {
  const gone = pruned(live.undeclared ?? [], desired).filter((vm) => live.vms.get(objectKey(vm))?.source === vm.source);
  return [...desired.targets, ...gone.map(prunedTarget)].map((target) =>
    diffTarget(target, live.vms.get(objectKey(target.target))),
  );
}

/**
 * Whether planning needs the domain XML of this VM: it runs, nobody read its XML yet, and there is a change in it or a
 * declared number of ports. Everywhere else an exec into the pod would tell nothing that the plan asks for.
 */
export function needsDomainXml(diff: TargetDiff): boolean {
  const { live } = diff;
  if (live === undefined || runningVmi(live) === undefined) return false;
  if (live.domain.kind !== 'unread' || live.domain.why !== 'not-asked') return false;
  return (
    diff.desired.pciePorts !== undefined ||
    diff.attachments.some(({ state }) => state !== 'converged' && state !== 'unmanaged' && state !== 'released')
  );
}

function diffTarget(desired: DesiredTarget, live: LiveVm | undefined): TargetDiff {
  const wantedNames = desired.attachments.map(({ name }) => name);
  if (live === undefined) {
    const attachments = desired.attachments.map((wanted): AttachmentDiff => {
      const difference = { attachment: wanted.name, layer: 'vm', field: 'present', wanted: true, found: null } as const;
      return { name: wanted.name, state: 'missing', wanted, differences: [difference] };
    });
    return { desired, attachments };
  }
  const declared = new Set(wantedNames);
  // A default network that stands in the ownership record was put there by hand: still off limits.
  const defaults = new Set(live.nics.filter((nic) => nic.isDefault).map((nic) => nic.name));
  const owned = [...new Set(live.owned)].filter((name) => !declared.has(name) && !defaults.has(name)).sort();
  const ownedSet = new Set(owned);
  const others = live.nics.map(({ name }) => name).filter((name) => !declared.has(name) && !ownedSet.has(name));

  const compared = compareLayers(live, desired.attachments, owned);
  return {
    desired,
    live,
    attachments: [
      ...desired.attachments.map((wanted): AttachmentDiff => {
        const differences = compared.differences.get(wanted.name) ?? [];
        const traces = compared.traces.get(wanted.name) ?? traceNic(live, wanted.name);
        return { name: wanted.name, state: declaredState(live, traces, differences), wanted, differences };
      }),
      ...owned.map((name): AttachmentDiff => {
        const differences = compared.differences.get(name) ?? [];
        return { name, state: ownedState(compared.traces.get(name) ?? traceNic(live, name)), differences };
      }),
      ...others.map((name): AttachmentDiff => ({ name, state: 'unmanaged', differences: [] })),
    ],
  };
}

/** One side of the comparison of one layer: views by attachment name. */
type LayerByName = { readonly [attachment: string]: LayerView };

interface Compared {
  readonly differences: ReadonlyMap<string, readonly Difference[]>;
  readonly traces: ReadonlyMap<string, NicTraces>;
}

function compareLayers(live: LiveVm, declared: readonly DesiredAttachment[], owned: readonly string[]): Compared {
  const names = [...declared.map(({ name }) => name), ...owned];
  const traces = new Map(names.map((name) => [name, traceNic(live, name)]));
  const readings = new Map(names.map((name) => [name, readLayers(live, name, traces.get(name))]));
  const wanted = new Map(declared.map((attachment) => [attachment.name, wantedViews(attachment)]));
  const differences = new Map<string, Difference[]>(names.map((name) => [name, []]));
  for (const layer of layers) {
    const readable = names.filter((name) => readings.get(name)?.[layer] !== undefined);
    const wantedSide = byName(readable, (name) => wanted.get(name)?.[layer]);
    const foundSide = byName(readable, (name) =>
      foundView(layer, readings.get(name), wantedSide[name], traces.get(name)),
    );
    // Nearly always; deep-diff takes many times as long to say so.
    if (areEqual(foundSide, wantedSide)) continue;
    for (const change of deepDiff.diff(foundSide, wantedSide) ?? []) {
      const [name, field] = change.path ?? [];
      if (typeof name !== 'string') continue;
      differences.get(name)?.push(describe(name, layer, field, change));
    }
  }
  for (const list of differences.values()) list.sort(inOrder);
  return { differences, traces };
}

function areEqual(found: LayerByName, wanted: LayerByName): boolean {
  return sameKeys(found, wanted, (name) => {
    const [one = {}, other = {}] = [found[name], wanted[name]];
    return sameKeys(one, other, (field) => one[field as LayerField] === other[field as LayerField]);
  });
}

function sameKeys(one: object, other: object, isSame: (key: string) => boolean): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && isSame(key));
}

/** Own properties, also for a NIC that is called `__proto__`. */
function byName(names: readonly string[], view: (name: string) => LayerView | undefined): LayerByName {
  return Object.fromEntries(
    names.flatMap((name) => {
      const found = view(name);
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

/** What was found, reduced to what was declared: the rest is nobody's business. */
function foundView(
  layer: Layer,
  readings: LayerReadings | undefined,
  wanted: LayerView | undefined,
  traces: NicTraces | undefined,
): LayerView | undefined {
  const reading = readings?.[layer];
  if (reading === undefined || reading === 'absent') return undefined;
  if (wanted === undefined) return isStale(layer, traces) ? undefined : {};
  const fields = Object.keys(wanted) as LayerField[];
  return Object.fromEntries(
    fields.flatMap((field) => {
      // A domain that does not tell the state of a link, as on SR-IOV, is no difference.
      const value = reading[field] ?? (layer === 'domain' || field === 'sources' ? wanted[field] : undefined);
      return value === undefined ? [] : [[field, value]];
    }),
  );
}

/** An element that KubeVirt left behind for a NIC that was never plugged: no layer but the annotation knows it. */
function isStale(layer: Layer, traces: NicTraces | undefined): boolean {
  if (layer !== 'pod' || traces === undefined) return false;
  return traces.vm === undefined && traces.vmi === undefined && traces.status === undefined && !traces.inMultus;
}

function describe(attachment: string, layer: Layer, field: unknown, change: deepDiff.Diff<LayerByName>): Difference {
  if (typeof field === 'string') {
    return { attachment, layer, field, wanted: side(change, 'rhs'), found: side(change, 'lhs') };
  }
  const missing = change.kind === 'N';
  return { attachment, layer, field: 'present', wanted: missing ? true : null, found: missing ? null : true };
}

function side(change: deepDiff.Diff<LayerByName>, key: 'lhs' | 'rhs'): Json {
  const value: unknown = Reflect.get(change, key);
  return typeof value === 'string' ? value : null;
}

function inOrder(a: Difference, b: Difference): number {
  return layers.indexOf(a.layer) - layers.indexOf(b.layer) || rank(a.field) - rank(b.field);
}

const fieldOrder: readonly string[] = layerFields;

/** `present` comes first. */
function rank(field: string): number {
  return fieldOrder.indexOf(field);
}

function declaredState(live: LiveVm, traces: NicTraces, differences: readonly Difference[]): AttachmentState {
  if (traces.vm === undefined) return isOnItsWayOut(traces) ? 'leaving' : 'missing';
  if (traces.vm.isDefault) return 'differs';
  if (traces.vm.state === 'absent') return 'leaving';
  if (differences.some(({ layer }) => layer === 'vm')) return 'differs';
  if (activeVmi(live) === undefined) return 'converged';
  if (differences.some(({ layer, field }) => layer !== 'guest' && restartFields.includes(field))) return 'differs';
  // The guest only informs: an agent that lags keeps no NIC from being there.
  return differences.some(({ layer }) => layer !== 'guest') ? 'arriving' : 'converged';
}

/** Not in the VM, and what is left of it further in is being taken away. */
function isOnItsWayOut(traces: NicTraces): boolean {
  if (traces.vmi !== undefined) return traces.vmi.state === 'absent';
  return traces.status !== undefined || traces.inMultus || traces.inDomain;
}

function ownedState(traces: NicTraces): AttachmentState {
  if (traces.vm !== undefined && traces.vm.state !== 'absent') return 'surplus';
  const left =
    traces.vm !== undefined ||
    traces.vmi !== undefined ||
    traces.status !== undefined ||
    traces.inMultus ||
    traces.inDomain;
  return left ? 'leaving' : 'released';
}
