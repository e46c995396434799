/** The recordings that are at hand, and those with which the sandbox is known not to agree. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recording } from './flow-recording.ts';

interface Disagreement {
  readonly reason: string;
  /** Those of the API agree all the same. */
  readonly answers: boolean;
}

/** Why a recording differs, by its name: it is up to the stand-in for the nodes that the recording had. */
export const disagreeing: Readonly<Record<string, Disagreement>> = {
  '12-absent-on-sriov': {
    reason:
      "the recording's guest had no SR-IOV device, so it migrated once the pod had lost the network; here it has one",
    answers: true,
  },
  '38-cancel-failed-plug': {
    reason:
      "the recording's stand-in went on after a failed attachment; the real dynamic-networks controller stops there",
    answers: false,
  },
};

/** The few that the project holds itself. */
export const ownRecordings = join(import.meta.dirname, 'fixtures', 'flow');

export function readRecordings(folder: string): readonly Recording[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Recording);
}
