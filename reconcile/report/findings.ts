/** What a plan, a change or a faulty input says of places in the repository, for annotations there. */
import type { Change } from '../change/model.ts';
import { splitPlan } from '../change/split.ts';
import type { PatchpanelError, PatchpanelErrors, Position } from '../errors.ts';
import type { Plan, TargetPlan } from '../plan/model.ts';
import { objectLines } from './change-words.ts';
import { targetTitle } from './plan-sections.ts';
import { describeAction } from './words.ts';

export type FindingLevel = 'error' | 'warning' | 'note';

export interface Finding {
  /** Code of a blocker or an error; `change` and `due-before` for what is to be done. */
  readonly rule: string;
  readonly level: FindingLevel;
  readonly message: string;
  readonly remedy?: string;
  /** Left out for what is in no file any more. */
  readonly position?: Position | undefined;
  /** `prod/db-0`, with the attachment behind it where it is about one. */
  readonly subject?: string;
}

/** Blockers as errors, what an apply does and what is to be known as notes. */
export function planFindings(plan: Pick<Plan, 'targets'>): readonly Finding[] {
  return plan.targets.flatMap((target) => [...blockersOf(target, 'error'), ...doingOf(target, 'change')]);
}

/** Blockers of the change as errors, those that were there before as warnings. */
export function changeFindings({ cluster, declared }: Change): readonly Finding[] {
  if (cluster !== undefined) {
    const { ofChange, before } = splitPlan(cluster);
    return [
      ...ofChange.flatMap((target) => [...blockersOf(target, 'error'), ...doingOf(target, 'change')]),
      ...before.flatMap((target) => [...blockersOf(target, 'warning'), ...doingOf(target, 'due-before')]),
    ];
  }
  return declared.objects.flatMap((object): readonly Finding[] => {
    const lines = objectLines(object, declared.prune);
    if (lines.length === 0 && object.change === 'changed') return [];
    const subject = targetTitle(object.target);
    const words = lines.map(({ sign, words: each }) => `${sign} ${each}`).join('; ');
    const { position } = object;
    return [
      {
        rule: 'change',
        level: 'note',
        message: `${subject} ${object.change}${words === '' ? '' : `: ${words}`}`,
        ...(position === undefined ? {} : { position }),
        subject,
      },
    ];
  });
}

/** Faults of the input, each at its place. */
export function faultFindings(error: PatchpanelError | PatchpanelErrors): readonly Finding[] {
  const faults = 'errors' in error ? error.errors : [error];
  return faults.map(({ code, message, remedy, position }) => ({
    rule: code,
    level: 'error',
    message,
    remedy,
    ...(position === undefined ? {} : { position }),
  }));
}

function blockersOf(target: TargetPlan, level: FindingLevel): readonly Finding[] {
  const title = targetTitle(target.target);
  return target.blockers.map(({ code, attachment, message, remedy, position }) => ({
    rule: code,
    level,
    message: `${title}${attachment === undefined ? '' : ` ${attachment}`}: ${message}`,
    remedy,
    position: position ?? target.position,
    subject: attachment === undefined ? title : `${title}/${attachment}`,
  }));
}

function doingOf(target: TargetPlan, rule: 'change' | 'due-before'): readonly Finding[] {
  const title = targetTitle(target.target);
  const { position } = target;
  const steps = target.actions.map((action) => describeAction(action, target.target)).join('; ');
  const doing: readonly Finding[] =
    steps === '' ? [] : [{ rule, level: 'note', message: `${title}: ${steps}`, position, subject: title }];
  const notes = target.notes.map(
    ({ code, attachment, message }): Finding => ({
      rule: `note/${code}`,
      level: 'note',
      message: `${title}: ${message}`,
      position,
      subject: attachment === undefined ? title : `${title}/${attachment}`,
    }),
  );
  return [...doing, ...notes];
}
