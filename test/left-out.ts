/** Scenarios that a cluster can not be brought to, each with its reason; `control-plane/run.ts` holds the list against runs. */
import { type ClusterKind, clusterKind, clusterKinds } from './cluster-under-test.ts';

interface LeftOut {
  readonly reason: string;
  readonly on: readonly ClusterKind[];
}

/** By title. */
const leftOut: Readonly<Record<string, LeftOut>> = {
  'errors and cut watches slow a run down, no more': {
    reason: 'a healthy kube-apiserver refuses nothing and cuts no watch',
    on: ['kube-apiserver', 'kubevirt'],
  },
  'the field is written where the cluster has one': {
    reason: 'this KubeVirt does not have the field yet',
    on: ['kubevirt'],
  },
};

/** Why each scenario is left out on a cluster, by its title. */
export function leftOutOn(kind: ClusterKind): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(leftOut).flatMap(([title, { reason, on }]): [string, string][] =>
      on.includes(kind) ? [[title, reason]] : [],
    ),
  );
}

/**
 * Options of a scenario in the list. Its test is made by the file of the scenario, since the runner names the file of the call.
 * @throws Error where it is not there
 */
export function leavable(title: string): { readonly skip: string | false } {
  if (!clusterKinds.some((kind) => leftOutOn(kind).has(title)))
    throw new Error(`"${title}" is not in the list of what is left out`);
  return { skip: leftOutOn(clusterKind).get(title) ?? false };
}
