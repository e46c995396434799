/**
 * Windows of time that come back, such as each Saturday from two to four: whether a moment lies in one, and when the next
 * opens. Pure: whoever asks brings the moment.
 */
import { Cron } from 'croner';

/** As people write it. */
export interface TimeWindow {
  /** When it opens: a cron expression of five fields. */
  readonly start: string;
  /** How long it stays open: `90m`, `2h`, `1h30m`. */
  readonly duration: string;
  /** IANA name of the time zone of `start`, such as `Europe/Zurich`. */
  readonly timeZone: string;
}

const minuteMs = 60_000;
/** Longest window: a week. */
const longestMs = 7 * 24 * 60 * minuteMs;

/** Why the text is no time at which a window opens; undefined where it is one. */
export function startFault(start: string): string | undefined {
  // The library also takes seconds, nicknames and dates, which no crontab(5) has.
  if (!/^[\dA-Za-z*,/-]+(?: +[\dA-Za-z*,/-]+){4}$/.test(start)) {
    return 'is not a cron expression of five fields; write it like "0 2 * * 6", for Saturdays at two';
  }
  try {
    if (cronOf({ start, timeZone: 'UTC' }).nextRun(new Date(0)) === null) return 'never comes';
  } catch (error) {
    return `is not a cron expression: ${error instanceof Error ? error.message.replace(/^CronPattern: /, '') : error}`;
  }
  return undefined;
}

/** Why the text is no length of a window; undefined where it is one. */
export function durationFault(duration: string): string | undefined {
  const length = durationMs(duration);
  if (length === undefined || length === 0) return 'is not a duration; write it like 90m, 2h or 1h30m';
  return length > longestMs ? 'is longer than a week' : undefined;
}

/** Why the text is no time zone; undefined where it is one. */
export function timeZoneFault(timeZone: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return undefined;
  } catch {
    return 'is not a time zone; write it like Europe/Zurich, or UTC';
  }
}

/** Whether one of the windows is open at that moment: from its start, and no longer at its end. */
export function isOpen(windows: readonly TimeWindow[], at: Date): boolean {
  return windows.some((window) => at.getTime() < (endOf(window, at) ?? 0));
}

/** When the window closes, or closed, that last opened by then; undefined where it never did. */
function endOf(window: TimeWindow, at: Date): number | undefined {
  const [opened] = cronOf(window).previousRuns(1, new Date(at.getTime() + 1));
  return opened === undefined ? undefined : opened.getTime() + (durationMs(window.duration) ?? 0);
}

/** When a window next opens after that moment, and which; undefined where none ever does. */
export function nextOpening(
  windows: readonly TimeWindow[],
  at: Date,
): { readonly at: Date; readonly window: TimeWindow } | undefined {
  const openings = windows.flatMap((window) => {
    const next = cronOf(window).nextRun(at);
    return next === null ? [] : [{ at: next, window }];
  });
  return openings.sort((one, other) => one.at.getTime() - other.at.getTime())[0];
}

/** Looks into the future end after so many windows: rules that hardly ever agree cost no more. */
const mostLooks = 200;

/**
 * The first moment, from that one on, at which each of the lists has an open window and none that denies is open;
 * undefined where none is near.
 */
export function nextPermitted(
  allow: readonly (readonly TimeWindow[])[],
  deny: readonly TimeWindow[],
  from: Date,
): Date | undefined {
  let at = from;
  for (let look = 0; look < mostLooks; look += 1) {
    const denied = ends(deny, at);
    const closed = allow.find((windows) => !isOpen(windows, at));
    if (denied === undefined && closed === undefined) return at;
    const next = denied ?? nextOpening(closed ?? [], at)?.at;
    if (next === undefined) return undefined;
    at = next;
  }
  return undefined;
}

/** When the last of the windows that are open at that moment closes; undefined where none is open. */
function ends(windows: readonly TimeWindow[], at: Date): Date | undefined {
  const open = windows.flatMap((window) => {
    const end = endOf(window, at);
    return end !== undefined && at.getTime() < end ? [end] : [];
  });
  return open.length === 0 ? undefined : new Date(Math.max(...open));
}

/** `0 2 * * 6 for 2h, Europe/Zurich`. */
export function windowWords({ start, duration, timeZone }: TimeWindow): string {
  return `${start} for ${duration}, ${timeZone}`;
}

/** `2026-11-28 02:00 Europe/Zurich`: a moment as a clock on the wall there shows it. */
export function wallClock(at: Date, timeZone: string): string {
  // Sweden writes dates and times as ISO 8601 does.
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  return `${format.format(at)} ${timeZone}`;
}

/** Without a function to run, it sets no timer. */
function cronOf({ start, timeZone }: Pick<TimeWindow, 'start' | 'timeZone'>): Cron {
  return new Cron(start, { timezone: timeZone, mode: '5-part' });
}

function durationMs(duration: string): number | undefined {
  const [whole, hours = '0', minutes = '0'] = /^(?:(\d{1,5})h)?(?:(\d{1,5})m)?$/.exec(duration) ?? [];
  if (whole === undefined || whole === '') return undefined;
  return (Number(hours) * 60 + Number(minutes)) * minuteMs;
}
