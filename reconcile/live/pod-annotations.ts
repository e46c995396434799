/** The two Multus annotations of a pod, or why they can't be read. */
import { items } from '../systems/json-shape.ts';
import type { NetworkSelectionElement } from '../systems/multus-networks.ts';
import type { NetworkStatus } from '../systems/multus-status.ts';
import type { LivePod } from './model.ts';

const networksAnnotation = 'k8s.v1.cni.cncf.io/networks';
const networkStatusAnnotation = 'k8s.v1.cni.cncf.io/network-status';

type Annotations = Readonly<Record<string, string>>;

/** KubeVirt writes `""` when the last secondary network is unplugged. */
export function networksOf(annotations: Annotations, _namespace: string): LivePod['networks'] {
  return read<NetworkSelectionElement>(annotations[networksAnnotation]);
}

export function networkStatusOf(annotations: Annotations): LivePod['status'] {
  return read<NetworkStatus>(annotations[networkStatusAnnotation]);
}

function read<T>(value: string | undefined): readonly T[] | { readonly problem: string } {
  if (value === undefined || value.trim() === '') return [];
  try {
    return items(JSON.parse(value)) as readonly T[];
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
