/**
 * The `k8s.v1.cni.cncf.io/networks` annotation: how Multus, the dynamic-networks controller and the NAD client read it.
 * The three share an origin but differ in the keys they keep, in what they check and in the names that they allow.
 */
import { canonicalIp, isCidr, parseIp } from './go-ip.ts';
import { decodeGo, type GoStruct, type GoType, type TextResult } from './go-json.ts';
import { goQuote } from './go-json-syntax.ts';
import { parseMac } from './mac.ts';

export const networksAnnotation = 'k8s.v1.cni.cncf.io/networks';

/**
 * Whose reading of the annotation: `multus` when a pod starts (v4.1 and later), `dynamic-controller` when a running pod is
 * changed, `nad-client` in whatever is built on the NAD client library (KubeVirt, OVN-Kubernetes, webhooks).
 */
export const networksParsers = ['multus', 'dynamic-controller', 'nad-client'] as const;
export type NetworksParser = (typeof networksParsers)[number];

/**
 * An element as Multus names its fields; only keys that the chosen parser keeps and that are not empty. A list or object
 * that was given counts even if it is empty; `name` and `namespace` are always there.
 */
export interface NetworkSelectionElement {
  readonly name: string;
  readonly namespace: string;
  readonly interface?: string;
  readonly mac?: string;
  readonly ips?: readonly string[];
  readonly [key: string]: unknown;
}

export type ParsedNetworks =
  | { readonly ok: true; readonly elements: readonly NetworkSelectionElement[] }
  | {
      readonly ok: false;
      /** The parser's own text. */
      readonly error: string;
      /** The process that parses dies of it, instead of saying so. */
      readonly crash: boolean;
    };

/**
 * Parses a value of the annotation. An empty one is an error here; callers treat it like a missing annotation.
 * @param namespace of the pod, for elements that name none
 */
