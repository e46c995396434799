/** The windows of time in which a run may make changes: looked at before each action, whatever was done before it. */
import type { Settings, WindowRule } from '../desired/model.ts';
import type { PlanAction } from '../plan/model.ts';
import { isOpen, nextPermitted, wallClock } from '../windows/windows.ts';
import { closedWords } from './restart.ts';

/** A run looks once a minute: windows open and close with one. */
const minuteMs = 60_000;

export class ChangeWindows {
  readonly #settings: Settings;
  readonly #overrides: boolean;
  #minute = Number.NaN;
  #closed: string | undefined;
  #overridden = false;

  /** @param overrides a person gave a reason to act against the windows that may be overridden */
  constructor(settings: Settings, overrides: boolean) {
    this.#settings = settings;
    this.#overrides = overrides;
  }

  /** Whether a window was closed that would have held an action back. */
  get overridden(): boolean {
    return this.#overridden;
  }

  /** Why an action must not be begun at that moment, and when it may; undefined where it may now. */
  closed(action: PlanAction, at: Date): string | undefined {
    // To follow what is under way writes nothing.
    if (action.kind === 'follow' || action.kind === 'pod-follow') return undefined;
    const restart = action.kind === 'restart' ? this.#restartClosed(action, at) : undefined;
    return restart ?? this.#changesClosed(at);
  }

  #restartClosed(action: Extract<PlanAction, { kind: 'restart' }>, at: Date): string | undefined {
    if (this.#settings.restart !== 'allowed') return 'the settings no longer allow restarts';
    const ofPolicy = (this.#settings.restartWindows ?? []).filter(({ from }) => from === 'policy');
    return [action.windows, ...ofPolicy.map(({ windows }) => windows)]
      .map((windows) => closedWords(windows, at))
      .find((words) => words !== undefined);
  }

  #changesClosed(at: Date): string | undefined {
    const minute = Math.floor(at.getTime() / minuteMs);
    if (minute !== this.#minute) {
      this.#closed = this.#look(at);
      this.#minute = minute;
    }
    return this.#closed;
  }

  #look(at: Date): string | undefined {
    const { allowWindows = [], denyWindows = [] } = this.#settings;
    const all = changeClosed(allowWindows, denyWindows, at);
    if (!this.#overrides || all === undefined) return all;
    const stays = ({ overridable }: WindowRule): boolean => !overridable;
    const rest = changeClosed(allowWindows.filter(stays), denyWindows.filter(stays), at);
    if (rest === undefined) this.#overridden = true;
    return rest === undefined ? undefined : `${rest}; the policy does not let these windows be overridden`;
  }
}

/** Why no change may be made at that moment; undefined where one may. */
function changeClosed(allow: readonly WindowRule[], deny: readonly WindowRule[], at: Date): string | undefined {
  const denies = deny.find(({ windows }) => isOpen(windows, at));
  const missing = allow.find(({ windows }) => !isOpen(windows, at));
  const rule = denies ?? missing;
  if (rule === undefined) return undefined;
  const next = nextPermitted(
    allow.map(({ windows }) => windows),
    deny.flatMap(({ windows }) => windows),
    at,
  );
  const zone = rule.windows[0]?.timeZone ?? 'UTC';
  const opens =
    next === undefined ? 'no time comes when they may be made' : `they may be made from ${wallClock(next, zone)}`;
  const ofPolicy = rule.from === 'policy';
  if (denies === undefined)
    return `no window of ${ofPolicy ? 'the policy' : 'the Settings'} for changes is open: ${opens}`;
  return `${ofPolicy ? 'the policy denies' : 'the Settings deny'} changes now: ${opens}`;
}
