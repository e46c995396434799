/** The option that names the policy of the platform owner, which no repository may loosen. */
import type { Command } from 'commander';
import type { Policy } from '../reconcile/desired/policy.ts';
import type { Cluster } from '../reconcile/kube/cluster.ts';
import { readPolicy } from '../reconcile/live/policy.ts';
import type { LoadUnderPolicy } from '../reconcile/run.ts';
import type { ObjectName } from '../reconcile/vocabulary.ts';
import { type ClusterAccessFlags, openCluster } from './cluster-options.ts';
import { configMapPlace } from './run-options.ts';
import { loadOptions, type SourceFlags } from './source-options.ts';

export interface PolicyFlags {
  readonly policyConfigmap?: string;
}

export function addPolicy(command: Command): Command {
  return command.option(
    '--policy-configmap <namespace/name>',
    'ConfigMap with the policy of the platform owner, which the Settings may only tighten; default PATCHPANEL_POLICY',
  );
}

/** The options of a load, with the policy that is named; it is read before anything is rendered. */
export async function optionsUnderPolicy(
  flags: PolicyFlags & SourceFlags & ClusterAccessFlags,
): Promise<LoadUnderPolicy> {
  const options = loadOptions(flags);
  if (policyPlace(flags) === undefined) return options;
  const cluster = await openCluster(flags);
  try {
    const policy = await policyUnder(flags, cluster);
    return policy === undefined ? options : { ...options, policy };
  } finally {
    await cluster.close();
  }
}

/** The policy that is named; undefined where none is. @throws PatchpanelError `cli/usage`, `policy/missing`, `cluster/*` */
export async function policyUnder(flags: PolicyFlags, cluster: Cluster): Promise<Policy | undefined> {
  const place = policyPlace(flags);
  return place === undefined ? undefined : await readPolicy(cluster, place);
}

function policyPlace({ policyConfigmap }: PolicyFlags): ObjectName | undefined {
  return configMapPlace('--policy-configmap', policyConfigmap, 'PATCHPANEL_POLICY');
}