export function parseNetworks(value: string, namespace: string, parser: NetworksParser): ParsedNetworks {
  // Kubernetes stores text as UTF-8, which has no half surrogate pairs.
  const text = value.toWellFormed();
  const lists = parser === 'nad-client' ? 'not having' : 'does not have';
  if (text === '') return failed(`parsePodNetworkAnnotation: pod annotation ${lists} "network" as key`);
  const list = /[[{"]/.test(text) ? readJson(text, parser) : readShortForm(text, parser);
  if (!list.ok) return failed(list.error);
  return finish(list.elements, namespace, parser);
}

type RawElement = { readonly [key: string]: unknown } | null;
type RawList =
  | { readonly ok: true; readonly elements: readonly RawElement[] }
  | { readonly ok: false; readonly error: string };

function failed(error: string, crash = false): ParsedNetworks {
  return { ok: false, error, crash };
}

// --- JSON form

const text: GoType = { kind: 'string' };
const int: GoType = { kind: 'int' };
const ip: GoType = { kind: 'text', name: 'net.IP', parse: readIp };
const ipList: GoType = { kind: 'slice', of: ip };

/** net.IP prints canonically, whatever the input looked like. */
function readIp(value: string): TextResult {
  if (value === '') return { ok: true, value: '' };
  const canonical = canonicalIp(value);
  return canonical === undefined
    ? { ok: false, error: `invalid IP address: ${value}` }
    : { ok: true, value: canonical };
}

/** Keys in the order of the Go structs, less those that only one of the two has. */
function elementFields(goPackage: 'types' | 'v1') {
  const portMapping: GoStruct = {
    kind: 'struct',
    name: `${goPackage}.PortMapEntry`,
    fields: { hostPort: int, containerPort: int, protocol: text, hostIP: text },
  };
  const bandwidth: GoStruct = {
    kind: 'struct',
    name: `${goPackage}.BandwidthEntry`,
    fields: { ingressRate: int, ingressBurst: int, egressRate: int, egressBurst: int },
  };
  return {
    name: text,
    namespace: text,
    ips: { kind: 'slice', of: text },
    mac: text,
    'infiniband-guid': text,
    interface: text,
    interfaceRequest: text,
    portMappings: { kind: 'slice', of: { kind: 'pointer', to: portMapping } },
    bandwidth: { kind: 'pointer', to: bandwidth },
    deviceID: text,
    'cni-args': { kind: 'pointer', to: { kind: 'map' } },
    'default-route': goPackage === 'types' ? { kind: 'pointer', to: ipList } : ipList,
    'ipam-claim-reference': text,
  } as const satisfies Record<string, GoType>;
}

const { 'ipam-claim-reference': _claim, ...multusFields } = elementFields('types');
const { interfaceRequest: _legacy, deviceID: _device, ...clientFields } = elementFields('v1');

/** All keys of an element that at least one of the parsers knows. */
export const elementKeys: readonly string[] = Object.keys(elementFields('v1'));

const multusElement: GoType = { kind: 'struct', name: 'types.NetworkSelectionElement', fields: multusFields };
/** The NAD client decodes each element apart, through a local type whose name gets into the errors. */
const clientElement: GoType = {
  kind: 'custom',
  name: 'v1.NetworkSelectionElement',
  via: { kind: 'struct', name: 'v1.networkSelectionElement', fields: clientFields },
};

function readJson(value: string, parser: NetworksParser): RawList {
  const element = parser === 'multus' ? multusElement : clientElement;
  const decoded = decodeGo(value, { kind: 'slice', of: { kind: 'pointer', to: element } });
  if (!decoded.ok) {
    const prefix =
      'parsePodNetworkAnnotation: failed to parse pod Network Attachment Selection Annotation JSON format: ';
    return { ok: false, error: `${prefix}${decoded.error}` };
  }
  return { ok: true, elements: Array.isArray(decoded.value) ? decoded.value.map(asElement) : [] };
}

function asElement(value: unknown): RawElement {
  return typeof value === 'object' && value !== null ? { ...value } : null;
}

// --- short form: [namespace/]name[@interface], comma separated

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;

/** Longest name of a network interface in Linux, in bytes. */
const longestInterface = 15;

function readShortForm(value: string, parser: NetworksParser): RawList {
  const elements: RawElement[] = [];
  for (const item of value.split(',')) {
    const element = readShortItem(trimSpace(item), parser);
    if (typeof element === 'string') {
      const within = parser === 'nad-client' ? '' : 'parsePodNetworkObjectName: ';
      return { ok: false, error: `parsePodNetworkAnnotation: ${within}${element}` };
    }
    elements.push(element);
  }
  return { ok: true, elements };
}

/** The element, or what is wrong with it. Empty parts pass, as they do in the originals. */
function readShortItem(item: string, parser: NetworksParser): Exclude<RawElement, null> | string {
  const slashed = item.split('/');
  if (slashed.length > 2) return "Invalid network object (failed at '/')";
  const namespace = slashed.length === 2 ? trimSpace(slashed[0] ?? '') : '';
  const parts = (slashed.at(-1) ?? '').split('@').map(trimSpace);
  if (parts.length > 2) return "Invalid network object (failed at '@')";
  const [name = '', interfaceName = ''] = parts;
  const labels = parser === 'multus' ? [namespace, name] : [namespace, name, interfaceName];
  const bad = labels.find((label) => label !== '' && !dnsLabel.test(label));
  if (bad !== undefined) {
    return `Failed to parse: one or more items did not match comma-delimited format (must consist of lower case alphanumeric characters). Must start and end with an alphanumeric character), mismatch @ '${bad}'`;
  }
  const tooLong = new TextEncoder().encode(interfaceName).length > longestInterface;
  if (parser === 'multus' && (tooLong || /[ \t\n\v\f\r/]/.test(interfaceName))) {
    return `Failed to parse interface name: must be less than 15 chars and not contain '/' or spaces. interface name '${interfaceName}'`;
  }
  return { name, namespace, interface: interfaceName };
}

/** Go's strings.TrimSpace: Unicode white space, which unlike JavaScript's has U+0085 and has no U+FEFF. */
function trimSpace(value: string): string {
  // By index: a pattern for the end would look on from each blank in the middle, and an owner of a pod may write many.
  let start = 0;
  let end = value.length;
  while (start < end && whiteSpace.test(value.charAt(start))) start += 1;
  while (end > start && whiteSpace.test(value.charAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

/** None of it lies beyond the first plane. */
const whiteSpace = /^\p{White_Space}$/u;

// --- what both forms have in common

/** Checks and completes element by element, in the order of the originals: the first fault decides. */
function finish(elements: readonly RawElement[], namespace: string, parser: NetworksParser): ParsedNetworks {
  const finished: NetworkSelectionElement[] = [];
  for (const [index, element] of elements.entries()) {
    if (element === null) {
      return failed(
        `the parser crashes: element ${index + 1} is null (runtime error: invalid memory address or nil pointer dereference)`,
        true,
      );
    }
    const fault = parser === 'nad-client' ? undefined : elementFault(element);
    if (fault !== undefined) return failed(fault);
    finished.push(complete(element, namespace));
  }
  return { ok: true, elements: finished };
}

function elementFault(element: Exclude<RawElement, null>): string | undefined {
  const { mac, 'infiniband-guid': guid, ips } = element;
  if (isSet(mac) && parseMac(mac) === undefined) {
    return `parsePodNetworkAnnotation: failed to mac: address ${mac}: invalid MAC address`;
  }
  if (isSet(guid) && parseMac(guid) === undefined) {
    return `parsePodNetworkAnnotation: failed to validate infiniband GUID: address ${guid}: invalid MAC address`;
  }
  for (const address of Array.isArray(ips) ? ips.map(String) : []) {
    if (address.includes('/')) {
      if (!isCidr(address)) return `failed to parse CIDR ${goQuote(address)}: invalid CIDR address: ${address}`;
    } else if (parseIp(address) === undefined) {
      return `failed to parse IP address ${goQuote(address)}`;
    }
  }
  return undefined;
}

function complete(element: Exclude<RawElement, null>, namespace: string): NetworkSelectionElement {
  const kept = Object.entries(element).filter(([, value]) => value !== '');
  const complete = { name: '', namespace, ...Object.fromEntries(kept) };
  const { interfaceRequest } = element;
  return isSet(interfaceRequest) && !('interface' in complete)
    ? { ...complete, interface: interfaceRequest }
    : complete;
}

function isSet(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
