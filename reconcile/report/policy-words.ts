/** What the policy of the platform owner made of the settings of a repository. */
import type { AppliedPolicy, Tightened } from '../desired/model.ts';

/** A line for each brake that holds tighter than the repository asks for, with whose word it is. */
export function policyLines(policy: AppliedPolicy | undefined): readonly string[] {
  return (policy?.tightened ?? []).map((each) => `${tightenedWords(each)}, by the policy in ${policy?.from ?? ''}`);
}

function tightenedWords({ key, asked, holds }: Tightened): string {
  return asked === undefined ? `${key} is ${holds}` : `${key} is ${holds} in place of ${asked}`;
}
