import {
  checkPodRows,
  declares,
  domain,
  element,
  entry,
  eth0,
  type PodRow,
  podWith,
  reading,
  wants,
} from '../../test/pod-cases.ts';

const a = wants('a');

const rows: readonly PodRow[] = [
  { what: 'no such pod', wanted: declares([a]), pod: undefined, blockers: ['pod-not-found'] },
  {
    what: 'a pod in the network of its host',
    wanted: declares([a]),
    pod: podWith(undefined, { hostNetwork: true }),
    blockers: ['pod-host-network'],
  },
  {
    what: 'a primary network of OVN-Kubernetes',
    wanted: declares([a]),
    pod: podWith(undefined, { primaryUdn: true }),
    blockers: ['pod-primary-network'],
  },
  {
    what: 'a pod that is pending',
    wanted: declares([a]),
    pod: podWith(undefined, { phase: 'Pending' }),
    blockers: ['pod-not-running'],
  },
  {
    what: 'a container that does not run',
    wanted: declares([a]),
    pod: podWith(undefined, { running: false }),
    blockers: ['pod-not-running'],
  },
  {
    what: 'a pod that is being deleted',
    wanted: declares([a]),
    pod: podWith(undefined, { deleting: true }),
    blockers: ['pod-deleting'],
  },
  { what: 'a static pod', wanted: declares([a]), pod: podWith(undefined, { mirror: true }), blockers: ['pod-static'] },
  {
    what: 'no controller',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { pods: { controller: { kind: 'missing', evidence: 'no DaemonSet' } } },
    blockers: ['pod-controller'],
  },
  {
    what: 'none on its node',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { pods: { controller: { kind: 'nodes', ready: new Set(['node02']), evidence: 'x' } } },
    blockers: ['pod-controller'],
  },
  {
    what: 'one on its node',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { pods: { controller: { kind: 'nodes', ready: new Set(['node01']), evidence: 'x' } } },
    actions: ['plug a'],
  },
  {
    what: 'a thin Multus',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { pods: { thin: true } },
    blockers: ['pod-controller'],
  },
  {
    what: 'an annotation that can not be read',
    wanted: declares([a]),
    pod: podWith('[null]'),
    blockers: ['pod-annotation'],
  },
  {
    what: 'no network-status',
    wanted: declares([a]),
    pod: podWith(undefined, { status: { problem: 'no JSON' } }),
    blockers: ['pod-annotation'],
  },
  {
    what: 'an element without interface',
    wanted: declares([a]),
    pod: podWith([{ name: 'old-net' }]),
    blockers: ['pod-no-interface'],
  },
  {
    what: 'its repair',
    wanted: declares([a], { repair: true }),
    pod: podWith([{ name: 'old-net' }]),
    actions: ['repair 0=net1', 'plug a'],
  },
  {
    what: 'a repair that network-status can not tell',
    wanted: declares([a], { repair: true }),
    pod: podWith([{ name: 'old-net' }], { status: [eth0] }),
    blockers: ['pod-no-interface'],
  },
  {
    what: 'two of one network, numbered',
    wanted: declares([], { repair: true }),
    pod: podWith('old-net,old-net', {
      status: [eth0, { name: 'prod/old-net', interface: 'net2' }, { name: 'prod/old-net', interface: 'net1' }],
    }),
    actions: ['repair 0=net1+1=net2'],
  },
  {
    what: 'an element of Istio',
    wanted: declares([a]),
    pod: podWith('istio-cni', { status: [eth0] }),
    blockers: ['pod-no-interface'],
  },
  {
    what: 'an element of others that hangs',
    wanted: declares([a]),
    pod: podWith([element('b')], { status: [eth0] }),
    blockers: ['pod-unsettled'],
  },
  {
    what: 'an entry of others without element',
    wanted: declares([a]),
    pod: podWith([], { status: [eth0, entry('b')] }),
    blockers: ['pod-unsettled'],
  },
  {
    what: 'annotations that are full',
    wanted: declares([a]),
    pod: podWith(undefined, { annotationBytes: 262_100 }),
    blockers: ['pod-annotation-size'],
  },
  {
    what: 'a launcher of today',
    wanted: declares([a]),
    pod: podWith(undefined, { launcher: { vmi: 'vm', version: 'v1.5.0' } }),
    blockers: ['pod-launcher'],
  },
  {
    what: 'a launcher of today that lacks the NIC only in its domain',
    wanted: declares([a], { domain }),
    pod: podWith([element('a')], { launcher: { vmi: 'vm', version: 'v1.5.0' }, ...reading(2) }),
    blockers: ['pod-launcher'],
  },
  {
    what: 'a launcher of v1.2 without the gate',
    wanted: declares([a]),
    pod: podWith(undefined, { launcher: { vmi: 'vm', version: 'v1.2.0' } }),
    blockers: ['pod-launcher'],
  },
  {
    what: 'a launcher of v1.0',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, { launcher: { vmi: 'vm', version: 'v1.0.1' }, ...reading(2) }),
    blockers: ['pod-launcher'],
  },
  {
    what: 'an old launcher',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, { launcher: { vmi: 'vm', version: 'v0.59.2' }, ...reading(2) }),
    actions: ['plug a', 'attach a 1'],
  },
  {
    what: 'an old launcher without its domain',
    wanted: declares([a]),
    pod: podWith(undefined, { launcher: { vmi: 'vm', version: 'v0.59.2' } }),
    blockers: ['pod-launcher'],
  },
];

checkPodRows(rows);
