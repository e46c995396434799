import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originalMac, stepsToUnwire, stepsToWire, type WiringPlan, wiringOf } from './guest-wiring.ts';
import type { Link } from './ip-links.ts';

const wiring = wiringOf('pod16477688c0e', 'uid-1');
const { bridge, tap, podInterface, portMac } = wiring;

function link(name: string, extra: Partial<Link> = {}): Link {
  return { name, mac: '02:00:00:00:0a:01', mtu: 1480, up: true, carrier: true, addresses: [], ...extra };
}

const pod = link(podInterface, { kind: 'veth', addresses: ['10.77.0.2/24'] });

function lines(plan: WiringPlan | ReturnType<typeof stepsToUnwire>): string[] {
  if ('kind' in plan) {
    assert.equal(plan.kind, 'steps');
    return plan.kind === 'steps' ? lines(plan.steps) : [];
  }
  return plan.map(({ command }) => command.join(' '));
}

test('names are those of KubeVirt; the MAC is local, steady, and another in each pod', () => {
  assert.equal(bridge, 'k6t-16477688c0e');
  assert.equal(tap, 'tap16477688c0e');
  assert.match(portMac, /^02(:[0-9a-f]{2}){5}$/);
  assert.equal(wiringOf(podInterface, 'uid-1').portMac, portMac);
  assert.notEqual(wiringOf(podInterface, 'uid-2').portMac, portMac);
});

test('from nothing: the note first, the links up last', () => {
  assert.deepEqual(lines(stepsToWire(wiring, [pod], false)), [
    `ip link set dev ${podInterface} alias patchpanel 02:00:00:00:0a:01 10.77.0.2/24`,
    `ip link add name ${bridge} type bridge`,
    `ip link set dev ${bridge} mtu 1480`,
    `ip tuntap add dev ${tap} mode tap`,
    `ip link set dev ${tap} mtu 1480`,
    `ip link set dev ${tap} master ${bridge}`,
    `ip link set dev ${podInterface} addrgenmode none`,
    `ip link set dev ${podInterface} address ${portMac}`,
    `ip address flush dev ${podInterface}`,
    `ip link set dev ${podInterface} master ${bridge}`,
    `ip link set dev ${bridge} addrgenmode none`,
    `ip link set dev ${bridge} up`,
    `ip link set dev ${tap} addrgenmode none`,
    `ip link set dev ${tap} up`,
  ]);
});

const wired: readonly Link[] = [
  link(podInterface, { kind: 'veth', mac: portMac, master: bridge, note: 'patchpanel 02:00:00:00:0a:01 10.77.0.2/24' }),
  link(bridge, { kind: 'bridge' }),
  link(tap, { kind: 'tun', master: bridge, carrier: false }),
];

test('all there: nothing is left to do, and a held tap is the domain’s own', () => {
  assert.deepEqual(lines(stepsToWire(wiring, wired, false)), []);
  const held = wired.map((each) => (each.name === tap ? { ...each, carrier: true } : each));
  assert.deepEqual(lines(stepsToWire(wiring, held, true)), []);
  assert.equal(stepsToWire(wiring, held, false).kind, 'refused');
});

test('the way back: tap, bridge, MAC, addresses, and the note last', () => {
  assert.deepEqual(lines(stepsToUnwire(wiring, wired, { addresses: [] })), [
    `ip link delete dev ${tap}`,
    `ip link set dev ${podInterface} nomaster`,
    `ip link delete dev ${bridge}`,
    `ip link set dev ${podInterface} address 02:00:00:00:0a:01`,
    `ip link set dev ${podInterface} addrgenmode eui64`,
    `ip address replace 10.77.0.2/24 dev ${podInterface}`,
    `ip link set dev ${podInterface} alias `,
  ]);
  assert.deepEqual(lines(stepsToUnwire(wiring, [pod], { addresses: [] })), []);
});

test('without a note, network-status says what was there', () => {
  const noteless = wired.map(({ note: _, ...each }) => each);
  const before = { mac: '02:00:00:00:0a:01', addresses: ['10.77.0.2/32'] };
  assert.equal(originalMac(wiring, noteless, before), '02:00:00:00:0a:01');
  assert.equal(originalMac(wiring, noteless, { addresses: [] }), undefined);
  assert.ok(
    lines(stepsToUnwire(wiring, noteless, before)).includes(`ip address replace 10.77.0.2/32 dev ${podInterface}`),
  );
});

test('a pod interface that is gone leaves tap and bridge to be removed', () => {
  const left = wired.filter(({ name }) => name !== podInterface);
  assert.deepEqual(lines(stepsToUnwire(wiring, left, { addresses: [] })), [
    `ip link delete dev ${tap}`,
    `ip link delete dev ${bridge}`,
  ]);
});

test('what belongs to others stays', () => {
  const other = link('vnet7', { kind: 'tun', master: bridge });
  assert.ok(
    !lines(stepsToUnwire(wiring, [...wired, other], { addresses: [] })).includes(`ip link delete dev ${bridge}`),
  );
  const foreignTap = wired.map((each) => (each.name === tap ? { ...each, master: 'br7' } : each));
  assert.ok(!lines(stepsToUnwire(wiring, foreignTap, { addresses: [] })).includes(`ip link delete dev ${tap}`));
  assert.ok(lines(stepsToUnwire(wiring, wired, { addresses: [] }, true)).includes(`ip link set dev ${tap} nomaster`));
});

test('what KubeVirt made under these names stays, while its NIC or another port is on it', () => {
  const guest = link(tap, { kind: 'tun', master: bridge });
  const port = link(`${podInterface}-nic`, { kind: 'veth', master: bridge });
  const renamed = [link(podInterface, { kind: 'dummy' }), link(bridge, { kind: 'bridge' }), guest, port];
  assert.deepEqual(lines(stepsToUnwire(wiring, renamed, { addresses: [] })), []);
  const masquerade = [link(podInterface, { kind: 'veth' }), link(bridge, { kind: 'bridge' }), guest];
  assert.deepEqual(lines(stepsToUnwire(wiring, masquerade, { addresses: [] }, true)), []);
});

const refusals: readonly [string, readonly Link[], string, RegExp][] = [
  ['no interface', [], 'missing', /has no interface/],
  ['macvlan', [{ ...pod, kind: 'macvlan', mode: 'bridge' }], 'unfit', /is a macvlan/],
  ['port of another bridge', [{ ...pod, master: 'br0' }], 'foreign', /port of the bridge br0/],
  ['tap of another bridge', [pod, link(tap, { kind: 'tun', master: 'br0' })], 'foreign', /port of the bridge br0/],
  ['tap that is held', [pod, link(tap, { kind: 'tun' })], 'busy', /held by another program/],
  ['no tap', [pod, link(tap, { kind: 'veth' })], 'foreign', /is no tap/],
  ['no bridge', [pod, link(bridge, { kind: 'veth' })], 'foreign', /is no bridge/],
  [
    'bridge of another',
    [pod, link(bridge, { kind: 'bridge' }), link('vnet0', { master: bridge })],
    'foreign',
    /vnet0 is a port/,
  ],
];
for (const [title, links, why, reason] of refusals) {
  test(`refused: ${title}`, () => {
    const plan = stepsToWire(wiring, links, false);
    assert.ok(plan.kind === 'refused');
    assert.equal(plan.why, why);
    assert.match(plan.reason, reason);
  });
}

test('a macvlan in passthru mode carries a guest', () => {
  assert.equal(stepsToWire(wiring, [{ ...pod, kind: 'macvlan', mode: 'passthru' }], false).kind, 'steps');
});
