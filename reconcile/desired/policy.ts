/** The policy of the platform owner: ceilings that no repository lifts. It stands in a ConfigMap beside patchpanel. */
import { PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { checkPolicy } from './check-document.ts';
import type { Settings } from './model.ts';
import type { RepositoryRules } from './repositories.ts';
import { brakesOf } from './settings.ts';
import { parseYaml, SourceText } from './yaml-documents.ts';

export interface Policy {
  /** Where it was read: `ConfigMap infra/patchpanel-policy, policy.yaml`, or a file. */
  readonly from: string;
  /** What it says nothing of is missing. */
  readonly ceilings: Partial<Settings>;
  /** The only repositories that may declare anything; all may where it is missing. */
  readonly repositories?: RepositoryRules;
}

/** The part of a policy that a load looks at. */
export function repositoriesOf(policy: Policy | undefined): { readonly repositories?: RepositoryRules } {
  return policy?.repositories === undefined ? {} : { repositories: policy.repositories };
}

/**
 * @param from what a fault names as the file
 * @throws PatchpanelError or PatchpanelErrors `policy/missing`, `yaml/*`, `schema/*`: all faults, with line and column
 */
export function parsePolicy(from: string, content: string): Policy {
  const errors: PatchpanelError[] = [];
  const documents = [...parseYaml(new SourceText(from, content), errors)];
  const checked = documents.map((document) => checkPolicy(document, errors));
  const [first, ...others] = errors;
  if (first !== undefined) throw others.length === 0 ? first : new PatchpanelErrors(errors);
  const [policy, ...more] = checked;
  if (policy === undefined || more.length > 0) {
    const found = policy === undefined ? 'is empty' : `has ${checked.length} documents`;
    throw new PatchpanelError('policy/missing', `${from} ${found} where one Policy object is expected`);
  }
  const { overridableWindows = false, repositories, ...spec } = policy.spec;
  return {
    from,
    ceilings: brakesOf(spec, { from: 'policy', overridable: overridableWindows }),
    ...(repositories === undefined ? {} : { repositories: { from, rules: repositories } }),
  };
}
