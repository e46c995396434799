/** NetworkAttachmentDefinitions, and what a plug into each would meet. */
import type { KubeObject } from '../kube/cluster.ts';
import type { LiveNetwork } from './model.ts';

const resourceNameAnnotation = 'k8s.v1.cni.cncf.io/resourceName';

export function projectNetwork({ metadata }: KubeObject): LiveNetwork {
  const resourceName = metadata.annotations?.[resourceNameAnnotation];
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    ...(resourceName === undefined ? {} : { resourceName }),
  };
}
