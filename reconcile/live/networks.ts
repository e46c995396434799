/** NetworkAttachmentDefinitions, and what a plug into each would meet. */
import type { KubeObject } from '../kube/cluster.ts';
import { checkCniConfig } from '../systems/cni-config.ts';
import { fields, items } from '../systems/json-shape.ts';
import type { LiveNetwork } from './model.ts';

/** Names a device-plugin resource: a NIC in such a network needs a device that only a new pod is given. */
const resourceNameAnnotation = 'k8s.v1.cni.cncf.io/resourceName';

function isGuestless(type: string, config: unknown): boolean {
  if (type === 'ipvlan') return true;
  if (type !== 'macvlan' || typeof config !== 'string') return false;
  const parsed = fields(JSON.parse(config));
  return fields(items(parsed.plugins)[0] ?? parsed).mode !== 'passthru';
}

export function projectNetwork({ metadata, spec }: KubeObject): LiveNetwork {
  const name = { namespace: metadata.namespace ?? '', name: metadata.name };
  const { config } = fields(spec);
  const check = checkCniConfig(typeof config === 'string' ? config : undefined, name);
  const resourceName = metadata.annotations?.[resourceNameAnnotation];
  return {
    ...name,
    uid: metadata.uid ?? '',
    ...(metadata.generation === undefined ? {} : { generation: metadata.generation }),
    ...(check.ok ? { pluginType: check.type } : { problem: `its config ${check.problem}` }),
    ...(resourceName === undefined ? {} : { resourceName }),
    ...(check.ok && isGuestless(check.type, config) ? { guestless: true } : {}),
  };
}
