import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseDomain } from './libvirt-domain.ts';
import { countPorts, nextPort, type Port, portPool } from './libvirt-ports.ts';

function fixture(name: string) {
  return parseDomain(readFileSync(new URL(`fixtures/${name}.xml`, import.meta.url), 'utf8'));
}

/** `1u 2f 3x`: index and state of each port. */
function strip(ports: readonly Port[]): string {
  const letters = { used: 'u', free: 'f', 'not-hotpluggable': 'x' };
  return ports.map(({ index, state }) => `${index}${letters[state]}`).join(' ');
}

function domainOf(devices: string, machine = 'pc-q35-7.2') {
  return parseDomain(
    `<domain><name>x</name><os><type machine='${machine}'>hvm</type></os><devices>${devices}</devices></domain>`,
  );
}

const pcieRoot = "<controller type='pci' index='0' model='pcie-root'/>";
const rootPort = (index: number, more = '') =>
  `<controller type='pci' index='${index}' model='pcie-root-port'>${more}</controller>`;
const at = (bus: string, slot = '0x00', fn = '0x0') =>
  `<address type='pci' domain='0x0000' bus='${bus}' slot='${slot}' function='${fn}'/>`;

test('downstream ports of a switch count, its upstream port takes one', () => {
  const boot = fixture('domain-switch-boot');
  assert.equal(strip(countPorts(boot).ports), '1u 2f 4f 5f 6f');
  assert.equal(countPorts(boot).ports[0]?.device, 'controller pcie-switch-upstream-port 3');
  const full = fixture('domain-switch-full');
  assert.equal(countPorts(full).free, 0);
  assert.equal(full.nics.length - boot.nics.length, countPorts(boot).free);
});

test('two functions on one port take one port', () => {
  const { ports, free } = countPorts(fixture('domain-multifunction'));
  assert.equal(free, 2);
  const [used] = ports.filter(({ state }) => state === 'used');
  assert.equal(used?.index, 2);
  assert.equal(used?.device?.split(', ').length, 2);
});

test('addresses of the host under <source> take no port of the guest', () => {
  assert.equal(strip(countPorts(fixture('domain-hostdev')).ports), '1u 2u 3f 4f');
});

test('conventional models have a pool of their own: the slots of the bridge', () => {
  const domain = fixture('domain-bridge');
  assert.equal(strip(countPorts(domain).ports), '1u 2f 3f');
  for (const model of ['virtio-transitional', 'e1000', 'rtl8139', 'ne2k_pci', 'pcnet']) {
    const { ports, free } = countPorts(domain, portPool(model));
    assert.equal(free, 31, model);
    assert.deepEqual(ports[0], { index: 1, bus: 4, state: 'free' });
    assert.deepEqual(nextPort(domain, portPool(model)), { domain: 0, bus: 4, slot: 1, function: 0 });
  }
  for (const model of ['virtio', 'virtio-non-transitional', 'e1000e', 'igb'])
    assert.equal(portPool(model), 'pcie', model);
  assert.deepEqual(nextPort(domain), { domain: 0, bus: 2, slot: 0, function: 0 });
});

test('without a bridge conventional models find nothing', () => {
  const domain = fixture('domain-kubevirt');
  assert.equal(countPorts(domain).free, 7);
  assert.deepEqual(countPorts(domain, 'conventional'), { ports: [], free: 0, pool: 'conventional' });
  assert.equal(nextPort(domain, 'conventional'), undefined);
});

test('bus numbers are hexadecimal, indexes decimal', () => {
  const domain = domainOf(`${pcieRoot}${rootPort(10)}${rootPort(16)}<rng>${at('0x0a')}</rng>`);
  assert.equal(strip(countPorts(domain).ports), '10u 16f');
});

test('ports with hotplug off are no place to plug, used or not', () => {
  const off = "<target hotplug='off'/>";
  const domain = domainOf(`${pcieRoot}${rootPort(2, off)}${rootPort(1, off)}${rootPort(3)}<rng>${at('0x01')}</rng>`);
  assert.deepEqual(countPorts(domain).ports, [
    { index: 1, state: 'not-hotpluggable', device: 'rng' },
    { index: 2, state: 'not-hotpluggable' },
    { index: 3, state: 'free' },
  ]);
});

test('an expander bus is known by its index, never by busNr', () => {
  const expander = "<controller type='pci' index='2' model='pcie-expander-bus'><target busNr='254'/></controller>";
  const domain = domainOf(`${pcieRoot}${expander}${rootPort(3, at('0x02'))}${rootPort(1)}`);
  assert.equal(strip(countPorts(domain).ports), '1f 3f');
});

test('the lowest free port is next, also after a hole', () => {
  const domain = domainOf(`${pcieRoot}${rootPort(3)}${rootPort(2)}${rootPort(1)}<rng>${at('0x01')}</rng>`);
  assert.equal(nextPort(domain)?.bus, 2);
});

test('i440fx has one pool for all models, less what the chipset holds', () => {
  const domain = domainOf(
    `<controller type='pci' index='0' model='pci-root'/><video>${at('0x00', '0x02')}</video>`,
    'pc-i440fx-7.2',
  );
  for (const pool of ['pcie', 'conventional'] as const) {
    const { ports, free, pool: actual } = countPorts(domain, pool);
    assert.equal(actual, 'conventional');
    assert.equal(free, 29);
    assert.equal(ports[0]?.device, 'PIIX3 (chipset)');
    assert.equal(ports[1]?.device, 'video');
  }
});

test('on i440fx nothing is plugged behind an expander bus, nor after it', () => {
  const controllers = ['pci-root', 'pci-expander-bus', 'pci-bridge']
    .map((model, index) => `<controller type='pci' index='${index}' model='${model}'/>`)
    .join('');
  const { ports, free } = countPorts(domainOf(controllers, 'pc-i440fx-7.2'));
  assert.deepEqual([free, new Set(ports.map(({ bus }) => bus))], [30, new Set([0])]);
});

test('the virt machine of Arm has root ports as q35 has', () => {
  const mmio = "<controller type='scsi' index='0'><address type='virtio-mmio'/></controller>";
  const devices = `${pcieRoot}${rootPort(1, at('0x00', '0x01'))}${rootPort(2, at('0x00', '0x01', '0x1'))}${mmio}<rng>${at('0x01')}</rng>`;
  assert.equal(strip(countPorts(domainOf(devices, 'virt-9.2')).ports), '1u 2f');
});

test('a machine without PCI has no ports', () => {
  assert.deepEqual(countPorts(domainOf('', 's390-ccw-virtio')), { ports: [], free: 0, pool: 'none' });
  assert.deepEqual(countPorts(undefined), { ports: [], free: 0, pool: 'none' });
});
