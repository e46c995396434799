/** Fleets as pages: VMs in every state that a plan knows, in the mix of a fleet that mostly is as declared. */
import type { DesiredTarget } from '../../reconcile/desired/model.ts';
import { diffState } from '../../reconcile/diff/diff.ts';
import type { LiveVm } from '../../reconcile/live/model.ts';
import { makePlan } from '../../reconcile/plan/plan.ts';
import type { Picture } from '../../reconcile/report/html/model.ts';
import { picturePage } from '../../reconcile/report/html/page.ts';
import { planPicture } from '../../reconcile/report/html/plan-picture.ts';
import { paused } from '../plan-cases.ts';
import { declared, desiredState, liveState, type NicOptions, runningVm, stoppedVm } from '../vm-builder.ts';

export const made = new Date('2026-03-02T09:30:00Z');

const nets = ['storage', 'backup', 'mgmt', 'tenant-a', 'tenant-b', 'edge', 'voice', 'iot'];

function nic(vm: number, at: number, more: Partial<NicOptions> = {}): NicOptions {
  const name = nets[(vm + at) % nets.length] ?? 'storage';
  const bytes = [vm >> 8, vm & 255, at].map((byte) => byte.toString(16).padStart(2, '0'));
  return { name, mac: `02:00:00:${bytes.join(':')}`, ...more };
}

interface Case {
  readonly target: DesiredTarget;
  readonly vm?: LiveVm;
}

/** A VM of the given kind; kinds go round. */
function caseOf(kind: string, at: number): Case {
  const name = `${['db', 'web', 'cache', 'edge-router'][at % 4]}-${at}`;
  const [a, b, c, d] = [nic(at, 0), nic(at, 1), nic(at, 2), nic(at, 3)];
  const more = { name, ports: 12, owned: [a.name, b.name, c.name] };
  const target = (nics: readonly NicOptions[]) => ({
    ...declared(nics, { name }),
    position: { file: `vms/${name}.yaml`, line: 1, column: 1 },
  });
  switch (kind) {
    case 'plug':
      return { target: target([a, b, c, d]), vm: runningVm([a, b], more) };
    case 'unplug':
      return { target: target([a, c]), vm: runningVm([a, b, c], more) };
    case 'both':
      return { target: target([a, c, d]), vm: runningVm([a, b], { ...more, ports: 8 }) };
    case 'full':
      return { target: target([a, b, c, d]), vm: runningVm([a, b], { ...more, ports: 3 }) };
    case 'paused':
      return { target: target([a]), vm: runningVm([a, b], { ...more, vmi: paused }) };
    case 'restart':
      return { target: target([a, { ...b, mac: '02:00:00:ff:ff:ff' }]), vm: runningVm([a, b], more) };
    case 'swap':
      return { target: target([a, { ...b, network: 'edge-net' }]), vm: runningVm([a, b], more) };
    case 'link':
      return { target: target([a, { ...b, state: 'down' }]), vm: runningVm([a, b], more) };
    case 'leaving':
      return { target: target([a]), vm: runningVm([a, { ...b, state: 'absent' }], more) };
    case 'unread':
      return { target: target([a, b, d]), vm: runningVm([a, b], { ...more, xml: false }) };
    case 'stopped':
      return { target: target([a, b]), vm: stoppedVm([a], more) };
    case 'gone':
      return { target: target([a, b]) };
    case 'foreign':
      return { target: target([a]), vm: runningVm([a, { name: 'by-hand' }], { ...more, owned: [a.name] }) };
    default:
      return { target: target([a, b, c]), vm: runningVm([a, b, c], { ...more, xml: at % 3 === 0 }) };
  }
}

export const kinds = [
  'both',
  'plug',
  'unplug',
  'full',
  'restart',
  'paused',
  'swap',
  'link',
  'leaving',
  'unread',
  'stopped',
  'gone',
  'foreign',
] as const;

/** So many VMs; beyond the first few, nine of ten are as declared. */
export function fleetPicture(vms: number): Picture {
  const cases = Array.from({ length: vms }, (_, at) => {
    const busy = vms <= 1 || at % (vms > 100 ? 40 : 3) === 0;
    return caseOf(busy ? (kinds[Math.floor(at / (vms > 100 ? 40 : 3)) % kinds.length] ?? 'calm') : 'calm', at);
  });
  return pictureOf(cases);
}

export function pictureOf(cases: readonly Case[]): Picture {
  const desired = desiredState(
    cases.map(({ target }) => target),
    { restart: 'never' },
  );
  const also = cases.flatMap(({ target }) => target.attachments.map(({ network }) => network.name));
  const live = liveState(
    cases.flatMap(({ vm }) => vm ?? []),
    { also },
  );
  const diffs = diffState(desired, live);
  return planPicture(makePlan(diffs, desired, live), { desired, live, diffs }, made);
}

export function fleetPage(vms: number): string {
  return picturePage(fleetPicture(vms));
}
