/** Plans of pods: the part of the plan model that the pod path and the agent path carry out. */
import type { OwnedInterface } from '../live/pod-model.ts';
import type { ObjectName } from '../vocabulary.ts';

export type { DomainTarget } from '../vocabulary.ts';

/** An attachment as its element of the networks annotation says it. */
export interface PlannedElement {
  readonly name: string;
  readonly network: ObjectName;
  /** Interface in the pod: `CNI_IFNAME`. */
  readonly interface: string;
  readonly mac?: string;
  /** IP addresses, with prefix where they were declared so. */
  readonly ips?: readonly string[];
}

/** What is needed to take an attachment out again. */
export type OwnedElement = OwnedInterface;

interface ActionBase {
  /** `pod/namespace/name/1`, counted within the pod in the order of execution: a VM may have the name of a pod. */
  readonly id: string;
  /** Ids that must be done before; within the pod the previous action is implied. */
  readonly after: readonly string[];
}

export type PodAction =
  /** Adds one element to the annotation, waits for network-status, and for no newer failure event. */
  | (ActionBase & { readonly kind: 'pod-plug'; readonly element: PlannedElement })
  /**
   * Takes elements out of the annotation and waits until network-status has lost them. `ghost`: network-status lists an
   * interface that is not there; the controller deletes it and drops the entry.
   */
  | (ActionBase & { readonly kind: 'pod-unplug'; readonly elements: readonly OwnedElement[]; readonly ghost: boolean })
  /** Writes an equal annotation in other bytes: a controller that gave up looks again. */
  | (ActionBase & {
      readonly kind: 'pod-kick';
      readonly attachments: readonly string[];
      readonly until: 'plugged' | 'gone';
    })
  /** Gives elements without an interface name theirs, from network-status. */
  | (ActionBase & {
      readonly kind: 'pod-repair';
      /** Position in the annotation, network of the element there, and the interface that it has. */
      readonly elements: readonly {
        readonly index: number;
        readonly network: ObjectName;
        readonly interface: string;
      }[];
    })
  /** Bridge and tap in the pod's network namespace, then attach-device; done when the live XML has the alias. */
  | (ActionBase & {
      readonly kind: 'domain-attach';
      readonly attachment: string;
      readonly interface: string;
      readonly model: string;
      readonly mac?: string;
      readonly state: 'up' | 'down';
      /** Index of the PCIe root port that libvirt will choose, where the live XML was read. */
      readonly port?: number;
    })
  /** detach-device-alias until the live XML has lost the alias, then tap and bridge; the pod interface is as before. */
  | (ActionBase & { readonly kind: 'domain-detach'; readonly attachment: string; readonly interface: string })
  /** Sets the link state of a NIC that the domain has. */
  | (ActionBase & {
      readonly kind: 'domain-link';
      readonly attachment: string;
      readonly interface: string;
      readonly state: 'up' | 'down';
    })
  /** Nothing to write: a change that is already on its way is followed to its end. */
  | (ActionBase & { readonly kind: 'pod-follow'; readonly attachment: string; readonly until: 'plugged' | 'gone' })
  /** Drops names from the ownership record of attachments that are gone. */
  | (ActionBase & { readonly kind: 'pod-release'; readonly attachments: readonly string[] });
