/**
 * The `k8s.v1.cni.cncf.io/networks` annotation: how Multus, the dynamic-networks controller and the NAD client read it.
 */

/** An element as Multus names its fields; only keys that the chosen parser keeps and that are not empty. */
export interface NetworkSelectionElement {
  readonly name: string;
  readonly namespace: string;
  readonly interface?: string;
  readonly mac?: string;
  readonly ips?: readonly string[];
  readonly [key: string]: unknown;
}
