/**
 * What is legal in a `k8s.v1.cni.cncf.io/networks` annotation and goes wrong all the same, or is read differently by
 * Multus, the dynamic-networks controller and the NAD client.
 */

import { parseIp } from './go-ip.ts';
import { foldKey } from './go-json.ts';
import { scanJson } from './go-json-syntax.ts';
import { parseMac } from './mac.ts';
import {
  elementKeys,
  type NetworkSelectionElement,
  type NetworksParser,
  networksParsers,
  type ParsedNetworks,
  parseNetworks,
} from './multus-networks.ts';

/** A stable slug and a sentence; elements are counted from 1. */
export interface NetworksWarning {
  readonly code:
    | 'read-differently'
    | 'no-interface'
    | 'duplicate-interface'
    | 'bad-interface'
    | 'bad-name'
    | 'bad-address'
    | 'default-routes'
    | 'two-ip-sources'
    | 'suspicious-key';
  readonly message: string;
}

/** Warnings on a value of the annotation; none on one that every parser refuses, since its error says it all. */
export function networksWarnings(value: string, namespace: string, parser: NetworksParser): readonly NetworksWarning[] {
  const readings = networksParsers.map((each) => ({ parser: each, result: parseNetworks(value, namespace, each) }));
  if (readings.every(({ result }) => !result.ok)) return [];
  const warnings = [...differences(readings), ...keyWarnings(value)];
  const chosen = readings.find((reading) => reading.parser === parser);
  if (chosen?.result.ok === true) {
    const { elements } = chosen.result;
    for (const [index, element] of elements.entries()) warnings.push(...elementWarnings(element, index));
    warnings.push(...duplicateInterfaces(elements), ...defaultRoutes(elements));
  }
  return warnings;
}

// --- between the parsers

interface Reading {
  readonly parser: NetworksParser;
  readonly result: ParsedNetworks;
}

function differences(readings: readonly Reading[]): NetworksWarning[] {
  const accepting = readings.filter(({ result }) => result.ok).map(({ parser }) => parser);
  const refusing = readings.flatMap(({ parser, result }) => {
    return result.ok ? [] : [`${parser} ${result.crash ? 'crashes on it' : `refuses it: ${result.error}`}`];
  });
  if (refusing.length > 0) {
    const message = `Read differently: ${accepting.join(' and ')} ${accepting.length > 1 ? 'accept' : 'accepts'} this value; ${refusing.join('; ')}.`;
    return [{ code: 'read-differently', message }];
  }
  const lists = readings.map(({ result }) => (result.ok ? result.elements : []));
  return (lists[0] ?? []).flatMap((_, index) =>
    keyDifferences(
      lists.map((list) => list[index] ?? {}),
      index,
    ),
  );
}

/** Keys of one element that some parsers keep and others drop, or fill otherwise. */
function keyDifferences(elements: readonly { readonly [key: string]: unknown }[], index: number): NetworksWarning[] {
  const keys = [...new Set(elements.flatMap((element) => Object.keys(element)))];
  return keys.flatMap((key): NetworksWarning[] => {
    const values = elements.map((element) => (element[key] === undefined ? undefined : JSON.stringify(element[key])));
    if (values.every((value) => value === values[0])) return [];
    const readers = networksParsers.filter((_, at) => values[at] !== undefined);
    const message = `Read differently: element ${index + 1}: only ${readers.join(' and ')} ${readers.length > 1 ? 'read' : 'reads'} a value for "${key}".`;
    return [{ code: 'read-differently', message }];
  });
}

// --- keys as they were written

/** Keys of Kubernetes style, with a period, are free for anyone; all others are reserved. */
function keyWarnings(value: string): NetworksWarning[] {
  const scanned = scanJson(value);
  if (!scanned.ok || scanned.node.kind !== 'array') return [];
  return scanned.node.items.flatMap((item, index) => {
    if (item.kind !== 'object') return [];
    const seen = new Set<string>();
    return item.entries.flatMap(([key]): NetworksWarning[] => {
      const known = elementKeys.find((each) => foldKey(each) === foldKey(key));
      const name = known ?? key;
      const again = seen.has(name);
      seen.add(name);
      const fault = keyFault(key, known, again);
      return fault === undefined ? [] : [{ code: 'suspicious-key', message: `Element ${index + 1}: ${fault}` }];
    });
  });
}

function keyFault(key: string, known: string | undefined, again: boolean): string | undefined {
  if (again) return `the key "${key}" is there more than once; the last one wins.`;
  if (known !== undefined && known !== key) return `the key "${key}" is taken for "${known}"; write it so.`;
  if (known === undefined && !key.includes('.')) return `the key "${key}" means nothing to any parser and is ignored.`;
  return undefined;
}

