/** What each exit code means, for the reference pages. */
import { errorTable, type exitCodes } from '../../reconcile/errors.ts';

type Name = keyof typeof exitCodes;

interface Meaning {
  readonly meaning: string;
  /** Whether a Job should try again by itself. */
  readonly advice: string;
}

export const meanings: Readonly<Record<Name, Meaning>> = {
  ok: { meaning: 'Done, or nothing to do.', advice: 'Nothing.' },
  error: {
    meaning: 'Something outside the repository failed: the cluster, the git host, or patchpanel itself.',
    advice: 'Run it again; look at it when it stays.',
  },
  changesPending: {
    meaning: '`plan`: there are changes to make, and none is blocked. `trace`: a layer lags.',
    advice: 'Apply them; follow the remedy of the trace.',
  },
  badInput: {
    meaning: 'The command line, the kubeconfig or the desired state is wrong. Nothing was written.',
    advice: 'A person must mend it: running again ends the same.',
  },
  blocked: {
    meaning: 'Something stands in the way of a change. `apply` carried out all that is not blocked.',
    advice: 'A person must follow the way out that the blocker names.',
  },
  partlyFailed: {
    meaning: 'Some VMs failed. The others were carried on with.',
    advice: 'Mend what the reasons name, then run it again: it goes on from what is there.',
  },
  lockHeld: { meaning: 'Another run holds the lock. Nothing was written.', advice: 'Wait, then run it again.' },
  stalePlan: {
    meaning: 'What a saved plan was made from has changed. Nothing was written.',
    advice: 'Make a new plan, and look at it.',
  },
  interrupted: {
    meaning: 'The run was stopped, or its time was up, before all was done. What was in flight was finished.',
    advice: 'Run it again: it goes on from what is there.',
  },
};

/** Codes of the error table that end with this exit code. */
export function codesOf(exit: number): readonly string[] {
  return Object.entries(errorTable)
    .filter(([, row]) => row.exit === exit)
    .map(([code]) => code);
}

/** Exit codes by what a Job does about them: end, or try again without counting it. The others count, up to a limit. */
export function podFailures(): { readonly fail: readonly number[]; readonly ignore: readonly number[] } {
  const rows = Object.values(errorTable);
  const codes = [...new Set(rows.map(({ exit }) => exit))].sort((a, b) => a - b);
  const all = (exit: number, wanted: boolean): boolean =>
    rows.every((row) => row.exit !== exit || row.retryable === wanted);
  return { fail: codes.filter((exit) => all(exit, false)), ignore: codes.filter((exit) => all(exit, true)) };
}
