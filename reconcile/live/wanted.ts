/** What a desired state wants to be read of the cluster. */
import { type DesiredPods, type DesiredState, podQueryKey } from '../desired/model.ts';
import { objectKey } from '../vocabulary.ts';
import type { Wanted } from './observe.ts';
import type { PodWish } from './pods.ts';

export function wantedBy(desired: DesiredState): Wanted {
  return {
    targets: desired.targets.map(({ target }) => target),
    networks: [...desired.targets, ...(desired.pods ?? [])].flatMap(({ attachments }) =>
      attachments.map(({ network }) => network),
    ),
    pods: (desired.pods ?? []).map(podWish),
    portField: desired.targets.some(({ pciePorts }) => pciePorts !== undefined),
    everywhere: desired.settings.prune && desired.source.mark !== undefined,
  };
}

/** The pods that one declaration is about. */
export function podWish({ query, domain }: Pick<DesiredPods, 'query' | 'domain'>): PodWish {
  return { key: podQueryKey(query), ...query, ...(domain === undefined ? {} : { domain }) };
}

/** Of pods that two states name, the one with a domain has more to be read. */
export function allWanted(all: readonly Wanted[]): Wanted {
  const pods = all
    .toReversed()
    .flatMap((each) => each.pods ?? [])
    .sort((a, b) => Number('domain' in a) - Number('domain' in b));
  const targets = new Map(all.flatMap((each) => each.targets.map((target) => [objectKey(target), target])));
  return {
    targets: [...targets.values()],
    networks: all.flatMap((each) => each.networks ?? []),
    pods: [...new Map(pods.map((wish) => [wish.key, wish])).values()],
    portField: all.some(({ portField }) => portField === true),
    everywhere: all.some(({ everywhere }) => everywhere === true),
  };
}
