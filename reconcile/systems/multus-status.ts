/** The `k8s.v1.cni.cncf.io/network-status` annotation that Multus and the dynamic-networks controller write. */

export interface NetworkStatus {
  readonly name: string;
  readonly interface?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly default?: boolean;
  readonly [key: string]: unknown;
}
