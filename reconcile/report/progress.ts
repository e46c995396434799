/** Progress of a run: live lines on a terminal, plain lines in a log, JSON lines for machines. */
import type { OnRunEvent, RunEvent } from '../apply/model.ts';
import type { PlanAction, TargetName } from '../plan/model.ts';
import { type Layer, layers, type ObjectName } from '../vocabulary.ts';
import { printable, type Style } from './style.ts';
import { count, describeAction, duration, fleetWords } from './words.ts';

export interface Progress {
  readonly onEvent: OnRunEvent;
  /** Removes what is only there while the run goes on. */
  readonly close: () => void;
}

export interface ProgressStream {
  readonly write: (text: string) => void;
  /** Width of the terminal; undefined where the stream is none. */
  readonly columns?: number;
}

function who(target: ObjectName): string {
  return printable(`${target.namespace}/${target.name}`);
}

/** What is known of an action that is under way. */
interface Course {
  readonly since: number;
  /** `vm 0.0 s, vmi 0.1 s`: when each layer came to agree. */
  readonly layers: Map<Layer, string>;
}

/** Follows actions from start to end, so that each is told in one line when it is done. */
class Courses {
  readonly #courses = new Map<string, Course>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  note(event: RunEvent): void {
    if (event.type === 'action-started') this.#courses.set(event.action.id, { since: this.#now(), layers: new Map() });
    if (event.type === 'layer-reached') {
      const { layer, milliseconds } = event;
      // Of a layer that was lost meanwhile, as a swap loses the domain while it migrates, the last time counts.
      this.#courses.get(event.action.id)?.layers.set(layer, `${layer} ${duration(milliseconds)}`);
    }
  }

  layers(action: PlanAction): string {
    const reached = this.#courses.get(action.id)?.layers;
    return layers.flatMap((layer) => reached?.get(layer) ?? []).join(', ');
  }

  milliseconds(action: PlanAction): number {
    return this.#now() - (this.#courses.get(action.id)?.since ?? this.#now());
  }
}

/** A plain log tells of a wait only when it takes longer than a plug normally does. */
const patienceMs = 5000;

/** Each event as one line of words; undefined for those that say nothing yet. */
function eventLine(event: RunEvent, courses: Courses, style: Style): string | undefined {
  switch (event.type) {
    case 'rendering':
      return style.dim(`rendering ${printable(event.source)}`);
    case 'rendered':
      return style.dim(
        `rendered ${fleetWords(event.targets, event.pods)} from ${count(event.files, 'file')} at ${printable(event.revision)}`,
      );
    case 'observing':
      return style.dim(`reading ${printable(event.server)}`);
    case 'observed':
      return style.dim(`read ${fleetWords(event.vms, event.pods)} in ${duration(event.milliseconds)}`);
    case 'verified':
      return style.dim(`verified ${printable(event.what)}, signed by ${printable(event.signer)}`);
    case 'fetched':
    case 'plan-read':
    case 'target-started':
    case 'action-started':
    case 'layer-reached':
      return undefined;
    case 'waiting':
      return courses.milliseconds(event.action) < patienceMs ? undefined : style.dim(waitLine(event));
    case 'reversing':
      return `${style.changed('reverse')} ${style.bold(who(event.target))}  taking back what was done to it`;
    case 'action-done': {
      const times = `in ${duration(event.milliseconds)}: ${courses.layers(event.action)}`.replace(/: $/, '');
      return `${style.good('done')}    ${actionWords(event, style)}  ${style.dim(times)}`;
    }
    case 'action-failed':
      return `${style.bad('failed')}  ${actionWords(event, style)}: ${printable(event.reason)} (${event.code})`;
    case 'target-done':
      return undefined;
    case 'stopping':
      return `${event.signal}: starting nothing new, finishing what is in flight`;
    case 'lock':
      return event.state === 'waiting' || event.state === 'lost'
        ? style.changed(printable(`${event.message}${event.state === 'waiting' ? '; waiting for it' : ''}`))
        : undefined;
    case 'warning':
      return `${style.changed('warning')} ${printable(event.message)}`;
    default:
      return event satisfies never;
  }
}

