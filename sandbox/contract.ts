/** What a started sandbox offers to the command line and to tests. */
import type { ApiServer, AuditEntry } from './api/contract.ts';

export interface SandboxOptions {
  /** 0: any free port. */
  readonly port?: number;
  /** Running VMs to start with, already settled. */
  readonly vms?: number;
  /** Folder of manifests (VMs, NADs, ...) to create at the start. */
  readonly load?: string;
  /** False: no dynamic-networks controller, so changes wait for a migration. */
  readonly dynamicNetworks?: boolean;
  readonly faults?: readonly Fault[];
  /** Folder of real CNI plugins, which then serve the pods that are no launchers; needs root on Linux. */
  readonly cniPlugins?: string;
  /** Divides every delay of the actors; 1 is true to a real cluster (a plug takes about a second). */
  readonly speed?: number;
  readonly onRequest?: (entry: AuditEntry) => void;
}

/** `--fault NAME=VALUE`; the value names what it strikes: a network name of a VM, a NAD, or `*`. */
export interface Fault {
  readonly name: FaultName;
  readonly value: string;
}

export const faultNames = [
  /** The guest never takes the NIC: it stays `multus-status`. */
  'no-plug',
  /** The guest never releases the NIC. */
  'no-unplug',
  /** CNI ADD fails for this NAD, or for one interface on it: `storage-net@net1`. */
  'cni-add-fails',
  /** CNI DEL fails, likewise. */
  'cni-del-fails',
  /** Migrations never finish. */
  'migration-hangs',
  /** Migrations fail. */
  'migration-fails',
  /** pods/exec answers 403. */
  'exec-forbidden',
  /** The API server answers this share of requests with 429 or 503: `0.1`. */
  'api-errors',
  /** Watches are cut after so many milliseconds. */
  'watch-cut',
] as const;
export type FaultName = (typeof faultNames)[number];

export interface Sandbox {
  readonly api: ApiServer;
  /** Admin kubeconfig, YAML. */
  readonly kubeconfig: string;
  /** One line an object: what the sandbox holds. */
  readonly contents: readonly string[];
  stop(): Promise<void>;
}
