import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkPodRows,
  declares,
  domain,
  element,
  entry,
  eth0,
  event,
  mac,
  owns,
  type PodRow,
  podPlan,
  podsPlan,
  podWith,
  reading,
  wants,
} from '../../test/pod-cases.ts';
import { network } from '../../test/vm-builder.ts';
import type { LiveTargetPod } from '../live/pod-model.ts';
import { isPodPlan } from './model.ts';

const [a, b, c] = [wants('a'), wants('b'), wants('c')];
const none = declares([]);

const rows: readonly PodRow[] = [
  {
    what: 'one add a write, in declared order',
    wanted: declares([b, a]),
    pod: podWith(undefined),
    actions: ['plug b', 'plug a'],
  },
  { what: 'as declared', wanted: declares([a]), pod: podWith([element('a')], { owned: [owns('a')] }) },
  { what: 'as declared, by another hand', wanted: declares([a]), pod: podWith([element('a')]) },
  {
    what: 'removes before adds, in one write',
    wanted: declares([c]),
    pod: podWith([element('a'), element('b')], { owned: [owns('a'), owns('b')] }),
    actions: ['unplug a+b', 'release a+b', 'plug c'],
  },
  {
    what: 'another network is out, wait, in',
    wanted: declares([wants('a', { network: { namespace: 'prod', name: 'b-net' } })]),
    pod: podWith([element('a')], { owned: [owns('a')] }),
    actions: ['unplug a', 'plug a'],
  },
  {
    what: 'so is another MAC',
    wanted: declares([wants('a', { mac })]),
    pod: podWith([element('a')], { owned: [owns('a')] }),
    actions: ['unplug a', 'plug a'],
  },
  {
    what: 'a MAC that is spelt otherwise is the same',
    wanted: declares([wants('a', { mac: '02:00:00:00:00:0a' })]),
    pod: podWith([element('a', { mac: '02-00-00-00-00-0A' })], { owned: [owns('a')] }),
  },
  {
    what: 'and addresses',
    wanted: declares([wants('a', { ips: ['192.0.2.1/24'] })]),
    pod: podWith([element('a', { ips: ['192.0.2.2/24'] })], { owned: [owns('a')] }),
    actions: ['unplug a', 'plug a'],
  },
  {
    what: 'a ghost goes and comes anew',
    wanted: declares([a, b]),
    pod: podWith([element('a'), element('b')], {
      owned: [owns('a'), owns('b')],
      events: [
        event('AddedInterface', 'a'),
        event('FailedAddingInterface', 'b'),
        event('RemovedInterface', 'a'),
        event('AddedInterface', 'b'),
      ],
    }),
    actions: ['unplug a ghost', 'plug a'],
  },
  {
    what: 'reported gone without any failure: the later report was dropped',
    wanted: declares([a]),
    pod: podWith([element('a')], {
      owned: [owns('a')],
      events: [event('FailedAddingInterface', 'a'), event('AddedInterface', 'a'), event('RemovedInterface', 'a')],
    }),
  },
  {
    what: 'what others wrote and the controller gave up',
    wanted: declares([a]),
    pod: podWith([element('a')], { status: [eth0] }),
    blockers: ['pod-unsettled'],
  },
  {
    what: 'what others wrote just now',
    wanted: declares([a]),
    pod: podWith([element('a')], { status: [eth0], settling: true }),
    actions: ['follow a plugged'],
  },
  {
    what: 'one that the controller gave up is asked for again',
    wanted: declares([a]),
    pod: podWith([element('a')], {
      owned: [owns('a')],
      status: [eth0],
      events: [event('FailedAddingInterface', 'a'), event('RemovedInterface', 'a')],
      settling: true,
    }),
    actions: ['kick a plugged'],
  },
  {
    what: 'without a report, long after',
    wanted: declares([a]),
    pod: podWith([element('a')], { owned: [owns('a')], status: [eth0] }),
    actions: ['kick a plugged'],
  },
  {
    what: 'what was just written is followed',
    wanted: declares([a, b]),
    pod: podWith([element('a')], { owned: [owns('a')], status: [eth0], settling: true }),
    actions: ['follow a plugged', 'plug b'],
  },
  {
    what: 'two that hang go before they come one by one',
    wanted: declares([a, b]),
    pod: podWith([element('a'), element('b')], { owned: [owns('a'), owns('b')], status: [eth0] }),
    actions: ['unplug a+b', 'plug a', 'plug b'],
  },
  {
    what: 'one that hangs goes with what must go',
    wanted: declares([a]),
    pod: podWith([element('a'), element('b')], { owned: [owns('a'), owns('b')], status: [eth0, entry('b')] }),
    actions: ['unplug b+a', 'release b', 'plug a'],
  },
  {
    what: 'an unplug that failed a moment ago is asked for again',
    wanted: none,
    pod: podWith([], {
      owned: [owns('a')],
      status: [eth0, entry('a')],
      settling: true,
      events: [event('AddedInterface', 'a'), event('FailedRemovingInterface', 'a')],
    }),
    actions: ['kick a gone', 'release a'],
  },
  {
    what: 'an unplug under way',
    wanted: none,
    pod: podWith([], { owned: [owns('a')], status: [eth0, entry('a')], settling: true }),
    actions: ['follow a gone', 'release a'],
  },
  {
    what: 'an unplug that was given up',
    wanted: none,
    pod: podWith([], { owned: [owns('a')], status: [eth0, entry('a')] }),
    actions: ['kick a gone', 'release a'],
  },
  {
    what: 'a record without a NIC',
    wanted: none,
    pod: podWith(undefined, { owned: [owns('a')] }),
    actions: ['release a'],
  },
  { what: 'what is not ours stays', wanted: none, pod: podWith([element('a')]) },
  {
    what: 'its network must be there until it is gone',
    wanted: none,
    pod: podWith([element('x')], { owned: [owns('x')] }),
    blockers: ['network-missing x'],
  },
  {
    what: 'a network that is missing',
    wanted: declares([wants('x'), a]),
    pod: podWith(undefined),
    actions: ['plug a'],
    blockers: ['network-missing x'],
  },
  {
    what: 'a network that is broken',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { networks: [network('a-net', { problem: 'no type' })] },
    blockers: ['network-invalid a'],
  },
  {
    what: 'a device of a plugin',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { networks: [network('a-net', { resourceName: 'x/y' })] },
    blockers: ['network-device a'],
  },
  {
    what: 'SR-IOV',
    wanted: declares([a]),
    pod: podWith(undefined),
    options: { networks: [network('a-net', { pluginType: 'sriov' })] },
    blockers: ['network-device a'],
  },
  {
    what: 'nothing is to be done beside it',
    wanted: declares([a]),
    pod: podWith([element('a')], { owned: [owns('a')], status: [eth0, entry('a'), entry('b')] }),
  },
  {
    what: 'the interface of another element',
    wanted: declares([a]),
    pod: podWith([element('b', { interface: 'a' })]),
    blockers: ['foreign-element a'],
  },
  {
    what: 'the element of another hand, otherwise',
    wanted: declares([wants('a', { mac })]),
    pod: podWith([element('a')]),
    blockers: ['foreign-element a'],
  },
  {
    what: 'a domain: each plug is followed by its attach',
    wanted: declares([a, b], { domain }),
    pod: podWith(undefined, reading(2)),
    actions: ['plug a', 'attach a 1', 'plug b', 'attach b 2'],
  },
  {
    what: 'a domain: detach first, and its port is taken again',
    wanted: declares([b], { domain }),
    pod: podWith([element('a')], { owned: [owns('a')], ...reading(0, ['a']) }),
    actions: ['detach a', 'unplug a', 'release a', 'plug b', 'attach b 1'],
  },
  {
    what: 'a domain without a port',
    wanted: declares([a, b], { domain }),
    pod: podWith(undefined, reading(1)),
    blockers: ['no-ports'],
  },
  {
    what: 'only the domain lacks it',
    wanted: declares([a], { domain }),
    pod: podWith([element('a')], { owned: [owns('a')], ...reading(1) }),
    actions: ['attach a 1'],
  },
  {
    what: 'a link',
    wanted: declares([wants('a', { state: 'down' })], { domain }),
    pod: podWith([element('a')], { owned: [owns('a')], ...reading(1, ['a']) }),
    actions: ['link a down'],
  },
  {
    what: 'a container that lacks tools',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, { domain: { kind: 'unfit', missing: ['virsh'] } }),
    blockers: ['agent-unfit'],
  },
  {
    what: 'a domain that is off takes no NIC',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, reading(2, [], false)),
    blockers: ['agent-unread'],
  },
  {
    what: 'and has none that could hold the interface',
    wanted: declares([], { domain }),
    pod: podWith([element('a')], { owned: [owns('a')], ...reading(2, [], false) }),
    actions: ['unplug a', 'release a'],
  },
  {
    what: 'a NIC of a domain that is no longer declared',
    wanted: declares([]),
    pod: podWith([element('a')], { owned: [owns('a', { domain: 'vm' })] }),
    blockers: ['agent-dropped'],
  },
  {
    what: 'a domain that is not seen',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, { domain: { kind: 'unread', why: 'forbidden' } }),
    blockers: ['agent-unread'],
  },
  {
    what: 'macvlan for a guest',
    wanted: declares([a], { domain }),
    pod: podWith(undefined, reading(1)),
    options: { networks: [network('a-net', { pluginType: 'macvlan', guestless: true })] },
    blockers: ['network-unfit a'],
  },
];