function actionWords(
  { target, action }: { readonly target: ObjectName; readonly action: PlanAction },
  style: Style,
): string {
  return `${style.bold(who(target))}  ${printable(describeAction(action, target))}`;
}

/** One line an event, for a stream that is no terminal. */
export function plainProgress(stream: ProgressStream, style: Style, now: () => number): Progress {
  const courses = new Courses(now);
  const waits = new Map<string, string>();
  return {
    onEvent(event) {
      courses.note(event);
      const line = eventLine(event, courses, style);
      if (event.type === 'waiting' && line !== undefined) {
        // A wait is told again while it lasts: in a log, once is enough.
        if (waits.get(event.action.id) === line) return;
        waits.set(event.action.id, line);
      }
      if (line !== undefined) stream.write(`${line}\n`);
    },
    close() {},
  };
}

/**
 * One JSON object a line; `clock` gives the time of each.
 * @param fields what each line tells of the run
 * @param onCommit is told the commit, once it is known
 */
export function jsonProgress(
  stream: ProgressStream,
  clock: () => Date,
  fields: () => object,
  onCommit: (commit: string) => void,
): Progress {
  return {
    onEvent(event) {
      if ('commit' in event) onCommit(event.commit);
      const head = { time: clock().toISOString(), level: level(event), ...fields() };
      stream.write(`${JSON.stringify({ ...head, ...flat(event) })}\n`);
    },
    close() {},
  };
}

function level(event: RunEvent): 'info' | 'error' | 'warn' {
  if (event.type === 'action-failed') return 'error';
  const warns =
    event.type === 'stopping' ||
    event.type === 'reversing' ||
    event.type === 'warning' ||
    (event.type === 'lock' && event.state === 'lost');
  return warns ? 'warn' : 'info';
}

/** Log pipelines want flat fields: `vm` or `pod`, and `action`, not nested objects. */
function flat(event: RunEvent): object {
  if (!('target' in event)) return event;
  const { target, ...rest } = event;
  if (!('action' in rest)) return { ...subject(target), ...rest };
  const { action, ...others } = rest;
  return { ...subject(target), action: action.id, kind: action.kind, ...others };
}

function subject(target: TargetName): object {
  return target.kind === 'Pod' ? { pod: who(target) } : { vm: who(target) };
}

/** As plain lines, and below them a line for each wait that is going on, rewritten as it changes. */
export function liveProgress(stream: ProgressStream, style: Style, now: () => number): Progress {
  const courses = new Courses(now);
  const waits = new Map<string, string>();
  let shown = 0;
  function erase(): void {
    if (shown > 0) stream.write(`\u001b[${shown}A\u001b[0J`);
    shown = 0;
  }
  function draw(): void {
    const width = (stream.columns ?? 80) - 1;
    const lines = [...waits.values()].slice(0, mostWaits);
    for (const line of lines) stream.write(`${style.dim(line.slice(0, width))}\n`);
    shown = lines.length;
  }
  function noteWait(event: RunEvent): void {
    if (event.type === 'waiting') waits.set(event.action.id, waitLine(event));
    else if (event.type === 'action-done' || event.type === 'action-failed') waits.delete(event.action.id);
  }
  return {
    onEvent(event) {
      courses.note(event);
      noteWait(event);
      const line = event.type === 'waiting' ? undefined : eventLine(event, courses, style);
      erase();
      if (line !== undefined) stream.write(`${line}\n`);
      draw();
    },
    close: erase,
  };
}

/** Lines below the log at one time, so that they never scroll. */
const mostWaits = 8;

function waitLine(wait: Extract<RunEvent, { readonly type: 'waiting' }>): string {
  const reason = wait.reason === undefined ? '' : `: ${printable(wait.reason)}`;
  return `waiting ${who(wait.target)}  ${printable(describeAction(wait.action, wait.target))}, at layer ${wait.layer}${reason}`;
}
