/** What the systems hand over as text: annotations, XML, the output of commands; and small values that people write. */
import { readFileSync } from 'node:fs';
import { readHeld } from '../../reconcile/live/held.ts';
import { readOwnedInterfaces } from '../../reconcile/live/pods.ts';
import { readOwned } from '../../reconcile/live/project.ts';
import { readProtection } from '../../reconcile/live/protection.ts';
import { checkCniConfig } from '../../reconcile/systems/cni-config.ts';
import { parseLinks } from '../../reconcile/systems/ip-links.ts';
import { parseDomain } from '../../reconcile/systems/libvirt-domain.ts';
import { countPorts, nextPort } from '../../reconcile/systems/libvirt-ports.ts';
import { editNetworks, readElements } from '../../reconcile/systems/multus-edit.ts';
import { networksParsers, parseNetworks } from '../../reconcile/systems/multus-networks.ts';
import {
  defaultInterface,
  dynamicControllerKeys,
  nonDefaultEntries,
  parseNetworkStatus,
  statusWarnings,
} from '../../reconcile/systems/multus-status.ts';
import { networksWarnings } from '../../reconcile/systems/multus-warnings.ts';
import { parseQuantity } from '../../reconcile/systems/quantity.ts';
import {
  durationFault,
  isOpen,
  nextOpening,
  startFault,
  timeZoneFault,
  windowWords,
} from '../../reconcile/windows/windows.ts';
import { Refused, type Target } from './target.ts';

const added = { namespace: 'prod', name: 'blue-net', interface: 'net7', mac: '02:00:00:00:0a:07' };

function readNetworks(value: string): unknown {
  const read = networksParsers.map((parser) => parseNetworks(value, 'prod', parser));
  for (const parser of networksParsers) networksWarnings(value, 'prod', parser);
  const edits = [
    editNetworks(value, 'prod', { kind: 'add', element: added }),
    editNetworks(value, 'prod', {
      kind: 'remove',
      elements: [{ namespace: 'prod', name: 'red-net', interface: 'net1' }],
    }),
    editNetworks(value, 'prod', { kind: 'kick' }),
  ];
  const [first] = edits;
  if (first?.ok === true && first.value !== undefined) mustHold(first.value);
  return read.every(({ ok }) => !ok) ? new Refused('unreadable') : [read, edits];
}

/** Whatever the annotation was: what is written back is read with the new element in it. */
function mustHold(value: string): void {
  const after = readElements(value, 'prod');
  if (!after.ok || !after.elements.some((element) => element.interface === added.interface)) {
    throw new Error('an edited annotation lost the element that was added');
  }
}

function readStatus(value: string): unknown {
  const parsed = parseNetworkStatus(value);
  if (!parsed.ok) return new Refused('unreadable');
  const { entries } = parsed;
  return [
    entries,
    defaultInterface(entries),
    nonDefaultEntries(entries),
    dynamicControllerKeys(entries),
    statusWarnings(entries),
  ];
}

function readXml(xml: string): unknown {
  const domain = parseDomain(xml);
  return [
    domain,
    countPorts(domain),
    countPorts(domain, 'conventional'),
    nextPort(domain),
    nextPort(domain, 'conventional'),
  ];
}

const moment = new Date('2026-11-24T12:00:00Z');

function readWindow(line: string): unknown {
  const [start = '', duration = '', timeZone = ''] = line.split('|');
  const faults = [startFault(start), durationFault(duration), timeZoneFault(timeZone)];
  if (faults.some((fault) => fault !== undefined)) return new Refused('not valid');
  const windows = [{ start, duration, timeZone }];
  return [isOpen(windows, moment), nextOpening(windows, moment), windowWords({ start, duration, timeZone })];
}

const fixtures = new URL('../../reconcile/systems/fixtures/', import.meta.url);

function fixture(name: string): string {
  return readFileSync(new URL(name, fixtures), 'utf8');
}

const status = [
  { name: 'k8s-pod-network', interface: 'eth0', ips: ['10.0.0.7'], mac: '02:00:00:00:00:01', default: true, dns: {} },
  { name: 'prod/red-net', interface: 'net1', mac: '02:00:00:00:00:02', dns: {}, 'device-info': { type: 'pci' } },
];

const links = [
  {},
  { ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], mtu: 65536, address: '00:00:00:00:00:00', addr_info: [] },
  {
    ifname: 'net1',
    link: 'eth0',
    flags: ['UP'],
    mtu: 1500,
    master: 'k6t-1',
    ifalias: 'x',
    address: '02:00:00:00:00:01',
    linkinfo: { info_kind: 'macvlan', info_data: { mode: 'passthru' } },
    addr_info: [{ local: '10.0.0.7', prefixlen: 24 }],
  },
];

