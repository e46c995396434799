/** The `k8s.v1.cni.cncf.io/network-status` annotation that Multus and the dynamic-networks controller write. */
import { decodeGo, type GoType } from './go-json.ts';

export const networkStatusAnnotation = 'k8s.v1.cni.cncf.io/network-status';

/** What is known of the device behind an interface; which of the four follows from `type`. */
interface DeviceInfo {
  readonly type?: string;
  readonly version?: string;
  readonly pci?: {
    readonly 'pci-address'?: string;
    readonly 'vhost-net'?: string;
    readonly 'rdma-device'?: string;
    readonly 'pf-pci-address'?: string;
    readonly 'representor-device'?: string;
  };
  readonly vdpa?: {
    readonly 'parent-device'?: string;
    readonly driver?: string;
    readonly path?: string;
    readonly 'pci-address'?: string;
    readonly 'pf-pci-address'?: string;
    readonly 'representor-device'?: string;
  };
  readonly 'vhost-user'?: { readonly mode?: string; readonly path?: string };
  readonly memif?: { readonly role?: string; readonly path?: string; readonly mode?: string };
}

/** One entry: an interface that a CNI plugin reported. */
export interface NetworkStatus {
  /** `namespace/nad` of an annotation element; the name in the CNI config of a cluster network, often bare. */
  readonly name: string;
  readonly interface?: string;
  /** Without prefix length. */
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly default?: boolean;
  readonly dns?: {
    readonly nameservers?: readonly string[];
    readonly domain?: string;
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  readonly 'device-info'?: DeviceInfo;
  readonly gateway?: readonly string[];
  readonly [key: string]: unknown;
}

export type ParsedStatus =
  | { readonly ok: true; readonly entries: readonly NetworkStatus[] }
  /** `error` is the text of Go's encoding/json, which KubeVirt and the dynamic controller log behind their own. */
  | { readonly ok: false; readonly error: string };

/**
 * Parses a value of the annotation by the struct of the NAD client, which all readers share. Keys that it does not know
 * are dropped, and so are empty strings; what else was given stays, even an empty list or `false`.
 */
export function parseNetworkStatus(value: string): ParsedStatus {
  const decoded = decodeGo(value, { kind: 'slice', of: statusType });
  if (!decoded.ok) return decoded;
  // null stands for no list, as it does in Go.
  return { ok: true, entries: Array.isArray(decoded.value) ? decoded.value.map(asEntry) : [] };
}

const text: GoType = { kind: 'string' };
const texts: GoType = { kind: 'slice', of: text };

const statusType: GoType = {
  kind: 'struct',
  name: 'v1.NetworkStatus',
  fields: {
    name: text,
    interface: text,
    ips: texts,
    mac: text,
    mtu: { kind: 'int' },
    default: { kind: 'bool' },
    dns: {
      kind: 'struct',
      name: 'v1.DNS',
      fields: { nameservers: texts, domain: text, search: texts, options: texts },
    },
    'device-info': pointerTo('DeviceInfo', {
      type: text,
      version: text,
      pci: pointerTo('PciDevice', {
        'pci-address': text,
        'vhost-net': text,
        'rdma-device': text,
        'pf-pci-address': text,
        'representor-device': text,
      }),
      vdpa: pointerTo('VdpaDevice', {
        'parent-device': text,
        driver: text,
        path: text,
        'pci-address': text,
        'pf-pci-address': text,
        'representor-device': text,
      }),
      'vhost-user': pointerTo('VhostDevice', { mode: text, path: text }),
      memif: pointerTo('MemifDevice', { role: text, path: text, mode: text }),
    }),
    gateway: texts,
  },
};

function pointerTo(name: string, fields: { readonly [key: string]: GoType }): GoType {
  return { kind: 'pointer', to: { kind: 'struct', name: `v1.${name}`, fields } };
}

function asEntry(value: unknown): NetworkStatus {
  const entry = typeof value === 'object' && value !== null ? value : {};
  const kept = Object.entries(entry).filter(([, field]) => field !== '');
  return { name: '', ...Object.fromEntries(kept) };
}

/**
 * Interface of the pod's default network: of the first entry marked default, such as `eth0` or `ovn-udn1`; undefined
 * where no entry is marked or the plugin named none (Calico).
 */
export function defaultInterface(entries: readonly NetworkStatus[]): string | undefined {
  return entries.find((entry) => entry.default === true)?.interface;
}

/**
 * Entries that are not marked default. That does not make them removable: with a primary user-defined network the
 * cluster's own `eth0` is among them, and so are networks that the configuration of Multus adds.
 */
export function nonDefaultEntries(entries: readonly NetworkStatus[]): readonly NetworkStatus[] {
  return entries.filter((entry) => entry.default !== true);
}

/** Key by which the dynamic controller matches an entry with an element: `namespace/nad/interface`. */
export function statusKey(entry: NetworkStatus): string {
  return `${entry.name}/${entry.interface ?? ''}`;
}

/** Keys of all that the dynamic controller looks at: every entry but the default ones. */
export function dynamicControllerKeys(entries: readonly NetworkStatus[]): readonly string[] {
  return nonDefaultEntries(entries).map(statusKey);
}

/** What is unusual in a network-status, one sentence each; entries are counted from 1. */
export function statusWarnings(entries: readonly NetworkStatus[]): readonly string[] {
  const warnings: string[] = [];
  if (entries.length > 0 && !entries.some((entry) => entry.default === true)) {
    warnings.push('No entry is marked default: the cluster network can not be told from the others.');
  }
  const seen = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const who = `Entry ${index + 1} (${statusKey(entry)})`;
    if (seen.has(statusKey(entry))) warnings.push(`${who} is there twice; the dynamic controller keeps one.`);
    seen.add(statusKey(entry));
    if (entry.default === true) continue;
    if (entry.interface === undefined) {
      warnings.push(`${who} names no interface; the dynamic controller can not match it with an element.`);
    } else if (entry.interface === 'eth0') {
      warnings.push(
        `${who} is the pod's own interface without the mark of the default: the dynamic controller tries to remove it, fails, and takes back what it added.`,
      );
    } else if (!entry.name.includes('/')) {
      warnings.push(
        `${who} has no namespace in its name; the dynamic controller can not find its network to remove it.`,
      );
    }
  }
  return warnings;
}
