/** The policy of the platform owner, from its ConfigMap. */
import { type Policy, parsePolicy } from '../desired/policy.ts';
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { configMaps } from '../kube/resources.ts';
import { fields } from '../systems/json-shape.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';

/** Key of the ConfigMap. */
const policyKey = 'policy.yaml';

/**
 * Reads the policy; without one that is understood in full nothing may be done.
 * @throws PatchpanelError `policy/missing`, `cluster/*`; and what {@link parsePolicy} throws
 */
export async function readPolicy(cluster: Cluster, place: ObjectName): Promise<Policy> {
  const found = await cluster.get(configMaps, place.namespace, place.name);
  const name = `ConfigMap ${objectKey(place)}`;
  if (found === undefined) throw new PatchpanelError('policy/missing', `there is no ${name}`);
  const content = fields(found.data)[policyKey];
  if (typeof content !== 'string') {
    const keys = Object.keys(fields(found.data)).sort().join(', ');
    const has = keys === '' ? 'it is empty' : `it has ${keys}`;
    throw new PatchpanelError('policy/missing', `${name} has no key ${policyKey}: ${has}`);
  }
  return parsePolicy(`${name}, ${policyKey}`, content);
}