export const textTargets: readonly Target[] = [
  {
    name: 'networks-annotation',
    kind: 'text',
    samples: [
      'red-net, other/blue-net@net2,green-net@eth9',
      '[{"name":"red-net","namespace":"prod","interface":"net1","mac":"02:00:00:00:00:02"},{"name":"x","ips":["10.0.0.2/24","::1"]}]',
      '[{"name":"red-net","cni-args":{"a":{"b":[1,2]}},"portMappings":[{"hostPort":1,"containerPort":2,"protocol":"tcp"}],"default-route":["10.0.0.1"]}]',
    ],
    pieces: [
      '[',
      '{',
      '}',
      ']',
      '"',
      '@',
      '/',
      ',',
      '"name":"a"',
      '"interface":null',
      '"NAME":"b"',
      '"ips":{}',
      '"mac":1',
      '\\ud800',
      'red-net',
    ],
    run: readNetworks,
  },
  {
    name: 'network-status',
    kind: 'json',
    samples: [JSON.stringify(status), JSON.stringify(status, undefined, 4)],
    pieces: ['default', 'interface', 'device-info', 'ips', 'prod/red-net'],
    run: readStatus,
  },
  {
    name: 'domain-xml',
    kind: 'text',
    samples: [
      'domain-bridge.xml',
      'domain-hostdev.xml',
      'domain-kubevirt.xml',
      'domain-multifunction.xml',
      'domain-switch-full.xml',
    ].map(fixture),
    pieces: [
      '<!DOCTYPE a [<!ENTITY b "c">]>',
      '<!ENTITY x SYSTEM "file:///etc/passwd">',
      '&b;',
      '&#0;',
      '&#x110000;',
      '&amp;',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '<?xml version="1.1"?>',
      '<?a ?>',
      '<devices>',
      '</devices>',
      '<a>',
      '</a>',
      '<interface type="bridge">',
      "bus='0xff'",
      "index='-1'",
      "index='4294967296'",
      "__proto__='1'",
      '<__proto__/>',
      '<constructor/>',
      "xmlns='urn:x'",
      '<a:b/>',
      'pcie-root-port',
      'pci-bridge',
    ],
    run: readXml,
  },
  {
    name: 'ip-output',
    kind: 'json',
    samples: [JSON.stringify(links)],
    pieces: ['ifname', 'linkinfo', 'addr_info', 'UP'],
    run: (output) => parseLinks(output) ?? new Refused('unreadable'),
  },
  {
    name: 'cni-config',
    kind: 'json',
    samples: [
      '{"cniVersion":"0.3.1","name":"red-net","type":"bridge","bridge":"br0","ipam":{"type":"static","addresses":[{"address":"10.0.0.2/24"}]}}',
      '{"cniVersion":"1.0.0","name":"blue-net","plugins":[{"type":"macvlan","mode":"bridge","master":"eth1","ipam":{}},{"type":"tuning"}]}',
    ],
    pieces: ['type', 'plugins', 'name', 'ipam', 'cniVersion', '"Type":"macvlan"', 'macvlan', '\u2028'],
    run: (config) => {
      const check = checkCniConfig(config, { namespace: 'prod', name: 'red-net' });
      return check.ok ? check : new Refused('unfit');
    },
  },
  {
    name: 'annotations-of-ours',
    kind: 'json',
    samples: [
      '["red","blue"]',
      '{"input":"sha256:1","reason":"it failed","at":"2026-11-24T12:00:00Z"}',
      '[{"name":"red","network":{"namespace":"prod","name":"red-net"},"interface":"net1","domain":"edge"}]',
    ],
    pieces: ['name', 'network', 'interface', 'input', 'reason'],
    run: (value) => [readOwned(value), readHeld(value), readOwnedInterfaces(value), readProtection(value)],
  },
  {
    name: 'window',
    kind: 'text',
    samples: [
      '0 2 * * 6|2h|Europe/Zurich',
      '*/5 8-18 1,15 JAN-MAR MON-FRI|1h30m|UTC',
      '59 23 31 12 7|90m|America/New_York',
    ],
    pieces: [
      '*',
      '/',
      ',',
      '-',
      '0',
      '99',
      'L',
      'W',
      '#',
      '?',
      '@daily',
      '1-5/0',
      '*/0',
      'FEB',
      '30 2',
      '7d',
      '168h',
      '|',
      '+01:00',
      'Etc/GMT+14',
    ],
    run: readWindow,
  },
  {
    name: 'quantity',
    kind: 'text',
    samples: ['2Gi', '500m', '1e3', '-0.5Ti', '+12', '.5k'],
    pieces: ['Ki', 'E', 'e', '.', '+', '-', '1e308'],
    run: (value) => parseQuantity(value) ?? new Refused('no quantity'),
  },
];
