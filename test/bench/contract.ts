/** What the benchmark and its cluster, a process of its own, say to each other. */

/** The first message of the cluster, once it holds the fleet. */
export interface ClusterReady {
  readonly server: string;
  readonly ca: string;
  readonly token: string;
  /** Such as `sandbox` or `kube-apiserver v1.36.2`. */
  readonly name: string;
  /** Bytes of JSON of one VM, its VMI and its launcher pod. */
  readonly bytesPerVm: number;
}

/** The answer to `count`: requests since the last one. */
export interface RequestCount {
  readonly requests: number;
  readonly writes: number;
}

export const clusterNames = ['sandbox', 'kube-apiserver'] as const;
export type ClusterName = (typeof clusterNames)[number];
