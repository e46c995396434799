/** From what a Settings or Policy object says to what the other rooms see of it. */
import type { Limit, Settings, WindowRule } from './model.ts';
import type { PolicyDocument, SettingsDocument } from './settings-schema.ts';

type Brakes = Omit<PolicyDocument['spec'], 'overridableWindows' | 'repositories'>;
type Written = Required<Brakes>;

/** The settings that an object spells out; what it leaves out stays out, or has its default. */
export function settingsOf(spec: SettingsDocument['spec']): Settings {
  const { maxInFlight, onFailure, prune, restart } = spec;
  return { maxInFlight, onFailure, prune, restart, ...brakesOf(spec, { from: 'repository', overridable: true }) };
}

/** The brakes that an object spells out, and no others. */
export function brakesOf(spec: Brakes, whose: Pick<WindowRule, 'from' | 'overridable'>): Partial<Settings> {
  const { maxInFlight, maxInFlightPerNode, canary, waves, maxFailures, onFailure, prune, maxRemovals } = spec;
  const { suspend, suspendedNamespaces = [], allowWindows, denyWindows, restart, restartWindows } = spec;
  return {
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(maxInFlightPerNode === undefined ? {} : { maxInFlightPerNode }),
    ...(canary === undefined ? {} : { canary: limitOf(canary) }),
    ...(waves === undefined ? {} : { waves: [waves.map(waveOf)] }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(prune === undefined ? {} : { prune }),
    ...(maxRemovals === undefined ? {} : { maxRemovals: limitOf(maxRemovals) }),
    ...(suspend === true ? { suspend } : {}),
    ...(suspendedNamespaces.length === 0 ? {} : { suspendedNamespaces: [...new Set(suspendedNamespaces)].sort() }),
    ...(allowWindows === undefined ? {} : { allowWindows: [{ ...whose, windows: allowWindows }] }),
    ...(denyWindows === undefined ? {} : { denyWindows: [{ ...whose, windows: denyWindows }] }),
    ...(restart === undefined ? {} : { restart }),
    // Nobody restarts a VM against these.
    ...(restartWindows === undefined
      ? {}
      : { restartWindows: [{ ...whose, overridable: false, windows: restartWindows }] }),
  };
}

/** How many of a total a limit lets through: a share is rounded down, and the smaller of two counts. */
export function countOf({ count = Number.POSITIVE_INFINITY, percent = 100 }: Limit, total: number): number {
  return Math.min(total, count, Math.floor((total * percent) / 100));
}

function limitOf(amount: number | string): Limit {
  return typeof amount === 'number' ? { count: amount } : { percent: Number.parseInt(amount, 10) };
}

function waveOf({ name, namespaces, vms, labels }: NonNullable<Written['waves']>[number]) {
  return {
    name,
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(vms === undefined ? {} : { vms }),
    ...(labels === undefined ? {} : { labels }),
  };
}
