/** What names this run in logs, Events, records and locks: a run is one process. */
import { randomBytes } from 'node:crypto';

export const runId = randomBytes(4).toString('hex');

let commit: string | undefined;

/** Notes what this run looks at, once that is known. */
export function noteCommit(known: string): void {
  commit = known;
}

/** What each line of its log tells. */
export function runFields(): { readonly run: string; readonly commit?: string } {
  return { run: runId, ...(commit === undefined ? {} : { commit }) };
}
