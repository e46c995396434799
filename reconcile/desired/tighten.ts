/** Settings under a policy: of each brake the stricter holds. Pure. */
import { PatchpanelError } from '../errors.ts';
import type { DesiredState, Limit, OnFailure, RestartPolicy, Settings, Tightened, WindowRule } from './model.ts';
import type { Policy } from './policy.ts';

/** From the loosest to the strictest. */
const restarts: readonly RestartPolicy[] = ['allowed', 'stage', 'never'];
/** To hold writes least. */
const failures: readonly OnFailure[] = ['retry', 'reverse', 'hold'];

/** The stricter of both, brake by brake; never looser than either. What the ceilings say nothing of stays as it is. */
export function tighten(settings: Settings, ceilings: Partial<Settings>): Settings {
  const maxInFlightPerNode = lower(settings.maxInFlightPerNode, ceilings.maxInFlightPerNode);
  const canary = lowerLimit(settings.canary, ceilings.canary);
  const waves = united(ceilings.waves, settings.waves);
  const maxFailures = lower(settings.maxFailures, ceilings.maxFailures);
  const maxRemovals = lowerLimit(settings.maxRemovals, ceilings.maxRemovals);
  const suspended = united(settings.suspendedNamespaces, ceilings.suspendedNamespaces);
  const allowWindows = rules(settings.allowWindows, ceilings.allowWindows);
  const denyWindows = rules(settings.denyWindows, ceilings.denyWindows);
  const restartWindows = rules(settings.restartWindows, ceilings.restartWindows);
  return {
    maxInFlight: lower(settings.maxInFlight, ceilings.maxInFlight) ?? settings.maxInFlight,
    ...(maxInFlightPerNode === undefined ? {} : { maxInFlightPerNode }),
    ...(canary === undefined ? {} : { canary }),
    ...(waves === undefined ? {} : { waves }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    onFailure: stricter(failures, settings.onFailure, ceilings.onFailure),
    prune: settings.prune && ceilings.prune !== false,
    ...(maxRemovals === undefined ? {} : { maxRemovals }),
    ...(settings.suspend === true || ceilings.suspend === true ? { suspend: true } : {}),
    ...(suspended === undefined ? {} : { suspendedNamespaces: [...suspended].sort() }),
    ...(allowWindows === undefined ? {} : { allowWindows }),
    ...(denyWindows === undefined ? {} : { denyWindows }),
    restart: stricter(restarts, settings.restart, ceilings.restart),
    ...(restartWindows === undefined ? {} : { restartWindows }),
  };
}

/** What differs between settings and what became of them, in the order of the settings. */
export function tightenedKeys(before: Settings, after: Settings): readonly Tightened[] {
  return (Object.keys(after) as (keyof Settings)[]).flatMap((key) => {
    if (JSON.stringify(before[key]) === JSON.stringify(after[key])) return [];
    const asked = before[key] === undefined ? undefined : brakeWords(before, key);
    return [{ key, ...(asked === undefined ? {} : { asked }), holds: brakeWords(after, key) }];
  });
}

/** The value of one brake for people: `10% and 5`, `prod, infra`. */
function brakeWords(settings: Settings, key: keyof Settings): string {
  switch (key) {
    case 'canary':
    case 'maxRemovals':
      return limitWords(settings[key] ?? {});
    case 'waves':
      return (settings.waves ?? []).map((order) => order.map(({ name }) => name).join(', ')).join('; then ');
    case 'suspendedNamespaces':
      return (settings.suspendedNamespaces ?? []).join(', ');
    case 'allowWindows':
    case 'denyWindows':
    case 'restartWindows':
      return (settings[key] ?? []).map(ruleWords).join('; and ');
    case 'maxInFlight':
    case 'maxInFlightPerNode':
    case 'maxFailures':
    case 'onFailure':
    case 'prune':
    case 'suspend':
    case 'restart':
      return String(settings[key]);
    default:
      return key satisfies never;
  }
}

function ruleWords({ windows }: WindowRule): string {
  return windows.map(({ start, duration, timeZone }) => `${start} for ${duration}, ${timeZone}`).join(' or ');
}

function limitWords({ count, percent }: Limit): string {
  return [...(count === undefined ? [] : [`${count}`]), ...(percent === undefined ? [] : [`${percent}%`])].join(
    ' and ',
  );
}

function lower(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

function lowerLimit(one: Limit | undefined, other: Limit | undefined): Limit | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const count = lower(one.count, other.count);
  const percent = lower(one.percent, other.percent);
  return { ...(count === undefined ? {} : { count }), ...(percent === undefined ? {} : { percent }) };
}

function stricter<T>(order: readonly T[], one: T, other: T | undefined): T {
  return other === undefined || order.indexOf(other) < order.indexOf(one) ? one : other;
}

/** All of both, each once, in the order in which they come. */
function united<T>(one: readonly T[] | undefined, other: readonly T[] | undefined): readonly T[] | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return [...new Map([...one, ...other].map((item) => [JSON.stringify(item), item])).values()];
}

/** The rules of both; the repository's first, and those of the policy in an order that does not tell who came first. */
function rules(
  one: readonly WindowRule[] | undefined,
  other: readonly WindowRule[] | undefined,
): readonly WindowRule[] | undefined {
  return united(one, other)?.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : orderOf(a) > orderOf(b) ? 1 : 0));
}

function orderOf(rule: WindowRule): string {
  return `${rule.from === 'repository' ? 0 : 1}${JSON.stringify(rule)}`;
}

/** The desired state under a policy; what the repository asked for in vain is told. */
export function underPolicy(desired: DesiredState, { from, ceilings }: Policy): DesiredState {
  const settings = tighten(desired.settings, ceilings);
  return { ...desired, settings, policy: { from, tightened: tightenedKeys(desired.settings, settings) } };
}

/** Brakes that decide what stands in a plan; the others are looked at while it is carried out. */
const planned: readonly (keyof Settings)[] = [
  ...(['waves', 'prune', 'suspend', 'suspendedNamespaces', 'restart'] as const),
];

/**
 * The settings of a saved plan under the policy of now.
 * @throws PatchpanelError `plan/stale` where what the plan says would not have been planned under it
 */
export function settingsOfNow(saved: Settings, { from, ceilings }: Policy): Settings {
  const settings = tighten(saved, ceilings);
  const changed = tightenedKeys(saved, settings).filter(({ key }) => planned.includes(key));
  if (changed.length === 0) return settings;
  const words = changed.map(({ key, asked, holds }) => `${key} is ${holds} now, and was ${asked ?? 'not set'}`);
  throw new PatchpanelError('plan/stale', `the policy (${from}) is stricter than the plan: ${words.join('; ')}`);
}
