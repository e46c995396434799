/** From what a Settings object says to what the other rooms see of it. */
import type { Limit, Settings } from './model.ts';
import type { SettingsDocument } from './settings-schema.ts';

/** The settings that an object spells out; what it leaves out stays out, or has its default. */
export function settingsOf(spec: SettingsDocument['spec']): Settings {
  const { maxInFlight, maxInFlightPerNode, canary, waves, maxFailures, onFailure, prune, maxRemovals } = spec;
  const { suspend, suspendedNamespaces = [], allowWindows, denyWindows, restart, restartWindows } = spec;
  return {
    maxInFlight,
    ...(maxInFlightPerNode === undefined ? {} : { maxInFlightPerNode }),
    ...(canary === undefined ? {} : { canary: limitOf(canary) }),
    ...(waves === undefined ? {} : { waves: [waves.map(waveOf)] }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    onFailure,
    prune,
    ...(maxRemovals === undefined ? {} : { maxRemovals: limitOf(maxRemovals) }),
    ...(suspend === true ? { suspend } : {}),
    ...(suspendedNamespaces.length === 0 ? {} : { suspendedNamespaces: [...new Set(suspendedNamespaces)].sort() }),
    ...(allowWindows === undefined ? {} : { allowWindows: [ownRule(allowWindows)] }),
    ...(denyWindows === undefined ? {} : { denyWindows: [ownRule(denyWindows)] }),
    restart,
    ...(restartWindows === undefined ? {} : { restartWindows }),
  };
}

/** How many of a total a limit lets through: a share is rounded down, and the smaller of two counts. */
export function countOf({ count = Number.POSITIVE_INFINITY, percent = 100 }: Limit, total: number): number {
  return Math.min(total, count, Math.floor((total * percent) / 100));
}

function limitOf(amount: number | string): Limit {
  return typeof amount === 'number' ? { count: amount } : { percent: Number.parseInt(amount, 10) };
}

type Document = Required<SettingsDocument['spec']>;

function waveOf({ name, namespaces, vms, labels }: NonNullable<Document['waves']>[number]) {
  return {
    name,
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(vms === undefined ? {} : { vms }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function ownRule(windows: NonNullable<Document['allowWindows']>) {
  return { from: 'repository', overridable: true, windows } as const;
}
