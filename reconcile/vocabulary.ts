/** The words that every room shares; see ARCHITECTURE.md. Plain readonly data, no behaviour. */

/** A JSON value, as it crosses the API or stands in a plan. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Where a NIC can be seen, from the declaration inwards. `guest` is informational: it needs the guest agent. */
export const layers = ['vm', 'vmi', 'pod', 'multus', 'domain', 'guest'] as const;
export type Layer = (typeof layers)[number];

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** How an attachment is bound to the guest; patchpanel declares only these two. */
export type Binding = 'bridge' | 'sriov';

/** Link state as declared: KubeVirt's `absent` is a transition that patchpanel derives, never declared. */
export type LinkState = 'up' | 'down';

/** A libvirt NIC model that KubeVirt admits. */
export const nicModels = ['virtio', 'e1000', 'e1000e', 'igb', 'ne2k_pci', 'pcnet', 'rtl8139'] as const;
export type NicModel = (typeof nicModels)[number];

/** A domain that libvirt runs inside a container of a pod. */
export interface DomainTarget {
  readonly name: string;
  readonly container: string;
  /** Connection URI of virsh, such as `qemu:///system`. */
  readonly uri: string;
}

/** Key of an object in maps and messages: `namespace/name`. */
export function objectKey(object: ObjectName): string {
  return `${object.namespace}/${object.name}`;
}

/** Order of texts by code units, so that it depends on no locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
