/** The two Multus annotations of a pod, or why they can't be read. */
import { networksAnnotation, parseNetworks } from '../systems/multus-networks.ts';
import { networkStatusAnnotation, parseNetworkStatus } from '../systems/multus-status.ts';
import type { LivePod } from './model.ts';

type Annotations = Readonly<Record<string, string>>;

/**
 * As the dynamic-networks controller reads it, since it is who acts on a running pod. KubeVirt writes `""` when the last
 * secondary network is unplugged: that is no element, not a fault.
 */
export function networksOf(annotations: Annotations, namespace: string): LivePod['networks'] {
  const value = annotations[networksAnnotation] ?? '';
  if (value.trim() === '') return [];
  const parsed = parseNetworks(value, namespace, 'dynamic-controller');
  return parsed.ok ? parsed.elements : { problem: parsed.error };
}

export function networkStatusOf(annotations: Annotations): LivePod['status'] {
  const value = annotations[networkStatusAnnotation] ?? '';
  if (value.trim() === '') return [];
  const parsed = parseNetworkStatus(value);
  return parsed.ok ? parsed.entries : { problem: parsed.error };
}
