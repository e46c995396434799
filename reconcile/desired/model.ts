/** The desired state after rendering and checking: what the other rooms see of a repository. */
import type { Position } from '../errors.ts';
import type { Binding, LinkState, NicModel, ObjectName } from '../vocabulary.ts';
import type { TimeWindow } from '../windows/windows.ts';

/** One NIC that a VM must have. MAC addresses are lower case with colons; `network` is always qualified. */
export interface DesiredAttachment {
  readonly name: string;
  readonly network: ObjectName;
  readonly mac?: string;
  readonly binding: Binding;
  readonly model?: NicModel;
  readonly state: LinkState;
  readonly position: Position;
}

/** All that the repository says of one VM. Attachments keep their declared order, which is the order of plugging. */
export interface DesiredTarget {
  readonly target: { readonly kind: 'VirtualMachine' } & ObjectName;
  /** At least so many PCIe root ports. */
  readonly pciePorts?: number;
  /** Its own word for a restart; the settings must allow it too. */
  readonly mayRestart?: true;
  readonly attachments: readonly DesiredAttachment[];
  readonly position: Position;
}

/** What to do with a change that a running VM can not take. */
export type RestartPolicy =
  /** Block it, and say so. */
  | 'never'
  /** Write it to the VM template, where the next restart picks it up. */
  | 'stage'
  /** Write it likewise, and restart the VMs that allow it themselves, in a window. */
  | 'allowed';

export interface Settings {
  /** VMs in change at one time. */
  readonly maxInFlight: number;
  readonly restart: RestartPolicy;
  /** There where `restart` is `allowed`: when. */
  readonly restartWindows?: readonly TimeWindow[];
}

/** Where the desired state came from. A folder is identified by a digest of the files that were read. */
export type SourceIdentity =
  | {
      readonly kind: 'git';
      /** Without user info. */
      readonly url: string;
      readonly ref: string;
      /** Full commit id. */
      readonly commit: string;
      readonly path: string;
    }
  | {
      readonly kind: 'folder';
      readonly path: string;
      /** `sha256:` and the digest of names and contents. */
      readonly digest: string;
    };

export interface DesiredState {
  readonly source: SourceIdentity;
  readonly settings: Settings;
  /** Sorted by namespace, then name. */
  readonly targets: readonly DesiredTarget[];
  /** Number of files read. */
  readonly files: number;
}
