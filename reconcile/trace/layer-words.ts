/** What each layer shows of a NIC, and whether that is what is wanted there. Pure. */
import type { LayerReadings, LayerView } from '../diff/layers.ts';
import type { AttachmentDiff } from '../diff/model.ts';
import type { LiveVm } from '../live/model.ts';
import type { RunState } from '../plan/model.ts';
import { type Layer, layers } from '../vocabulary.ts';
import type { LayerTrace, NicRole } from './model.ts';

export function layerTraces(
  diff: AttachmentDiff,
  role: NicRole,
  readings: LayerReadings,
  vm: LiveVm,
  runState: RunState,
): readonly LayerTrace[] {
  return layers.flatMap((layer): readonly LayerTrace[] => {
    // Of the default network, annotation and network-status hold another kind of entry.
    if (role === 'default' && (layer === 'pod' || layer === 'multus')) return [];
    return [layerTrace(layer, diff, role, readings, vm, runState)];
  });
}

function layerTrace(
  layer: Layer,
  diff: AttachmentDiff,
  role: NicRole,
  readings: LayerReadings,
  vm: LiveVm,
  runState: RunState,
): LayerTrace {
  const reading = readings[layer];
  if (reading === undefined) {
    // A pod that does not start holds up every NIC that it shall have.
    const stuck = layer === 'pod' && runState === 'starting' && diff.wanted !== undefined && readings.vm !== 'absent';
    if (stuck) return { layer, verdict: 'lags', seen: podWords(vm) };
    return { layer, verdict: 'unread', seen: unreadWords(layer, vm, runState) };
  }
  const here = diff.differences.filter((difference) => difference.layer === layer);
  const seen = reading === 'absent' ? 'not there' : viewWords(layer, reading, vm);
  if (role === 'default') return { layer, verdict: 'agrees', seen };
  if (role === 'foreign') {
    const waits = layer === 'vmi' && reading === 'absent' && readings.vm !== 'absent';
    return { layer, verdict: waits ? 'lags' : 'agrees', seen };
  }
  if (here.length === 0) return { layer, verdict: 'agrees', seen };
  if (layer === 'guest') return { layer, verdict: 'waits', seen: 'the guest agent does not show it' };
  const differing = here.filter(({ field }) => field !== 'present' && field !== 'sources');
  const wanted = differing.map(({ field, wanted: value }) => `${field} ${value ?? 'unset'} wanted`);
  const words = [seen, ...wanted].join('; ');
  const isAbsent = typeof reading === 'object' && reading.state === 'absent';
  const waits = (layer === 'vm' || layer === 'vmi') && isAbsent;
  return { layer, verdict: waits ? 'waits' : 'lags', seen: words };
}

function podWords({ pod }: LiveVm): string {
  return pod === undefined ? 'there is no launcher pod' : `the launcher pod ${pod.name} is ${pod.phase}`;
}

function unreadWords(layer: Layer, vm: LiveVm, runState: RunState): string {
  if (runState === 'stopped') return 'the VM does not run';
  if (runState === 'starting' || runState === 'stopping') return `the VM is ${runState}`;
  const { pod } = vm;
  if (layer === 'pod' || layer === 'multus') {
    if (pod === undefined) return 'there is no launcher pod';
    const list = layer === 'pod' ? pod.networks : pod.status;
    if ('problem' in list) return list.problem;
    return 'KubeVirt leaves SR-IOV NICs out of it';
  }
  return layer === 'guest' ? 'no guest agent, or not in the domain' : 'not read';
}

/** `there, demo/storage-net, 02:.., link down`. */
function viewWords(layer: Layer, view: LayerView, { domain }: LiveVm): string {
  const parts = ['there'];
  if (view.network !== undefined) parts.push(view.network);
  if (view.binding !== undefined && view.binding !== 'bridge') parts.push(view.binding);
  if (view.model !== undefined && view.model !== 'virtio') parts.push(view.model);
  if (view.mac !== undefined) parts.push(view.mac);
  if (view.state === 'absent') parts.push('to be unplugged');
  if (view.state === 'down') parts.push('link down');
  if (layer === 'vmi' && view.sources !== undefined && view.sources !== 'domain, multus-status')
    parts.push(`status shows ${view.sources === '' ? 'no source' : view.sources}`);
  if (layer === 'domain' && domain.kind === 'unread') parts.push('by VMI status');
  return parts.join(', ');
}