checkPodRows(rows);

test('an address that moves between pods leaves the one before it comes to the other', () => {
  const selector = (name: string) => ({ query: { namespace: 'prod', name }, name });
  const old = podWith([element('a', { mac })], { name: 'p1', uid: 'u1', owned: [owns('a')] });
  const fresh = podWith(undefined, { name: 'p2', uid: 'u2' });
  const taker = declares([wants('a', { mac })], selector('p2'));
  const moved = podsPlan([declares([], selector('p1')), taker], [old, fresh]);
  const plug = moved.targets.flatMap(({ actions }) => [...actions]).find(({ kind }) => kind === 'pod-plug');
  assert.deepEqual(plug?.after, ['pod/prod/p1/1']);
  const kept = podsPlan([declares([wants('a', { mac })], selector('p1')), taker], [old, fresh]);
  assert.deepEqual(
    kept.targets.flatMap(({ blockers }) => blockers.map(({ code }) => code)),
    ['mac-taken'],
  );
});

test('a selector: its pods one by one, no address for several, and none twice', () => {
  const query = { namespace: 'prod', selector: 'app=x' };
  const pods = [podWith(undefined, { name: 'x-1', uid: 'u1' }), podWith(undefined, { name: 'x-2', uid: 'u2' })];
  const shared = podsPlan([declares([wants('a', { mac }), b], { query })], pods);
  assert.deepEqual(
    shared.targets.map(({ target, blockers, actions }) => [target.name, blockers[0]?.code, actions.length]),
    [
      ['x-1', 'shared-address', 1],
      ['x-2', 'shared-address', 1],
    ],
  );
  assert.deepEqual(shared.summary, {
    vms: 0,
    pods: 2,
    unchanged: 0,
    changed: 2,
    blocked: 2,
    plugs: 2,
    unplugs: 0,
    others: 0,
  });
  const named = declares([], { query: { namespace: 'prod', name: 'x-1' }, name: 'x-1' });
  const twice = podsPlan([declares([a], { query }), named], pods);
  assert.deepEqual(
    twice.targets.map(({ target, blockers, actions }) => [target.name, blockers[0]?.code, actions.length]),
    [
      ['x-1', 'pod-declared-twice', 0],
      ['x-2', undefined, 1],
    ],
  );
  const ended = podsPlan([declares([a], { query })], [podWith(undefined, { phase: 'Succeeded' })]);
  assert.deepEqual(
    ended.targets[0]?.notes.map(({ code }) => code),
    ['no-pod-matches'],
  );
});

