import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Inspected, inspectNetworks, inspectPorts, inspectStatus } from './inspect.ts';

function domain(name: string): string {
  return readFileSync(new URL(`../reconcile/systems/fixtures/${name}.xml`, import.meta.url), 'utf8');
}

function body(inspected: Inspected): unknown {
  return JSON.parse(inspected.stdout);
}

test('XML whose devices have yet to be placed is counted with a warning', () => {
  const nic = "<interface type='ethernet'><model type='virtio'/></interface>";
  const port = "<controller type='pci' index='1' model='pcie-root-port'/>";
  const xml = (devices: string) => `<domain><name>x</name><devices>${devices}</devices></domain>`;
  const text = inspectPorts(xml(port + nic), { output: 'text' });
  assert.match(text.stderr ?? '', /^warning: 1 NIC has no PCI address: /);
  assert.equal(text.exitCode, 0);
  assert.equal(JSON.parse(inspectPorts(xml(port + nic + nic), { output: 'json' }).stdout).warnings.length, 1);
  // A machine without PCI has NICs on other buses.
  assert.equal(inspectPorts(xml(nic), { output: 'text' }).stderr, undefined);
});

test('ports as JSON: every port, what holds it, how many are free', () => {
  const inspected = inspectPorts(domain('domain-hostdev'), { model: 'virtio', output: 'json' });
  assert.equal(inspected.exitCode, 0);
  assert.deepEqual(body(inspected), {
    ports: [
      { index: 1, state: 'used', device: 'interface ua-sriov' },
      { index: 2, state: 'used', device: 'hostdev ua-sriovhd' },
      { index: 3, state: 'free' },
      { index: 4, state: 'free' },
    ],
    free: 2,
  });
});

test('ports as text, for both pools and for none', () => {
  const { stdout, stderr } = inspectPorts(domain('domain-kubevirt'), { output: 'text' });
  assert.match(stdout, /^prod_db01 \(pc-q35-rhel9\.8\.0\): 7 of 16 PCIe ports free for virtio\.\n/);
  assert.match(stdout, /\n2 {5}used {3}interface ua-vlan100\n/);
  assert.equal(stderr, undefined);
  const bridge = inspectPorts(domain('domain-bridge'), { model: 'e1000', output: 'text' }).stdout;
  assert.match(bridge, /31 of 31 conventional PCI slots free for e1000/);
  assert.match(bridge, /\nBRIDGE {2}SLOT {2}STATE {2}DEVICE\n4 {7}1 {5}free\n/);
  const none = inspectPorts(domain('domain-kubevirt'), { model: 'e1000', output: 'text' }).stdout;
  assert.match(none, /no conventional PCI slots, which e1000 needs; a virtio NIC finds 7 free PCIe ports/);
});

test('ports: bad input and a bad model', () => {
  const bad = inspectPorts('not xml', { output: 'json' });
  assert.equal(bad.exitCode, 1);
  assert.match(JSON.stringify(body(bad)), /"code":"libvirt\/xml"/);
  const text = inspectPorts('<network/>', { output: 'text' });
  assert.equal(text.stdout, '');
  assert.match(text.stderr ?? '', /<network>.*libvirt\/xml/);
  const model = inspectPorts(domain('domain-bridge'), { model: 'ne2000', output: 'text' });
  assert.equal(model.exitCode, 3);
  assert.match(model.stderr ?? '', /ne2k_pci/);
});

test('networks as JSON: elements, or the error of the parser that was chosen', () => {
  const good = inspectNetworks('blue@net1\n', { namespace: 'prod', output: 'json' });
  assert.equal(good.exitCode, 0);
  assert.deepEqual(body(good), { elements: [{ name: 'blue', namespace: 'prod', interface: 'net1' }] });
  const bad = inspectNetworks('[a]', { namespace: 'prod', output: 'json' });
  assert.equal(bad.exitCode, 1);
  assert.deepEqual(body(bad), {
    error: {
      code: 'multus/annotation',
      message:
        "parsePodNetworkAnnotation: failed to parse pod Network Attachment Selection Annotation JSON format: invalid character 'a' looking for beginning of value",
    },
  });
  const crash = inspectNetworks('[null]', { namespace: 'prod', output: 'json' });
  assert.equal(crash.exitCode, 1);
  assert.match(crash.stdout, /multus\/annotation-crash/);
});

test('networks: one newline of the pipe is dropped, no more', () => {
  const message = (stdin: string) => inspectNetworks(stdin, { namespace: 'prod', output: 'json' }).stdout;
  assert.match(message(''), /does not have \\"network\\" as key/);
  assert.match(message('\n'), /does not have \\"network\\" as key/);
  assert.match(message('\n\n'), /"elements"/);
});

test('networks: a value that is read differently gets a warning, accepted or not', () => {
  for (const parser of ['multus', 'dynamic-controller'] as const) {
    const { stderr, exitCode } = inspectNetworks('a@my_if', { namespace: 'prod', parser, output: 'text' });
    assert.match(stderr ?? '', /warning: Read differently: multus accepts/);
    assert.equal(exitCode, parser === 'multus' ? 0 : 1);
  }
  const json = inspectNetworks('a@my_if', { namespace: 'prod', parser: 'multus', output: 'json' });
  assert.match(JSON.stringify(body(json)), /"warnings":\[\{"code":"read-differently"/);
});

test('networks as text; control characters do not reach the terminal', () => {
  const value = JSON.stringify([
    { name: 'a', interface: 'net1', mac: '02:00:00:00:00:01', ips: ['10.0.0.1/24'], bandwidth: { ingressRate: 1 } },
    { name: '\u001b[2J', interface: 'net2' },
  ]);
  const { stdout, stderr } = inspectNetworks(value, { namespace: 'prod', parser: 'nad-client', output: 'text' });
  assert.match(
    stdout,
    /1 {2}prod\/a .* net1 .*02:00:00:00:00:01 {2}10\.0\.0\.1\/24 {2}bandwidth=\{"ingressRate":1\}\n/,
  );
  assert.ok(!`${stdout}${stderr}`.includes('\u001b'));
  assert.match(inspectNetworks('[]', { namespace: 'prod', output: 'text' }).stdout, /No elements/);
});

test('status as JSON and text', () => {
  const raw =
    '[{"name":"k8s","interface":"eth0","default":true,"dns":{}},{"name":"prod/a","interface":"net1","mtu":9000,"dns":{}}]';
  assert.deepEqual(body(inspectStatus(`${raw}\n`, { output: 'json' })), {
    entries: JSON.parse(raw),
    defaultInterface: 'eth0',
    dynamicControllerKeys: ['prod/a/net1'],
  });
  assert.match(inspectStatus(raw, { output: 'text' }).stdout, /\neth0 +k8s +default/);
  const bad = inspectStatus('[', { output: 'json' });
  assert.equal(bad.exitCode, 1);
  assert.deepEqual(body(bad), { error: { code: 'multus/status', message: 'unexpected end of JSON input' } });
});
