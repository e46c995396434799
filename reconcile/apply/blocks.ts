/** Which blockers forbid all that is planned for a target. */
import type { Blocker } from '../plan/model.ts';

/**
 * A blocker of one attachment left its actions out of the plan; one of the VM forbids all. Of the others `port-count` and
 * `restart-refused` stop nothing else, and `no-ports` left nothing in the plan but what gives the VM more of them.
 */
export function blocksAll(blockers: readonly Blocker[]): boolean {
  return blockers.some(({ attachment, code }) => attachment === undefined && !mild.has(code));
}

const mild: ReadonlySet<Blocker['code']> = new Set(['port-count', 'no-ports', 'restart-refused']);
