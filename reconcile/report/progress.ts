/** Progress of a run: live lines on a terminal, plain lines in a log, JSON lines for machines. */
import type { OnRunEvent, RunEvent } from '../apply/model.ts';
import type { Action } from '../plan/model.ts';
import type { Layer, ObjectName } from '../vocabulary.ts';
import { printable, type Style } from './style.ts';
import { count, describeAction, duration } from './words.ts';

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
  return `${target.namespace}/${target.name}`;
}

/** Each event as one line of words; undefined for those that only a live display shows. */
export function eventLine(event: RunEvent, style: Style): string | undefined {
  switch (event.type) {
    case 'rendering':
      return style.dim(`rendering ${printable(event.source)}`);
    case 'rendered':
      return style.dim(
        `rendered ${count(event.targets, 'VM')} from ${count(event.files, 'file')} at ${printable(event.revision)}`,
      );
    case 'observing':
      return style.dim(`reading ${printable(event.server)}`);
    case 'observed':
      return style.dim(`read ${count(event.vms, 'VM')} in ${duration(event.milliseconds)}`);
    case 'target-started':
      return undefined;
    case 'action-started':
      return `${style.bold(who(event.target))}  ${printable(describeAction(event.action, event.target))}`;
    case 'waiting':
      return undefined;
    case 'layer-reached':
      return `${style.bold(who(event.target))}    ${style.good(event.layer)} ${style.dim(`after ${duration(event.milliseconds)}`)}`;
    case 'action-done':
      return `${style.bold(who(event.target))}  ${style.good('done')} in ${duration(event.milliseconds)}`;
    case 'action-failed':
      return `${style.bold(who(event.target))}  ${style.bad('failed')} ${printable(event.reason)}`;
    case 'target-done':
      return event.result === 'converged' ? undefined : `${style.bold(who(event.target))}  ${style.bad(event.result)}`;
    case 'stopping':
      return `${event.signal}: starting nothing new, finishing what is in flight`;
    default:
      return event satisfies never;
  }
}

/** One line an event, for a stream that is no terminal. */
export function plainProgress(stream: ProgressStream, style: Style): Progress {
  return {
    onEvent(event) {
      const line = eventLine(event, style);
      if (line !== undefined) stream.write(`${line}\n`);
    },
    close() {},
  };
}

/** One JSON object a line; `clock` gives the time of each. */
export function jsonProgress(stream: ProgressStream, clock: () => Date): Progress {
  return {
    onEvent(event) {
      stream.write(`${JSON.stringify({ time: clock().toISOString(), level: level(event), ...flat(event) })}\n`);
    },
    close() {},
  };
}

function level(event: RunEvent): 'info' | 'error' | 'warn' {
  if (event.type === 'action-failed') return 'error';
  return event.type === 'stopping' ? 'warn' : 'info';
}

/** Log pipelines want flat fields: `vm` and `action`, not nested objects. */
function flat(event: RunEvent): object {
  if (!('target' in event)) return event;
  const { target, ...rest } = event;
  if (!('action' in rest)) return { vm: who(target), ...rest };
  const { action, ...others } = rest;
  return { vm: who(target), action: action.id, kind: action.kind, ...others };
}

/** As plain lines, and below them a line for each wait that is going on, rewritten as it changes. */
export function liveProgress(stream: ProgressStream, style: Style): Progress {
  const waits = new Map<string, string>();
  let shown = 0;
  function erase(): void {
    if (shown > 0) stream.write(`\u001b[${shown}A\u001b[0J`);
    shown = 0;
  }
  function draw(): void {
    const width = (stream.columns ?? 80) - 1;
    const lines = [...waits.values()].slice(0, 8);
    for (const line of lines) stream.write(`${style.dim(line.slice(0, width))}\n`);
    shown = lines.length;
  }
  function noteWait(event: RunEvent): void {
    if (event.type === 'waiting') waits.set(event.action.id, waitLine(event));
    else if (event.type === 'action-done' || event.type === 'action-failed') waits.delete(event.action.id);
  }
  return {
    onEvent(event) {
      noteWait(event);
      erase();
      const line = eventLine(event, style);
      if (line !== undefined) stream.write(`${line}\n`);
      draw();
    },
    close: erase,
  };
}

function waitLine(wait: {
  readonly target: ObjectName;
  readonly action: Action;
  readonly layer: Layer;
  readonly reason?: string;
}): string {
  const reason = wait.reason === undefined ? '' : `: ${printable(wait.reason)}`;
  return `${who(wait.target)}  waiting for ${wait.layer}${reason}`;
}