test('a pod of a Deployment: what to write into its template', () => {
  const owners = [
    { kind: 'ReplicaSet', name: 'web-1' },
    { kind: 'Deployment', name: 'web' },
  ];
  const plan = podPlan(declares([a]), podWith([element('b')], { owners }));
  const note = plan?.notes.find(({ code }) => code === 'lost-at-recreation');
  const value = JSON.stringify([element('b'), { name: 'a-net', namespace: 'prod', interface: 'a' }]);
  assert.match(note?.message ?? '', /the Deployment web makes the pod anew/);
  assert.ok(note?.message.includes(JSON.stringify(value)));
});

test('what moved makes the plan of a pod stale, and how it is written does not', () => {
  const digest = (pod: LiveTargetPod) => podPlan(declares([b]), pod)?.read.digest;
  const pod = podWith([element('a')]);
  const spaced = { ...podWith(`[ ${JSON.stringify(element('a'))} ]`), settling: true, annotationBytes: 7 };
  assert.equal(digest(spaced), digest(pod));
  for (const other of [
    podWith([element('a', { mac })]),
    podWith([element('a')], { uid: 'x' }),
    podWith([element('a')], { owned: [owns('a')] }),
  ])
    assert.notEqual(digest(other), digest(pod));
  assert.ok(podsPlan([declares([b])], [pod]).targets.every(isPodPlan));
});
