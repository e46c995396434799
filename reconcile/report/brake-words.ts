/** What holds a plan as a whole back: the windows for changes, and what the policy of the platform owner made of the settings. */
import type { AppliedPolicy, Tightened, WindowRule } from '../desired/model.ts';
import type { Plan } from '../plan/model.ts';
import { windowWords } from '../windows/windows.ts';

/** A line for each rule on when changes may be made, where there are any to make; then one for each brake that holds tighter than asked for. */
export function brakeLines({
  settings,
  policy,
  targets,
}: Pick<Plan, 'settings' | 'policy' | 'targets'>): readonly string[] {
  const { allowWindows = [], denyWindows = [] } = settings;
  const windows = targets.some(({ actions }) => actions.length > 0)
    ? [
        ...allowWindows.map((rule) => `changes are begun only in ${rulesWords(rule, policy)}`),
        ...denyWindows.map((rule) => `no change is begun in ${rulesWords(rule, policy)}`),
      ]
    : [];
  return [...windows, ...policyLines(policy)];
}

function rulesWords({ windows, from }: WindowRule, policy: AppliedPolicy | undefined): string {
  const whose = from === 'policy' ? `, by the policy in ${policy?.from ?? ''}` : '';
  return `${windows.length === 1 ? 'the window' : 'the windows'} ${windows.map(windowWords).join('; ')}${whose}`;
}

/** With whose word it is. */
export function policyLines(policy: AppliedPolicy | undefined): readonly string[] {
  return (policy?.tightened ?? []).map((each) => `${tightenedWords(each)}, by the policy in ${policy?.from ?? ''}`);
}

function tightenedWords({ key, asked, holds }: Tightened): string {
  return asked === undefined ? `${key} is ${holds}` : `${key} is ${holds} in place of ${asked}`;
}