// --- within an element

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const reservedInterfaces = ['lo', 'eth0'];

function elementWarnings(element: NetworkSelectionElement, index: number): NetworksWarning[] {
  const who = `Element ${index + 1} (${element.namespace}/${element.name})`;
  const warnings: NetworksWarning[] = [];
  function warn(code: NetworksWarning['code'], text: string): void {
    warnings.push({ code, message: `${who} ${text}` });
  }
  if (element.name === '') warn('bad-name', 'names no network; no NetworkAttachmentDefinition will be found.');
  else if (element.name.includes('/')) {
    warn('bad-name', 'has a slash in its name, which is not split in JSON; use the key "namespace".');
  } else if (!dnsLabel.test(element.name)) {
    warn('bad-name', 'has a name that is not a DNS label, which the short form and the standard require.');
  }
  if (element.namespace !== '' && !dnsLabel.test(element.namespace)) {
    warn('bad-name', 'has a namespace that is not a DNS label; no such namespace can exist.');
  }
  if (element.interface === undefined) {
    warn(
      'no-interface',
      'has no interface: Multus makes up a name when the pod starts, but the dynamic controller can never match it with network-status, and every change of the running pod fails.',
    );
  } else {
    const fault = interfaceFault(element.interface);
    if (fault !== undefined) warn('bad-interface', `asks for the interface "${element.interface}", which ${fault}.`);
  }
  for (const text of addressFaults(element)) warn('bad-address', text);
  if ((element.ips?.length ?? 0) > 0 && element['ipam-claim-reference'] !== undefined) {
    warn(
      'two-ip-sources',
      'has both ips and ipam-claim-reference, which the standard forbids and the NAD client up to v1.7.6, and with it the dynamic controller, refuses.',
    );
  }
  return warnings;
}

/** Why no CNI plugin will be called with such an interface name. */
function interfaceFault(name: string): string | undefined {
  if (new TextEncoder().encode(name).length > 15) return 'is longer than 15 bytes';
  if (name === '.' || name === '..') return 'Linux reserves';
  if (/[/:\p{White_Space}]/u.test(name)) return 'holds a slash, a colon or white space';
  return reservedInterfaces.includes(name) ? 'the pod already has' : undefined;
}

function addressFaults(element: NetworkSelectionElement): string[] {
  const faults: string[] = [];
  if (element.mac !== undefined) {
    const bytes = parseMac(element.mac);
    if (bytes === undefined) faults.push(`has the MAC "${element.mac}", which is none; Multus refuses it.`);
    else if (bytes.length !== 6) faults.push(`has a MAC of ${bytes.length} bytes; Ethernet has 6.`);
    else if (((bytes[0] ?? 0) & 1) === 1) faults.push(`has the MAC "${element.mac}", which is a multicast address.`);
    else if (bytes.every((byte) => byte === 0)) faults.push('has a MAC of zeros.');
  }
  const guid = element['infiniband-guid'];
  if (typeof guid === 'string' && parseMac(guid)?.length !== 8) {
    faults.push(`has the InfiniBand GUID "${guid}", which is not 8 bytes long.`);
  }
  return faults;
}

// --- over all elements

function duplicateInterfaces(elements: readonly NetworkSelectionElement[]): NetworksWarning[] {
  const first = new Map<string, number>();
  return elements.flatMap((element, index): NetworksWarning[] => {
    if (element.interface === undefined) return [];
    const earlier = first.get(element.interface);
    if (earlier === undefined) {
      first.set(element.interface, index);
      return [];
    }
    const message = `Elements ${earlier + 1} and ${index + 1} both ask for the interface "${element.interface}"; the second fails.`;
    return [{ code: 'duplicate-interface', message }];
  });
}

function defaultRoutes(elements: readonly NetworkSelectionElement[]): NetworksWarning[] {
  const warnings: NetworksWarning[] = [];
  const routes = elements.map((element) => element['default-route']).filter(Array.isArray);
  if (routes.length > 1) {
    const message = 'More than one element has a default-route; the standard allows one.';
    warnings.push({ code: 'default-routes', message });
  }
  const gateways = routes.flat().map((route) => parseIp(String(route)));
  for (const [family, length] of [['IPv4', 4] as const, ['IPv6', 16] as const]) {
    if (gateways.filter((gateway) => gateway?.length === length).length <= 1) continue;
    const message = `More than one ${family} default-route: Multus refuses to start the pod (multus does not support ECMP for default-route).`;
    warnings.push({ code: 'default-routes', message });
  }
  return warnings;
}
