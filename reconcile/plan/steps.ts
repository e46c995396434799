/** What planning works with before steps are put in order: one step of one attachment, and why one can't be taken. */
import type { RestartPolicy, SourceIdentity } from '../desired/model.ts';
import type { TargetDiff } from '../diff/model.ts';
import type { ClusterFacts, Delivery, LiveNetwork, LiveVm } from '../live/model.ts';
import type { LinkState, ObjectName } from '../vocabulary.ts';
import type { TimeWindow } from '../windows/windows.ts';
import type { Blocker, BlockerCode, Note, PlannedAttachment, RunState } from './model.ts';

/** One change of one attachment. `port`: it takes, or gives back, a port of the running domain. */
export type Step =
  | {
      readonly kind: 'follow';
      readonly name: string;
      readonly until: 'plugged' | 'gone' | 'link' | 'swapped';
      readonly port: boolean;
    }
  | { readonly kind: 'unplug'; readonly name: string; readonly delivery: Delivery; readonly port: boolean }
  | { readonly kind: 'release'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly state: LinkState }
  | {
      readonly kind: 'plug';
      readonly name: string;
      readonly attachment: PlannedAttachment;
      readonly delivery: Delivery;
      readonly port: boolean;
    }
  | {
      readonly kind: 'swap';
      readonly name: string;
      readonly from: ObjectName;
      readonly to: ObjectName;
      /** It never reached its pod: the swap mends a plug that hangs. */
      readonly pending: boolean;
      readonly port: boolean;
    }
  | { readonly kind: 'put'; readonly name: string; readonly attachment: PlannedAttachment; readonly staged: boolean }
  | { readonly kind: 'remove'; readonly name: string; readonly staged: boolean };

/** What an attachment, or a VM, comes to. */
export interface Outcome {
  readonly steps: readonly Step[];
  readonly blockers: readonly Blocker[];
  readonly notes: readonly Note[];
}

/** All that the rules for one VM look at. */
export interface VmContext {
  readonly diff: TargetDiff;
  readonly vm: LiveVm;
  readonly runState: RunState;
  readonly cluster: ClusterFacts;
  readonly networks: ReadonlyMap<string, LiveNetwork>;
  readonly source: SourceIdentity;
  readonly restart: RestartPolicy;
  /** When this VM may be restarted; empty unless the settings and its own object allow it. */
  readonly restartWindows: readonly TimeWindow[];
}

export const nothing: Outcome = { steps: [], blockers: [], notes: [] };

export function taking(...steps: readonly Step[]): Outcome {
  return { ...nothing, steps };
}

export function blockedBy(...blockers: readonly Blocker[]): Outcome {
  return { ...nothing, blockers };
}

export function merge(outcomes: readonly Outcome[]): Outcome {
  return {
    steps: outcomes.flatMap(({ steps }) => steps),
    blockers: outcomes.flatMap(({ blockers }) => blockers),
    notes: outcomes.flatMap(({ notes }) => notes),
  };
}

/** @param attachment undefined where the whole VM is meant */
export function blocker(code: BlockerCode, attachment: string | undefined, message: string, remedy: string): Blocker {
  return { code, ...(attachment === undefined ? {} : { attachment }), message, remedy };
}

/** `1 port`, `2 ports`. */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
